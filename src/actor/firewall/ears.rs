//! The thread that hears of what others do to the firewall.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use super::healing::{self, Told};
use super::{Backends, Job};
use crate::firewall::heal::Heal;
use crate::firewall::nftables::monitor::{Monitor, News};

/// After so long it is tried again to listen, where that was in vain.
const TRIED_AGAIN: Duration = Duration::from_secs(60);

/// Ends its thread when it is dropped.
pub(super) struct Ears(OwnedFd);

impl Drop for Ears {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// Listens, once there is something to hear and unless it is listening already. Its own transactions are told apart by
/// their sockets, so another firewall makes it listen anew.
pub(super) fn watch(backends: &mut Backends) {
    let kinds = backends.healing.kinds.keys();
    let ports: Vec<u32> = kinds.filter_map(|kind| backends.opened.get(kind)?.port()).collect();
    let healing = &mut backends.healing;
    let now = Instant::now();
    let is_vain = |(own, at): &(Vec<u32>, Instant)| *own == ports && now.duration_since(*at) < TRIED_AGAIN;
    let is_done = healing.ears.as_ref().is_some_and(|(own, _)| *own == ports)
        || healing.deaf.as_ref().is_some_and(is_vain);
    let Some(mailbox) = healing.mailbox.clone().filter(|_| !is_done && healing.heal != Heal::Off) else {
        return;
    };
    let was_other = healing.ears.take().is_some();
    let was_deaf = healing.deaf.take().is_some();
    let stood = healing.stood.take();
    match listen(&ports, mailbox, healing.told.clone()) {
        Ok(ears) => {
            healing.ears = Some((ports, ears));
            set_deaf(&healing.told, None);
        }
        Err(error) => {
            let what = format!("what others change in the firewall is noticed only at the next ban: {error}");
            if !was_deaf {
                tracing::warn!(target: "fail2ban.actions", "{what}");
            }
            set_deaf(&healing.told, Some(what));
            healing.deaf = Some((ports, now));
        }
    }
    let generation = backends.opened.values_mut().find_map(|firewall| firewall.generation());
    if was_other || stood.is_some_and(|stood| generation != Some(stood)) {
        healing::heard(backends, &News::Overrun, now);
    }
}

fn set_deaf(told: &Told, why: Option<String>) {
    told.lock().unwrap_or_else(PoisonError::into_inner).deaf = why;
}

/// Starts the thread that listens. It waits for nothing but news and for room in the mailbox.
fn listen(own: &[u32], mailbox: Sender<Job>, told: Told) -> std::io::Result<Ears> {
    let (mut monitor, stop) = Monitor::open(own)?;
    let listen = move || {
        while hear(&mut monitor, &mailbox, &told) {}
    };
    thread::Builder::new().name("monitor".into()).stack_size(256 * 1024).spawn(listen)?;
    Ok(Ears(stop))
}

/// Hands on the next news; a socket that fails is opened anew. False: it is to end.
fn hear(monitor: &mut Monitor, mailbox: &Sender<Job>, told: &Told) -> bool {
    let mut news = Vec::new();
    let goes_on = catch_unwind(AssertUnwindSafe(|| monitor.wait(|one| news.push((one, Instant::now())))));
    let goes_on = goes_on.unwrap_or_else(|_| {
        news.push((News::Overrun, Instant::now()));
        Ok(true)
    });
    for (news, at) in news {
        let is_loss = !matches!(&news, News::Foreign(foreign) if foreign.lost.is_nothing());
        if is_loss && mailbox.send(Job::News(news, at)).is_err() {
            return false;
        }
    }
    let Err(error) = goes_on else { return matches!(goes_on, Ok(true)) };
    let what = format!("what others change in the firewall is noticed only at the next ban: {error}");
    tracing::error!(target: "fail2ban.actions", "{what}; it is tried again");
    set_deaf(told, Some(what));
    let came_back = monitor.reopen(|error| {
        tracing::debug!(target: "fail2ban.actions", "what others change in the firewall cannot be heard: {error}");
    });
    if !came_back {
        return false;
    }
    tracing::warn!(target: "fail2ban.actions", "what others change in the firewall is heard again: everything is checked");
    set_deaf(told, None);
    mailbox.send(Job::News(News::Overrun, Instant::now())).is_ok()
}
