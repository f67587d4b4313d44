//! A whole file tried in blocks, on all cores.

use std::fs::File;
use std::io;

use super::encoding::Encoding;
use super::log::Pieces;
use crate::cli::crew;
use crate::filter::date::TemplateUse;
use crate::filter::{Looker, Looks, Settled, Sheet, Stages};

/// Lines on their way, and what was found in them.
#[derive(Default)]
struct Piece {
    sheet: Sheet,
    looks: Looks,
}

/// Tries the lines of a file; `looker` makes one more who tries patterns. What comes of them is told to `each`, in the order
/// of the log. Returns the templates of dates.
pub(super) fn run(
    file: File,
    encoding: Encoding,
    stages: Stages,
    looker: impl Fn() -> Option<Looker> + Sync,
    threads: usize,
    mut each: impl FnMut(&Sheet, Settled<'_>) -> io::Result<()>,
) -> io::Result<Vec<TemplateUse>> {
    let Stages { mut dater, looker: own, mut settler } = stages;
    let mut pieces = Pieces::new(file);
    let make = |mut piece: Piece| {
        let spare = piece.sheet.take_text().into_bytes();
        let Some(block) = pieces.next(spare)? else { return Ok(None) };
        dater.date(encoding.text(block), &mut piece.sheet);
        Ok(Some(piece))
    };
    let worker = |mut looker: Looker| move |piece: &mut Piece| looker.look(&piece.sheet, &mut piece.looks);
    crew::run(
        threads,
        make,
        worker(own),
        || looker().map(worker),
        |Piece { sheet, looks }| settler.settle(sheet, looks, |settled| each(sheet, settled)),
    )?;
    Ok(dater.date_templates())
}
