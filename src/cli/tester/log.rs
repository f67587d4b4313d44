//! LOG → lines: a file, the journal, or the lines themselves.
//!
//! Edge. A file is read in blocks, the journal too: nothing of them is kept.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::encoding::Encoding;
use super::{Refusal, shortened};
use crate::cli::blocks::Blocks;
use crate::fail2ban::filter::parse;
use crate::filter::date::Zone;
use crate::source::journal::{JournalOptions, Matches, Whole};
use crate::time::UnixTime;

/// Lines given as an argument that are told.
const TOLD: usize = 5;
/// What stands for the journal.
const JOURNAL: &str = "systemd-journal";

/// Where lines come from.
pub(super) enum Log {
    File(File),
    Lines(Vec<String>),
    Journal(Box<Whole>),
}

/// Whether a word means the journal.
pub(super) fn is_journal(word: &str) -> bool {
    word.starts_with(JOURNAL) && !Path::new(word).is_file()
}

impl Log {
    /// Opens what a word means, and tells what that is.
    pub(super) fn open(
        word: &str,
        encoding: &str,
        matches: &[Vec<String>],
        max_lines: usize,
        now: UnixTime,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, Refusal> {
        if Path::new(word).is_file() {
            let file = File::open(word).map_err(|error| Refusal(refused(&error, word)))?;
            say(&format!("Use         log file : {word}"));
            say(&format!("Use         encoding : {encoding}"));
            return Ok(Self::File(file));
        }
        if is_journal(word) {
            say("Use         systemd journal");
            say(&format!("Use         encoding : {encoding}"));
            return Self::journal(word, matches, now, say);
        }
        let lines: Vec<String> = word.split('\n').map(str::to_owned).collect();
        if max_lines <= 1 && lines.len() == 1 {
            say(&format!("Use      single line : {}", shortened(word)));
        } else {
            say(&format!("Use      multi line : {} line(s)", lines.len()));
            for (index, line) in lines.iter().enumerate() {
                if index >= TOLD {
                    say("| ...");
                    break;
                }
                say(&format!("| {:>2}: {}", index + 1, shortened(line)));
            }
            say("`-");
        }
        Ok(Self::Lines(lines))
    }

    fn journal(
        word: &str,
        matches: &[Vec<String>],
        now: UnixTime,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, Refusal> {
        let wrong = |why: &dyn std::fmt::Display| Refusal(format!("ERROR: {word}: {why}"));
        let definition = parse(word).map_err(|why| wrong(&why))?;
        let options = definition.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let wanted = Matches::of_words(matches).map_err(|why| wrong(&why))?;
        let options = JournalOptions::of_backend(options, wanted).map_err(|why| wrong(&why))?;
        if !matches.is_empty() {
            let words: Vec<String> = matches.iter().map(|words| words.join(" ")).collect();
            say(&format!("Use    journal match : {}", words.join(" + ")));
        }
        Ok(Self::Journal(Box::new(Whole::open(options, now))))
    }

    /// Whether lines have dates of their own.
    pub(super) fn has_dates(&self) -> bool {
        !matches!(self, Self::Journal(_))
    }

    /// Hands out all lines, without their ends, with their times where those are known.
    pub(super) fn each(
        self,
        mut each: impl FnMut(&[u8], Option<UnixTime>) -> io::Result<()>,
    ) -> io::Result<()> {
        match self {
            Self::Lines(lines) => lines.iter().try_for_each(|line| each(line.as_bytes(), None)),
            Self::File(file) => {
                let (mut blocks, mut spare) = (Pieces::new(file), Vec::new());
                while let Some(block) = blocks.next(spare)? {
                    let lines = block.strip_suffix(b"\n").unwrap_or(&block);
                    lines.split(|byte| *byte == b'\n').try_for_each(|line| each(line, None))?;
                    spare = block;
                }
                Ok(())
            }
            Self::Journal(mut blocks) => blocks.try_for_each(|block| {
                let lines = block.text.strip_suffix(b"\n").unwrap_or(&block.text);
                let lines = lines.split(|byte| *byte == b'\n').zip(&block.times);
                lines.into_iter().try_for_each(|(line, time)| each(line, Some(*time)))
            }),
        }
    }
}

/// Blocks of whole lines of a file: a last line that is not ended yet is none, as to the daemon.
pub(super) struct Pieces(Blocks<Watched>);

impl Pieces {
    pub(super) fn new(file: File) -> Self {
        Self(Blocks::new(Watched { file, reached: false, last: None }))
    }

    /// The next one; `spare` is read into from now on.
    pub(super) fn next(&mut self, spare: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        let block = self.0.take(spare)?;
        Ok(block.filter(|_| !self.0.input().is_inside_line()))
    }
}

/// A file, and whether its end was reached.
struct Watched {
    file: File,
    reached: bool,
    last: Option<u8>,
}

impl Watched {
    fn is_inside_line(&self) -> bool {
        self.reached && self.last.is_some_and(|last| last != b'\n')
    }
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        self.last = into[..read].last().copied().or(self.last);
        self.reached = read == 0;
        Ok(read)
    }
}

/// A line to try.
pub(super) struct Line<'l> {
    pub(super) text: Cow<'l, str>,
    known: Option<UnixTime>,
}

impl<'l> Line<'l> {
    /// None: one without text, or a comment.
    pub(super) fn of(encoding: Encoding, bytes: &'l [u8], known: Option<UnixTime>) -> Option<Self> {
        if known.is_some() {
            return Some(Self { text: String::from_utf8_lossy(bytes), known });
        }
        let end = bytes.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let text = encoding.decode(&bytes[..end]);
        (!text.is_empty() && !text.starts_with('#')).then_some(Self { text, known })
    }

    /// As it is shown: before an entry of the journal stands its time.
    pub(super) fn shown(&self, zone: &Zone) -> Cow<'_, str> {
        match self.known {
            Some(time) => format!("{} {}", zone.iso(time), self.text).into(),
            None => Cow::Borrowed(&*self.text),
        }
    }
}

/// As Python says it.
fn refused(error: &io::Error, path: &str) -> String {
    let number = error.raw_os_error().unwrap_or_default();
    let text = match error.kind() {
        io::ErrorKind::PermissionDenied => "Permission denied".to_owned(),
        io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        _ => error.to_string(),
    };
    format!("[Errno {number}] {text}: {}", crate::python::repr(path))
}
