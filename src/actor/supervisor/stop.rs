//! The end: lines stop, jails hand over, the disk has everything, the firewall keeps or loses its bans.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::notify;
use super::yard::Yard;
use crate::actor::guard::Child;
use crate::actor::message::Retire;
use crate::actor::{action, firewall, store};
use crate::config::FirewallKind;

/// All of it within this time; what is not done then is left undone and said. Commands have a time of their own.
const LIMIT: Duration = Duration::from_millis(1700);

impl Yard {
    /// Ends the program in order. `remove` overrides what it was started with.
    pub(super) async fn stop(self: &Rc<Self>, remove: Option<bool>) {
        if let Some(code) = self.wind_up(remove).await {
            self.end(code);
        }
    }

    /// Does all of it but the end itself; with the exit code, or none: it is being done already.
    pub(super) async fn wind_up(self: &Rc<Self>, remove: Option<bool>) -> Option<u8> {
        if self.stopping.replace(true) {
            return None;
        }
        let remove = remove.unwrap_or(self.remove);
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!(
            target: "fail2ban.server",
            "stopping: bans {} the firewall",
            match (remove, self.has_spelled()) {
                (true, _) => "leave",
                (false, true) => "of Fail2Ban's actions leave, others stay in",
                (false, false) => "stay in",
            }
        );
        self.end_trial().await;
        self.helper.stop();
        let commands = self.time_for_commands();
        let limit = LIMIT + commands + if commands.is_zero() { Duration::ZERO } else { action::LAST };
        let outcome = tokio::time::timeout(limit, self.wind_down(remove, commands)).await;
        let code = match outcome {
            Ok(Ok(())) => 0,
            Ok(Err(why)) => {
                tracing::error!(target: "fail2ban.server", "{why}");
                1
            }
            Err(_) => {
                tracing::error!(target: "fail2ban.server", "not everything was handed over within {limit:?}");
                1
            }
        };
        tracing::info!(target: "fail2ban.server", "stopped");
        self.logs.flush();
        Some(code)
    }

    /// Whether a jail is enforced as Fail2Ban's actions spell it: that ends with the program, as theirs does.
    fn has_spelled(&self) -> bool {
        self.jails.borrow().values().any(|slot| slot.config.firewall == FirewallKind::Exact)
    }

    /// How long jails with actions have to undo their bans and to stop them.
    fn time_for_commands(&self) -> Duration {
        let commanded = self.jails.borrow().values().any(|slot| !slot.config.actions.is_empty());
        if commanded { self.config.borrow().daemon.stop_timeout } else { Duration::ZERO }
    }

    async fn wind_down(self: &Rc<Self>, remove: bool, commands: Duration) -> Result<(), String> {
        // Who has to take the last words must live.
        for child in [Child::Firewall, Child::Actions, Child::Store] {
            if self.resurrect(&child) {
                self.start_again(child).await;
            }
        }
        let commanded = |name: &Arc<str>| {
            self.jails.borrow().get(name).is_some_and(|slot| !slot.config.actions.is_empty())
        };
        let retired = self.living().into_iter().map(|(name, jail)| async move {
            // A jail that hangs must not cost the others their last words.
            let limit = LIMIT / 3 + if commanded(&name) { commands } else { Duration::ZERO };
            let late = tokio::time::timeout(limit, jail.send(Retire { lift: false })).await.is_err();
            for _ in 0..200 {
                if !jail.connected() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            (late && commanded(&name)).then_some(name)
        });
        let late: Vec<_> = futures_util::future::join_all(retired).await.into_iter().flatten().collect();
        let cut = self.ask_actions_to_stop().await;
        let stored = async { self.ask_store(store::Job::Stop).await.unwrap_or(Ok(())) };
        let lifted = self.ask_firewall(|done| firewall::Job::Stop { remove, done });
        let (stored, lifted) = futures_util::future::join(stored, lifted).await;
        stored.map_err(|why| format!("the store: {why}"))?;
        lifted.map_err(|why| format!("the firewall: {why}"))?;
        cut.map_err(|why| format!("the actions: {why}"))?;
        if late.is_empty() {
            return Ok(());
        }
        Err(format!("not all actions could be stopped in {commands:?}: those of {}", late.join(", ")))
    }
}
