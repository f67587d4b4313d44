//! A rule that looks whether a packet's sender is in a set: `tcp dport { 22 } ip saddr @set drop`.

use std::sync::Arc;

use super::TableFamily;
use super::words::{Words, is_plain, shown};
use crate::firewall::nftables::spelled::port;

/// More ports no rule names.
const MOST_PORTS: usize = 2000;

/// What a rule looks at, in this order, and what it then does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The packet's protocol.
    pub protocols: Protocols,
    /// The port that it is sent to.
    pub ports: Option<Ports>,
    /// Whether its sender is an address of IPv6.
    pub is_ipv6: bool,
    /// Whether packets are counted.
    pub counts: bool,
    /// What happens to it.
    pub verdict: Verdict,
}

/// By their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocols {
    /// Any.
    All,
    /// This one.
    One(u8),
    /// These, as a set.
    Set(Vec<u8>),
}

/// Inclusive ranges of ports, sorted and apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The ranges.
    pub ranges: Vec<(u16, u16)>,
    /// Whether they are compared as a set, even a single one.
    pub is_set: bool,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is said.
    Drop,
    /// An answer of this `NFT_REJECT_*` type, with this code.
    Reject(u32, u8),
}

const ICMP: u32 = 0;
const TCP_RESET: u32 = 1;
const ICMPX: u32 = 2;
const TCP: u8 = 6;

/// Reads a rule; answers with the set that it looks at, too.
pub(super) fn read(
    words: &mut Words,
    family: TableFamily,
    services: &str,
) -> Result<(Rule, Arc<str>), String> {
    let mut protocols = Protocols::All;
    let mut ports = None;
    if words.next_is("meta") {
        words.word()?;
        words.take("l4proto")?;
        protocols = read_protocols(words)?;
    } else if let Some(protocol) = words.peek().and_then(transport) {
        words.word()?;
        words.take("dport")?;
        protocols = Protocols::One(protocol);
        ports = Some(read_ports(words, services)?);
    }
    if ports.is_none() && words.next_is("th") {
        words.word()?;
        words.take("dport")?;
        ports = Some(read_ports(words, services)?);
    }
    let is_ipv6 = match words.word()? {
        "ip" => false,
        "ip6" => true,
        other => return Err(format!("`{}` is not understood in a rule", shown(other))),
    };
    words.take("saddr")?;
    let word = words.word()?;
    let set = word.strip_prefix('@').filter(|set| is_plain(set));
    let set = set.ok_or_else(|| format!("`{}` stands where a set is expected", shown(word)))?.into();
    let counts = words.next_is("counter");
    if counts {
        words.word()?;
    }
    let verdict = match words.word()? {
        "drop" => Verdict::Drop,
        "reject" => read_reject(words, family, is_ipv6, &protocols)?,
        other => return Err(format!("`{}` is not understood in a rule", shown(other))),
    };
    Ok((Rule { protocols, ports, is_ipv6, counts, verdict }, set))
}

/// Those with ports at the same place.
fn transport(name: &str) -> Option<u8> {
    Some(match name {
        "tcp" => TCP,
        "udp" => 17,
        "dccp" => 33,
        "sctp" => 132,
        "udplite" => 136,
        _ => return None,
    })
}

fn protocol(name: &str) -> Result<u8, String> {
    let other = || match name {
        "icmp" => Some(1),
        "esp" => Some(50),
        "ah" => Some(51),
        "icmpv6" => Some(58),
        _ => None,
    };
    transport(name).or_else(other).ok_or_else(|| format!("the protocol `{}` is not understood", shown(name)))
}

fn read_protocols(words: &mut Words) -> Result<Protocols, String> {
    let items = items(words)?;
    let mut numbers = items.iter().map(|item| protocol(item)).collect::<Result<Vec<_>, _>>()?;
    if let [one] = *numbers {
        return Ok(Protocols::One(one));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Protocols::Set(numbers))
}

/// One item alone is compared without a set. Where one of several is a range, they become as few as possible.
fn read_ports(words: &mut Words, services: &str) -> Result<Ports, String> {
    let items = items(words)?;
    let mut ranges = items.iter().map(|item| range(item, services)).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_unstable();
    let is_interval = ranges.iter().any(|(low, high)| low != high);
    let mut apart: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match apart.last_mut() {
            Some(last) if last.1 >= low || (is_interval && u32::from(last.1) + 1 == u32::from(low)) => {
                last.1 = last.1.max(high);
            }
            _ => apart.push((low, high)),
        }
    }
    Ok(Ports { ranges: apart, is_set: items.len() > 1 })
}

fn range(item: &str, services: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("the port `{}` is not understood", shown(item));
    if let Some(port) = port(item, services) {
        return Ok((port, port));
    }
    let (low, high) = item.split_once('-').ok_or_else(wrong)?;
    let numbers =
        [low, high].map(|word| port(word, "").filter(|_| word.starts_with(|c: char| c.is_ascii_digit())));
    match numbers {
        [Some(low), Some(high)] if low < high => Ok((low, high)),
        _ => Err(wrong()),
    }
}

/// `a`, or `{ a, b }`.
fn items<'a>(words: &mut Words<'a>) -> Result<Vec<&'a str>, String> {
    let first = words.word()?;
    if first != "{" {
        return Ok(vec![first]);
    }
    let mut items = Vec::new();
    loop {
        items.push(words.word()?);
        if items.len() > MOST_PORTS {
            return Err("a rule has too many ports".to_owned());
        }
        if words.next_is("}") {
            words.word()?;
            return Ok(items);
        }
        words.take(",")?;
    }
}

/// `reject`, or `reject with icmp type host-unreachable`.
fn read_reject(
    words: &mut Words,
    family: TableFamily,
    is_ipv6: bool,
    protocols: &Protocols,
) -> Result<Verdict, String> {
    if !words.next_is("with") {
        return Ok(Verdict::Reject(ICMP, if is_ipv6 { 4 } else { 3 }));
    }
    words.word()?;
    let kind = words.word()?;
    if kind == "tcp" {
        words.take("reset")?;
        return match protocols {
            Protocols::One(TCP) => Ok(Verdict::Reject(TCP_RESET, 0)),
            _ => Err("`reject with tcp reset` is not about TCP alone".to_owned()),
        };
    }
    if words.next_is("type") {
        words.word()?;
    }
    let code = words.word()?;
    let known = match (kind, is_ipv6) {
        ("icmp", false) => (ICMP, ICMP_CODES),
        ("icmpv6", true) => (ICMP, ICMPV6_CODES),
        ("icmpx", _) if family == TableFamily::Inet => (ICMPX, ICMPX_CODES),
        _ => return Err(format!("`reject with {}` is not understood here", shown(kind))),
    };
    let found = known.1.iter().find(|(name, _)| *name == code);
    let (_, code) = found.ok_or_else(|| format!("`reject with {kind} {}` is not understood", shown(code)))?;
    Ok(Verdict::Reject(known.0, *code))
}

const ICMP_CODES: &[(&str, u8)] = &[
    ("net-unreachable", 0),
    ("host-unreachable", 1),
    ("prot-unreachable", 2),
    ("port-unreachable", 3),
    ("net-prohibited", 9),
    ("host-prohibited", 10),
    ("admin-prohibited", 13),
];
const ICMPV6_CODES: &[(&str, u8)] = &[
    ("no-route", 0),
    ("admin-prohibited", 1),
    ("addr-unreachable", 3),
    ("port-unreachable", 4),
    ("policy-fail", 5),
    ("reject-route", 6),
];
const ICMPX_CODES: &[(&str, u8)] =
    &[("no-route", 0), ("port-unreachable", 1), ("host-unreachable", 2), ("admin-prohibited", 3)];
