//! What a jail tells of itself.

use actix::prelude::*;

use super::JailActor;
use super::effects::shut;
use crate::actor::message::{ListBans, ListIds, Report};
use crate::control::request::{BanStatus, ENFORCED, JailBans, JailStatus, RUNNING};
use crate::id::Id;
use crate::roster::{Banned, State};

/// Refused bans that a status names at most.
const REFUSED_SHOWN: usize = 100;

impl Handler<Report> for JailActor {
    type Result = MessageResult<Report>;

    fn handle(&mut self, Report { bans }: Report, ctx: &mut Self::Context) -> Self::Result {
        self.handle_logins(ctx);
        let options = &self.config.options;
        let totals = self.jail.totals();
        let refused = self.jail.not_enforced().map(|(id, why)| (id, why.to_string()));
        MessageResult(JailStatus {
            name: options.name.to_string(),
            number: self.number,
            state: RUNNING.to_owned(),
            enforcement: self.config.enforcement(),
            max_retry: options.tracker.max_retry,
            find_time: options.tracker.find_time.as_secs(),
            ban_time: options.ban_time.0.map(|span| span.as_secs()),
            files: Vec::new(),
            lines: totals.lines,
            failed_now: self.jail.failed_now() as u64,
            failed_total: totals.failed,
            ignored_total: totals.ignored,
            spared_total: totals.spared,
            undecided_total: totals.undecided,
            evicted_total: totals.evicted,
            banned_now: self.jail.banned_now() as u64,
            banned_total: totals.banned,
            futile: self.jail.futile().cloned(),
            masked: self.jail.masked().to_vec(),
            spared: self.jail.spared().cloned().collect(),
            shut: self.jail.shut().map(|(host, why)| shut(&host, &why)).collect(),
            not_enforced: refused.take(REFUSED_SHOWN).collect(),
            bans: if bans { self.jail.bans().map(ban_status).collect() } else { Vec::new() },
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
        let bans = self.jail.bans().filter(|banned| concerns(&banned.ban.id));
        let bans = bans.map(ban_status).collect();
        MessageResult(JailBans { jail: self.name().to_string(), bans, unknown: None })
    }
}

impl Handler<ListIds> for JailActor {
    type Result = MessageResult<ListIds>;

    fn handle(&mut self, _: ListIds, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.jail.ids_in_force().collect())
    }
}

fn ban_status(banned: Banned) -> BanStatus {
    let until = banned.ban.until();
    BanStatus {
        id: banned.ban.id,
        since: banned.ban.time,
        until,
        count: banned.ban.count,
        failures: banned.ban.failures,
        state: match &banned.state {
            State::Acknowledged => ENFORCED.into(),
            State::Wanted => "wanted".into(),
            State::Refused(why) => format!("not enforced: {why}").into(),
        },
        lines: banned.ban.lines,
    }
}
