//! Wakes the tailer when the kernel tells of a change. A hint only: the tailer's tick misses nothing.
//!
//! linemux follows paths by inotify; what it cannot follow (a file moved over, a removed directory) makes the
//! set of watched files differ, and then it is built anew. Where more is written than one can be told of one by one,
//! it is closed, and the files are looked at by the clock until it is calmer: each word of the kernel's wakes two threads.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::Either;
use linemux::MuxedEvents;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Deaf, TailerActor, Touched, Woken};

/// Wakes in [`WINDOW`] past which the tailer rests between reads: resting always costs latency, never costs a core.
const BUSY: u32 = 100;
const WINDOW: Duration = Duration::from_millis(100);
const REST: Duration = Duration::from_millis(2);
/// So many files at most are looked at by the clock, …
const FEW: usize = 8;
/// … this often (a timer's grain makes it one to two), …
const PACE: Duration = Duration::from_millis(1);
/// … until half of so many looks in a row found nothing.
const LOOKS: u32 = 60;
/// Before linemux is built again after a failure.
const PAUSE: Duration = Duration::from_millis(250);
/// Before it is tried again when the kernel has no inotify to give.
const LONG_PAUSE: Duration = Duration::from_secs(30);

/// A path and the file it is now: another file under the same name has to be watched anew.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watch {
    path: Arc<Path>,
    file: Option<(u64, u64)>,
}

impl Watch {
    fn new(path: Arc<Path>) -> Self {
        let file = fs::metadata(&path).ok().map(|meta| (meta.dev(), meta.ino()));
        Self { path, file }
    }
}

/// The task that listens; it ends with this.
pub(super) struct Watcher {
    wanted: watch::Sender<Vec<Watch>>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts listening on the current arbiter.
    pub(super) fn start(touched: Touched, tailer: Addr<TailerActor>) -> Self {
        let (wanted, listener) = watch::channel(Vec::new());
        Self { wanted, task: actix::spawn(listen(listener, touched, tailer)) }
    }

    /// Listens to these files from now on.
    pub(super) fn watch(&self, paths: impl IntoIterator<Item = Arc<Path>>) {
        let files: Vec<_> = paths.into_iter().map(Watch::new).collect();
        self.wanted.send_if_modified(|wanted| {
            let differs = *wanted != files;
            if differs {
                *wanted = files;
            }
            differs
        });
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(mut wanted: watch::Receiver<Vec<Watch>>, touched: Touched, tailer: Addr<TailerActor>) {
    loop {
        let files = wanted.borrow_and_update().clone();
        if files.is_empty() {
            if wanted.changed().await.is_err() {
                return;
            }
            continue;
        }
        let (events, names, why) = build(&files).await;
        tailer.do_send(Deaf(why));
        let pause = match events {
            Some(events) if !names.is_empty() => {
                // Whatever changed while nobody listened.
                wake(&touched, files.iter().map(|watch| &*watch.path), true, &tailer);
                let changed = std::pin::pin!(wanted.changed());
                let attended = std::pin::pin!(attend(events, &files, &names, &touched, &tailer));
                match futures_util::future::select(changed, attended).await {
                    Either::Left((Ok(()), _)) => continue,
                    Either::Left((Err(_), _)) => return,
                    Either::Right((pause, _)) => pause,
                }
            }
            _ => LONG_PAUSE,
        };
        let _ = tokio::time::timeout(pause, wanted.changed()).await;
    }
}

/// A linemux for these files, their names as it tells them, and the first thing that went wrong.
async fn build(files: &[Watch]) -> (Option<MuxedEvents>, HashMap<PathBuf, PathBuf>, Option<String>) {
    let mut names = HashMap::new();
    let mut events = match MuxedEvents::new() {
        Ok(events) => events,
        Err(error) => return (None, names, Some(format!("inotify: {error}"))),
    };
    let mut why = None;
    for Watch { path, .. } in files {
        // A file in a directory that is missing is found by the tick.
        if !path.parent().is_some_and(Path::is_dir) {
            continue;
        }
        match events.add_file(&**path).await {
            Ok(name) => {
                names.insert(name, path.to_path_buf());
            }
            Err(error) => why = why.or(Some(format!("inotify: {}: {error}", path.display()))),
        }
    }
    (Some(events), names, why)
}

/// Wakes the tailer as the kernel tells, then by the clock if that is too often; when to build linemux again.
async fn attend(
    events: MuxedEvents,
    files: &[Watch],
    names: &HashMap<PathBuf, PathBuf>,
    touched: &Touched,
    tailer: &Addr<TailerActor>,
) -> Duration {
    match follow(events, files.len() <= FEW, names, touched, tailer).await {
        Followed::Over => PAUSE,
        Followed::Busy => {
            look(files, touched, tailer).await;
            Duration::ZERO
        }
    }
}

/// Has the tailer look at all files at a pace of its own, while that mostly finds something.
async fn look(files: &[Watch], touched: &Touched, tailer: &Addr<TailerActor>) {
    let mut looks = Looks::default();
    loop {
        let before = touched.reads();
        wake(touched, files.iter().map(|watch| &*watch.path), false, tailer);
        tokio::time::sleep(PACE).await;
        if !looks.pay(touched.reads() != before) {
            return;
        }
    }
}

/// Whether looking by the clock still pays.
#[derive(Debug, Default)]
struct Looks {
    done: u32,
    found: u32,
}

impl Looks {
    /// After a look; whether there is to be another.
    fn pay(&mut self, found: bool) -> bool {
        self.done += 1;
        self.found += u32::from(found);
        if self.done < LOOKS {
            return true;
        }
        std::mem::take(self).found >= LOOKS / 2
    }
}

/// How often the kernel told of changes lately.
#[derive(Debug)]
struct Wakes {
    since: Instant,
    count: u32,
}

impl Wakes {
    /// Another one; whether that is more often than one can be told.
    fn too_many(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) > WINDOW {
            *self = Self { since: now, count: 0 };
        }
        self.count += 1;
        self.count > BUSY
    }
}

/// Why linemux is not listened to any more.
enum Followed {
    /// It failed, or has nothing to follow.
    Over,
    /// It tells too much.
    Busy,
}

/// Wakes the tailer for every event until linemux has nothing to follow any more, or tells too much.
async fn follow(
    mut events: MuxedEvents,
    few: bool,
    names: &HashMap<PathBuf, PathBuf>,
    touched: &Touched,
    tailer: &Addr<TailerActor>,
) -> Followed {
    let mut wakes = Wakes { since: Instant::now(), count: 0 };
    while let Ok(Some(first)) = events.next_event().await {
        match wakes.too_many(Instant::now()) {
            true if few => return Followed::Busy,
            true => tokio::time::sleep(REST).await,
            false => {}
        }
        let mut next = Some(first);
        let mut moved = false;
        while let Some(event) = next.take() {
            // linemux takes the path out of an event after which the file is not there any more.
            moved |= event.paths.is_empty() || event.kind.is_create() || event.kind.is_remove();
            let paths = event.paths.iter().filter_map(|path| names.get(path)).map(PathBuf::as_path);
            wake(touched, paths, moved, tailer);
            match events.next_event().now_or_never() {
                Some(Ok(event)) => next = event,
                Some(Err(_)) => return Followed::Over,
                None => {}
            }
        }
    }
    Followed::Over
}

fn wake<'a>(
    touched: &Touched,
    paths: impl Iterator<Item = &'a Path>,
    moved: bool,
    tailer: &Addr<TailerActor>,
) {
    let mut touched = touched.files.borrow_mut();
    let idle = touched.0.is_empty() && !touched.1;
    for path in paths {
        if !touched.0.contains(path) {
            touched.0.insert(path.to_path_buf());
        }
    }
    touched.1 |= moved;
    if idle && (!touched.0.is_empty() || touched.1) {
        tailer.do_send(Woken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_often_is_so_many_in_a_window() {
        let start = Instant::now();
        let mut wakes = Wakes { since: start, count: 0 };
        for at in 0..BUSY {
            assert!(!wakes.too_many(start + WINDOW / BUSY * at), "{at}");
        }
        assert!(wakes.too_many(start + WINDOW));
        let mut now = start + WINDOW;
        for at in 0..10 * BUSY {
            now += WINDOW / BUSY * 2;
            assert!(!wakes.too_many(now), "half as often is not too often: {at}");
        }
    }

    #[test]
    fn looks_go_on_while_half_of_them_find_something() {
        let mut looks = Looks::default();
        for at in 0..10 * LOOKS {
            assert!(looks.pay(at % 2 == 0), "{at}");
        }
        let more = (0..10 * LOOKS).take_while(|at| looks.pay(at % 3 == 0)).count();
        assert_eq!(more, LOOKS as usize - 1, "a third is too few, as the first round shows");
        for _ in 0..LOOKS - 1 {
            assert!(looks.pay(false), "each round counts for itself");
        }
        assert!(!looks.pay(false));
    }
}
