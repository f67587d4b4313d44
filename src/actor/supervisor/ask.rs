//! Answers what the control socket asks.

use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;

use super::fill::unfilled_text;
use super::start::missing;
use super::trial;
use super::yard::{Slot, Yard};
use crate::actor::guard;
use crate::actor::jail::JailActor;
use crate::actor::message::{ListBans, Order, Report, Spare, Watching};
use crate::broker;
use crate::control::request::{Drifts, JailBans, JailStatus, Request, Response, Status, Verdict};
use crate::control::text;
use crate::id::Id;
use crate::sandbox::{self, Closed};
use crate::sentence::Sentence;

/// How long a jail may take to tell of itself.
pub(super) const REPORT: Duration = Duration::from_secs(2);
/// How long kernel and disk may take for an operator's wish.
const CARRY_OUT: Duration = Duration::from_secs(30);
/// The jail for bans by hand.
const CUSTOM: &str = "custom";

type Jails = Vec<(Arc<str>, Addr<JailActor>)>;

impl Yard {
    /// The answer to a request.
    pub(super) async fn answer(self: &Rc<Self>, request: Request) -> Response {
        let starting = !self.ready.get()
            && !matches!(request, Request::Ping | Request::Status { .. } | Request::Stop { .. });
        if starting {
            return Response::Error("not ready: saved bans are being put in force".to_owned());
        }
        let outcome = match request {
            Request::Ping => Ok(Response::Pong {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                ready: self.ready.get(),
            }),
            Request::Status { jail } => self.status(jail.as_deref()).await,
            Request::Banned { id } => self.banned(id.as_deref()).await,
            Request::Ban { ids, jail, span, force } => {
                self.ban(&ids, jail.as_deref(), span.as_deref(), force).await
            }
            Request::Unban { ids, all, jail } => self.unban(&ids, all, jail.as_deref()).await,
            Request::Reload { jail, confirm } => {
                self.reload_on_demand(jail.as_deref(), confirm.as_deref()).await
            }
            Request::Confirm { undo: false } => {
                self.confirm().await.map(|jails| Response::Confirmed { jails })
            }
            Request::Confirm { undo: true } => self.undo_trial().await.map(Response::Reloaded),
            Request::Log { level, target } => self.log(level.as_deref(), target.as_deref()),
            Request::Stop { remove } => {
                let yard = self.clone();
                actix::spawn(async move {
                    // The answer goes out first.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    yard.stop(remove.then_some(true)).await;
                });
                Ok(Response::Stopping)
            }
        };
        outcome.unwrap_or_else(Response::Error)
    }

    async fn reload_on_demand(
        self: &Rc<Self>,
        jail: Option<&str>,
        confirm: Option<&str>,
    ) -> Result<Response, String> {
        let span = confirm.map(trial::span_of).transpose()?;
        self.reload(jail, span).await.map(Response::Reloaded)
    }

    async fn status(&self, jail: Option<&str>) -> Result<Response, String> {
        let names: Vec<Arc<str>> = self
            .jails
            .borrow()
            .keys()
            .filter(|name| jail.is_none_or(|jail| &***name == jail))
            .cloned()
            .collect();
        if let (true, Some(jail)) = (names.is_empty(), jail) {
            return Err(self.no_jail(jail));
        }
        let reports = names.iter().map(|name| self.jail_status(name, jail.is_some()));
        let mut warnings = self.warnings.borrow().clone();
        warnings.extend(self.config.borrow().mistakes.iter().map(ToString::to_string));
        warnings.extend(self.own.borrow().missing.iter().map(|name| missing(name)));
        warnings.extend(self.unfilled.borrow().values().map(|why| unfilled_text(why)));
        if let Some(why) = self.health.behind() {
            warnings.push(format!("what happens is not on disk yet, bans hold: {why}"));
        }
        if broker::state() == broker::State::Gone {
            warnings.push(
                "the command broker has ended: actions do not run until the daemon is restarted".to_owned(),
            );
        }
        let panics = guard::panics();
        if panics > 0 {
            let some = text::count(panics, "panic", "panics");
            warnings.push(format!("{some} since the start, see the log: please report it"));
        }
        let mut jails = Vec::new();
        for (status, warning) in join_all(reports).await {
            if let Some(warning) = warning
                && !warnings.contains(&warning)
            {
                warnings.push(warning);
            }
            warnings
                .extend(status.masked.iter().map(|masked| format!("{name}: {masked}", name = status.name)));
            warnings.extend(status.shut.iter().map(|shut| format!("{}: {shut}", status.name)));
            warnings.extend(status.futile.iter().map(|futile| format!("{}: {futile}", status.name)));
            jails.push(status);
        }
        Ok(Response::Status(Box::new(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            ready: self.ready.get(),
            store: self.store_text.borrow().clone(),
            warnings,
            sandbox: closed(),
            drifts: self.drifts(),
            on_trial: self.on_trial(),
            cuts: self.cutter.told(),
            panics,
            jails,
        })))
    }

    /// What others did to the firewall.
    fn drifts(&self) -> Drifts {
        self.drifts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One jail's status, and what the tailer has to warn of.
    async fn jail_status(&self, name: &Arc<str>, bans: bool) -> (JailStatus, Option<String>) {
        let (addr, number, parked, enforcement) = match self.jails.borrow().get(name) {
            Some(slot) => (slot.addr.clone(), slot.number, slot.parked, slot.config.enforcement()),
            None => (None, 0, false, String::new()),
        };
        let silent = |state: &str| JailStatus {
            name: name.to_string(),
            number,
            state: state.to_owned(),
            enforcement: enforcement.clone(),
            ..JailStatus::default()
        };
        let report = ask_jail(addr, parked, Report { bans }).await;
        let mut status = report.unwrap_or_else(silent);
        let tailer = self.tailer.borrow().clone();
        let mut warning = None;
        if let Some(tailer) = tailer
            && let Ok(Ok(Some(watched))) =
                tokio::time::timeout(REPORT, tailer.send(Watching(name.clone()))).await
        {
            status.files = watched.files;
            warning = watched.warning;
        }
        (status, warning)
    }

    async fn banned(&self, id: Option<&str>) -> Result<Response, String> {
        let id = id.map(Id::parse);
        let asked = |(name, slot): (&Arc<str>, &Slot)| {
            let (jail, addr, parked, asked) = (name.to_string(), slot.addr.clone(), slot.parked, id.clone());
            async move {
                ask_jail(addr, parked, ListBans(asked)).await.unwrap_or_else(|state| JailBans {
                    jail,
                    unknown: Some(state.to_owned()),
                    ..JailBans::default()
                })
            }
        };
        let asked: Vec<_> = self.jails.borrow().iter().map(asked).collect();
        let answers = join_all(asked).await.into_iter();
        let says_something = |jail: &JailBans| !jail.bans.is_empty() || jail.unknown.is_some();
        Ok(Response::Banned(answers.filter(says_something).collect()))
    }

    async fn ban(
        &self,
        ids: &[String],
        jail: Option<&str>,
        span: Option<&str>,
        force: bool,
    ) -> Result<Response, String> {
        let sentence =
            span.map(str::parse::<Sentence>).transpose().map_err(|error| format!("--for: {error}"))?;
        let spare = if force { Spare::Nobody } else { Spare::Ignored };
        let (name, addr) = self.jail_for_bans(jail)?;
        let enforced = self.jails.borrow().get(&name).is_some_and(|slot| slot.config.options.enforced);
        let mut verdicts = Vec::new();
        let mut good = Vec::new();
        for text in ids {
            match Id::parse(text) {
                Id::Text(_) if enforced => verdicts.push(Verdict {
                    id: text.clone(),
                    jail: name.to_string(),
                    what: "neither an IP address nor a prefix such as 192.0.2.0/24".to_owned(),
                    ..Verdict::default()
                }),
                id => good.push(id),
            }
        }
        if !good.is_empty() {
            verdicts.extend(carry_out(&name, addr, Order::Ban { ids: good, sentence, spare }).await);
        }
        Ok(Response::Verdicts(verdicts))
    }

    /// The named jail, else `custom`, else the only one there is.
    fn jail_for_bans(&self, jail: Option<&str>) -> Result<(Arc<str>, Addr<JailActor>), String> {
        let living = self.living();
        let named = |wanted: &str| living.iter().find(|(name, _)| &**name == wanted).cloned();
        match jail {
            Some(jail) => named(jail).ok_or_else(|| self.no_jail(jail)),
            None => named(CUSTOM)
                .or_else(|| if let [only] = &living[..] { Some(only.clone()) } else { None })
                .ok_or_else(|| {
                    format!(
                        "name one with --jail, or enable the jail `{CUSTOM}`: the jails are {}",
                        names(&living)
                    )
                }),
        }
    }

    async fn unban(&self, ids: &[String], all: bool, jail: Option<&str>) -> Result<Response, String> {
        let mut jails = self.living();
        if let Some(jail) = jail {
            jails.retain(|(name, _)| &**name == jail);
            if jails.is_empty() {
                return Err(self.no_jail(jail));
            }
        }
        let parsed: Vec<Id> = ids.iter().map(|text| Id::parse(text)).collect();
        let orders = jails.iter().map(|(name, addr)| {
            let order = if all { Order::UnbanAll } else { Order::Unban(parsed.clone()) };
            carry_out(name, addr.clone(), order)
        });
        let verdicts: Vec<Verdict> = join_all(orders).await.into_iter().flatten().collect();
        if all || jail.is_some() {
            return Ok(Response::Verdicts(verdicts));
        }
        // Of several jails only those matter that had it; one line when none had.
        let mut told = Vec::new();
        for id in &parsed {
            let text = id.to_string();
            let mut mine = verdicts.iter().filter(|verdict| verdict.id == text && verdict.done).peekable();
            if mine.peek().is_none() {
                let what = "not banned in any jail".to_owned();
                told.push(Verdict { id: text, what, ..Verdict::default() });
            } else {
                told.extend(mine.cloned());
            }
        }
        Ok(Response::Verdicts(told))
    }

    fn log(&self, level: Option<&str>, target: Option<&str>) -> Result<Response, String> {
        if let Some(level) = level {
            self.logs.set_level(level).map_err(|error| error.to_string())?;
        }
        if let Some(target) = target {
            self.logs.set_target(target).map_err(|error| error.to_string())?;
        }
        Ok(Response::Log { level: self.logs.level(), target: self.logs.target() })
    }

    fn no_jail(&self, jail: &str) -> String {
        let known = self.jails.borrow();
        let names: Vec<&str> = known.keys().map(|name| &**name).collect();
        format!("there is no jail {jail}: the jails are {}", names.join(", "))
    }
}

fn names(jails: &Jails) -> String {
    jails.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ")
}

/// Hands a wish to a jail and waits for kernel and disk.
pub(super) async fn carry_out(name: &Arc<str>, addr: Addr<JailActor>, order: Order) -> Vec<Verdict> {
    let asked: Vec<String> = match &order {
        Order::Ban { ids, .. } | Order::Unban(ids) => ids.iter().map(ToString::to_string).collect(),
        Order::Charge { id, .. } => vec![id.to_string()],
        Order::UnbanAll => Vec::new(),
    };
    let why = match tokio::time::timeout(CARRY_OUT, addr.send(order)).await {
        Ok(Ok(verdicts)) => return verdicts,
        Ok(Err(_)) => "the jail is being revived: try again",
        Err(_) => "not confirmed by kernel and disk in time",
    };
    let unsure =
        |id| Verdict { id, jail: name.to_string(), what: why.to_owned(), lost: true, ..Verdict::default() };
    asked.into_iter().map(unsure).collect()
}

/// What it has given up, and the broker, if that still runs.
fn closed() -> Option<Closed> {
    let closed = sandbox::closed()?.clone();
    let runs = matches!(broker::state(), broker::State::Running(_));
    Some(Closed { broker: closed.broker.filter(|_| runs), ..closed })
}

/// A jail's answer; in which state it is, if it gives none.
async fn ask_jail<M>(
    addr: Option<Addr<JailActor>>,
    parked: bool,
    question: M,
) -> Result<M::Result, &'static str>
where
    JailActor: Handler<M>,
    M: Message<Result: Send> + Send + 'static,
{
    let gone = if parked { "parked" } else { "reviving" };
    let asked = addr.ok_or(gone)?.send(question);
    match tokio::time::timeout(REPORT, asked).await {
        Ok(answer) => answer.map_err(|_| gone),
        Err(_) => Err("busy: it has not answered for 2 s"),
    }
}
