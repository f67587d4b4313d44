use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;
use crate::source::LINE_CAP;

/// A directory of logs, a follower of one of them, and a clock that is moved by hand.
struct Bench {
    dir: tempfile::TempDir,
    follow: Follow,
    now: UnixTime,
}

fn second(text: &[u8]) -> Option<UnixTime> {
    std::str::from_utf8(text).ok()?.split(' ').next()?.parse().ok().map(UnixTime::from_secs)
}

fn first(start: Start) -> Origin {
    Origin::First { start, find_time: Duration::from_secs(600), dates: Arc::new(|line, _| second(line)) }
}

impl Bench {
    /// Follows `log`, which holds `text` or is not there.
    fn new(text: Option<&str>, start: Start) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let now = UnixTime::from_secs(1000);
        let follow = Follow::open(Arc::from(path), first(start), Format::Plain, now);
        Self { dir, follow, now }
    }

    /// Follows `log`, all of whose lines have been read.
    fn live(text: &str) -> Self {
        let mut this = Self::new(Some(text), Start::Beginning);
        assert_eq!(this.read(), text.lines().collect::<Vec<_>>().join(","));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_ref()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn blocks(&mut self) -> Vec<Block> {
        self.follow.look(self.now);
        let mut blocks = Vec::new();
        for _ in 0..10_000 {
            match self.follow.read(self.now, &mut Spare::default()) {
                Step::Lines(block, _) => blocks.push(*block),
                Step::Inside => {}
                Step::End => return blocks,
            }
        }
        panic!("it reads for ever");
    }

    /// Looks and reads to the end: the lines, with commas between.
    fn read(&mut self) -> String {
        let blocks = self.blocks();
        let lines =
            blocks.iter().flat_map(Block::lines).map(|line| String::from_utf8_lossy(line).into_owned());
        lines.collect::<Vec<_>>().join(",")
    }

    /// Ends the follower and begins again from its cursor.
    fn restart(&mut self) {
        let cursor = self.follow.cursor(self.now);
        self.resume(cursor);
    }

    fn resume(&mut self, cursor: Cursor) {
        self.follow = Follow::open(self.follow.path.clone(), Origin::Saved(cursor), Format::Plain, self.now);
    }
}

#[test]
fn lines_are_read_as_they_come() {
    let mut bench = Bench::new(Some("1\n2\n"), Start::Beginning);
    assert_eq!(bench.read(), "1,2");
    assert_eq!(bench.read(), "");
    bench.append("log", "3\n");
    assert!(bench.follow.look(bench.now));
    assert_eq!(bench.read(), "3");
    assert!(!bench.follow.look(bench.now), "nothing to read");
}

#[test]
fn an_unfinished_line_waits_for_its_end() {
    let mut bench = Bench::live("1\n");
    for piece in ["ha", "lf", " a", " line"] {
        bench.append("log", piece);
        assert_eq!(bench.read(), "");
    }
    bench.append("log", "!\nnext\nun");
    assert_eq!(bench.read(), "half a line!,next");
    bench.restart();
    bench.append("log", "done\n");
    assert_eq!(bench.read(), "undone");
}

#[test]
fn line_ends_and_odd_bytes_are_passed_on() {
    let mut bench = Bench::new(Some(""), Start::Beginning);
    bench.append("log", b"crlf\r\n\r\nnul\0nul\n\xff\xfe\xc3(\nlone\rcr\n");
    let blocks = bench.blocks();
    let lines: Vec<_> = blocks.iter().flat_map(Block::lines).collect();
    assert_eq!(lines, [&b"crlf"[..], b"", b"nul\0nul", b"\xff\xfe\xc3(", b"lone\rcr"]);
}

#[test]
fn a_small_read_makes_a_small_block() {
    let mut bench = Bench::live("1\n");
    bench.append("log", "two\n");
    let block = bench.blocks().remove(0);
    assert_eq!(block.text, b"two\n");
    assert!(block.text.capacity() < 64, "{}", block.text.capacity());
}

#[test]
fn blocks_end_with_a_line_and_hold_no_more_than_a_read() {
    let line = "x".repeat(999) + "\n";
    let mut bench = Bench::new(Some(&line.repeat(1000)), Start::Beginning);
    let blocks = bench.blocks();
    assert_eq!(blocks.iter().map(|block| block.lines().count()).sum::<usize>(), 1000);
    assert!(blocks.iter().all(|block| block.text.len() <= crate::source::log::BLOCK));
    assert_eq!(blocks.len(), 4);
    assert_eq!(blocks.last().unwrap().end.offset, 1_000_000);
}

#[test]
fn rename_and_create_with_late_lines() {
    let mut bench = Bench::live("1\n");
    bench.append("log", "2\n");
    bench.rename("log", "log.1");
    bench.append("log.1", "3\n");
    bench.write("log", "4\n");
    assert_eq!(bench.read(), "2,3,4");
    bench.append("log.1", "late\n");
    bench.append("log", "5\n");
    assert_eq!(bench.read(), "late,5");
    bench.wait(4);
    bench.append("log.1", "later\n");
    assert_eq!(bench.read(), "later");
    bench.wait(1);
    assert_eq!(bench.read(), "");
    bench.append("log.1", "too late\n");
    bench.append("log", "6\n");
    assert_eq!(bench.read(), "6");
    assert_eq!(bench.follow.open_files(), 1);
}

#[test]
fn rename_and_create_at_once_however_long_the_new_file_is() {
    for new in ["a\n", "1\n2\n", "longer than before\n", "1\n2\nlonger\n"] {
        let mut bench = Bench::live("1\n2\n");
        bench.rename("log", "log.1");
        bench.write("log", new);
        assert_eq!(bench.read(), new.trim_end().replace('\n', ","), "{new:?}");
    }
}

#[test]
fn several_rotations_between_two_looks() {
    let mut bench = Bench::live("0\n");
    for turn in 1..=9 {
        for number in (1..turn).rev() {
            bench.rename(&format!("log.{number}"), &format!("log.{}", number + 1));
        }
        bench.rename("log", "log.1");
        bench.write("log", format!("{turn}\n"));
    }
    assert_eq!(bench.read(), "1,2,3,4,5,6,7,8,9");
    assert!(bench.follow.reached_end());
}

#[test]
fn a_late_line_does_not_hide_the_file_that_came_between() {
    let mut bench = Bench::live("1\n");
    bench.rename("log", "log.2");
    bench.write("log.1", "2\n");
    bench.append("log.2", "late\n");
    for (name, modified) in [("log.1", 1000), ("log.2", 1001)] {
        let modified = std::time::UNIX_EPOCH + Duration::from_secs(modified);
        fs::File::options().write(true).open(bench.path(name)).unwrap().set_modified(modified).unwrap();
    }
    bench.write("log", "3\n");
    assert_eq!(bench.read(), "late,2,3");
}

#[test]
fn copytruncate_slow_and_fast() {
    for new in ["", "3\n", "33\n4\n", "3 is longer than what was before\n"] {
        for looked in [true, false] {
            let mut bench = Bench::live("1 x\n2\n");
            fs::copy(bench.path("log"), bench.path("log.1")).unwrap();
            bench.write("log", "");
            if looked {
                assert_eq!(bench.read(), "");
            }
            bench.append("log", new);
            assert_eq!(bench.read(), new.trim_end().replace('\n', ","), "{new:?}, looked: {looked}");
            bench.append("log", "more\n");
            assert_eq!(bench.read(), "more", "{new:?}, looked: {looked}");
        }
    }
}

#[test]
fn copytruncate_loses_nothing_that_was_copied() {
    let mut bench = Bench::live("1\n");
    bench.append("log", "2\n3\n");
    fs::copy(bench.path("log"), bench.path("log.1")).unwrap();
    bench.write("log", "4 is longer than before\n");
    assert_eq!(bench.read(), "2,3,4 is longer than before");
}

#[test]
fn an_old_copy_is_not_taken_for_the_one_just_made() {
    let mut bench = Bench::new(None, Start::Beginning);
    bench.write("log.1", "# header\nread long ago\n");
    bench.wait(1_000_000_000_000); // far behind any file's time
    bench.write("log", "# header\n");
    assert_eq!(bench.read(), "# header");
    bench.write("log", "new\n");
    assert_eq!(bench.read(), "new");
}

#[test]
fn delete_and_create() {
    for new in ["a\n", "1\n2\n", "longer than before\n"] {
        let mut bench = Bench::live("1\n2\n");
        bench.append("log", "last\n");
        bench.remove("log");
        assert_eq!(bench.read(), "last", "the descriptor is still held");
        assert_eq!(bench.follow.trouble(), Some(Trouble::Missing));
        bench.write("log", new);
        assert_eq!(bench.read(), new.trim_end().replace('\n', ","), "{new:?}");
        assert_eq!(bench.follow.trouble(), None);
    }
}

#[test]
fn a_deleted_file_is_let_go() {
    let mut bench = Bench::live("1\n");
    bench.remove("log");
    bench.read();
    bench.wait(5);
    bench.read();
    assert_eq!(bench.follow.open_files(), 0);
    bench.wait(100);
    bench.write("log", "2\n");
    let block = bench.blocks().remove(0);
    assert_eq!((block.text, block.live), (b"2\n".to_vec(), true));
}

#[test]
fn a_renamed_file_without_a_successor_is_kept() {
    let mut bench = Bench::live("1\n");
    bench.rename("log", "log.1");
    bench.read();
    bench.wait(3600);
    bench.append("log.1", "2\n");
    assert_eq!(bench.read(), "2");
    bench.rename("log.1", "log");
    bench.append("log", "3\n");
    assert_eq!(bench.read(), "3");
}

#[test]
fn rename_over() {
    let mut bench = Bench::live("1\n");
    bench.append("log", "2\n");
    bench.write("new", "3\n");
    bench.rename("new", "log");
    assert_eq!(bench.read(), "2,3");
}

#[test]
fn symlinks_switched_and_their_targets_rotated() {
    let mut bench = Bench::new(None, Start::Beginning);
    bench.write("a", "1\n");
    symlink("a", bench.path("log")).unwrap();
    assert_eq!(bench.read(), "1");
    bench.append("a", "2\n");
    bench.write("b", "3\n");
    symlink("b", bench.path("link")).unwrap();
    bench.rename("link", "log");
    assert_eq!(bench.read(), "2,3");
    bench.append("b", "4\n");
    bench.rename("b", "b.1");
    bench.write("b", "5\n");
    assert_eq!(bench.read(), "4,5");
    // Back within the time for late lines: what was read is not read again.
    symlink("a", bench.path("link")).unwrap();
    bench.rename("link", "log");
    bench.append("a", "6\n");
    assert_eq!(bench.read(), "6");
}

#[test]
fn files_and_directories_that_come_and_go() {
    let mut bench = Bench::new(None, Start::FindTime);
    let dir = bench.path("sub");
    bench.follow = Follow::open(Arc::from(dir.join("log")), first(Start::FindTime), Format::Plain, bench.now);
    assert_eq!(bench.read(), "");
    assert_eq!(bench.follow.trouble(), Some(Trouble::Missing));
    assert!(bench.follow.reached_end());
    fs::create_dir(&dir).unwrap();
    assert_eq!(bench.read(), "");
    bench.write("sub/log", "1 long ago\n");
    let block = bench.blocks().remove(0);
    assert_eq!((&*block.text, block.live), (&b"1 long ago\n"[..], true), "what appears is new");
    fs::remove_dir_all(&dir).unwrap();
    assert_eq!(bench.read(), "");
    bench.wait(60);
    assert_eq!(bench.read(), "");
    fs::create_dir(&dir).unwrap();
    bench.write("sub/log", "2\n");
    assert_eq!(bench.read(), "2");
}

#[test]
fn what_is_no_readable_file_is_named_and_never_waited_for() {
    let mut bench = Bench::new(None, Start::Beginning);
    fs::create_dir(bench.path("log")).unwrap();
    assert_eq!(bench.read(), "");
    assert_eq!(bench.follow.trouble().unwrap().to_string(), "a directory, not a file");
    fs::remove_dir(bench.path("log")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.path("log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert_eq!(bench.read(), "");
    assert_eq!(bench.follow.trouble().unwrap().to_string(), "not a regular file");
    bench.remove("log");
    symlink("log", bench.path("log")).unwrap();
    assert_eq!(bench.read(), "");
    assert!(matches!(bench.follow.trouble(), Some(Trouble::Failed(_))), "{:?}", bench.follow.trouble());
    bench.remove("log");
    bench.write("log", "1\n");
    assert_eq!(bench.read(), "1");
    for (code, text) in [
        (libc::EACCES, "permission denied"),
        (libc::EMFILE, "too many open files"),
        (libc::ENOTDIR, "waiting for it to appear"),
        (libc::ESTALE, "stale network file handle"),
    ] {
        assert_eq!(Trouble::from(io::Error::from_raw_os_error(code)).to_string(), text);
    }
}

#[test]
fn a_line_of_100_mb_is_cut_and_costs_no_memory() {
    let mut bench = Bench::live("1\n");
    let file = OpenOptions::new().write(true).open(bench.path("log")).unwrap();
    file.set_len(100 << 20).unwrap();
    bench.follow.look(bench.now);
    let mut reads = 0;
    while let Step::Inside = bench.follow.read(bench.now, &mut Spare::default()) {
        reads += 1;
        assert_eq!(bench.follow.offset(), 2, "the cursor stays at the start of the line");
    }
    assert_eq!(reads, 100 * 4 - 1, "each byte is looked at once");
    bench.append("log", " the end\nnext\n");
    let blocks = bench.blocks();
    let lines: Vec<_> = blocks.iter().flat_map(Block::lines).collect();
    assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [LINE_CAP, 4]);
    assert_eq!(bench.follow.cut(), 1);
    assert!(blocks.iter().all(|block| block.text.capacity() < 2 * LINE_CAP));
}

#[test]
fn a_long_line_is_cut_however_it_comes() {
    for (length, pieces) in
        [(LINE_CAP + 1, 1), (LINE_CAP + 1, 7), (LINE_CAP, 3), (300_000, 2), (1_000_000, 5)]
    {
        let mut bench = Bench::live("1\n");
        let line = [vec![b'x'; length], b"\nnext\n".to_vec()].concat();
        let mut got = Vec::new();
        for piece in line.chunks(line.len().div_ceil(pieces)) {
            bench.append("log", piece);
            got.extend(bench.blocks());
        }
        let lines: Vec<_> = got.iter().flat_map(Block::lines).map(<[u8]>::len).collect();
        assert_eq!(lines, [length.min(LINE_CAP), 4], "{length} in {pieces}");
        assert_eq!(bench.follow.cut(), u64::from(length > LINE_CAP), "{length} in {pieces}");
    }
}

#[test]
fn first_sight_begins_where_it_is_told() {
    for (text, start, expected, live) in [
        ("1 a\n399 b\n400 c\n999 d\n", Start::FindTime, "400 c,999 d", false),
        ("a\nb\n", Start::FindTime, "a,b", false),
        ("1 a\n", Start::Beginning, "1 a", false),
        ("1 a\n2 b\n", Start::End, "", true),
        ("1 a\nunfin", Start::End, "unfinished", true),
        ("1 a\nunfin", Start::FindTime, "unfinished", false),
    ] {
        let mut bench = Bench::new(Some(text), start);
        assert_eq!(bench.follow.reached_end(), live, "{text:?}");
        bench.append("log", if text.ends_with("unfin") { "ished\n" } else { "" });
        let blocks = bench.blocks();
        assert!(blocks.iter().all(|block| block.live == live), "{text:?}");
        bench.append("log", "new\n");
        assert_eq!(bench.read(), "new");
        let lines: Vec<_> = blocks.iter().flat_map(Block::lines).collect();
        assert_eq!(String::from_utf8(lines.join(&b','.to_owned())).unwrap(), expected, "{text:?} {start:?}");
    }
}

#[test]
fn a_restart_goes_on_at_the_cursor() {
    let mut bench = Bench::live("1\n2\n");
    let cursor = bench.follow.cursor(bench.now);
    assert_eq!((cursor.offset, cursor.head_len, cursor.live), (4, 4, true));
    bench.append("log", "3\n");
    bench.wait(100);
    bench.resume(cursor);
    let block = bench.blocks().remove(0);
    assert_eq!(block.text, b"3\n");
    assert!(block.live);
    assert_eq!(block.since, UnixTime::from_secs(1000), "it may have been written while nobody read");
    bench.append("log", "4\n");
    assert_eq!(bench.blocks()[0].since, bench.now, "the end was reached");
}

#[test]
fn a_second_restart_while_catching_up_forgets_nothing() {
    let line = "x".repeat(9_999) + "\n";
    let mut bench = Bench::live("1\n");
    let cursor = bench.follow.cursor(bench.now);
    bench.append("log", line.repeat(100));
    bench.wait(100);
    bench.resume(cursor);
    bench.follow.look(bench.now);
    let Step::Lines(block, false) = bench.follow.read(bench.now, &mut Spare::default()) else {
        panic!("there is more")
    };
    bench.wait(100);
    bench.resume(block.end.clone());
    let blocks = bench.blocks();
    assert!(blocks.iter().all(|block| block.since == UnixTime::from_secs(1000) && block.live));
    let lines = blocks.iter().chain([&*block]).map(|block| block.lines().count()).sum::<usize>();
    assert_eq!(lines, 100);
    assert_eq!(blocks.last().unwrap().end.read_at, bench.now);
}

#[test]
fn a_restart_finds_what_was_rotated_meanwhile() {
    type Change = fn(&Bench);
    let changes: [(&str, Change, &str); 12] = [
        ("nothing", |_| {}, "2"),
        ("renamed", |bench| bench.rename("log", "log.1"), "2"),
        (
            "renamed, created",
            |bench| {
                bench.rename("log", "log.1");
                bench.write("log", "3\n");
            },
            "2,3",
        ),
        (
            "renamed three times, by number",
            |bench| {
                bench.rename("log", "log.3");
                bench.write("log.2", "3\n");
                bench.write("log.1", "4\n");
                bench.write("log.10", "older\n");
                bench.write("log.bak", "other\n");
                bench.write("log", "5\n");
            },
            "2,3,4,5",
        ),
        (
            "renamed, by date",
            |bench| {
                bench.rename("log", "log-20260101");
                bench.write("log-20260102", "3\n");
                bench.write("log-20251231", "older\n");
                bench.write("log", "4\n");
            },
            "2,3,4",
        ),
        (
            "copied and truncated",
            |bench| {
                fs::copy(bench.path("log"), bench.path("log.1")).unwrap();
                bench.write("log", "3\n");
            },
            "2,3",
        ),
        (
            "copied and truncated, and filled",
            |bench| {
                fs::copy(bench.path("log"), bench.path("log.1")).unwrap();
                bench.write("log", "3 is longer\n");
            },
            "2,3 is longer",
        ),
        (
            "replaced by a copy of itself",
            |bench| {
                fs::copy(bench.path("log"), bench.path("copy")).unwrap();
                bench.rename("copy", "log");
            },
            "2",
        ),
        (
            "packed",
            |bench| {
                bench.rename("log", "log.1.gz");
                bench.write("log", "3\n");
            },
            "3",
        ),
        (
            "deleted, created",
            |bench| {
                bench.remove("log");
                bench.write("log", "new\n");
            },
            "new",
        ),
        ("truncated", |bench| bench.write("log", ""), ""),
        ("deleted", |bench| bench.remove("log"), ""),
    ];
    for (name, change, expected) in changes {
        let mut bench = Bench::live("1\n");
        let cursor = bench.follow.cursor(bench.now);
        bench.append("log", "2\n");
        change(&bench);
        bench.wait(100);
        bench.resume(cursor);
        assert_eq!(bench.read(), expected, "{name}");
        bench.append("log", "and on\n");
        let block = bench.blocks().pop().unwrap();
        assert_eq!(block.lines().last().unwrap(), b"and on", "{name}");
        assert!(block.live, "{name}");
    }
}

#[test]
fn a_restart_reads_late_lines_of_the_file_before() {
    let mut bench = Bench::live("1\n");
    bench.rename("log", "log.1");
    bench.write("log", "2\n");
    let block = bench.blocks().pop().unwrap();
    bench.append("log.1", "late\n");
    bench.append("log", "3\n");
    bench.resume(block.end);
    assert_eq!(bench.read(), "late,3");
    bench.restart();
    assert_eq!(bench.read(), "");
}

#[test]
fn a_restart_before_the_file_comes_back() {
    let mut bench = Bench::live("1\n");
    bench.rename("log", "elsewhere");
    bench.restart();
    assert_eq!(bench.read(), "");
    assert_eq!(bench.follow.trouble(), Some(Trouble::Missing));
    bench.append("elsewhere", "2\n");
    bench.rename("elsewhere", "log");
    assert_eq!(bench.read(), "2");
}

#[test]
fn clones_go_on_by_themselves_until_they_meet() {
    let mut bench = Bench::live("1\n");
    bench.append("log", "2\n");
    let mut slow = bench.follow.clone();
    assert_eq!(bench.read(), "2");
    bench.rename("log", "log.1");
    bench.write("log", "3\n");
    assert_eq!(bench.read(), "3");
    assert!(!slow.same_place(&bench.follow));
    std::mem::swap(&mut slow, &mut bench.follow);
    assert_eq!(bench.read(), "2,3");
    assert!(bench.follow.same_place(&slow));
}
