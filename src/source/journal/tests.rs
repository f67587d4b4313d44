//! Readers of small journals that the tests write themselves: all forms, growth at the worst moment, damage.

mod writer;

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::source::tail::Step;
use crate::source::{Cursor, LINE_CAP};
use crate::time::UnixTime;
use std::time::Duration;
use writer::{Form, Stamp, Writer};

const MACHINE: &str = "0123456789abcdef0123456789abcdef";
const BEGIN: u64 = 1_795_000_000_000_000;
const FORMS: [Form; 5] = [
    Form { compact: false, keyed: false, packing: 0 },
    Form { compact: false, keyed: true, packing: 2 },
    Form { compact: true, keyed: true, packing: 4 },
    Form { compact: true, keyed: false, packing: 0 },
    Form { compact: false, keyed: false, packing: 4 },
];

/// A folder of journal files, a reader and a clock that is moved by hand.
struct Bench {
    dir: tempfile::TempDir,
    reader: Option<JournalReader>,
    matches: Matches,
    shelf: Shelf,
    now: UnixTime,
    cursor: Option<Cursor>,
}

impl Bench {
    fn new(matches: &str) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            reader: None,
            matches: Matches::parse(&[matches.to_owned()]).unwrap(),
            shelf: Shelf::default(),
            now: UnixTime::from_micros(BEGIN as i64),
            cursor: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn save(&self, name: &str, writer: &Writer) {
        use std::io::Write as _;
        let path = self.path(name);
        // In place, as a journal is written.
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
        file.unwrap().write_all(&writer.bytes).unwrap();
    }

    fn begin(&mut self, start: Start) {
        let options = JournalOptions {
            matches: self.matches.clone(),
            path: Some(self.dir.path().into()),
            start,
            ..JournalOptions::default()
        };
        let begin = self.cursor.clone().map_or(Begin::First, |cursor| {
            let saved = serde_json::to_string(&cursor).unwrap();
            Begin::Saved(serde_json::from_str(&saved).unwrap())
        });
        let hour = Duration::from_secs(3600);
        self.reader = Some(JournalReader::open(options, begin, hour, self.shelf.clone(), self.now));
    }

    /// All lines by now; those that were not written while the journal was read are in brackets.
    fn read(&mut self) -> Vec<String> {
        self.now = self.now + Duration::from_secs(3);
        let reader = self.reader.as_mut().unwrap();
        reader.look(self.now);
        let mut lines = Vec::new();
        for _ in 0..100_000 {
            match reader.read(self.now) {
                Step::Lines(block, _) => {
                    assert_eq!(block.lines().count(), block.times.len());
                    let text = block.lines().map(|line| String::from_utf8_lossy(line).into_owned());
                    lines.extend(text.map(|line| if block.live { line } else { format!("({line})") }));
                    self.cursor = Some(block.end);
                }
                Step::Inside => {}
                Step::End => return lines,
            }
        }
        panic!("it does not end");
    }

    fn trouble(&self) -> Option<String> {
        self.reader.as_ref().unwrap().trouble()
    }
}

fn stamp(seqnum: u64) -> Stamp {
    Stamp { seqnum, realtime: BEGIN + seqnum, monotonic: seqnum, boot: 1 }
}

fn values(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|value| value.as_bytes().to_vec()).collect()
}

fn message(number: u64) -> String {
    format!("MESSAGE=m{number}")
}

#[test]
fn values_are_found_in_every_form() {
    for form in FORMS {
        let mut bench = Bench::new("_COMM=a _UID=0 + _COMM=b");
        let mut writer = Writer::new(form, 9, 9);
        let long = "x".repeat(1000);
        for number in 1..200 {
            let command = ["_COMM=a", "_COMM=b", "_COMM=c"][number as usize % 3];
            let uid = ["_UID=0", "_UID=1"][number as usize % 2];
            let text = format!("{} {long}", message(number));
            writer.entry(stamp(number), &values(&[command, uid, &text]));
        }
        bench.save("system.journal", &writer);
        bench.begin(Start::Beginning);
        let wanted = (1..200).filter(|number| number % 3 == 1 || (number % 3 == 0 && number % 2 == 0));
        let name = |number: u64| if number.is_multiple_of(3) { "a" } else { "b" };
        let expected: Vec<_> = wanted.map(|number| format!("({}: m{number} {long})", name(number))).collect();
        assert_eq!(bench.read(), expected, "{form:?}");
    }
}

#[test]
fn an_entry_that_is_not_linked_yet_is_neither_missed_nor_read_twice() {
    for matches in ["_COMM=a", "_COMM=a + _COMM=b", ""] {
        let mut bench = Bench::new(matches);
        let mut writer = Writer::new(FORMS[2], 9, 9);
        writer.entry(stamp(1), &values(&["_COMM=a", &message(1)]));
        bench.save("system.journal", &writer);
        bench.begin(Start::Beginning);
        assert_eq!(bench.read(), ["(a: m1)"]);
        let (entry, linked) = writer.visible(stamp(2), &values(&["_COMM=a", &message(2)]));
        bench.save("system.journal", &writer);
        assert_eq!(bench.read(), ["a: m2"], "{matches:?}");
        writer.link(entry, &linked);
        bench.save("system.journal", &writer);
        assert_eq!(bench.read(), [""; 0]);
        let _ = writer.visible(stamp(3), &values(&["_COMM=z", &message(3)]));
        bench.save("system.journal", &writer);
        let everything = matches.is_empty();
        assert_eq!(bench.read(), if everything { vec!["z: m3"] } else { vec![] });
    }
}

#[test]
fn reading_begins_where_it_is_told_to() {
    let mut writer = Writer::new(FORMS[0], 9, 9);
    let hour = 3_600_000_000;
    for (number, ago) in [(1, 2 * hour), (2, hour + 1), (3, hour - 1), (4, 0)] {
        let stamp = Stamp { realtime: BEGIN - ago, ..stamp(number) };
        writer.entry(stamp, &values(&["_COMM=a", &message(number)]));
    }
    for (start, expected) in [
        (Start::Beginning, "(a: m1) (a: m2) (a: m3) (a: m4)"),
        (Start::FindTime, "(a: m3) (a: m4)"),
        (Start::End, ""),
    ] {
        let mut bench = Bench::new("_COMM=a");
        bench.save("system.journal", &writer);
        bench.begin(start);
        assert_eq!(bench.read().join(" "), expected);
        let mut more = Writer::new(FORMS[0], 10, 9);
        more.entry(stamp(5), &values(&["_COMM=a", &message(5)]));
        // Rotated, and a line is there when the new file is first seen: it was written meanwhile.
        fs::rename(bench.path("system.journal"), bench.path("system@1.journal")).unwrap();
        bench.save("system.journal", &more);
        assert_eq!(bench.read(), ["a: m5"], "{start:?}");
        bench.begin(start);
        assert_eq!(bench.read(), [""; 0], "nothing twice after a restart");
    }
}

#[test]
fn a_file_of_another_time_is_no_news() {
    let mut bench = Bench::new("_COMM=a");
    let mut writer = Writer::new(FORMS[0], 9, 9);
    writer.entry(stamp(1), &values(&["_COMM=a", &message(1)]));
    bench.save("system.journal", &writer);
    bench.begin(Start::Beginning);
    assert_eq!(bench.read(), ["(a: m1)"]);
    let mut other = Writer::new(FORMS[0], 20, 20);
    for (number, ago) in [(1, 9_000_000_000), (2, 60_000_000)] {
        let stamp = Stamp { realtime: BEGIN - ago, boot: 2, ..stamp(number) };
        other.entry(stamp, &values(&["_COMM=a", &format!("MESSAGE=old{number}")]));
    }
    bench.save("copied.journal", &other);
    assert_eq!(
        bench.read(),
        ["(a: old2)"],
        "as at the first start: not older than the find time, and not live"
    );
    other.entry(Stamp { boot: 2, ..stamp(3) }, &values(&["_COMM=a", "MESSAGE=new"]));
    bench.save("copied.journal", &other);
    assert_eq!(bench.read(), ["a: new"]);
}

#[test]
fn what_journald_copies_from_memory_to_disk_is_not_read_twice() {
    for restart in [false, true] {
        let mut bench = Bench::new("_COMM=a");
        let mut volatile = Writer::new(FORMS[0], 9, 9);
        for number in 1..4 {
            volatile.entry(stamp(number), &values(&["_COMM=a", &message(number)]));
        }
        // The roots cannot be told apart below one folder, so the reader is told which is in memory.
        let in_memory = format!("run/{MACHINE}/system.journal");
        bench.save(&in_memory, &volatile);
        bench.save(&format!("var/{MACHINE}/system.journal"), &Writer::new(FORMS[0], 10, 10));
        let roots = folders::Roots {
            persistent: bench.dir.path().join("var"),
            volatile: bench.dir.path().join("run"),
        };
        let open = |bench: &mut Bench| {
            let options = JournalOptions {
                matches: bench.matches.clone(),
                start: Start::Beginning,
                ..Default::default()
            };
            let begin = bench.cursor.clone().map_or(Begin::First, Begin::Saved);
            let hour = Duration::from_secs(3600);
            let shelf = bench.shelf.clone();
            bench.reader = Some(JournalReader::below(roots.clone(), options, begin, hour, shelf, bench.now));
        };
        open(&mut bench);
        assert_eq!(bench.read(), ["(a: m1)", "(a: m2)", "(a: m3)"]);
        let mut persistent = Writer::new(FORMS[0], 10, 10);
        for number in 1..4 {
            let stamp = Stamp { seqnum: number + 100, ..stamp(number) };
            persistent.entry(stamp, &values(&["_COMM=a", &message(number)]));
        }
        persistent.entry(Stamp { seqnum: 104, ..stamp(4) }, &values(&["_COMM=a", &message(4)]));
        bench.save(&format!("var/{MACHINE}/system.journal"), &persistent);
        fs::remove_file(bench.path(&in_memory)).unwrap();
        if restart {
            open(&mut bench);
        }
        assert_eq!(bench.read(), [if restart { "(a: m4)" } else { "a: m4" }]);
    }
}

#[test]
fn what_cannot_be_read_costs_itself_and_is_said() {
    let mut bench = Bench::new("");
    bench.begin(Start::Beginning);
    assert!(bench.trouble().unwrap().starts_with("waiting for a journal in "), "{:?}", bench.trouble());
    let mut writer = Writer::new(FORMS[0], 9, 9);
    writer.entry(stamp(1), &values(&["_COMM=a", &message(1)]));
    bench.save("system.journal", &writer);
    fs::write(bench.path("text.journal"), "no journal at all, but as long as a header is. ".repeat(10))
        .unwrap();
    fs::write(bench.path("empty.journal"), "").unwrap();
    assert_eq!(bench.read(), ["(a: m1)"]);
    assert_eq!(bench.trouble(), None, "it may be new: it is tried again first");
    bench.read();
    let trouble = bench.trouble().unwrap();
    assert_eq!(trouble.matches(": not a journal file").count(), 2, "{trouble}");
    fs::remove_file(bench.path("text.journal")).unwrap();
    writer.entry(stamp(2), &values(&["_COMM=a", &message(2)]));
    bench.save("system.journal", &writer);
    bench.save("empty.journal", &Writer::new(FORMS[1], 10, 10));
    assert_eq!(bench.read(), ["a: m2"]);
    assert_eq!(bench.trouble(), None);
}

#[test]
fn a_long_message_is_cut_in_every_form() {
    for form in FORMS {
        let mut bench = Bench::new("");
        let mut writer = Writer::new(form, 9, 9);
        writer.entry(stamp(1), &values(&["_COMM=a", &format!("MESSAGE={}", "long ".repeat(20_000))]));
        bench.save("system.journal", &writer);
        bench.begin(Start::Beginning);
        let lines = bench.read();
        assert_eq!(lines[0].len(), LINE_CAP + 2, "{form:?}");
        assert_eq!(bench.reader.as_ref().unwrap().cut(), 1);
    }
}

/// A small journal: some values in common, two arrays deep at least.
fn small(form: Form) -> Writer {
    let mut writer = Writer::new(form, 9, 9);
    for number in 1..40 {
        let command = ["_COMM=a", "_COMM=b"][number as usize % 2];
        let long = if number % 7 == 0 { "y".repeat(200) } else { String::new() };
        writer.entry(stamp(number), &values(&[command, "_UID=0", &format!("{}{long}", message(number))]));
    }
    writer
}

proptest! {
    /// However a file is made: no panic, an end, and the entries of another file all the same.
    #[test]
    fn damage_is_survived(
        form in 0..FORMS.len(),
        flips in prop::collection::vec((0_usize..12_000, any::<u8>()), 1..12),
        cut in prop::option::of(0_usize..12_000),
        all in any::<bool>(),
    ) {
        let mut bench = Bench::new(if all { "" } else { "_COMM=a _UID=0 + _COMM=b" });
        let mut damaged = small(FORMS[form]);
        let length = damaged.bytes.len();
        for (at, byte) in flips {
            damaged.bytes[at % length] = byte;
        }
        if let Some(cut) = cut {
            damaged.bytes.truncate(cut % length);
        }
        bench.save("damaged.journal", &damaged);
        let mut good = Writer::new(FORMS[0], 77, 77);
        for number in 1..20 {
            good.entry(stamp(number), &values(&["_COMM=a", "_UID=0", &format!("MESSAGE=good{number}")]));
        }
        bench.save("good.journal", &good);
        bench.begin(Start::Beginning);
        let mut lines = bench.read();
        lines.extend(bench.read());
        // (Unless the damage says that it is for journalctl to read.)
        if bench.reader.as_ref().unwrap().child.is_none() {
            let good: Vec<_> = lines.iter().filter(|line| line.contains("good")).collect();
            prop_assert_eq!(good.len(), 19);
        }
    }

    /// Whatever is written, rotated and restarted in which order: each wanted entry once, in order.
    #[test]
    fn nothing_is_lost_and_nothing_read_twice(
        form in 0..FORMS.len(),
        steps in prop::collection::vec((0_u8..6, 0_u64..9), 1..40),
        matches in 0_usize..3,
    ) {
        let mut bench = Bench::new(["", "_COMM=a", "_COMM=a _UID=1 + _COMM=b"][matches]);
        let mut writer = Writer::new(FORMS[form], 1000, 9);
        let (mut seqnum, mut files) = (0, 0);
        let (mut got, mut expected) = (Vec::new(), Vec::new());
        bench.save("system.journal", &writer);
        bench.begin(Start::Beginning);
        for (step, count) in steps {
            match step {
                0 | 1 => {
                    for _ in 0..count {
                        seqnum += 1;
                        let command = ["_COMM=a", "_COMM=b", "_COMM=c"][(seqnum * 7 / 3 % 3) as usize];
                        let uid = ["_UID=0", "_UID=1"][(seqnum / 2 % 2) as usize];
                        writer.entry(stamp(seqnum), &values(&[command, uid, &message(seqnum)]));
                        let wanted = match matches {
                            0 => true,
                            1 => command == "_COMM=a",
                            _ => command == "_COMM=b" || (command == "_COMM=a" && uid == "_UID=1"),
                        };
                        if wanted {
                            expected.push(format!("{}: m{seqnum}", &command[6..]));
                        }
                    }
                    bench.save("system.journal", &writer);
                }
                2 => {
                    files += 1;
                    writer.archive();
                    bench.save("system.journal", &writer);
                    fs::rename(bench.path("system.journal"), bench.path(&format!("system@{files}.journal"))).unwrap();
                    writer = Writer::new(FORMS[form], 1000 + u128::from(files as u64), 9);
                    bench.save("system.journal", &writer);
                }
                3 => bench.begin(Start::Beginning),
                _ => got.extend(bench.read()),
            }
        }
        got.extend(bench.read());
        let plain: Vec<_> = got.iter().map(|line| line.trim_matches(['(', ')']).to_owned()).collect();
        prop_assert_eq!(plain, expected);
    }

    /// A writer with two files of one numbering and another one beside it, read at any moment: each entry once, those of
    /// one writer in order.
    #[test]
    fn files_of_several_writers_are_merged(
        steps in prop::collection::vec((0_u8..5, 0_usize..3), 1..60),
    ) {
        let mut bench = Bench::new("_COMM=a");
        // The first two share stream 9, as journald's system and user files do.
        let mut files = [(11, 9), (12, 9), (13, 13)].map(|(id, stream)| Writer::new(FORMS[0], id, stream));
        let names = ["system.journal", "user-1000.journal", "other.journal"];
        let (mut clock, mut seqnums) = (0, [0, 0]);
        let (mut got, mut expected) = (Vec::new(), [Vec::new(), Vec::new()]);
        bench.begin(Start::Beginning);
        for (step, which) in steps {
            match step {
                0..3 => {
                    clock += 1;
                    let stream = which / 2;
                    seqnums[stream] += 1;
                    let text = format!("MESSAGE=s{stream}-{}", seqnums[stream]);
                    let command = if clock % 5 == 0 { "_COMM=b" } else { "_COMM=a" };
                    let stamp = Stamp { seqnum: seqnums[stream], ..stamp(clock) };
                    files[which].entry(stamp, &values(&[command, &text]));
                    bench.save(names[which], &files[which]);
                    if command == "_COMM=a" {
                        expected[stream].push(text.replace("MESSAGE=", "a: "));
                    }
                }
                3 => bench.begin(Start::Beginning),
                _ => got.extend(bench.read()),
            }
        }
        got.extend(bench.read());
        let of = |stream: usize| -> Vec<_> {
            let plain = got.iter().map(|line| line.trim_matches(['(', ')']).to_owned());
            plain.filter(|line| line.contains(&format!("s{stream}-"))).collect()
        };
        prop_assert_eq!(of(0), expected[0].clone());
        prop_assert_eq!(of(1), expected[1].clone());
    }
}
