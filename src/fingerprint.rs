//! A short mark of a text that is the same in every run and on every host (FNV-1a).
//!
//! Not against those who choose the text: two texts with one mark are easily made.

/// The mark of these bytes.
pub fn of(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let add = |mark: u64, byte: u8| (mark ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, add)
}

#[cfg(test)]
mod tests {
    use super::of;

    /// From the list of test vectors of FNV's authors.
    #[test]
    fn marks() {
        for (text, mark) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            assert_eq!(of(text.bytes()), mark, "{text}");
        }
    }
}
