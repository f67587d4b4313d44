//! A whole log judged in blocks, on all cores.

use std::io::{self, Read};

use crate::cli::blocks::Blocks;
use crate::cli::crew;
use crate::filter::{
    Filter, FilterOptions, Hits, Judging, Lines, Looker, Looks, Outcome, Reading, Sheet, Wanted, Wants,
};

/// What is told, in the order of the log.
pub(super) enum Event {
    /// A line that means something.
    Outcome(Outcome),
    /// So many lines were judged, and so many bytes read.
    Lines { count: usize, bytes: u64 },
}

/// Judges all lines of what is read, by a filter made of these options.
pub(super) fn run<R: Read + Send>(
    blocks: &mut Blocks<R>,
    filter: Filter,
    options: &FilterOptions,
    at: Reading,
    threads: usize,
    each: impl FnMut(Event),
) -> io::Result<()> {
    match filter.into_judging(at.now) {
        Ok(judging) => judge(blocks, judging, options, threads, each),
        Err(filter) => scan(blocks, *filter, at, threads, each),
    }
}

/// Lines on their way, and what was found in them.
#[derive(Default)]
struct Piece {
    sheet: Sheet,
    looks: Looks,
    bytes: u64,
}

/// Each thread tries the patterns.
fn judge<R: Read + Send>(
    blocks: &mut Blocks<R>,
    judging: Judging,
    options: &FilterOptions,
    threads: usize,
    mut each: impl FnMut(Event),
) -> io::Result<()> {
    let Judging { mut dater, looker, mut verdicts } = judging;
    let make = |mut piece: Piece| {
        let Some(block) = blocks.take(piece.sheet.take_text().into_bytes())? else { return Ok(None) };
        let text = String::from_utf8(block);
        let text = text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        dater.date(text, &mut piece.sheet);
        piece.bytes = blocks.bytes;
        Ok(Some(piece))
    };
    let worker = |mut looker: Looker| move |piece: &mut Piece| looker.look(&piece.sheet, &mut piece.looks);
    let more = || Filter::looker(options, Wants::Verdict).map(worker);
    crew::run(threads, make, worker(looker), more, |Piece { sheet, looks, bytes }| {
        verdicts.settle(sheet, looks, |outcome| each(Event::Outcome(outcome)));
        each(Event::Lines { count: sheet.count(), bytes: *bytes });
        Ok(())
    })
}

/// Lines on their way, and where a scan has found something.
#[derive(Default)]
struct Scanned {
    text: Vec<u8>,
    hits: Option<Hits>,
    bytes: u64,
}

/// One judges; the others see which lines need a look.
fn scan<R: Read + Send>(
    blocks: &mut Blocks<R>,
    mut filter: Filter,
    at: Reading,
    threads: usize,
    mut each: impl FnMut(Event),
) -> io::Result<()> {
    let make = |piece: Scanned| {
        let Some(text) = blocks.take(piece.text)? else { return Ok(None) };
        Ok(Some(Scanned { text, hits: None, bytes: blocks.bytes }))
    };
    let scanner = filter.scanner();
    let worker = || {
        let scanner = scanner.clone();
        move |piece: &mut Scanned| piece.hits = scanner.as_ref().and_then(|scanner| scanner.scan(&piece.text))
    };
    crew::run(
        threads,
        make,
        worker(),
        || Some(worker()),
        |Scanned { text, hits, bytes }| {
            let lines = Lines { text, times: &[], hits: hits.as_ref() };
            filter.block(lines, &at, Wanted::Everything, &mut |_, outcome| each(Event::Outcome(outcome)));
            each(Event::Lines { count: memchr::memchr_iter(b'\n', text).count(), bytes: *bytes });
            Ok(())
        },
    )
}
