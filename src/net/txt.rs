//! A question for TXT records and its answer, as DNS writes them (RFC 1035).
//!
//! Pure. Answers come from anybody: nothing is read past its end, and no name is followed.

use std::net::{IpAddr, SocketAddr};

const TXT: u16 = 16;
const INTERNET: u16 = 1;
/// The bytes before the first question.
const HEADER: usize = 12;

/// What a name's TXT records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no such name, or it has none.
    Nothing,
    /// Their texts.
    Texts(Vec<String>),
}

/// The name under which Team Cymru tells of an address's origin.
pub fn origin_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.origin.asn.cymru.com")
        }
        IpAddr::V6(six) => {
            let nibbles = six.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let nibbles: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.origin6.asn.cymru.com", nibbles.join("."))
        }
    }
}

/// The resolvers that `/etc/resolv.conf` names.
pub fn servers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    named.filter_map(|word| Some((word.parse::<IpAddr>().ok()?, 53).into())).collect()
}

/// The packet that asks; none: it is no name.
pub fn question(number: u16, name: &str) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(HEADER + name.len() + 6);
    packet.extend(number.to_be_bytes());
    // A plain query that wants recursion, with one question.
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.push(0);
    packet.extend(TXT.to_be_bytes());
    packet.extend(INTERNET.to_be_bytes());
    Some(packet)
}

/// Reads the answer to the question of this number; none: it is none, or the server has failed.
pub fn answer(number: u16, packet: &[u8]) -> Option<Found> {
    let mut bytes = Bytes { packet, at: 0 };
    let (id, flags) = (bytes.number()?, bytes.number()?);
    let (questions, answers) = (bytes.number()?, bytes.number()?);
    let is_answer = flags & 0x8000 != 0;
    if id != number || !is_answer {
        return None;
    }
    match flags & 15 {
        0 => {}
        3 => return Some(Found::Nothing),
        _ => return None,
    }
    bytes.at = HEADER;
    for _ in 0..questions {
        bytes.skip_name()?;
        bytes.skip(4)?;
    }
    let mut texts = Vec::new();
    for _ in 0..answers {
        bytes.skip_name()?;
        let kind = bytes.number()?;
        bytes.skip(6)?;
        let length = bytes.number()?.into();
        let data = bytes.take(length)?;
        if kind == TXT {
            texts.push(text(data)?);
        }
    }
    Some(if texts.is_empty() { Found::Nothing } else { Found::Texts(texts) })
}

/// The strings of a record, as one.
fn text(mut data: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    while let Some((length, rest)) = data.split_first() {
        let (string, rest) = rest.split_at_checked((*length).into())?;
        text.extend(string);
        data = rest;
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

struct Bytes<'p> {
    packet: &'p [u8],
    at: usize,
}

impl<'p> Bytes<'p> {
    fn take(&mut self, length: usize) -> Option<&'p [u8]> {
        let taken = self.packet.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        self.take(length).map(drop)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Labels up to an empty one, or a pointer to labels elsewhere, which ends a name.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take(1)?[0] {
                0 => return Some(()),
                pointer if pointer >= 0xC0 => return self.skip(1),
                length if length < 64 => self.skip(length.into())?,
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_origins() {
        for (address, want) in [
            ("216.90.108.31", "31.108.90.216.origin.asn.cymru.com"),
            (
                "2001:db8::5",
                "5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.origin6.asn.cymru.com",
            ),
        ] {
            assert_eq!(origin_of(address.parse().unwrap()), want);
        }
    }

    #[test]
    fn resolvers() {
        let text =
            "# nameserver 9.9.9.9\nnameserver 192.0.2.53\nsearch x\nnameserver  ::1 \nnameserver what\n";
        let servers: Vec<String> = servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["192.0.2.53:53", "[::1]:53"]);
    }

    /// An answer with the name of the question as a pointer, as servers write it.
    fn packet(code: u8, records: &[(u16, &[u8])]) -> Vec<u8> {
        let mut packet = question(7, "a.example").unwrap();
        packet[2] = 0x81;
        packet[3] = 0x80 | code;
        packet[7] = records.len() as u8;
        for (kind, data) in records {
            packet.extend([0xC0, 12]);
            packet.extend(kind.to_be_bytes());
            packet.extend([0, 1, 0, 0, 0, 60]);
            packet.extend((data.len() as u16).to_be_bytes());
            packet.extend(*data);
        }
        packet
    }

    #[test]
    fn answers() {
        let texts =
            |texts: &[&str]| Some(Found::Texts(texts.iter().map(|text| (*text).to_owned()).collect()));
        let full = packet(0, &[(TXT, b"\x031 |\x02 U"), (5, b"\0"), (TXT, b"\x012")]);
        assert_eq!(answer(7, &full), texts(&["1 | U", "2"]));
        assert_eq!(answer(8, &full), None, "another question's");
        assert_eq!(answer(7, &packet(3, &[])), Some(Found::Nothing));
        assert_eq!(answer(7, &packet(0, &[(5, b"\0")])), Some(Found::Nothing));
        assert_eq!(answer(7, &packet(2, &[])), None, "the server failed");
        assert_eq!(answer(7, &question(7, "a.example").unwrap()), None, "no answer at all");
        for length in 0..full.len() {
            assert_eq!(answer(7, &full[..length]), None, "cut behind {length} bytes");
        }
        assert_eq!(answer(7, &packet(0, &[(TXT, b"\x09short")])), None);
        assert_eq!(question(1, &"x".repeat(64)), None);
    }
}
