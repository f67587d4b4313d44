//! Who is never counted and never banned automatically.
//!
//! Pure: the shell passes what it read of `file:` lists, of the host's own addresses and of who is logged in.
//! A prefix that holds an ignored address is ignored too: banning it would ban that address.

mod cache;
mod logins;
mod names;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use self::cache::{Cache, CacheOptions, Decision};
pub use self::logins::{Login, SpareLogins};
pub use self::names::Names;
use crate::id::Id;
use crate::subnet::Subnet;

/// Why somebody is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It is, or holds, an address of this host.
    Own(Subnet),
    /// It is, or holds, the default gateway: all clients seem to come from there when it translates addresses.
    Gateway(Subnet),
    /// The operator said so: the rule as written.
    Listed(Arc<str>),
    /// It is, or holds, the host of somebody who is logged in: who, from where.
    Login(Arc<str>),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(net) => write!(f, "{net} is an address of this host"),
            Self::Gateway(net) => write!(f, "{net} is the default gateway"),
            Self::Listed(rule) | Self::Login(rule) => f.write_str(rule),
        }
    }
}

/// The addresses that one jail ignores.
#[derive(Debug, Clone, Default)]
pub struct IgnoreList {
    own: Table,
    gateways: Table,
    listed: Table,
    filed: Table,
    logins: Table,
}

impl IgnoreList {
    /// Ignores these, each with its rule as the operator wrote it.
    pub fn new(rules: Vec<(Subnet, Arc<str>)>) -> Self {
        Self { listed: Table::new(rules), ..Self::default() }
    }

    /// Replaces the rules of the configuration.
    pub fn set_listed(&mut self, rules: Vec<(Subnet, Arc<str>)>) {
        self.listed = Table::new(rules);
    }

    /// Replaces what the `file:` lists hold, each with the list it is from.
    pub fn set_file(&mut self, rules: Vec<(Subnet, Arc<str>)>) {
        self.filed = Table::new(rules);
    }

    /// Replaces the host's own addresses.
    pub fn set_own(&mut self, own: Vec<Subnet>) {
        self.own = Table::without_rules(own);
    }

    /// Replaces the addresses of default gateways.
    pub fn set_gateways(&mut self, gateways: Vec<Subnet>) {
        self.gateways = Table::without_rules(gateways);
    }

    /// Replaces the hosts of those who are logged in, each with who that is.
    pub fn set_logins(&mut self, hosts: Vec<(Subnet, Arc<str>)>) {
        self.logins = Table::new(hosts);
    }

    /// Why `id` is ignored, own addresses and gateways included.
    pub fn check(&self, id: &Id) -> Option<Rule> {
        self.check_own(id).or_else(|| self.check_listed(id))
    }

    /// Whether `id` is, or holds, an own address or a gateway.
    pub fn check_own(&self, id: &Id) -> Option<Rule> {
        let net = id.net()?;
        let own = self.own.overlapping(net).map(|found| Rule::Own(found.net));
        own.or_else(|| self.gateways.overlapping(net).map(|found| Rule::Gateway(found.net)))
    }

    /// Why `id` is not banned, although its failures may count: it is, or holds, an own address, a gateway, or the host
    /// of somebody who is logged in.
    pub fn check_ban(&self, id: &Id) -> Option<Rule> {
        self.check_own(id).or_else(|| {
            let found = self.logins.overlapping(id.net()?)?;
            Some(Rule::Login(Arc::clone(&found.rule)))
        })
    }

    /// The hosts of those who are logged in, each with who that is.
    pub fn logins(&self) -> impl Iterator<Item = (Subnet, &Arc<str>)> {
        self.logins.0.iter().map(|entry| (entry.net, &entry.rule))
    }

    /// Why `id` is ignored by what the operator wrote alone.
    pub fn check_listed(&self, id: &Id) -> Option<Rule> {
        let net = id.net()?;
        let found = self.listed.overlapping(net).or_else(|| self.filed.overlapping(net))?;
        Some(Rule::Listed(Arc::clone(&found.rule)))
    }
}

/// Reads a list: addresses and prefixes between blanks or commas; `#` and `;` begin a comment.
/// Mistakes are told with their line, from 1; the rest of the list holds.
pub fn parse_list(text: &str) -> (Vec<Subnet>, Vec<(usize, String)>) {
    let (mut nets, mut mistakes) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.split(['#', ';']).next().unwrap_or_default();
        for word in line.split([' ', '\t', '\r', ',', '\u{feff}']).filter(|word| !word.is_empty()) {
            match word.parse() {
                Ok(net) => nets.push(net),
                Err(error) => mistakes.push((number + 1, format!("{error}"))),
            }
        }
    }
    (nets, mistakes)
}

/// Prefixes, none inside another, in order: two such never overlap, so that one binary search answers.
#[derive(Debug, Clone, Default)]
struct Table(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    net: Subnet,
    rule: Arc<str>,
}

impl Table {
    fn new(rules: Vec<(Subnet, Arc<str>)>) -> Self {
        let mut entries: Vec<_> = rules.into_iter().map(|(net, rule)| Entry { net, rule }).collect();
        // The wider of two that begin alike comes first; the sort is stable: of equal ones the first rule is told.
        entries.sort_by_key(|entry| (entry.net.address(), entry.net.length()));
        entries.dedup_by(|inner, outer| outer.net.contains(&inner.net));
        Self(entries)
    }

    fn without_rules(nets: Vec<Subnet>) -> Self {
        let rule: Arc<str> = "".into();
        Self::new(nets.into_iter().map(|net| (net, Arc::clone(&rule))).collect())
    }

    fn overlapping(&self, net: Subnet) -> Option<&Entry> {
        if self.0.is_empty() {
            return None;
        }
        let last: IpAddr = net.last();
        let after = self.0.partition_point(|entry| entry.net.address() <= last);
        // The last that begins before the end of `net`: if that one lies apart, so do all before it.
        self.0[..after].last().filter(|entry| entry.net.overlaps(&net))
    }
}

#[cfg(test)]
mod tests;
