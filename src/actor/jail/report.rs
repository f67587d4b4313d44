//! What a jail tells of itself.

use actix::prelude::*;

use super::JailActor;
use crate::actor::message::{ListBans, Report};
use crate::control::request::{BanStatus, JailBans, JailStatus};
use crate::id::Id;
use crate::roster::{Banned, Enforcement};

/// Refused bans that a status names at most.
const REFUSED_SHOWN: usize = 100;

impl Handler<Report> for JailActor {
    type Result = MessageResult<Report>;

    fn handle(&mut self, Report { bans }: Report, _: &mut Self::Context) -> Self::Result {
        let options = &self.config.options;
        let totals = self.jail.totals();
        let refused = self.jail.bans().filter_map(|(id, banned)| match &banned.state {
            Enforcement::Refused(why) => Some((id.clone(), why.to_string())),
            _ => None,
        });
        MessageResult(JailStatus {
            name: options.name.to_string(),
            number: self.number,
            state: "running".to_owned(),
            enforcement: self.config.enforcement(),
            max_retry: options.tracker.max_retry,
            find_time: options.tracker.find_time.as_secs(),
            ban_time: options.ban_time.0.map(|span| span.as_secs()),
            files: Vec::new(),
            lines: totals.lines,
            failed_now: self.jail.failed_now() as u64,
            failed_total: totals.failed,
            ignored_total: totals.ignored,
            undecided_total: totals.undecided,
            evicted_total: totals.evicted,
            banned_now: self.jail.banned_now() as u64,
            banned_total: totals.banned,
            not_enforced: refused.take(REFUSED_SHOWN).collect(),
            bans: if bans {
                self.jail.bans().map(|(id, banned)| ban_status(id, banned)).collect()
            } else {
                Vec::new()
            },
        })
    }
}

impl Handler<ListBans> for JailActor {
    type Result = MessageResult<ListBans>;

    fn handle(&mut self, ListBans(asked): ListBans, _: &mut Self::Context) -> Self::Result {
        let concerns = |banned: &Id| match (&asked, banned) {
            (None, _) => true,
            (Some(Id::Net(asked)), Id::Net(net)) => net.overlaps(asked),
            (Some(asked), banned) => asked == banned,
        };
        let bans = self.jail.bans().filter(|(id, _)| concerns(id));
        MessageResult(JailBans {
            jail: self.name().to_string(),
            bans: bans.map(|(id, banned)| ban_status(id, banned)).collect(),
        })
    }
}

fn ban_status(id: &Id, banned: &Banned) -> BanStatus {
    BanStatus {
        id: id.clone(),
        since: banned.since,
        until: banned.until,
        count: banned.count,
        failures: banned.failures,
        state: match &banned.state {
            Enforcement::Acknowledged => "enforced".to_owned(),
            Enforcement::Wanted => "wanted".to_owned(),
            Enforcement::Refused(why) => format!("not enforced: {why}"),
        },
        lines: Vec::new(),
    }
}
