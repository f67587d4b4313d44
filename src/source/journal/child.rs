//! `journalctl` as the reader of last resort: for files in a form that is not built in. Status and log say so.
//!
//! Edge: one child process, without a shell, that ends with this; its output is read without waiting.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::JournalOptions;
use super::export::Export;
use super::place::{Place, spelled};
use super::reader::Draft;
use crate::action::grant::Grant;
use crate::broker::{Process, Program, Streams};
use crate::time::UnixTime;

/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// Before a child that has ended is started again.
const PAUSE: Duration = Duration::from_secs(10);
/// With nothing to read for so long since its start, it has reached the present.
const SETTLED: Duration = Duration::from_secs(2);
/// The fields that lines are made of.
const FIELDS: &str = "--output-fields=_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,SYSLOG_PID,_PID,MESSAGE,\
                      _SOURCE_REALTIME_TIMESTAMP,_SOURCE_MONOTONIC_TIMESTAMP";

/// A child that follows the journal.
pub(super) struct Child {
    /// Why the files cannot be read.
    why: String,
    arguments: Vec<OsString>,
    oldest: UnixTime,
    live: bool,
    running: Option<(Process, File)>,
    started: Option<UnixTime>,
    /// When it last had something to say.
    heard: UnixTime,
    export: Export,
    problem: Option<String>,
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("why", &self.why)
            .field("problem", &self.problem)
            .finish_non_exhaustive()
    }
}

impl Child {
    pub(super) fn new(why: String, options: &JournalOptions, live: bool, oldest: UnixTime) -> Self {
        Self {
            why,
            arguments: arguments(options),
            oldest,
            live,
            running: None,
            started: None,
            heard: oldest,
            export: Export::default(),
            problem: None,
        }
    }

    /// What it is doing, for people.
    pub(super) fn state(&self) -> String {
        match &self.problem {
            Some(problem) => format!("{}; journalctl: {problem}", self.why),
            None => format!("{}; read by journalctl", self.why),
        }
    }

    /// Starts it when it is not running; whether there may be something to read.
    pub(super) fn look(&mut self, place: &Place, now: UnixTime) -> bool {
        if self.running.is_none() && self.started.is_none_or(|last| now >= last + PAUSE || now < last) {
            (self.started, self.heard) = (Some(now), now);
            self.export = Export::default();
            match self.start(place) {
                Ok(running) => (self.running, self.problem) = (Some(running), None),
                Err(error) => self.problem = Some(format!("cannot be started: {}", error.kind())),
            }
        }
        self.running.is_some()
    }

    fn start(&self, place: &Place) -> io::Result<(Process, File)> {
        let begin = match place.last() {
            Some(cursor) => format!("--after-cursor={cursor}"),
            None => format!("--since=@{}", self.oldest.secs().max(0)),
        };
        let mut words = ["--output=export", "--follow", "--no-tail", "--no-pager", "--quiet", FIELDS]
            .map(str::to_owned)
            .to_vec();
        words.push(begin);
        // Those that are not text are no journal's.
        words.extend(self.arguments.iter().map(|word| word.to_string_lossy().into_owned()));
        let (stdout, theirs) = io::pipe()?;
        rustix::io::ioctl_fionbio(&stdout, true)?;
        let program = Program { program: "journalctl", words: &words, grant: Grant::READ, limit: None };
        let process = program.start(Streams { stdout: Some(theirs.into()), ..Streams::default() })?;
        Ok((process, OwnedFd::from(stdout).into()))
    }

    /// Reads what it has said by now; whether the present is reached with that.
    pub(super) fn read(&mut self, draft: &mut Draft, place: &mut Place, now: UnixTime) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            while let Some((stream, entry)) = self.export.next() {
                draft.live = self.live;
                draft.push(&self.export.fields, &entry);
                place.handed_out(spelled(stream, &entry));
                let mark = place.mark(stream);
                (mark.seqnum, mark.realtime) = (entry.seqnum, entry.realtime);
                if draft.is_full() {
                    return false;
                }
            }
            let Some((_, stdout)) = &mut self.running else { return self.live };
            match stdout.read(&mut bytes) {
                Ok(0) => self.ended(),
                Ok(count) => {
                    self.heard = now;
                    self.export.push(&bytes[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.live |= now >= self.heard + SETTLED;
                    return self.live;
                }
                Err(_) => self.ended(),
            }
        }
    }

    fn ended(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            child.kill();
            let how =
                child.wait(Some(PATIENCE)).map_or_else(|error| error.to_string(), |end| end.to_string());
            self.problem = Some(format!("it has ended ({how}) and is started again"));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.ended();
    }
}

/// The words for which journal and which entries.
fn arguments(options: &JournalOptions) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    if options.files.is_empty() {
        words.extend(options.path.iter().map(|path| {
            let mut word = OsString::from("--directory=");
            word.push(path);
            word
        }));
    }
    words.extend(options.files.iter().map(|pattern| format!("--file={pattern}").into()));
    words.extend(options.namespace.iter().map(|name| format!("--namespace={name}").into()));
    let flags = [(4, "--system"), (8, "--user")];
    words.extend(flags.iter().filter(|(bit, _)| options.flags & bit != 0).map(|(_, word)| (*word).into()));
    words.extend(options.matches.words().into_iter().map(OsString::from));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::journal::Matches;

    #[test]
    fn the_words_for_journalctl() {
        let matches = Matches::parse(&["_COMM=a + _UID=0".to_owned()]).unwrap();
        let shown = |options: &JournalOptions| {
            let words = arguments(options);
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
        };
        let options = JournalOptions { matches, path: Some("/j".into()), flags: 4, ..Default::default() };
        assert_eq!(shown(&options), "--directory=/j --system _COMM=a + _UID=0");
        let options = JournalOptions {
            files: vec!["/a.journal".into(), "/b*".into()],
            namespace: Some("+x".into()),
            ..Default::default()
        };
        assert_eq!(shown(&options), "--file=/a.journal --file=/b* --namespace=+x");
    }
}
