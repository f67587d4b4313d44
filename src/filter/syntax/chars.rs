//! Single characters: escapes and classes.

use super::parse::{Parsed, Parser};
use super::{Assertion, ByteSet, Node};

/// What a backslash means inside or outside a class.
enum Escape {
    Set(ByteSet),
    /// ASCII.
    Byte(u8),
    /// Beyond ASCII.
    Char(char),
}

impl Escape {
    fn char(char: char) -> Self {
        if char.is_ascii() { Self::Byte(char as u8) } else { Self::Char(char) }
    }
}

impl Parser<'_> {
    pub(super) fn escape_or_reference(&mut self, from: usize) -> Parsed {
        let assertion = match self.peek() {
            Some('A') => Assertion::Start,
            Some('Z' | 'z') => Assertion::End,
            Some('b') => Assertion::Word,
            Some('B') => Assertion::NotWord,
            Some('1'..='9') => return self.numbered(from),
            _ => return self.escaped(from),
        };
        self.next();
        Ok(Node::Assert(assertion))
    }

    fn escaped(&mut self, from: usize) -> Parsed {
        Ok(match self.escape(from)? {
            Escape::Set(set) => Node::Class(set),
            Escape::Byte(byte) => self.char(byte as char),
            Escape::Char(char) => self.char(char),
        })
    }

    /// `\1` … `\99`, or three octal digits.
    fn numbered(&mut self, from: usize) -> Parsed {
        let digits = self.rest().as_bytes();
        let octal = |byte: Option<&u8>| byte.is_some_and(|byte| (b'0'..=b'7').contains(byte));
        if octal(digits.first()) && octal(digits.get(1)) && octal(digits.get(2)) {
            return self.escaped(from);
        }
        let length = 1 + usize::from(digits.get(1).is_some_and(u8::is_ascii_digit));
        let group = self.rest()[..length].parse().unwrap_or(0);
        self.at += length;
        self.backreference(group, from)
    }

    /// The escapes that mean the same inside and outside a class; the backslash is read.
    fn escape(&mut self, from: usize) -> Parsed<Escape> {
        let char = self.next().ok_or_else(|| self.error("a backslash ends the pattern"))?;
        Ok(match char {
            'd' => Escape::Set(ByteSet::DIGIT),
            'D' => Escape::Set(ByteSet::DIGIT.negated()),
            'w' => Escape::Set(ByteSet::WORD),
            'W' => Escape::Set(ByteSet::WORD.negated()),
            's' => Escape::Set(ByteSet::SPACE),
            'S' => Escape::Set(ByteSet::SPACE.negated()),
            'n' => Escape::Byte(b'\n'),
            't' => Escape::Byte(b'\t'),
            'r' => Escape::Byte(b'\r'),
            'f' => Escape::Byte(0x0c),
            'v' => Escape::Byte(0x0b),
            'a' => Escape::Byte(0x07),
            'x' => Escape::char(self.hex(2, from)?),
            'u' => Escape::char(self.hex(4, from)?),
            'U' => Escape::char(self.hex(8, from)?),
            '0'..='7' => {
                let mut value = char as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|digit| digit.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.next();
                }
                let char = u8::try_from(value).map_err(|_| self.error("an octal escape above \\377"))?;
                Escape::char(char as char)
            }
            _ if char.is_ascii_alphanumeric() => {
                self.at = from;
                return Err(self.error(format!("there is no escape `\\{char}`")));
            }
            _ => Escape::char(char),
        })
    }

    fn hex(&mut self, digits: usize, from: usize) -> Parsed<char> {
        let value =
            self.rest().get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let char = value.and_then(|text| u32::from_str_radix(text, 16).ok()).and_then(char::from_u32);
        let Some(char) = char else {
            self.at = from;
            return Err(self.error(format!("an escape needs {digits} hexadecimal digits")));
        };
        self.at += digits;
        Ok(char)
    }

    /// The inside of `[…]`; the bracket is read.
    pub(super) fn class(&mut self, from: usize) -> Parsed {
        let negated = self.take("^");
        let mut set = ByteSet::default();
        let mut wide: Vec<Node> = Vec::new();
        let first = self.at;
        loop {
            let start = self.at;
            if self.peek() == Some(']') && start > first {
                self.next();
                break;
            }
            let low = self.member(from)?;
            let dash = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            if !dash {
                match low {
                    Escape::Set(members) => set = set.union(members),
                    Escape::Byte(byte) => set.insert(byte),
                    Escape::Char(char) => wide.push(Node::Literal(char.to_string().into_bytes())),
                }
                continue;
            }
            self.next();
            match (low, self.member(from)?) {
                (Escape::Byte(low), Escape::Byte(high)) if low <= high => set.insert_range(low, high),
                (Escape::Byte(_), Escape::Byte(_)) => {
                    self.at = start;
                    return Err(self.error("a range in a class runs backwards"));
                }
                _ => {
                    self.at = start;
                    return Err(self.error("a range in a class needs an ASCII character at both ends"));
                }
            }
        }
        if self.flags.ignore_case {
            set = set.without_case();
        }
        if negated && !wide.is_empty() {
            self.at = from;
            return Err(self.error("a negated class can hold ASCII characters only"));
        }
        let class = Node::Class(if negated { set.negated() } else { set });
        if wide.is_empty() {
            return Ok(class);
        }
        wide.insert(0, class);
        Ok(Node::Alternation(wide))
    }

    fn member(&mut self, from: usize) -> Parsed<Escape> {
        let start = self.at;
        match self.next() {
            None => {
                self.at = from;
                Err(self.error("`[` is never closed"))
            }
            Some('\\') if self.take("b") => Ok(Escape::Byte(0x08)),
            Some('\\') => self.escape(start),
            Some(char) if char.is_ascii() => Ok(Escape::Byte(char as u8)),
            Some(char) => Ok(Escape::Char(char)),
        }
    }
}
