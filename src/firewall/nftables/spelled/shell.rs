//! The little of `sh` that the commands of nftables actions are written in.
//!
//! Pure. In: a command's text, in which `<ip>` stands for the address. Out: a [`List`] of what it says, or the word
//! that is not understood. Nothing is expanded here but quotes. Source: POSIX, "Shell Command Language".

/// No command is longer, in bytes, and none is nested deeper.
const LONGEST: usize = 16 * 1024;
const DEEPEST: usize = 12;

/// Stands for `<ip>`; no text may hold it.
pub(super) const ADDRESS: char = '\u{f8ff}';

/// A word: quoted and unquoted pieces, without anything between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// As it stands; nothing in it is special any more.
    Text(String),
    /// The value of a variable, split at blanks.
    Variable(String),
    /// What a command prints, split at blanks.
    Output(List),
}

/// A word, and whether any of it was quoted: a quoted word is no keyword.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) pieces: Vec<Piece>,
    pub(super) quoted: bool,
}

impl Word {
    /// The word as it stands, if nothing in it needs a look elsewhere.
    pub(super) fn text(&self) -> Option<&str> {
        match &*self.pieces {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text() == Some(keyword)
    }
}

/// One after another.
pub(super) type List = Vec<Command>;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// `words`, with `2> /dev/null` or without.
    Simple(Vec<Word>),
    /// `{ …; }`
    Group(List),
    /// `a | b`
    Pipe(Vec<Command>),
    /// `a || b`
    Or(Box<Command>, Box<Command>),
    /// `for name in words; do …; done`
    For(String, Vec<Word>, List),
    /// `while …; do …; done`
    While(List, List),
    /// `if …; then …; else …; fi`
    If(List, List, List),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(Word),
    Newline,
    Semicolon,
    Pipe,
    Or,
    /// `2> /dev/null`
    Quiet,
}

/// Reads a command.
///
/// # Errors
/// The first thing that is not understood.
pub(super) fn parse(text: &str) -> Result<List, String> {
    if text.len() > LONGEST {
        return Err(format!("is longer than {} KiB", LONGEST / 1024));
    }
    if text.contains(ADDRESS) {
        return Err(format!("`{ADDRESS}` is not understood"));
    }
    let text = text.replace("<ip>", ADDRESS.encode_utf8(&mut [0; 4]));
    parse_at(&text, 0)
}

fn parse_at(text: &str, depth: usize) -> Result<List, String> {
    if depth > DEEPEST {
        return Err("is nested too deeply".to_owned());
    }
    let mut parser = Parser { tokens: Lexer { rest: text, depth }.all()?, at: 0, depth };
    let list = parser.list(&[])?;
    match parser.peek() {
        None => Ok(list),
        Some(token) => Err(unexpected(Some(&token.clone()))),
    }
}

fn unexpected(token: Option<&Token>) -> String {
    match token {
        None => "ends too early".to_owned(),
        Some(Token::Word(word)) => format!("`{}` is not understood here", word.text().unwrap_or("$…")),
        Some(Token::Newline) => "the end of a line is not understood here".to_owned(),
        Some(Token::Semicolon) => "`;` is not understood here".to_owned(),
        Some(Token::Pipe) => "`|` is not understood here".to_owned(),
        Some(Token::Or) => "`||` is not understood here".to_owned(),
        Some(Token::Quiet) => "`2>` is not understood here".to_owned(),
    }
}

struct Lexer<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Lexer<'a> {
    fn all(mut self) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            let Some(first) = self.rest.chars().next() else { return Ok(tokens) };
            let token = match first {
                '\n' => self.skip(1, Token::Newline),
                ';' => self.skip(1, Token::Semicolon),
                '|' if self.rest.starts_with("||") => self.skip(2, Token::Or),
                '|' => self.skip(1, Token::Pipe),
                '2' if self.rest.starts_with("2>") => self.redirection()?,
                _ => Token::Word(self.word()?),
            };
            tokens.push(token);
        }
    }

    fn skip(&mut self, length: usize, token: Token) -> Token {
        self.rest = &self.rest[length..];
        token
    }

    fn redirection(&mut self) -> Result<Token, String> {
        let target = self.rest[2..].trim_start_matches([' ', '\t']);
        let end = target.find([' ', '\t', '\n', ';', '|', '}']).unwrap_or(target.len());
        if &target[..end] != "/dev/null" {
            return Err(format!("`2>{}` is not understood", &target[..end]));
        }
        self.rest = &target[end..];
        Ok(Token::Quiet)
    }

    fn word(&mut self) -> Result<Word, String> {
        let mut word = Word { pieces: Vec::new(), quoted: false };
        let mut text = String::new();
        let start = self.rest;
        while let Some(letter) = self.rest.chars().next() {
            match letter {
                ' ' | '\t' | '\n' | ';' | '|' => break,
                '\\' => text.push(self.escaped()?),
                '\'' | '"' => text.push_str(self.quoted(letter)?),
                '$' => {
                    if !text.is_empty() {
                        word.pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    word.pieces.push(self.dollar()?);
                    continue;
                }
                'a'..='z' | 'A'..='Z' | '0'..='9' | ADDRESS => text.push(self.plain(letter)),
                '-' | '_' | '.' | '/' | ':' | ',' | '@' | '+' | '=' | '!' | '%' => {
                    text.push(self.plain(letter));
                }
                '{' | '}' | '[' | ']' if self.stands_alone(start) => text.push(self.plain(letter)),
                _ => return Err(format!("`{letter}` is not understood in `{}`", around(start))),
            }
            word.quoted |= matches!(letter, '\\' | '\'' | '"');
        }
        if !text.is_empty() {
            word.pieces.push(Piece::Text(text));
        }
        Ok(word)
    }

    /// Whether the next letter is a word by itself.
    fn stands_alone(&self, start: &str) -> bool {
        let next = self.rest.chars().nth(1);
        self.rest.len() == start.len() && next.is_none_or(|next| [' ', '\t', '\n', ';'].contains(&next))
    }

    fn plain(&mut self, letter: char) -> char {
        self.rest = &self.rest[letter.len_utf8()..];
        letter
    }

    fn escaped(&mut self) -> Result<char, String> {
        match self.rest[1..].chars().next() {
            Some(letter) if letter.is_ascii_graphic() => {
                self.rest = &self.rest[2..];
                Ok(letter)
            }
            _ => Err("a `\\` at the end of a line is not understood".to_owned()),
        }
    }

    /// In double quotes nothing special may stand.
    fn quoted(&mut self, quote: char) -> Result<&'a str, String> {
        let inside = &self.rest[1..];
        let end = inside.find(quote).ok_or_else(|| format!("`{quote}` is not closed"))?;
        let text = &inside[..end];
        let special = |letter: char| {
            (letter.is_control() && letter != '\t') || (quote == '"' && ['$', '`', '\\'].contains(&letter))
        };
        if let Some(letter) = text.chars().find(|letter| special(*letter)) {
            return Err(format!("`{}` is not understood in quotes", letter.escape_default()));
        }
        self.rest = &inside[end + 1..];
        Ok(text)
    }

    fn dollar(&mut self) -> Result<Piece, String> {
        let after = &self.rest[1..];
        if let Some(inside) = after.strip_prefix('(') {
            // A parenthesis within would need a look at quotes: none of the commands has one.
            let end = inside.find([')', '(']).filter(|end| inside[*end..].starts_with(')'));
            let end = end.ok_or("`$(` is not closed, or holds a parenthesis")?;
            self.rest = &inside[end + 1..];
            return Ok(Piece::Output(parse_at(&inside[..end], self.depth + 1)?));
        }
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = after.find(|letter| !is_name(letter)).unwrap_or(after.len());
        if end == 0 || after.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(format!("`{}` is not understood", around(self.rest)));
        }
        self.rest = &after[end..];
        Ok(Piece::Variable(after[..end].to_owned()))
    }
}

/// The beginning of a text, for a message.
fn around(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next_is(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.is(keyword))
    }

    fn take(&mut self, keyword: &str) -> Result<(), String> {
        if !self.next_is(keyword) {
            return Err(unexpected(self.peek()));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_lines(&mut self) {
        while self.peek() == Some(&Token::Newline) {
            self.at += 1;
        }
    }

    /// Commands up to one of the keywords, which stays.
    fn list(&mut self, until: &[&str]) -> Result<List, String> {
        let mut list = Vec::new();
        loop {
            self.skip_lines();
            if self.peek().is_none() || until.iter().any(|keyword| self.next_is(keyword)) {
                return Ok(list);
            }
            list.push(self.or()?);
            match self.peek() {
                None | Some(Token::Newline) => {}
                Some(Token::Semicolon) => self.at += 1,
                Some(other) => return Err(unexpected(Some(&other.clone()))),
            }
        }
    }

    fn block(&mut self, from: &str, until: &str) -> Result<List, String> {
        self.take(from)?;
        let list = self.list(&[until])?;
        if list.is_empty() {
            return Err(unexpected(self.peek()));
        }
        self.take(until)?;
        Ok(list)
    }

    fn or(&mut self) -> Result<Command, String> {
        let first = self.pipe()?;
        if self.peek() != Some(&Token::Or) {
            return Ok(first);
        }
        self.at += 1;
        self.skip_lines();
        let second = self.pipe()?;
        match self.peek() {
            Some(Token::Or) => Err(unexpected(Some(&Token::Or))),
            _ => Ok(Command::Or(Box::new(first), Box::new(second))),
        }
    }

    fn pipe(&mut self) -> Result<Command, String> {
        let mut commands = vec![self.command()?];
        while self.peek() == Some(&Token::Pipe) {
            self.at += 1;
            commands.push(self.command()?);
        }
        Ok(if commands.len() == 1 { commands.remove(0) } else { Command::Pipe(commands) })
    }

    fn command(&mut self) -> Result<Command, String> {
        if self.depth > DEEPEST {
            return Err("is nested too deeply".to_owned());
        }
        self.depth += 1;
        let command = self.one()?;
        self.depth -= 1;
        Ok(command)
    }

    fn one(&mut self) -> Result<Command, String> {
        if self.next_is("{") {
            return Ok(Command::Group(self.block("{", "}")?));
        }
        if self.next_is("for") {
            self.at += 1;
            let name = self.name()?;
            self.take("in")?;
            let words = self.words(false)?;
            if self.peek() == Some(&Token::Semicolon) {
                self.at += 1;
            }
            self.skip_lines();
            return Ok(Command::For(name, words, self.block("do", "done")?));
        }
        if self.next_is("while") {
            self.at += 1;
            let condition = self.list(&["do"])?;
            return Ok(Command::While(condition, self.block("do", "done")?));
        }
        if self.next_is("if") {
            self.at += 1;
            let condition = self.list(&["then"])?;
            self.take("then")?;
            let then = self.list(&["else", "fi"])?;
            if then.is_empty() {
                return Err(unexpected(self.peek()));
            }
            let otherwise = if self.next_is("else") {
                self.block("else", "fi")?
            } else {
                self.take("fi")?;
                Vec::new()
            };
            return Ok(Command::If(condition, then, otherwise));
        }
        Ok(Command::Simple(self.words(true)?))
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Word(word)) if !word.quoted && word.text().is_some_and(is_name) => {
                let name = word.text().unwrap_or_default().to_owned();
                self.at += 1;
                Ok(name)
            }
            other => Err(unexpected(other)),
        }
    }

    /// One word at least.
    fn words(&mut self, may_be_quiet: bool) -> Result<Vec<Word>, String> {
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = self.peek() {
            words.push(word.clone());
            self.at += 1;
        }
        if words.is_empty() {
            return Err(unexpected(self.peek()));
        }
        if may_be_quiet && self.peek() == Some(&Token::Quiet) {
            self.at += 1;
        }
        Ok(words)
    }
}

/// The name of a variable; those in capital letters mean something to the shell.
fn is_name(text: &str) -> bool {
    let first = text.starts_with(|first: char| first.is_ascii_lowercase());
    first && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
