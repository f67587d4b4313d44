//! What holds for all lines: blocks, restarts and bytes of any kind change nothing.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::filter::hits::{Hits, Told, What};
use crate::filter::tests::cases;
use crate::filter::{Lines, Tries, Union, Wanted, line_ends};

/// Pieces that lines of a log with dates, connections and lines that belong together are made of.
pub(in crate::filter::fail2ban) fn lines() -> impl Strategy<Value = Vec<String>> {
    let date = prop::sample::select(vec![
        "Jan  2 03:04:05 ",
        "Jan  2 03:04:00 ",
        "2026-01-02 03:03:59 ",
        "02/Jan/2026:03:04:01 +0000 ",
        "Feb 30 01:01:01 ",
        "[2026-01-02T03:04:02] ",
        "1767323044 ",
        "",
        "- ",
    ]);
    let head = prop::sample::select(vec!["h c1: ", "h c2: ", "", "c1 2026-01-02 03:04:03 "]);
    let rest = prop::sample::select(vec![
        "try a 192.0.2.1",
        "try b 192.0.2.1",
        "fail a",
        "fail a 192.0.2.2",
        "in a 192.0.2.1",
        "out",
        "start x",
        "end x 192.0.2.3",
        "end y 192.0.2.3",
        "noise",
        "fail \u{e9} host.invalid",
        "",
    ]);
    let end = prop::sample::select(vec!["", "\r", " "]);
    // Dates come in runs.
    let again = prop::option::weighted(0.6, Just(()));
    let lines = prop::collection::vec((again, date, head, rest, end), 0..30);
    (any::<bool>(), lines).prop_map(|(are_alike, lines)| {
        let mut last = "";
        let line = |(again, date, head, rest, end): (Option<()>, &'static str, _, _, _)| {
            // So are most of a log.
            let alike = ["Jan  2 03:04:05 ", "", "Jan  2 03:04:06 "];
            let date = if are_alike { alike[date.len() % 3] } else { date };
            last = if again.is_some() { last } else { date };
            [last, head, rest, end].concat()
        };
        lines.into_iter().map(line).collect()
    })
}

/// One that knows connections, the same with a supplement of either dialect, and one that knows windows.
fn all_filters() -> Vec<Filter> {
    let connected = options(
        Some(r"^<F-MLFID>\s*h c\d: </F-MLFID><F-CONTENT>.+</F-CONTENT>$"),
        &[
            r"^<F-NOFAIL>try</F-NOFAIL> <F-USER>\w*</F-USER> <HOST>\s*$",
            r"^fail <F-USER>\w*</F-USER>(?: <HOST>)?\s*$",
            r"^<F-MLFGAINED>in</F-MLFGAINED> <F-USER>\w*</F-USER> <HOST>\s*$",
            r"^<F-NOFAIL><F-MLFFORGET>out</F-MLFFORGET></F-NOFAIL>\s*$",
        ],
        &[],
        Fail2Ban::default(),
    );
    let first = options(None, &[r"^\s*h c2: (?:end|start) . <HOST>(?:, .+)?\s*$"], &[], Fail2Ban::default());
    let native = FilterOptions { fail2ban: None, ..first.clone() };
    let supplemented = |first| FilterOptions { supplement: Some(Box::new(first)), ..connected.clone() };
    let compiled = |options| Filter::with_zone(options, Zone::utc()).unwrap();
    let patterns = [r"start (?P<x>\w+)\s*<SKIPLINES>.*end (?P=x) <HOST>", "fail a <HOST>"];
    vec![
        compiled(&connected),
        compiled(&supplemented(first)),
        compiled(&supplemented(native)),
        dated(None, &patterns, &["b"], spanning(4)),
    ]
}

/// Compiled once for all cases, for that takes longer than all lines; a state that is none begins anew.
fn all_cases(
    count: u32,
    mut check: impl FnMut(&mut Filter, &mut Filter, &[String]) -> Result<(), TestCaseError>,
) {
    let mut pairs: Vec<_> = all_filters().into_iter().zip(all_filters()).collect();
    let pairs = std::cell::RefCell::new(&mut pairs);
    let check = std::cell::RefCell::new(&mut check);
    let mut runner = TestRunner::new(cases(count));
    let run = |lines: Vec<String>| {
        for (one, other) in pairs.borrow_mut().iter_mut() {
            one.restore(b"");
            other.restore(b"");
            (check.borrow_mut())(one, other, &lines)?;
        }
        Ok(())
    };
    runner.run(&lines(), run).unwrap();
}

/// A block gives what its lines give one by one, to a filter without literals, over-approximations and plans; where only
/// what counts is wanted, at least that.
#[test]
fn blocks_are_judged_as_their_lines() {
    let counts = |outcome: &Outcome| matches!(outcome, Outcome::Failure(_) | Outcome::Undecided);
    let other = dated(None, &["^noise <HOST>", "^out <HOST>"], &[], Fail2Ban::default()).scanner().unwrap();
    let mut union = Union::default();
    all_cases(400, |patient, quick, lines| {
        let at = reading(0, lines.len() % 2 == 0);
        let wanted = if lines.len() % 3 == 0 { Wanted::Everything } else { Wanted::Failures };
        patient.scan = None;
        patient.patterns().literals = None;
        patient.patterns().first.gate = crate::filter::prefilter::Gate::default();
        if let crate::filter::Judge::Fail2Ban(judge) = &mut patient.judge {
            judge.plans = Plans::default();
        }
        let lines_ended = lines.iter().map(|line| line.strip_suffix('\r').unwrap_or(line));
        let judged = lines_ended.map(|line| patient.line(line.as_bytes(), &at));
        let mut want: Vec<_> = judged.filter(|outcome| *outcome != Outcome::Nothing).collect();
        let mut got = Vec::new();
        for lines in lines.chunks(7) {
            let block = lines.join("\n") + "\n";
            let mut ends = Vec::new();
            line_ends(block.as_bytes(), &mut ends);
            let text = block.as_bytes();
            let hits = quick.scanner().and_then(|mut scanner| match lines[0].len() % 4 {
                0 => None,
                1 => Some(scanner.scan(text, &ends)),
                2 => {
                    quick.scan.iter().for_each(|scan| scan.choose(text));
                    Some(scanner.scan(text, &ends))
                }
                _ => union.scan(&[&other, &scanner], text, &ends).pop(),
            });
            let lines = Lines { text: block.as_bytes(), ends: &ends, times: &[], hits: hits.as_ref() };
            quick.block(lines, &at, wanted, &mut |_, outcome| got.push(outcome));
        }
        if wanted == Wanted::Failures {
            want.retain(counts);
            got.retain(counts);
        }
        prop_assert_eq!(got, want);
        prop_assert_eq!(quick.state(), patient.state());
        Ok(())
    });
}

/// The end of a line's content is no part of the line, where that goes on behind it.
#[test]
fn what_a_group_captures_is_of_the_content() {
    let options = options(
        Some(r"^\s*p <F-CONTENT>.+</F-CONTENT> end$"),
        &[r"^fail <HOST><F-USER>\s*</F-USER>$"],
        &[],
        Fail2Ban::default(),
    );
    let mut filter = Filter::with_zone(&options, Zone::utc()).unwrap();
    let Outcome::Failure(failure) = filter.line(b"Jan  2 03:04:05 p fail 192.0.2.1 end", &reading(0, true))
    else {
        panic!("it is a failure")
    };
    let user = failure.data.iter().find(|(name, _)| &**name == "user");
    assert_eq!(user.map(|(_, user)| &**user), Some("\n"));
}

/// Lines that begin as one which only the supplement has judged have another date than the filter saw last.
#[test]
fn a_line_that_the_supplement_knows_is_none_that_the_filter_has_seen() {
    for index in [1, 2] {
        let (mut quick, mut patient) = (all_filters().swap_remove(index), all_filters().swap_remove(index));
        patient.scan = None;
        let block = |lines: [&str; 4]| {
            lines.map(|line| format!("Jan  2 03:04:0{line}, and all is well today\n")).concat()
        };
        for block in [
            block(["1 h a", "1 h b", "1 h c", "1 h d"]),
            block(["2 h a", "2 h b", "3 h c2: end x 192.0.2.3", "3 h c"]),
        ] {
            let (mut ends, at) = (Vec::new(), reading(0, true));
            line_ends(block.as_bytes(), &mut ends);
            let hits = quick.scanner().map(|mut scanner| scanner.scan(block.as_bytes(), &ends));
            let lines = Lines { text: block.as_bytes(), ends: &ends, times: &[], hits: hits.as_ref() };
            let mut count = 0;
            quick.block(lines, &at, Wanted::Failures, &mut |_, _| count += 1);
            block
                .lines()
                .for_each(|line| count -= i32::from(patient.line(line.as_bytes(), &at) != Outcome::Nothing));
            assert_eq!(count, 0);
        }
        assert_eq!(quick.state(), patient.state());
    }
}

/// Once the dates of lines are known, another thread tells what the patterns say, and it is used.
#[test]
fn a_scanner_tells_what_the_patterns_say() {
    let mut filter = all_filters().swap_remove(0);
    let line = |rest: &str| format!("Jan  2 03:04:05 h c1: {rest}\n");
    let block =
        [line("fail a 192.0.2.2"), line("noise"), line("out"), line("fail ;"), "Jan out\n".to_owned()];
    let block = block.concat();
    let mut ends = Vec::new();
    line_ends(block.as_bytes(), &mut ends);
    let mut scanner = filter.scanner().unwrap();
    let what = |hits: &Hits| {
        let one = |(line, told): (usize, Option<Told<'_>>)| match told.map(|told| (told.session, told.what)) {
            None => format!("{line}?"),
            Some((session, What::Quiet(_))) => format!("{line} quiet {session:?}"),
            Some((_, What::No)) => format!("{line} no"),
            Some((session, What::By { content, pattern, places })) => {
                format!("{line} by {pattern} at {content} {session:?} {places:?}")
            }
        };
        hits.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let hits = scanner.scan(block.as_bytes(), &ends);
    assert_eq!(what(&hits), "0?, 2?, 3?, 4?", "no date is known");
    let mut judge = |hits: &Hits| {
        let mut got = Vec::new();
        let lines = Lines { text: block.as_bytes(), ends: &ends, times: &[], hits: Some(hits) };
        filter.block(lines, &reading(0, true), Wanted::Failures, &mut |_, outcome| got.push(said(&outcome)));
        got
    };
    let want = judge(&hits);
    let hits = scanner.scan(block.as_bytes(), &ends);
    let gone = u32::MAX;
    let by = format!("0 by 1 at 7 Some(7) [(5, 6), (7, 16), ({gone}, {gone}), ({gone}, {gone})]");
    assert_eq!(what(&hits), by + ", 2 quiet Some(7), 3 no, 4?", "the last one is too short for a date");
    assert_eq!(judge(&hits), want);
}

/// Behind a restart lines mean what they would have meant without it.
#[test]
fn a_restart_changes_no_verdict() {
    all_cases(200, |steady, restarted, lines| {
        for (index, line) in lines.iter().enumerate() {
            if index % 5 == 0 {
                let state = restarted.state();
                restarted.restore(b"");
                restarted.line(b"2026-01-02 03:04:05 h c1: fail z", &reading(0, true));
                restarted.restore(&state);
            }
            let at = reading(0, true);
            prop_assert_eq!(
                restarted.line(line.as_bytes(), &at),
                steady.line(line.as_bytes(), &at),
                "{}",
                line
            );
        }
        Ok(())
    });
}

#[test]
fn no_line_makes_it_panic() {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let filters = std::cell::RefCell::new(all_filters());
    let mut runner = TestRunner::new(cases(200));
    let run = |(line, state): (Vec<u8>, Vec<u8>)| {
        for filter in filters.borrow_mut().iter_mut() {
            filter.restore(&state);
            filter.block((&line[..]).into(), &reading(0, true), Wanted::Failures, &mut |_, _| {});
            filter.examine(&line, None, NOW);
        }
        Ok(())
    };
    runner.run(&(bytes(), bytes()), run).unwrap();
}

/// What `fail2ban-regex -o` tells is what the daemon counts.
#[test]
fn a_trial_finds_the_failures_that_the_daemon_finds() {
    all_cases(200, |judged, tried, lines| {
        for line in lines {
            let (outcome, _) = judged.examine(line.as_bytes(), None, NOW);
            let trial = tried.try_line(line.as_bytes(), None, NOW, Tries::Failures);
            let want = match outcome {
                Outcome::Failure(failure) => {
                    let lines: Vec<String> = failure.lines.iter().map(ToString::to_string).collect();
                    Some((failure.pattern, Some(failure.id), lines))
                }
                _ => None,
            };
            let got = trial.hits.into_iter().next().map(|hit| {
                let lines: Vec<String> =
                    hit.data.lines().iter().map(|entry| entry.line.to_string()).collect();
                (hit.pattern, hit.id, lines)
            });
            // The daemon keeps the last lines of a connection only.
            let lines = |found: &Option<(usize, Option<Id>, Vec<String>)>| {
                found.as_ref().map(|(pattern, id, lines)| {
                    (*pattern, id.clone(), lines[lines.len().saturating_sub(20)..].to_vec())
                })
            };
            prop_assert_eq!(lines(&got), lines(&want), "{}", line);
        }
        Ok(())
    });
}
