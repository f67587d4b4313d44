//! How answers are shaped: the lists, tuples and dictionaries that a client of Fail2Ban's expects.
//!
//! Pure.

use std::sync::Arc;

use crate::control::request::{BanStatus, ENFORCED, JailStatus};
use crate::fail2ban::desk::Flavour;
use crate::id::Id;
use crate::log;
use crate::python::{Raised, Value, command};
use crate::time::UnixTime;

/// A command is shown in the log up to this length, in characters.
const SHOWN: usize = 400;

/// What a status shows of a jail.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) jail: JailStatus,
    /// Who is shut out, where that is shown.
    pub(super) banned: Vec<Id>,
    /// `polling`, `pyinotify` or `systemd`.
    pub(super) backend: String,
    /// What it reads.
    pub(super) reads: Reads,
    /// Where the banned addresses are at home: numbers of networks, countries, registries.
    pub(super) origins: Option<[Vec<String>; 3]>,
}

/// What a jail reads.
#[derive(Debug)]
pub(super) enum Reads {
    /// Files, in the order of the configuration.
    Files(Vec<String>),
    /// The journal: the entries that match.
    Journal(String),
}

impl Default for Reads {
    fn default() -> Self {
        Self::Files(Vec::new())
    }
}

/// An order that was not carried out, and why.
pub(super) fn not_done(why: impl Into<String>) -> Raised {
    Raised::builtin("RuntimeError", why)
}

/// An exception as Python writes it.
pub(super) fn exception(raised: &Raised) -> String {
    let arguments = raised.arguments.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
    format!("{}({arguments})", raised.class)
}

/// A command for the log.
pub(super) fn shortened(words: &[Value]) -> String {
    let text = command(words);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

pub(super) fn list(texts: impl IntoIterator<Item = String>) -> Value {
    Value::List(texts.into_iter().map(Value::from).collect())
}

pub(super) fn number(number: u64) -> Value {
    Value::Int(number.to_string())
}

fn pair(name: &str, value: Value) -> Value {
    Value::Tuple(vec![name.into(), value])
}

/// Which jails there are.
pub(super) fn jail_list(names: &[Arc<str>]) -> Value {
    Value::List(list_rows(names))
}

fn list_rows(names: &[Arc<str>]) -> Vec<Value> {
    vec![
        pair("Number of jail", number(names.len() as u64)),
        pair("Jail list", names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ").into()),
    ]
}

/// All jails in one answer.
pub(super) fn all(jails: &[(Arc<str>, Seen)], flavour: Flavour) -> Value {
    let each = jails.iter().map(|(name, seen)| (Value::from(&**name), status(seen, flavour))).collect();
    if flavour == Flavour::Statistics {
        return Value::Map(each);
    }
    let names: Vec<Arc<str>> = jails.iter().map(|(name, _)| name.clone()).collect();
    let mut rows = list_rows(&names);
    rows.push(Value::Map(each));
    Value::List(rows)
}

/// One jail.
pub(super) fn status(seen: &Seen, flavour: Flavour) -> Value {
    let jail = &seen.jail;
    if flavour == Flavour::Statistics {
        let both = |now, total| Value::Tuple(vec![number(now), number(total)]);
        return Value::List(vec![
            seen.backend.as_str().into(),
            both(jail.failed_now, jail.failed_total),
            both(jail.banned_now, jail.banned_total),
        ]);
    }
    let reads = match &seen.reads {
        Reads::Files(files) => pair("File list", list(files.iter().cloned())),
        Reads::Journal(matches) => pair("Journal matches", list([matches.clone()])),
    };
    let filter = vec![
        pair("Currently failed", number(jail.failed_now)),
        pair("Total failed", number(jail.failed_total)),
        reads,
    ];
    let mut actions = vec![
        pair("Currently banned", number(jail.banned_now)),
        pair("Total banned", number(jail.banned_total)),
    ];
    if !jail.not_enforced.is_empty() {
        let refused = jail.not_enforced.iter().map(|(id, why)| format!("{id} ({why})"));
        actions.push(pair("Not enforced", list(refused)));
    }
    if flavour != Flavour::Short {
        actions.push(pair("Banned IP list", list(seen.banned.iter().map(Id::to_string))));
    }
    if let Some([networks, countries, registries]) = &seen.origins {
        actions.push(pair("Banned ASN list", list(networks.iter().cloned())));
        actions.push(pair("Banned Country list", list(countries.iter().cloned())));
        actions.push(pair("Banned RIR list", list(registries.iter().cloned())));
    }
    Value::List(vec![pair("Filter", Value::List(filter)), pair("Actions", Value::List(actions))])
}

/// The bans in force, the first to end first; of those that end together the older first.
pub(super) fn by_end(bans: &[BanStatus], with_time: bool) -> Value {
    let mut bans: Vec<_> = bans.iter().filter(|ban| ban.state == ENFORCED).collect();
    bans.sort_by_key(|ban| ban.until.map_or(i64::MAX, UnixTime::secs));
    let mut times = [Spelled::default(), Spelled::default()];
    list(bans.into_iter().map(|ban| if with_time { timed(ban, &mut times) } else { ban.id.to_string() }))
}

/// The time that was written last: of many bans mostly that of the next one, too.
#[derive(Default)]
struct Spelled {
    time: Option<i64>,
    text: String,
}

impl Spelled {
    fn of(&mut self, time: UnixTime) -> &str {
        if self.time != Some(time.secs()) {
            self.time = Some(time.secs());
            self.text = log::local(time).to_string();
        }
        &self.text
    }
}

fn timed(ban: &BanStatus, [since, end]: &mut [Spelled; 2]) -> String {
    let (span, end) = match ban.until {
        Some(until) => ((until.secs() - ban.since.secs()).to_string(), end.of(until)),
        None => ("-1".to_owned(), "9999-12-31 23:59:59"),
    };
    format!("{} \t{} + {span} = {end}", ban.id, since.of(ban.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(id: &str, until: Option<i64>, state: &str) -> BanStatus {
        BanStatus {
            id: Id::parse(id),
            since: UnixTime::from_secs(1000),
            until: until.map(UnixTime::from_secs),
            count: 1,
            failures: 0,
            state: state.to_owned().into(),
            lines: Vec::new(),
        }
    }

    fn seen() -> Seen {
        Seen {
            jail: JailStatus {
                failed_now: 1,
                failed_total: 10,
                banned_now: 2,
                banned_total: 3,
                ..JailStatus::default()
            },
            banned: ["192.0.2.2", "192.0.2.1"].map(Id::parse).to_vec(),
            backend: "polling".to_owned(),
            reads: Reads::Files(vec!["/b.log".to_owned(), "/a.log".to_owned()]),
            origins: None,
        }
    }

    #[test]
    fn a_jail_in_every_flavour() {
        let mut jail = seen();
        let filter = "('Filter', [('Currently failed', 1), ('Total failed', 10), ('File list', ['/b.log', '/a.log'])])";
        let basic = "('Currently banned', 2), ('Total banned', 3)";
        let banned = "('Banned IP list', ['192.0.2.2', '192.0.2.1'])";
        for (flavour, want) in [
            (Flavour::Basic, format!("[{filter}, ('Actions', [{basic}, {banned}])]")),
            (Flavour::Short, format!("[{filter}, ('Actions', [{basic}])]")),
            (Flavour::Statistics, "['polling', (1, 10), (2, 3)]".to_owned()),
        ] {
            assert_eq!(status(&jail, flavour).to_string(), want);
        }
        jail.jail.not_enforced = vec![(Id::parse("192.0.2.9"), "no room".to_owned())];
        jail.reads = Reads::Journal("_SYSTEMD_UNIT=x + _COMM=y".to_owned());
        jail.origins = Some(["1 23", "US", "arin"].map(|text| vec![text.to_owned()]));
        let told = status(&jail, Flavour::Cymru).to_string();
        for part in [
            "('Journal matches', ['_SYSTEMD_UNIT=x + _COMM=y'])",
            "('Not enforced', ['192.0.2.9 (no room)']), ('Banned IP list'",
            "('Banned ASN list', ['1 23']), ('Banned Country list', ['US']), ('Banned RIR list', ['arin'])])]",
        ] {
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn all_jails() {
        let jails = [(Arc::from("one"), seen()), (Arc::from("two"), Seen::default())];
        let told = all(&jails, Flavour::Short).to_string();
        let begin = "[('Number of jail', 2), ('Jail list', 'one, two'), {'one': [('Filter', [";
        assert!(told.starts_with(begin), "{told}");
        assert_eq!(
            all(&jails, Flavour::Statistics).to_string(),
            "{'one': ['polling', (1, 10), (2, 3)], 'two': ['', (0, 0), (0, 0)]}"
        );
    }

    #[test]
    fn the_first_to_end_is_the_first() {
        let bans = [
            ban("192.0.2.2", None, "enforced"),
            ban("192.0.2.9", Some(1600), "not enforced: no room"),
            ban("192.0.2.1", Some(1600), "enforced"),
        ];
        assert_eq!(by_end(&bans, false).to_string(), "['192.0.2.1', '192.0.2.2']");
        let Value::List(lines) = by_end(&bans, true) else { panic!("a list") };
        let [first, second] = &lines[..] else { panic!("two bans") };
        let times = (log::local(UnixTime::from_secs(1000)), log::local(UnixTime::from_secs(1600)));
        assert_eq!(first.print(), format!("192.0.2.1 \t{} + 600 = {}", times.0, times.1));
        assert_eq!(second.print(), format!("192.0.2.2 \t{} + -1 = 9999-12-31 23:59:59", times.0));
    }

    #[test]
    fn what_the_log_says_of_a_command_that_failed() {
        assert_eq!(exception(&Raised::unknown_jail("nope")), "UnknownJailException('nope')");
        let long = shortened(&["set".into(), "x".repeat(1000).into()]);
        assert_eq!(long.chars().count(), SHOWN + 1);
    }
}
