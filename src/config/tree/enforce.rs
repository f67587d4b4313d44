//! What a jail's actions come to: those that spell out nftables' sets and rules are enforced natively, the others run
//! as they are written.

use std::sync::Arc;

use super::Notes;
use crate::action::Definition;
use crate::config::FirewallKind;
use crate::firewall::cut::{Scope, Ways};
use crate::firewall::nftables::spelled::{self, Spelled};
use crate::firewall::services::parse_ports;
use crate::firewall::{Protocol, Rules};

/// The actions of one jail, sorted.
pub(super) struct Enforced {
    pub(super) firewall: FirewallKind,
    pub(super) rules: Rules,
    /// Those that run as commands, or send mails.
    pub(super) actions: Vec<Definition>,
    /// What the operator should know of how bans are enforced.
    pub(super) remarks: Vec<String>,
    /// Why an action is left out.
    pub(super) refused: Vec<String>,
}

/// How sets with `flags interval` are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// As the action spells them.
    Exact,
    /// See [`Spelled::fast`].
    Fast,
}

/// Sorts the actions of a jail.
pub(super) fn sort(definitions: &[Definition], ipv6: bool, layout: Layout, services: &str) -> Enforced {
    let mut spelled: Vec<Spelled> = Vec::new();
    let (mut actions, mut remarks, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for definition in definitions {
        if let Err(why) = definition.kind() {
            refused.push(format!("{} is left out: {why}", definition.name));
            continue;
        }
        if !speaks_of_nft(definition) {
            actions.push(definition.clone());
            continue;
        }
        match spelled::recognise(definition, ipv6, services) {
            Ok(one) if layout == Layout::Fast => spelled.push(one.fast()),
            Ok(one) => spelled.push(one),
            Err(why) => {
                remarks.push(format!("action {} runs through the shell as written: {why}", definition.name));
                actions.push(definition.clone());
            }
        }
    }
    let firewall = if spelled.is_empty() { FirewallKind::None } else { FirewallKind::Exact };
    let rules = Rules::Spelled(Arc::from(spelled));
    Enforced { firewall, rules, actions, remarks, refused }
}

/// Which connections these bans shut out. A command may stand in any hook; where it does not speak of its `port`, it is
/// taken to shut all.
pub(super) fn scope(rules: &Rules, actions: &[Definition], services: &str, notes: &mut Notes<'_>) -> Scope {
    let mut scope = Scope::of(rules);
    for action in actions.iter().filter(|action| action.enforces()) {
        let speaks =
            action.options.iter().any(|(key, value)| key.starts_with("action") && value.contains("<port>"));
        let port = action.option("port", None).filter(|_| speaks).unwrap_or_default();
        let protocol = action.option("protocol", None).unwrap_or("tcp");
        let protocols: Vec<_> = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)]
            .into_iter()
            .filter_map(|(name, one)| protocol.split(',').any(|word| word.trim() == name).then_some(one))
            .collect();
        match parse_ports(&[port.to_owned()], services) {
            Ok(ports) => scope.join(Scope::ports(ports, &protocols, Ways::ALL)),
            Err(error) => notes.doubt("cut", format!("action {}: {error}", action.name)),
        }
    }
    scope
}

/// Whether it calls `nft` at all: only then is it worth a word that it was not recognised.
fn speaks_of_nft(definition: &Definition) -> bool {
    let calls = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "nft");
    definition.options.iter().any(|(_, value)| calls(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fail2ban::JailSpec;

    fn action(options: &[(&str, &str)]) -> Definition {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Definition { name: "a".into(), file: "a".into(), options }
    }

    #[test]
    fn commands_shut_the_ports_that_they_speak_of() {
        let ban = ("actionban", "iptables -I f2b -s <ip> -j REJECT");
        let unban = ("actionunban", "iptables -D f2b -s <ip> -j REJECT");
        let start = ("actionstart", "iptables -I INPUT -p <protocol> --dports <port> -j f2b");
        let ports = ("port", "ssh,8000:8100");
        let scope = |actions: &[Definition]| {
            let spec = JailSpec::new("j", crate::fail2ban::Definition::default());
            let mut notes = Notes { spec: &spec, mistakes: Vec::new(), wrong: false };
            let scope = super::scope(&Rules::Spelled(Arc::from([])), actions, "", &mut notes);
            (scope, notes.mistakes.len())
        };
        let some = |ports: &[(u16, u16)], protocols: &[Protocol]| {
            (Scope::ports(ports.to_vec(), protocols, Ways::ALL), 0)
        };
        let two = [(22, 22), (8000, 8100)];
        assert_eq!(scope(&[action(&[start, ban, unban, ports])]), some(&two, &[Protocol::Tcp]));
        let udp = ("protocol", "udp");
        assert_eq!(scope(&[action(&[start, ban, unban, ports, udp])]), some(&two, &[Protocol::Udp]));
        assert_eq!(scope(&[action(&[ban, unban, ports])]), some(&[], &[]), "all");
        assert_eq!(scope(&[action(&[ban, ports])]), (Scope::default(), 0), "it only tells somebody");
        assert_eq!(scope(&[action(&[start, ban, unban, ("port", "nosuch")])]), (Scope::default(), 1));
    }
}
