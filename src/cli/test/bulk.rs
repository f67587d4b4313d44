//! A whole log judged in blocks, on all cores.

use std::io::{self, Read};

use crate::cli::blocks::Blocks;
use crate::cli::crew::{self, Turns};
use crate::filter::{
    Filter, Hits, Judging, Lines, Looker, Looks, Outcome, Reading, Sheet, Wanted, line_ends,
};

/// What is told, in the order of the log.
pub(super) enum Event {
    /// A line that means something.
    Outcome(Outcome),
    /// So many lines were judged, and so many bytes read.
    Lines { count: usize, bytes: u64 },
}

/// Judges all lines of what is read, with so many others.
pub(super) fn run<R: Read + Send>(
    blocks: &mut Blocks<R>,
    filter: Filter,
    at: Reading,
    others: usize,
    each: impl FnMut(Event),
) -> io::Result<()> {
    match filter.into_judging(at.now) {
        Ok(judging) => judge(blocks, judging, others, each),
        Err(filter) => scan(blocks, *filter, at, others, each),
    }
}

/// Lines on their way, and what was found in them.
#[derive(Default)]
struct Piece {
    number: usize,
    block: Vec<u8>,
    sheet: Sheet,
    looks: Looks,
    bytes: u64,
}

/// Each thread tries the patterns.
fn judge<R: Read + Send>(
    blocks: &mut Blocks<R>,
    judging: Judging,
    others: usize,
    mut each: impl FnMut(Event),
) -> io::Result<()> {
    let Judging { dater, looker, mut verdicts } = judging;
    let mut numbers = 0..;
    let make = |mut piece: Piece| {
        let Some(block) = blocks.take(piece.sheet.take_text())? else { return Ok(None) };
        piece.block = block;
        piece.number = numbers.next().unwrap_or_default();
        piece.bytes = blocks.bytes;
        Ok(Some(piece))
    };
    let (splitter, dates) = (dater.splitter(), Turns::new(dater));
    let worker = |mut looker: Looker| {
        let (splitter, dates) = (&splitter, &dates);
        move |Piece { number, block, sheet, looks, .. }: &mut Piece| {
            let turn = dates.of(*number);
            splitter.split(std::mem::take(block), sheet);
            turn.take(|dater| dater.date(sheet));
            looker.look(sheet, looks);
        }
    };
    let others = (0..others).map(|_| worker(looker.twin())).collect();
    crew::run(make, worker(looker), others, |Piece { sheet, looks, bytes, .. }| {
        verdicts.settle(sheet, looks, |outcome| each(Event::Outcome(outcome)));
        each(Event::Lines { count: sheet.count(), bytes: *bytes });
        Ok(())
    })
}

/// Lines on their way, and where a scan has found something.
#[derive(Default)]
struct Scanned {
    text: Vec<u8>,
    ends: Vec<u32>,
    hits: Option<Hits>,
    bytes: u64,
}

/// One judges; the others see which lines need a look.
fn scan<R: Read + Send>(
    blocks: &mut Blocks<R>,
    mut filter: Filter,
    at: Reading,
    others: usize,
    mut each: impl FnMut(Event),
) -> io::Result<()> {
    let make = |piece: Scanned| {
        let Some(text) = blocks.take(piece.text)? else { return Ok(None) };
        Ok(Some(Scanned { text, ends: piece.ends, hits: None, bytes: blocks.bytes }))
    };
    let worker = |_| {
        let mut scanner = filter.scanner();
        move |piece: &mut Scanned| {
            line_ends(&piece.text, &mut piece.ends);
            piece.hits = scanner.as_mut().map(|scanner| scanner.scan(&piece.text, &piece.ends));
        }
    };
    let (own, others) = (worker(0), (0..others).map(worker).collect());
    crew::run(make, own, others, |Scanned { text, ends, hits, bytes }| {
        let lines = Lines { text, ends, times: &[], hits: hits.as_ref() };
        filter.block(lines, &at, Wanted::Everything, &mut |_, outcome| each(Event::Outcome(outcome)));
        each(Event::Lines { count: memchr::memchr_iter(b'\n', text).count(), bytes: *bytes });
        Ok(())
    })
}
