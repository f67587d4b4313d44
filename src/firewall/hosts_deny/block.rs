//! The part of `hosts.deny` that is this program's: lines between two marks.
//!
//! Pure. In: the file's text and what is banned. Out: the new text, in which every other line is as it was.
//! Source: `hosts_access(5)`.
//!
//! ```text
//! # stockade begins: its bans, do not edit
//! # jail "sshd"
//! ALL: 192.0.2.1
//! ALL: [2001:db8::]/32
//! # stockade ends
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::subnet::Subnet;

/// What each jail has banned.
pub(super) type Banned = BTreeMap<Arc<str>, BTreeSet<Subnet>>;

const BEGINS: &str = "# stockade begins: its bans, do not edit";
const ENDS: &str = "# stockade ends";
const JAIL: &str = "# jail ";
const EVERY_SERVICE: &str = "ALL: ";

/// The file cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BlockError {
    /// Nobody knows where our part ends.
    #[error("line {0} begins this program's part, and no line ends it: remove what is not yours below it")]
    Endless(usize),
}

/// Where our part begins and ends, in bytes.
fn find(text: &str) -> Result<Option<(usize, usize)>, BlockError> {
    let mut begin = None;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        match (line.trim_end(), begin) {
            (BEGINS, None) => begin = Some((at, number + 1)),
            (ENDS, Some((begin, _))) => return Ok(Some((begin, at + line.len()))),
            _ => {}
        }
        at += line.len();
    }
    begin.map_or(Ok(None), |(_, number)| Err(BlockError::Endless(number)))
}

/// The file with our part as it should be: where it was, else at the end; without bans there is none.
pub(super) fn write(text: &str, banned: &Banned) -> Result<String, BlockError> {
    let found = find(text)?;
    let block = render(banned);
    if let Some((begin, end)) = found {
        return Ok([&text[..begin], &block, &text[end..]].concat());
    }
    if block.is_empty() {
        return Ok(text.to_owned());
    }
    let mut all = text.to_owned();
    if !all.is_empty() && !all.ends_with('\n') {
        all.push('\n');
    }
    // A line that goes on in the next one must not go on in ours.
    if all.ends_with("\\\n") {
        all.push('\n');
    }
    Ok(all + &block)
}

fn render(banned: &Banned) -> String {
    let mut block = String::new();
    for (jail, nets) in banned.iter().filter(|(_, nets)| !nets.is_empty()) {
        // Quoted, so that no name of a jail ends its line.
        let _ = writeln!(block, "{JAIL}{}", serde_json::Value::from(&**jail));
        for net in nets {
            let _ = writeln!(block, "{EVERY_SERVICE}{}", client(*net));
        }
    }
    if block.is_empty() { block } else { format!("{BEGINS}\n{block}{ENDS}\n") }
}

/// An address or a prefix as TCP wrappers read it: an IPv4 prefix by its mask, IPv6 in brackets.
fn client(net: Subnet) -> String {
    match (net.address(), net.is_single()) {
        (IpAddr::V4(four), true) => four.to_string(),
        (IpAddr::V4(four), false) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(net.length())).unwrap_or(0);
            format!("{four}/{}", std::net::Ipv4Addr::from(mask))
        }
        (IpAddr::V6(six), true) => format!("[{six}]"),
        (IpAddr::V6(six), false) => format!("[{six}]/{}", net.length()),
    }
}

/// What our part of a file bans.
pub(super) fn read(text: &str) -> Result<Banned, BlockError> {
    let mut banned = Banned::new();
    let Some((begin, end)) = find(text)? else { return Ok(banned) };
    let mut jail: Option<Arc<str>> = None;
    for line in text[begin..end].lines() {
        if let Some(name) = line.strip_prefix(JAIL) {
            jail = serde_json::from_str::<String>(name).ok().map(Arc::from);
        } else if let (Some(text), Some(jail)) = (line.strip_prefix(EVERY_SERVICE), &jail) {
            banned.entry(jail.clone()).or_default().extend(net(text));
        }
    }
    Ok(banned)
}

fn net(text: &str) -> Option<Subnet> {
    let plain = text.replace(['[', ']'], "");
    let Some((address, mask)) = plain.split_once('/') else { return plain.parse().ok() };
    let length = match mask.parse::<std::net::Ipv4Addr>() {
        Ok(mask) => u32::from(mask).leading_ones() as u8,
        Err(_) => mask.parse().ok()?,
    };
    Subnet::new(address.parse().ok()?, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(jails: &[(&str, &[&str])]) -> Banned {
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect();
        jails.iter().map(|(jail, list)| (Arc::from(*jail), nets(list))).collect()
    }

    #[test]
    fn our_part_is_written_and_every_other_line_kept() {
        let a = banned(&[("a", &["192.0.2.1"]), ("none", &[])]);
        let block =
            "# stockade begins: its bans, do not edit\n# jail \"a\"\nALL: 192.0.2.1\n# stockade ends\n";
        for (before, banned, after) in [
            (String::new(), &a, block.to_owned()),
            ("sshd: 1.2.3.4".to_owned(), &a, format!("sshd: 1.2.3.4\n{block}")),
            ("sshd: 1.2.3.4 \\\n".to_owned(), &a, format!("sshd: 1.2.3.4 \\\n\n{block}")),
            (format!("x: 1\n{block}y: 2\n"), &a, format!("x: 1\n{block}y: 2\n")),
            (format!("x: 1\n{block}y: 2"), &Banned::new(), "x: 1\ny: 2".to_owned()),
            ("x: 1\r\n# stockade ends\n".to_owned(), &Banned::new(), "x: 1\r\n# stockade ends\n".to_owned()),
        ] {
            assert_eq!(write(&before, banned), Ok(after), "{before:?}");
        }
        let endless = "x: 1\n# stockade begins: its bans, do not edit\nALL: 192.0.2.1\n";
        assert_eq!(write(endless, &a), Err(BlockError::Endless(2)));
    }

    #[test]
    fn what_is_written_is_read_back_whatever_a_jail_is_called() {
        let odd = "b\nALL: ALL \\";
        let all = banned(&[
            ("a", &["192.0.2.1", "10.0.0.0/8", "0.0.0.0/0", "203.0.113.4/31"]),
            (odd, &["2001:db8::1", "2001:db8::/32", "::/0"]),
        ]);
        let text = write("", &all).unwrap();
        for line in [
            "ALL: 10.0.0.0/255.0.0.0",
            "ALL: 0.0.0.0/0.0.0.0",
            "ALL: 203.0.113.4/255.255.255.254",
            "ALL: [2001:db8::1]",
            "ALL: [2001:db8::]/32",
            "ALL: [::]/0",
        ] {
            assert!(text.lines().any(|other| other == line), "`{line}` is not in\n{text}");
        }
        assert!(!text.lines().any(|line| line == "ALL: ALL \\"), "{text}");
        assert_eq!(read(&text), Ok(all));
    }
}
