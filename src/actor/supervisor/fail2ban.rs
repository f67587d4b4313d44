//! Carries out what a client of Fail2Ban's asks, with the running jails.
//!
//! What a command means is decided by [`crate::fail2ban::desk`]; how an answer is shaped by `answers`.

mod answers;
mod bans;
mod jails;
mod origins;
mod server;
mod status;
mod stream;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::yard::Yard;
use crate::config::Config;
use crate::fail2ban::JailSpec;
use crate::fail2ban::desk::{self, JailOrder, Native, Order};
use crate::python::{Raised, Value};
pub(super) use server::Options;

/// How long a command waits for a server that is starting.
const STARTING: Duration = Duration::from_secs(35);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(10);
/// The client has its answer by then.
const LAST_WORD: Duration = Duration::from_millis(20);

/// What only Fail2Ban's world knows.
pub(super) struct World {
    /// The options of the server as a whole, as they were told.
    options: RefCell<Options>,
    /// Jails that were added and not started yet.
    drafts: RefCell<BTreeMap<Arc<str>, JailSpec>>,
    /// Jails that read nothing until they are told to go on.
    idle: RefCell<BTreeSet<Arc<str>>>,
}

impl World {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            options: RefCell::new(Options::of(config)),
            drafts: RefCell::default(),
            idle: RefCell::default(),
        }
    }
}

impl World {
    /// A jail is gone: when it comes back it reads.
    pub(super) fn stopped(&self, jail: &str) {
        self.idle.borrow_mut().remove(jail);
    }

    /// What the server was told, to tell it again.
    pub(super) fn told(&self) -> Options {
        self.options.borrow().clone()
    }

    /// The server is told all of this.
    pub(super) fn tell(&self, options: Options) {
        *self.options.borrow_mut() = options;
    }

    /// The files were read again: what was told since counts no more.
    pub(super) fn retell(&self, config: &Config) {
        *self.options.borrow_mut() = Options::of(config);
    }
}

impl Yard {
    /// The answer to a command of Fail2Ban's protocol.
    pub(super) async fn converse(self: &Rc<Self>, words: Vec<Value>) -> Result<Value, Raised> {
        let outcome = match desk::order(&words) {
            Ok(order) => self.carry_out(order).await,
            Err(raised) => Err(raised),
        };
        if let Err(raised) = &outcome {
            let (command, raised) = (answers::shortened(&words), answers::exception(raised));
            tracing::error!(
                target: "fail2ban.transmitter",
                "Command {command} has failed. Received {raised}"
            );
        }
        outcome
    }

    async fn carry_out(self: &Rc<Self>, order: Order) -> Result<Value, Raised> {
        match order {
            Order::Answer(value) => return Ok(value),
            Order::Sleep(span) => {
                tokio::time::sleep(span).await;
                return Ok(Value::None);
            }
            Order::Quit => return Ok(self.quit().await),
            _ => self.started().await?,
        }
        match order {
            Order::Answer(_) | Order::Sleep(_) | Order::Quit => Ok(Value::None),
            Order::FlushLogs => self.flush_logs(),
            Order::Server(order) => self.server(order).await,
            Order::Status { jail: None, .. } => Ok(answers::jail_list(&self.names())),
            Order::Status { jail: Some(jail), flavour } => self.status_of(&jail, flavour).await,
            Order::StatusAll(flavour) => self.status_of_all(flavour).await,
            Order::Statistics => self.status_of_all(desk::Flavour::Statistics).await,
            Order::Banned(None) => self.banned_everywhere().await,
            Order::Banned(Some(ids)) => self.where_banned(&ids).await,
            Order::Unban(ids) => self.unban_everywhere(ids).await,
            Order::Add { jail, backend } => self.add(&jail, &backend).await,
            Order::Start(jail) => self.start_by_name(&jail).await,
            Order::Stop(jail) => self.stop_by_name(&jail).await,
            Order::StopAll => self.stop_all().await,
            Order::Reload { jail, options, stream } => self.reload_by(jail, &options, stream).await,
            Order::Stream(stream) => self.stream(stream).await,
            Order::Native(Native::Reload { jail, options, folder }) => {
                self.reload_from(jail.as_deref(), &options, folder).await
            }
            Order::Complain(text) => {
                tracing::error!(target: "fail2ban.server", "{text}");
                Ok(Value::None)
            }
            Order::Jail { jail, order } => self.jail_order(&jail, order).await,
        }
    }

    async fn jail_order(self: &Rc<Self>, jail: &str, order: JailOrder) -> Result<Value, Raised> {
        match order {
            JailOrder::Get(words) => self.get(jail, &words),
            JailOrder::Set(words) => self.set(jail, &words).await,
            JailOrder::Idle(idle) => self.set_idle(jail, idle).await,
            JailOrder::Banned(ids) => self.banned_in(jail, &ids).await,
            JailOrder::BanList { with_time, .. } => self.ban_list(jail, with_time).await,
            JailOrder::Ban(ids) => self.ban_in(jail, &ids).await,
            JailOrder::Unban { ids, report_absent } => self.unban_in(jail, &ids, report_absent).await,
            JailOrder::Attempt { id, lines } => self.attempt(jail, &id, lines).await,
        }
    }

    /// Waits until saved bans are in force and logs are open.
    async fn started(&self) -> Result<(), Raised> {
        let ready = async {
            while !self.ready.get() {
                tokio::time::sleep(LOOK).await;
            }
        };
        let late = |_| answers::not_done("not ready: saved bans are being put in force");
        tokio::time::timeout(STARTING, ready).await.map_err(late)
    }

    /// Ends the program; the answer goes out when everything is handed over.
    async fn quit(self: &Rc<Self>) -> Value {
        let (told, over) = tokio::sync::oneshot::channel();
        let yard = self.clone();
        actix::spawn(async move {
            let Some(code) = yard.wind_up(None).await else { return };
            let _ = told.send(());
            tokio::time::sleep(LAST_WORD).await;
            yard.end(code);
        });
        // An end that is under way already answers by itself.
        let _ = over.await;
        Value::None
    }

    /// The jails there are, started or not, by name.
    fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.jails.borrow().keys().cloned().collect();
        names.extend(self.world.drafts.borrow().keys().cloned());
        names.sort();
        names
    }

    fn is_draft(&self, jail: &str) -> bool {
        self.world.drafts.borrow().contains_key(jail)
    }

    fn runs(&self, jail: &str) -> bool {
        self.jails.borrow().contains_key(jail)
    }

    /// Whether a jail reads nothing for now.
    pub(super) fn is_idle(&self, jail: &str) -> bool {
        self.world.idle.borrow().contains(jail)
    }
}
