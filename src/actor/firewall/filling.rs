//! Fills a firewall in which nothing stands piece by piece, so that jails hear of the first bans while the kernel takes the
//! others.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Recipient;
use crossbeam_channel::Receiver;
use tokio::sync::{mpsc, oneshot};

use super::{Backends, PIECE, healing};
use crate::actor::message::{Acknowledged, Act};
use crate::config::FirewallKind;
use crate::fault;
use crate::firewall::{Change, Element, Firewall, FirewallError, Refusal, Wanted};
use crate::subnet::Subnet;

/// Bans that are on their way while they are read from the store.
pub struct Fill {
    /// Each jail with its rules and without bans, and who hears of these.
    pub all: Vec<(FirewallKind, Wanted, mpsc::UnboundedSender<Acknowledged>)>,
    /// Bans, with the place of their jail in `all`, until nobody can send any more.
    pub pieces: Receiver<(usize, Vec<Element>)>,
    /// Hears in which firewalls nothing stands: these are filled.
    pub begun: oneshot::Sender<Vec<FirewallKind>>,
}

/// Fills all firewalls in which nothing stands with what comes. Those that have all of it; with the others everything is
/// still to be done.
pub(super) fn fill(backends: &mut Backends, Fill { all, pieces, begun }: Fill) -> Vec<FirewallKind> {
    let mut kinds: BTreeMap<FirewallKind, Vec<Wanted>> = BTreeMap::new();
    for (kind, wanted, _) in &all {
        kinds.entry(*kind).or_default().push(bare(wanted));
    }
    let mut filled: Vec<_> =
        kinds.keys().copied().filter(|kind| begin(backends, *kind, &kinds[kind])).collect();
    // Nobody waits for it any more: then nothing comes either.
    let _ = begun.send(filled.clone());
    for (place, elements) in pieces {
        let Some((kind, wanted, heard)) = all.get(place).filter(|(kind, ..)| filled.contains(kind)) else {
            continue;
        };
        for piece in elements.chunks(PIECE) {
            fault::point("firewall.fill");
            let put = backends.get(*kind).and_then(|firewall| put(firewall, &wanted.jail, piece));
            let Ok((changes, said)) = put else {
                filled.retain(|other| other != kind);
                break;
            };
            healing::put(backends, *kind, &changes, &said);
            let _ = heard.send(words(piece, said));
        }
    }
    for kind in &filled {
        healing::filled(backends, *kind);
    }
    filled
}

/// Makes the rules of these jails if nothing stands; whether that is so.
fn begin(backends: &mut Backends, kind: FirewallKind, bare: &[Wanted]) -> bool {
    let before = healing::before(backends, kind);
    let Ok(firewall) = backends.get(kind) else { return false };
    if !firewall.is_blank(bare) || firewall.replace(bare).is_err() {
        return false;
    }
    healing::replaced(backends, kind, bare, &[], before);
    true
}

/// Replaces what a firewall enforces by what is known already, if that is much and nothing stands. Answers with what was
/// refused, if that was possible; if not, all is still to be done.
pub(super) fn replace(
    firewall: &mut dyn Firewall,
    all: &[Wanted],
    answers: &[Recipient<Acknowledged>],
) -> Option<Vec<Vec<(Subnet, Refusal)>>> {
    if all.iter().all(|wanted| wanted.elements.len() <= PIECE) || !firewall.is_blank(all) {
        return None;
    }
    let bare: Vec<_> = all.iter().map(bare).collect();
    firewall.replace(&bare).ok()?;
    let mut refused = Vec::with_capacity(all.len());
    let wanted = bare.iter().map(|wanted| &wanted.jail).zip(all.iter().map(|wanted| &wanted.elements));
    for ((jail, elements), answer) in wanted.zip(answers) {
        let mut own = Vec::new();
        for piece in elements.chunks(PIECE) {
            let (_, said) = put(firewall, jail, piece).ok()?;
            let nets = piece.iter().map(|element| element.net);
            own.extend(nets.zip(&said).filter_map(|(net, word)| Some((net, word.clone().err()?))));
            // A mailbox may be overfull of them: they are no more than the jail wants.
            answer.do_send(words(piece, said));
        }
        refused.push(own);
    }
    Some(refused)
}

/// A jail without bans. With a name of its own: those of the jails are counted by the jails' threads meanwhile, and their
/// memory goes to and fro.
fn bare(wanted: &Wanted) -> Wanted {
    Wanted { jail: Arc::from(&*wanted.jail), rules: wanted.rules.clone(), elements: Vec::new() }
}

type Said = Vec<Result<(), Refusal>>;

/// Puts bans in.
fn put(
    firewall: &mut dyn Firewall,
    jail: &Arc<str>,
    piece: &[Element],
) -> Result<(Vec<Change>, Said), FirewallError> {
    let ban = |&element| Change::Ban { jail: jail.clone(), element };
    let changes: Vec<_> = piece.iter().map(ban).collect();
    let said = firewall.apply(&changes)?;
    Ok((changes, said))
}

/// What the jail hears of its bans.
fn words(piece: &[Element], said: Said) -> Acknowledged {
    let heard = piece.iter().zip(said);
    Acknowledged(
        heard
            .map(|(element, word)| (Act::Ban, element.net, word.map_err(|Refusal(why)| why.into())))
            .collect(),
    )
}
