//! Options of a jail at run time; jails that come, go and pause.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::answers::not_done;
use crate::actor::message::{Idle, Reenforce, Retune, Unsubscribe};
use crate::actor::supervisor::past::Memory;
use crate::actor::supervisor::traces::Traces;
use crate::actor::supervisor::yard::{PATIENCE, Yard};
use crate::config::{self, JailConfig, Mistake};
use crate::fail2ban::{JailSpec, desk};
use crate::python::{Raised, Value};

/// How long a jail that stops may take to hand over its last words.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Yard {
    /// A jail that runs.
    pub(super) fn config_of(&self, jail: &str) -> Result<JailConfig, Raised> {
        let jails = self.jails.borrow();
        jails.get(jail).map(|slot| slot.config.clone()).ok_or_else(|| Raised::unknown_jail(jail))
    }

    pub(super) fn get(&self, jail: &str, words: &[Value]) -> Result<Value, Raised> {
        if let Some(spec) = self.world.drafts.borrow().get(jail) {
            return desk::get(spec, words);
        }
        let config = self.config_of(jail)?;
        match &config.spec {
            Some(spec) => desk::get(&seen_now(spec), words),
            None => desk::get(&JailSpec::seen(&config), words),
        }
    }

    pub(super) async fn set(self: &Rc<Self>, jail: &str, words: &[Value]) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        if let Some(spec) = self.world.drafts.borrow_mut().get_mut(jail) {
            let mut changed = spec.clone();
            let value = desk::set(&mut changed, words)?;
            *spec = changed;
            return Ok(value);
        }
        let config = self.config_of(jail)?;
        let Some(spec) = &config.spec else {
            let file = config.sources.last().map(|file| file.display().to_string()).unwrap_or_default();
            return Err(not_done(format!(
                "the jail {jail} is configured in TOML ({file}): change it in jails.d and reload"
            )));
        };
        let mut changed = seen_now(spec);
        let value = desk::set(&mut changed, words)?;
        let config = self.adopt_spec(Arc::new(changed)).await?;
        self.retune(config).await?;
        Ok(value)
    }

    /// Makes a jail of what is said of it; what is doubted goes to the log.
    pub(super) async fn adopt_spec(&self, spec: Arc<JailSpec>) -> Result<JailConfig, Raised> {
        let (sources, ipv6) = (self.sources.clone(), self.world.options.borrow().allow_ipv6());
        let made = tokio::task::spawn_blocking(move || config::adopt(&spec, &sources, &ipv6)).await;
        match made {
            Ok(Ok((config, doubts))) => {
                for doubt in doubts {
                    tracing::warn!(target: "fail2ban.jail", "[{}] {}", config.options.name, what(&doubt));
                }
                Ok(config)
            }
            Ok(Err(mistakes)) => {
                let why: Vec<String> = mistakes.iter().map(what).collect();
                Err(Raised::builtin("ValueError", why.join("; ")))
            }
            Err(error) => Err(not_done(error.to_string())),
        }
    }

    /// A running jail works by this from now on, or goes on as before.
    async fn retune(&self, config: JailConfig) -> Result<(), Raised> {
        let name = config.options.name.clone();
        let retune = Retune { config: Box::new(config.clone()), on_trial: false };
        let sent = self.address(&name)?.send(retune);
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(why))) => return Err(Raised::builtin("ValueError", why)),
            Ok(Err(_)) | Err(_) => {
                return Err(not_done(format!("the jail {name} did not answer: it is as before")));
            }
        }
        if let Some(slot) = self.jails.borrow_mut().get_mut(&name) {
            slot.config = config;
        }
        self.look_at_ignored(true);
        Ok(())
    }

    pub(super) async fn set_idle(&self, jail: &str, idle: bool) -> Result<Value, Raised> {
        if self.is_draft(jail) {
            self.note_idle(jail, idle);
            return Ok(idle.into());
        }
        let addr = self.address(jail)?;
        self.note_idle(jail, idle);
        let gone = |_| not_done(format!("the jail {jail} is being revived: try again"));
        addr.send(Idle(idle)).await.map_err(gone)?;
        if let (true, Some(tailer)) = (idle, &*self.tailer.borrow()) {
            tailer.do_send(Unsubscribe(jail.into()));
        }
        Ok(idle.into())
    }

    fn note_idle(&self, jail: &str, idle: bool) {
        let mut all = self.world.idle.borrow_mut();
        if idle {
            all.insert(jail.into());
        } else {
            all.remove(jail);
        }
    }

    /// A jail that was told to pause goes on.
    pub(super) async fn wake(&self, jail: &str) {
        if self.is_idle(jail) {
            // It is gone, or revived: then it knows already.
            let _ = self.set_idle(jail, false).await;
        }
    }

    pub(super) async fn add(&self, jail: &str, backend: &str) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        if self.is_draft(jail) || self.runs(jail) {
            return Err(duplicate(jail));
        }
        let spec = JailSpec::added(jail, backend)?;
        self.world.drafts.borrow_mut().insert(jail.into(), spec);
        Ok(jail.into())
    }

    pub(super) async fn start_by_name(self: &Rc<Self>, jail: &str) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        let draft = self.world.drafts.borrow().get(jail).cloned();
        let Some(draft) = draft else {
            self.config_of(jail)?;
            self.wake(jail).await;
            return Ok(Value::None);
        };
        let config = self.adopt_spec(Arc::new(draft)).await?;
        self.world.drafts.borrow_mut().remove(jail);
        self.start_config(config, Memory::All).await?;
        self.enable();
        self.look_at_ignored(true);
        Ok(Value::None)
    }

    /// Starts a jail; it is in force when the firewall has heard of it.
    pub(super) async fn start_config(
        self: &Rc<Self>,
        config: JailConfig,
        memory: Memory,
    ) -> Result<(), Raised> {
        let name = config.options.name.clone();
        self.start_jail(config, &mut Traces::default(), memory).await;
        let addr = self.address(&name).map_err(|_| not_done("it could not be started: see the log"))?;
        addr.do_send(Reenforce);
        tracing::info!(target: "fail2ban.jail", "Jail '{name}' started");
        Ok(())
    }

    pub(super) async fn stop_by_name(&self, jail: &str) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        self.halt(jail).await?;
        self.enable();
        Ok(Value::None)
    }

    /// Stops a jail; its bans leave the firewall and stay in the store.
    pub(super) async fn halt(&self, jail: &str) -> Result<(), Raised> {
        self.world.stopped(jail);
        if self.world.drafts.borrow_mut().remove(jail).is_some() {
            return Ok(());
        }
        let config = self.config_of(jail)?;
        let addr = self.jails.borrow().get(jail).and_then(|slot| slot.addr.clone());
        self.stop_jail(&config.options.name).await;
        let handed_over = async {
            while addr.as_ref().is_some_and(actix::Addr::connected) {
                tokio::time::sleep(super::LOOK).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, handed_over).await.is_err() {
            tracing::warn!(target: "fail2ban.jail", "[{jail}] is still handing over to the store");
        }
        tracing::info!(target: "fail2ban.jail", "Jail '{jail}' stopped");
        Ok(())
    }

    pub(super) async fn stop_all(&self) -> Result<Value, Raised> {
        let _one_at_a_time = self.reloading.lock().await;
        for name in self.names() {
            self.halt(&name).await?;
        }
        self.enable();
        Ok(Value::None)
    }
}

/// What is said of a jail, with the files that it has by now.
fn seen_now(spec: &JailSpec) -> JailSpec {
    let mut spec = spec.clone();
    for log in &mut spec.logs {
        log.found = crate::source::log_files([log.pattern.as_str()]).into_iter().map(Into::into).collect();
    }
    spec
}

fn duplicate(jail: &str) -> Raised {
    let (module, class) = ("fail2ban.exceptions".to_owned(), "DuplicateJailException".to_owned());
    Raised { module, class, arguments: vec![jail.into()] }
}

/// What is wrong, without the file: there is none.
fn what(mistake: &Mistake) -> String {
    mistake.what.clone()
}
