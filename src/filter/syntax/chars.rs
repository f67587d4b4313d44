//! Single characters: escapes and classes.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::parse::{Parsed, Parser};
use super::sets::{Chars, DIGIT, SPACE, WORD, of_ascii};
use super::{Assertion, ByteSet, Node, fold};

/// What a backslash means inside or outside a class.
enum Escape {
    /// `\d`, `\w`, `\s`, or all but these.
    Set {
        letter: char,
        negated: bool,
    },
    Char(char),
}

impl Parser<'_> {
    pub(super) fn escape_or_reference(&mut self, from: usize) -> Parsed {
        let assertion = match self.peek() {
            Some('A') => Assertion::Start,
            Some('Z') => Assertion::End,
            Some('z') if !self.python => Assertion::End,
            Some('b') if self.flags.ascii => Assertion::Word,
            Some('B') if self.flags.ascii => Assertion::NotWord,
            Some('b') => Assertion::WideWord,
            Some('B') => Assertion::WideNotWord,
            Some('1'..='9') => return self.numbered(from),
            _ => return self.escaped(from),
        };
        self.next();
        Ok(Node::Assert(assertion))
    }

    fn escaped(&mut self, from: usize) -> Parsed {
        Ok(match self.escape(from)? {
            Escape::Set { letter, negated } if !self.python => {
                let set = ascii(letter);
                Node::Class(if negated { set.negated() } else { set })
            }
            Escape::Set { letter, negated } => Chars::node(&self.wide(letter, negated)),
            Escape::Char(char) => self.char(char),
        })
    }

    pub(super) fn char(&self, char: char) -> Node {
        if self.flags.ignore_case && self.flags.ascii && char.is_ascii_alphabetic() {
            return Node::Class(ByteSet::of(&[char as u8]).without_case());
        }
        if self.flags.ignore_case && !self.flags.ascii {
            let mut set = ClassUnicode::new([ClassUnicodeRange::new(char, char)]);
            fold::without_case(&mut set);
            if set.ranges().len() > 1 {
                return Chars::node(&set);
            }
        }
        Node::Literal(char.encode_utf8(&mut [0; 4]).as_bytes().to_vec())
    }

    pub(super) fn dot(&self) -> Node {
        let set = if self.flags.dot_all { ByteSet::ALL } else { ByteSet::DOT };
        if !self.python {
            return Node::Class(set);
        }
        let mut chars = of_ascii(set.negated());
        chars.negate();
        Chars::node(&chars)
    }

    /// `\d` and its like over text.
    fn wide(&self, letter: char, negated: bool) -> ClassUnicode {
        let mut set = match letter {
            _ if self.flags.ascii => of_ascii(ascii(letter)),
            'd' => DIGIT.clone(),
            'w' => WORD.clone(),
            _ => SPACE.clone(),
        };
        if negated {
            set.negate();
        }
        set
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
        let char = self
            .next()
            .ok_or_else(|| self.wrong("a backslash ends the pattern", "bad escape (end of pattern)", from))?;
        Ok(match char {
            'd' | 'w' | 's' => Escape::Set { letter: char, negated: false },
            'D' | 'W' | 'S' => Escape::Set { letter: char.to_ascii_lowercase(), negated: true },
            'n' => Escape::Char('\n'),
            't' => Escape::Char('\t'),
            'r' => Escape::Char('\r'),
            'f' => Escape::Char('\x0c'),
            'v' => Escape::Char('\x0b'),
            'a' => Escape::Char('\x07'),
            'x' => Escape::Char(self.hex(2, from)?),
            'u' => Escape::Char(self.hex(4, from)?),
            'U' => Escape::Char(self.hex(8, from)?),
            '0'..='7' => {
                let mut value = char as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit) = self.peek().and_then(|digit| digit.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.next();
                }
                let char = u8::try_from(value).map_err(|_| {
                    let escape = &self.text()[from..self.at];
                    let python = format!("octal escape value {escape} outside of range 0-0o377");
                    self.wrong("an octal escape above \\377", python, from)
                })?;
                Escape::Char(char as char)
            }
            _ if char.is_ascii_alphanumeric() => {
                self.at = from;
                let what = format!("there is no escape `\\{char}`");
                return Err(self.wrong(what, format!("bad escape \\{char}"), from));
            }
            _ => Escape::Char(char),
        })
    }

    fn hex(&mut self, digits: usize, from: usize) -> Parsed<char> {
        let value =
            self.rest().get(..digits).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let char = value.and_then(|text| u32::from_str_radix(text, 16).ok()).and_then(char::from_u32);
        let Some(char) = char else {
            let found = self.rest().bytes().take(digits).take_while(u8::is_ascii_hexdigit).count();
            let python = format!("incomplete escape {}", &self.text()[from..self.at + found]);
            self.at = from;
            return Err(self.wrong(format!("an escape needs {digits} hexadecimal digits"), python, from));
        };
        self.at += digits;
        Ok(char)
    }

    /// The inside of `[…]`; the bracket is read.
    pub(super) fn class(&mut self, from: usize) -> Parsed {
        let negated = self.take("^");
        let (mut escapes, mut spans) = (Vec::new(), Vec::new());
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
                    Escape::Set { letter, negated } => escapes.push((letter, negated)),
                    Escape::Char(char) => spans.push((char, char)),
                }
                continue;
            }
            self.next();
            let high = self.member(from)?;
            match (low, high) {
                (Escape::Char(low), Escape::Char(high))
                    if self.python || (low.is_ascii() && high.is_ascii()) =>
                {
                    if low > high {
                        let python = format!("bad character range {}", &self.text()[start..self.at]);
                        self.at = start;
                        return Err(self.wrong("a range in a class runs backwards", python, start));
                    }
                    spans.push((low, high));
                }
                _ => {
                    let python = format!("bad character range {}", &self.text()[start..self.at]);
                    self.at = start;
                    let kind = if self.python { "a" } else { "an ASCII" };
                    let what = format!("a range in a class needs {kind} character at both ends");
                    return Err(self.wrong(what, python, start));
                }
            }
        }
        if self.python {
            return Ok(Chars::node(&self.chars(&escapes, &spans, negated)));
        }
        self.bytes(&escapes, &spans, negated, from)
    }

    /// A class over text. Only what is written out has cases, not `\w` and its like.
    fn chars(&self, escapes: &[(char, bool)], ranges: &[(char, char)], negated: bool) -> ClassUnicode {
        let ranges = ranges.iter().map(|(low, high)| ClassUnicodeRange::new(*low, *high));
        let mut set = ClassUnicode::new(ranges);
        if self.flags.ignore_case && self.flags.ascii {
            let letters = set.ranges().iter().filter(|range| range.start().is_ascii());
            let mut ascii = ByteSet::default();
            for range in letters {
                ascii.insert_range(range.start() as u8, range.end().min('\x7f') as u8);
            }
            set.union(&of_ascii(ascii.without_case()));
        } else if self.flags.ignore_case {
            fold::without_case(&mut set);
        }
        for (letter, negated) in escapes {
            set.union(&self.wide(*letter, *negated));
        }
        if negated {
            set.negate();
        }
        set
    }

    /// A class over bytes, and what else a text of UTF-8 may have there.
    fn bytes(
        &mut self,
        escapes: &[(char, bool)],
        ranges: &[(char, char)],
        negated: bool,
        from: usize,
    ) -> Parsed {
        let mut set = ByteSet::default();
        let mut wide: Vec<Node> = Vec::new();
        for (low, high) in ranges {
            if low.is_ascii() {
                set.insert_range(*low as u8, *high as u8);
            } else {
                wide.push(Node::Literal(low.to_string().into_bytes()));
            }
        }
        for (letter, negated) in escapes {
            let members = ascii(*letter);
            set = set.union(if *negated { members.negated() } else { members });
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
                Err(self.wrong("`[` is never closed", "unterminated character set", from))
            }
            Some('\\') if self.take("b") => Ok(Escape::Char('\x08')),
            Some('\\') => self.escape(start),
            Some(char) => Ok(Escape::Char(char)),
        }
    }
}

/// `\d`, `\w` or `\s` in ASCII.
fn ascii(letter: char) -> ByteSet {
    match letter {
        'd' => ByteSet::DIGIT,
        'w' => ByteSet::WORD,
        _ => ByteSet::SPACE,
    }
}
