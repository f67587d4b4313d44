use std::time::Duration;

use super::*;
use crate::firewall::nftables::wire;
use crate::firewall::plan::settle;
use crate::firewall::{Block, Change, Hook, Protocol, Ruleset};

fn ruleset(hook: Hook) -> Ruleset {
    let protocols = vec![Protocol::Tcp];
    Ruleset { ports: vec![(22, 22)], protocols, block: Block::Drop, hooks: vec![hook], priority: 0 }
}

fn open(jail: &str, hook: Hook) -> Change {
    Change::Open { jail: jail.into(), rules: ruleset(hook).into() }
}

fn ban(net: &str) -> Change {
    let element = Element { net: net.parse().unwrap(), timeout: Some(Duration::from_secs(60)) };
    Change::Ban { jail: "j".into(), element }
}

fn unban(net: &str) -> Change {
    Change::Unban { jail: "j".into(), net: net.parse().unwrap() }
}

/// What goes over the wire for `changes`, where `before` stands.
fn sent(before: &[Change], changes: &[Change], care: Care, mut table: Table) -> Transaction {
    let mut state = State::default();
    settle(&mut state, before, |state, plan| {
        let rules = state.rules_after(plan);
        table.bases.extend(rules.values().flat_map(|(rules, _)| BaseChain::of(rules)));
        Ok(vec![])
    })
    .unwrap();
    let mut transaction = None;
    settle(&mut state, changes, |state, plan| {
        let care = vec![care; plan.ops.len()];
        transaction = Some(Transaction::of(plan, state, &table, &care, 7));
        Ok(vec![])
    })
    .unwrap();
    transaction.unwrap()
}

/// The messages of a transaction, in short: `!` asks for an acknowledgement, `x` fails if it is there.
fn messages(transaction: &Transaction) -> String {
    let short = |message: wire::Message| {
        let name = match message.kind {
            0x10 => "begin",
            0x11 => "end",
            0xa00 => "+table",
            0xa02 => "-table",
            0xa03 => "+chain",
            0xa05 => "-chain",
            0xa06 => "+rule",
            0xa08 => "-rules",
            0xa09 => "+set",
            0xa0b => "-set",
            0xa0c => "+element",
            0xa0e => "-element",
            newer => panic!("message {newer:#x} is not of Linux 5.10"),
        };
        let exclusive = if message.flags & wire::NLM_F_EXCL != 0 { "x" } else { "" };
        let acknowledged = if message.flags & wire::NLM_F_ACK != 0 { "!" } else { "" };
        format!("{name}{exclusive}{acknowledged}")
    };
    let mut runs: Vec<(String, usize)> = Vec::new();
    for word in wire::messages(transaction.writer().bytes()).map(short) {
        match runs.last_mut().filter(|(last, _)| *last == word) {
            Some((_, times)) => *times += 1,
            None => runs.push((word, 1)),
        }
    }
    let word = |(word, times): (String, usize)| if times == 1 { word } else { format!("{word}*{times}") };
    runs.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Linux 5.10 has no message that removes only what is there (6.3), and none that changes a timeout (6.12).
#[test]
fn what_an_element_takes_on_linux_5_10() {
    for (changes, care, want) in [
        (vec![ban("192.0.2.1")], Care::New, "begin +elementx! end"),
        (vec![ban("192.0.2.1"), ban("192.0.2.2")], Care::New, "begin +elementx! end"),
        (vec![ban("192.0.2.1"), ban("192.0.2.2")], Care::Anew, "begin +element -element +element! end"),
        (
            vec![ban("192.0.2.1"), ban("192.0.2.2")],
            Care::Alone,
            "begin +element -element +element*2 -element +element! end",
        ),
        (vec![unban("192.0.2.1"), unban("192.0.2.2")], Care::New, "begin +element -element! end"),
        (
            vec![unban("192.0.2.1"), unban("192.0.2.2")],
            Care::Alone,
            "begin +element -element +element -element! end",
        ),
        // Four sets: four groups.
        (
            vec![ban("192.0.2.1"), ban("2001:db8::1"), ban("10.0.0.0/8"), ban("2001:db8::/32")],
            Care::New,
            "begin +elementx*3 +elementx! end",
        ),
        // Nothing to do is nothing to send.
        (vec![unban("10.0.0.0/8")], Care::New, "begin"),
    ] {
        let before = [open("j", Hook::Input)];
        assert_eq!(messages(&sent(&before, &changes, care, Table::default())), want, "{changes:?} {care:?}");
    }
    let many: Vec<_> =
        (0..2 * elements::PER_MESSAGE).map(|n| ban(&format!("10.0.{}.{}", n / 250, n % 250))).collect();
    let sent = sent(&[open("j", Hook::Input)], &many, Care::New, Table::default());
    assert_eq!(messages(&sent), "begin +elementx +elementx! end");
}

#[test]
fn rules_change_in_the_same_transaction_as_elements() {
    let stands = [open("j", Hook::Input), ban("192.0.2.1")];
    let nothing = Table::default;
    let odd = || Table { is_odd: true, ..nothing() };
    let left = || Table { left: ["j".into(), "old".into()].into(), ..nothing() };
    for (before, changes, table, want) in [
        (
            &[][..],
            vec![open("j", Hook::Input), ban("192.0.2.1")],
            nothing(),
            "begin +table -rules +set*2 +chain +rule*3 +chain +rule*3 +chain*2 +set*4 +rule*5 +elementx! end",
        ),
        // Other rules: the sets and what is in them stay.
        (
            &stands,
            vec![open("j", Hook::Forward)],
            nothing(),
            "begin +table -rules +set*2 +chain +rule*3 +chain +rule*3 -chain +chain +rule*4 +rule! end",
        ),
        (
            &stands,
            vec![open("k", Hook::Input)],
            nothing(),
            "begin +table -rules +set*2 +chain +rule*3 +chain +rule*3 +chain +set*4 +rule*9 +rule! end",
        ),
        (
            &stands,
            vec![Change::Close { jail: "j".into() }],
            nothing(),
            "begin +table -rules -set*4 -chain -chain! end",
        ),
        (
            &stands,
            vec![Change::Close { jail: "j".into() }, open("j", Hook::Input)],
            nothing(),
            "begin +table -rules +set*2 +chain +rule*3 +chain +rule*3 -set*4 +set*4 +rule*4 +rule! end",
        ),
        (
            &[],
            vec![open("j", Hook::Input)],
            odd(),
            "begin +table -table +table +set*2 +chain +rule*3 +chain +rule*3 +chain*2 +set*4 +rule*4 +rule! end",
        ),
        (&[], vec![], odd(), "begin +table -table +table! end"),
        // What an earlier run left: its own sets are emptied and filled in one go, the others go.
        (
            &[],
            vec![open("j", Hook::Input), ban("192.0.2.1")],
            left(),
            "begin +table -rules +set*2 +chain +rule*3 +chain +rule*3 -element*4 -set*4 -chain +chain +rule*5 +elementx! end",
        ),
        (&[], vec![], left(), "begin +table -rules -set*4 -chain -set*4 -chain! end"),
        (&stands, vec![open("j", Hook::Input)], nothing(), "begin"),
    ] {
        assert_eq!(messages(&sent(before, &changes, Care::New, table)), want, "{changes:?}");
    }
}

#[test]
fn every_message_has_an_owner() {
    let changes = [open("j", Hook::Input), ban("192.0.2.2"), ban("192.0.2.1"), unban("10.0.0.1")];
    let sent = sent(&[], &changes, Care::Alone, Table::default());
    let owners: Vec<_> =
        wire::messages(sent.writer().bytes()).map(|message| sent.owner(message.number)).collect();
    let mut want = vec![Owner::Everyone; 3 + 2 + 2 * 4];
    want.extend(vec![Owner::Change(0); 2 + 4 + 5]);
    want.extend([vec![Owner::Ops(0..1); 2], vec![Owner::Ops(1..2); 3], vec![Owner::Ops(2..3); 3]].concat());
    want.push(Owner::Everyone);
    assert_eq!(owners, want);
    assert_eq!(sent.owner(6), Owner::Everyone, "a number of another transaction");
}
