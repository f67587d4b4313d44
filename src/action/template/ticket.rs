//! What a command can learn of the ban it is run for.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::Family;
use crate::id::Id;
use crate::jail::Ban;
use crate::time::UnixTime;

/// One run's values. Commands that are about no ban (start, stop, check, flush, reload) have one without an id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ticket {
    /// Whom it is about.
    pub id: Option<Id>,
    /// Whose addresses, when it is about no id.
    pub family: Option<Family>,
    /// Failures that led to it.
    pub failures: u32,
    /// The last failure; for a command about no ban, now.
    pub time: UnixTime,
    /// Seconds; -1: for ever.
    pub ban_time: i64,
    /// How often it has been banned.
    pub ban_count: u32,
    /// Whether it was banned before this run of the program.
    pub restored: bool,
    /// The lines that led to it.
    pub matches: Vec<Arc<str>>,
    /// What the pattern named, in lower case: `user`, …
    pub data: Vec<(Arc<str>, String)>,
    /// What the jail counts.
    pub jail: JailFacts,
    /// What this host is called.
    pub host: Arc<Hostnames>,
    /// The name of the address; looked up only for a command that [`super::asks`] for `ip-host`.
    pub ip_host: Option<String>,
    /// Earlier bans in all jails; looked up only when asked for.
    pub past: Option<Evidence>,
    /// Earlier bans in this jail; looked up only when asked for.
    pub jail_past: Option<Evidence>,
}

/// What a jail counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JailFacts {
    /// Its name.
    pub name: Arc<str>,
    /// Who is banned now.
    pub banned: u64,
    /// Bans since the start.
    pub banned_total: u64,
    /// Who is counted now.
    pub found: u64,
    /// Failures since the start.
    pub found_total: u64,
}

/// What this host is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hostnames {
    /// With its domain.
    pub full: String,
    /// Without.
    pub short: String,
}

/// What the history of bans says of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The lines of its bans.
    pub lines: Vec<Arc<str>>,
    /// Its failures.
    pub failures: u64,
}

impl Ticket {
    /// What a ban says.
    pub fn of(ban: &Ban) -> Self {
        Self {
            id: Some(ban.id.clone()),
            failures: ban.failures,
            time: ban.time,
            ban_time: ban.sentence.0.map_or(-1, |span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX)),
            ban_count: ban.count,
            restored: ban.restored,
            matches: ban.lines.clone(),
            data: ban.data.clone(),
            ..Self::default()
        }
    }

    /// The family of the id, or of the command.
    pub fn family(&self) -> Option<Family> {
        match &self.id {
            Some(Id::Net(net)) if net.is_ipv6() => Some(Family::Inet6),
            Some(Id::Net(_)) => Some(Family::Inet4),
            Some(Id::Text(_)) => None,
            None => self.family,
        }
    }

    /// What stands for a tag; none when it is no tag of a ban.
    pub(super) fn value(&self, tag: &str) -> Option<Cow<'_, str>> {
        let past = |past: &Option<Evidence>| match past {
            Some(past) => past.lines.join("\n"),
            None => self.matches.join("\n"),
        };
        let failures =
            |past: &Option<Evidence>| past.as_ref().map_or(u64::from(self.failures), |p| p.failures);
        Some(match tag {
            "ip" | "fid" => self.id.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            "family" => match (self.family(), &self.id) {
                (Some(family), _) => family.name().into(),
                (None, Some(_)) => "None".into(),
                (None, None) => "".into(),
            },
            "ip-rev" => self.reversed().into(),
            "ip-host" => self.ip_host.as_deref().unwrap_or("None").into(),
            "failures" => self.failures.to_string().into(),
            "time" => self.time.secs().to_string().into(),
            "bantime" => self.ban_time.to_string().into(),
            "bancount" => self.ban_count.to_string().into(),
            "matches" => self.matches.join("\n").into(),
            "restored" => if self.restored { "1" } else { "0" }.into(),
            "ipmatches" => past(&self.past).into(),
            "ipjailmatches" => past(&self.jail_past).into(),
            "ipfailures" => failures(&self.past).to_string().into(),
            "ipjailfailures" => failures(&self.jail_past).to_string().into(),
            "jail.name" => (&*self.jail.name).into(),
            "jail.banned" => self.jail.banned.to_string().into(),
            "jail.banned_total" => self.jail.banned_total.to_string().into(),
            "jail.found" => self.jail.found.to_string().into(),
            "jail.found_total" => self.jail.found_total.to_string().into(),
            "fq-hostname" => (&*self.host.full).into(),
            "sh-hostname" => (&*self.host.short).into(),
            "raw-ticket" => self.raw().into(),
            _ => self.named(tag.strip_prefix("F-")?)?.into(),
        })
    }

    /// What the pattern named so; empty when it did not; none when no pattern can name it.
    fn named(&self, name: &str) -> Option<&str> {
        let fits =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(fits) {
            return None;
        }
        let found = self.data.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        Some(found.map_or("", |(_, value)| value))
    }

    /// `1.2.0.192.`, and the nibbles of IPv6 likewise; empty for other texts.
    fn reversed(&self) -> String {
        let Some(Id::Net(net)) = &self.id else { return String::new() };
        match net.address() {
            IpAddr::V4(_) => net.to_string().rsplit('.').fold(String::new(), |text, part| text + part + "."),
            IpAddr::V6(six) => six.octets().iter().rev().fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{:x}.{:x}.", byte & 15, byte >> 4);
                text
            }),
        }
    }

    /// Everything of it in one line, for those who write a log of their own.
    fn raw(&self) -> String {
        format!(
            "BanTicket: ip={} time={} bantime={} bancount={} #attempts={} matches={:?}",
            self.id.as_ref().map(ToString::to_string).unwrap_or_default(),
            self.time.secs(),
            self.ban_time,
            self.ban_count,
            self.failures,
            self.matches
        )
    }
}
