//! What a worker does with a task: the action's commands, one after another, or a mail.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};

use super::Perform;
use crate::action::grant::Grant;
use crate::action::lifecycle::{Command, Machine, Task, Verdict};
use crate::action::process::{Cancel, End, Outcome};
use crate::action::smtp::Mailer;
use crate::action::template::{Evidence, Hostnames, Ticket, asks, render};
use crate::action::{Definition, Kind};
use crate::actor::{now, store};
use crate::broker;
use crate::fault;
use crate::id::Id;

/// How long the history of an address may take; then a command does without.
const HISTORY: Duration = Duration::from_secs(10);
/// Of a failed script's text and of each of its outputs so much is logged, in bytes.
const SHOWN: usize = 1024;
/// So much of what a command complained stands in a status, in bytes.
const REASON: usize = 200;

/// The action of a jail: jail, file, name.
type Key = (Arc<str>, Arc<str>, Arc<str>);

/// What all workers share.
pub(super) struct Work {
    /// What each action has done so far. Each is locked while its lane works on it.
    machines: Mutex<HashMap<Key, Arc<Mutex<Machine>>>>,
    /// None when the system had no descriptor to give: then the end waits for what runs.
    cancel: Option<Cancel>,
    host: OnceLock<Arc<Hostnames>>,
    store: Mutex<Option<Sender<store::Job>>>,
    ipv6: bool,
}

impl Work {
    pub(super) fn new(store: Option<Sender<store::Job>>) -> Self {
        Self {
            machines: Mutex::default(),
            cancel: Cancel::new().ok(),
            host: OnceLock::new(),
            store: Mutex::new(store),
            ipv6: Path::new("/proc/net/if_inet6").exists(),
        }
    }

    /// Another store is asked from now on, or none.
    pub(super) fn set_store(&self, store: Option<Sender<store::Job>>) {
        *self.store.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    pub(super) fn cancel(&self) {
        if let Some(cancel) = &self.cancel {
            cancel.cancel();
        }
    }

    pub(super) fn perform(&self, perform: Perform) {
        let Perform { definition, task, mut ticket, answer } = perform;
        fault::point("action.task");
        #[cfg(feature = "faults")]
        fault::point(&format!("action.{}", definition.name));
        ticket.host = self.host.get_or_init(|| Arc::new(hostnames())).clone();
        let verdict = match definition.kind() {
            Ok(Kind::Commands) => self.commands(&definition, task, &ticket),
            Ok(Kind::Mails(mailer)) => self.mail(&mailer, &definition, task, &ticket),
            Err(error) => Verdict { result: Err(error.to_string()), repaired: Vec::new() },
        };
        answer.give(verdict);
    }

    fn commands(&self, definition: &Arc<Definition>, task: Task, ticket: &Ticket) -> Verdict {
        let key = (ticket.jail.name.clone(), definition.file.clone(), definition.name.clone());
        let machine = {
            let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Mutex::new(Machine::new(definition.clone(), self.ipv6)));
            let machine = machines.entry(key.clone()).or_insert_with(new);
            if task == Task::Stop { machines.remove(&key).unwrap_or_else(new) } else { machine.clone() }
        };
        let mut machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = definition.timeout();
        let grant = definition.grant().unwrap_or(Grant::NOTHING); // a wrong one is no action
        machine.perform(task, ticket, now(), &mut |command| self.command(command, grant, limit))
    }

    fn command(&self, command: &Command<'_>, grant: Grant, limit: Duration) -> Result<(), String> {
        let asks = |tag| asks(command.text, tag);
        let past = (asks("ipmatches") || asks("ipfailures"), asks("ipjailmatches") || asks("ipjailfailures"));
        let ticket = self.completed(command.ticket, asks("ip-host"), past);
        let script = render(command.text, &ticket);
        let outcome = broker::script(&script, grant, limit, self.cancel.as_ref());
        if outcome.end.is_success() {
            for (name, output) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
                if !output.is_empty() {
                    tracing::debug!(target: "fail2ban.utils", "{} -- {name}: {}", command.what, shown(output));
                }
            }
            return Ok(());
        }
        complain(command.what, &script.text, &outcome, &ticket.jail.name);
        if broker::state() != broker::State::None && lacks_rights(&outcome) {
            let what = "`capabilities` in the action gives it more";
            tracing::info!(target: "fail2ban.utils", "[{}] it ran with {grant}: {what}", ticket.jail.name);
        }
        Err(reason(command.what, &outcome))
    }

    fn mail(&self, mailer: &Mailer, definition: &Definition, task: Task, ticket: &Ticket) -> Verdict {
        let ticket = self.completed(ticket, false, mailer.asks());
        let result = match mailer.mail(task, &ticket) {
            Some(mail) => mailer.send(&mail, &ticket.host.full, now(), definition.timeout()),
            None => Ok(()),
        };
        Verdict { result: result.map_err(|error| error.to_string()), repaired: Vec::new() }
    }

    /// The ticket with what is dear to find out.
    fn completed<'a>(&self, ticket: &'a Ticket, host: bool, (past, jail): (bool, bool)) -> Cow<'a, Ticket> {
        let Some(id) = ticket.id.as_ref().filter(|_| host || past || jail) else {
            return Cow::Borrowed(ticket);
        };
        let mut full = ticket.clone();
        if let (true, Id::Net(net)) = (host, id)
            && net.is_single()
        {
            full.ip_host = name_of(net.address());
        }
        if past {
            full.past = self.past(id, None);
        }
        if jail {
            full.jail_past = self.past(id, Some(&ticket.jail.name));
        }
        Cow::Owned(full)
    }

    /// What the store knows of an address; none when it does not say.
    fn past(&self, id: &Id, jail: Option<&Arc<str>>) -> Option<Evidence> {
        let (done, answer) = bounded(1);
        let job = store::Job::Evidence { id: id.clone(), jail: jail.cloned(), done };
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        store?.send_timeout(job, HISTORY).ok()?;
        // A store that is revived may drop the question.
        match answer.recv_timeout(HISTORY).ok()? {
            Ok(past) => Some(past),
            Err(why) => {
                tracing::warn!(target: "fail2ban.database", "the history of {id} cannot be read: {why}");
                None
            }
        }
    }
}

/// Says all there is to know about a command that failed, as Fail2Ban does: what ran, what it printed, how it ended.
fn complain(what: &str, script: &str, outcome: &Outcome, jail: &str) {
    tracing::error!(target: "fail2ban.utils", "[{jail}] {what} -- exec: {}", shown(script.as_bytes()));
    for (name, output) in [("stdout", &outcome.stdout), ("stderr", &outcome.stderr)] {
        if !output.is_empty() {
            tracing::error!(target: "fail2ban.utils", "[{jail}] {what} -- {name}: {}", shown(output));
        }
    }
    tracing::error!(target: "fail2ban.utils", "[{jail}] {what} -- {}", outcome.end);
    if outcome.end == End::Exit(127) {
        tracing::info!(target: "fail2ban.utils", "[{jail}] 127 means that a command was not found: see its PATH");
    }
}

/// Whether it says that it was not permitted something.
fn lacks_rights(outcome: &Outcome) -> bool {
    let said = String::from_utf8_lossy(&outcome.stderr);
    ["ermission denied", "not permitted", "must be root"].iter().any(|words| said.contains(words))
}

/// The beginning of a text; the log itself spells out what would end a line or steer a terminal.
fn shown(text: &[u8]) -> String {
    let cut = String::from_utf8_lossy(&text[..text.len().min(SHOWN)]);
    let more = if text.len() > SHOWN { "…" } else { "" };
    format!("'{}{more}'", cut.trim_end())
}

/// Why a command failed, in one short line: how it ended, and the last line of what it complained.
fn reason(what: &str, outcome: &Outcome) -> String {
    let stderr = String::from_utf8_lossy(&outcome.stderr);
    let last = stderr.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let clean = last.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut words = String::new();
    for letter in clean {
        if words.len() + letter.len_utf8() > REASON {
            words.push('…');
            break;
        }
        words.push(letter);
    }
    let colon = if words.is_empty() { "" } else { ": " };
    format!("{what} {}{colon}{words}", outcome.end)
}

/// What this host is called; the full name is asked of the resolver once.
fn hostnames() -> Hostnames {
    let short = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let hints = dns_lookup::AddrInfoHints { flags: libc::AI_CANONNAME, ..Default::default() };
    let canonical = dns_lookup::getaddrinfo(Some(&short), None, Some(hints))
        .ok()
        .and_then(|mut found| found.find_map(|info| info.ok()?.canonname));
    Hostnames { full: canonical.unwrap_or_else(|| short.clone()), short }
}

/// What the resolver calls an address; none when it has no name.
fn name_of(address: IpAddr) -> Option<String> {
    dns_lookup::lookup_addr(&address).ok().filter(|name| *name != address.to_string())
}
