//! What a configuration says of itself, in the operator's words.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Config, FirewallKind, JailConfig, Step};
use crate::firewall::{Block, Hook, Protocol, Rules};

impl JailConfig {
    /// How bans are enforced, such as `nftables: drop tcp 22 in input`, `action cdn` or `notify only`.
    pub fn enforcement(&self) -> String {
        let enforcing = self.actions.iter().filter(|action| action.enforces() && action.kind().is_ok());
        let actions = enforcing.map(|action| format!("action {}", action.name));
        let all: Vec<String> = self.native().into_iter().chain(actions).collect();
        if all.is_empty() { "notify only".to_owned() } else { all.join("; ") }
    }

    /// The part of the native firewall, if there is one.
    fn native(&self) -> Option<String> {
        if self.firewall == FirewallKind::None {
            return None;
        }
        let rules = match &self.rules {
            Rules::Own(ruleset) => ruleset,
            Rules::Spelled(actions) => {
                let sets = actions
                    .iter()
                    .flat_map(|action| &action.faces)
                    .map(|face| face.layout.set.name.to_string());
                return Some(format!(
                    "nftables, as Fail2Ban's actions spell it: {}",
                    sets.collect::<Vec<_>>().join(", ")
                ));
            }
        };
        let kind = match self.firewall {
            FirewallKind::Nftables | FirewallKind::Exact => "nftables",
            FirewallKind::Iptables => "iptables",
            FirewallKind::HostsDeny => "hosts-deny",
            FirewallKind::Memory => "memory",
            FirewallKind::None => return None,
        };
        let block = match rules.block {
            Block::Drop => "drop",
            Block::Reject => "reject",
        };
        let mut words = format!("{kind}: {block} ");
        if rules.ports.is_empty() {
            words.push_str("everything");
        } else {
            let protocols = rules.protocols.iter().map(|protocol| match protocol {
                Protocol::Tcp => "tcp",
                Protocol::Udp => "udp",
            });
            let protocols = protocols.collect::<Vec<_>>().join("+");
            let ports = rules.ports.iter().map(|(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            });
            let ports = ports.collect::<Vec<_>>().join(",");
            let _ = write!(words, "{} {ports}", if protocols.is_empty() { "tcp+udp" } else { &protocols });
        }
        let hooks = rules.hooks.iter().map(|hook| match hook {
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Prerouting => "prerouting",
        });
        let _ = write!(words, " in {}", hooks.collect::<Vec<_>>().join("+"));
        Some(words)
    }
}

impl Config {
    /// Whether there is a jail of this name, enabled or not, right or wrong.
    pub fn knows(&self, jail: &str) -> bool {
        self.jails.iter().any(|config| &*config.options.name == jail)
            || self.disabled.iter().any(|(name, _)| &**name == jail)
            || self.refused.jails.contains(jail)
    }
}

impl Step {
    /// Which jail it is about.
    pub fn jail(&self) -> &Arc<str> {
        match self {
            Self::Start(config) | Self::Retune(config, _) => &config.options.name,
            Self::Stop(name) | Self::Keep(name) => name,
        }
    }
}
