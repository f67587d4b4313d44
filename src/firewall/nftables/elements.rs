//! Elements of sets as bytes: written in groups, and read back.
//!
//! Pure. A single address is one element of a hash set. In an interval set a prefix, or an address, is two: where it
//! starts, and the first address after it, unless it reaches the end of the address space.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::wire::{Attributes, Message, Reader, Value};
use crate::firewall::Element;
use crate::subnet::Subnet;

/// How many elements one message holds: an IPv6 prefix takes 76 bytes, an attribute ends at 65 535.
pub(super) const PER_MESSAGE: usize = 800;

const LIST_TABLE: u16 = 1;
pub(super) const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_SET_ID: u16 = 4;
const LIST_ITEM: u16 = 1;
const KEY: u16 = 1;
const FLAGS: u16 = 3;
const TIMEOUT: u16 = 4;
const EXPIRATION: u16 = 5;
const DATA_VALUE: u16 = 1;
const INTERVAL_END: u32 = 1;

/// The kernel counts a timeout in nanoseconds; this is 300 years.
const LONGEST: u64 = 9_467_000_000_000;

/// Writes which set the message is about.
pub(super) fn write_set(message: &mut Attributes, table: &str, set: &str) {
    message.text(LIST_TABLE, table);
    message.text(LIST_SET, set);
}

/// Writes elements of a hash set, or of an interval set.
pub(super) fn write(
    message: &mut Attributes,
    elements: impl IntoIterator<Item = Element>,
    is_interval: bool,
) {
    message.nest(LIST_ELEMENTS, |list| {
        for element in elements {
            write_one(list, element, is_interval);
        }
    });
}

fn write_one(list: &mut Attributes, Element { net, timeout }: Element, is_interval: bool) {
    list.nest(LIST_ITEM, |item| {
        write_key(item, net.address());
        if let Some(timeout) = timeout {
            // Zero would mean for ever.
            let millis = u64::try_from(timeout.as_millis()).unwrap_or(LONGEST).clamp(1, LONGEST);
            item.u64(TIMEOUT, millis);
        }
    });
    if let Some(end) = after(net).filter(|_| is_interval) {
        list.nest(LIST_ITEM, |item| {
            write_key(item, end);
            item.u32(FLAGS, INTERVAL_END);
        });
    }
}

/// Writes numbers of one byte into the anonymous set `id`.
pub(super) fn write_protocols(message: &mut Attributes, protocols: &[u8], id: u32) {
    message.nest(LIST_ELEMENTS, |list| {
        for protocol in protocols {
            list.nest(LIST_ITEM, |item| item.nest(KEY, |key| key.u8(DATA_VALUE, *protocol)));
        }
    });
    message.u32(LIST_SET_ID, id);
}

/// Writes the ports of the anonymous set `id`; in an interval set each has an end, one after its last.
pub(super) fn write_ports(message: &mut Attributes, ports: &[(u16, u16)], is_interval: bool, id: u32) {
    message.nest(LIST_ELEMENTS, |list| {
        for &(low, high) in ports {
            let key = |item: &mut Attributes, port: u16| {
                item.nest(KEY, |key| key.bytes(DATA_VALUE, &port.to_be_bytes()));
            };
            list.nest(LIST_ITEM, |item| key(item, low));
            if let Some(end) = high.checked_add(1).filter(|_| is_interval) {
                list.nest(LIST_ITEM, |item| {
                    key(item, end);
                    item.u32(FLAGS, INTERVAL_END);
                });
            }
        }
    });
    message.u32(LIST_SET_ID, id);
}

fn write_key(item: &mut Attributes, address: IpAddr) {
    item.nest(KEY, |key| match address {
        IpAddr::V4(four) => key.bytes(DATA_VALUE, &four.octets()),
        IpAddr::V6(six) => key.bytes(DATA_VALUE, &six.octets()),
    });
}

/// The first address after a prefix; none at the end of the address space.
fn after(net: Subnet) -> Option<IpAddr> {
    match net.last() {
        IpAddr::V4(four) => u32::from(four).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(six) => u128::from(six).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
    }
}

/// What a dump of a set found; what someone else put there and is no address or prefix is left out.
#[derive(Debug, Default)]
pub(super) struct Found {
    elements: Vec<Element>,
    bounds: Vec<Bound>,
}

/// One element of an interval set; sorted, an end comes before a start at the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bound {
    pub(super) at: IpAddr,
    is_start: bool,
    timeout: Option<Duration>,
}

impl Found {
    /// Takes in one message of the dump of a hash set, or of an interval set.
    pub(super) fn read(&mut self, message: Message, is_ipv6: bool, is_interval: bool) {
        let bounds = bounds(message).filter(|bound| bound.at.is_ipv6() == is_ipv6);
        if is_interval {
            self.bounds.extend(bounds);
        } else {
            self.elements.extend(bounds.map(|one| Element { net: one.at.into(), timeout: one.timeout }));
        }
    }

    /// What these elements of a hash set, or of an interval set, are.
    pub(super) fn of(bounds: &[Bound], is_interval: bool) -> Vec<Element> {
        if is_interval {
            return Self { bounds: bounds.to_vec(), ..Self::default() }.finish();
        }
        bounds.iter().map(|one| Element { net: one.at.into(), timeout: one.timeout }).collect()
    }

    /// Joins the starts and ends of an interval set. Whoever reads a whole dump calls it last.
    pub(super) fn finish(mut self) -> Vec<Element> {
        self.bounds.sort_unstable();
        let mut start: Option<Bound> = None;
        for bound in self.bounds {
            match (start.take(), bound.is_start) {
                (_, true) => start = Some(bound),
                (Some(first), false) => self.elements.extend(join(first, before(bound.at))),
                // nft itself begins a set with an end at the lowest address.
                (None, false) => {}
            }
        }
        if let Some(first) = start {
            let end = match first.at {
                IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
                IpAddr::V6(_) => Ipv6Addr::from(u128::MAX).into(),
            };
            self.elements.extend(join(first, Some(end)));
        }
        self.elements
    }
}

/// The elements in a message, one by one.
pub(super) fn bounds(message: Message<'_>) -> impl Iterator<Item = Bound> {
    let list = message.attributes().find(LIST_ELEMENTS);
    list.into_iter().flat_map(|list| list.nested().iter()).filter_map(|(_, item)| read_one(item.nested()))
}

fn join(start: Bound, last: Option<IpAddr>) -> Option<Element> {
    let net = prefix(start.at, last?)?;
    Some(Element { net, timeout: start.timeout })
}

fn read_one(item: Reader) -> Option<Bound> {
    let key = item.find(KEY)?.nested().find(DATA_VALUE)?.bytes();
    let at = match key.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(key).ok()?).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(key).ok()?).into(),
    };
    let flags = item.find(FLAGS).and_then(Value::u32).unwrap_or(0);
    let timeout = item.find(EXPIRATION).or_else(|| item.find(TIMEOUT));
    let timeout = timeout.and_then(Value::u64).map(Duration::from_millis);
    Some(Bound { at, is_start: flags & INTERVAL_END == 0, timeout })
}

fn before(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(four) => u32::from(four).checked_sub(1).map(|last| Ipv4Addr::from(last).into()),
        IpAddr::V6(six) => u128::from(six).checked_sub(1).map(|last| Ipv6Addr::from(last).into()),
    }
}

/// The prefix that is exactly this range, in its own family.
fn prefix(first: IpAddr, last: IpAddr) -> Option<Subnet> {
    let length = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (u32::from(first) ^ u32::from(last)).leading_zeros(),
        (IpAddr::V6(first), IpAddr::V6(last)) => (u128::from(first) ^ u128::from(last)).leading_zeros(),
        _ => return None,
    };
    let net = Subnet::new(first, length as u8)?;
    (net.address() == first && net.last() == last).then_some(net)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::firewall::nftables::wire::{self, Kind, Writer};

    fn there_and_back(elements: &[Element], is_ipv6: bool, is_interval: bool) -> Vec<Element> {
        let mut writer = Writer::new(1);
        writer.message(Kind::NewElement, 0, |message| write(message, elements.iter().copied(), is_interval));
        let mut found = Found::default();
        for message in wire::messages(writer.bytes()) {
            found.read(message, is_ipv6, is_interval);
        }
        found.finish()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (texts, is_ipv6) in [
            (&["192.0.2.1", "255.255.255.255", "0.0.0.0"][..], false),
            (&["2001:db8::1", "::"], true),
            (&["10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/31", "240.0.0.0/4"][..2], false),
            (&["0.0.0.0/0"], false),
            (&["128.0.0.0/1"], false),
            (&["::/1", "8000::/1"], true),
            (&["2001:db8::/32", "2001:db9:8000::/33"], true),
        ] {
            for timeout in [None, Some(Duration::from_millis(1)), Some(Duration::from_secs(604_860))] {
                let element = |text: &&str| Element { net: text.parse().unwrap(), timeout };
                let mut want: Vec<_> = texts.iter().map(element).collect();
                let mut got = there_and_back(&want, is_ipv6, texts[0].contains('/'));
                got.sort_by_key(|e| e.net);
                want.sort_by_key(|e| e.net);
                assert_eq!(got, want);
            }
        }
    }

    #[test]
    fn timeouts_fit_the_kernel() {
        for (given, kept) in [(Duration::ZERO, 1), (Duration::MAX, LONGEST), (Duration::from_micros(2500), 2)]
        {
            let element = Element { net: "192.0.2.1".parse().unwrap(), timeout: Some(given) };
            let found = there_and_back(&[element], false, false);
            assert_eq!(found[0].timeout, Some(Duration::from_millis(kept)), "{given:?}");
        }
    }

    #[test]
    fn what_is_no_address_or_prefix_is_left_out() {
        for (first, end, want) in [
            ("10.0.0.0", "10.0.0.4", Some("10.0.0.0/30")),
            ("10.0.0.1", "10.0.0.4", None),
            ("10.0.0.4", "10.0.0.0", None),
            ("2001:db8::", "2001:db9::", None),
        ] {
            let mut writer = Writer::new(1);
            writer.message(Kind::NewElement, 0, |message| {
                message.nest(LIST_ELEMENTS, |list| {
                    list.nest(LIST_ITEM, |item| write_key(item, first.parse().unwrap()));
                    list.nest(LIST_ITEM, |item| {
                        write_key(item, end.parse().unwrap());
                        item.u32(FLAGS, INTERVAL_END);
                    });
                });
            });
            let mut found = Found::default();
            wire::messages(writer.bytes()).for_each(|message| found.read(message, false, true));
            let got: Vec<_> = found.finish().iter().map(|element| element.net.to_string()).collect();
            assert_eq!(got.first().map(String::as_str), want, "{first} to {end}");
        }
        let element = Element { net: "2001:db8::1".parse().unwrap(), timeout: None };
        assert_eq!(there_and_back(&[element], false, false), [], "IPv6 in an IPv4 set");
    }

    #[test]
    fn the_largest_group_fits_an_attribute() {
        let net = |n: u128| Subnet::new(Ipv6Addr::from(n << 64).into(), 64).unwrap();
        let elements: Vec<_> =
            (0..PER_MESSAGE as u128).map(|n| Element { net: net(n), timeout: Some(Duration::MAX) }).collect();
        let found = there_and_back(&elements, true, true);
        assert_eq!(found.len(), PER_MESSAGE);
    }

    proptest! {
        #[test]
        fn senseless_elements_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            interval: bool,
            six: bool,
        ) {
            let mut writer = Writer::new(1);
            writer.message(Kind::NewElement, 0, |message| {
                message.nest(LIST_ELEMENTS, |list| {
                    for item in bytes.chunks(24) {
                        list.nest(LIST_ITEM, |inner| {
                            let key = &item[..item.len().min(if six { 16 } else { 4 })];
                            inner.nest(KEY, |inner| inner.bytes(DATA_VALUE, key));
                            inner.bytes(FLAGS, &item[item.len() / 2..]);
                        });
                    }
                    list.bytes(LIST_ITEM, &bytes);
                });
            });
            let mut found = Found::default();
            wire::messages(writer.bytes()).for_each(|message| found.read(message, six, interval));
            for element in found.finish() {
                prop_assert!(element.timeout.is_none_or(|t| t.as_millis() <= u128::from(u64::MAX)));
            }
        }
    }
}
