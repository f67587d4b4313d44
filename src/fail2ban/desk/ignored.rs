//! `ignoreip`: who is meant by a word, as it is shown.
//!
//! Pure.

use std::net::IpAddr;

use super::argument::{int, small, type_error, type_of, value_error};
use crate::python::{Raised, Value};
use crate::subnet::Subnet;

/// The words of a list, each once: networks and names, then single addresses.
pub(super) fn shown(words: &[String]) -> Value {
    let mut names: Vec<String> = Vec::new();
    let mut addresses: Vec<String> = Vec::new();
    for word in words {
        let shown = canonical(word).unwrap_or_else(|_| word.clone());
        let list = if is_address(word) { &mut addresses } else { &mut names };
        if !shown.is_empty() && !list.contains(&shown) {
            list.push(shown);
        }
    }
    Value::List(names.into_iter().chain(addresses).map(Value::from).collect())
}

/// A word to be added; none: it is empty.
pub(super) fn word(value: &Value) -> Result<Option<String>, Raised> {
    let Value::Text(text) = value else {
        return Err(type_error(format!("object of type '{}' has no len()", type_of(value))));
    };
    canonical(text)?;
    Ok(Some(text.clone()).filter(|text| !text.is_empty()))
}

/// The places of a word in a list.
pub(super) fn remove(words: &mut Vec<String>, value: &Value) -> Result<(), Raised> {
    let wanted = canonical(&value.print())?;
    let before = words.len();
    words.retain(|word| canonical(word).as_ref() != Ok(&wanted));
    if words.len() == before { Err(value_error("list.remove(x): x not in list")) } else { Ok(()) }
}

/// Whether it is an address as it stands, and not a network.
fn is_address(word: &str) -> bool {
    let (address, length) = word.split_once('/').unwrap_or((word, ""));
    match bare(address) {
        Some(IpAddr::V4(_)) => matches!(length, "" | "32"),
        Some(IpAddr::V6(_)) => matches!(length, "" | "128"),
        None => false,
    }
}

fn bare(text: &str) -> Option<IpAddr> {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inside.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// An address in its shortest form, a network without the bits of its hosts; a name as it is.
fn canonical(word: &str) -> Result<String, Raised> {
    if word.starts_with("file:") {
        return Ok(word.to_owned());
    }
    let Some((address, length)) = word.split_once('/') else {
        return Ok(bare(word).map_or_else(|| word.to_owned(), |address| address.to_string()));
    };
    let length = if length.contains(['.', ':']) { mask(length)? } else { small(&int(&length.into())?) };
    let Some(address) = bare(address) else { return Ok(word.to_owned()) };
    // A length that there is not means the address alone.
    let net = u8::try_from(length).ok().and_then(|length| Subnet::new(address, length));
    Ok(net.map_or_else(|| address.to_string(), |net| net.to_string()))
}

/// `255.0.0.0` → 8
fn mask(text: &str) -> Result<i64, Raised> {
    let wrong = || value_error(format!("invalid mask {}, no plen representation", crate::python::repr(text)));
    let bits = match text.parse::<IpAddr>().map_err(|_| wrong())? {
        IpAddr::V4(mask) => u128::from(u32::from(mask)) << 96,
        IpAddr::V6(mask) => u128::from(mask),
    };
    let length = bits.leading_ones();
    if length == bits.count_ones() { Ok(length.into()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for (word, want) in [
            ("10.1.2.3/8", Ok("10.0.0.0/8")),
            ("10.0.0.0/255.0.0.0", Ok("10.0.0.0/8")),
            ("10.1.2.3/32", Ok("10.1.2.3")),
            ("10.0.0.0/99", Ok("10.0.0.0")),
            ("1.2.3.4/-1", Ok("1.2.3.4")),
            ("::ffff:1.2.3.4", Ok("1.2.3.4")),
            ("2001:DB8:0::1", Ok("2001:db8::1")),
            ("[2001:db8::9]", Ok("2001:db8::9")),
            ("2001:db8::/32", Ok("2001:db8::/32")),
            ("2001:db8::1/129", Ok("2001:db8::1")),
            ("Foo.Example", Ok("Foo.Example")),
            ("1.2.3", Ok("1.2.3")),
            ("fe80::1%eth0", Ok("fe80::1%eth0")),
            ("file:/etc/x", Ok("file:/etc/x")),
            ("x/y", Err("invalid literal for int() with base 10: 'y'")),
            ("1.2.3.4/", Err("invalid literal for int() with base 10: ''")),
            ("10.0.0.0/255.0.255.0", Err("invalid mask '255.0.255.0', no plen representation")),
        ] {
            let got = canonical(word).map_err(|raised| raised.arguments[0].print());
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned), "{word}");
        }
    }
}
