//! Bans through iptables and ipset, for kernels without `nf_tables`.
//!
//! Edge: runs `ipset restore` and `iptables-restore`, each once a batch; see `render` for what they are told. What a
//! rule of iptables cannot do is refused: `reject` before routing. A hook's `priority` means nothing here.

mod render;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use super::plan::{self, Plan, State};
use super::tool::{self, Answer};
use super::{Block, Change, Element, Enforced, Firewall, FirewallError, Hook, Refusal, Rules, Wanted};
use crate::subnet::Subnet;
use render::{Flat, HOOKS, Line};
use said::Meaning;

/// A lock that another iptables holds is waited for, in seconds.
const WAIT: [&str; 2] = ["-w", "30"];

/// Which iptables: a system may have two, and rules of the one are not seen by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Variant {
    /// What the system calls `iptables`.
    #[default]
    System,
    /// Through `nf_tables`.
    Nft,
    /// The older one.
    Legacy,
}

impl Variant {
    /// The name of one of its programs: `iptables`, `ip6tables-legacy-restore`, …
    fn program(self, is_ipv6: bool, suffix: &str) -> String {
        let variant = match self {
            Self::System => "",
            Self::Nft => "-nft",
            Self::Legacy => "-legacy",
        };
        format!("{}{variant}{suffix}", if is_ipv6 { "ip6tables" } else { "iptables" })
    }
}

/// The iptables of the network namespace of the thread that uses it.
#[derive(Debug)]
pub struct Iptables {
    variant: Variant,
    /// Why IPv6 cannot be used, if it cannot.
    no_ipv6: Option<String>,
    /// What stands; none: not known, because an earlier run left it or someone else changed it.
    state: Option<State<Flat>>,
    /// The hooks that have a chain of ours.
    hooks: BTreeSet<Hook>,
}

impl Iptables {
    /// Looks whether the programs are there and work; nothing changes yet.
    ///
    /// # Errors
    /// One is missing, or the kernel or a lack of permission is in its way. Without IPv6 the rest works.
    pub fn open(variant: Variant) -> Result<Self, FirewallError> {
        let is_fresh = ours()?.is_empty();
        let mut firewall =
            Self { variant, no_ipv6: None, state: is_fresh.then(State::default), hooks: BTreeSet::new() };
        firewall.must(false, &["-S", "INPUT"])?;
        if let Err(error) = firewall.must(true, &["-S", "INPUT"]) {
            firewall.no_ipv6 = Some(error.to_string());
        }
        Ok(firewall)
    }

    fn families(&self) -> &'static [bool] {
        if self.no_ipv6.is_some() { &[false] } else { &[false, true] }
    }

    /// Runs iptables or ip6tables.
    fn ask(&self, is_ipv6: bool, words: &[&str]) -> Result<Answer, FirewallError> {
        run(&self.variant.program(is_ipv6, ""), &[&WAIT[..], words].concat(), "")
    }

    /// The same, where it must succeed.
    fn must(&self, is_ipv6: bool, words: &[&str]) -> Result<String, FirewallError> {
        let answer = self.ask(is_ipv6, words)?;
        if answer.is_success {
            return Ok(answer.printed);
        }
        let program = self.variant.program(is_ipv6, "");
        Err(match said::meaning(&program, &answer.said) {
            Meaning::Gone => FirewallError::Drift,
            Meaning::Line(_, why) | Meaning::All(why) => failed(why),
        })
    }

    /// What stands in our chain of a hook; none: there is no such chain.
    fn chain(&self, is_ipv6: bool, hook: Hook) -> Result<Option<String>, FirewallError> {
        let (table, _, chain) = render::chains(hook);
        let answer = self.ask(is_ipv6, &["-t", table, "-S", chain])?;
        Ok(answer.is_success.then_some(answer.printed))
    }

    /// How often a hook goes to our chain.
    fn jumps(&self, is_ipv6: bool, hook: Hook) -> Result<usize, FirewallError> {
        let (table, hooked, _) = render::chains(hook);
        Ok(render::jumps(hook, &self.must(is_ipv6, &["-t", table, "-S", hooked])?))
    }

    /// Whether all chains are as they were left; elements are looked at by `ipset` itself.
    fn is_intact(&self, state: &State<Flat>) -> Result<bool, FirewallError> {
        let nothing = Plan::default();
        let rules = state.rules_after(&nothing);
        for &is_ipv6 in self.families() {
            let wanted =
                render::rules(rules.iter().map(|(jail, (flat, change))| (*jail, &flat.0, *change)), is_ipv6);
            for (hook, lines) in wanted {
                let printed = self.chain(is_ipv6, hook)?.unwrap_or_default();
                let count = printed.lines().filter(|line| line.starts_with("-A ")).count();
                if count != lines.len() || self.jumps(is_ipv6, hook)? == 0 {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Applies changes to what stands.
    fn settle(
        &mut self,
        state: &mut State<Flat>,
        changes: &[Change],
    ) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let mut flat = Vec::with_capacity(changes.len());
        let mut foreign = Vec::new();
        for (index, change) in changes.iter().enumerate() {
            flat.push(match change.clone() {
                Change::Open { jail, rules: Rules::Own(ruleset) } => {
                    Change::Open { jail, rules: Flat(ruleset) }
                }
                Change::Open { jail, rules: Rules::Spelled(_) } => {
                    foreign.push(index);
                    Change::Close { jail }
                }
                Change::Close { jail } => Change::Close { jail },
                Change::Ban { jail, element } => Change::Ban { jail, element },
                Change::Unban { jail, net } => Change::Unban { jail, net },
            });
        }
        let mut answers = plan::settle(state, &flat, |state, plan| self.carry_out(state, plan))?;
        for index in foreign {
            answers[index] = Err(Refusal("the jail's rules are those of Fail2Ban's actions".to_owned()));
        }
        Ok(answers)
    }

    /// Sets first, so that no rule looks at one that is not there; what goes, goes last.
    fn carry_out(
        &mut self,
        state: &State<Flat>,
        plan: &Plan<Flat>,
    ) -> Result<Vec<(usize, Refusal)>, FirewallError> {
        let refused = self.impossible(plan);
        if !refused.is_empty() {
            return Ok(refused);
        }
        let lines = render::sets(plan, self.no_ipv6.is_none());
        if let Some(refused) = restore("ipset", &["-exist", "restore"], &lines)? {
            return Ok(refused);
        }
        if !plan.is_structural() {
            return Ok(Vec::new());
        }
        let rules = state.rules_after(plan);
        self.hooks.extend(rules.values().flat_map(|(flat, _)| &flat.0.hooks));
        for &is_ipv6 in self.families() {
            let rules = rules.iter().map(|(jail, (flat, change))| (*jail, &flat.0, *change));
            let rules = render::rules(rules, is_ipv6);
            let mut missing = BTreeSet::new();
            for &hook in &self.hooks {
                if self.jumps(is_ipv6, hook)? == 0 {
                    missing.insert(hook);
                }
            }
            let lines = render::restore(&rules, &self.hooks, &missing);
            let program = self.variant.program(is_ipv6, "-restore");
            if let Some(refused) = restore(&program, &[WAIT[0], WAIT[1], "--noflush"], &lines)? {
                return Ok(refused);
            }
        }
        let gone = plan.close.keys().filter(|jail| !rules.contains_key(*jail));
        destroy(
            gone.flat_map(|jail| self.families().iter().map(|is_ipv6| render::set_name(jail, *is_ipv6))),
        )?;
        Ok(Vec::new())
    }

    /// What cannot be asked of iptables at all.
    fn impossible(&self, plan: &Plan<Flat>) -> Vec<(usize, Refusal)> {
        let refused = |change: usize, why: &str| (change, Refusal(why.to_owned()));
        let rules = plan.rules.values().filter_map(|(Flat(ruleset), change)| {
            if ruleset.hooks.is_empty() {
                return Some(refused(*change, "the jail's `hooks` are empty"));
            }
            let rejects = ruleset.block == Block::Reject && ruleset.hooks.contains(&Hook::Prerouting);
            rejects.then(|| refused(*change, "iptables cannot reject before routing: `block = \"drop\"`"))
        });
        let six = self.no_ipv6.iter().flat_map(|why| {
            plan.ops.iter().filter(|op| op.net.is_ipv6()).map(move |op| refused(op.change, why))
        });
        rules.chain(six).collect()
    }
}

/// The sets of this program.
fn ours() -> Result<Vec<String>, FirewallError> {
    let printed = ipset(&["list", "-n"])?;
    Ok(printed.lines().filter(|name| render::is_ours(name)).map(str::to_owned).collect())
}

fn ipset(words: &[&str]) -> Result<String, FirewallError> {
    let answer = run("ipset", words, "")?;
    if answer.is_success {
        return Ok(answer.printed);
    }
    Err(match said::meaning("ipset", &answer.said) {
        Meaning::Gone => FirewallError::Drift,
        Meaning::Line(_, why) | Meaning::All(why) => failed(why),
    })
}

fn run(program: &str, words: &[&str], input: &str) -> Result<Answer, FirewallError> {
    tool::run(program, words, input).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let package = if program == "ipset" { "ipset" } else { "iptables" };
            failed(format!("`{program}` was not found: install the package {package}"))
        }
        _ => failed(format!("`{program}`: {error}")),
    })
}

fn failed(why: String) -> FirewallError {
    FirewallError::Tool("iptables", why)
}

/// Hands lines to a program that stops at the first it does not take; answers with the changes to blame.
fn restore(
    program: &str,
    words: &[&str],
    lines: &[Line],
) -> Result<Option<Vec<(usize, Refusal)>>, FirewallError> {
    if lines.is_empty() {
        return Ok(None);
    }
    let answer = run(program, words, &render::text(lines))?;
    if answer.is_success {
        return Ok(None);
    }
    match said::meaning(program, &answer.said) {
        Meaning::Gone => Err(FirewallError::Drift),
        Meaning::All(why) => Err(failed(why)),
        Meaning::Line(number, why) => match lines.get(number.wrapping_sub(1)).and_then(|line| line.change) {
            Some(change) if why != said::FULL => Ok(Some(vec![(change, Refusal(why))])),
            // Nor is there room for what comes after it.
            Some(_) => {
                let set = lines[number - 1].text.rsplit_once(" timeout ").map_or("", |(add, _)| add);
                let set = set.rsplit_once(' ').map_or("", |(add, _)| add);
                let rest = lines[number - 1..].iter().filter(|line| line.text.starts_with(set));
                let refused = rest.filter_map(|line| Some((line.change?, Refusal(why.clone()))));
                Ok(Some(refused.collect()))
            }
            None => Err(failed(format!("`{program}`: {why}"))),
        },
    }
}

/// Removes sets; that one is not there is no mistake.
fn destroy(names: impl IntoIterator<Item = String>) -> Result<(), FirewallError> {
    for name in names {
        match ipset(&["destroy", &name]) {
            Ok(_) | Err(FirewallError::Drift) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Firewall for Iptables {
    /// Each set is filled beside the old one and takes its place at once; then the rules change at once.
    fn replace(&mut self, all: &[Wanted]) -> Result<Vec<Vec<(Subnet, Refusal)>>, FirewallError> {
        self.state = None;
        for hook in HOOKS {
            for &is_ipv6 in self.families() {
                if self.chain(is_ipv6, hook)?.is_some() {
                    self.hooks.insert(hook);
                }
            }
        }
        let (changes, owners) = plan::from_nothing(all);
        let mut state = State::default();
        let answers = self.settle(&mut state, &changes)?;
        let jails = state.rules_after(&Plan::default()).into_keys().cloned().collect::<Vec<_>>();
        let kept: BTreeSet<String> =
            jails.iter().flat_map(|jail| [false, true].map(|six| render::set_name(jail, six))).collect();
        if jails.is_empty() {
            self.remove()?;
        }
        destroy(ours()?.into_iter().filter(|name| !kept.contains(name)))?;
        self.state = Some(state);
        Ok(plan::refusals(all, &changes, &owners, answers))
    }

    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Result<(), Refusal>>, FirewallError> {
        let mut state = self.state.take().ok_or(FirewallError::Drift)?;
        if !self.is_intact(&state)? {
            return Err(FirewallError::Drift);
        }
        let answers = self.settle(&mut state, changes);
        self.state = (!matches!(answers, Err(FirewallError::Drift))).then_some(state);
        answers
    }

    fn list(&mut self) -> Result<Enforced, FirewallError> {
        let known = self
            .state
            .iter()
            .flat_map(|state| state.rules_after(&Plan::default()).into_keys().cloned().collect::<Vec<_>>());
        let known =
            known.flat_map(|jail| [false, true].map(|six| (render::set_name(&jail, six), jail.clone())));
        let known: BTreeMap<String, Arc<str>> = known.collect();
        let mut jails: BTreeMap<Arc<str>, Vec<Element>> = BTreeMap::new();
        for name in ours()? {
            let jail = known.get(&name).cloned().or_else(|| render::jail_of(&name).map(Arc::from));
            let Some(jail) = jail else { continue };
            let elements = render::elements(&ipset(&["save", &name])?);
            jails.entry(jail).or_default().extend(elements);
        }
        Ok(jails.into_iter().collect())
    }

    fn remove(&mut self) -> Result<(), FirewallError> {
        for hook in HOOKS {
            for &is_ipv6 in self.families() {
                if self.chain(is_ipv6, hook)?.is_some() {
                    let text = render::remove(hook, self.jumps(is_ipv6, hook)?);
                    let program = self.variant.program(is_ipv6, "-restore");
                    let answer = run(&program, &[WAIT[0], WAIT[1], "--noflush"], &text)?;
                    if !answer.is_success {
                        return Err(failed(format!("`{program}`: {}", answer.said.trim())));
                    }
                }
            }
        }
        destroy(ours()?)?;
        self.hooks.clear();
        self.state = Some(State::default());
        Ok(())
    }
}
