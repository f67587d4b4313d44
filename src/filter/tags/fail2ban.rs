//! `<HOST>`, `<F-USER>…</F-USER>` and so on as Fail2Ban expands them (SPEC §2.1).
//!
//! What is no tag stays as it is, a closing tag without its opening one too; nothing here is a mistake, the regular
//! expression that comes out may be one.

use super::{CIDR, LONGEST, address};
use crate::filter::syntax::local_flags;
use crate::filter::{Fail2Ban, Problem, UseDns};

const IP4: &str = r"(?:::f{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})";
const DNS: &str = r"(?P<dns>[\w\-.^_]*\w)";
/// Before 1.1, and since. An iteration ends in `:`, so a final `:` needs no look-behind.
const IP6: [&str; 2] = [
    r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:))",
    r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|:){1,7}(?:[0-9a-fA-F]{1,4}|:))",
];

/// Turns all tags into groups.
pub(in crate::filter) fn expand(text: &str, options: &Fail2Ban) -> Result<String, Problem> {
    let mut tags = Tags { options, open: Vec::new(), skips: 0 };
    let mut out = String::with_capacity(text.len() + 256);
    let mut rest = text;
    while let Some((start, end)) = next_tag(rest) {
        out.push_str(&rest[..start]);
        match tags.expand(&rest[start + 1..end - 1]) {
            Some(expanded) => out.push_str(&expanded),
            None => out.push_str(&rest[start..end]),
        }
        if out.len() > LONGEST {
            return Err(Problem::TooLarge);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    Ok(out)
}

/// The same as Fail2Ban itself writes it; a text that is too long stays as it is.
pub(in crate::filter) fn shown(text: &str, options: &Fail2Ban) -> String {
    let expanded = expand(text, options).unwrap_or_else(|_| text.to_owned());
    let ip6 = IP6[usize::from(!options.overwrite_with_nothing)];
    let own = ip6.replace("|:))", "|(?<=:):))");
    local_flags(&expanded.replace(ip6, &own))
}

/// Where the first `<name>`, `</name>` or `<name/>` begins and ends.
fn next_tag(text: &str) -> Option<(usize, usize)> {
    memchr::memchr_iter(b'<', text.as_bytes()).find_map(|start| {
        let inside = text[start + 1..].strip_prefix('/').unwrap_or(&text[start + 1..]);
        let name = inside.find(|char: char| !(char.is_alphanumeric() || char == '_' || char == '-'))?;
        let after = inside[name..].strip_prefix('/').unwrap_or(&inside[name..]);
        (name > 0 && after.starts_with('>')).then(|| (start, text.len() - after.len() + 1))
    })
}

struct Tags<'o> {
    options: &'o Fail2Ban,
    /// Names of the tags that were opened once: they may be closed any number of times.
    open: Vec<String>,
    /// `<SKIPLINES>` so far.
    skips: usize,
}

impl Tags<'_> {
    /// None: not a tag that means something.
    fn expand(&mut self, tag: &str) -> Option<String> {
        let ip6 = IP6[usize::from(!self.options.overwrite_with_nothing)];
        Some(match tag {
            "HOST" if self.options.use_dns == UseDns::No => address(IP4, ip6, ""),
            "HOST" => format!("(?:{}|{DNS})", address(IP4, ip6, "")),
            "ADDR" | "F-ADDR/" => address(IP4, ip6, ""),
            "SUBNET" | "F-SUBNET/" => address(IP4, ip6, &format!("(?:/{CIDR})?")),
            "IP4" | "F-IP4/" => IP4.to_owned(),
            "IP6" | "F-IP6/" => ip6.to_owned(),
            "DNS" | "F-DNS/" => DNS.to_owned(),
            "CIDR" | "F-CIDR/" => CIDR.to_owned(),
            "F-ID/" => r"(?P<fid>\S+)".to_owned(),
            "F-PORT/" => r"(?P<fport>\w+)".to_owned(),
            "SKIPLINES" => {
                self.skips += 1;
                format!(r"\n(?P<skiplines{}>(?:(?:.*\n)*?))", self.skips - 1)
            }
            _ => return self.pair(tag),
        })
    }

    /// `F-NAME` or `/F-NAME`.
    fn pair(&mut self, tag: &str) -> Option<String> {
        let (closes, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let name = tag.strip_prefix("F-")?;
        let fits =
            |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            return None;
        }
        if closes {
            return self.open.iter().any(|open| open == name).then(|| ")".to_owned());
        }
        self.open.push(name.to_owned());
        Some(format!("(?P<{}>", group(&name.to_ascii_lowercase())))
    }
}

/// The group that a tag's name, in lower case, stands for.
pub(in crate::filter) fn group(name: &str) -> &str {
    match name {
        "id" => "fid",
        "port" => "fport",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        expand(text, &Fail2Ban::default()).unwrap()
    }

    #[test]
    fn tags() {
        let no = Fail2Ban { use_dns: UseDns::No, ..Fail2Ban::default() };
        assert_eq!(expand("<HOST>", &no).unwrap(), expanded("<ADDR>"));
        for (text, want) in [
            ("<F-USER>a</F-USER>", "(?P<user>a)"),
            ("<F-ID>a</F-ID> <F-PORT/>", r"(?P<fid>a) (?P<fport>\w+)"),
            ("<F-ID/> <CIDR>", r"(?P<fid>\S+) (?P<cidr>\d+)"),
            ("<F-ALT_USER_1>a</F-ALT_USER_1>", "(?P<alt_user_1>a)"),
            // An opened name can be closed more than once, one that was not opened stays.
            ("(<F-A>a</F-A></F-A>", "((?P<a>a))"),
            ("</F-A><F-A>a</F-A>", "</F-A>(?P<a>a)"),
            // No tags.
            (
                "<host> <F-user> <F-HOST/> (?P<x>a) (?<=b) <> <a b>",
                "<host> <F-user> <F-HOST/> (?P<x>a) (?<=b) <> <a b>",
            ),
            (r"\<F-PORT/>", r"\(?P<fport>\w+)"),
            ("<<F-PORT/>", r"<(?P<fport>\w+)"),
            ("<é> <F-É>", "<é> <F-É>"),
            (
                "a<SKIPLINES>b<SKIPLINES>",
                r"a\n(?P<skiplines0>(?:(?:.*\n)*?))b\n(?P<skiplines1>(?:(?:.*\n)*?))",
            ),
        ] {
            assert_eq!(expanded(text), want, "{text}");
        }
    }

    #[test]
    fn an_address_is_spelt_by_its_version() {
        assert!(expanded("<ADDR>").starts_with(r"\[?(?:(?:::f{4,6}:)?(?P<ip4>"));
        assert!(expanded("<IP6>").contains("|::)"));
        let newer = Fail2Ban { overwrite_with_nothing: false, ..Fail2Ban::default() };
        assert!(expand("<IP6>", &newer).unwrap().contains("|:)"));
        assert!(expanded("<SUBNET>").ends_with(r"(?:/(?P<cidr>\d+))?\]?"));
        assert!(expanded("<HOST>").ends_with(r"|(?P<dns>[\w\-.^_]*\w))"));
    }

    #[test]
    fn a_long_pattern_is_refused() {
        assert_eq!(expand(&"<HOST>".repeat(1_000), &Fail2Ban::default()), Err(Problem::TooLarge));
    }
}
