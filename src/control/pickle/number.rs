//! Integers of any size: decimal digits ⇄ bytes, the least significant first, in two's complement.
//!
//! Pure. The work grows with the square of the length; the caller bounds it.

/// The digits of the number that these bytes are.
pub(super) fn digits(bytes: &[u8]) -> String {
    if bytes.len() <= 8 {
        return small(bytes).to_string();
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut size = bytes.to_vec();
    if negative {
        negate(&mut size);
    }
    let text = magnitude(size);
    if negative { format!("-{text}") } else { text }
}

/// The bytes of a number in its plain form, as few as can be; none: these are no digits.
pub(super) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let mut bytes = vec![0];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in &mut bytes {
            carry += u32::from(*byte) * 10;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    bytes.push(0); // room for the sign
    if negative {
        negate(&mut bytes);
    }
    let sign = if negative { 0xff } else { 0 };
    while let [.., before, last] = &bytes[..]
        && *last == sign
        && (before ^ sign) & 0x80 == 0
    {
        bytes.pop();
    }
    Some(bytes)
}

/// Whether it is a number in its plain form: a sign if it is below zero, and digits.
pub(super) fn is_plain(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

fn small(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = if negative { [0xff; 8] } else { [0; 8] };
    whole[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(whole)
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

fn magnitude(mut size: Vec<u8>) -> String {
    const GROUP: u32 = 1_000_000;
    let mut groups = Vec::new();
    while !size.is_empty() {
        let mut rest = 0;
        for byte in size.iter_mut().rev() {
            let part = rest << 8 | u32::from(*byte);
            *byte = (part / GROUP) as u8;
            rest = part % GROUP;
        }
        groups.push(rest);
        while size.last() == Some(&0) {
            size.pop();
        }
    }
    let mut groups = groups.iter().rev();
    let first = groups.next().map_or_else(|| "0".to_owned(), u32::to_string);
    groups.fold(first, |text, group| format!("{text}{group:06}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for (text, want) in [
            ("0", &[0][..]),
            ("127", &[127]),
            ("128", &[128, 0]),
            ("-1", &[255]),
            ("-128", &[128]),
            ("-129", &[127, 255]),
            ("9223372036854775808", &[0, 0, 0, 0, 0, 0, 0, 128, 0]),
            ("-1180591620717411303424", &[0, 0, 0, 0, 0, 0, 0, 0, 192]),
            ("1000000000000000000000000", &[0, 0, 0, 161, 237, 204, 206, 27, 194, 211, 0]),
        ] {
            assert_eq!(bytes(text).unwrap(), want, "{text}");
            assert_eq!(digits(want), text);
        }
        assert_eq!(digits(&[]), "0");
        assert_eq!(digits(&[0; 12]), "0");
        assert_eq!(digits(&[255; 12]), "-1");
        assert_eq!(bytes("1x"), None);
    }
}
