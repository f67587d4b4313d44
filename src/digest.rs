//! MD5 and SHA-1, in hexadecimal: how Fail2Ban's database knows the first line of a file again. Nothing here is secret.

use std::fmt::Write as _;

/// Which of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// Of older versions; 32 digits.
    Md5,
    /// Fail2Ban 1.0 and later; 40 digits.
    Sha1,
}

impl Digest {
    /// The one that a digest in hexadecimal is of, by its length.
    pub fn spelled(hex: &str) -> Self {
        if hex.len() == 32 { Self::Md5 } else { Self::Sha1 }
    }

    /// The digest of these bytes.
    pub fn hex(self, bytes: &[u8]) -> String {
        let words = match self {
            Self::Md5 => {
                blocks(bytes, u64::to_le_bytes).fold(START[..4].to_vec(), |state, block| md5(&state, &block))
            }
            Self::Sha1 => {
                blocks(bytes, u64::to_be_bytes).fold(START.to_vec(), |state, block| sha1(&state, &block))
            }
        };
        let order = |word: &u32| if self == Self::Md5 { word.swap_bytes() } else { *word };
        let mut hex = String::with_capacity(words.len() * 8);
        for word in &words {
            let _ = write!(hex, "{:08x}", order(word));
        }
        hex
    }
}

const START: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

/// The message in blocks, behind it a bit, zeros and its length in bits.
fn blocks(bytes: &[u8], length: fn(u64) -> [u8; 8]) -> impl Iterator<Item = [u8; 64]> {
    let mut end = bytes[bytes.len() / 64 * 64..].to_vec();
    end.push(0x80);
    end.resize(if end.len() > 56 { 120 } else { 56 }, 0);
    end.extend(length((bytes.len() as u64).wrapping_mul(8)));
    let whole = bytes.len() / 64;
    let count = whole + end.len() / 64;
    (0..count).map(move |n| {
        let (from, n) = if n < whole { (bytes, n) } else { (&end[..], n - whole) };
        std::array::from_fn(|at| from[n * 64 + at])
    })
}

/// RFC 1321.
fn md5(state: &[u32], block: &[u8; 64]) -> Vec<u32> {
    const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| block[at * 4 + n]));
    let [mut a, mut b, mut c, mut d] = std::array::from_fn(|n| state[n]);
    for step in 0..64 {
        let (mixed, at) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
            2 => (b ^ c ^ d, (3 * step + 5) % 16),
            _ => (c ^ (b | !d), (7 * step) % 16),
        };
        let sine = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
        let sum = a.wrapping_add(mixed).wrapping_add(sine).wrapping_add(word(at));
        (a, d, c) = (d, c, b);
        b = b.wrapping_add(sum.rotate_left(TURNS[step / 16][step % 4]));
    }
    state.iter().zip([a, b, c, d]).map(|(old, new)| old.wrapping_add(new)).collect()
}

/// RFC 3174.
#[expect(clippy::many_single_char_names, reason = "as there")]
fn sha1(state: &[u32], block: &[u8; 64]) -> Vec<u32> {
    let mut words = [0_u32; 80];
    for at in 0..80 {
        words[at] = if at < 16 {
            u32::from_be_bytes(std::array::from_fn(|n| block[at * 4 + n]))
        } else {
            (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1)
        };
    }
    let [mut a, mut b, mut c, mut d, mut e] = std::array::from_fn(|n| state[n]);
    for (step, word) in words.into_iter().enumerate() {
        let (mixed, key) = match step / 20 {
            0 => ((b & c) | (!b & d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(key).wrapping_add(word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, sum);
    }
    state.iter().zip([a, b, c, d, e]).map(|(old, new)| old.wrapping_add(new)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test suites of RFC 1321 and RFC 3174, and lengths around the end of a block.
    #[test]
    fn digests() {
        for (text, md5, sha1) in [
            (String::new(), "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (
                "abc".to_owned(),
                "900150983cd24fb0d6963f7d28e17f72",
                "a9993e364706816aba3e25717850c26c9cd0d89d",
            ),
            ("a".repeat(55), "ef1772b6dff9a122358552954ad0df65", "c1c8bbdc22796e28c0e15163d20899b65621d65a"),
            ("a".repeat(56), "3b0c8ac703f828b04c6c197006d17218", "c2db330f6083854c99d4b5bfb6e8f29f201be699"),
            ("a".repeat(64), "014842d480b571495a4a0363793f7367", "0098ba824b5c16427bd7a1122a5a442a25ec644d"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890".to_owned(),
                "57edf4a22be3c955ac49da2e2107b67a",
                "50abf5706a150990a08b2c5ea40fa0e585554732",
            ),
        ] {
            assert_eq!(
                (&*Digest::Md5.hex(text.as_bytes()), &*Digest::Sha1.hex(text.as_bytes())),
                (md5, sha1),
                "{text}"
            );
            assert_eq!((Digest::spelled(md5), Digest::spelled(sha1)), (Digest::Md5, Digest::Sha1));
        }
    }
}
