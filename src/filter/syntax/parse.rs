//! Text → tree, as Python's `re` reads it.

use std::fmt::Display;

use super::{Assertion, Dialect, Node, Syntax};

/// Why a text is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {near}")]
pub(in crate::filter) struct SyntaxError {
    what: String,
    /// Where: the text from there on. Tags are replaced by then, so a position would mislead.
    near: String,
    /// What Python says of it, where it would say something.
    python: Option<String>,
}

impl SyntaxError {
    /// What Python says of it.
    pub(in crate::filter) fn as_python(&self) -> Option<&str> {
        self.python.as_deref()
    }
}

/// Characters shown of the text.
const NEAR: usize = 20;

/// Most repetitions written as a number.
const REPEATS: u32 = 1000;
/// The same in Python's dialect, which knows no bound; what is too large is found when it is compiled.
const PYTHON_REPEATS: u32 = 65_535;

/// Reads a regular expression.
pub(in crate::filter) fn parse(text: &str, dialect: Dialect) -> Result<Syntax, SyntaxError> {
    let multi_line = dialect == Dialect::Python { multi_line: true };
    let mut parser = Parser {
        text,
        at: 0,
        python: dialect != Dialect::Bytes,
        flags: Flags { multi_line, ascii: dialect == Dialect::Bytes, ..Flags::default() },
        depth: 0,
        begun: false,
        groups: 0,
        names: Vec::new(),
        open: Vec::new(),
        used: Vec::new(),
    };
    let root = parser.alternation()?;
    if parser.peek().is_some() {
        return Err(parser.wrong("`)` closes nothing", "unbalanced parenthesis", parser.at));
    }
    if let Some((group, at)) = parser.used.iter().find(|(group, _)| *group > parser.groups || *group == 0) {
        let (group, at) = (*group, *at);
        parser.at = at;
        let python = format!("invalid group reference {group}");
        return Err(parser.wrong(format!("there is no group {group}"), python, at + "(?(".len()));
    }
    Ok(Syntax { dialect, root, groups: parser.groups, names: parser.names })
}

#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent switches")]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) multi_line: bool,
    pub(super) dot_all: bool,
    pub(super) verbose: bool,
    /// What `\w` and its like know.
    pub(super) ascii: bool,
}

pub(super) struct Parser<'p> {
    text: &'p str,
    pub(super) at: usize,
    /// Whether it is Python's dialect.
    pub(super) python: bool,
    pub(super) flags: Flags,
    pub(super) depth: u32,
    /// Whether anything was read but flags and comments.
    pub(super) begun: bool,
    pub(super) groups: usize,
    pub(super) names: Vec<(String, usize)>,
    pub(super) open: Vec<usize>,
    /// Groups referred to by number, and where.
    pub(super) used: Vec<(usize, usize)>,
}

pub(super) type Parsed<T = Node> = Result<T, SyntaxError>;

impl Parser<'_> {
    pub(super) fn error(&self, what: impl Into<String>) -> SyntaxError {
        let near: String = self.rest().chars().take(NEAR).collect();
        let near = if near.is_empty() { "at the end".to_owned() } else { format!("at `{near}`") };
        SyntaxError { what: what.into(), near, python: None }
    }

    /// The same, in Python's words, too, which name no place.
    pub(super) fn everywhere(&self, what: &str, python: &str) -> SyntaxError {
        SyntaxError { python: Some(python.to_owned()), ..self.error(what) }
    }

    /// The same, in Python's words, too: what is wrong at a byte.
    pub(super) fn wrong(&self, what: impl Into<String>, python: impl Display, at: usize) -> SyntaxError {
        let at = self.text.get(..at).map_or(at, |before| before.chars().count());
        let python = Some(format!("{python} at position {at}"));
        SyntaxError { python, ..self.error(what) }
    }

    pub(super) fn text(&self) -> &str {
        self.text
    }

    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    pub(super) fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    pub(super) fn alternation(&mut self) -> Parsed {
        let mut branches = vec![self.sequence()?];
        while self.take("|") {
            self.begun = true;
            branches.push(self.sequence()?);
        }
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alternation(branches) })
    }

    pub(super) fn sequence(&mut self) -> Parsed {
        let mut nodes = Vec::new();
        loop {
            match self.peek() {
                None | Some('|' | ')') => return Ok(Node::concat(nodes)),
                Some(char) if self.flags.verbose && is_filler(char) => self.skip_filler(),
                Some(_) => {
                    let from = self.at;
                    if self.quantifier()?.is_some() {
                        self.at = from;
                        return Err(self.wrong("nothing to repeat", "nothing to repeat", from));
                    }
                    let atom = self.atom()?;
                    // A comment or a flag for the rest of the group is no atom.
                    if let Some(atom) = atom {
                        self.begun = true;
                        nodes.push(self.repeated(atom, from)?);
                    }
                }
            }
        }
    }

    fn repeated(&mut self, atom: Node, from: usize) -> Parsed {
        if self.flags.verbose {
            self.skip_filler();
        }
        let behind = self.at;
        let Some((min, max)) = self.quantifier()? else { return Ok(atom) };
        if matches!(atom, Node::Assert(_)) && !self.text[from..].starts_with('(') {
            self.at = from;
            return Err(self.wrong("nothing to repeat", "nothing to repeat", behind));
        }
        let greedy = !self.take("?");
        let possessive = greedy && self.take("+");
        let node = Node::Repeat { node: Box::new(atom), min, max, greedy };
        let before = self.at;
        if matches!(self.peek(), Some('*' | '+' | '?')) || self.quantifier()?.is_some() {
            self.at = before;
            return Err(self.wrong("a repetition is repeated", "multiple repeat", before));
        }
        Ok(if possessive { Node::Atomic(Box::new(node)) } else { node })
    }

    /// Blanks and comments of a verbose expression.
    fn skip_filler(&mut self) {
        while let Some(char) = self.peek().filter(|char| is_filler(*char)) {
            self.at += if char == '#' { self.rest().find('\n').unwrap_or(self.rest().len()) } else { 1 };
        }
    }

    fn quantifier(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let counts = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.braces(),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(counts))
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}`; any other brace is itself.
    fn braces(&mut self) -> Parsed<Option<(u32, Option<u32>)>> {
        let Some(end) = self.rest().find('}') else { return Ok(None) };
        let inside = &self.rest()[1..end];
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        if inside.is_empty() || !low.bytes().chain(high.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let most = if self.python { PYTHON_REPEATS } else { REPEATS };
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number <= most);
        let too_many = || self.error(format!("more than {most} repetitions"));
        let min = if low.is_empty() { 0 } else { number(low).ok_or_else(too_many)? };
        let max = if high.is_empty() { None } else { Some(number(high).ok_or_else(too_many)?) };
        if max.is_some_and(|max| max < min) {
            let python = "min repeat greater than max repeat";
            return Err(self.wrong("the least number of repetitions is above the most", python, self.at + 1));
        }
        self.at += end + 1;
        Ok(Some((min, max)))
    }

    fn atom(&mut self) -> Parsed<Option<Node>> {
        let from = self.at;
        let node = match self.next() {
            Some('.') => self.dot(),
            Some('^') if self.flags.multi_line => Node::Assert(Assertion::LineStart),
            Some('^') => Node::Assert(Assertion::Start),
            Some('$') if self.flags.multi_line => Node::Assert(Assertion::LineEnd),
            Some('$') if self.python => Node::Assert(Assertion::LastLineEnd),
            Some('$') => Node::Assert(Assertion::End),
            Some('[') => self.class(from)?,
            Some('(') => return self.group(from),
            Some('\\') => self.escape_or_reference(from)?,
            Some(char) => self.char(char),
            None => Node::Empty,
        };
        Ok(Some(node))
    }
}

/// What means nothing in a verbose expression; a comment goes on to the line's end.
fn is_filler(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' | '#')
}
