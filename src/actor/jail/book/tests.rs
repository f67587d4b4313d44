use proptest::prelude::*;

use super::*;
use crate::action::lifecycle::{Task, Verdict};
use crate::sentence::Sentence;

const DISK: u64 = 7;

fn definition(name: &str, options: &[&str]) -> Definition {
    let options = options.iter().map(|option| option.split_once('=').unwrap_or((option, "x")));
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Definition { name: name.into(), file: name.into(), options: options.collect() }
}

/// `fw` and `cdn` enforce, `fw` can flush and check; `mail` tells of news.
fn book() -> Book {
    let mut book = Book::default();
    book.add(definition("fw", &["actionban", "actionunban", "actionflush", "actioncheck", "actionstop"]));
    book.add(definition("cdn", &["actionban", "actionunban"]));
    book.add(definition("mail", &["actionban", "norestored=true"]));
    sent(&mut book, &[]);
    book
}

fn ban(id: &str) -> Ban {
    Ban {
        id: Id::parse(id),
        time: UnixTime::from_secs(1000),
        sentence: Sentence(None),
        count: 1,
        failures: 1,
        lines: Vec::new(),
        data: Vec::new(),
        restored: false,
    }
}

fn at(secs: i64) -> UnixTime {
    UnixTime::from_secs(secs)
}

/// Sends everything that can be sent and answers it: those that begin with one of `fails` fail. `fw ban 192.0.2.1`.
fn sent_at(book: &mut Book, fails: &[&str], now: UnixTime) -> (String, Vec<Word>) {
    let (mut told, mut words) = (Vec::new(), Vec::new());
    while let Some((number, definition, wish)) = book.next(DISK) {
        let id = match &wish {
            Wish::Unban(ban) => Some(ban.id.clone()),
            other => other.id().cloned(),
        };
        let id = id.map(|id| format!(" {id}")).unwrap_or_default();
        let text = format!("{} {}{id}", definition.name, wish.task().name());
        let fails = fails.iter().any(|fail| text.starts_with(fail));
        told.push(text);
        let result = if fails { Err("no".to_owned()) } else { Ok(()) };
        let repaired = Vec::new();
        book.heard(number, Verdict { result, repaired }, now, &mut words);
    }
    (told.join(", "), words)
}

fn sent(book: &mut Book, fails: &[&str]) -> (String, Vec<Word>) {
    sent_at(book, fails, at(2000))
}

fn holds(id: &str) -> Word {
    Word::Ban(Id::parse(id), Ok(()))
}

#[test]
fn a_ban_holds_when_all_have_confirmed_it_and_is_told_of_then() {
    let (mut book, mut words) = (book(), Vec::new());
    let id = Id::parse("192.0.2.1");
    book.ban(&ban("192.0.2.1"), true, false, DISK, &mut words);
    let (told, heard) = sent(&mut book, &[]);
    assert_eq!((&*told, heard.len(), words.len()), ("fw ban 192.0.2.1, cdn ban 192.0.2.1", 0, 0));
    book.kernel(&id, &Ok(()), &mut words);
    assert_eq!(words, [holds("192.0.2.1")]);
    words.clear();
    book.holds(&id, &mut words);
    assert_eq!(words, [holds("192.0.2.1")]);
    let (told, words) = sent(&mut book, &[]);
    assert_eq!(
        (&*told, &words[..]),
        ("mail ban 192.0.2.1", &[holds("192.0.2.1"), Word::Told(id.clone())][..])
    );
    assert!(!book.awaits(&id));
}

#[test]
fn who_refuses_is_asked_again_after_a_while() {
    let (mut book, mut words) = (book(), Vec::new());
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    let (_, words) = sent(&mut book, &["cdn ban"]);
    assert_eq!(words, [Word::Ban(Id::parse("192.0.2.1"), Err("cdn: no".into()))]);
    assert!(book.refused());
    for (now, want) in [(2004, ""), (2005, "cdn ban 192.0.2.1"), (2014, ""), (2015, "cdn ban 192.0.2.1")] {
        book.ask_again(at(now));
        let (told, words) = sent_at(&mut book, if now < 2015 { &["cdn"] } else { &[] }, at(now));
        assert_eq!(told, want, "{now}");
        assert_eq!(words.contains(&holds("192.0.2.1")), now == 2015, "{now}: {words:?}");
    }
    assert!(!book.refused());
}

#[test]
fn a_mail_that_fails_is_logged_and_not_repeated() {
    let (mut book, mut words) = (book(), Vec::new());
    let id = Id::parse("192.0.2.1");
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    sent(&mut book, &[]);
    book.holds(&id, &mut words);
    let (_, words) = sent(&mut book, &["mail"]);
    assert_eq!(words[0], Word::Failed("mail".into(), "ban", Some(id.clone()), "no".to_owned()));
    assert_eq!(words.last(), Some(&Word::Told(id)));
    book.ask_again(at(9000));
    assert_eq!(sent(&mut book, &[]).0, "");
}

#[test]
fn what_was_begun_is_undone_and_what_was_not_is_not() {
    let (mut book, mut words) = (book(), Vec::new());
    for (id, begin) in [("192.0.2.1", true), ("192.0.2.2", false)] {
        book.ban(&ban(id), false, false, 0, &mut words);
        if begin {
            sent(&mut book, &["cdn"]);
        }
    }
    words.clear();
    for id in ["192.0.2.1", "192.0.2.2"] {
        book.unban(ban(id), false, &mut words);
    }
    let told = |id: &str| Word::Told(Id::parse(id));
    let gone = |id: &str| Word::Unban(Id::parse(id), Ok(()));
    assert_eq!(words, [told("192.0.2.1"), told("192.0.2.2"), gone("192.0.2.2")]);
    let (told, words) = sent(&mut book, &[]);
    assert_eq!((&*told, &words[..]), ("fw unban 192.0.2.1, cdn unban 192.0.2.1", &[gone("192.0.2.1")][..]));
}

#[test]
fn an_old_answer_is_none_for_a_new_ban() {
    let (mut book, mut words) = (book(), Vec::new());
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    let old: Vec<u64> = std::iter::from_fn(|| Some(book.next(DISK)?.0)).collect();
    book.unban(ban("192.0.2.1"), false, &mut words);
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    words.clear();
    for number in old {
        book.heard(number, Verdict { result: Ok(()), repaired: Vec::new() }, at(2000), &mut words);
    }
    assert_eq!(words, []);
    let (told, words) = sent(&mut book, &[]);
    assert_eq!(told, "fw unban 192.0.2.1, fw ban 192.0.2.1, cdn unban 192.0.2.1, cdn ban 192.0.2.1");
    assert!(words.contains(&holds("192.0.2.1")));
}

#[test]
fn restored_bans_are_news_only_to_those_who_were_not_told() {
    for (untold, want) in [(false, ""), (true, "mail ban 192.0.2.1")] {
        let (mut book, mut words) = (book(), Vec::new());
        let restored = Ban { restored: true, ..ban("192.0.2.1") };
        book.ban(&restored, false, untold, 0, &mut words);
        assert_eq!(sent(&mut book, &[]).0, "fw ban 192.0.2.1, cdn ban 192.0.2.1");
        book.holds(&restored.id, &mut words);
        let (told, words) = sent(&mut book, &[]);
        assert_eq!((&*told, words.contains(&Word::Told(restored.id))), (want, untold));
    }
}

#[test]
fn commands_wait_for_the_disk() {
    let (mut book, mut words) = (book(), Vec::new());
    book.ban(&ban("192.0.2.1"), false, false, DISK + 1, &mut words);
    assert_eq!((&*sent(&mut book, &[]).0, book.waits_for_disk(DISK)), ("", true));
    assert!(!book.waits_for_disk(DISK + 1) && book.next(DISK + 1).is_some());
}

#[test]
fn few_tasks_are_out_at_once_and_what_finds_no_room_stays_first() {
    let (mut book, mut words) = (book(), Vec::new());
    for last in 0..100 {
        book.ban(&ban(&format!("192.0.2.{last}")), false, false, 0, &mut words);
    }
    let first = book.next(DISK).map(|(number, ..)| number).unwrap();
    book.unsent(first);
    let out: Vec<_> = std::iter::from_fn(|| book.next(DISK)).collect();
    assert_eq!(out.len(), 2 * WINDOW);
    assert_eq!(out[0].2.id(), Some(&Id::parse("192.0.2.0")));
}

#[test]
fn a_flush_stands_for_the_single_unbans() {
    let (mut book, mut words) = (book(), Vec::new());
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    sent(&mut book, &[]);
    book.flush();
    book.unban(ban("192.0.2.1"), false, &mut words);
    book.flushed();
    assert_eq!(sent(&mut book, &[]).0, "fw flush, cdn unban 192.0.2.1");
}

#[test]
fn an_end_undoes_everything_and_stops_the_last_first() {
    let (mut book, mut words) = (book(), Vec::new());
    for id in ["192.0.2.1", "192.0.2.2"] {
        book.ban(&ban(id), false, false, 0, &mut words);
    }
    book.stop(&|| vec![ban("192.0.2.1"), ban("192.0.2.2")]);
    assert!(!book.stopped());
    let (told, _) = sent(&mut book, &["cdn unban"]);
    assert_eq!(told, "fw flush, cdn unban 192.0.2.1, cdn unban 192.0.2.2, mail stop, cdn stop, fw stop");
    assert!(book.stopped());
    let mut none = Book::default();
    none.stop(&Vec::new);
    assert!(none.stopped());
}

#[test]
fn an_action_that_goes_undoes_its_bans_and_its_word_is_not_missed() {
    let (mut book, mut words) = (book(), Vec::new());
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    sent(&mut book, &["cdn ban"]);
    let cdn = book.definitions().nth(1).unwrap().0;
    book.remove(cdn, &|| vec![ban("192.0.2.1")], &mut words);
    assert_eq!(words, [holds("192.0.2.1")]);
    assert_eq!(sent(&mut book, &[]).0, "cdn unban 192.0.2.1, cdn stop");
    assert_eq!(book.definitions().count(), 2);
}

#[test]
fn a_repair_makes_the_other_bans_again() {
    let (mut book, mut words) = (book(), Vec::new());
    let id = Id::parse("192.0.2.1");
    book.ban(&ban("192.0.2.1"), false, false, 0, &mut words);
    sent(&mut book, &[]);
    book.holds(&id, &mut words);
    sent(&mut book, &[]);
    book.check(at(3000));
    book.check(at(3002));
    let (number, _, wish) = book.next(DISK).unwrap();
    assert_eq!((wish.task(), book.next(DISK)), (Task::Check, None));
    words.clear();
    book.heard(number, Verdict { result: Ok(()), repaired: vec![None] }, at(3000), &mut words);
    let slot = book.definitions().next().unwrap().0;
    assert_eq!(words, [Word::Repaired(slot, None, None)]);
    book.again(slot, &id);
    book.again(slot, &id);
    let (told, words) = sent(&mut book, &["fw"]);
    assert_eq!(
        (&*told, &words[..]),
        ("fw reban 192.0.2.1", &[Word::Ban(id.clone(), Err("fw: no".into()))][..])
    );
    book.ask_again(at(9000));
    assert_eq!(sent(&mut book, &[]).1, [holds("192.0.2.1")]);
    assert!(!book.awaits(&id));
}

proptest! {
    /// In any order, with any failures: who is banned at the end is banned by both that enforce, who is not is by none.
    #[test]
    fn actions_end_up_with_the_bans_of_the_jail(
        steps in proptest::collection::vec((0..6_u8, 0..3_u8, any::<bool>()), 0..60),
    ) {
        let mut book = book();
        let mut wanted = std::collections::BTreeSet::new();
        let mut made = std::collections::BTreeSet::new();
        let mut words = Vec::new();
        let mut answer = |book: &mut Book, fails: bool, now: UnixTime| {
            let Some((number, definition, wish)) = book.next(DISK) else { return false };
            let name = definition.name.to_string();
            match &wish {
                Wish::Ban(id, _) | Wish::Again(id, _) if !fails => _ = made.insert((name, id.clone())),
                Wish::Unban(ban) => _ = made.remove(&(name, ban.id.clone())),
                _ => {}
            }
            let fails = fails && !matches!(wish, Wish::Unban(_));
            let result = if fails { Err("no".to_owned()) } else { Ok(()) };
            let mut words = Vec::new();
            book.heard(number, Verdict { result, repaired: Vec::new() }, now, &mut words);
            for word in words {
                if let Word::Ban(id, Ok(())) = word {
                    book.holds(&id, &mut Vec::new());
                }
            }
            true
        };
        for (step, last, flag) in steps {
            let one = ban(&format!("192.0.2.{last}"));
            match step {
                0 | 1 if wanted.insert(one.id.clone()) => book.ban(&one, false, flag, 0, &mut words),
                2 if wanted.remove(&one.id) => book.unban(one, false, &mut words),
                3 => book.ask_again(at(3000)),
                _ => _ = answer(&mut book, flag, at(2000)),
            }
        }
        for round in 1..5 {
            while answer(&mut book, false, at(2000)) {}
            book.ask_again(at(2000 + 1000 * round));
        }
        let enforced: std::collections::BTreeSet<_> =
            made.into_iter().filter(|(name, _)| name != "mail").collect();
        let want = wanted.iter().flat_map(|id| ["fw", "cdn"].map(|name| (name.to_owned(), id.clone()))).collect();
        prop_assert_eq!(enforced, want);
        prop_assert!(!book.refused());
    }
}
