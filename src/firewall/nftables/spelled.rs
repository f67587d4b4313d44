//! What an action of Fail2Ban's world spells out for nftables, read from its commands.
//!
//! Pure. In: a [`Definition`] whose commands are shell text. Out: [`Spelled`], the sets, chains and rules that running
//! those commands would make, or a [`Reason`] that names the word which was not understood. `shell` reads the text,
//! `reduce` runs it on paper, `statement` reads each command of nft. What is accepted has exactly the effect that the
//! shell would bring about; everything else is for the shell. The shell around it is [`super::exact`].

mod reduce;
mod shell;
mod statement;

use std::fmt;
use std::sync::Arc;

use crate::action::Definition;
use crate::action::template::{self, Family, TemplateError};
use crate::firewall::services;
use reduce::{Step, Substance};
pub use statement::{
    Chain, ChainKind, Place, Ports, Protocols, Rule, Set, SetHook, SetName, Share, TableFamily, Verdict,
};

/// One action whose commands are understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spelled {
    /// The action's name, unique in its jail.
    pub action: Arc<str>,
    /// Whether its sets and rules appear with the first ban, not with the jail.
    pub on_demand: bool,
    /// What it makes for whom.
    pub faces: Vec<Face>,
}

/// What an action makes for one family of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Whose bans go there; none: everybody's, as the action does not tell them apart.
    pub family: Option<Family>,
    /// The set, and what looks at it.
    pub layout: Layout,
}

/// A set, and the rules that look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The set.
    pub set: Set,
    /// The chains that look at it, each with its rules.
    pub branches: Vec<(Chain, Vec<Rule>)>,
    /// Whether its table goes with the last set in it.
    pub removes_table: bool,
}

impl Layout {
    /// Adds what another action wants of the same set. As when the second one's commands are run, the set stays as the
    /// first made it; a rule that is there already would change nothing.
    pub fn join(&mut self, other: &Self) {
        for (chain, rules) in &other.branches {
            match self.branches.iter_mut().find(|(own, _)| own.name == chain.name) {
                Some((_, own)) => {
                    let new: Vec<_> = rules.iter().filter(|rule| !own.contains(rule)).cloned().collect();
                    own.extend(new);
                }
                None => self.branches.push((chain.clone(), rules.clone())),
            }
        }
        self.removes_table |= other.removes_table;
    }
}

impl Spelled {
    /// The same bans at less cost (`layout = fast`): a set with `flags interval` takes a time per address that grows with
    /// the number of those in it. So single addresses go to a set of its name without that flag, prefixes to another one
    /// beside it, `NAME-net`, and the same rules look at both.
    #[must_use]
    pub fn fast(mut self) -> Self {
        let split = |face: Face| {
            if !face.layout.set.is_interval {
                return vec![face];
            }
            let (mut singles, mut prefixes) = (face.clone(), face);
            let (set, net) = (&mut singles.layout.set, &mut prefixes.layout.set);
            (set.is_interval, set.share, net.share) = (false, Share::Singles, Share::Prefixes);
            net.name.name = format!("{}-net", net.name.name).into();
            vec![singles, prefixes]
        };
        self.faces = self.faces.into_iter().flat_map(split).collect();
        self
    }
}

/// Why an action's commands are left to the shell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {what}")]
pub struct Reason {
    /// The command, such as `actionban`.
    pub option: String,
    /// What is not understood in it.
    pub what: String,
}

impl Reason {
    fn new(option: &str, what: impl fmt::Display) -> Self {
        Self { option: option.to_owned(), what: what.to_string() }
    }
}

/// What would do something that no set or rule can, so that the whole action is left to the shell.
const OTHER_COMMANDS: [&str; 4] = ["actionreban", "actionprolong", "actionrepair", "actionreload"];
const OTHER_FLAGS: [&str; 2] = ["norestored", "actionrepair_on_unban"];

/// Reads what an action spells out. `ipv6`: whether IPv6 is in use (`allowipv6`); `services`: the text of
/// `/etc/services`.
///
/// # Errors
/// Anything in a command whose effect is not known exactly.
pub fn recognise(definition: &Definition, ipv6: bool, services: &str) -> Result<Spelled, Reason> {
    for option in OTHER_COMMANDS {
        if definition.options.iter().any(|(key, value)| key.starts_with(option) && !value.trim().is_empty()) {
            return Err(Reason::new(option, "the native firewall has nothing like it"));
        }
    }
    for option in OTHER_FLAGS {
        if definition.flag(option) == Some(true) {
            return Err(Reason::new(option, "the native firewall has nothing like it"));
        }
    }
    let conditional = definition.is_conditional();
    let families: &[Option<Family>] = match (conditional, ipv6) {
        (false, _) => &[None],
        (true, false) => &[Some(Family::Inet4)],
        (true, true) => &[Some(Family::Inet4), Some(Family::Inet6)],
    };
    let face = |&family: &Option<Family>| {
        let commands = Commands::of(definition, family, services)?;
        Ok(Face { family, layout: commands.layout()? })
    };
    let mut faces = families.iter().map(face).collect::<Result<Vec<_>, _>>()?;
    if let [first, second] = &*faces
        && first.layout.set.name == second.layout.set.name
    {
        if first.layout != second.layout {
            return Err(Reason::new("actionstart", "makes the same set in two ways for IPv4 and IPv6"));
        }
        faces.truncate(1);
        faces[0].family = None;
    }
    Ok(Spelled {
        action: definition.name.clone(),
        on_demand: definition.flag("actionstart_on_demand").unwrap_or(conditional),
        faces,
    })
}

/// What each command of an action does, for one family.
struct Commands {
    start: Vec<Step>,
    stop: Vec<Step>,
    check: Vec<Step>,
    ban: Vec<Step>,
    unban: Vec<Step>,
    flush: Vec<Step>,
}

impl Commands {
    fn of(definition: &Definition, family: Option<Family>, services: &str) -> Result<Self, Reason> {
        let read = |option: &str| {
            let text = template::expand(definition, option, family).map_err(|error| match error {
                TemplateError::Endless { tag, .. } => Reason::new(option, format!("<{tag}> holds itself")),
                TemplateError::TooLong { .. } => Reason::new(option, "is too long"),
            })?;
            let script = shell::parse(&text).map_err(|what| Reason::new(option, what))?;
            reduce::run(&script, services).map_err(|what| Reason::new(option, what))
        };
        Ok(Self {
            start: read("actionstart")?,
            stop: read("actionstop")?,
            check: read("actioncheck")?,
            ban: read("actionban")?,
            unban: read("actionunban")?,
            flush: read("actionflush")?,
        })
    }

    /// What they make together, if they are about one set and each does with it what it should.
    fn layout(&self) -> Result<Layout, Reason> {
        let (set, chain, rules) = self.made()?;
        let is_ours = |name: &statement::SetName| *name == set.name;
        let [Step::Nft(Substance::AddElement(name))] = &*self.ban else {
            return Err(Reason::new("actionban", "is not the addition of one element"));
        };
        if !is_ours(name) {
            return Err(Reason::new("actionban", format!("`{name}` is not the set of actionstart")));
        }
        let [Step::Nft(Substance::DeleteElement(name))] = &*self.unban else {
            return Err(Reason::new("actionunban", "is not the deletion of one element"));
        };
        if !is_ours(name) {
            return Err(Reason::new("actionunban", format!("`{name}` is not the set of actionstart")));
        }
        match &*self.check {
            [] => {}
            [Step::LooksFor(looked)] if *looked == (chain.clone(), set.name.clone()) => {}
            _ => return Err(Reason::new("actioncheck", "does not look for the rule of actionstart")),
        }
        let undone = |steps: &[Step]| match steps {
            [Step::DeleteRules(rules_of), Step::Nft(Substance::DeleteSet(name))] => {
                is_ours(name) && *rules_of == (chain.clone(), set.name.clone())
            }
            _ => false,
        };
        let removes_table = match &*self.stop {
            [undo @ .., Step::DeleteEmptyTable(place)] if undone(undo) && *place == set.name.place => true,
            undo if undone(undo) => false,
            _ => return Err(Reason::new("actionstop", "does not undo exactly what actionstart does")),
        };
        match &*self.flush {
            [] => {}
            [Step::Nft(Substance::FlushSet(name))] if is_ours(name) => {}
            [Step::Otherwise(first, second)]
                if matches!(&**first, [Step::Nft(Substance::FlushSet(name))] if is_ours(name))
                    && second.split_at_checked(2).is_some_and(|(undo, again)| {
                        undone(undo) && self.start.ends_with(again) && again.len() == 1 + rules.len()
                    }) => {}
            _ => return Err(Reason::new("actionflush", "does not empty the set of actionstart")),
        }
        let chain = self.start.iter().find_map(|step| match step {
            Step::Nft(Substance::AddChain(chain)) => Some(chain.clone()),
            _ => None,
        });
        let chain = chain.ok_or_else(|| Reason::new("actionstart", "adds no chain"))?;
        Ok(Layout { set, branches: vec![(chain, rules)], removes_table })
    }

    /// The set that actionstart makes, the chain's name, and the rules in it that look at the set.
    fn made(&self) -> Result<(Set, Arc<str>, Vec<Rule>), Reason> {
        let wrong = |what: String| Reason::new("actionstart", what);
        let [
            Step::Nft(Substance::AddTable(place)),
            Step::Nft(Substance::AddChain(chain)),
            Step::Nft(Substance::AddSet(set)),
            rules @ ..,
        ] = &*self.start
        else {
            return Err(wrong("does not add a table, a chain, a set and rules, in this order".to_owned()));
        };
        if chain.place != *place || set.name.place != *place {
            return Err(wrong(format!("is about more than the table `{place}`")));
        }
        let mut found = Vec::new();
        for step in rules {
            let Step::Nft(Substance::AddRule { place: table, chain: name, rule, set: looked }) = step else {
                return Err(wrong(
                    "does something besides adding a table, a chain, a set and rules".to_owned(),
                ));
            };
            if *table != *place || *name != chain.name {
                return Err(wrong(format!("adds a rule to `{name}` of `{table}`, not to its chain")));
            }
            if *looked != set.name.name || rule.is_ipv6 != set.is_ipv6 {
                return Err(wrong(format!("has a rule that looks at `@{looked}` and not at its set")));
            }
            if !place.family.has(rule.is_ipv6) {
                return Err(wrong(format!("no such packet comes by the table `{place}`")));
            }
            if chain.hook == SetHook::Postrouting && matches!(rule.verdict, Verdict::Reject(..)) {
                return Err(wrong(
                    "rejects packets in the hook `postrouting`, where the kernel can not".to_owned(),
                ));
            }
            if found.contains(rule) {
                return Err(wrong("adds the same rule twice".to_owned()));
            }
            found.push(rule.clone());
        }
        if found.is_empty() {
            return Err(wrong("adds no rule".to_owned()));
        }
        Ok((set.clone(), chain.name.clone(), found))
    }
}

/// The number of a port, as nft finds it.
fn port(word: &str, services: &str) -> Option<u16> {
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        statement::decimal(word)
    } else {
        services::port(word, services)
    }
}

#[cfg(test)]
pub(super) mod tests;
