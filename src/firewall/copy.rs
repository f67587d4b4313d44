//! What a firewall is to enforce, remembered by whoever fills it, so that it can be put back without asking the jails.
//!
//! Pure: the caller passes the moment. A single IPv4 address takes 8 bytes, and a note for a while when it comes or goes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fours::{Fours, four};
use super::{Change, Element, Refusal, Rules, Singles, Wanted};
use crate::subnet::Subnet;

/// The end of what has none.
const NEVER: u32 = u32::MAX;

/// A copy of what all jails of one firewall have in force.
#[derive(Debug)]
pub struct Copy {
    /// Seconds are counted from here.
    start: Instant,
    jails: BTreeMap<Arc<str>, Kept>,
}

#[derive(Debug)]
struct Kept {
    rules: Rules,
    /// Each with the second at which the kernel lets it go.
    four: Fours<u32>,
    other: BTreeMap<Subnet, u32>,
}

impl Copy {
    /// Nothing is in force.
    pub fn new(start: Instant) -> Self {
        Self { start, jails: BTreeMap::new() }
    }

    /// Exactly these are in force, but for those that were refused.
    pub fn replace(&mut self, all: &[Wanted], refused: &[Vec<(Subnet, Refusal)>], now: Instant) {
        self.jails.clear();
        for (index, Wanted { jail, rules, elements }) in all.iter().enumerate() {
            let mut kept = Kept::new(rules.clone());
            for element in elements {
                kept.put(element.net, self.end(element.timeout, now));
            }
            for (net, _) in refused.get(index).into_iter().flatten() {
                kept.take(net);
            }
            self.jails.insert(jail.clone(), kept);
        }
    }

    /// These changes were made, as far as they were not refused.
    pub fn apply(&mut self, changes: &[Change], answers: &[Result<(), Refusal>], now: Instant) {
        for (change, answer) in changes.iter().zip(answers) {
            match (change, answer) {
                (Change::Open { jail, rules }, Ok(())) => match self.jails.get_mut(jail) {
                    Some(kept) => kept.rules = rules.clone(),
                    None => drop(self.jails.insert(jail.clone(), Kept::new(rules.clone()))),
                },
                (Change::Close { jail }, Ok(())) => drop(self.jails.remove(jail)),
                (Change::Ban { jail, element }, Ok(())) => {
                    let end = self.end(element.timeout, now);
                    if let Some(kept) = self.jails.get_mut(jail) {
                        kept.put(element.net, end);
                    }
                }
                (Change::Unban { jail, net }, _) => {
                    if let Some(kept) = self.jails.get_mut(jail) {
                        kept.take(net);
                    }
                }
                (_, Err(_)) => {}
            }
        }
    }

    /// The jails, each with its rules and without its bans.
    pub fn bare(&self) -> Vec<Wanted> {
        let jails = self.jails.iter();
        jails
            .map(|(jail, kept)| Wanted {
                jail: jail.clone(),
                rules: kept.rules.clone(),
                elements: Vec::new(),
            })
            .collect()
    }

    /// How many single addresses of each jail are banned.
    pub fn singles(&mut self) -> Vec<(Arc<str>, Singles)> {
        let count = |(jail, kept): (&Arc<str>, &mut Kept)| {
            let six = kept.other.keys().filter(|net| net.is_single()).count();
            (jail.clone(), Singles { four: kept.four.sorted().len(), six })
        };
        self.jails.iter_mut().map(count).collect()
    }

    /// All bans of a jail that are not over, each with the rest of its time.
    pub fn elements(&mut self, jail: &str, now: Instant) -> Vec<Element> {
        let second = self.second(now);
        let Some(kept) = self.jails.get_mut(jail) else { return Vec::new() };
        let four = kept.four.sorted().iter().map(|(four, end)| (Ipv4Addr::from_bits(*four).into(), *end));
        let all = four.chain(kept.other.iter().map(|(net, end)| (*net, *end)));
        all.filter_map(|(net, end)| element(net, end, second)).collect()
    }

    /// One ban of a jail, if it is in force.
    pub fn get(&mut self, jail: &str, net: &Subnet, now: Instant) -> Option<Element> {
        let second = self.second(now);
        let kept = self.jails.get_mut(jail)?;
        let end = match four(net) {
            Some(four) => kept.four.get(four),
            None => kept.other.get(net).copied(),
        };
        element(*net, end?, second)
    }

    fn second(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(NEVER - 1)
    }

    fn end(&self, timeout: Option<Duration>, now: Instant) -> u32 {
        timeout.map_or(NEVER, |timeout| {
            let rest = u32::try_from(timeout.as_secs()).unwrap_or(NEVER - 1);
            self.second(now).saturating_add(rest.max(1)).min(NEVER - 1)
        })
    }
}

/// With the rest of its time; none: it is over.
fn element(net: Subnet, end: u32, second: u32) -> Option<Element> {
    if end == NEVER {
        return Some(Element { net, timeout: None });
    }
    let rest = end.checked_sub(second).filter(|rest| *rest > 0)?;
    Some(Element { net, timeout: Some(Duration::from_secs(rest.into())) })
}

impl Kept {
    fn new(rules: Rules) -> Self {
        Self { rules, four: Fours::default(), other: BTreeMap::new() }
    }

    fn put(&mut self, net: Subnet, end: u32) {
        match four(&net) {
            Some(four) => self.four.note(four, Some(end)),
            None => drop(self.other.insert(net, end)),
        }
    }

    fn take(&mut self, net: &Subnet) {
        match four(net) {
            Some(four) => self.four.note(four, None),
            None => drop(self.other.remove(net)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::firewall::{Block, Hook, Ruleset};

    fn rules(port: u16) -> Rules {
        let hooks = vec![Hook::Input];
        Ruleset { ports: vec![(port, port)], protocols: vec![], block: Block::Drop, hooks, priority: 0 }
            .into()
    }

    fn ban(text: &str, timeout: Option<u64>) -> Change {
        let element = Element { net: text.parse().unwrap(), timeout: timeout.map(Duration::from_secs) };
        Change::Ban { jail: "a".into(), element }
    }

    #[test]
    fn what_was_done_is_remembered_until_its_end() {
        let start = Instant::now();
        let mut copy = Copy::new(start);
        let changes = [
            Change::Open { jail: "a".into(), rules: rules(1) },
            ban("192.0.2.1", Some(60)),
            ban("192.0.2.2", None),
            ban("2001:db8::/32", Some(10)),
            ban("192.0.2.3", Some(60)),
            Change::Open { jail: "b".into(), rules: rules(2) },
        ];
        let refused = Err(Refusal("no".into()));
        copy.apply(&changes, &[Ok(()), Ok(()), Ok(()), Ok(()), refused.clone(), refused], start);
        let later = start + Duration::from_secs(20);
        let left = [("192.0.2.1", Some(40)), ("192.0.2.2", None)];
        let left = left
            .map(|(net, rest)| Element { net: net.parse().unwrap(), timeout: rest.map(Duration::from_secs) });
        assert_eq!(copy.elements("a", later), left);
        assert_eq!(copy.get("a", &"192.0.2.1".parse().unwrap(), later), Some(left[0]));
        assert_eq!(copy.get("a", &"192.0.2.3".parse().unwrap(), later), None, "it was refused");
        assert_eq!(copy.bare().len(), 1);
        copy.apply(&[Change::Open { jail: "a".into(), rules: rules(3) }], &[Ok(())], later);
        assert_eq!(copy.bare()[0].rules, rules(3));
        assert_eq!(copy.elements("a", later).len(), 2, "other rules, the same bans");
        let wanted = Wanted { elements: left.to_vec(), ..copy.bare().remove(0) };
        copy.replace(&[wanted], &[vec![(left[0].net, Refusal("no".into()))]], later);
        assert_eq!(copy.elements("a", later), left[1..]);
        copy.apply(&[Change::Close { jail: "a".into() }], &[Ok(())], later);
        assert!(copy.bare().is_empty() && copy.elements("a", later).is_empty());
    }

    proptest! {
        #[test]
        fn as_a_plain_map(steps in prop::collection::vec((0_u8..40, 0_u32..3, any::<bool>()), 0..200)) {
            let now = Instant::now();
            let mut copy = Copy::new(now);
            copy.apply(&[Change::Open { jail: "a".into(), rules: rules(1) }], &[Ok(())], now);
            let mut plain = BTreeMap::new();
            for (n, timeout, ask) in steps {
                let text = match n % 3 {
                    0 => format!("192.0.2.{n}"),
                    1 => format!("10.{n}.0.0/16"),
                    _ => format!("2001:db8::{n}"),
                };
                let net: Subnet = text.parse().unwrap();
                let element = Element { net, timeout: Some(Duration::from_secs(u64::from(timeout) * 10)) };
                let change = if timeout == 0 {
                    plain.remove(&net);
                    Change::Unban { jail: "a".into(), net }
                } else {
                    plain.insert(net, element);
                    Change::Ban { jail: "a".into(), element }
                };
                copy.apply(&[change], &[Ok(())], now);
                prop_assert!(!ask || copy.get("a", &net, now) == plain.get(&net).copied());
            }
            let mut all = copy.elements("a", now);
            all.sort_by_key(|element| element.net);
            prop_assert_eq!(all, plain.into_values().collect::<Vec<_>>());
        }
    }
}
