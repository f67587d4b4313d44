//! Signals: SIGHUP reloads (not under Fail2Ban's names), SIGRTMIN+n reloads jail n alone, SIGUSR1 reopens the log, SIGTERM and SIGINT end.

use std::rc::Rc;

use actix::prelude::*;
use tokio::signal::unix::{SignalKind, signal};

use super::Supervisor;
use super::yard::Yard;
use crate::control::request::Reloaded;

/// The kernel → supervisor.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub(super) enum Signal {
    /// Every jail that differs.
    Reload,
    /// The jail with this number.
    ReloadJail(u32),
    /// Open the log anew.
    Reopen,
    /// End.
    Stop,
}

/// Every signal that means something, with its number. The rest of the real-time signals is taken too: by default
/// each of them would end the program.
fn meanings() -> Vec<(i32, Signal)> {
    let mut meanings = vec![
        (libc::SIGHUP, Signal::Reload),
        (libc::SIGUSR1, Signal::Reopen),
        (libc::SIGTERM, Signal::Stop),
        (libc::SIGINT, Signal::Stop),
    ];
    let first = libc::SIGRTMIN();
    meanings.extend((first + 1..=libc::SIGRTMAX()).map(|n| (n, Signal::ReloadJail((n - first) as u32))));
    meanings
}

pub(super) fn listen(ctx: &mut Context<Supervisor>) {
    for (number, meaning) in meanings() {
        let mut signals = match signal(SignalKind::from_raw(number)) {
            Ok(signals) => signals,
            Err(error) => {
                tracing::warn!(target: "fail2ban.server", "signal {number} cannot be received: {error}");
                continue;
            }
        };
        let supervisor = ctx.address();
        actix::spawn(async move {
            while signals.recv().await.is_some() {
                supervisor.do_send(meaning);
            }
        });
    }
}

impl Yard {
    /// Does what a signal asks; what comes of it is in the log.
    pub(super) async fn signal(self: &Rc<Self>, signal: Signal) {
        match signal {
            Signal::Stop => self.stop(None).await,
            Signal::Reopen => match self.logs.reopen() {
                Ok(()) => tracing::info!(target: "fail2ban.server", "the log was opened anew"),
                Err(error) => tracing::error!(target: "fail2ban.server", "{error}"),
            },
            Signal::Reload if !self.manner.hangup_reloads => {}
            Signal::Reload => log(self.reload(None, None).await),
            Signal::ReloadJail(number) => {
                if let Some(jail) = self.numbered(number) {
                    log(self.reload(Some(&jail), None).await);
                } else {
                    tracing::warn!(target: "fail2ban.server", "no jail has the number {number}");
                }
            }
        }
    }
}

/// Says what a reload did that nobody waits for.
pub(super) fn log(outcome: Result<Reloaded, String>) {
    match outcome {
        Err(why) => tracing::error!(target: "fail2ban.server", "reload: {why}"),
        Ok(Reloaded { moved, same, mistakes, .. }) => {
            for line in &mistakes {
                tracing::error!(target: "fail2ban.server", "reload: {line}");
            }
            for line in &moved {
                tracing::info!(target: "fail2ban.server", "reload: {line}");
            }
            tracing::info!(
                target: "fail2ban.server",
                "reload: {} moved, {} as before, {} mistakes",
                moved.len(),
                same.len(),
                mistakes.len()
            );
        }
    }
}
