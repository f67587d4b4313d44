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
            let at = self.at;
            let name = self.name(')')?;
            let group = self.known(&name, from, at)?;
            Some(self.backreference(group, from)?)
        } else if self.take("#") {
            let Some(end) = self.rest().find(')') else {
                self.at = from;
                return Err(self.wrong("`(` is never closed", "missing ), unterminated comment", from));
            };
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
            let what = format!("group {group} is referred to from within");
            return Err(self.wrong(what, "cannot refer to an open group", from));
        }
        if self.python && group > self.groups {
            self.at = from;
            let python = format!("invalid group reference {group}");
            return Err(self.wrong(format!("there is no group {group} before this"), python, from + 1));
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
        self.wrong("`(` is never closed", "missing ), unterminated subpattern", from)
    }

    fn capture(&mut self, name: Option<String>, from: usize) -> Parsed {
        self.groups += 1;
        let group = self.groups;
        if let Some(name) = name {
            if let Some((_, first)) = self.names.iter().find(|(known, _)| *known == name) {
                let python = format!(
                    "redefinition of group name {} as group {group}; was group {first}",
                    crate::python::repr(&name)
                );
                self.at = from;
                let what = if name == "ip4" { "<HOST>" } else { &name };
                return Err(self.wrong(format!("there is a second {what}"), python, from + "(?P<".len()));
            }
            self.names.push((name, group));
        }
        self.open.push(group);
        let node = self.inside(from)?;
        self.open.pop();
        Ok(Node::Group(group, Box::new(node)))
    }

    fn name(&mut self, end: char) -> Parsed<String> {
        const WHAT: &str = "a group's name is made of letters, digits and `_`";
        let Some(length) = self.rest().find(end) else {
            return Err(self.wrong(WHAT, format!("missing {end}, unterminated name"), self.at));
        };
        let name = self.rest()[..length].to_owned();
        let is_letter = |char: char| {
            char == '_' || if self.python { char.is_alphabetic() } else { char.is_ascii_alphabetic() }
        };
        let fits = name.chars().all(|char| is_letter(char) || char.is_ascii_digit());
        if !fits || !name.starts_with(is_letter) {
            let python = match &*name {
                "" => "missing group name".to_owned(),
                name => format!("bad character in group name {}", crate::python::repr(name)),
            };
            return Err(self.wrong(WHAT, python, self.at));
        }
        self.at += length + 1;
        Ok(name)
    }

    fn known(&mut self, name: &str, from: usize, at: usize) -> Parsed<usize> {
        let group = self.names.iter().find(|(known, _)| known == name).map(|(_, group)| *group);
        group.ok_or_else(|| {
            self.at = from;
            let python = format!("unknown group name {}", crate::python::repr(name));
            self.wrong(format!("there is no group named `{name}` before this"), python, at)
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
            let at = self.at;
            let name = self.name(if bracketed { '>' } else { ')' })?;
            if bracketed && !self.take(")") {
                return Err(self.unclosed(from));
            }
            self.known(&name, from, at)?
        };
        let yes = self.sequence()?;
        let no = if self.take("|") { self.sequence()? } else { Node::Empty };
        if self.peek() == Some('|') {
            let python = "conditional backref with more than two branches";
            return Err(self.wrong("a conditional has more than two branches", python, self.at));
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
            let python = "look-behind requires fixed-width pattern";
            return Err(self.everywhere("a look-behind must have one length", python));
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
                        let what = "flags for the whole expression must begin it: write `(?i:…)`,";
                        return Err(self.wrong(
                            what,
                            "global flags not at the start of the expression",
                            from,
                        ));
                    }
                    self.flags = flags;
                    return Ok(None);
                }
                Some(':') => {
                    self.flags = flags;
                    return self.inside(from).map(Some);
                }
                _ => return Err(self.unknown_kind(from)),
            }
        }
    }

    /// What is behind `(?` is nothing; the last character of it is read.
    fn unknown_kind(&mut self, from: usize) -> SyntaxError {
        let kind = &self.text()[from + "(?".len()..];
        let flags = kind.bytes().take_while(|byte| b"aiLmsux".contains(byte)).count();
        let end = self.text().len();
        let rest = &kind[flags..];
        let (python, at) = match rest.chars().next() {
            None if flags > 0 => ("missing -, : or )".to_owned(), end),
            None => ("unexpected end of pattern".to_owned(), end),
            Some('P') if flags == 0 && rest.len() == 1 => ("unexpected end of pattern".to_owned(), end),
            Some('-') => ("missing flag".to_owned(), from + 3 + flags),
            Some(char) if flags == 0 => {
                let shown = if matches!(char, 'P' | '<') { 2 } else { 1 };
                let kind: String = kind.chars().take(shown).collect();
                (format!("unknown extension ?{kind}"), from + 1)
            }
            Some(char) if char.is_alphabetic() => ("unknown flag".to_owned(), from + 2 + flags),
            Some(_) => ("missing -, : or )".to_owned(), from + 2 + flags),
        };
        self.at = from;
        self.wrong("an unknown kind of group", python, at)
    }
}
