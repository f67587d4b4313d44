//! Sets of bytes.

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(in crate::filter) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(in crate::filter) const DIGIT: Self = Self::of(b"0123456789");
    pub(in crate::filter) const WORD: Self =
        Self::of(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
    /// Python's blanks: those of C and the four separators before the blank.
    pub(in crate::filter) const SPACE: Self = Self::of(b" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f");
    pub(in crate::filter) const ALL: Self = Self([u64::MAX; 4]);
    /// `.` without the flag `s`.
    pub(in crate::filter) const DOT: Self = Self::of(b"\n").negated();

    /// What no ASCII text has.
    pub(in crate::filter) const HIGH: Self = Self([0, 0, u64::MAX, u64::MAX]);
    /// What a character beyond ASCII begins with.
    pub(in crate::filter) const LEAD: Self = Self([0, 0, 0, 0x001f_ffff_ffff_fffc]);

    pub(in crate::filter) const fn of(bytes: &[u8]) -> Self {
        let mut set = Self([0; 4]);
        let mut at = 0;
        while at < bytes.len() {
            set.0[(bytes[at] >> 6) as usize] |= 1 << (bytes[at] & 63);
            at += 1;
        }
        set
    }

    pub(in crate::filter) const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] & (1 << (byte & 63)) != 0
    }

    pub(in crate::filter) const fn negated(self) -> Self {
        Self([!self.0[0], !self.0[1], !self.0[2], !self.0[3]])
    }

    pub(in crate::filter) const fn union(self, other: Self) -> Self {
        let (a, b) = (self.0, other.0);
        Self([a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]])
    }

    pub(in crate::filter) fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub(in crate::filter) fn overlaps(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }

    pub(in crate::filter) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(in crate::filter) fn insert_range(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            self.insert(byte);
        }
    }

    /// With the other case of each ASCII letter.
    #[must_use]
    pub(in crate::filter) fn without_case(self) -> Self {
        let mut set = self;
        for letter in b'a'..=b'z' {
            let upper = letter.to_ascii_uppercase();
            if self.contains(letter) || self.contains(upper) {
                set.insert(letter);
                set.insert(upper);
            }
        }
        set
    }

    pub(in crate::filter) fn bytes(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |byte| self.contains(*byte))
    }

    /// The runs of bytes in it.
    pub(in crate::filter) fn ranges(self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in self.bytes() {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}

impl std::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (first, last) in self.ranges() {
            write!(f, "{}", first.escape_ascii())?;
            if first != last {
                write!(f, "-{}", last.escape_ascii())?;
            }
        }
        f.write_str("]")
    }
}
