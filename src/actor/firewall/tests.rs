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

#[test]
fn an_empty_firewall_is_filled_piece_by_piece() {
    let ruleset = Ruleset {
        ports: vec![],
        protocols: vec![],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    };
    let net = |n: usize| Subnet::from(std::net::IpAddr::from(std::net::Ipv4Addr::from(n as u32)));
    let elements = (0..2 * PIECE + 500).map(|n| Element { net: net(n), timeout: None });
    let wanted = Wanted { jail: "sshd".into(), rules: ruleset.into(), elements: elements.collect() };
    let memory = Memory::new();
    memory.refuse(net(PIECE));
    let opened = memory.clone();
    let mut backends = Backends::new(Arc::new(move |_| Ok(Box::new(opened.clone()))));
    System::new().block_on(async {
        let ear = Ear::default();
        let heard = ear.0.clone();
        let ear = ear.start();
        let mut fill =
            || replace(&mut backends, vec![(FirewallKind::None, wanted.clone(), ear.clone().recipient())]);
        fill().unwrap();
        ear.send(Acknowledged(Vec::new())).await.unwrap();
        assert_eq!(heard.lock().unwrap().split_off(0), [(PIECE, 0), (PIECE, 1), (500, 0), (0, 0)]);
        fill().unwrap();
        ear.send(Acknowledged(Vec::new())).await.unwrap();
        assert_eq!(*heard.lock().unwrap(), [(2 * PIECE + 500, 1), (0, 0)], "what stands is replaced at once");
    });
    assert_eq!(memory.enforced("sshd").len(), 2 * PIECE + 499);
}
