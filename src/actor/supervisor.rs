//! The supervisor: starts every actor in the diagram's order, retunes and revives them, answers what is asked.
//!
//! The actor itself only receives; what it does is in `yard::Yard`, in steps that may wait for others.

mod ask;
mod database;
mod fail2ban;
mod fill;
mod past;
mod reload;
mod restarts;
mod signals;
mod start;
mod stop;
mod traces;
mod trial;
mod yard;

use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;

use crate::actor::control;
use crate::actor::guard::Child;
use crate::actor::message::{Ask, Converse, Died, Drift};
use crate::actor::now;
use crate::control::request::Response;
use crate::python::{Raised, Value};

pub use database::NOT_REMEMBERED;
use yard::Yard;
pub use yard::{Ending, Manner, Setup};

/// How often drop-ins, ignore files, logins and a trial's time are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often old history is purged.
const PURGE: Duration = Duration::from_secs(3600);

/// The supervisor.
pub struct Supervisor {
    setup: Option<Setup>,
    ending: Ending,
    yard: Option<Rc<Yard>>,
}

impl Supervisor {
    /// A supervisor that has started nothing; `ending` learns how it ended.
    pub fn new(setup: Setup, ending: Ending) -> Self {
        Self { setup: Some(setup), ending, yard: None }
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(mut setup) = self.setup.take() else { return };
        if let Some(listener) = setup.listener.take() {
            control::start(listener, ctx.address().recipient(), ctx.address().recipient());
        }
        let yard = Rc::new(Yard::new(setup, ctx.address(), self.ending.clone()));
        self.yard = Some(yard.clone());
        signals::listen(ctx);
        every(ctx, LOOK, |yard| async move { yard.look().await });
        every(ctx, LOOK, |yard| async move { yard.try_store().await });
        every(ctx, LOOK, |yard| async move { yard.look_at_trial().await });
        every(ctx, PURGE, |yard| async move { yard.purge() });
        if let Some(span) = sd_notify::watchdog_enabled() {
            ctx.run_interval(span / 2, |_, _| notify(&[sd_notify::NotifyState::Watchdog]));
        }
        ctx.spawn(async move { yard.start().await }.into_actor(self));
    }
}

/// Does something again and again, once there is a yard.
fn every<F, T>(ctx: &mut Context<Supervisor>, span: Duration, task: F)
where
    F: Fn(Rc<Yard>) -> T + 'static,
    T: Future<Output = ()> + 'static,
{
    ctx.run_interval(span, move |this, ctx| {
        if let Some(yard) = &this.yard {
            ctx.spawn(task(yard.clone()).into_actor(this));
        }
    });
}

/// Tells systemd, if it listens.
fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(target: "fail2ban.server", "systemd cannot be told: {error}");
    }
}

impl Handler<Ask> for Supervisor {
    type Result = ResponseFuture<Response>;

    fn handle(&mut self, Ask(request): Ask, _: &mut Self::Context) -> Self::Result {
        match &self.yard {
            Some(yard) => {
                let yard = yard.clone();
                Box::pin(async move { yard.answer(request).await })
            }
            None => Box::pin(std::future::ready(Response::Error("not ready: starting".to_owned()))),
        }
    }
}

impl Handler<Converse> for Supervisor {
    type Result = ResponseFuture<Result<Value, Raised>>;

    fn handle(&mut self, Converse(words): Converse, _: &mut Self::Context) -> Self::Result {
        let yard = self.yard.clone();
        Box::pin(async move {
            match yard {
                Some(yard) => yard.converse(words).await,
                None => Err(Raised::builtin("RuntimeError", "not ready: starting")),
            }
        })
    }
}

impl Handler<Died> for Supervisor {
    type Result = ();

    fn handle(&mut self, Died { child, life, panicked }: Died, ctx: &mut Self::Context) {
        let Some(yard) = self.yard.clone() else { return };
        let Some(delay) = yard.mourn(&child, life, panicked, now()) else { return };
        let task = async move {
            tokio::time::sleep(delay).await;
            yard.revive(child).await;
        };
        ctx.spawn(task.into_actor(self));
    }
}

impl Handler<Drift> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Drift, ctx: &mut Self::Context) {
        let Some(yard) = self.yard.clone() else { return };
        ctx.spawn(async move { yard.refill().await }.into_actor(self));
    }
}

impl Handler<signals::Signal> for Supervisor {
    type Result = ();

    fn handle(&mut self, signal: signals::Signal, ctx: &mut Self::Context) {
        let Some(yard) = self.yard.clone() else { return };
        ctx.spawn(async move { yard.signal(signal).await }.into_actor(self));
    }
}

impl Child {
    fn jail(&self) -> Option<&std::sync::Arc<str>> {
        match self {
            Self::Jail(name) => Some(name),
            _ => None,
        }
    }
}
