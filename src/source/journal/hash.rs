//! The two hash functions of journal files, by which a value is found.
//!
//! Pure. Source: systemd's `JOURNAL_FILE_FORMAT`, "Hash Tables".

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

/// How a file hashes its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hashing {
    /// Bob Jenkins' lookup3, in files before systemd 246.
    Jenkins,
    /// SipHash-2-4 with the file's id as key.
    Keyed([u8; 16]),
}

impl Hashing {
    pub(super) fn of(self, payload: &[u8]) -> u64 {
        match self {
            Self::Jenkins => jenkins(payload),
            Self::Keyed(key) => {
                let mut hasher = SipHasher24::new_with_key(&key);
                hasher.write(payload);
                hasher.finish()
            }
        }
    }
}

/// `hashlittle2` of lookup3: its first result above its second.
fn jenkins(bytes: &[u8]) -> u64 {
    let start = 0xdead_beef_u32.wrapping_add(bytes.len() as u32);
    let mut state = [start; 3];
    let mut rest = bytes;
    while rest.len() > 12 {
        add(&mut state, &rest[..12]);
        mix(&mut state);
        rest = &rest[12..];
    }
    if !rest.is_empty() {
        add(&mut state, rest);
        finish(&mut state);
    }
    (u64::from(state[2]) << 32) | u64::from(state[1])
}

/// Adds up to twelve bytes, as three little-endian words.
fn add(state: &mut [u32; 3], bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        let word = &mut state[at / 4];
        *word = word.wrapping_add(u32::from(*byte) << (8 * (at % 4)));
    }
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for (x, y, z, turn) in
        [(0, 2, 1, 4), (1, 0, 2, 6), (2, 1, 0, 8), (0, 2, 1, 16), (1, 0, 2, 19), (2, 1, 0, 4)]
    {
        let mut words = [*a, *b, *c];
        words[x] = words[x].wrapping_sub(words[y]) ^ words[y].rotate_left(turn);
        words[y] = words[y].wrapping_add(words[z]);
        [*a, *b, *c] = words;
    }
}

fn finish([a, b, c]: &mut [u32; 3]) {
    for (x, y, turn) in [(2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24)] {
        let mut words = [*a, *b, *c];
        words[x] = (words[x] ^ words[y]).wrapping_sub(words[y].rotate_left(turn));
        [*a, *b, *c] = words;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// lookup3.c's own examples (`driver5`), and the reference vector of `SipHash`.
    #[test]
    fn reference_values() {
        let text = b"Four score and seven years ago";
        for (bytes, expected) in [(&b""[..], 0xdead_beef_dead_beef), (text, 0x1777_0551_ce72_26e6)] {
            assert_eq!(jenkins(bytes), expected, "{bytes:?}");
        }
        let key = std::array::from_fn(|at| at as u8);
        let text: Vec<u8> = (0..15).collect();
        assert_eq!(Hashing::Keyed(key).of(&text), 0xa129_ca61_49be_45e5);
    }
}
