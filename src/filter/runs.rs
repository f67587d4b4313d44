//! Which lines of a block begin as the one before: most lines of a log that grows fast are of the same second.
//!
//! In: a block, and how many bytes matter. Who knows what those bytes of one line mean need not look at the next.

/// As many bytes are compared at most.
const LONGEST: usize = 64;

/// The lines of a block, told apart by how they begin.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    /// So many bytes are the same; 0: nothing is known.
    length: usize,
    /// The numbers of lines that do not begin as the one before, ascending.
    others: Vec<u32>,
}

/// Asks about lines one behind the other.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Walk<'r> {
    pub(super) length: usize,
    others: &'r [u32],
}

impl Runs {
    /// Of a text whose lines end there.
    pub(super) fn of(text: &[u8], ends: &[u32], length: usize) -> Self {
        let others = match length {
            0 => return Self::default(),
            16..=32 => others(text, ends, length, numbers),
            1..=LONGEST => others(text, ends, length, Some),
            _ => return Self::default(),
        };
        Self { length, others }
    }

    pub(super) fn walk(&self) -> Walk<'_> {
        Walk { length: self.length, others: &self.others }
    }
}

impl Walk<'_> {
    /// The first line from this one on that does not begin as the one before, at most `last`.
    pub(super) fn until(&mut self, line: usize, last: usize) -> usize {
        if self.length == 0 {
            return line;
        }
        while let [first, rest @ ..] = self.others
            && (*first as usize) < line
        {
            self.others = rest;
        }
        self.others.first().map_or(last, |other| last.min(*other as usize))
    }
}

/// The lines that do not begin as the one before, as far as this tells of so many bytes.
fn others<'t, B: PartialEq>(
    text: &'t [u8],
    ends: &[u32],
    length: usize,
    tell: impl Fn(&'t [u8]) -> Option<B>,
) -> Vec<u32> {
    let mut others = Vec::new();
    let (mut before, mut start) = (None, 0);
    for (number, end) in ends.iter().enumerate() {
        // Whatever is cut off its end, more than these bytes are left of a line.
        let goes_on =
            start + length < *end as usize && !matches!(text.get(start + length), None | Some(b'\n' | b'\r'));
        let begin = text.get(start..start + length).filter(|_| goes_on).and_then(&tell);
        let is_alike = match (&before, &begin) {
            (Some(before), Some(begin)) => before == begin,
            _ => false,
        };
        if !is_alike {
            others.push(number as u32);
        }
        (before, start) = (begin, *end as usize);
    }
    others
}

/// Most of these texts have 16 to 32 bytes, which are two numbers: they are compared faster than by a loop.
fn numbers(text: &[u8]) -> Option<(u128, u128)> {
    Some((u128::from_ne_bytes(*text.first_chunk()?), u128::from_ne_bytes(*text.last_chunk()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::line_ends;
    use crate::filter::tests::cases;

    proptest! {
        #![proptest_config(cases(200))]

        /// What is said to begin alike does, and has more behind it, whatever line ends are cut off.
        #[test]
        fn lines_of_a_run_begin_alike(
            lines in prop::collection::vec(("(ab|ac){0,9}|[ab]{20}(ab){0,9}", "[\r]{0,2}"), 0..20),
            length in 0_usize..40,
        ) {
            let lines: Vec<_> = lines.into_iter().map(|(line, end)| line + &end).collect();
            let text = lines.concat().is_empty().then(String::new).unwrap_or_else(|| lines.join("\n") + "\n");
            let mut ends = Vec::new();
            line_ends(text.as_bytes(), &mut ends);
            let runs = Runs::of(text.as_bytes(), &ends, length);
            let mut walk = runs.walk();
            let lines: Vec<_> = text.split_terminator('\n').map(|line| line.trim_end_matches('\r')).collect();
            for number in 0..lines.len() {
                let until = walk.until(number, lines.len());
                prop_assert!(until >= number && until <= lines.len());
                if until == number {
                    continue;
                }
                prop_assert!(number > 0);
                for pair in lines[number - 1..until].windows(2) {
                    prop_assert!(pair.iter().all(|line| line.len() > length), "{pair:?}");
                    prop_assert_eq!(&pair[0][..length], &pair[1][..length]);
                }
            }
        }
    }

    #[test]
    fn a_run_goes_on_until_a_line_begins_otherwise() {
        let text = b"aaaa 1\naaaa 2\naaaa 3\nbbbb 4\nbbbb 5\nb\nbbbb 6\n";
        let mut ends = Vec::new();
        line_ends(text, &mut ends);
        let runs = Runs::of(text, &ends, 4);
        let mut walk = runs.walk();
        let until: Vec<_> = (0..ends.len()).map(|line| walk.until(line, 7)).collect();
        assert_eq!(until, [0, 3, 3, 3, 5, 5, 6]);
        assert_eq!(Runs::of(text, &ends, 0).walk().until(1, 7), 1);
    }
}
