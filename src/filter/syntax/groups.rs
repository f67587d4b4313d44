//! What begins with `(`: captures, conditions, look-arounds, flags, comments.

use super::Node;
use super::parse::{Parsed, Parser, SyntaxError};

/// Groups within groups.
const DEPTH: u32 = 60;

impl Parser<'_> {
    /// What follows `(`; none for a comment and for flags that hold for the rest of the group.
    pub(super) fn group(&mut self, from: usize) -> Parsed<Option<Node>> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.error(format!("more than {DEPTH} groups within each other")));
        }
        let outside = self.flags;
        let node = if !self.take("?") {
            Some(self.capture(None, from)?)
        } else if self.take("P<") || self.named_without_p() {
            let name = self.name('>')?;
            Some(self.capture(Some(name), from)?)
        } else if self.take("P=") {
            let name = self.name(')')?;
            let group = self.known(&name, from)?;
            Some(self.backreference(group, from)?)
        } else if self.take("#") {
            let Some(end) = self.rest().find(')') else { return Err(self.unclosed(from)) };
            self.at += end + 1;
            None
        } else if self.take("(") {
            Some(self.conditional(from)?)
        } else if let Some((ahead, negative)) = self.around() {
            Some(self.look_around(ahead, negative, from)?)
        } else if self.take(">") {
            Some(Node::Atomic(Box::new(self.inside(from)?)))
        } else if self.take(":") {
            Some(self.inside(from)?)
        } else {
            self.flags_for(from)?
        };
        // `(?i)` holds up to the end of the group that it stands in; Python's stands in none.
        if node.is_some() {
            self.flags = outside;
        }
        self.depth -= 1;
        Ok(node)
    }

    pub(super) fn backreference(&mut self, group: usize, from: usize) -> Parsed {
        if self.open.contains(&group) {
            self.at = from;
            return Err(self.error(format!("group {group} is referred to from within")));
        }
        if self.python && group > self.groups {
            self.at = from;
            return Err(self.error(format!("there is no group {group} before this")));
        }
        self.used.push((group, from));
        Ok(Node::Backreference { group, ignore_case: self.flags.ignore_case })
    }

    fn named_without_p(&mut self) -> bool {
        let named = !self.python
            && self.rest().starts_with('<')
            && !self.rest().starts_with("<=")
            && !self.rest().starts_with("<!");
        named && self.take("<")
    }

    fn inside(&mut self, from: usize) -> Parsed {
        let node = self.alternation()?;
        self.close(from)?;
        Ok(node)
    }

    fn close(&mut self, from: usize) -> Parsed<()> {
        if self.take(")") { Ok(()) } else { Err(self.unclosed(from)) }
    }

    fn unclosed(&mut self, from: usize) -> SyntaxError {
        self.at = from;
        self.error("`(` is never closed")
    }

    fn capture(&mut self, name: Option<String>, from: usize) -> Parsed {
        self.groups += 1;
        let group = self.groups;
        if let Some(name) = name {
            if self.names.iter().any(|(known, _)| *known == name) {
                self.at = from;
                let what = if name == "ip4" { "<HOST>" } else { &name };
                return Err(self.error(format!("there is a second {what}")));
            }
            self.names.push((name, group));
        }
        self.open.push(group);
        let node = self.inside(from)?;
        self.open.pop();
        Ok(Node::Group(group, Box::new(node)))
    }

    fn name(&mut self, end: char) -> Parsed<String> {
        let length = self.rest().find(end).unwrap_or(0);
        let name = self.rest()[..length].to_owned();
        let is_letter = |char: char| {
            char == '_' || if self.python { char.is_alphabetic() } else { char.is_ascii_alphabetic() }
        };
        let fits = name.chars().all(|char| is_letter(char) || char.is_ascii_digit());
        if !fits || !name.starts_with(is_letter) {
            return Err(self.error("a group's name is made of letters, digits and `_`"));
        }
        self.at += length + 1;
        Ok(name)
    }

    fn known(&mut self, name: &str, from: usize) -> Parsed<usize> {
        let group = self.names.iter().find(|(known, _)| known == name).map(|(_, group)| *group);
        group.ok_or_else(|| {
            self.at = from;
            self.error(format!("there is no group named `{name}` before this"))
        })
    }

    fn conditional(&mut self, from: usize) -> Parsed {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let group = if digits > 0 {
            let number = self.rest()[..digits].parse().unwrap_or(usize::MAX);
            self.at += digits;
            if !self.take(")") {
                return Err(self.unclosed(from));
            }
            self.used.push((number, from));
            number
        } else {
            let bracketed = self.take("<");
            let name = self.name(if bracketed { '>' } else { ')' })?;
            if bracketed && !self.take(")") {
                return Err(self.unclosed(from));
            }
            self.known(&name, from)?
        };
        let yes = self.sequence()?;
        let no = if self.take("|") { self.sequence()? } else { Node::Empty };
        if self.peek() == Some('|') {
            return Err(self.error("a conditional has more than two branches"));
        }
        self.close(from)?;
        Ok(Node::Conditional { group, branches: Box::new([yes, no]) })
    }

    fn around(&mut self) -> Option<(bool, bool)> {
        let (text, ahead, negative) =
            [("=", true, false), ("!", true, true), ("<=", false, false), ("<!", false, true)]
                .into_iter()
                .find(|(text, ..)| self.rest().starts_with(text))?;
        self.at += text.len();
        Some((ahead, negative))
    }

    fn look_around(&mut self, ahead: bool, negative: bool, from: usize) -> Parsed {
        let node = self.inside(from)?;
        let (least, most) = if self.python { node.characters() } else { node.width() };
        if !ahead && most != Some(least) {
            self.at = from;
            return Err(self.error("a look-behind must have one length"));
        }
        Ok(Node::Around { ahead, negative, node: Box::new(node) })
    }

    /// `(?i)`, `(?i:…)`, `(?-i:…)`.
    fn flags_for(&mut self, from: usize) -> Parsed<Option<Node>> {
        let (mut flags, mut on) = (self.flags, true);
        loop {
            match self.next() {
                Some('i') => flags.ignore_case = on,
                Some('m') => flags.multi_line = on,
                Some('s') => flags.dot_all = on,
                Some('x') => flags.verbose = on,
                Some('a') if on => flags.ascii = true,
                // Bytes know no other letters.
                Some('u') if on => flags.ascii = !self.python,
                Some('-') if on => on = false,
                Some(')') if on => {
                    if self.python && (self.begun || self.depth > 1) {
                        self.at = from;
                        return Err(
                            self.error("flags for the whole expression must begin it: write `(?i:…)`,")
                        );
                    }
                    self.flags = flags;
                    return Ok(None);
                }
                Some(':') => {
                    self.flags = flags;
                    return self.inside(from).map(Some);
                }
                _ => {
                    self.at = from;
                    return Err(self.error("an unknown kind of group"));
                }
            }
        }
    }
}
