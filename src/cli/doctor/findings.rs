//! What the facts mean: pure.

use std::time::Duration;

use serde::Serialize;

use super::host::{Clock, Facts, LogFact, Rights};
use super::proof::Proof;
use crate::control::request::{JailStatus, RUNNING, Status};
use crate::control::text::count;
use crate::firewall::Hook;
use crate::sandbox::Closed;

/// A log that says nothing for so long is worth a look.
const SILENT: Duration = Duration::from_secs(86_400);
/// A line is dated when it is written, give or take this.
const SKEW: Duration = Duration::from_secs(600);
/// So many of a kind are named, the rest counted.
const NAMED: usize = 3;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Fine,
    /// It could not be found out.
    Unknown,
    /// Perhaps as it should be: the operator knows.
    Look,
    /// Bans do not hold, or attacks are not seen.
    Wrong,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unknown => "unknown",
            Self::Look => "look",
            Self::Wrong => "WRONG",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// A word for monitoring.
    pub(super) check: &'static str,
    pub(super) state: State,
    /// What is so.
    pub(super) what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    fn new(check: &'static str, state: State, what: impl Into<String>) -> Self {
        Self { check, state, what: what.into(), advice: None }
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// All of it, in the order of a line's way to a ban.
pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![configuration(facts)];
    logs(facts, &mut findings);
    clocks(facts, &mut findings);
    findings.push(kernel(&facts.proof));
    match &facts.status {
        Ok(status) => {
            findings.push(daemon(status));
            findings.extend(facts.rights.map(rights));
            findings.push(sandbox(status.sandbox.as_ref()));
            findings.push(enforced(&status.jails));
            findings.push(futile(&status.jails));
            findings.push(masked(&status.jails));
        }
        Err(why) => findings.push(
            Finding::new("daemon", State::Wrong, format!("no daemon answers: {why}"))
                .advise("systemctl start stockade, or stockade run; another socket: --socket"),
        ),
    }
    findings.push(connections(facts));
    findings.push(forwarding(facts));
    findings
}

fn configuration(facts: &Facts) -> Finding {
    if facts.mistakes > 0 {
        let what = count(facts.mistakes as u64, "mistake", "mistakes");
        return Finding::new("configuration", State::Wrong, what).advise("stockade check lists them");
    }
    if facts.jails.is_empty() {
        return Finding::new("configuration", State::Wrong, "no jail is enabled: nothing is protected")
            .advise("stockade check says which jails fit the logs of this host");
    }
    let jails = count(facts.jails.len() as u64, "jail is enabled", "jails are enabled");
    Finding::new("configuration", State::Fine, jails)
}

/// The first few of them.
fn named<'n>(names: impl ExactSizeIterator<Item = &'n str>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let first = names.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

fn logs(facts: &Facts, findings: &mut Vec<Finding>) {
    let unread: Vec<_> = facts.logs().filter_map(|log| Some((log, log.refused.as_deref()?))).collect();
    for (log, why) in unread.iter().take(NAMED) {
        let what = format!("{} cannot be read: {why}", log.path);
        findings.push(
            Finding::new("logs", State::Wrong, what)
                .advise("run the daemon as root, with CAP_DAC_READ_SEARCH, or in the group of the log"),
        );
    }
    for jail in facts.jails.iter().filter(|jail| jail.logs.is_empty() && jail.wants_files) {
        let what = format!("{}: no log file is there yet ({})", jail.name, jail.patterns.join(", "));
        findings.push(
            Finding::new("logs", State::Look, what)
                .advise("does the service log elsewhere, or to the journal?"),
        );
    }
    let age = |log: &LogFact| log.modified.map(|modified| facts.now.since(modified));
    let silent: Vec<_> = facts.logs().filter(|log| age(log).is_some_and(|age| age >= SILENT)).collect();
    if !silent.is_empty() {
        let names = named(silent.iter().map(|log| &*log.path));
        findings.push(
            Finding::new("silent", State::Look, format!("nothing was written for a day to {names}"))
                .advise("does the service still log there? After a rotation it may hold the old file"),
        );
    }
    if unread.is_empty() && facts.logs().next().is_some() {
        let files = count(facts.logs().count() as u64, "log file", "log files");
        findings.push(Finding::new("logs", State::Fine, format!("{files} can be read")));
    }
}

fn clocks(facts: &Facts, findings: &mut Vec<Finding>) {
    match facts.clock {
        Clock::Synchronised => {
            findings.push(Finding::new("clock", State::Fine, "it is kept right by a time server"));
        }
        Clock::Free => findings.push(
            Finding::new("clock", State::Look, "no time server keeps this clock right")
                .advise("a step of the clock ends bans early or late: timedatectl set-ntp true, or chrony"),
        ),
        Clock::Unknown => {}
    }
    for log in facts.logs() {
        let (Some(dated), Some(modified)) = (log.dated, log.modified) else { continue };
        let (early, late) = (modified.since(dated), dated.since(modified));
        if early.max(late) > SKEW {
            let (by, word) = if early > late { (early, "before") } else { (late, "after") };
            let minutes = by.as_secs() / 60;
            let what = format!("the last line of {} is dated {minutes} min {word} it was written", log.path);
            findings
                .push(Finding::new("clock", State::Look, what).advise(
                    "does the service write in a zone other than this host's? give both the same TZ",
                ));
        }
    }
}

fn kernel(proof: &Proof) -> Finding {
    match proof {
        Proof::Holds { accepted, .. } => {
            let more = if *accepted { ", behind another table's accept, too" } else { "" };
            let what =
                format!("a ban was set, read back, and kept packets out{more} (in a namespace of its own)");
            Finding::new("kernel", State::Fine, what)
        }
        Proof::Fails(why) => Finding::new("kernel", State::Wrong, why.clone()),
        Proof::Untried(why) => {
            Finding::new("kernel", State::Unknown, format!("a ban could not be tried: {why}"))
                .advise("run it as root, with util-linux installed")
        }
    }
}

fn daemon(status: &Status) -> Finding {
    let ours = env!("CARGO_PKG_VERSION");
    if !status.ready {
        return Finding::new(
            "daemon",
            State::Wrong,
            "it runs, but is not ready: saved bans are not in force yet",
        );
    }
    if let Some(warning) = status.warnings.first() {
        let more = status.warnings.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Finding::new("daemon", State::Wrong, format!("{warning}{more}")).advise("stockade status");
    }
    let parked: Vec<_> = status.jails.iter().filter(|jail| jail.state != RUNNING).collect();
    if !parked.is_empty() {
        let names = named(parked.iter().map(|jail| &*jail.name));
        return Finding::new("daemon", State::Wrong, format!("does not run: {names}"))
            .advise("stockade reload JAIL starts a parked jail again; the log says what ended it");
    }
    if status.version != ours {
        return Finding::new(
            "daemon",
            State::Look,
            format!("it is version {}, this is {ours}", status.version),
        )
        .advise("restart the daemon; its bans stay in the firewall");
    }
    Finding::new("daemon", State::Fine, format!("it runs (pid {}) and is ready", status.pid))
}

fn rights(rights: Rights) -> Finding {
    match rights {
        Rights { net_admin: false, .. } => Finding::new(
            "rights",
            State::Wrong,
            "the daemon has no CAP_NET_ADMIN: it cannot change the firewall",
        )
        .advise("run it as root; in a container: --cap-add=NET_ADMIN"),
        Rights { all_logs: false, .. } => Finding::new(
            "rights",
            State::Look,
            "the daemon reads only logs that its user and groups may read",
        ),
        Rights { .. } => {
            Finding::new("rights", State::Fine, "the daemon may change the firewall and read all logs")
        }
    }
}

fn sandbox(closed: Option<&Closed>) -> Finding {
    let Some(closed) = closed else {
        return Finding::new("sandbox", State::Look, "the daemon keeps all rights that it was started with")
            .advise(
                "sandbox = \"on\" in [daemon], unless an action needs it so: capabilities = … in that action",
            );
    };
    let (text, open) = (closed.text(), closed.open.join("; "));
    if open.is_empty() {
        return Finding::new("sandbox", State::Fine, text);
    }
    Finding::new("sandbox", State::Look, format!("{text}; not closed: {open}"))
        .advise("the kernel or the container's engine refuses it: see docs/security.md")
}

fn enforced(jails: &[JailStatus]) -> Finding {
    let refused: Vec<_> = jails.iter().filter(|jail| !jail.not_enforced.is_empty()).collect();
    if let Some(jail) = refused.first() {
        let (id, why) = &jail.not_enforced[0];
        let all = refused.iter().map(|jail| jail.not_enforced.len() as u64).sum();
        let what = format!(
            "{} not enforced, such as {id} in {}: {why}",
            count(all, "ban is", "bans are"),
            jail.name
        );
        return Finding::new("enforced", State::Wrong, what);
    }
    let bans = jails.iter().map(|jail| jail.banned_now).sum();
    Finding::new(
        "enforced",
        State::Fine,
        format!("the firewall has confirmed {}", count(bans, "ban", "bans")),
    )
}

fn futile(jails: &[JailStatus]) -> Finding {
    let found = jails.iter().find_map(|jail| Some((jail, jail.futile.as_ref()?)));
    match found {
        Some((jail, futile)) => Finding::new("reached", State::Wrong, format!("{}: {futile}", jail.name)),
        None => Finding::new("reached", State::Fine, "nobody who is banned was seen failing again"),
    }
}

fn masked(jails: &[JailStatus]) -> Finding {
    match jails.iter().find_map(|jail| Some((jail, jail.masked.first()?))) {
        Some((jail, masked)) => Finding::new("addresses", State::Wrong, format!("{}: {masked}", jail.name)),
        None => Finding::new("addresses", State::Fine, "clients come with addresses of their own"),
    }
}

/// Whether they end with a ban, where a jail wants that: as the daemon met it, else as it was tried.
fn connections(facts: &Facts) -> Finding {
    let cutting = facts.jails.iter().filter(|jail| jail.cuts).count();
    let told = facts.status.as_ref().ok().map(|status| &status.cuts);
    let tried = match &facts.proof {
        Proof::Holds { uncut, .. } => uncut.as_ref(),
        Proof::Fails(_) | Proof::Untried(_) => None,
    };
    let why = told.and_then(|cuts| cuts.cannot.as_ref()).or(tried);
    match why {
        _ if cutting == 0 => Finding::new("connections", State::Fine, "no jail cuts those of a banned host (`cut`)"),
        Some(why) => Finding::new("connections", State::Look, format!("those of a banned host end by themselves only: {why}"))
            .advise("packets of banned hosts are dropped all the same; a service may hold their place for minutes. Without the need: cut = false"),
        None => {
            let cut = told.map_or(0, |cuts| cuts.connections);
            let what = format!("those of a banned host end with its ban ({cut} so far)");
            Finding::new("connections", State::Fine, what)
        }
    }
}

/// Packets to published ports of containers never come to `input`.
fn forwarding(facts: &Facts) -> Finding {
    let forwards = |hooks: &[Hook]| hooks.iter().any(|hook| *hook != Hook::Input);
    let blind: Vec<_> = facts
        .jails
        .iter()
        .filter(|jail| jail.hooks.as_deref().is_some_and(|hooks| !forwards(hooks)))
        .collect();
    if facts.bridges.is_empty() || !facts.forwards || blind.is_empty() {
        return Finding::new(
            "forwarding",
            State::Fine,
            "no packets go through this host past the jails' hooks",
        );
    }
    let what = format!(
        "this host forwards packets ({}), and {} look at `input` only: published ports of containers are not protected",
        named(facts.bridges.iter().map(String::as_str)),
        named(blind.iter().map(|jail| &*jail.name)),
    );
    Finding::new("forwarding", State::Look, what)
        .advise("if such a service runs in a container: hooks = [\"input\", \"forward\"]; a Fail2Ban tree: chain_hook = forward in its action")
}

#[cfg(test)]
mod tests;
