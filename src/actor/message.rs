//! All messages, in the order in which a line meets them: who sends, who receives, what the answer means.

use std::path::Path;
use std::sync::Arc;

use actix::prelude::*;
use crossbeam_channel::Sender;

use crate::action::lifecycle;
use crate::actor::guard::Child;
use crate::actor::store;
use crate::config::JailConfig;
use crate::control::request::{FileStatus, JailBans, JailStatus, Request, Response, Verdict};
use crate::filter::date::DateOptions;
use crate::filter::{Hits, Scanner};
use crate::firewall::Wanted;
use crate::id::Id;
use crate::jail::{Answer, Past};
use crate::net;
use crate::python::{Raised, Value};
use crate::sentence::Sentence;
use crate::source::journal::JournalOptions;
use crate::source::{Block, Cursor, Manner};
use crate::store::Saved;
use crate::subnet::Subnet;
use crate::time::UnixTime;

/// Jail → tailer: read these files for me from here on. Nobody waits; the first answer is [`Lines`].
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    /// Which jail.
    pub jail: Arc<str>,
    /// Marks the [`Lines`] that belong to this subscription.
    pub generation: u64,
    /// Paths and globs, each with how it is read.
    pub patterns: Vec<(String, Manner)>,
    /// How far back a file is read that was never seen.
    pub find_time: std::time::Duration,
    /// How far each file was handled.
    pub cursors: Vec<(Arc<Path>, Cursor)>,
    /// The journal, in place of files.
    pub journal: Option<JournalOptions>,
    /// How the lines' dates are read, where a search by date has to; none: as a TOML jail's.
    pub dates: Option<DateOptions>,
    /// Who tells which lines need a look.
    pub scanner: Option<Scanner>,
    /// Where the lines go.
    pub to: Recipient<Lines>,
}

/// Supervisor → tailer: this jail is gone.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unsubscribe(pub Arc<str>);

/// Tailer → jail. The answer means "counted, and the firewall has room": the tailer keeps a window of them open.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Lines {
    /// The subscription they belong to; lines of an older one are not counted, they come again.
    pub generation: u64,
    /// The lines.
    pub block: Arc<Block>,
    /// Those that need a look, where the tailer has looked for them.
    pub hits: Option<Hits>,
}

/// Supervisor → tailer: what do you read for this jail? None: it has not subscribed.
#[derive(Message)]
#[rtype(result = "Option<Watched>")]
pub struct Watching(pub Arc<str>);

/// Answer to [`Watching`].
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Its files.
    pub files: Vec<FileStatus>,
    /// Whether it reads the journal and not files.
    pub journal: bool,
    /// Why growth is found by the tick alone, when it is.
    pub warning: Option<String>,
}

/// Firewall → supervisor: what is enforced is not what it put there; only a `Replace` helps. Nobody waits: what it was
/// asked meanwhile is refused, and asked again by the jails.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drift;

/// Firewall → jail: the kernel's word on each element. Nobody waits; when it is lost, the jail asks again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Acknowledged(pub Vec<(Act, Subnet, Result<(), Arc<str>>)>);

/// What the kernel was asked to do with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Block it.
    Ban,
    /// Let it in.
    Unban,
}

/// Action broker → jail: what came of the task with this number. Nobody waits; every task is answered, also one over
/// which a thread died.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Performed {
    /// The jail's number.
    pub number: u64,
    /// What came of it.
    pub verdict: lifecycle::Verdict,
}

/// Store → jail: everything up to this number is on disk.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recorded(pub u64);

/// Store → jail: what is remembered of these addresses; none: nothing. Whoever is missing is asked about again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recalled(pub Vec<(Id, Option<Past>)>);

/// Helper → jail: what it found out. When it is lost, the jail loses patience.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answered(pub Answer);

/// Jail → timer: wake me then. Not waited for; when it is lost the jail says it again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Schedule {
    /// Which jail.
    pub jail: Arc<str>,
    /// Its next deadline.
    pub at: UnixTime,
}

/// Supervisor → timer: this jail exists and is woken here. Its deadlines come from itself.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Register {
    /// Which jail.
    pub jail: Arc<str>,
    /// Where [`Expired`] goes; none: it is gone.
    pub to: Option<Recipient<Expired>>,
}

/// Timer → jail: look at your deadlines now. The jail answers with a [`Schedule`] of its next one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Expired;

/// Supervisor → jail: these addresses are the host's own and its gateways'.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct Own(pub Arc<net::Own>);

/// Supervisor → jail: somebody has logged in or out; who is there is read from [`crate::actor::logins`].
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct LoggedIn;

/// Supervisor → jail: the lists of addresses to ignore that lie in files.
#[derive(Message, Clone)]
#[rtype(result = "()")]
pub struct IgnoreFiles(pub Vec<(Subnet, Arc<str>)>);

/// Supervisor → jail: what do you want enforced? Sent before a `Replace`.
#[derive(Message)]
#[rtype(result = "Wanted")]
pub struct Collect;

/// Supervisor → jail: the `Replace` for which you were collected is done; what you changed since may be lost.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Replaced;

/// Supervisor → jail: put your rules and bans into the firewall; it may know them or not.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reenforce;

/// Supervisor → jail: another tailer or timer has taken over, or the store has; tell it what it must know.
#[derive(Message, Clone, Default)]
#[rtype(result = "()")]
pub struct Rewire {
    /// The new tailer.
    pub tailer: Option<Recipient<Subscribe>>,
    /// The new timer.
    pub timer: Option<Recipient<Schedule>>,
    /// The store was revived: what it lost.
    pub store: Option<Lost>,
}

/// Supervisor → jail: there is a store now, and this is what it remembers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Recollect {
    /// Who remembers from now on.
    pub store: Sender<store::Job>,
    /// What is not known better.
    pub saved: Vec<Saved>,
}

/// What a revived store does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// What was not on disk yet.
    InHand,
    /// Everything: the file is new.
    Everything,
}

/// Control → supervisor. Time-limited; "not ready" while starting.
#[derive(Message)]
#[rtype(result = "Response")]
pub struct Ask(pub Request);

/// Control → supervisor: a command of Fail2Ban's protocol. Time-limited as [`Ask`] is.
#[derive(Message)]
#[rtype(result = "Result<Value, Raised>")]
pub struct Converse(pub Vec<Value>);

/// Supervisor → jail: how are you?
#[derive(Message)]
#[rtype(result = "JailStatus")]
pub struct Report {
    /// With every ban.
    pub bans: bool,
}

/// Supervisor → jail: your bans, or those that concern this address or prefix.
#[derive(Message)]
#[rtype(result = "JailBans")]
pub struct ListBans(pub Option<Id>);

/// Supervisor → jail: who is shut out? The oldest first.
#[derive(Message)]
#[rtype(result = "Vec<Id>")]
pub struct ListIds;

/// Supervisor → jail: an operator's wish. The answer comes after kernel and disk; the mailbox goes on meanwhile.
#[derive(Message)]
#[rtype(result = "Vec<Verdict>")]
pub enum Order {
    /// Ban these.
    Ban {
        /// Whom.
        ids: Vec<Id>,
        /// How long, if not the jail's own time.
        sentence: Option<Sentence>,
        /// Who is not banned.
        spare: Spare,
    },
    /// Let these in.
    Unban(Vec<Id>),
    /// Let everybody in.
    UnbanAll,
    /// Count failures of `id`: as many as there are lines, at least one.
    Charge {
        /// Whose.
        id: Id,
        /// What shows them.
        lines: Vec<Arc<str>>,
    },
}

/// Whom an operator's ban does not touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spare {
    /// Ignored, own and gateways' addresses.
    Ignored,
    /// Own and gateways' addresses; an ignored one is warned of.
    Own,
    /// Nobody.
    Nobody,
}

/// Supervisor → jail: read no more lines, or go on where you were. The answer means that it is so.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Idle(pub bool);

/// Supervisor → jail: the answer means that what you had for the firewall is in its mailbox.
#[derive(Message)]
#[rtype(result = "()")]
pub struct HandedOn;

/// Supervisor → jail: your options are these now. The answer: done, or why you keep the old ones.
#[derive(Message)]
#[rtype(result = "Result<(), String>")]
pub struct Retune {
    /// All of them.
    pub config: Box<JailConfig>,
    /// They are on trial: those before may return, and [`Tried`] tells.
    pub on_trial: bool,
}

/// Supervisor → jail: what was on trial stays, or the options before are in force again.
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum Tried {
    /// It was confirmed.
    Stays,
    /// It was not: whom it alone banned is let in.
    Undone,
}

/// Supervisor → jail: hand everything to the store and stop. The answer means "handed over".
#[derive(Message)]
#[rtype(result = "()")]
pub struct Retire {
    /// Also take the bans out of the firewall.
    pub lift: bool,
}

/// Any actor's drop guard → supervisor.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Died {
    /// Who.
    pub child: Child,
    /// Which of its lives: an older one's death is no news.
    pub life: u64,
    /// Whether it panicked.
    pub panicked: bool,
}
