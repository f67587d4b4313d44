use std::sync::Mutex;

use actix::prelude::*;

use super::*;
use crate::firewall::memory::Memory;
use crate::firewall::{Block, Element, Hook, Ruleset};

/// How many were heard at once, and how many of these were refused.
#[derive(Default)]
struct Ear(Arc<Mutex<Vec<(usize, usize)>>>);

impl Actor for Ear {
    type Context = Context<Self>;
}

impl Handler<Acknowledged> for Ear {
    type Result = ();
    fn handle(&mut self, Acknowledged(heard): Acknowledged, _: &mut Self::Context) {
        let refused = heard.iter().filter(|(.., word)| word.is_err()).count();
        self.0.lock().unwrap().push((heard.len(), refused));
    }
}

fn net(n: usize) -> Subnet {
    std::net::IpAddr::from(std::net::Ipv4Addr::from(n as u32)).into()
}

/// A jail that wants these.
fn wanted(nets: std::ops::Range<usize>) -> Wanted {
    let ruleset = Ruleset {
        ports: vec![],
        protocols: vec![],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    };
    let elements = nets.map(|n| Element { net: net(n), timeout: None });
    Wanted { jail: "sshd".into(), rules: ruleset.into(), elements: elements.collect() }
}

#[test]
fn what_is_on_its_way_fills_an_empty_firewall_and_no_other() {
    let memory = Memory::new();
    memory.refuse(net(7));
    let opened = memory.clone();
    let mut backends = Backends::new(Arc::new(move |_| Ok(Box::new(opened.clone()))));
    let mut fill = |nets: std::ops::Range<usize>| {
        let (pieces, taken) = crossbeam_channel::unbounded();
        let (answer, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let (tell_begun, mut begun) = oneshot::channel();
        for piece in [nets.start..nets.start + 10, nets.start + 10..nets.end] {
            pieces.send(Piece { place: 0, bans: wanted(piece).elements, over: vec![] }).unwrap();
        }
        drop(pieces);
        let all = vec![(FirewallKind::None, wanted(0..0), answer)];
        let filled = filling::fill(&mut backends, Fill { all, pieces: taken, begun: tell_begun });
        assert_eq!(begun.try_recv().unwrap(), filled);
        let mut words = Vec::new();
        while let Ok(Acknowledged(heard)) = heard.try_recv() {
            words.push((heard.len(), heard.iter().filter(|(.., word)| word.is_err()).count()));
        }
        (filled, words)
    };
    assert_eq!(fill(0..PIECE + 15), (vec![FirewallKind::None], vec![(10, 1), (PIECE, 0), (5, 0)]));
    assert_eq!(memory.enforced("sshd").len(), PIECE + 14);
    assert_eq!(fill(PIECE..PIECE + 100), (vec![], vec![]), "what stands may not be all that is wanted");
    assert_eq!(memory.enforced("sshd").len(), PIECE + 14);
}

#[test]
fn an_empty_firewall_is_filled_piece_by_piece() {
    let wanted = wanted(0..2 * PIECE + 500);
    let memory = Memory::new();
    memory.refuse(net(PIECE));
    let opened = memory.clone();
    let mut backends = Backends::new(Arc::new(move |_| Ok(Box::new(opened.clone()))));
    backends.refused.insert("sshd".into(), "no buffer space".into());
    System::new().block_on(async {
        let ear = Ear::default();
        let heard = ear.0.clone();
        let ear = ear.start();
        let all = || vec![(FirewallKind::None, wanted.clone(), ear.clone().recipient())];
        assert_eq!(replace(&mut backends, all()), Unfilled::new());
        assert!(backends.refused.is_empty(), "its rules are in force");
        ear.send(Acknowledged(Vec::new())).await.unwrap();
        assert_eq!(heard.lock().unwrap().split_off(0), [(PIECE, 0), (PIECE, 1), (500, 0), (0, 0)]);
        assert_eq!(replace(&mut backends, all()), Unfilled::new());
        ear.send(Acknowledged(Vec::new())).await.unwrap();
        assert_eq!(*heard.lock().unwrap(), [(2 * PIECE + 500, 1), (0, 0)], "what stands is replaced at once");
    });
    assert_eq!(memory.enforced("sshd").len(), 2 * PIECE + 499);
}

#[test]
fn a_firewall_that_cannot_be_filled_costs_its_own_jails_alone() {
    let memory = Memory::new();
    let opened = memory.clone();
    let mut backends = Backends::new(Arc::new(move |kind| match kind {
        FirewallKind::None => Ok(Box::new(opened.clone())),
        _ => Err(FirewallError::Tool("ipset", "not there".to_owned())),
    }));
    System::new().block_on(async {
        let ear = Ear::default();
        let heard = ear.0.clone();
        let ear = ear.start();
        let all = [FirewallKind::Iptables, FirewallKind::None];
        let all = all.map(|kind| (kind, wanted(0..3), ear.clone().recipient()));
        let unfilled = replace(&mut backends, all.into());
        assert_eq!(
            unfilled.into_iter().collect::<Vec<_>>(),
            [(FirewallKind::Iptables, "ipset: not there".to_owned())]
        );
        ear.send(Acknowledged(Vec::new())).await.unwrap();
        let mut heard = heard.lock().unwrap().split_off(0);
        heard.sort_unstable();
        assert_eq!(heard, [(0, 0), (3, 0), (3, 3)]);
    });
    assert_eq!(memory.enforced("sshd").len(), 3);
}
