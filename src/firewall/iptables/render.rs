//! What `ipset restore` and `iptables-restore` are told.
//!
//! Pure. Each jail has a set a family, `hash:net`, which takes addresses and prefixes that lie within each other. Each
//! hook has one chain with the rules of all jails, which is written anew as a whole:
//!
//! ```text
//! create stockade4-sshd hash:net family inet timeout 0 …
//! -I INPUT 1 -j stockade-input
//! -A stockade-input -p tcp -m multiport --dports 22 -m set --match-set stockade4-sshd src -j DROP
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::firewall::plan::{Op, Plan, Shape, Step};
use crate::firewall::{Block, Element, Hook, Protocol, Ruleset};
use crate::subnet::Subnet;

/// Elements that a set holds at most.
const MOST: u32 = 1_000_000;
/// The kernel takes no longer timeout, in seconds (2^31 ms); what lasts longer has none, and is unbanned by us.
const LONGEST: u64 = 2_147_483;
/// Ports that one rule compares at most; a range counts as two.
const PORTS: usize = 15;
/// A set while it is filled; it is there only then.
const FRESH: [&str; 2] = ["stockade-fresh4", "stockade-fresh6"];
/// A name of a set has 31 bytes at most.
const LONGEST_NAME: usize = 31;

/// A jail's rules; all its elements are in sets that mind no overlap.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flat(pub(super) Ruleset);

impl Shape for Flat {
    fn is_in_tree(&self, _: Subnet) -> bool {
        false
    }
}

/// A line, and the change that is to blame if it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) change: Option<usize>,
}

/// The lines as a program reads them.
pub(super) fn text(lines: &[Line]) -> String {
    lines.iter().flat_map(|line| [&*line.text, "\n"]).collect()
}

/// All hooks.
pub(super) const HOOKS: [Hook; 3] = [Hook::Input, Hook::Forward, Hook::Prerouting];

/// The table and the chain of a hook, and our chain in it.
pub(super) fn chains(hook: Hook) -> (&'static str, &'static str, &'static str) {
    match hook {
        Hook::Input => ("filter", "INPUT", "stockade-input"),
        Hook::Forward => ("filter", "FORWARD", "stockade-forward"),
        Hook::Prerouting => ("raw", "PREROUTING", "stockade-prerouting"),
    }
}

/// The name of a jail's set: that of the jail, or a number where it is too long or has odd letters.
pub(super) fn set_name(jail: &str, is_ipv6: bool) -> String {
    let digit = if is_ipv6 { '6' } else { '4' };
    let name = format!("stockade{digit}-{jail}");
    let is_plain = jail.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if is_plain && name.len() <= LONGEST_NAME {
        return name;
    }
    format!("stockade{digit}/{:016x}", crate::fingerprint::of(jail.bytes()))
}

/// Whether a set is one of ours.
pub(super) fn is_ours(set: &str) -> bool {
    set.starts_with("stockade4") || set.starts_with("stockade6")
}

/// The jail of a set, where its name tells it.
pub(super) fn jail_of(set: &str) -> Option<&str> {
    set.strip_prefix("stockade4-").or_else(|| set.strip_prefix("stockade6-"))
}

/// Makes the sets of the jails that are opened, each filled before it takes the old one's place, and carries out the
/// steps for all others.
pub(super) fn sets(plan: &Plan<Flat>, with_ipv6: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let families = if with_ipv6 { &[false, true][..] } else { &[false] };
    let steps: BTreeMap<&Arc<str>, &[Op]> =
        plan.ops.chunk_by(|a, b| a.jail == b.jail).map(|ops| (&ops[0].jail, ops)).collect();
    for (jail, &change) in &plan.open {
        for &is_ipv6 in families {
            let name = set_name(jail, is_ipv6);
            let fresh = FRESH[usize::from(is_ipv6)];
            let line = |text: String| Line { text, change: Some(change) };
            lines.push(line(create(fresh, is_ipv6)));
            lines.push(line(format!("flush {fresh}")));
            let steps = steps.get(jail).into_iter().copied().flatten();
            steps.filter(|op| op.net.is_ipv6() == is_ipv6).for_each(|op| lines.extend(step(op, fresh)));
            lines.push(line(create(&name, is_ipv6)));
            lines.push(line(format!("swap {fresh} {name}")));
            lines.push(line(format!("destroy {fresh}")));
        }
    }
    let others = plan.ops.iter().filter(|op| !plan.open.contains_key(&op.jail));
    others.for_each(|op| lines.extend(step(op, &set_name(&op.jail, op.net.is_ipv6()))));
    lines
}

fn create(name: &str, is_ipv6: bool) -> String {
    let family = if is_ipv6 { "inet6" } else { "inet" };
    format!("create {name} hash:net family {family} maxelem {MOST} timeout 0")
}

fn step(op: &Op, set: &str) -> Vec<Line> {
    let change = Some(op.change);
    let texts = halves(op.net).into_iter().map(|net| match op.step {
        Step::Take => format!("del {set} {net}"),
        Step::Put(timeout) | Step::Renew(timeout) => format!("add {set} {net} timeout {}", seconds(timeout)),
    });
    texts.map(|text| Line { text, change }).collect()
}

/// No set takes a prefix of no bits; its halves are as good.
fn halves(net: Subnet) -> Vec<Subnet> {
    if net.length() > 0 {
        return vec![net];
    }
    let other: IpAddr =
        if net.is_ipv6() { [0x8000, 0, 0, 0, 0, 0, 0, 0].into() } else { [128, 0, 0, 0].into() };
    [net.address(), other].into_iter().filter_map(|address| Subnet::new(address, 1)).collect()
}

/// Zero is for ever.
fn seconds(timeout: Option<Duration>) -> u64 {
    timeout.map(|timeout| timeout.as_secs().max(1)).filter(|seconds| *seconds <= LONGEST).unwrap_or(0)
}

/// The rules of all jails, by hook; with each the change that is to blame.
pub(super) fn rules<'a>(
    jails: impl IntoIterator<Item = (&'a Arc<str>, &'a Ruleset, Option<usize>)>,
    is_ipv6: bool,
) -> BTreeMap<Hook, Vec<Line>> {
    let mut chains_of: BTreeMap<Hook, Vec<Line>> = BTreeMap::new();
    for (jail, ruleset, change) in jails {
        let set = set_name(jail, is_ipv6);
        for &hook in &ruleset.hooks {
            let (_, _, chain) = chains(hook);
            let target = match ruleset.block {
                Block::Drop => "DROP",
                Block::Reject => "REJECT",
            };
            let lines = matches(ruleset).into_iter().map(|matches| Line {
                text: format!("-A {chain}{matches} -m set --match-set {set} src -j {target}"),
                change,
            });
            chains_of.entry(hook).or_default().extend(lines);
        }
    }
    chains_of
}

/// What a packet must be, one text a rule.
fn matches(ruleset: &Ruleset) -> Vec<String> {
    if ruleset.ports.is_empty() {
        return vec![String::new()];
    }
    let mut chunks: Vec<Vec<String>> = vec![Vec::new()];
    let mut room = PORTS;
    for &(low, high) in &ruleset.ports {
        let takes = if low == high { 1 } else { 2 };
        if room < takes {
            chunks.push(Vec::new());
            room = PORTS;
        }
        room -= takes;
        let text = if low == high { low.to_string() } else { format!("{low}:{high}") };
        chunks.last_mut().expect("one at least").push(text);
    }
    let both = [(Protocol::Tcp, "tcp"), (Protocol::Udp, "udp")];
    let protocols =
        both.iter().filter(|(p, _)| ruleset.protocols.is_empty() || ruleset.protocols.contains(p));
    let rule = |(_, name): &(Protocol, &str)| {
        let name = *name;
        chunks
            .iter()
            .map(move |ports| format!(" -p {name} -m multiport --dports {}", ports.join(",")))
            .collect::<Vec<_>>()
    };
    protocols.flat_map(rule).collect()
}

/// Writes the chains of these hooks anew, all at once; `missing`: those whose hook does not go there yet.
pub(super) fn restore(
    rules: &BTreeMap<Hook, Vec<Line>>,
    hooks: &BTreeSet<Hook>,
    missing: &BTreeSet<Hook>,
) -> Vec<Line> {
    let plain = |text: String| Line { text, change: None };
    let mut lines = Vec::new();
    for table in ["filter", "raw"] {
        let hooks: Vec<_> = hooks.iter().filter(|hook| chains(**hook).0 == table).collect();
        if hooks.is_empty() {
            continue;
        }
        lines.push(plain(format!("*{table}")));
        lines.extend(hooks.iter().map(|hook| plain(format!(":{} - [0:0]", chains(**hook).2))));
        for hook in hooks {
            lines.extend(rules.get(hook).into_iter().flatten().cloned());
            let (_, hooked, chain) = chains(*hook);
            if missing.contains(hook) {
                lines.push(plain(format!("-I {hooked} 1 -j {chain}")));
            }
        }
        lines.push(plain("COMMIT".to_owned()));
    }
    lines
}

/// Takes our chain out of its hook, where it hangs so many times, and away.
pub(super) fn remove(hook: Hook, times: usize) -> String {
    let (table, hooked, chain) = chains(hook);
    let jumps = format!("-D {hooked} -j {chain}\n").repeat(times);
    format!("*{table}\n{jumps}-F {chain}\n-X {chain}\nCOMMIT\n")
}

/// How often a hook goes to our chain, in what `-S` prints of it.
pub(super) fn jumps(hook: Hook, printed: &str) -> usize {
    let (_, hooked, chain) = chains(hook);
    let jump = format!("-A {hooked} -j {chain}");
    printed.lines().filter(|line| **line == *jump).count()
}

/// The elements in what `ipset save` prints.
pub(super) fn elements(printed: &str) -> Vec<Element> {
    let read = |line: &str| {
        let mut words = line.strip_prefix("add ")?.split(' ').skip(1);
        let net = words.next()?.parse().ok()?;
        let timeout = words.skip_while(|word| *word != "timeout").nth(1).and_then(|word| word.parse().ok());
        let timeout = timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Some(Element { net, timeout })
    };
    printed.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests;
