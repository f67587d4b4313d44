//! Who we are: the host's own addresses and its default gateways, and every change of them.
//!
//! Edge: the kernel's routing socket (rtnetlink), no actors. Who bans nobody of these is [`crate::ignore`].
//! What the answers mean is `Own::of`, pure.

pub mod txt;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::Stream;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia};
use rtnetlink::{Handle, IpVersion, MulticastGroup, RouteMessageBuilder};

use crate::subnet::Subnet;

/// Changes come in bursts; one is looked at when it is this old, with all that followed it.
const REST: Duration = Duration::from_millis(250);

/// A kernel answers at once; one that takes longer never will.
const PATIENCE: Duration = Duration::from_secs(10);

/// The host's own addresses, and the routers it talks through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Own addresses, all of loopback among them.
    pub addresses: Vec<Subnet>,
    /// Default gateways.
    pub gateways: Vec<Subnet>,
    /// Interfaces that were named and are not there: all count.
    pub missing: Vec<String>,
}

/// Why own addresses are not known, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// There is no such socket here; a sandbox may forbid it.
    #[error("the routing socket (AF_NETLINK) cannot be opened: {0}")]
    Socket(#[source] io::Error),
    /// The kernel answered with an error.
    #[error("the kernel does not tell addresses and routes: {0}")]
    Refused(#[source] rtnetlink::Error),
    /// The kernel does not answer.
    #[error("the kernel does not answer on the routing socket")]
    Silent,
    /// The socket is gone.
    #[error("the routing socket was closed")]
    Closed,
}

/// Tells the host's own addresses and default gateways once at the beginning and again after each change.
///
/// `interfaces` names those that count; empty, or one of them is not there: all. Returns only with an error, or never; dropping it ends it.
/// Needs a tokio runtime with I/O and time; costs nothing while nothing changes.
///
/// # Errors
/// The kernel does not tell, or no longer.
pub async fn watch(interfaces: Vec<String>, mut on_change: impl FnMut(Own)) -> Result<(), NetError> {
    // Subscribed before the first look, so that no change falls between. A link that goes down takes IPv4 routes
    // with it without a word about them, so links matter too.
    let (connection, handle, mut events) = rtnetlink::new_multicast_connection(&[
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
        MulticastGroup::Ipv4Route,
        MulticastGroup::Ipv6Route,
    ])
    .map_err(NetError::Socket)?;
    let watching = async {
        let mut known = None;
        loop {
            let own = tokio::time::timeout(PATIENCE, look(&handle, &interfaces))
                .await
                .map_err(|_| NetError::Silent)?
                .map_err(NetError::Refused)?;
            if known.as_ref() != Some(&own) {
                on_change(own.clone());
                known = Some(own);
            }
            change(&mut events).await?;
            rest(&mut events).await?;
        }
    };
    match select(pin!(connection), pin!(watching)).await {
        Either::Left(_) => Err(NetError::Closed),
        Either::Right((outcome, _)) => outcome,
    }
}

/// Tells them once.
///
/// # Errors
/// The kernel does not tell.
pub async fn now(interfaces: &[String]) -> Result<Own, NetError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(NetError::Socket)?;
    let looking = tokio::time::timeout(PATIENCE, look(&handle, interfaces));
    match select(pin!(connection), pin!(looking)).await {
        Either::Left(_) => Err(NetError::Closed),
        Either::Right((own, _)) => own.map_err(|_| NetError::Silent)?.map_err(NetError::Refused),
    }
}

type Event = (NetlinkMessage<RouteNetlinkMessage>, rtnetlink::sys::SocketAddr);

/// Waits for something that may change the answer.
async fn change(events: &mut (impl Stream<Item = Event> + Unpin)) -> Result<(), NetError> {
    loop {
        let (message, _) = events.next().await.ok_or(NetError::Closed)?;
        if matters(&message.payload) {
            return Ok(());
        }
    }
}

/// Waits a moment and throws away what happens meanwhile: all is asked anew behind it.
async fn rest(events: &mut (impl Stream<Item = Event> + Unpin)) -> Result<(), NetError> {
    let mut over = pin!(tokio::time::sleep(REST));
    loop {
        match select(&mut over, events.next()).await {
            Either::Left(_) => return Ok(()),
            Either::Right((Some(_), _)) => {}
            Either::Right((None, _)) => return Err(NetError::Closed),
        }
    }
}

/// Whether an event may change the answer. A router sees thousands of routes come and go: only default ones matter.
fn matters(payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
    use RouteNetlinkMessage as Message;
    match payload {
        NetlinkPayload::InnerMessage(Message::NewRoute(route) | Message::DelRoute(route)) => {
            route.header.destination_prefix_length == 0
        }
        NetlinkPayload::InnerMessage(
            Message::NewAddress(_) | Message::DelAddress(_) | Message::NewLink(_) | Message::DelLink(_),
        )
        // Events were lost.
        | NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

/// Asks for everything. Routes that are no default ones are dropped as they come.
async fn look(handle: &Handle, interfaces: &[String]) -> Result<Own, rtnetlink::Error> {
    let links: Vec<LinkMessage> = if interfaces.is_empty() {
        Vec::new()
    } else {
        pin!(handle.link().get().execute()).try_collect().await?
    };
    let addresses: Vec<AddressMessage> = pin!(handle.address().get().execute()).try_collect().await?;
    let mut routes = Vec::new();
    for version in [IpVersion::V4, IpVersion::V6] {
        let all = match version {
            IpVersion::V4 => RouteMessageBuilder::<std::net::Ipv4Addr>::new().build(),
            IpVersion::V6 => RouteMessageBuilder::<Ipv6Addr>::new().build(),
        };
        let mut answers = pin!(handle.route().get(all).execute());
        while let Some(route) = answers.try_next().await? {
            if route.header.destination_prefix_length == 0 {
                routes.push(route);
            }
        }
    }
    Ok(Own::of(interfaces, &links, &addresses, &routes))
}

impl Own {
    /// What the kernel's answers mean. `links` gives the interfaces their names.
    fn of(
        interfaces: &[String],
        links: &[LinkMessage],
        addresses: &[AddressMessage],
        routes: &[RouteMessage],
    ) -> Self {
        let known: HashMap<&str, u32> =
            links.iter().filter_map(|link| Some((name_of(link)?, link.header.index))).collect();
        let missing: Vec<String> =
            interfaces.iter().filter(|name| !known.contains_key(name.as_str())).cloned().collect();
        let chosen: HashSet<u32> =
            interfaces.iter().filter_map(|name| known.get(name.as_str()).copied()).collect();
        let all = interfaces.is_empty() || !missing.is_empty();
        let counts = |index: u32| all || chosen.contains(&index);
        let own = addresses.iter().filter(|message| counts(message.header.index)).filter_map(own_address);
        let gateways = routes.iter().flat_map(hops).filter(|(index, _)| counts(*index));
        Self {
            addresses: distinct(own.map(Subnet::from).chain(loopback())),
            gateways: distinct(gateways.map(|(_, address)| address.into())),
            missing,
        }
    }
}

fn name_of(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// All of 127.0.0.0/8 is the host itself, whatever the interface says.
fn loopback() -> impl Iterator<Item = Subnet> {
    Subnet::new(IpAddr::from([127, 0, 0, 0]), 8).into_iter().chain([Ipv6Addr::LOCALHOST.into()])
}

fn distinct(nets: impl Iterator<Item = Subnet>) -> Vec<Subnet> {
    nets.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The address of this end. On a point-to-point link `Address` is the other end, and `Local` this one.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

/// The gateways of a default route, each with its interface; there are several when it is a multi-path one.
fn hops(route: &RouteMessage) -> Vec<(u32, IpAddr)> {
    if route.header.kind != RouteType::Unicast || route.header.destination_prefix_length != 0 {
        return Vec::new();
    }
    let interface = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let mut hops = Vec::new();
    hops.extend(gateway(&route.attributes).map(|address| (interface.unwrap_or(0), address)));
    for attribute in &route.attributes {
        if let RouteAttribute::MultiPath(paths) = attribute {
            hops.extend(
                paths.iter().filter_map(|hop| Some((hop.interface_index, gateway(&hop.attributes)?))),
            );
        }
    }
    hops
}

/// Who takes the packets; `Via` is an IPv6 router of IPv4 packets.
fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(four)) | RouteAttribute::Via(RouteVia::Inet(four)) => {
            Some(IpAddr::V4(*four))
        }
        RouteAttribute::Gateway(RouteAddress::Inet6(six)) | RouteAttribute::Via(RouteVia::Inet6(six)) => {
            Some(IpAddr::V6(*six))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::route::RouteNextHop;

    use super::*;

    fn link(index: u32, name: &str) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    }

    fn address(index: u32, attributes: Vec<AddressAttribute>) -> AddressMessage {
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.attributes = attributes;
        message
    }

    fn route(kind: RouteType, length: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut message = RouteMessage::default();
        message.header.kind = kind;
        message.header.destination_prefix_length = length;
        message.attributes = attributes;
        message
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn via(text: &str) -> RouteAttribute {
        RouteAttribute::Gateway(ip(text).into())
    }

    fn hop(index: u32, gateway: &str) -> RouteNextHop {
        let mut hop = RouteNextHop::default();
        hop.interface_index = index;
        hop.attributes = vec![via(gateway)];
        hop
    }

    #[test]
    fn answers_of_the_kernel() {
        use AddressAttribute::{Address, Local};
        let links = [link(1, "lo"), link(2, "eth0"), link(3, "tun0")];
        let addresses = [
            address(1, vec![Address(ip("127.0.0.1")), Local(ip("127.0.0.1"))]),
            address(1, vec![Address(ip("::1"))]),
            address(2, vec![Address(ip("192.0.2.1")), Local(ip("192.0.2.1"))]),
            address(2, vec![Address(ip("fe80::1"))]),
            address(3, vec![Address(ip("10.8.0.1")), Local(ip("10.8.0.2"))]),
            address(3, vec![]),
        ];
        let unicast = RouteType::Unicast;
        let routes = [
            route(unicast, 0, vec![RouteAttribute::Oif(2), via("192.0.2.254")]),
            route(unicast, 0, vec![via("192.0.2.254"), RouteAttribute::Oif(2)]),
            route(unicast, 0, vec![RouteAttribute::Oif(2), via("fe80::ff")]),
            route(
                unicast,
                0,
                vec![RouteAttribute::Oif(2), RouteAttribute::Via(RouteVia::Inet6(Ipv6Addr::LOCALHOST))],
            ),
            route(
                unicast,
                0,
                vec![RouteAttribute::MultiPath(vec![hop(2, "192.0.2.253"), hop(3, "10.8.0.1")])],
            ),
            route(unicast, 0, vec![RouteAttribute::Oif(3)]),
            route(unicast, 24, vec![RouteAttribute::Oif(2), via("192.0.2.9")]),
            route(RouteType::Unreachable, 0, vec![via("192.0.2.8")]),
        ];
        let all = (
            "10.8.0.2 127.0.0.0/8 127.0.0.1 192.0.2.1 ::1 fe80::1",
            "10.8.0.1 192.0.2.253 192.0.2.254 ::1 fe80::ff",
        );
        for (interfaces, own, gateways, missing) in [
            (&[][..], all.0, all.1, ""),
            (&["tun0"], "10.8.0.2 127.0.0.0/8 ::1", "10.8.0.1", ""),
            (
                &["lo", "eth0"],
                "127.0.0.0/8 127.0.0.1 192.0.2.1 ::1 fe80::1",
                "192.0.2.253 192.0.2.254 ::1 fe80::ff",
                "",
            ),
            // A name that is none spares too many rather than too few.
            (&["eth0", "nowhere"], all.0, all.1, "nowhere"),
            (&["nowhere"], all.0, all.1, "nowhere"),
        ] {
            let interfaces: Vec<String> = interfaces.iter().map(|name| (*name).to_owned()).collect();
            let found = Own::of(&interfaces, &links, &addresses, &routes);
            let text = |nets: &[Subnet]| nets.iter().map(Subnet::to_string).collect::<Vec<_>>().join(" ");
            assert_eq!(text(&found.addresses), own, "{interfaces:?}");
            assert_eq!(text(&found.gateways), gateways, "{interfaces:?}");
            assert_eq!(found.missing.join(" "), missing, "{interfaces:?}");
        }
    }

    #[test]
    fn only_what_may_change_the_answer_is_looked_at() {
        use RouteNetlinkMessage as Message;
        let default = route(RouteType::Unicast, 0, vec![]);
        let other = route(RouteType::Unicast, 24, vec![]);
        for (payload, want) in [
            (NetlinkPayload::InnerMessage(Message::NewRoute(default.clone())), true),
            (NetlinkPayload::InnerMessage(Message::DelRoute(default)), true),
            (NetlinkPayload::InnerMessage(Message::NewRoute(other.clone())), false),
            (NetlinkPayload::InnerMessage(Message::DelRoute(other)), false),
            (NetlinkPayload::InnerMessage(Message::DelAddress(address(1, vec![]))), true),
            (NetlinkPayload::InnerMessage(Message::NewLink(link(1, "lo"))), true),
            (NetlinkPayload::Overrun(Vec::new()), true),
            (NetlinkPayload::Noop, false),
        ] {
            assert_eq!(matters(&payload), want, "{payload:?}");
        }
    }
}
