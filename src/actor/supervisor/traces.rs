//! What tells of bans besides the store: the kernel, and the log.

use std::collections::HashMap;
use std::sync::Arc;

use super::yard::Yard;
use crate::actor::firewall;
use crate::actor::jail::SAFETY;
use crate::config::JailConfig;
use crate::firewall::Element;
use crate::jail::Ban;
use crate::log::Said;
use crate::sentence::Sentence;
use crate::time::UnixTime;

/// By jail.
#[derive(Default)]
pub(super) struct Traces {
    /// What the kernel enforces, where the store could not tell.
    pub(super) kernel: HashMap<Arc<str>, Vec<Element>>,
    /// What the log says.
    pub(super) log: HashMap<Arc<str>, Said>,
}

impl Yard {
    /// For a jail that may have died with bans in hand.
    pub(super) fn traces(&self) -> Traces {
        Traces { log: self.logs.said(), ..Traces::default() }
    }

    /// What the kernel still enforces for these jails, when the store could not tell.
    pub(super) async fn adopt(&self, configs: &[JailConfig]) -> HashMap<Arc<str>, Vec<Element>> {
        let mut kinds: Vec<_> =
            configs.iter().filter(|config| config.options.enforced).map(|config| config.firewall).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut adopted = HashMap::new();
        for kind in kinds {
            match self.ask_firewall(|done| firewall::Job::List { kind, done }).await {
                Ok(listing) => adopted.extend(listing),
                Err(why) => {
                    tracing::error!(target: "fail2ban.actions", "bans cannot be taken over from the kernel: {why}");
                }
            }
        }
        for (jail, elements) in &adopted {
            tracing::warn!(
                target: "fail2ban.database",
                "[{jail}] {} bans taken over from the kernel, without their history",
                elements.len()
            );
        }
        adopted
    }
}

/// A ban of which only the kernel knows: its remaining time, without the safety net.
pub(super) fn kernel_ban(element: Element, now: UnixTime) -> Ban {
    Ban {
        id: element.net.into(),
        time: now,
        sentence: Sentence(element.timeout.map(|left| left.saturating_sub(SAFETY))),
        count: 1,
        failures: 0,
        lines: Vec::new(),
        data: Vec::new(),
        restored: true,
    }
}
