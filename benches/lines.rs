//! Log lines for benches and counts: the same at every run, all of our own making.
//!
//! What services write is written as they write it; addresses are of RFC 5737 and RFC 3849 only.

use std::fmt::Write;

use stockade::config::{self, Sources};
use stockade::fail2ban::filter::{self, Wanted};
use stockade::filter::date::Zone;
use stockade::filter::{Filter, FilterOptions, Reading};
use stockade::time::UnixTime;

/// 2026-03-03, 11:00:00 UTC; the lines are of the hour before.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_772_535_600);

/// How the lines were read: as they were written.
pub(crate) fn reading() -> Reading {
    Reading { now: NOW, since: NOW, live: true, find_time: std::time::Duration::from_secs(3600) }
}

/// What a block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Nothing that a filter for sshd knows; a third of it is of sshd all the same.
    Noise,
    /// Logins that succeed and ends of connections, in turn: they change nothing where no failure was before.
    Logins,
    /// Noise, of twenty lines two of these and one failure.
    Mixed,
    /// Nothing but failures.
    Failures,
}

/// The lines of a block, each ended by `\n`.
pub(crate) fn block(mix: Mix, lines: u32) -> Vec<u8> {
    let mut text = String::new();
    for number in 0..lines {
        let second = u64::from(number) * 3600 / u64::from(lines);
        let _ = write!(text, "Mar  3 10:{:02}:{:02} gate ", second / 60, second % 60);
        match (mix, number % 20) {
            (Mix::Failures, _) | (Mix::Mixed, 7) => failure(&mut text, number),
            (Mix::Logins, _) | (Mix::Mixed, 4 | 13) => login(&mut text, number),
            (Mix::Mixed | Mix::Noise, _) => noise(&mut text, number),
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// An address of a documentation range; of each 762 numbers all differ.
fn address(number: u32) -> String {
    let net = ["192.0.2", "198.51.100", "203.0.113"][number as usize % 3];
    format!("{net}.{}", 1 + number / 3 % 254)
}

const USERS: [&str; 5] = ["mira", "joscha", "backup", "www-data", "ci"];

fn noise(text: &mut String, number: u32) {
    let (process, port) = (700 + number % 30_000, 40_000 + number % 20_000);
    let user = USERS[number as usize % 5];
    let _ = match number % 9 {
        0 => write!(
            text,
            "sshd[{process}]: Starting session: shell on pts/{} for {user} from {} port {port} id 0",
            number % 7,
            address(number)
        ),
        1 => write!(
            text,
            "sshd[{process}]: pam_unix(sshd:session): session opened for user {user}(uid={}) by (uid=0)",
            1000 + number % 50
        ),
        2 => write!(text, "sshd[{process}]: pam_unix(sshd:session): session closed for user {user}"),
        3 => write!(text, "nightly[{process}]: volume {} is copied, {port} files, none changed", number % 90),
        4 => write!(text, "kernel: [{number:6}.{port}] eth0: link is up, 1000 Mbps, full duplex"),
        5 => write!(text, "greenhouse[512]: bed {} is at {}.5 degrees, valve shut", number % 40, number % 35),
        6 => write!(text, "CRON[{process}]: ({user}) CMD (/usr/local/bin/rotate-tiles --quiet {number})"),
        7 => write!(text, "mirror[{process}]: {user} has fetched {port} of 65536 tiles, {number} are left"),
        _ => write!(text, "resolver[88]: {} asked for host{number}.example.net, cached", address(number)),
    };
}

fn login(text: &mut String, number: u32) {
    let (process, port) = (700 + number % 30_000, 1024 + number % 60_000);
    let (user, from) = (USERS[number as usize % 5], address(number));
    let _ = if number.is_multiple_of(2) {
        write!(
            text,
            "sshd[{process}]: Accepted publickey for {user} from {from} port {port} ssh2: ED25519 SHA256:{number:043}"
        )
    } else {
        write!(text, "sshd[{process}]: Disconnected from user {user} {from} port {port}")
    };
}

fn failure(text: &mut String, number: u32) {
    let (process, port) = (31_000 + number, 1024 + number % 60_000);
    let user = ["root", "admin", "oracle", "ubuntu", "test"][number as usize % 5];
    let from = address(number);
    let _ = if number.is_multiple_of(3) {
        write!(text, "sshd[{process}]: Failed password for {user} from {from} port {port} ssh2")
    } else {
        write!(text, "sshd[{process}]: Failed password for invalid user {user} from {from} port {port} ssh2")
    };
}

/// The shipped jail for sshd.
pub(crate) fn shipped() -> Filter {
    let flag = |key: &str, value: &str| (format!("jail.sshd.{key}"), value.to_owned());
    let sources = Sources {
        etc: "/nonexistent".into(),
        flags: vec![flag("enabled", "true"), flag("logs", "[\"/dev/null\"]")],
        ..Sources::default()
    };
    let mut config = config::load(&sources);
    assert_eq!(config.mistakes, [], "the shipped jail for sshd is wrong");
    compiled(&config.jails.remove(0).options.filter.expect("sshd has a filter"))
}

/// Fail2Ban's own filter for sshd, where it is installed; else it is said what is missing.
pub(crate) fn stock() -> Option<Filter> {
    let base = std::path::Path::new("/etc/fail2ban");
    if !base.join("filter.d/sshd.conf").exists() {
        eprintln!("SKIPPED: Fail2Ban's filters: apt-get install fail2ban");
        return None;
    }
    let resolved = filter::resolve(&Wanted { base, name: "sshd", options: &[], jail: &[] });
    Some(compiled(&resolved.expect("Fail2Ban's filter for sshd is read").options()))
}

fn compiled(options: &FilterOptions) -> Filter {
    Filter::with_zone(options, Zone::utc()).expect("a filter that is known to be right")
}
