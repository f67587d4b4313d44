//! Runs a command on paper: loops, choices and `$(…)` are worked out, what is left is what nft is told.
//!
//! Pure. In: a [`List`]. Out: the [`Step`]s, or the word that is not understood. The pipes that find rules by their
//! handles, and a table that is empty, are known as wholes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shell::{Command, List, Piece, Word};
pub(super) use super::statement::Statement as Substance;
use super::statement::{self, Place, SetName};

/// What a command does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// One command of nft.
    Nft(Substance),
    /// The rules of this chain that mention this set go.
    DeleteRules((Arc<str>, SetName)),
    /// Is there a rule in this chain that mentions this set?
    LooksFor((Arc<str>, SetName)),
    /// The table goes, if no set is in it.
    DeleteEmptyTable(Place),
    /// The first, and where that fails the second.
    Otherwise(Vec<Step>, Vec<Step>),
}

type Variables = BTreeMap<String, String>;

/// More steps no command has.
const MOST: usize = 256;

/// Works a command out.
pub(super) fn run(list: &List, services: &str) -> Result<Vec<Step>, String> {
    let mut paper = Paper { services, variables: Variables::new(), steps: 0 };
    paper.list(list)
}

struct Paper<'a> {
    services: &'a str,
    variables: Variables,
    steps: usize,
}

impl Paper<'_> {
    fn list(&mut self, list: &List) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        for command in list {
            steps.extend(self.command(command)?);
            if self.steps > MOST {
                return Err("does too much".to_owned());
            }
        }
        Ok(steps)
    }

    fn command(&mut self, command: &Command) -> Result<Vec<Step>, String> {
        self.steps += 1;
        match command {
            Command::Simple(words) => {
                let statement = self.statement(words)?;
                if statement.asks() {
                    return Err(format!("`{}` does nothing by itself", statement.verb()));
                }
                Ok(vec![Step::Nft(statement)])
            }
            Command::Group(list) => self.list(list),
            Command::Pipe(commands) => self.pipe(commands).map(|step| vec![step]),
            Command::Or(first, second) => self.or(first, second),
            Command::For(name, words, list) => {
                let mut steps = Vec::new();
                for value in self.fields(words)? {
                    self.variables.insert(name.clone(), value);
                    steps.extend(self.list(list)?);
                }
                self.variables.remove(name);
                Ok(steps)
            }
            Command::If(condition, then, otherwise) => {
                let branch = if self.holds(condition)? { then } else { otherwise };
                self.list(branch)
            }
            Command::While(..) => Err("`while` is not understood here".to_owned()),
        }
    }

    fn or(&mut self, first: &Command, second: &Command) -> Result<Vec<Step>, String> {
        if let Command::Simple(words) = second
            && let [word] = &**words
            && word.text() == Some("true")
        {
            return self.command(first);
        }
        if let Some(list) = grouped(first)
            && let [Command::Pipe(commands)] = &**list
            && let [Command::Simple(lister), Command::Simple(finder)] = &**commands
        {
            let Substance::ListTable(place) = self.statement(lister)? else {
                return Err("`||` after a pipe is not understood".to_owned());
            };
            self.finds_sets(finder)?;
            return match &*self.command(second)? {
                [Step::Nft(Substance::DeleteTable(other))] if *other == place => {
                    Ok(vec![Step::DeleteEmptyTable(place)])
                }
                _ => Err("`||` is not followed by the deletion of the table".to_owned()),
            };
        }
        Ok(vec![Step::Otherwise(self.command(first)?, self.command(second)?)])
    }

    /// `list chain | grep`, or `{ list chain | find handles; } | while read -r; do delete rule; done`.
    fn pipe(&mut self, commands: &[Command]) -> Result<Step, String> {
        match commands {
            [Command::Simple(lister), Command::Simple(finder)] => {
                let Substance::ListChain { place, chain, handles: _ } = self.statement(lister)? else {
                    return Err("`|` is not understood here".to_owned());
                };
                let found = self.fields(finder)?;
                let set = match &*words(&found) {
                    ["grep", "-q", pattern] => {
                        pattern.strip_prefix('@').and_then(|rest| rest.strip_suffix("[ \\t]"))
                    }
                    _ => None,
                };
                let set = set.filter(|set| statement::is_plain(set));
                let set = set.ok_or_else(|| format!("`{}` is not understood", found.join(" ")))?;
                Ok(Step::LooksFor((chain, SetName { place, name: set.into() })))
            }
            [first, Command::While(condition, body)] => {
                let list = match grouped(first).map(|list| &**list) {
                    Some([Command::Pipe(list)]) => &**list,
                    _ => return Err("`while` is not understood here".to_owned()),
                };
                let [Command::Simple(lister), Command::Simple(finder)] = list else {
                    return Err("`while` is not understood here".to_owned());
                };
                let Substance::ListChain { place, chain, handles: true } = self.statement(lister)? else {
                    return Err("`while` does not go through the rules of a chain".to_owned());
                };
                let set = self.finds_handles(finder)?;
                self.deletes_each(condition, body, &place, &chain)?;
                Ok(Step::DeleteRules((chain, SetName { place, name: set.into() })))
            }
            _ => Err("`|` is not understood here".to_owned()),
        }
    }

    /// The set whose rules' handles are printed, one a line and as `handle 5`.
    fn finds_handles(&self, finder: &[Word]) -> Result<String, String> {
        let found = self.fields(finder)?;
        let set = match &*words(&found) {
            // What stands before `\K` is not printed.
            ["grep", "-oP", pattern] => {
                pattern.strip_prefix('@').and_then(|rest| rest.strip_suffix(r"\s+.*\s+\Khandle\s+(\d+)$"))
            }
            // The group is all that is printed.
            ["sed", "-nE", program] => program
                .strip_prefix("s/.*@")
                .and_then(|rest| rest.strip_suffix(r"\s+.*\s+\#\s*(handle\s+[0-9]+)$/\1/p")),
            _ => None,
        };
        set.filter(|set| statement::is_plain(set))
            .map(str::to_owned)
            .ok_or_else(|| format!("`{}` is not understood", found.join(" ")))
    }

    /// `grep -q`, in either dialect, for a line of the table that begins a set.
    fn finds_sets(&self, finder: &[Word]) -> Result<(), String> {
        let found = self.fields(finder)?;
        match &*words(&found) {
            ["grep", "-qP" | "-qE", r"^\s+set\s+"] => Ok(()),
            _ => Err(format!("`{}` is not understood", found.join(" "))),
        }
    }

    /// Each line is read whole into a variable, and `delete rule` gets it as words.
    fn deletes_each(&self, condition: &List, body: &List, place: &Place, chain: &str) -> Result<(), String> {
        let wrong = || "`while` does not read one handle after another and delete its rule".to_owned();
        let ([Command::Simple(reader)], [Command::Simple(deleter)]) = (&**condition, &**body) else {
            return Err(wrong());
        };
        let reader: Option<Vec<_>> = reader.iter().map(Word::text).collect();
        let (Some(["read", "-r", name]), Some((handle, words))) = (reader.as_deref(), deleter.split_last())
        else {
            return Err(wrong());
        };
        let is_handle = matches!(&*handle.pieces, [Piece::Variable(other)] if other == name);
        let statement = self.statement(words)?;
        let is_deletion = matches!(&statement, Substance::DeleteRule { place: other, chain: its }
            if other == place && **its == *chain);
        if is_handle && is_deletion && !self.variables.contains_key(*name) { Ok(()) } else { Err(wrong()) }
    }

    fn holds(&self, condition: &List) -> Result<bool, String> {
        let [Command::Simple(test)] = &**condition else {
            return Err("`if` is not followed by one `[ … ]`".to_owned());
        };
        let found = self.fields(test)?;
        match &*words(&found) {
            ["[", first, "=", second, "]"] => Ok(first == second),
            ["[", first, "!=", second, "]"] => Ok(first != second),
            _ => Err(format!("`{}` is not understood", found.join(" "))),
        }
    }

    /// What a command of nft says.
    fn statement(&self, words: &[Word]) -> Result<Substance, String> {
        let found = self.fields(words)?;
        let mut words = found.iter().map(String::as_str).peekable();
        match words.next() {
            Some("nft" | "/usr/sbin/nft" | "/sbin/nft") => {}
            other => return Err(format!("`{}` is not nft", other.unwrap_or_default())),
        }
        let mut shows_handles = false;
        while let Some(option) = words.next_if(|word| word.starts_with('-')) {
            match option {
                "--" => {
                    return statement::parse(
                        &words.collect::<Vec<_>>().join(" "),
                        shows_handles,
                        self.services,
                    );
                }
                "-a" => shows_handles = true,
                other => return Err(format!("the option `{other}` of nft is not understood")),
            }
        }
        let words: Vec<_> = words.collect();
        if let Some(option) = words.iter().find(|word| word.starts_with('-')) {
            return Err(format!("`{option}` comes before no `--`"));
        }
        statement::parse(&words.join(" "), shows_handles, self.services)
    }

    /// The words as a command gets them.
    fn fields(&self, words: &[Word]) -> Result<Vec<String>, String> {
        let mut fields = Vec::new();
        for word in words {
            match &*word.pieces {
                [Piece::Variable(name)] => {
                    let value = self.variables.get(name).ok_or_else(|| format!("`${name}` is not known"))?;
                    fields.extend(split(value)?);
                }
                [Piece::Output(list)] => fields.extend(split(&self.output(list)?)?),
                _ => {
                    let text = word.text().ok_or("a word with `$` inside is not understood")?;
                    fields.push(text.to_owned());
                }
            }
        }
        Ok(fields)
    }

    /// What `echo … | sed s/a/b/g` prints.
    fn output(&self, list: &List) -> Result<String, String> {
        let commands = match &**list {
            [Command::Pipe(commands)] => &**commands,
            [one] => std::slice::from_ref(one),
            _ => return Err("`$(…)` is not understood".to_owned()),
        };
        let mut text: Option<String> = None;
        for command in commands {
            let Command::Simple(command) = command else {
                return Err("`$(…)` is not understood".to_owned());
            };
            let found = self.fields(command)?;
            text = Some(match (text, &*words(&found)) {
                (None, ["echo", said @ ..])
                    if !said.iter().any(|word| word.starts_with('-') || word.contains('\\')) =>
                {
                    said.join(" ")
                }
                (Some(text), ["sed", program]) => {
                    let (from, to) =
                        substitution(program).ok_or_else(|| format!("`sed {program}` is not understood"))?;
                    text.replace(from, &to.to_string())
                }
                _ => return Err(format!("`{}` is not understood in `$(…)`", found.join(" "))),
            });
        }
        Ok(text.unwrap_or_default())
    }
}

fn words(fields: &[String]) -> Vec<&str> {
    fields.iter().map(String::as_str).collect()
}

/// The commands of a group.
fn grouped(command: &Command) -> Option<&List> {
    match command {
        Command::Group(list) => Some(list),
        _ => None,
    }
}

/// Splits at blanks, as the shell does; what it would take for the names of files is not understood.
fn split(text: &str) -> Result<Vec<String>, String> {
    if text.contains(['*', '?', '[']) {
        return Err(format!("`{text}` would be taken for the names of files"));
    }
    Ok(text.split([' ', '\t', '\n']).filter(|field| !field.is_empty()).map(str::to_owned).collect())
}

/// One letter for another, everywhere: `s/,/ /g`.
fn substitution(program: &str) -> Option<(char, char)> {
    let mut letters = program.strip_prefix("s/")?.strip_suffix("/g")?.chars();
    let (from, slash, to) = (letters.next()?, letters.next()?, letters.next()?);
    let is_plain = |letter: char| !['/', '\\', '.', '*', '[', ']', '^', '$', '&', '\n'].contains(&letter);
    (letters.next().is_none() && slash == '/' && is_plain(from) && is_plain(to)).then_some((from, to))
}
