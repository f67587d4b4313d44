//! The records of `utmp`: who is logged in at which terminal, from where.
//!
//! Pure. Source: utmp(5); glibc's `struct utmp` has 384 bytes, or 400 where it keeps times in 64 bits (aarch64).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

use super::{literal, word};
use crate::ignore::Login;
use crate::time::UnixTime;

/// What a record of somebody's login says it is (`USER_PROCESS`).
const USER_PROCESS: i16 = 7;

/// Where the parts of a record lie that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    size: usize,
    /// Seconds: 4 bytes, or 8 in the larger record.
    time: usize,
    address: usize,
}

const SMALL: Layout = Layout { size: 384, time: 340, address: 348 };
const LARGE: Layout = Layout { size: 400, time: 344, address: 360 };

impl Layout {
    /// That of this machine; of the other one if only that fits the file.
    fn of(bytes: usize) -> Self {
        let large = cfg!(any(target_arch = "aarch64", target_arch = "loongarch64"));
        let (own, other) = if large { (LARGE, SMALL) } else { (SMALL, LARGE) };
        if !bytes.is_multiple_of(own.size) && bytes.is_multiple_of(other.size) { other } else { own }
    }
}

/// Who says where a login is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Whoever may write to `utmp`, such as sshd: the record has the address as bytes.
    Writer,
    /// Perhaps anybody: it is a text, which terminals may choose, too (utempter).
    Anybody,
}

/// A login that a record tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    host: IpAddr,
    pub(super) word: Word,
    user: Box<str>,
    terminal: Box<str>,
    /// The process that serves him; the login is over when it is.
    pub(super) process: u32,
    /// When.
    pub(super) since: UnixTime,
}

impl Entry {
    pub(super) fn login(&self) -> Login {
        Login { host: self.host, user: word(&self.user), place: word(&self.terminal) }
    }
}

/// All logins from other hosts; a record that makes no sense is passed over, and so is half a one at the end.
pub(super) fn read(bytes: &[u8]) -> impl Iterator<Item = Entry> {
    let layout = Layout::of(bytes.len());
    bytes.chunks_exact(layout.size).filter_map(move |record| entry(record, layout))
}

fn entry(record: &[u8], layout: Layout) -> Option<Entry> {
    if i16::from_ne_bytes(part(record, 0)?) != USER_PROCESS {
        return None;
    }
    // Process 1 is no login's: whoever has lost his parent is its child.
    let process = u32::try_from(i32::from_ne_bytes(part(record, 4)?)).ok().filter(|process| *process > 1)?;
    let seconds = match layout {
        SMALL => i64::from(u32::from_ne_bytes(part(record, layout.time)?)),
        _ => i64::from_ne_bytes(part(record, layout.time)?),
    };
    let bytes = address(part(record, layout.address)?).map(|host| (host, Word::Writer));
    let (host, word) = bytes.or_else(|| Some((written(text(record, 76, 256)?)?, Word::Anybody)))?;
    let user = text(record, 44, 32).filter(|user| !user.is_empty())?;
    Some(Entry {
        host,
        word,
        user: user.into(),
        terminal: text(record, 8, 32)?.into(),
        process,
        since: UnixTime::from_secs(seconds.clamp(0, i64::from(u32::MAX))),
    })
}

fn part<const N: usize>(record: &[u8], at: usize) -> Option<[u8; N]> {
    record.get(at..at + N)?.try_into().ok()
}

/// A text that ends with a NUL, or where its field does.
fn text(record: &[u8], at: usize, length: usize) -> Option<&str> {
    let field = record.get(at..at + length)?;
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
    str::from_utf8(&field[..end]).ok()
}

/// `198.51.100.7`, or `198.51.100.7 via mosh [4711]`.
fn written(host: &str) -> Option<IpAddr> {
    let address = host.split_once(" via mosh [").map_or(host, |(address, _)| address);
    literal(address)
}

/// Four bytes and nothing behind them are of IPv4.
fn address(bytes: [u8; 16]) -> Option<IpAddr> {
    let address = match bytes {
        [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] => Ipv4Addr::new(a, b, c, d).into(),
        _ => IpAddr::from(Ipv6Addr::from(bytes)),
    };
    Some(address).filter(|address| !address.is_unspecified())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record as login programs write it.
    pub(crate) fn record(kind: i16, process: i32, host: &str, address: &[u8], since: u32) -> Vec<u8> {
        written_as(SMALL, kind, process, host, address, since)
    }

    fn written_as(
        layout: Layout,
        kind: i16,
        process: i32,
        host: &str,
        address: &[u8],
        since: u32,
    ) -> Vec<u8> {
        let mut record = vec![0; layout.size];
        let mut put = |at: usize, bytes: &[u8]| record[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &kind.to_ne_bytes());
        put(4, &process.to_ne_bytes());
        put(8, b"pts/0");
        put(40, b"ts/0");
        put(44, b"root");
        put(76, host.as_bytes());
        match layout {
            SMALL => put(layout.time, &since.to_ne_bytes()),
            _ => put(layout.time, &u64::from(since).to_ne_bytes()),
        }
        put(layout.address, address);
        record
    }

    fn told(bytes: &[u8]) -> Vec<String> {
        read(bytes).map(|entry| format!("{} {} by {:?}", entry.process, entry.login(), entry.word)).collect()
    }

    #[test]
    fn records() {
        let four = [198, 51, 100, 7];
        let six = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
        let root = |host: &str| vec![format!("4711 root is logged in from {host} (pts/0) by Writer")];
        let word = || vec!["4711 root is logged in from 198.51.100.7 (pts/0) by Anybody".to_owned()];
        for (record, want) in [
            (record(7, 4711, "198.51.100.7", &four, 1), root("198.51.100.7")),
            (record(7, 4711, "2001:db8::7", &six, 1), root("2001:db8::7")),
            (record(7, 4711, "198.51.100.9", &four, 1), root("198.51.100.7")),
            (record(7, 4711, "198.51.100.7", &[], 1), word()),
            (record(7, 4711, "198.51.100.7 via mosh [12]", &[], 1), word()),
            // A name is not looked up: sshd writes its address beside it.
            (record(7, 4711, "host.example.org", &four, 1), root("198.51.100.7")),
            (record(7, 4711, "host.example.org", &six, 1), root("2001:db8::7")),
            (record(7, 4711, "host.example.org", &[], 1), Vec::new()),
            (record(7, 4711, "tmux(4712).%0", &[], 1), Vec::new()),
            (record(7, 4711, ":0", &[], 1), Vec::new()),
            (record(7, 4711, "", &[], 1), Vec::new()),
            (record(7, 4711, "198.51.100.7 or so", &[], 1), Vec::new()),
            // Over (DEAD_PROCESS), a login that nobody has passed (LOGIN_PROCESS), the boot.
            (record(8, 4711, "198.51.100.7", &four, 1), Vec::new()),
            (record(6, 4711, "198.51.100.7", &four, 1), Vec::new()),
            (record(2, 0, "6.1.0", &[], 1), Vec::new()),
            (record(7, 0, "198.51.100.7", &four, 1), Vec::new()),
            (record(7, 1, "198.51.100.7", &four, 1), Vec::new()),
            (record(7, -1, "198.51.100.7", &four, 1), Vec::new()),
        ] {
            assert_eq!(told(&record), want, "{}", String::from_utf8_lossy(&record[76..120]));
        }
    }

    #[test]
    fn both_layouts_and_what_is_cut() {
        let four = [198, 51, 100, 7];
        let small = written_as(SMALL, 7, 4711, "198.51.100.7", &four, 1_700_000_000);
        let large = written_as(LARGE, 7, 4711, "host.example.org", &four, 1_700_000_000);
        for bytes in [&small, &large] {
            let entries: Vec<Entry> = read(bytes).collect();
            assert_eq!(entries.len(), 1);
            assert_eq!(entries[0].since, UnixTime::from_secs(1_700_000_000));
            assert_eq!(told(bytes), ["4711 root is logged in from 198.51.100.7 (pts/0) by Writer"]);
        }
        let two = [&small[..], &small].concat();
        assert_eq!(told(&two).len(), 2);
        assert_eq!(told(&two[..500]).len(), 1);
        assert_eq!(told(&small[..383]).len(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0usize..400) {
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(at..at + 2) {
                place.copy_from_slice(&USER_PROCESS.to_ne_bytes());
            }
            prop_assert!(read(&bytes).count() <= bytes.len() / SMALL.size);
        }
    }
}
