//! The end: lines stop, jails hand over, the disk has everything, the firewall keeps or loses its bans.

use std::rc::Rc;
use std::time::Duration;

use super::notify;
use super::yard::Yard;
use crate::actor::guard::Child;
use crate::actor::message::Retire;
use crate::actor::{firewall, store};

/// All of it within this time; what is not done then is left undone and said.
const LIMIT: Duration = Duration::from_millis(1700);

impl Yard {
    /// Ends the program in order. `remove` overrides what it was started with.
    pub(super) async fn stop(self: &Rc<Self>, remove: Option<bool>) {
        if self.stopping.replace(true) {
            return;
        }
        let remove = remove.unwrap_or(self.remove);
        notify(&[sd_notify::NotifyState::Stopping]);
        tracing::info!(
            target: "fail2ban.server",
            "stopping: bans {} the firewall",
            if remove { "leave" } else { "stay in" }
        );
        self.helper.stop();
        let outcome = tokio::time::timeout(LIMIT, self.wind_down(remove)).await;
        let code = match outcome {
            Ok(Ok(())) => 0,
            Ok(Err(why)) => {
                tracing::error!(target: "fail2ban.server", "{why}");
                1
            }
            Err(_) => {
                tracing::error!(target: "fail2ban.server", "not everything was handed over within {LIMIT:?}");
                1
            }
        };
        tracing::info!(target: "fail2ban.server", "stopped");
        self.logs.flush();
        self.end(code);
    }

    async fn wind_down(self: &Rc<Self>, remove: bool) -> Result<(), String> {
        // Who has to take the last words must live.
        for child in [Child::Firewall, Child::Store] {
            if self.resurrect(&child) {
                self.start_again(child).await;
            }
        }
        let retired = self.living().into_iter().map(|(_, jail)| async move {
            // A jail that hangs must not cost the others their last words.
            let _ = tokio::time::timeout(LIMIT / 3, jail.send(Retire { lift: false })).await;
            for _ in 0..200 {
                if !jail.connected() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        futures_util::future::join_all(retired).await;
        let stored = async {
            if self.store.is_some() {
                self.ask_store(store::Job::Stop).await.unwrap_or(Ok(()))
            } else {
                Ok(())
            }
        };
        let lifted = self.ask_firewall(|done| firewall::Job::Stop { remove, done });
        let (stored, lifted) = futures_util::future::join(stored, lifted).await;
        stored.map_err(|why| format!("the store: {why}"))?;
        lifted.map_err(|why| format!("the firewall: {why}"))
    }
}
