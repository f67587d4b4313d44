//! `<name>` and `<HOST>` → regular expression: what an operator writes becomes what [`super::syntax`] reads.

pub(super) mod fail2ban;

use super::Problem;

/// Of a pattern with all its fragments in place.
const LONGEST: usize = 64 * 1024;
/// Fragments within fragments.
const DEPTH: usize = 20;

const IP4: &str = r"(?:::[Ff]{4,6}:)?(?P<ip4>(?:\d{1,3}\.){3}\d{1,3})";
// An iteration always ends in `:`, so a final `:` alone always follows one: `1::` and `::` need no look-behind.
const IP6: &str = r"(?P<ip6>(?:[0-9a-fA-F]{1,4}::?|::){1,7}(?:[0-9a-fA-F]{1,4}|:))";
const CIDR: &str = r"(?P<cidr>\d+)";

/// Puts the fragments of `define` in place of their `<name>`s.
pub(super) fn fragments(text: &str, define: &[(String, String)]) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    spread(text, define, &mut Vec::new(), &mut out)?;
    Ok(out)
}

fn spread<'d>(
    text: &str,
    define: &'d [(String, String)],
    within: &mut Vec<&'d str>,
    out: &mut String,
) -> Result<(), Problem> {
    for piece in Pieces::new(text) {
        let known = match piece {
            Piece::Tag(name, _) => define.iter().find(|(known, _)| known == name),
            Piece::Text(_) => None,
        };
        let Some((name, fragment)) = known else {
            out.push_str(piece.text());
            continue;
        };
        if within.contains(&&**name) {
            return Err(Problem::Cycle(name.clone()));
        }
        within.push(name);
        // `a|b` stays together, or what follows would belong to `b` alone.
        let group = has_branches(fragment);
        out.push_str(if group { "(?:" } else { "" });
        spread(fragment, define, within, out)?;
        out.push_str(if group { ")" } else { "" });
        within.pop();
        if out.len() > LONGEST || within.len() > DEPTH {
            return Err(Problem::TooLarge);
        }
    }
    Ok(())
}

/// Whether there is a `|` outside all groups and classes.
fn has_branches(fragment: &str) -> bool {
    let (mut depth, mut class, mut bytes) = (0, false, fragment.bytes());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'[' => class = true,
            b']' => class = false,
            b'(' if !class => depth += 1,
            b')' if !class => depth -= 1,
            b'|' if !class && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

/// Turns `<HOST>`, `<F-USER>…</F-USER>` and so on into groups.
pub(super) fn expand(text: &str) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len() + 256);
    let mut open: Vec<&str> = Vec::new();
    for piece in Pieces::new(text) {
        let Piece::Tag(tag, _) = piece else {
            out.push_str(piece.text());
            continue;
        };
        match tag {
            "HOST" | "ADDR" | "F-HOST/" | "F-ADDR/" => out.push_str(&address(IP4, IP6, "")),
            "SUBNET" | "F-SUBNET/" => out.push_str(&address(IP4, IP6, &format!("(?:/{CIDR})?"))),
            "IP4" | "F-IP4/" => out.push_str(IP4),
            "IP6" | "F-IP6/" => out.push_str(IP6),
            "CIDR" | "F-CIDR/" => out.push_str(CIDR),
            "F-ID/" => out.push_str(r"(?P<fid>\S+)"),
            "F-PORT/" => out.push_str(r"(?P<fport>\w+)"),
            "DNS" | "F-DNS/" => return Err(Problem::Names(piece.text().to_owned())),
            "SKIPLINES" => return Err(Problem::Unknown(piece.text().to_owned())),
            _ => match (name(tag), tag.strip_prefix('/').and_then(name)) {
                (Some(name), _) => {
                    open.push(tag);
                    out.push_str("(?P<");
                    out.push_str(&name);
                    out.push('>');
                }
                (None, Some(_)) => {
                    if open.pop() != tag.strip_prefix('/') {
                        return Err(Problem::NotOpen(piece.text().to_owned()));
                    }
                    out.push(')');
                }
                (None, None) if tag.starts_with("F-") => {
                    return Err(Problem::Unknown(piece.text().to_owned()));
                }
                (None, None) => out.push_str(piece.text()),
            },
        }
        if out.len() > LONGEST {
            return Err(Problem::TooLarge);
        }
    }
    open.pop().map_or(Ok(out), |tag| Err(Problem::NotClosed(format!("<{tag}>"))))
}

fn address(ip4: &str, ip6: &str, more: &str) -> String {
    format!(r"\[?(?:{ip4}|{ip6}){more}\]?")
}

/// The group that `F-USER` captures; none when it is no such tag.
fn name(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("F-")?;
    let fits =
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
    if !fits || !name.starts_with(|char: char| char.is_ascii_uppercase()) {
        return None;
    }
    Some(match name {
        "ID" => "fid".to_owned(),
        "PORT" => "fport".to_owned(),
        _ => name.to_ascii_lowercase().replace('-', "_"),
    })
}

enum Piece<'t> {
    Text(&'t str),
    /// What stands between `<` and `>`, and the same with them.
    Tag(&'t str, &'t str),
}

impl<'t> Piece<'t> {
    fn text(&self) -> &'t str {
        match self {
            Piece::Text(text) | Piece::Tag(_, text) => text,
        }
    }
}

/// Cuts a pattern into `<tags>` and the text between; `\<`, `(?P<name>` and `(?<=` are text.
struct Pieces<'t> {
    text: &'t str,
}

impl<'t> Pieces<'t> {
    fn new(text: &'t str) -> Self {
        Self { text }
    }

    /// Where the first tag begins and ends.
    fn tag(&self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'\\' => at += 1,
                b'<' if !(bytes[..at].ends_with(b"(?P") || bytes[..at].ends_with(b"(?")) => {
                    let inside = &self.text[at + 1..];
                    let length = inside.find(['<', '>', ' ']).unwrap_or(0);
                    if length > 0 && inside.as_bytes()[length] == b'>' {
                        return Some((at, at + length + 2));
                    }
                }
                _ => {}
            }
            at += 1;
        }
        None
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.text.is_empty() {
            return None;
        }
        let piece = match self.tag() {
            None => Piece::Text(self.text),
            Some((0, end)) => Piece::Tag(&self.text[1..end - 1], &self.text[..end]),
            Some((start, _)) => Piece::Text(&self.text[..start]),
        };
        self.text = &self.text[piece.text().len()..];
        Some(piece)
    }
}
