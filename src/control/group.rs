//! Who besides root may ask: the members of a group, how things are, and nothing that changes them.

use std::fs;

use super::request::Request;
use crate::python::Value;

/// Where the names of groups stand; a group that is known elsewhere is written as its number.
const GROUPS: &str = "/etc/group";

/// What a peer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// Everything.
    Master,
    /// Ask.
    Guest,
}

impl Rank {
    /// Whether it may ask this.
    pub(super) fn may(self, request: &Request) -> bool {
        let only_asks = match request {
            Request::Ping | Request::Status { .. } | Request::Banned { .. } => true,
            Request::Log { level, target } => level.is_none() && target.is_none(),
            _ => false,
        };
        self == Self::Master || only_asks
    }

    /// Whether it may say this command of Fail2Ban's.
    pub(super) fn may_say(self, words: &[Value]) -> bool {
        let asking = ["ping", "status", "stats", "statistics", "get", "banned", "version", "echo"];
        let first = words.first();
        self == Self::Master || matches!(first, Some(Value::Text(word)) if asking.contains(&word.as_str()))
    }
}

/// What a guest hears who wants more.
pub(super) const REFUSAL: &str = "members of the socket's group may only ask: this is root's";

/// The number of a group.
pub(super) fn number(name: &str) -> Option<u32> {
    name.parse().ok().or_else(|| find(&fs::read_to_string(GROUPS).ok()?, name))
}

fn find(groups: &str, name: &str) -> Option<u32> {
    let mut lines = groups.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_name() {
        let groups = "root:x:0:\nadm:x:4:syslog,me\nbroken\n:x:9:\n";
        for (name, number) in
            [("root", Some(0)), ("adm", Some(4)), ("broken", None), ("x", None), ("4", None)]
        {
            assert_eq!(find(groups, name), number, "{name}");
        }
        assert_eq!(number("4711"), Some(4711));
    }

    #[test]
    fn guests_change_nothing() {
        let guest = Rank::Guest;
        assert!(guest.may(&Request::Status { jail: None }) && guest.may(&Request::Banned { id: None }));
        assert!(guest.may(&Request::Log { level: None, target: None }));
        for request in [
            Request::Log { level: Some("DEBUG".into()), target: None },
            Request::Reload { jail: None, confirm: None },
            Request::Confirm { undo: false },
            Request::Stop { remove: false },
            Request::Unban { ids: Vec::new(), all: true, jail: None },
        ] {
            assert!(!guest.may(&request) && Rank::Master.may(&request), "{request:?}");
        }
        for (words, may) in [
            (&["status", "sshd"][..], true),
            (&["get", "sshd", "banip"], true),
            (&["set", "sshd", "banip", "192.0.2.1"], false),
            (&["stop"], false),
            (&[], false),
        ] {
            let words: Vec<Value> = words.iter().map(|word| Value::Text((*word).to_owned())).collect();
            assert_eq!(guest.may_say(&words), may, "{words:?}");
        }
    }
}
