//! The tailer actor: reads all files for all jails, and hands each jail its lines.
//!
//! What is read when, by whom and from where is decided by [`crate::source::files`]; this shell wakes it (linemux,
//! and a tick that misses nothing), sends what it read and tells it what was handled.

mod by_date;
mod watcher;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::dev::RecipientRequest;
use actix::prelude::*;
use futures_util::FutureExt as _;

use crate::actor::guard::Alive;
use crate::actor::message::{Lines, Subscribe, Unsubscribe, Watched, Watching};
use crate::actor::now;
use crate::fault;
use crate::filter::{Hits, Scanner, Union};
use crate::memory;
use crate::source::files::{Delivery, Files, Subscription};
use crate::source::follow::Dates;
use by_date::ByDate;
use watcher::Watcher;

/// Every file is looked at this often, whatever the kernel says or does not say.
const TICK: Duration = Duration::from_millis(500);
/// How often files that cannot be read are looked for, to say so.
const COMPLAIN: Duration = Duration::from_secs(5);
/// After a rename or a removal the new file is looked for this soon.
const SOON: Duration = Duration::from_millis(20);
/// Bytes read before other messages have their turn.
const BUDGET: usize = 4 * 256 * 1024;
/// Reading so many bytes between two ticks is a flood.
const FLOOD: usize = 1024 * 1024;
/// So many ticks after the last line the memory that reading used is given back, and after a start, and after new files.
const CALM: u32 = 2;

/// A jail that reads.
struct Reader {
    /// Tells its subscription from those before, also from those of a life that has ended.
    number: u64,
    generation: u64,
    to: Recipient<Lines>,
    scanner: Option<Box<Scanner>>,
}

/// Reads all files.
pub struct TailerActor {
    files: Files,
    /// Finds the date of a line, to begin in the middle of a file.
    dates: Dates,
    /// The same for jails of a Fail2Ban tree, as long as somebody reads by them.
    lent: Vec<Weak<ByDate>>,
    jails: HashMap<Arc<str>, Reader>,
    /// What several jails look for in one file.
    union: Union,
    /// Subscriptions so far.
    subscriptions: u64,
    /// Blocks that their jails had not handled when the tailer last looked.
    sent: Vec<Sent>,
    touched: Touched,
    watcher: Option<Watcher>,
    warning: Option<String>,
    /// Troubles of files that were said.
    said: HashSet<(Arc<str>, String, String)>,
    pumping: bool,
    /// Bytes read since the last tick.
    read: usize,
    /// Ticks until the memory that reading used is given back; none: there was nothing since.
    calm_in: Option<u32>,
    /// Much was used: there was a flood since.
    flooded: bool,
    /// Quick looks for a moved file are under way.
    looking: bool,
    _alive: Alive,
}

/// A block on its way to a jail.
struct Sent {
    jail: Arc<str>,
    /// Of its subscription.
    number: u64,
    answer: Pin<Box<RecipientRequest<Lines>>>,
}

/// What watcher and tailer know of each other.
#[derive(Default, Clone)]
pub(super) struct Touched {
    /// Files that have changed since the tailer last looked, and whether any of them moved.
    files: Rc<RefCell<(HashSet<PathBuf>, bool)>>,
    /// Blocks that the tailer has read.
    reads: Rc<Cell<u64>>,
}

impl Touched {
    fn reads(&self) -> u64 {
        self.reads.get()
    }
}

/// Watcher → tailer: look at what was touched.
#[derive(Message)]
#[rtype(result = "()")]
struct Woken;

/// Tailer → itself: there is more to read, others had their turn.
#[derive(Message)]
#[rtype(result = "()")]
struct Pump;

/// Watcher → tailer: why the kernel does not tell of changes (none: it does).
#[derive(Message)]
#[rtype(result = "()")]
struct Deaf(Option<String>);

impl TailerActor {
    /// A tailer without files.
    pub fn new(alive: Alive) -> Self {
        Self {
            dates: ByDate::new(None).into_dates(),
            lent: Vec::new(),
            files: Files::default(),
            jails: HashMap::new(),
            union: Union::default(),
            subscriptions: 0,
            sent: Vec::new(),
            touched: Touched::default(),
            watcher: None,
            warning: None,
            said: HashSet::new(),
            pumping: false,
            read: 0,
            calm_in: Some(CALM),
            flooded: true,
            looking: false,
            _alive: alive,
        }
    }

    /// Reads what may be read and hands it out, a budget at a time.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        fault::point("tailer.pump");
        self.hear();
        for delivery in self.files.poll(now(), BUDGET) {
            self.read += delivery.block.text.len();
            let hits = self.look_through(&delivery);
            for (jail, hits) in delivery.jails.into_iter().zip(hits) {
                self.deliver(jail, delivery.block.clone(), hits);
            }
        }
        self.touched.reads.set(self.files.reads());
        if self.files.more() && !self.pumping {
            self.pumping = true;
            ctx.notify(Pump);
        }
        if self.files.waits() {
            self.listen_for_room(ctx);
        }
    }

    /// Looks at everything again: rotations, new files, growth that nobody reported.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.files.tick(now());
        self.listen();
        self.pump(ctx);
    }

    /// Once it is quiet, gives back what reading used: after a few lines the code that nothing uses now, after a flood
    /// and after new files also the heap.
    fn rest(&mut self) {
        let mut forgot = false;
        self.lent.retain(|dates| {
            dates.upgrade().is_some_and(|dates| {
                forgot |= dates.give_up();
                true
            })
        });
        let read = std::mem::take(&mut self.read);
        self.flooded |= forgot || read >= FLOOD;
        if forgot || read > 0 {
            self.calm_in = Some(CALM);
        }
        self.calm_in = self.calm_in.and_then(|ticks| ticks.checked_sub(1));
        match self.calm_in {
            Some(0) if std::mem::take(&mut self.flooded) => memory::give_back(),
            Some(0) => memory::give_back_code(),
            _ => {}
        }
    }

    /// Says which files cannot be read and why, each once while it lasts.
    fn complain(&mut self) {
        let mut troubled = HashSet::new();
        for jail in self.jails.keys() {
            for file in self.files.status(jail) {
                if matches!(&*file.state, "reading" | "catching up") {
                    continue;
                }
                let trouble = (jail.clone(), file.path, file.state);
                if !self.said.contains(&trouble) {
                    tracing::warn!(target: "fail2ban.filter", "[{jail}] {}: {}", trouble.1, trouble.2);
                }
                troubled.insert(trouble);
            }
        }
        self.said = troubled;
    }

    /// Tells the watcher which files there are now.
    fn listen(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.watch(self.files.watch());
        }
    }

    /// Looks through a large block before its jails do, which have enough to do: once for all of them.
    fn look_through(&mut self, Delivery { block, jails }: &Delivery) -> Vec<Option<Hits>> {
        if block.ends.is_empty() {
            return vec![None; jails.len()];
        }
        let mut scanner = |jail| self.jails.get_mut(jail).and_then(|reader| reader.scanner.take());
        let mut scanners: Vec<_> = jails.iter().map(&mut scanner).collect();
        let (text, ends) = (&block.text, &block.ends);
        let hits = match &mut scanners[..] {
            [alone] => vec![alone.as_mut().map(|scanner| scanner.scan(text, ends))],
            many => {
                let all: Vec<_> = many.iter().flatten().map(|scanner| &**scanner).collect();
                let mut hits = self.union.scan(&all, text, ends).into_iter();
                many.iter().map(|scanner| scanner.as_ref().and_then(|_| hits.next())).collect()
            }
        };
        for (jail, scanner) in jails.iter().zip(scanners) {
            if let Some(reader) = self.jails.get_mut(jail) {
                reader.scanner = scanner;
            }
        }
        hits
    }

    /// Sends a block; when the jail has handled it, there is room for another.
    fn deliver(&mut self, jail: Arc<str>, block: Arc<crate::source::Block>, hits: Option<Hits>) {
        let Some(Reader { number, generation, to, .. }) = self.jails.get(&jail) else { return };
        let (number, generation) = (*number, *generation);
        let answer = Box::pin(to.send(Lines { generation, block, hits }));
        self.sent.push(Sent { jail, number, answer });
    }

    /// Finds out which blocks were handled. While there is room for more nobody needs to know at once: an answer that
    /// wakes the tailer costs as much as reading a few lines.
    fn hear(&mut self) {
        for mut sent in std::mem::take(&mut self.sent) {
            match sent.answer.as_mut().now_or_never() {
                Some(handled) => self.handled(&sent.jail, sent.number, handled.is_ok()),
                None => self.sent.push(sent),
            }
        }
    }

    /// Lets the answers that are still to come wake the tailer: something waits for them.
    fn listen_for_room(&mut self, ctx: &mut Context<Self>) {
        for Sent { jail, number, answer } in std::mem::take(&mut self.sent) {
            ctx.spawn(answer.into_actor(self).map(move |handled, this, ctx| {
                this.handled(&jail, number, handled.is_ok());
                if this.files.more() {
                    this.pump(ctx);
                }
            }));
        }
    }

    fn handled(&mut self, jail: &Arc<str>, number: u64, well: bool) {
        if self.jails.get(jail).is_none_or(|reader| reader.number != number) {
            return;
        }
        if well {
            self.files.handled(jail);
        } else {
            // It died with the lines; revived it subscribes again, at its saved cursor.
            self.files.unsubscribe(jail);
            self.jails.remove(jail);
        }
    }
}

impl Actor for TailerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(256);
        self.watcher = Some(Watcher::start(self.touched.clone(), ctx.address()));
        ctx.run_interval(TICK, |this, ctx| {
            this.rest();
            this.look(ctx);
        });
        ctx.run_interval(COMPLAIN, |this, _| this.complain());
    }
}

impl Handler<Woken> for TailerActor {
    type Result = ();

    fn handle(&mut self, _: Woken, ctx: &mut Self::Context) {
        let (paths, moved) = std::mem::take(&mut *self.touched.files.borrow_mut());
        for path in &paths {
            self.files.touched(path);
        }
        if moved && !self.looking {
            self.looking = true;
            for (times, last) in [(1, false), (4, false), (10, true)] {
                ctx.run_later(SOON * times, move |this, ctx| {
                    this.looking &= !last;
                    this.look(ctx);
                });
            }
        }
        self.pump(ctx);
    }
}

impl Handler<Pump> for TailerActor {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Self::Context) {
        self.pumping = false;
        self.pump(ctx);
    }
}

impl Handler<Deaf> for TailerActor {
    type Result = ();

    fn handle(&mut self, Deaf(why): Deaf, _: &mut Self::Context) {
        if let (Some(why), None) = (&why, &self.warning) {
            tracing::warn!(target: "fail2ban.filter", "new lines are found every {TICK:?} only: {why}");
        }
        self.warning = why;
    }
}

impl Handler<Subscribe> for TailerActor {
    type Result = ();

    fn handle(&mut self, wish: Subscribe, ctx: &mut Self::Context) {
        let Subscribe { jail, generation, patterns, find_time, cursors, journal, dates, scanner, to } = wish;
        self.hear();
        if self.jails.get(&jail).is_some_and(|reader| reader.generation >= generation) {
            // Its life before has ended with lines in hand: it goes on from its saved cursors alone.
            self.files.unsubscribe(&jail);
        }
        self.subscriptions += 1;
        self.jails.insert(
            jail.clone(),
            Reader { number: self.subscriptions, generation, to, scanner: scanner.map(Box::new) },
        );
        let dates = match dates {
            Some(options) => {
                let dates = ByDate::new(Some(options));
                self.lent.push(Arc::downgrade(&dates));
                dates.into_dates()
            }
            None => self.dates.clone(),
        };
        self.files.subscribe(&jail, Subscription { patterns, find_time, cursors, dates, journal }, now());
        self.listen();
        self.pump(ctx);
        self.complain();
    }
}

impl Handler<Unsubscribe> for TailerActor {
    type Result = ();

    fn handle(&mut self, Unsubscribe(jail): Unsubscribe, _: &mut Self::Context) {
        self.files.unsubscribe(&jail);
        self.jails.remove(&jail);
    }
}

impl Handler<Watching> for TailerActor {
    type Result = MessageResult<Watching>;

    fn handle(&mut self, Watching(jail): Watching, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.jails.contains_key(&jail).then(|| Watched {
            files: self.files.status(&jail),
            journal: self.files.reads_journal(&jail),
            warning: self.warning.clone(),
        }))
    }
}

#[cfg(test)]
mod tests;
