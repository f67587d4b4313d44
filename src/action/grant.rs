//! Which capabilities a command may have.
//!
//! Pure. In: an action's [`Definition`]. Out: a [`Grant`]: what `capabilities` says, else those of a firewall where a
//! command calls one, else none. Values are the kernel's own bits (capabilities(7)).

use std::collections::BTreeSet;
use std::fmt;

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use super::Definition;

/// Programs that change what the kernel lets through, each with its names of old.
const FIREWALLS: &[&str] = &[
    "arptables",
    "conntrack",
    "ebtables",
    "firewall-cmd",
    "ip6tables",
    "ip6tables-restore",
    "ipset",
    "iptables",
    "iptables-restore",
    "nft",
    "nftables",
    "shorewall",
    "shorewall6",
    "tc",
    "ufw",
];

/// What `ip` is asked that is the administrator's.
const ROUTES: &[&str] = &["route", "rule", "-4", "-6", "-family", "-batch"];

/// A set of capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant(u64);

/// A word that names no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("capabilities: `{0}` is none: known are the names of capabilities(7), `firewall`, `all` and `none`")]
pub struct GrantError(String);

impl Grant {
    /// None.
    pub const NOTHING: Self = Self(0);
    /// What iptables and its like need.
    pub const FIREWALL: Self = Self(CapabilitySet::NET_ADMIN.bits() | CapabilitySet::NET_RAW.bits());
    /// To read whatever there is.
    pub const READ: Self = Self(CapabilitySet::DAC_READ_SEARCH.bits());
    /// Whatever the daemon was started with.
    pub const ALL: Self = Self(u64::MAX);

    /// Reads `net_admin, CAP_CHOWN`, `firewall`, `all` or `none`.
    ///
    /// # Errors
    /// A word is none of these.
    pub fn parse(text: &str) -> Result<Self, GrantError> {
        let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
        let bits = words.map(|word| {
            let upper = word.to_ascii_uppercase();
            match &*upper {
                "NONE" => Ok(Self::NOTHING.0),
                "FIREWALL" => Ok(Self::FIREWALL.0),
                "ALL" => Ok(Self::ALL.0),
                name => CapabilitySet::from_name(name.strip_prefix("CAP_").unwrap_or(name))
                    .map(|set| set.bits())
                    .ok_or_else(|| GrantError(word.to_owned())),
            }
        });
        { bits }.try_fold(0, |all, bits| Ok(all | bits?)).map(Self)
    }

    /// As the kernel counts them.
    pub fn set(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(self.0)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NOTHING => f.write_str("no capabilities"),
            Self::ALL => f.write_str("all capabilities"),
            Self(_) => f.write_str(&names(self.set())),
        }
    }
}

/// `CAP_NET_ADMIN CAP_NET_RAW`.
pub fn names(set: CapabilitySet) -> String {
    let names: Vec<_> = set.iter_names().map(|(name, _)| format!("CAP_{name}")).collect();
    names.join(" ")
}

impl Definition {
    /// What its commands may do.
    ///
    /// # Errors
    /// `capabilities` names what is none.
    pub fn grant(&self) -> Result<Grant, GrantError> {
        match self.option("capabilities", None) {
            Some(text) => Grant::parse(text),
            None if self.calls_a_firewall() => Ok(Grant::FIREWALL),
            None => Ok(Grant::NOTHING),
        }
    }

    /// Whether a command, or a property that one is made of, names a program of a firewall.
    fn calls_a_firewall(&self) -> bool {
        let property = |key: &str| key.split('?').next().unwrap_or(key).to_owned();
        let commands = self.options.iter().map(|(key, _)| property(key));
        let mut open: Vec<String> = commands.filter(|name| name.starts_with("action")).collect();
        let mut seen: BTreeSet<String> = BTreeSet::new();
        while let Some(name) = open.pop() {
            if !seen.insert(name.clone()) {
                continue;
            }
            for (_, text) in self.options.iter().filter(|(key, _)| property(key) == name) {
                if speaks_of_a_firewall(text) {
                    return true;
                }
                let parts = text.split('<').skip(1).filter_map(|rest| rest.split(['>', '?']).next());
                open.extend(parts.map(str::to_owned));
            }
        }
        false
    }
}

fn speaks_of_a_firewall(text: &str) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.')))
        .map(|word| word.rsplit('/').next().unwrap_or(word))
        .collect();
    let is_route = |pair: &[&str]| pair[0] == "ip" && ROUTES.contains(&pair[1]);
    words.iter().any(|word| FIREWALLS.contains(word)) || words.windows(2).any(is_route)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(options: &[(&str, &str)]) -> Result<String, String> {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let definition = Definition { name: "a".into(), file: "a".into(), options };
        definition.grant().map(|grant| grant.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn firewalls_keep_theirs_and_others_nothing() {
        let firewall = "CAP_NET_ADMIN CAP_NET_RAW";
        for (text, expected) in [
            ("iptables -w -I INPUT -s <ip> -j DROP", firewall),
            ("/usr/sbin/nft add element inet f2b s { <ip> }", firewall),
            ("ipset add x <ip>; true", firewall),
            ("firewall-cmd --direct --add-rule", firewall),
            ("ufw prepend deny from <ip>", firewall),
            ("ip route add blackhole <ip>", firewall),
            ("ip -6 route add <ip>", firewall),
            ("printf 'ALL: <ip>\\n' >> /etc/hosts.deny", "no capabilities"),
            ("mail -s 'the iptables-like ban of <ip>' root", "no capabilities"),
            ("logger about nftfoo <ip>", "no capabilities"),
            ("curl https://example.org/?ip=<ip>", "no capabilities"),
        ] {
            assert_eq!(grant(&[("actionban", text)]).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_program_is_found_in_what_a_command_is_made_of() {
        let parts = [
            ("actionstart", ""),
            ("actionban?family=inet6", "<fw> -I <chain>"),
            ("fw", "<program> -w"),
            ("program?family=inet6", "ip6tables"),
        ];
        assert_eq!(grant(&parts).as_deref(), Ok("CAP_NET_ADMIN CAP_NET_RAW"));
        // Only what a command uses counts.
        let unused = [("actionban", "echo <ip>"), ("comment", "unlike iptables")];
        assert_eq!(grant(&unused).as_deref(), Ok("no capabilities"));
        let ring = [("actionban", "<a>"), ("a", "<b>"), ("b", "<a>")];
        assert_eq!(grant(&ring).as_deref(), Ok("no capabilities"));
    }

    #[test]
    fn what_the_operator_says_wins() {
        let with = |words: &str| grant(&[("actionban", "iptables -A x"), ("capabilities", words)]);
        for (words, expected) in [
            ("none", "no capabilities"),
            ("all", "all capabilities"),
            ("net_admin, CAP_CHOWN", "CAP_CHOWN CAP_NET_ADMIN"),
            ("firewall sys_module", "CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_MODULE"),
        ] {
            assert_eq!(with(words).as_deref(), Ok(expected), "{words}");
        }
        let wrong = "capabilities: `net_admn` is none: known are the names of capabilities(7), `firewall`, `all` and `none`";
        assert_eq!(with("chown net_admn"), Err(wrong.to_owned()));
    }
}
