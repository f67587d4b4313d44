//! A whole file tried in blocks, on all cores.

use std::fs::File;
use std::io;

use super::encoding::Encoding;
use super::log::Pieces;
use crate::cli::crew::{self, Turns};
use crate::filter::date::TemplateUse;
use crate::filter::{Looker, Looks, Settled, Sheet, Stages};

/// Lines on their way, and what was found in them.
#[derive(Default)]
struct Piece {
    number: usize,
    block: Vec<u8>,
    sheet: Sheet,
    looks: Looks,
}

/// Tries the lines of a file, with so many others. What comes of them is told to `each`, in the order of the log. Returns the
/// templates of dates.
pub(super) fn run(
    file: File,
    encoding: Encoding,
    stages: Stages,
    others: usize,
    mut each: impl FnMut(&Sheet, Settled<'_>) -> io::Result<()>,
) -> io::Result<Vec<TemplateUse>> {
    let Stages { dater, looker: own, mut settler } = stages;
    let (mut pieces, mut numbers) = (Pieces::new(file), 0..);
    let make = |mut piece: Piece| {
        let Some(block) = pieces.next(piece.sheet.take_text())? else { return Ok(None) };
        piece.block = encoding.text(block);
        piece.number = numbers.next().unwrap_or_default();
        Ok(Some(piece))
    };
    let (splitter, dates) = (dater.splitter(), Turns::new(dater));
    let worker = |mut looker: Looker| {
        let (splitter, dates) = (&splitter, &dates);
        move |Piece { number, block, sheet, looks }: &mut Piece| {
            let turn = dates.of(*number);
            splitter.split(std::mem::take(block), sheet);
            turn.take(|dater| dater.date(sheet));
            looker.look(sheet, looks);
        }
    };
    let others = (0..others).map(|_| worker(own.twin())).collect();
    crew::run(make, worker(own), others, |Piece { sheet, looks, .. }| {
        settler.settle(sheet, looks, |settled| each(sheet, settled))
    })?;
    Ok(dates.into_inner().date_templates())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::filter::date::Zone;
    use crate::filter::{Fail2Ban, Filter, FilterOptions, Tries};
    use crate::time::UnixTime;

    /// Far more than what is read at once.
    fn log() -> String {
        let line = |number: usize| {
            let date = format!("Jan  2 03:{:02}:{:02}", number / 900 % 60, number / 15 % 60);
            let connection = number % 37;
            match number % 9 {
                0 => format!("{date} h c{connection}: try a 192.0.2.{connection}\n"),
                1 => format!("{date} h c{connection}: fail a 192.0.2.{connection}\n"),
                2 => format!("h c{connection}: fail b 192.0.2.{connection}\r\n"),
                3 => format!("{date} h c{connection}: out\n"),
                4 => "# comment\n".to_owned(),
                _ => format!("{date} h c{connection}: \u{e9} {number}\n"),
            }
        };
        (0..60_000).map(line).collect()
    }

    #[test]
    fn the_same_for_any_number_of_threads() {
        let now = UnixTime::from_secs(1_767_323_045); // 2026-01-02T03:04:05Z
        let patterns = [
            r"^<F-NOFAIL>try</F-NOFAIL> <F-USER>\w*</F-USER> <HOST>$",
            r"^fail <F-USER>\w*</F-USER> <HOST>$",
            r"^<F-NOFAIL><F-MLFFORGET>out</F-MLFFORGET></F-NOFAIL>$",
        ];
        let options = FilterOptions {
            prefix: Some(r"^\s*h <F-MLFID>c\d+</F-MLFID>: <F-CONTENT>.+</F-CONTENT>$".to_owned()),
            patterns: patterns.map(str::to_owned).to_vec(),
            fail2ban: Some(Fail2Ban::default()),
            ..FilterOptions::default()
        };
        let compiled = || Filter::for_replay(&options, Zone::utc(), 2026).unwrap();
        let (text, mut file) = (log(), tempfile::tempfile().unwrap());
        file.write_all(text.as_bytes()).unwrap();
        let tried = |others| {
            let mut again = file.try_clone().unwrap();
            io::Seek::rewind(&mut again).unwrap();
            let (mut said, mut plain) = (Vec::new(), 0);
            let stages = compiled().into_stages(now, Tries::All).unwrap();
            let templates = run(again, Encoding::Utf8, stages, others, |sheet, settled| {
                match settled {
                    Settled::Plain { lines, .. } => plain += lines.len(),
                    Settled::Told { line, trial } => said.push((sheet.line(line).to_owned(), trial.clone())),
                }
                Ok(())
            });
            (said, plain, format!("{:?}", templates.unwrap()))
        };
        let alone = tried(0);
        let mut whole = compiled();
        let trials = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let trial = whole.try_line(line.as_bytes(), None, now, Tries::All);
            trial.hits.iter().map(|hit| (hit.pattern, hit.id.clone(), hit.nofail)).collect::<Vec<_>>()
        });
        let trials: Vec<_> = trials.filter(|hits| !hits.is_empty()).collect();
        let hits = alone.0.iter().map(|(_, trial)| &trial.hits);
        let hits: Vec<Vec<_>> = hits
            .map(|hits| hits.iter().map(|hit| (hit.pattern, hit.id.clone(), hit.nofail)).collect())
            .collect();
        assert!(hits == trials, "{} and {} lines", hits.len(), trials.len());
        for others in [1, 3] {
            let several = tried(others);
            assert!(several == alone, "{others} others: {} lines", several.0.len());
        }
    }
}
