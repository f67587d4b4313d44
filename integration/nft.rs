//! Bans in the real nftables, each story in a network namespace of its own: no rule of this host is touched.

mod batches;
mod exact;
mod left;
pub(crate) mod namespace;
mod packets;
pub(crate) mod spelled;
mod stock;
mod table;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use stockade::firewall::nftables::Nftables;
use stockade::firewall::{Block, Change, Element, Firewall, Hook, Protocol, Ruleset, Wanted};
use stockade::subnet::Subnet;

use namespace::run;

const WEEK: Option<Duration> = Some(Duration::from_secs(604_800));

pub(crate) fn net(text: &str) -> Subnet {
    text.parse().unwrap()
}

pub(crate) fn on_ports(ports: &[(u16, u16)]) -> Ruleset {
    Ruleset {
        ports: ports.to_vec(),
        protocols: vec![Protocol::Tcp],
        block: Block::Drop,
        hooks: vec![Hook::Input],
        priority: 0,
    }
}

pub(crate) fn open(jail: &str, ruleset: Ruleset) -> Change {
    Change::Open { jail: jail.into(), rules: ruleset.into() }
}

pub(crate) fn ban(jail: &str, text: &str) -> Change {
    Change::Ban { jail: jail.into(), element: Element { net: net(text), timeout: WEEK } }
}

pub(crate) fn unban(jail: &str, text: &str) -> Change {
    Change::Unban { jail: jail.into(), net: net(text) }
}

pub(crate) fn wanted(jail: &str, ruleset: Ruleset, nets: &[&str]) -> Wanted {
    let elements = nets.iter().map(|text| Element { net: net(text), timeout: WEEK }).collect();
    Wanted { jail: jail.into(), rules: ruleset.into(), elements }
}

/// Applies changes of which none may be refused.
fn apply(firewall: &mut Nftables, changes: &[Change]) {
    for (change, answer) in changes.iter().zip(firewall.apply(changes).unwrap()) {
        assert_eq!(answer, Ok(()), "{change:?}");
    }
}

/// What is enforced, as `jail: net net, jail: …`.
pub(crate) fn listed(firewall: &mut dyn Firewall) -> String {
    let list = firewall.list().unwrap().into_iter().map(|(jail, mut elements)| {
        elements.sort_by_key(|element| element.net);
        let nets: Vec<_> = elements.iter().map(|element| element.net.to_string()).collect();
        format!("{jail}: {}", nets.join(" "))
    });
    list.collect::<Vec<_>>().join(", ")
}

/// A listener on every address, IPv4 and IPv6, in a namespace with some clients' addresses.
pub(crate) fn listen() -> (TcpListener, u16) {
    run("ip link set lo up");
    for host in 1..=6 {
        run(&format!("ip addr add 192.0.2.{host}/32 dev lo"));
        run(&format!("ip addr add 2001:db8::{host}/128 dev lo nodad"));
    }
    // The kernel adds the routes a moment later.
    let is_routed =
        || UdpSocket::bind("[2001:db8::6]:0").and_then(|socket| socket.connect("[2001:db8::6]:9")).is_ok();
    while !is_routed() {
        std::thread::yield_now();
    }
    let listener = TcpListener::bind("[::]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

pub(crate) fn server(client: &str, port: u16) -> SocketAddr {
    let host: IpAddr = if client.contains(':') { "2001:db8::6" } else { "192.0.2.6" }.parse().unwrap();
    (host, port).into()
}
