//! Many commands at once: the stream by which a client starts or reloads a server, and a reload by files.
//!
//! A jail with a mistake keeps its running version, or does not start; the others move, and the answer says what is wrong.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::answers::{list, not_done};
use crate::actor::message::Order;
use crate::actor::supervisor::ask::carry_out;
use crate::actor::supervisor::past::Memory;
use crate::actor::supervisor::yard::Yard;
use crate::config::{self, Config, JailConfig};
use crate::control::request::Reloaded;
use crate::fail2ban::JailSpec;
use crate::fail2ban::desk::{self, Drafted};
use crate::python::{Command, Raised, Value, repr};

/// How a reload treats the jails it is about.
#[derive(Debug, Clone, Copy, Default)]
struct How {
    /// They stop and start again, and forget who failed.
    restart: bool,
    /// Everybody is let in.
    unban: bool,
    /// A jail that is not there is no mistake.
    if_exists: bool,
}

impl How {
    fn of(options: &[String]) -> Self {
        let has = |option: &str| options.iter().any(|known| known == option);
        Self { restart: has("--restart"), unban: has("--unban"), if_exists: has("--if-exists") }
    }
}

impl Yard {
    /// Commands of a start: what they say of jails is done at once, when all of it is known.
    pub(super) async fn stream(self: &Rc<Self>, stream: Vec<Command>) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        let drafted = self.draft(stream).await?;
        let drafted = self.tell_server(drafted).await;
        let touched = drafted.jails.iter().map(|spec| spec.name.clone()).collect();
        self.move_drafted(drafted, &touched, How::default()).await?;
        Ok(Value::None)
    }

    /// The jails are those of the stream from now on; with a name, that one alone.
    pub(super) async fn reload_by(
        self: &Rc<Self>,
        only: Option<String>,
        options: &[String],
        stream: Vec<Command>,
    ) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        let how = How::of(options);
        if let Some(jail) = &only
            && !how.if_exists
            && !self.names().iter().any(|name| **name == **jail)
        {
            return Err(Raised::unknown_jail(jail));
        }
        say_reload(only.as_deref());
        let drafted = self.draft(stream).await?;
        let drafted = self.tell_server(drafted).await;
        let mut touched: BTreeSet<Arc<str>> = drafted.jails.iter().map(|spec| spec.name.clone()).collect();
        match only {
            Some(jail) => _ = touched.insert(jail.into()),
            None => touched.extend(self.names().into_iter().filter(|name| self.is_of_fail2bans(name))),
        }
        self.move_drafted(drafted, &touched, how).await?;
        tracing::info!(target: "fail2ban.server", "Reload finished.");
        Ok("OK".into())
    }

    /// Reads the files again, as our own client asks; the answer is what is wrong in them.
    pub(super) async fn reload_from(
        self: &Rc<Self>,
        only: Option<&str>,
        options: &[String],
        folder: PathBuf,
    ) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        let how = How::of(options);
        let mut sources = self.sources.clone();
        sources.etc = folder;
        let loaded = tokio::task::spawn_blocking(move || config::load(&sources)).await;
        let new =
            loaded.map_err(|error| not_done(format!("the configuration could not be read: {error}")))?;
        if new.refused.everything {
            return Ok(list(new.mistakes.iter().map(ToString::to_string)));
        }
        if let Some(jail) = only {
            if !new.knows(jail) {
                return Ok(list([format!("Failed during configuration: No section: {}", repr(jail))]));
            }
            if !self.runs(jail) && !how.if_exists {
                return Err(Raised::unknown_jail(jail));
            }
        }
        say_reload(only);
        let touched: BTreeSet<Arc<str>> = match only {
            Some(jail) => BTreeSet::from([jail.into()]),
            None => self.names().into_iter().collect(),
        };
        self.prepare(&touched, how).await?;
        let before = self.running();
        let told = self.move_to(new, only).await.map_err(not_done)?;
        self.world.drafts.borrow_mut().retain(|name, _| !touched.contains(name));
        self.finish(&touched, &before, how).await?;
        tracing::info!(target: "fail2ban.server", "Reload finished.");
        Ok(list(told.mistakes))
    }

    /// What a stream says, with what runs as far as it speaks of that.
    async fn draft(&self, stream: Vec<Command>) -> Result<Drafted, Raised> {
        let drafts = self.world.drafts.borrow().clone();
        let running = self.running().into_iter().filter_map(|config| config.spec);
        let running: Vec<Arc<JailSpec>> = running.collect();
        let read = tokio::task::spawn_blocking(move || {
            let known = |name: &str| {
                let runs = || running.iter().find(|spec| *spec.name == *name).map(|spec| (**spec).clone());
                drafts.get(name).cloned().or_else(runs)
            };
            desk::draft(stream, &known)
        });
        read.await.map_err(|error| not_done(format!("the stream could not be read: {error}")))
    }

    /// Carries out what a stream says of the server as a whole; the order among jails does not matter to it.
    async fn tell_server(self: &Rc<Self>, mut drafted: Drafted) -> Drafted {
        for text in &drafted.complaints {
            tracing::error!(target: "fail2ban.server", "{text}");
        }
        for order in std::mem::take(&mut drafted.server) {
            if let Err(raised) = self.server(order).await {
                drafted.wrong.push((None, raised));
            }
        }
        drafted
    }

    /// Moves the jails of `touched` to what was drafted: what is not among that stops.
    async fn move_drafted(
        self: &Rc<Self>,
        mut drafted: Drafted,
        touched: &BTreeSet<Arc<str>>,
        how: How,
    ) -> Result<(), Raised> {
        let is_wrong = |name: &Arc<str>| drafted.wrong.iter().any(|(jail, _)| jail.as_ref() == Some(name));
        self.world.drafts.borrow_mut().retain(|name, _| !touched.contains(name) || is_wrong(name));
        let mut right = Vec::new();
        for spec in std::mem::take(&mut drafted.jails) {
            let name = spec.name.clone();
            if !drafted.started.contains(&name) && !self.runs(&name) {
                self.world.drafts.borrow_mut().insert(name, spec);
                continue;
            }
            match self.adopt_spec(Arc::new(spec)).await {
                Ok(config) => right.push(config),
                Err(raised) => drafted.wrong.push((Some(name), raised)),
            }
        }
        let is_touched = |config: &JailConfig| touched.contains(&config.options.name);
        self.prepare(touched, how).await?;
        let before = self.running();
        let mut new: Config = self.config.borrow().clone();
        new.jails = before.iter().filter(|config| !is_touched(config)).cloned().collect();
        new.jails.extend(right);
        new.refused = config::Refused::default();
        new.refused.jails = drafted.wrong.iter().filter_map(|(name, _)| name.clone()).collect();
        let mut told = Reloaded::default();
        self.move_jails(&new, None, &mut told).await;
        self.config.borrow_mut().jails = self.running();
        self.enable();
        self.look_at_ignored(true);
        self.finish(touched, &before, how).await?;
        verdict(drafted.wrong, &told)
    }

    /// Before the jails move: everybody is let in, if that is wished.
    async fn prepare(&self, touched: &BTreeSet<Arc<str>>, how: How) -> Result<(), Raised> {
        for name in touched {
            self.wake(name).await;
            if how.unban && self.runs(name) {
                let addr = self.address(name)?;
                carry_out(name, addr, Order::UnbanAll).await;
            }
        }
        Ok(())
    }

    /// After the jails have moved: those that ran before start anew, if that is wished.
    async fn finish(
        self: &Rc<Self>,
        touched: &BTreeSet<Arc<str>>,
        before: &[JailConfig],
        how: How,
    ) -> Result<(), Raised> {
        let ran = |name: &Arc<str>| before.iter().any(|config| config.options.name == *name);
        for name in touched.iter().filter(|name| how.restart && ran(name) && self.runs(name)) {
            let config = self.config_of(name)?;
            self.halt(name).await?;
            self.start_config(config, Memory::Bans).await?;
        }
        if how.restart {
            self.enable();
            self.look_at_ignored(true);
        }
        Ok(())
    }

    fn running(&self) -> Vec<JailConfig> {
        self.jails.borrow().values().map(|slot| slot.config.clone()).collect()
    }

    /// Whether a jail is one of Fail2Ban's world: a stream says nothing of the others.
    fn is_of_fail2bans(&self, name: &str) -> bool {
        self.is_draft(name) || self.jails.borrow().get(name).is_some_and(|slot| slot.config.spec.is_some())
    }
}

fn say_reload(only: Option<&str>) {
    let what = only.map_or_else(|| "all jails".to_owned(), |jail| format!("jail '{jail}'"));
    tracing::info!(target: "fail2ban.server", "Reload {what}");
}

/// What is wrong, jail by jail, as one exception.
fn verdict(wrong: Vec<(Option<Arc<str>>, Raised)>, told: &Reloaded) -> Result<(), Raised> {
    let text = |(jail, raised): &(Option<Arc<str>>, Raised)| {
        let what = raised.arguments.iter().map(Value::print).collect::<Vec<_>>().join(" ");
        jail.as_ref().map_or_else(|| what.clone(), |jail| format!("jail {jail}: {what}"))
    };
    let mut why: Vec<String> = wrong.iter().map(text).collect();
    why.extend(told.mistakes.iter().cloned());
    match (wrong.into_iter().next(), &why[..]) {
        (_, []) => Ok(()),
        (Some((None, raised)), [_]) => Err(raised),
        (Some((_, raised)), _) if raised.module == "builtins" && raised.class != "KeyError" => {
            Err(Raised::builtin(&raised.class, why.join("; ")))
        }
        _ => Err(not_done(why.join("; "))),
    }
}
