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
    let mut late = Late::default();
    for Piece { place, bans, over } in pieces {
        let Some((kind, wanted, heard)) = all.get(place) else { continue };
        let Some(&footing) = filled.get(kind) else { continue };
        let bans = match footing {
            Footing::Blank => bans,
            Footing::Left => late.keep(place, bans, over),
        };
        for piece in bans.chunks(PIECE) {
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
    filled.retain(|kind, footing| {
        let is_done = *footing == Footing::Blank || late.settle(backends, *kind, &all);
        if is_done {
            healing::filled(backends, *kind);
        }
        is_done
    });
    filled.into_keys().collect()
}

type Jails = [(FirewallKind, Wanted, mpsc::UnboundedSender<Acknowledged>)];

/// What comes last where an earlier run's bans stand, with the places of the jails: prefixes together, as which of them are in
/// force depends on the others.
#[derive(Default)]
struct Late {
    prefixes: Vec<(usize, Element)>,
    over: Vec<(usize, Subnet)>,
}

impl Late {
    /// Keeps what is to come last; the rest.
    fn keep(&mut self, place: usize, bans: Vec<Element>, over: Vec<Subnet>) -> Vec<Element> {
        self.over.extend(over.into_iter().map(|net| (place, net)));
        let (singles, prefixes) = bans.into_iter().partition(|element| element.net.is_single());
        self.prefixes.extend(Vec::into_iter(prefixes).map(|element| (place, element)));
        singles
    }

    /// Whether a firewall then holds exactly the bans that came.
    fn settle(&self, backends: &mut Backends, kind: FirewallKind, all: &Jails) -> bool {
        let is_own = |place: usize| all[place].0 == kind;
        let jail = |place: usize| all[place].1.jail.clone();
        let prefixes = || self.prefixes.iter().copied().filter(|(place, _)| is_own(*place));
        let changes: Vec<_> =
            prefixes().map(|(place, element)| Change::Ban { jail: jail(place), element }).collect();
        let put = backends.get(kind).and_then(|firewall| firewall.replace_prefixes(&changes));
        let Ok(said) = put else { return false };
        healing::put(backends, kind, &changes, &said);
        for ((place, element), word) in prefixes().zip(said) {
            let _ = all[place].2.send(words(&[element], vec![word]));
        }
        let over = self.over.iter().filter(|(place, _)| is_own(*place));
        healing::holds(backends, kind, over.map(|(place, net)| (jail(*place), *net)).collect())
    }
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
