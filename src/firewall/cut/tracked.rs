//! The kernel's words for what conntrack knows: how to ask for all of it, and how to have one connection forgotten.
//!
//! Pure. Source: `linux/netfilter/nfnetlink_conntrack.h`. Whatever is read may be cut short or senseless. A demand to
//! forget always names its connection: one that names none would be understood as "all".

use std::net::IpAddr;

use super::{Flow, TCP};
use crate::firewall::nftables::wire::{self, FAMILY_IPV4, FAMILY_IPV6, Message, Reader, Value, Writer};

/// `NFNL_SUBSYS_CTNETLINK`.
const SUBSYSTEM: u16 = 1 << 8;
const NEW: u16 = SUBSYSTEM;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
/// `CTA_*`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const PROTOCOL_INFO: u16 = 4;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// `CTA_TUPLE_*`, `CTA_IP_*`, `CTA_PROTO_*`.
const ADDRESSES: u16 = 1;
const PROTOCOL: u16 = 2;
const NUMBER: u16 = 1;
const FROM_PORT: u16 = 2;
const TO_PORT: u16 = 3;
/// `CTA_PROTOINFO_TCP`, `CTA_PROTOINFO_TCP_STATE`: from `TIME_WAIT` on nobody is there any more.
const INFO_TCP: u16 = 1;
const STATE: u16 = 1;
const TIME_WAIT: u8 = 7;
/// No tuple is longer.
const LONGEST: usize = 256;

/// A connection that conntrack knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracked {
    /// As it may be seen from here: who began it as peer, with the port that was asked for and the one that it was led
    /// to; who was asked as peer, with the ports that the answers go to.
    pub(super) flows: [Flow; 4],
    family: u8,
    /// As the kernel wrote them.
    original: Box<[u8]>,
    id: Option<[u8; 4]>,
    zone: Option<[u8; 2]>,
}

/// One direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tuple {
    protocol: u8,
    from: (IpAddr, u16),
    to: (IpAddr, u16),
}

/// Asks for all connections of a family.
pub(super) fn list(writer: &mut Writer, is_ipv6: bool) {
    let family = if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 };
    writer.plain(GET, wire::NLM_F_DUMP, &[family, 0, 0, 0], |_| {});
}

/// Has one forgotten.
pub(super) fn delete(writer: &mut Writer, tracked: &Tracked) {
    writer.plain(DELETE, wire::NLM_F_ACK, &[tracked.family, 0, 0, 0], |body| {
        body.nest(ORIGINAL, |tuple| tuple.verbatim(&tracked.original));
        if let Some(id) = &tracked.id {
            body.bytes(ID, id);
        }
        if let Some(zone) = &tracked.zone {
            body.bytes(ZONE, zone);
        }
    });
}

/// Whether a demand names its connection.
#[cfg(any(test, feature = "faults"))]
pub(super) fn names(demand: Message) -> bool {
    demand.attributes().find(ORIGINAL).is_some_and(|original| tuple(original).is_some())
}

/// The connection that an answer tells of; none: it is no answer, or nobody is there any more.
pub(super) fn read(message: Message) -> Option<Tracked> {
    let attributes = message.attributes();
    let original = attributes.find(ORIGINAL).filter(|_| message.kind == NEW)?;
    let (there, back) = (tuple(original)?, tuple(attributes.find(REPLY)?)?);
    let state = |info: Value| info.nested().find(INFO_TCP)?.nested().find(STATE)?.bytes().first().copied();
    let state = attributes.find(PROTOCOL_INFO).and_then(state);
    if there.protocol == TCP && state.is_some_and(|state| state >= TIME_WAIT) {
        return None;
    }
    let family = message.family();
    if !matches!(family, FAMILY_IPV4 | FAMILY_IPV6) || original.bytes().len() > LONGEST {
        return None;
    }
    let seen = |peer: (IpAddr, u16), port| Flow {
        protocol: there.protocol,
        peer: peer.0.to_canonical(),
        peer_port: peer.1,
        port,
    };
    let flows = [
        seen(there.from, back.from.1),
        seen(there.from, there.to.1),
        seen(back.from, back.to.1),
        seen(back.from, there.from.1),
    ];
    let id = attributes.find(ID).and_then(|id| id.bytes().try_into().ok());
    let zone = attributes.find(ZONE).and_then(|zone| zone.bytes().try_into().ok());
    Some(Tracked { flows, family, original: original.bytes().into(), id, zone })
}

fn tuple(value: Value) -> Option<Tuple> {
    let addresses = value.nested().find(ADDRESSES)?.nested();
    let protocol = value.nested().find(PROTOCOL)?.nested();
    let port = |kind| {
        protocol.find(kind).and_then(|port| port.bytes().try_into().ok()).map_or(0, u16::from_be_bytes)
    };
    Some(Tuple {
        protocol: *protocol.find(NUMBER)?.bytes().first()?,
        from: (address(addresses, 1, 3)?, port(FROM_PORT)),
        to: (address(addresses, 2, 4)?, port(TO_PORT)),
    })
}

fn address(addresses: Reader, four: u16, six: u16) -> Option<IpAddr> {
    if let Some(four) = addresses.find(four) {
        return <[u8; 4]>::try_from(four.bytes()).ok().map(IpAddr::from);
    }
    <[u8; 16]>::try_from(addresses.find(six)?.bytes()).ok().map(IpAddr::from)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::firewall::cut) type End<'a> = (&'a str, u16);

    /// An answer as the kernel writes it.
    pub(in crate::firewall::cut) fn answer(
        protocol: u8,
        there: [End; 2],
        back: [End; 2],
        state: u8,
    ) -> Vec<u8> {
        let is_ipv6 = there[0].0.contains(':');
        let mut writer = Writer::new(1);
        let head = [if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 }, 0, 0, 0];
        writer.plain(NEW, 0, &head, |body| {
            for (kind, [from, to]) in [(ORIGINAL, there), (REPLY, back)] {
                body.nest(kind, |tuple| {
                    tuple.nest(ADDRESSES, |addresses| {
                        for (kind, (address, _)) in [(1, from), (2, to)] {
                            match address.parse().unwrap() {
                                IpAddr::V4(four) => addresses.bytes(kind, &four.octets()),
                                IpAddr::V6(six) => addresses.bytes(kind + 2, &six.octets()),
                            }
                        }
                    });
                    tuple.nest(PROTOCOL, |all| {
                        all.bytes(NUMBER, &[protocol]);
                        all.bytes(FROM_PORT, &from.1.to_be_bytes());
                        all.bytes(TO_PORT, &to.1.to_be_bytes());
                    });
                });
            }
            body.nest(PROTOCOL_INFO, |info| info.nest(INFO_TCP, |tcp| tcp.bytes(STATE, &[state])));
            body.bytes(ID, &[1, 2, 3, 4]);
            body.bytes(ZONE, &[0, 9]);
        });
        writer.bytes().to_vec()
    }

    fn only(bytes: &[u8]) -> Option<Tracked> {
        wire::messages(bytes).next().and_then(read)
    }

    #[test]
    fn a_translated_connection_is_seen_from_both_ends_and_forgotten_by_name() {
        let there = [("198.51.100.7", 4711), ("192.0.2.1", 8080)];
        let back = [("10.0.0.2", 80), ("198.51.100.7", 4711)];
        let bytes = answer(TCP, there, back, 3);
        let tracked = only(&bytes).unwrap();
        let seen = |flow: &Flow| (flow.peer.to_string(), flow.peer_port, flow.port);
        assert_eq!(
            tracked.flows.iter().map(seen).collect::<Vec<_>>(),
            [
                ("198.51.100.7".to_owned(), 4711, 80),
                ("198.51.100.7".to_owned(), 4711, 8080),
                ("10.0.0.2".to_owned(), 80, 4711),
                ("10.0.0.2".to_owned(), 80, 4711),
            ]
        );
        let mut writer = Writer::new(1);
        delete(&mut writer, &tracked);
        let (sent, told) =
            (wire::messages(writer.bytes()).next().unwrap(), wire::messages(&bytes).next().unwrap());
        assert_eq!((sent.kind, sent.family()), (DELETE, FAMILY_IPV4));
        for kind in [ORIGINAL, ID, ZONE] {
            let of = |message: Message<'_>| message.attributes().find(kind).unwrap().bytes().to_vec();
            assert_eq!(of(sent), of(told), "{kind}");
            assert!(!of(sent).is_empty());
        }
        assert!(sent.attributes().find(REPLY).is_none());
    }

    #[test]
    fn who_is_gone_is_no_connection() {
        let (there, back) =
            ([("2001:db8::7", 1), ("2001:db8::1", 22)], [("2001:db8::1", 22), ("2001:db8::7", 1)]);
        assert!(only(&answer(TCP, there, back, 3)).is_some());
        assert!(only(&answer(TCP, there, back, TIME_WAIT)).is_none());
        assert!(only(&answer(17, there, back, 0)).is_some());
    }

    proptest! {
        /// Whatever comes, nothing panics, and no demand is without a name.
        #[test]
        fn any_bytes(
            cut in 0_usize..300,
            flips in prop::collection::vec((0_usize..300, any::<u8>()), 0..6),
            six in any::<bool>(),
        ) {
            let (a, b) = if six { ("2001:db8::7", "2001:db8::1") } else { ("192.0.2.7", "192.0.2.1") };
            let mut bytes = answer(TCP, [(a, 1), (b, 22)], [(b, 22), (a, 1)], 3);
            for (at, byte) in flips {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let whole = wire::messages(&bytes).map(|message| Message { kind: NEW, ..message });
            let short = whole.clone().map(|whole| Message { body: whole.body.get(..cut).unwrap_or_default(), ..whole });
            for tracked in whole.chain(short).filter_map(read) {
                let mut writer = Writer::new(1);
                delete(&mut writer, &tracked);
                let sent = wire::messages(writer.bytes()).next().unwrap();
                prop_assert!(names(sent));
            }
        }
    }
}
