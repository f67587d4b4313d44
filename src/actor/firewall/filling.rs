//! Fills a firewall piece by piece, so that jails hear of the first bans while the kernel takes the others: one in which
//! nothing stands, or in which an earlier run left its bans.

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
    /// Bans, until nobody can send any more.
    pub pieces: Receiver<Piece>,
    /// Hears which firewalls are filled.
    pub begun: oneshot::Sender<Vec<FirewallKind>>,
}

/// Some bans of a jail.
pub struct Piece {
    /// The jail's place among all.
    pub place: usize,
    /// Who is banned.
    pub bans: Vec<Element>,
    /// Who was until a moment ago.
    pub over: Vec<Subnet>,
}

/// What a firewall is filled from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Footing {
    /// Nothing stands.
    Blank,
    /// What an earlier run left.
    Left,
}

/// Fills all firewalls with what comes: those in which nothing stands, or what an earlier run left of it. Those that have
/// exactly that; with the others everything is still to be done.
pub(super) fn fill(backends: &mut Backends, Fill { all, pieces, begun }: Fill) -> Vec<FirewallKind> {
    let mut kinds: BTreeMap<FirewallKind, Vec<Wanted>> = BTreeMap::new();
    for (kind, wanted, _) in &all {
        kinds.entry(*kind).or_default().push(bare(wanted));
    }
    let mut filled = BTreeMap::new();
    for (kind, bare) in &kinds {
        filled.extend(begin(backends, *kind, bare).map(|footing| (*kind, footing)));
    }
    // Nobody waits for it any more: then nothing comes either.
    let _ = begun.send(filled.keys().copied().collect());
    let mut over = Vec::new();
    for piece in pieces {
        let Some((kind, wanted, heard)) = all.get(piece.place) else { continue };
        let Some(&footing) = filled.get(kind) else { continue };
        over.extend(piece.over.iter().filter(|_| footing == Footing::Left).map(|net| (piece.place, *net)));
        for piece in piece.bans.chunks(PIECE) {
            fault::point("firewall.fill");
            let put = backends.get(*kind).and_then(|firewall| put(firewall, footing, &wanted.jail, piece));
            let Ok((changes, said)) = put else {
                filled.remove(kind);
                break;
            };
            healing::put(backends, *kind, &changes, &said);
            let _ = heard.send(words(piece, said));
        }
    }
    for (kind, footing) in filled.clone() {
        let over = over.iter().map(|(place, net)| (&all[*place], *net)).filter(|(jail, _)| jail.0 == kind);
        let over = over.map(|((_, wanted, _), net)| (wanted.jail.clone(), net)).collect();
        if footing == Footing::Blank || healing::holds(backends, kind, over) {
            healing::filled(backends, kind);
        } else {
            filled.remove(&kind);
        }
    }
    filled.into_keys().collect()
}

/// Makes the rules of these jails; none: not without their bans.
fn begin(backends: &mut Backends, kind: FirewallKind, bare: &[Wanted]) -> Option<Footing> {
    let before = healing::before(backends, kind);
    let firewall = backends.get(kind).ok()?;
    let footing = if firewall.is_blank(bare) {
        firewall.replace(bare).ok().map(|_| Footing::Blank)
    } else {
        firewall.take_up(bare).ok().and_then(|is_done| is_done.then_some(Footing::Left))
    }?;
    healing::replaced(backends, kind, bare, &[], before);
    Some(footing)
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
            let (_, said) = put(firewall, Footing::Blank, jail, piece).ok()?;
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
    footing: Footing,
    jail: &Arc<str>,
    piece: &[Element],
) -> Result<(Vec<Change>, Said), FirewallError> {
    let ban = |&element| Change::Ban { jail: jail.clone(), element };
    let changes: Vec<_> = piece.iter().map(ban).collect();
    let said = match footing {
        Footing::Blank => firewall.apply(&changes)?,
        Footing::Left => firewall.restore(&changes)?,
    };
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
