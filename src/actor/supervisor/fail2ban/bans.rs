//! Who is banned where; bans, pardons and failures by hand.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::answers::{self, list, not_done};
use crate::actor::jail::JailActor;
use crate::actor::message::{ListBans, ListIds, Order, Spare};
use crate::actor::supervisor::ask::{REPORT, carry_out};
use crate::actor::supervisor::yard::Yard;
use crate::control::request::{BanStatus, Verdict};
use crate::id::Id;
use crate::python::{Raised, Value, command};

/// How long a resolver may take for the names that an operator unbans.
const RESOLVE: Duration = Duration::from_secs(5);

impl Yard {
    /// Where a jail's orders go.
    ///
    /// # Errors
    /// There is no such jail, or it does not run.
    pub(super) fn address(&self, jail: &str) -> Result<Addr<JailActor>, Raised> {
        if self.is_draft(jail) {
            return Err(not_done(format!("the jail {jail} is not started: start it first")));
        }
        let jails = self.jails.borrow();
        let slot = jails.get(jail).ok_or_else(|| Raised::unknown_jail(jail))?;
        let gone = if slot.parked {
            format!("the jail {jail} is parked after too many panics: reload it")
        } else {
            format!("the jail {jail} is being revived: try again")
        };
        slot.addr.clone().ok_or_else(|| not_done(gone))
    }

    /// The bans of a jail, in force or not.
    async fn bans_of(&self, jail: &str) -> Result<Vec<BanStatus>, Raised> {
        if self.is_draft(jail) {
            return Ok(Vec::new());
        }
        let asked = self.address(jail)?.send(ListBans(None));
        match tokio::time::timeout(REPORT, asked).await {
            Ok(Ok(jail)) => Ok(jail.bans),
            _ => Err(not_done(format!("the jail {jail} has not answered: try again"))),
        }
    }

    /// Who is shut out in a jail.
    pub(super) async fn banned_of(&self, jail: &str) -> Result<Vec<Id>, Raised> {
        if self.is_draft(jail) {
            return Ok(Vec::new());
        }
        let asked = self.address(jail)?.send(ListIds);
        match tokio::time::timeout(REPORT, asked).await {
            Ok(Ok(ids)) => Ok(ids),
            _ => Err(not_done(format!("the jail {jail} has not answered: try again"))),
        }
    }

    /// Who is shut out in every jail, by the jails' names.
    async fn bans(&self) -> Result<Vec<(String, Vec<Id>)>, Raised> {
        // As a server lists them: in the order in which they began.
        let mut names = self.names();
        names.sort_by_key(|name| self.born(name).unwrap_or(u32::MAX));
        let asked = names.iter().map(|name| async { Ok((name.to_string(), self.banned_of(name).await?)) });
        join_all(asked).await.into_iter().collect()
    }

    pub(super) async fn banned_everywhere(&self) -> Result<Value, Raised> {
        let one = |(name, bans): (String, Vec<Id>)| Value::Map(vec![(name.into(), ids(&bans))]);
        Ok(Value::List(self.bans().await?.into_iter().map(one).collect()))
    }

    pub(super) async fn where_banned(&self, asked: &[String]) -> Result<Value, Raised> {
        let jails = self.bans().await?;
        let of = |text: &String| {
            let id = Id::parse(text);
            let jails = jails.iter().filter(|(_, bans)| holds(bans, &id));
            list(jails.map(|(name, _)| name.clone()))
        };
        Ok(Value::List(asked.iter().map(of).collect()))
    }

    pub(super) async fn banned_in(&self, jail: &str, asked: &[String]) -> Result<Value, Raised> {
        let bans = self.banned_of(jail).await?;
        let is_banned = |text: &String| Value::from(i64::from(holds(&bans, &Id::parse(text))));
        Ok(match asked {
            [] => ids(&bans),
            [one] => is_banned(one),
            several => Value::List(several.iter().map(is_banned).collect()),
        })
    }

    pub(super) async fn ban_list(&self, jail: &str, with_time: bool) -> Result<Value, Raised> {
        Ok(answers::by_end(&self.bans_of(jail).await?, with_time))
    }

    /// Bans by hand; the answer is how many bans began. Who is not shut out makes it an exception that says so.
    pub(super) async fn ban_in(&self, jail: &str, asked: &[String]) -> Result<Value, Raised> {
        let addr = self.address(jail)?;
        let ids: Vec<Id> = unique(asked);
        if ids.is_empty() {
            return Ok(0.into());
        }
        let order = Order::Ban { ids, sentence: None, spare: Spare::Own };
        count_bans(&carry_out(&jail.into(), addr, order).await)
    }

    pub(super) async fn unban_in(
        &self,
        jail: &str,
        asked: &[String],
        report_absent: bool,
    ) -> Result<Value, Raised> {
        if self.is_draft(jail) {
            return Ok(0.into());
        }
        let addr = self.address(jail)?;
        let moved = let_in(&[(jail.into(), addr)], asked).await?;
        let absent = asked.iter().zip(&moved).filter(|(_, moved)| **moved == 0);
        let absent: Vec<Value> = absent.map(|(text, _)| Value::from(text.as_str())).collect();
        if report_absent && !absent.is_empty() {
            return Err(Raised::builtin("ValueError", format!("not banned: {}", command(&absent))));
        }
        Ok(answers::number(moved.iter().sum::<usize>() as u64))
    }

    pub(super) async fn unban_everywhere(&self, asked: Option<Vec<String>>) -> Result<Value, Raised> {
        let jails = self.living();
        let moved: usize = if let Some(asked) = asked {
            let_in(&jails, &asked).await?.iter().sum()
        } else {
            let all = jails.iter().map(|jail| carry_out_of(jail, Order::UnbanAll));
            let all = join_all(all).await.into_iter().collect::<Result<Vec<_>, _>>()?;
            all.iter().map(|verdicts| count_moved(verdicts)).sum()
        };
        Ok(answers::number(moved as u64))
    }

    /// Counts failures that an operator tells of.
    pub(super) async fn attempt(&self, jail: &str, id: &str, lines: Vec<String>) -> Result<Value, Raised> {
        let lines = lines.into_iter().map(Into::into).collect();
        let order = Order::Charge { id: Id::parse(id), lines };
        carry_out_of(&(jail.into(), self.address(jail)?), order).await?;
        Ok(1.into())
    }
}

/// A jail and where its orders go.
type Running = (Arc<str>, Addr<JailActor>);

/// Lets these in, in all these jails: each itself, all inside a prefix, or else all addresses of a name. With how many
/// bans ended for each.
async fn let_in(jails: &[Running], asked: &[String]) -> Result<Vec<usize>, Raised> {
    let unban = async |ids: Vec<Id>| {
        let orders = jails.iter().map(|jail| carry_out_of(jail, Order::Unban(ids.clone())));
        let mut moved = vec![0; ids.len()];
        for verdicts in join_all(orders).await {
            for (moved, verdict) in moved.iter_mut().zip(verdicts?) {
                *moved += verdict.moved;
            }
        }
        Ok(moved)
    };
    let ids: Vec<Id> = asked.iter().map(|text| Id::parse(text)).collect();
    let mut moved = unban(ids.clone()).await?;
    let until = Instant::now() + RESOLVE;
    for (id, moved) in ids.iter().zip(&mut moved).filter(|(_, moved)| **moved == 0) {
        let Id::Text(name) = id else { continue };
        let found: Vec<Id> = addresses(name, until).await.into_iter().map(|ip| Id::Net(ip.into())).collect();
        if !found.is_empty() {
            *moved = unban(found).await?.iter().sum();
        }
    }
    Ok(moved)
}

/// Carries an order out; that the jail did not say what came of it is an exception.
async fn carry_out_of((name, addr): &Running, order: Order) -> Result<Vec<Verdict>, Raised> {
    let verdicts = carry_out(name, addr.clone(), order).await;
    match verdicts.iter().find(|verdict| verdict.lost) {
        Some(lost) => Err(not_done(format!("jail {name}: {}: {}", lost.id, lost.what))),
        None => Ok(verdicts),
    }
}

/// Each id once, in its order.
fn unique(texts: &[String]) -> Vec<Id> {
    let mut seen = BTreeSet::new();
    texts.iter().map(|text| Id::parse(text)).filter(|id| seen.insert(id.clone())).collect()
}

fn ids(banned: &[Id]) -> Value {
    list(banned.iter().map(Id::to_string))
}

/// Whether `id` is banned: itself, or a prefix that covers it.
fn holds(banned: &[Id], id: &Id) -> bool {
    banned.iter().any(|banned| match (banned, id) {
        (Id::Net(banned), Id::Net(asked)) => banned.contains(asked),
        (banned, asked) => banned == asked,
    })
}

fn count_moved(verdicts: &[Verdict]) -> usize {
    verdicts.iter().map(|verdict| verdict.moved).sum()
}

/// How many bans began; if one of them is not in force, why not.
fn count_bans(verdicts: &[Verdict]) -> Result<Value, Raised> {
    let failed = verdicts.iter().filter(|verdict| !verdict.done);
    let why: Vec<String> =
        failed.map(|verdict| format!("{} is not banned: {}", verdict.id, verdict.what)).collect();
    if why.is_empty() {
        Ok(answers::number(count_moved(verdicts) as u64))
    } else {
        Err(not_done(why.join("; ")))
    }
}

/// The addresses of a host name, if a resolver knows them in time.
async fn addresses(name: &str, until: Instant) -> Vec<IpAddr> {
    match tokio::time::timeout_at(until, tokio::net::lookup_host((name, 0))).await {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(id: &str, done: bool, what: &str, moved: usize) -> Verdict {
        Verdict { id: id.to_owned(), done, what: what.to_owned(), moved, ..Verdict::default() }
    }

    #[test]
    fn a_ban_that_is_not_in_force_is_no_count() {
        let banned = verdict("192.0.2.1", true, "banned", 1);
        let again = verdict("192.0.2.2", true, "already banned", 0);
        assert_eq!(count_bans(&[banned.clone(), again.clone()]), Ok(1.into()));
        assert_eq!(count_bans(&[again]), Ok(0.into()));
        let refused = verdict("192.0.2.3", false, "not enforced: NET_ADMIN missing", 1);
        let raised = count_bans(&[banned, refused]).unwrap_err();
        assert_eq!(raised.arguments, ["192.0.2.3 is not banned: not enforced: NET_ADMIN missing".into()]);
    }

    #[test]
    fn an_address_is_named_once() {
        let texts = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1/32", "x", "x"].map(str::to_owned);
        assert_eq!(unique(&texts), [Id::parse("192.0.2.1"), Id::parse("x")]);
    }
}
