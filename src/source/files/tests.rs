use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::*;
use crate::source::Start;

/// A directory of logs, jails that keep what they get, and a clock that is moved by hand.
struct Bench {
    dir: tempfile::TempDir,
    files: Files,
    now: UnixTime,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), files: Files::new(), now: UnixTime::from_secs(1000) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn wants(&self, patterns: &[&str], cursors: &[Cursor]) -> Subscription {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|name| (self.path(name).to_str().unwrap().to_owned(), Start::Beginning.into()))
            .collect();
        let path: Arc<Path> = Arc::from(Path::new(&patterns[0].0));
        Subscription {
            cursors: cursors.iter().map(|cursor| (path.clone(), cursor.clone())).collect(),
            patterns,
            find_time: Duration::from_secs(600),
            dates: Arc::new(|_, _| None),
            journal: None,
        }
    }

    fn subscribe(&mut self, jail: &str, patterns: &[&str], cursors: &[Cursor]) {
        let wants = self.wants(patterns, cursors);
        self.files.subscribe(&jail.into(), wants, self.now);
    }

    /// Reads all that there is room for; nobody handles anything.
    fn poll(&mut self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for _ in 0..100_000 {
            deliveries.extend(self.files.poll(self.now, 100_000));
            if !self.files.more() {
                return deliveries;
            }
        }
        panic!("there is always more");
    }

    fn tick(&mut self) -> Vec<Delivery> {
        self.now = self.now + Duration::from_secs(1);
        self.files.tick(self.now);
        self.poll()
    }

    /// A tick after which everything is handled at once: `jail+jail: line line`.
    fn read(&mut self) -> String {
        let mut all = self.tick();
        let mut at = 0;
        while at < all.len() {
            for jail in all[at].jails.clone() {
                self.files.handled(&jail);
            }
            at += 1;
            if at == all.len() {
                all.extend(self.poll());
            }
        }
        text(&all)
    }

    fn state(&self, jail: &str) -> String {
        let states: Vec<_> = self.files.status(jail).into_iter().map(|file| file.state).collect();
        states.join(", ")
    }
}

fn text(deliveries: &[Delivery]) -> String {
    let show = |delivery: &Delivery| {
        let mut jails: Vec<_> = delivery.jails.iter().map(|jail| &**jail).collect();
        jails.sort_unstable();
        let lines: Vec<_> = delivery.block.lines().map(String::from_utf8_lossy).collect();
        format!("{}: {}", jails.join("+"), lines.join(" "))
    };
    deliveries.iter().map(show).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_file_that_two_jails_watch_is_read_once() {
    let mut bench = Bench::new();
    bench.append("log", "1\n");
    bench.subscribe("a", &["log"], &[]);
    bench.subscribe("b", &["l*"], &[]);
    assert!(!bench.files.caught_up("a"));
    assert_eq!(bench.read(), "a+b: 1");
    assert!(bench.files.caught_up("a"));
    bench.append("log", "2\n");
    assert_eq!(bench.read(), "a+b: 2");
    assert_eq!(bench.files.reads(), 2);
    bench.files.unsubscribe("a");
    bench.append("log", "3\n");
    assert_eq!(bench.read(), "b: 3");
    bench.files.unsubscribe("b");
    assert!(bench.files.watch().is_empty());
}

#[test]
fn a_slow_jail_is_detached_and_catches_up_alone() {
    let mut bench = Bench::new();
    bench.append("log", "");
    bench.subscribe("a", &["log"], &[]);
    bench.subscribe("b", &["log"], &[]);
    for line in 1..=4 {
        bench.append("log", &format!("{line}\n"));
        assert_eq!(text(&bench.tick()), format!("a+b: {line}"));
        bench.files.handled("a");
    }
    for line in 5..=9 {
        bench.append("log", &format!("{line}\n"));
        assert_eq!(text(&bench.tick()), format!("a: {line}"), "b is past its window");
        bench.files.handled("a");
    }
    assert_eq!(bench.state("b"), "catching up");
    assert_eq!(text(&bench.poll()), "");
    bench.files.handled("b");
    assert_eq!(text(&bench.poll()), "b: 5 6 7 8 9");
    bench.files.handled("b");
    bench.append("log", "10\n");
    assert_eq!(text(&bench.tick()), "a+b: 10", "attached again");
    assert_eq!(bench.files.reads(), 11);
    assert_eq!(bench.state("b"), "reading");
}

#[test]
fn no_jail_delays_another_past_a_tick_whatever_it_does() {
    let mut bench = Bench::new();
    let line = "x".repeat(49_999) + "\n";
    bench.append("log", &line.repeat(100));
    for jail in ["good", "stuck"] {
        bench.subscribe(jail, &["log"], &[]);
    }
    let mut blocks = bench.tick();
    assert_eq!(blocks.len(), WINDOW);
    for _ in 0..WINDOW {
        bench.files.handled("good");
    }
    assert_eq!(bench.poll(), [], "they stay together for now");
    blocks.extend(bench.tick());
    let mut at = WINDOW;
    while at < blocks.len() {
        if blocks[at].jails.iter().any(|jail| &**jail == "good") {
            bench.files.handled("good");
        }
        at += 1;
        let more = bench.poll();
        blocks.extend(more);
    }
    let lines = |jail: &str| {
        let of = blocks.iter().filter(|delivery| delivery.jails.iter().any(|other| &**other == jail));
        of.map(|delivery| delivery.block.lines().count()).sum::<usize>()
    };
    assert_eq!((lines("good"), lines("stuck")), (100, 5 * WINDOW));
}

#[test]
fn a_stuck_jail_costs_nothing_more_with_time() {
    let mut bench = Bench::new();
    bench.subscribe("stuck", &["log"], &[]);
    for line in 0..100 {
        bench.append("log", &format!("{line}\n"));
        bench.tick();
    }
    assert_eq!(bench.files.reads(), WINDOW as u64);
    assert_eq!((bench.files.jails["stuck"].blocked.len(), bench.files.ready.len()), (1, 0));
}

#[test]
fn a_jail_without_room_reads_its_files_in_turn() {
    let mut bench = Bench::new();
    let line = "x".repeat(60_000) + "\n";
    for name in ["a", "b", "c", "d", "e", "f"] {
        bench.append(name, &line.repeat(100));
    }
    bench.subscribe("jail", &["*"], &[]);
    let mut paths = Vec::new();
    for delivery in bench.tick() {
        paths.push(delivery.block.path.clone());
    }
    while paths.len() < 60 {
        bench.files.handled("jail");
        for delivery in bench.poll() {
            paths.push(delivery.block.path.clone());
        }
    }
    for path in bench.files.watch() {
        assert_eq!(paths.iter().filter(|other| **other == path).count(), 10, "{}", path.display());
    }
}

#[test]
fn a_revived_jail_goes_on_at_its_cursor() {
    let mut bench = Bench::new();
    bench.subscribe("a", &["log"], &[]);
    bench.subscribe("b", &["log"], &[]);
    bench.append("log", "1\n");
    let block = bench.tick().remove(0).block;
    bench.append("log", "2\n");
    assert_eq!(text(&bench.tick()), "a+b: 2", "b dies with it unhandled");
    bench.subscribe("b", &["log"], std::slice::from_ref(&block.end));
    bench.append("log", "3\n");
    assert_eq!(bench.read(), "b: 2 3, a: 3");
    bench.append("log", "4\n");
    assert_eq!(bench.read(), "a+b: 4");
}

#[test]
fn a_reload_moves_only_what_differs() {
    let mut bench = Bench::new();
    for name in ["one", "two", "three"] {
        bench.append(name, "old\n");
    }
    bench.subscribe("a", &["one", "two"], &[]);
    bench.subscribe("b", &["two"], &[]);
    assert_eq!(bench.read(), "a: old, a+b: old");
    bench.subscribe("a", &["two", "three"], &[]);
    assert_eq!(bench.read(), "a: old", "of three");
    for name in ["one", "two", "three"] {
        bench.append(name, &format!("{name}\n"));
    }
    let mut got: Vec<_> = bench.read().split(", ").map(str::to_owned).collect();
    got.sort_unstable();
    assert_eq!(got, ["a+b: two", "a: three"]);
}

#[test]
fn files_that_appear_later_are_picked_up() {
    let mut bench = Bench::new();
    bench.subscribe("a", &["sub/*.log"], &[]);
    assert_eq!(bench.read(), "");
    assert_eq!(bench.state("a"), "waiting for it to appear");
    assert!(bench.files.caught_up("a"));
    fs::create_dir(bench.path("sub")).unwrap();
    bench.append("sub/x.log", "1\n");
    bench.append("sub/x.txt", "no\n");
    assert_eq!(bench.read(), "a: 1");
    assert_eq!(bench.state("a"), "reading");
    bench.append("sub/y.log", "2\n");
    let block = bench.tick().remove(0).block;
    assert!(block.live, "it was written while it was watched");
    bench.append("sub/x.log", "3\n");
    bench.append("sub/y.log", "4\n");
    assert_eq!(bench.read(), "a: 3, a: 4");
}

#[test]
fn what_a_glob_found_survives_its_rotation_and_is_forgotten_when_it_is_gone() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n");
    bench.subscribe("a", &["a.*"], &[]);
    assert_eq!(bench.read(), "a: 1");
    bench.append("a.log", "2\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    assert_eq!(bench.read(), "a: 2", "the rotated file is not new");
    bench.append("a.log", "3\n");
    assert_eq!(bench.read(), "a: 3");
    fs::remove_file(bench.path("a.log.1")).unwrap();
    fs::remove_file(bench.path("a.log")).unwrap();
    assert_eq!(bench.read(), "");
    assert_eq!(bench.state("a"), "waiting for it to appear");
    bench.now = bench.now + FORGET;
    assert_eq!(bench.read(), "");
    assert!(bench.files.watch().is_empty());
}

#[test]
fn a_restart_in_the_middle_of_a_rotation_that_a_glob_covers() {
    let mut bench = Bench::new();
    bench.append("a.log", "1\n");
    bench.subscribe("a", &["a.log"], &[]);
    let cursor = bench.tick().remove(0).block.end.clone();
    bench.append("a.log", "2\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.files = Files::new();
    let mut wants = bench.wants(&["a.log"], &[cursor]);
    wants.patterns = vec![(bench.path("a.*").to_str().unwrap().to_owned(), Start::FindTime.into())];
    bench.files.subscribe(&"a".into(), wants, bench.now);
    bench.append("a.log", "3\n");
    assert_eq!(bench.read(), "a: 2, a: 3");
    assert_eq!(bench.read(), "");
}

#[test]
fn a_hint_is_enough_and_may_name_the_file_behind_links() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("real")).unwrap();
    std::os::unix::fs::symlink("real", bench.path("link")).unwrap();
    bench.subscribe("a", &["link/log"], &[]);
    bench.poll();
    for (line, hint) in ["link/log", "real/log"].into_iter().enumerate() {
        bench.append("real/log", &format!("{line}\n"));
        assert!(!bench.files.more());
        bench.files.touched(&bench.path(hint));
        assert!(bench.files.more());
        assert_eq!(text(&bench.poll()), format!("a: {line}"));
    }
}

#[test]
fn a_thousand_files_cost_one_look_each() {
    let mut bench = Bench::new();
    for number in 0..1000 {
        bench.append(&format!("{number:04}.log"), "1\n");
    }
    bench.subscribe("a", &["*.log"], &[]);
    assert_eq!(bench.read().matches("a: 1").count(), 1000);
    assert_eq!(bench.read(), "");
    bench.append("0500.log", "2\n");
    assert_eq!(bench.read(), "a: 2");
    assert_eq!(bench.files.reads(), 1001);
    assert_eq!(bench.files.watch().len(), 1000);
}

#[test]
fn more_files_than_descriptors() {
    let mut bench = Bench::new();
    bench.files.limit_open(3);
    for number in 0..20 {
        bench.append(&format!("{number}"), "1\n");
    }
    bench.subscribe("a", &["*"], &[]);
    bench.subscribe("b", &["*"], &[]);
    assert!(bench.files.open <= 3 + 1, "{}", bench.files.open);
    assert_eq!(bench.read().matches("a+b: 1").count(), 20);
    for round in 0..3 {
        for number in 0..20 {
            match number % 3 {
                0 => bench.append(&format!("{number}"), "2\n"),
                1 => {
                    bench.append(&format!("{number}"), "2\n");
                    fs::rename(bench.path(&format!("{number}")), bench.path(&format!("{number}.1"))).unwrap();
                    bench.append(&format!("{number}"), "2\n");
                }
                _ => {}
            }
        }
        assert_eq!(bench.read().matches('2').count(), 7 + 7 * 2, "round {round}");
        bench.now = bench.now + super::super::follow::LINGER;
        assert_eq!(bench.read(), "");
        let held: usize = bench.files.paths.values().map(|file| file.readers.open_files()).sum();
        assert_eq!(bench.files.open, held);
        assert!(held <= 3, "{held}");
    }
    assert!(bench.state("a").split(", ").all(|state| state == "reading"), "{}", bench.state("a"));
    bench.files.unsubscribe("a");
    bench.files.unsubscribe("b");
    assert_eq!(bench.files.open, 0);
}

#[test]
fn a_poll_is_bounded_and_fair() {
    let mut bench = Bench::new();
    let line = "x".repeat(9_999) + "\n";
    bench.append("big", &line.repeat(1000));
    bench.append("small", "1\n");
    bench.subscribe("a", &["big"], &[]);
    bench.subscribe("b", &["small"], &[]);
    let first = bench.files.poll(bench.now, 1);
    assert_eq!(first.len(), 1, "at least one turn");
    let second = bench.files.poll(bench.now, 1);
    assert_eq!(text(&second), "b: 1", "after one block of the big file");
    assert!(bench.files.more());
}

#[test]
fn states_name_what_is_wrong() {
    let mut bench = Bench::new();
    fs::create_dir(bench.path("dir")).unwrap();
    bench.append("log", "1\n2\n");
    bench.subscribe("a", &["dir", "log", "none", "other*"], &[]);
    assert_eq!(
        bench.state("a"),
        "a directory, not a file, catching up, waiting for it to appear, waiting for it to appear"
    );
    bench.read();
    let log = bench.files.status("a").remove(1);
    assert_eq!((log.state.as_str(), log.offset, log.cut), ("reading", 4, 0));
}
