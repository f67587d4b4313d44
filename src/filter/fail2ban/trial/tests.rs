//! Lines that are tried in blocks, by whomever, are tried as they are one by one.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::super::tests::laws::lines;
use super::super::tests::{NOW, options};
use super::*;
use crate::filter::date::Zone;
use crate::filter::{Fail2Ban, Filter, FilterOptions, Outcome};

/// What comes of lines: those between the ones that are told, then a trial.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Plain(Vec<String>, usize, Option<bool>),
    Told(String, Trial),
}

/// A filter, whole and in stages, with one more who tries its patterns.
struct Pair {
    whole: Filter,
    stages: Stages,
    other: Looker,
    tries: Tries,
    tells_ids: bool,
}

impl Pair {
    fn new(options: &FilterOptions, (tries, tells_ids): (Tries, bool)) -> Self {
        let compiled = || Filter::for_replay(options, Zone::utc(), 2026).unwrap();
        let mut stages = compiled().into_stages(NOW, tries).unwrap();
        if !tells_ids {
            stages.settler.leave_out_ids();
        }
        let other = stages.looker.twin();
        Self { whole: compiled(), stages, other, tries, tells_ids }
    }

    fn begin(&mut self) {
        self.whole.restore(b"");
        self.stages.dater.begin();
        self.stages.settler.begin();
    }

    /// Line by line.
    fn want(&mut self, text: &str) -> Vec<Said> {
        let mut said = Vec::new();
        for line in text.split_terminator('\n').map(|line| line.trim_end_matches('\r')) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut trial = self.whole.try_line(line.as_bytes(), None, NOW, self.tries);
            if let PrefixSays::Yes(groups) = &mut trial.prefix {
                groups.clear();
            }
            told(&mut said, line, trial, self.tries, self.tells_ids);
        }
        said
    }

    /// In blocks of so many bytes, up to the next line end.
    fn got(&mut self, text: &str, bytes: usize) -> Vec<Said> {
        let mut said = Vec::new();
        let Self { tries, tells_ids, .. } = *self;
        let of_block = |said: &mut Vec<Said>, line: &str, trial| told(said, line, trial, tries, tells_ids);
        let (mut sheet, mut looks) = (Sheet::default(), Looks::default());
        for (turn, block) in blocks(text, bytes).enumerate() {
            self.stages.dater.splitter().split(block.into(), &mut sheet);
            self.stages.dater.date(&mut sheet);
            if turn % 2 == 0 { &mut self.stages.looker } else { &mut self.other }.look(&sheet, &mut looks);
            let settled = self.stages.settler.settle(&sheet, &looks, |settled| {
                match settled {
                    Settled::Plain { lines, prefix } => {
                        let lines = lines.map(|line| sheet.line(line).to_owned()).collect();
                        plain(&mut said, lines, prefix.yes, prefix.last);
                    }
                    Settled::Told { line, trial } => {
                        of_block(&mut said, sheet.line(line), trial.clone());
                    }
                }
                Ok::<_, ()>(())
            });
            settled.unwrap();
        }
        said
    }
}

/// A line, if there is something to tell of it; what was captured is told of failures only.
fn told(said: &mut Vec<Said>, line: &str, mut trial: Trial, tries: Tries, tells_ids: bool) {
    if trial.hits.is_empty() && trial.ignored.is_empty() && !trial.undecided {
        let says = match &trial.prefix {
            PrefixSays::Nothing => None,
            PrefixSays::No => Some(false),
            PrefixSays::Yes(_) => Some(true),
        };
        return plain(said, vec![line.to_owned()], usize::from(says == Some(true)), says);
    }
    if tries != Tries::Failures {
        trial.hits.iter_mut().for_each(|hit| hit.data = Data::default());
    }
    if !tells_ids {
        trial.hits.iter_mut().filter(|hit| !hit.is_name).for_each(|hit| hit.id = None);
    }
    said.push(Said::Told(line.to_owned(), trial));
}

/// Lines that nothing is told of are put together, however they came.
fn plain(said: &mut Vec<Said>, mut lines: Vec<String>, yes: usize, last: Option<bool>) {
    if lines.is_empty() {
        return;
    }
    match said.last_mut() {
        Some(Said::Plain(known, count, says)) => {
            known.append(&mut lines);
            *count += yes;
            *says = last.or(*says);
        }
        _ => said.push(Said::Plain(lines, yes, last)),
    }
}

fn all_options() -> Vec<FilterOptions> {
    let head = |head: &str| format!("^{head}<F-CONTENT>.+</F-CONTENT>$");
    let patterns = [
        r"^<F-NOFAIL>try</F-NOFAIL> <F-USER>\w*</F-USER> <HOST>\s*$",
        r"^fail <F-USER>\w*</F-USER>(?: <HOST>)?\s*$",
        r"^<F-MLFGAINED>in</F-MLFGAINED> <F-USER>\w*</F-USER> <HOST>\s*$",
        r"^<F-NOFAIL><F-MLFFORGET>out</F-MLFFORGET></F-NOFAIL>\s*$",
        r"^end <F-ALT_USER>\w</F-ALT_USER> <HOST>",
        r"^(?:fail|end) . <F-ID>\S+</F-ID>$",
    ];
    let named: Vec<&str> = patterns.into_iter().filter(|pattern| !pattern.contains("out")).collect();
    let own = Fail2Ban::default;
    let connected = head(r"<F-MLFID>\s*h c\d: </F-MLFID>");
    vec![
        options(Some(&connected), &patterns, &[], own()),
        options(Some(&head(r"(?:<F-MLFID>\s*h c\d: </F-MLFID>)?")), &patterns, &["a$"], own()),
        options(Some(&head(r"(?:\s*(?:h )?c\d: )?")), &named, &["noise", "192.0.2.2"], own()),
        options(Some(&head(r".*: (?:noise )?")), &[r"a <HOST>", "fail . <HOST>"], &[], own()),
        options(None, &["(?:try|end) . <HOST>", "fail .* (?:<HOST>|x)", "^[^f]*<HOST>"], &["try b"], own()),
        options(None, &["[a-z] <HOST>"], &[], Fail2Ban { date_pattern: Some("{NONE}".to_owned()), ..own() }),
    ]
}

#[test]
fn blocks_are_tried_as_their_lines() {
    let tries = [(Tries::All, true), (Tries::First, true), (Tries::Failures, true), (Tries::All, false)];
    let pairs = all_options().into_iter().flat_map(|options| tries.map(|tries| Pair::new(&options, tries)));
    let pairs = RefCell::new(pairs.collect::<Vec<_>>());
    let text = prop::collection::vec(
        prop_oneof![4 => lines(), 1 => Just(vec!["# try a 192.0.2.1".to_owned()])],
        0..4,
    );
    let text =
        text.prop_map(|parts| parts.concat().iter().map(|line| line.clone() + "\n").collect::<String>());
    let run = |(text, bytes): (String, usize)| {
        for pair in pairs.borrow_mut().iter_mut() {
            pair.begin();
            let (want, got) = (pair.want(&text), pair.got(&text, bytes));
            prop_assert_eq!(got, want);
            let templates = pair.stages.dater.date_templates();
            prop_assert_eq!(format!("{templates:?}"), format!("{:?}", pair.whole.date_templates()));
        }
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(150)).run(&(text, 1..400_usize), run).unwrap();
}

/// All lines of a log, as the daemon judges them when it reads it for the first time.
#[test]
fn blocks_are_judged_as_their_lines_by_several() {
    let own = || Fail2Ban { date_pattern: None, ..Fail2Ban::default() };
    let undated = options(None, &["fail . <HOST>", "a <HOST>", "b <HOST>"], &["try a"], own());
    let several = all_options().into_iter().chain([undated]).map(|options| {
        let compiled = || Filter::with_zone(&options, Zone::utc()).unwrap();
        let judging = compiled().into_judging(NOW).unwrap();
        let other = judging.looker.twin();
        (compiled(), judging, other)
    });
    let several = RefCell::new(several.collect::<Vec<_>>());
    let text = prop::collection::vec(lines(), 0..4);
    let text =
        text.prop_map(|parts| parts.concat().iter().map(|line| line.clone() + "\n").collect::<String>());
    let run = |(text, bytes): (String, usize)| {
        for (whole, stages, other) in several.borrow_mut().iter_mut() {
            whole.restore(b"");
            stages.dater.begin();
            stages.verdicts.begin();
            let at = Reading { now: NOW, since: NOW, live: false, find_time: Duration::MAX };
            let want = text.split_terminator('\n').map(|line| whole.line(line.as_bytes(), &at));
            let want: Vec<_> = want.filter(|outcome| *outcome != Outcome::Nothing).collect();
            let (mut sheet, mut looks, mut got) = (Sheet::default(), Looks::default(), Vec::new());
            for (turn, block) in blocks(&text, bytes).enumerate() {
                stages.dater.splitter().split(block.into(), &mut sheet);
                stages.dater.date(&mut sheet);
                if turn % 2 == 0 { &mut stages.looker } else { &mut *other }.look(&sheet, &mut looks);
                stages.verdicts.settle(&sheet, &looks, |outcome| got.push(outcome));
            }
            got.retain(|outcome| *outcome != Outcome::Nothing);
            prop_assert_eq!(got, want);
        }
        Ok(())
    };
    TestRunner::new(ProptestConfig::with_cases(150)).run(&(text, 1..400_usize), run).unwrap();
}

/// Whole lines, of so many bytes or what the last of them needs more.
fn blocks(text: &str, bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = (bytes..rest.len()).find(|end| rest.as_bytes()[*end - 1] == b'\n').unwrap_or(rest.len());
        let (block, behind) = rest.split_at(end);
        rest = behind;
        (!block.is_empty()).then_some(block)
    })
}
