//! An address or a prefix, in the one spelling that everything else compares by.
//!
//! `::ffff:192.0.2.1` is 192.0.2.1, host bits are cleared, and a single address has no `/32`.

use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A single address or a prefix, IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet(IpNet);

/// The text is neither an address nor a prefix.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a prefix such as 192.0.2.0/24")]
pub struct SubnetError(pub String);

impl Subnet {
    /// Appends it as bytes, equal ones for equal prefixes: its kind (bit 0: IPv6, bit 1: no single address), its address,
    /// and its length where that is not the family's.
    pub fn write(self, out: &mut Vec<u8>) {
        if let (IpAddr::V4(four), true) = (self.address(), self.is_single()) {
            let [a, b, c, d] = four.octets();
            return out.extend_from_slice(&[0, a, b, c, d]);
        }
        out.push(u8::from(self.is_ipv6()) | u8::from(!self.is_single()) << 1);
        match self.address() {
            IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
        }
        if !self.is_single() {
            out.push(self.length());
        }
    }

    /// Appends it as it is shown.
    pub fn spell(&self, out: &mut Vec<u8>) {
        match self.0.addr() {
            IpAddr::V4(four) if self.is_single() => {
                let (text, length) = dotted(four);
                out.extend_from_slice(&text[..length]);
            }
            _ => {
                // Writing to memory cannot fail.
                let _ = write!(out, "{self}");
            }
        }
    }

    /// The prefix `address/length`, host bits cleared; none when the length does not fit the family.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let mapped = match address {
            IpAddr::V6(six) => six.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        };
        let net = match mapped {
            Some(four) if length >= 96 => IpNet::new(four.into(), length - 96),
            _ => IpNet::new(address, length),
        };
        net.ok().map(|net| Self(net.trunc()))
    }

    /// The network address; for a single address, that address.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The length of the prefix in bits.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether this is one address (`/32`, `/128`).
    pub fn is_single(&self) -> bool {
        self.0.prefix_len() == self.0.max_prefix_len()
    }

    /// Whether this is IPv6.
    pub fn is_ipv6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// Whether all of `other` lies within this.
    pub fn contains(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// Whether the two share an address.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// The last address of the prefix.
    pub fn last(&self) -> IpAddr {
        self.0.broadcast()
    }
}

impl From<IpAddr> for Subnet {
    fn from(address: IpAddr) -> Self {
        let address = match address {
            IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        Self(IpNet::from(address))
    }
}

impl From<Ipv4Addr> for Subnet {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::V4(address).into()
    }
}

impl From<Ipv6Addr> for Subnet {
    fn from(address: Ipv6Addr) -> Self {
        IpAddr::V6(address).into()
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let wrong = || SubnetError(text.to_owned());
        match text.split_once('/') {
            None => text.parse::<IpAddr>().map(Self::from).map_err(|_| wrong()),
            Some((address, length)) => {
                let address: IpAddr = address.parse().map_err(|_| wrong())?;
                let length = match length.parse::<Ipv4Addr>() {
                    Ok(mask) if address.is_ipv4() => ipnet::ipv4_mask_to_prefix(mask).map_err(|_| wrong())?,
                    _ if length.starts_with('+') => return Err(wrong()),
                    _ => length.parse().map_err(|_| wrong())?,
                };
                Self::new(address, length).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
            // Most are these: the library writes number by number, which takes five times as long.
            IpAddr::V4(four) if self.is_single() => {
                let (text, length) = dotted(four);
                f.pad(std::str::from_utf8(&text[..length]).unwrap_or_default())
            }
            address if self.is_single() => address.fmt(f),
            _ => self.0.fmt(f),
        }
    }
}

/// An address as text, and how long that is.
fn dotted(four: Ipv4Addr) -> ([u8; 15], usize) {
    let (mut text, mut end) = ([0; 15], 0);
    let mut push = |byte| {
        text[end] = byte;
        end += 1;
    };
    for (index, octet) in four.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet > 99 {
            push(b'0' + octet / 100);
        }
        if octet > 9 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    (text, end)
}

impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.addr() {
            IpAddr::V4(four) if self.is_single() => {
                let (text, length) = dotted(four);
                serializer.serialize_str(std::str::from_utf8(&text[..length]).unwrap_or_default())
            }
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_is_written() {
        for n in 0..=255 {
            let four = Ipv4Addr::new(n, 255 - n, n / 2, n);
            let mut spelled = Vec::new();
            Subnet::from(four).spell(&mut spelled);
            assert_eq!(
                (Subnet::from(four).to_string(), &spelled[..]),
                (four.to_string(), four.to_string().as_bytes())
            );
        }
        assert_eq!(
            format!("{:>9}|{:<8}|", Subnet::from(Ipv4Addr::LOCALHOST), Subnet::from(Ipv4Addr::UNSPECIFIED)),
            "127.0.0.1|0.0.0.0 |"
        );
    }

    #[test]
    fn one_spelling() {
        for (text, want) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1/32", Some("192.0.2.1")),
            ("192.0.2.77/24", Some("192.0.2.0/24")),
            ("10.0.0.1/255.0.0.0", Some("10.0.0.0/8")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("::ffff:192.0.2.0/120", Some("192.0.2.0/24")),
            ("2001:DB8::0:1", Some("2001:db8::1")),
            ("2001:db8::1/64", Some("2001:db8::/64")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("999.1.1.1", None),
            ("192.0.2.1/33", None),
            ("192.0.2.1/+8", None),
            ("192.0.2.1/", None),
            ("10.0.0.0/255.0.255.0", None),
            ("", None),
            ("fe80::1%eth0", None),
        ] {
            let got = text.parse::<Subnet>().ok().map(|net| net.to_string());
            assert_eq!(got.as_deref(), want, "{text:?}");
        }
    }
}
