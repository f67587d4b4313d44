//! What the log says of bans: it is written before the disk has them, so after a kill it may know more.
//!
//! A ban that was said and is not on disk is found again in the lines behind the saved cursor. Said twice, it would
//! count twice for the recidive jail; so the second time it is `Restore Ban`. One that is on disk and was not said yet
//! is said as a new one. Read strictly: what attackers write stands behind `] ` and begins no line.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::id::Id;
use crate::time::UnixTime;

/// So much of the log's end is read: what is said between two commits is far less.
const TAIL: u64 = 4 << 20;
/// `2026-01-02 03:04:05,678 `
const STAMP: usize = 24;
/// `fail2ban.actions        `
const LOGGER: usize = 24;

/// What the log says of one jail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// From when on the log was read.
    since: Option<UnixTime>,
    last: HashMap<Id, Word>,
}

/// What was said last of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It failed, and is not banned.
    Found,
    /// It is banned, since this moment at the latest.
    Banned(UnixTime),
    /// It is banned, and the ban was found again.
    Again,
}

impl Said {
    /// Forgets what is of no use, given who is banned by the store.
    pub fn keep(&mut self, is_banned: impl Fn(&Id) -> bool) {
        self.last.retain(|id, word| is_banned(id) == (*word == Word::Found));
        self.last.shrink_to_fit();
    }

    /// A ban was found in lines without a date, which were not written before `since`: it may be the one that was said.
    pub fn undated(&mut self, id: &Id, since: UnixTime) {
        if let Some(word @ Word::Banned(_)) = self.last.get_mut(id)
            && matches!(word, Word::Banned(said) if since <= *said)
        {
            *word = Word::Again;
        }
    }

    /// Whether a ban that is in force now was said before, asked once for each: by the log, or else as it is `restored`.
    /// `begun` tells since when it is.
    pub fn take(&mut self, id: &Id, restored: bool, begun: impl FnOnce() -> Option<UnixTime>) -> bool {
        if self.last.is_empty() {
            return restored;
        }
        let Some(word) = self.last.remove(id) else { return restored };
        let Some(begun) = begun() else { return restored };
        match word {
            // The log knows milliseconds. A later ban is another one.
            Word::Banned(said) => restored || begun.micros() / 1000 <= said.micros() / 1000,
            Word::Again => true,
            Word::Found => restored && self.since.is_none_or(|since| begun < since),
        }
    }
}

/// What the end of this log says of each jail; nothing where it cannot be read.
pub(super) fn read(path: &Path, zone: &TimeZone) -> HashMap<Arc<str>, Said> {
    let tail = || {
        let file = File::open(path).ok()?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        let length = size.min(TAIL);
        let mut tail = vec![0; length as usize];
        file.read_exact_at(&mut tail, size - length).ok()?;
        Some((tail, size > TAIL))
    };
    tail().map(|(tail, cut)| parse(&tail, cut, zone)).unwrap_or_default()
}

/// Whole lines only: what a kill cut off may be half an address. `cut`: so may the first line be.
fn parse(text: &[u8], cut: bool, zone: &TimeZone) -> HashMap<Arc<str>, Said> {
    let mut all: HashMap<Arc<str>, Said> = HashMap::new();
    let mut since = None;
    for line in text.split_inclusive(|byte| *byte == b'\n').skip(usize::from(cut)) {
        let Some(line) = line.strip_suffix(b"\n").and_then(|line| str::from_utf8(line).ok()) else {
            continue;
        };
        if since.is_none() {
            since = moment(line, zone);
        }
        let Some((jail, what, id)) = sentence(line) else { continue };
        if !all.contains_key(jail) {
            all.insert(jail.into(), Said::default());
        }
        let Some(said) = all.get_mut(jail) else { continue };
        let id = Id::parse(id);
        match what {
            "Found" => {
                said.last.entry(id).or_insert(Word::Found);
            }
            "Unban" => {
                said.last.remove(&id);
            }
            _ => {
                if let Some(moment) = moment(line, zone) {
                    said.last.insert(id, Word::Banned(moment));
                }
            }
        }
    }
    for said in all.values_mut() {
        said.since = since;
    }
    all
}

/// The jail, what befell, and whom.
fn sentence(line: &str) -> Option<(&str, &str, &str)> {
    let rest = line.get(STAMP..)?;
    let logger = rest.get(..LOGGER)?.trim_end();
    let (pid, rest) = rest.get(LOGGER..)?.strip_prefix('[')?.split_once("]: ")?;
    if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (level, rest) = rest.split_once(' ')?;
    let (jail, rest) = rest.trim_start().strip_prefix('[')?.split_once("] ")?;
    match (logger, level) {
        ("fail2ban.filter", "INFO") => {
            let (id, _) = rest.strip_prefix("Found ")?.split_once(" - ")?;
            Some((jail, "Found", id))
        }
        ("fail2ban.actions", "NOTICE") => {
            let (what, id) = rest.strip_prefix("Restore ").unwrap_or(rest).split_once(' ')?;
            (matches!(what, "Ban" | "Unban") && !id.contains(' ')).then_some((jail, what, id))
        }
        _ => None,
    }
}

fn moment(line: &str, zone: &TimeZone) -> Option<UnixTime> {
    let (time, millis) = line.get(..STAMP)?.trim_end().split_once(',')?;
    let time: DateTime = time.parse().ok()?;
    let millis: i64 = millis.parse().ok()?;
    let second = time.to_zoned(zone.clone()).ok()?.timestamp().as_second();
    Some(UnixTime::from_micros(second * 1_000_000 + millis * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
2026-01-02 03:04:05,678 fail2ban.server         [7]: INFO    starting stockade 0.1.0
2026-01-02 03:04:06,001 fail2ban.filter         [7]: INFO    [ssh] Found 192.0.2.1 - 2026-01-02 03:04:06
2026-01-02 03:04:06,002 fail2ban.actions        [7]: NOTICE  [ssh] Ban 192.0.2.1
2026-01-02 03:04:06,003 fail2ban.filter         [7]: INFO    [ssh] Found 192.0.2.2 - 2026-01-02 03:04:06
2026-01-02 03:04:06,004 fail2ban.actions        [7]: NOTICE  [ssh] Restore Ban 192.0.2.3
2026-01-02 03:04:06,005 fail2ban.actions        [7]: NOTICE  [ssh] Ban 192.0.2.4
2026-01-02 03:04:06,006 fail2ban.actions        [7]: NOTICE  [ssh] Unban 192.0.2.4
2026-01-02 03:04:06,007 fail2ban.filter         [7]: WARNING [ssh] a line [x] Ban 192.0.2.5 is odd
2026-01-02 03:04:06,008 fail2ban.actions        [7]: NOTICE  [ssh] Ban 192.0.2.6";

    fn at(millis: i64) -> UnixTime {
        UnixTime::from_micros((1_767_323_046_000 + millis) * 1000)
    }

    #[test]
    fn a_ban_is_said_as_a_new_one_once() {
        let all = parse(LOG.as_bytes(), false, &TimeZone::UTC);
        assert_eq!(all.keys().map(|jail| &**jail).collect::<Vec<_>>(), ["ssh"]);
        for (who, restored, begun, said) in [
            // Not on disk, decided again from the same lines; a later one is another.
            ("192.0.2.1", false, at(1), true),
            ("192.0.2.1", false, at(2) + std::time::Duration::from_micros(999), true),
            ("192.0.2.1", false, at(3), false),
            ("192.0.2.3", false, at(1), true),
            // On disk: said, unless the log has its failures and not the ban.
            ("192.0.2.1", true, at(1), true),
            ("192.0.2.2", true, at(3), false),
            ("192.0.2.2", true, at(-1000), true),
            ("192.0.2.2", false, at(3), false),
            // Let in again, hostile, half a line: the log knows nothing.
            ("192.0.2.4", false, at(5), false),
            ("192.0.2.5", false, at(7), false),
            ("192.0.2.6", false, at(8), false),
            ("192.0.2.7", true, at(8), true),
        ] {
            let mut log = all["ssh"].clone();
            let id = Id::parse(who);
            assert_eq!(log.take(&id, restored, || Some(begun)), said, "{who} {restored} {begun:?}");
            assert_eq!(log.take(&id, restored, || Some(begun)), restored, "{who}: asked once");
        }
    }

    #[test]
    fn a_ban_by_lines_without_a_date_may_be_the_one_that_was_said() {
        let mut said = parse(LOG.as_bytes(), false, &TimeZone::UTC).remove("ssh").unwrap();
        let [one, three] = ["192.0.2.1", "192.0.2.3"].map(Id::parse);
        said.undated(&one, at(2));
        said.undated(&three, at(5));
        assert!(said.take(&one, false, || Some(at(99))), "they may have been written before it was said");
        assert!(!said.take(&three, false, || Some(at(99))), "they were written later");
    }

    #[test]
    fn only_what_the_store_contradicts_is_kept() {
        let mut said = parse(LOG.as_bytes(), false, &TimeZone::UTC).remove("ssh").unwrap();
        let on_disk = ["192.0.2.2", "192.0.2.3"].map(Id::parse);
        said.keep(|id| on_disk.contains(id));
        let mut left: Vec<_> = said.last.keys().map(ToString::to_string).collect();
        left.sort();
        assert_eq!(left, ["192.0.2.1", "192.0.2.2"]);
    }

    #[test]
    fn what_begins_in_the_middle_of_a_line_is_passed_over() {
        let cut = &LOG[LOG.find("[ssh] Found").unwrap()..];
        let said = &parse(cut.as_bytes(), true, &TimeZone::UTC)["ssh"];
        assert_eq!(said.since, Some(at(2)));
    }
}
