//! Netlink messages as bytes: written one after another, and read back.
//!
//! Pure. Numbers of netfilter's attributes are big-endian, netlink's own headers are in the order of the machine.
//! Whatever is read may be cut short or senseless: it then ends early, or is not there.
//! By hand, because netlink-packet-netfilter knows neither `reject`, `counter` nor the expressions of a set, and takes
//! twenty times as long for a large batch. Source of all figures: `linux/netfilter/nf_tables.h`, `nfnetlink.h`.

/// Netlink's own figures.
pub(in crate::firewall) const NLM_F_REQUEST: u16 = 0x001;
pub(in crate::firewall) const NLM_F_ACK: u16 = 0x004;
pub(in crate::firewall) const NLM_F_DUMP_INTR: u16 = 0x010;
pub(super) const NLM_F_EXCL: u16 = 0x200;
pub(in crate::firewall) const NLM_F_DUMP: u16 = 0x300;
pub(super) const NLM_F_CREATE: u16 = 0x400;
pub(super) const NLM_F_APPEND: u16 = 0x800;
pub(in crate::firewall) const NLMSG_ERROR: u16 = 2;
pub(in crate::firewall) const NLMSG_DONE: u16 = 3;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

const SUBSYSTEM: u16 = 10;
/// Whose tables a message is about: all, or those of one family.
pub(super) const FAMILY_ANY: u8 = 0;
pub(super) const FAMILY_INET: u8 = 1;
pub(in crate::firewall) const FAMILY_IPV4: u8 = 2;
pub(in crate::firewall) const FAMILY_IPV6: u8 = 10;
const HEADER: usize = 16;
const NETFILTER_HEADER: usize = 4;

/// The messages of nftables that this program sends or reads. There is none newer than Linux 5.10 understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    NewTable = 0,
    GetTable = 1,
    DelTable = 2,
    NewChain = 3,
    GetChain = 4,
    DelChain = 5,
    NewRule = 6,
    GetRule = 7,
    DelRule = 8,
    NewSet = 9,
    GetSet = 10,
    DelSet = 11,
    NewElement = 12,
    GetElement = 13,
    DelElement = 14,
    NewGeneration = 15,
    GetGeneration = 16,
}

impl Kind {
    pub(super) fn message_type(self) -> u16 {
        SUBSYSTEM << 8 | self as u16
    }
}

/// Messages written one after another, each numbered one more than the one before.
#[derive(Debug)]
pub(in crate::firewall) struct Writer {
    bytes: Vec<u8>,
    next: u32,
    last: usize,
}

impl Writer {
    /// The first message gets the number `first`.
    pub(in crate::firewall) fn new(first: u32) -> Self {
        Self { bytes: Vec::with_capacity(4096), next: first, last: 0 }
    }

    /// A message to nftables, about tables of the family inet.
    pub(super) fn message(&mut self, kind: Kind, flags: u16, body: impl FnOnce(&mut Attributes)) {
        self.message_to(FAMILY_INET, kind, flags, body);
    }

    /// A message to nftables.
    pub(super) fn message_to(
        &mut self,
        family: u8,
        kind: Kind,
        flags: u16,
        body: impl FnOnce(&mut Attributes),
    ) {
        self.write(kind.message_type(), flags, family, 0, body);
    }

    /// Opens a transaction.
    pub(super) fn begin(&mut self) {
        self.write(BATCH_BEGIN, 0, 0, SUBSYSTEM, |_| {});
    }

    /// Closes a transaction and has its last message acknowledged: an acknowledgement each would overrun the socket.
    pub(super) fn end(&mut self) {
        let flags = self.last + 6;
        let asked = u16::from_ne_bytes([self.bytes[flags], self.bytes[flags + 1]]) | NLM_F_ACK;
        self.bytes[flags..flags + 2].copy_from_slice(&asked.to_ne_bytes());
        self.write(BATCH_END, 0, 0, SUBSYSTEM, |_| {});
    }

    /// The number that the next message gets.
    pub(in crate::firewall) fn next_number(&self) -> u32 {
        self.next
    }

    pub(in crate::firewall) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn write(
        &mut self,
        kind: u16,
        flags: u16,
        family: u8,
        resource: u16,
        body: impl FnOnce(&mut Attributes),
    ) {
        let [high, low] = resource.to_be_bytes();
        self.plain(kind, flags, &[family, 0, high, low], body);
    }

    /// A message of any subsystem, with the header of its own.
    pub(in crate::firewall) fn plain(
        &mut self,
        kind: u16,
        flags: u16,
        head: &[u8],
        body: impl FnOnce(&mut Attributes),
    ) {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.next.to_ne_bytes());
        self.bytes.extend([0; 4]);
        self.bytes.extend(head);
        body(&mut Attributes(&mut self.bytes));
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.next = self.next.wrapping_add(1);
        self.last = start;
    }
}

/// Writes the attributes of a message or of a nested attribute.
pub(in crate::firewall) struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    pub(in crate::firewall) fn bytes(&mut self, kind: u16, value: &[u8]) {
        self.with(kind, |bytes| bytes.extend(value));
    }

    /// What is written already.
    pub(in crate::firewall) fn verbatim(&mut self, attributes: &[u8]) {
        self.0.extend(attributes);
    }

    pub(super) fn u8(&mut self, kind: u16, value: u8) {
        self.bytes(kind, &[value]);
    }

    pub(in crate::firewall) fn u32(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, kind: u16, value: u64) {
        self.bytes(kind, &value.to_be_bytes());
    }

    /// Text; the kernel wants the NUL at its end.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.with(kind, |bytes| {
            bytes.extend(value.as_bytes());
            bytes.push(0);
        });
    }

    /// Attributes in an attribute, together less than 64 KiB.
    pub(in crate::firewall) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Attributes)) {
        self.with(kind | NLA_F_NESTED, |bytes| body(&mut Attributes(bytes)));
    }

    fn with(&mut self, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        value(self.0);
        let length = self.0.len() - start;
        debug_assert!(u16::try_from(length).is_ok(), "an attribute holds 64 KiB");
        self.0[start..start + 2].copy_from_slice(&(length as u16).to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
        self.0.resize(start + length.next_multiple_of(4), 0);
    }
}

/// One message as read.
#[derive(Debug, Clone, Copy)]
pub(in crate::firewall) struct Message<'a> {
    pub(in crate::firewall) kind: u16,
    pub(in crate::firewall) flags: u16,
    pub(in crate::firewall) number: u32,
    /// The socket of who sent it, or of who caused what it tells of.
    pub(in crate::firewall) port: u32,
    pub(in crate::firewall) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The errno of [`NLMSG_ERROR`] or [`NLMSG_DONE`]: 0 is an acknowledgement.
    pub(in crate::firewall) fn errno(&self) -> i32 {
        let errno = self.body.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
        errno.checked_neg().unwrap_or(i32::MAX)
    }

    /// The family of the tables that an nftables message is about.
    pub(in crate::firewall) fn family(&self) -> u8 {
        self.body.first().copied().unwrap_or(FAMILY_ANY)
    }

    /// The attributes of an nftables message.
    pub(in crate::firewall) fn attributes(&self) -> Reader<'a> {
        Reader(self.body.get(NETFILTER_HEADER..).unwrap_or_default())
    }
}

/// The messages in a datagram.
pub(in crate::firewall) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> + Clone {
    std::iter::from_fn(move || {
        let header = bytes.first_chunk::<HEADER>()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, n0, n1, n2, n3, p0, p1, p2, p3] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            number: u32::from_ne_bytes([n0, n1, n2, n3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            body,
        })
    })
}

/// The attributes in a message or in a nested attribute, in order.
#[derive(Debug, Clone, Copy)]
pub(in crate::firewall) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Each attribute with its kind.
    pub(super) fn iter(self) -> impl Iterator<Item = (u16, Value<'a>)> {
        let mut bytes = self.0;
        std::iter::from_fn(move || {
            let [l0, l1, k0, k1] = *bytes.first_chunk()?;
            let length = usize::from(u16::from_ne_bytes([l0, l1]));
            let value = bytes.get(4..length)?;
            bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_ne_bytes([k0, k1]) & NLA_TYPE_MASK, Value(value)))
        })
    }

    /// The first attribute of a kind.
    pub(in crate::firewall) fn find(self, kind: u16) -> Option<Value<'a>> {
        self.iter().find(|(other, _)| *other == kind).map(|(_, value)| value)
    }
}

/// The value of an attribute, of whatever type the reader expects.
#[derive(Debug, Clone, Copy)]
pub(in crate::firewall) struct Value<'a>(&'a [u8]);

impl<'a> Value<'a> {
    pub(in crate::firewall) fn bytes(self) -> &'a [u8] {
        self.0
    }

    pub(in crate::firewall) fn u32(self) -> Option<u32> {
        self.0.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn u64(self) -> Option<u64> {
        self.0.try_into().ok().map(u64::from_be_bytes)
    }

    pub(super) fn text(self) -> Option<&'a str> {
        str::from_utf8(self.0.split(|byte| *byte == 0).next()?).ok()
    }

    pub(in crate::firewall) fn nested(self) -> Reader<'a> {
        Reader(self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = Writer::new(u32::MAX);
        writer.begin();
        writer.message(Kind::NewElement, NLM_F_CREATE, |a| {
            a.text(1, "stockade");
            a.nest(3, |a| {
                a.u8(1, 7);
                a.u32(2, 0x0102_0304);
                a.u64(3, 5);
            });
        });
        writer.end();
        let read: Vec<_> = messages(writer.bytes()).collect();
        let head: Vec<_> = read.iter().map(|m| (m.kind, m.flags, m.number)).collect();
        assert_eq!(
            head,
            [(0x10, 1, u32::MAX), (0x0a0c, 0x405, 0), (0x11, 1, 1)],
            "the last one before the end is acknowledged"
        );
        assert_eq!(read[0].body, [0, 0, 0, 10], "the subsystem, big-endian");
        let attributes = read[1].attributes();
        assert_eq!(attributes.find(1).unwrap().text(), Some("stockade"));
        let inner = attributes.find(3).unwrap().nested();
        assert_eq!(inner.find(1).unwrap().bytes(), [7]);
        assert_eq!(inner.find(2).unwrap().u32(), Some(0x0102_0304));
        assert_eq!(inner.find(3).unwrap().u64(), Some(5));
        assert_eq!(inner.find(3).unwrap().u32(), None);
        assert!(inner.find(4).is_none());
    }

    proptest! {
        #[test]
        fn senseless_bytes_end_the_reading(bytes in prop::collection::vec(any::<u8>(), 0..200), length in 0_u8..60) {
            let mut framed = u32::from(length).to_ne_bytes().to_vec();
            framed.extend(&bytes);
            for bytes in [bytes, framed] {
                for message in messages(&bytes) {
                    let _ = message.errno();
                    for (_, value) in message.attributes().iter() {
                        let _ = (value.u32(), value.u64(), value.text(), value.nested().iter().count());
                    }
                }
            }
        }
    }
}
