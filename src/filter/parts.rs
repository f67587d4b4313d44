//! The parts of texts to look for: those that are seldom taken for something else.
//!
//! In: texts, and lines of a log. Out: fewer and shorter texts; each of the first holds one of them.
//!
//! The search looks at the first four bytes of several texts at once, the upper and the lower half of each by itself, and
//! compares byte by byte what looks alike; that takes longer than the search. So what is looked for of a text is what has
//! rare halves in this log, and better still what other texts have, too.

use std::collections::HashMap;

use memchr::memmem;

use super::choices::Texts;

/// Bytes that the search looks at.
const LOOKED_AT: usize = 4;
/// No shorter part is looked for.
const SHORTEST: usize = 6;
/// A part begins among so many bytes of its text.
const BEGINS: usize = 40;
/// For so many bytes of the log a part may be found once where its texts are not.
const SPARE: usize = 32 * 1024;

/// Where texts have the same bytes, and what speaks against these.
struct Window {
    cost: f64,
    /// Text, and where in it.
    places: Vec<(usize, usize)>,
}

/// The parts of these texts.
pub(super) fn parts(texts: &[&[u8]], lines: &[u8]) -> Texts {
    let count = |part: &[u8]| memmem::find_iter(lines, part).count();
    let found: Vec<_> = texts.iter().map(|text| count(text)).collect();
    let (mut left, mut parts) = (vec![true; texts.len()], Texts::new());
    for Window { places, .. } in windows(texts, lines) {
        let part = shared(texts, &places);
        let is_long = part.len() >= SHORTEST || part.len() == texts[places[0].0].len();
        if !is_long || !places.iter().all(|(text, _)| left[*text]) {
            continue;
        }
        let before: usize = places.iter().map(|(text, _)| found[*text]).sum();
        if count(part) <= before + lines.len() / SPARE {
            for (text, _) in &places {
                left[*text] = false;
            }
            parts.push(part.to_vec());
        }
    }
    parts.extend(texts.iter().zip(left).filter(|(_, left)| *left).map(|(text, _)| text.to_vec()));
    parts
}

/// The best first.
fn windows(texts: &[&[u8]], lines: &[u8]) -> Vec<Window> {
    let mut all: HashMap<&[u8], Vec<(usize, usize)>> = HashMap::new();
    for (text, bytes) in texts.iter().enumerate() {
        for (at, window) in bytes.windows(LOOKED_AT).take(BEGINS).enumerate() {
            let places = all.entry(window).or_default();
            if places.last().is_none_or(|(last, _)| *last != text) {
                places.push((text, at));
            }
        }
    }
    let chances = chances(lines);
    let cost = |window: &[u8], texts: usize| {
        let chance: f64 = window.iter().map(|byte| chances[usize::from(*byte)]).product();
        // Two texts for one: with each that is looked for, more of the halves of four bytes are some text's.
        chance / (texts as f64).powi(2 * LOOKED_AT as i32 + 1)
    };
    let window = |(window, places): (&[u8], Vec<_>)| Window { cost: cost(window, places.len()), places };
    let mut all: Vec<_> = all.into_iter().map(window).collect();
    all.sort_by(|one, other| one.cost.total_cmp(&other.cost).then_with(|| one.places.cmp(&other.places)));
    all
}

/// What these texts have in common from there on.
fn shared<'t>(texts: &[&'t [u8]], places: &[(usize, usize)]) -> &'t [u8] {
    let mut all = places.iter().map(|(text, at)| &texts[*text][*at..]);
    let first = all.next().unwrap_or_default();
    all.fold(first, |part, text| {
        let same = part.iter().zip(text).take_while(|(one, other)| one == other).count();
        &part[..same]
    })
}

/// How often each byte is taken for one of these.
fn chances(lines: &[u8]) -> [f64; 256] {
    let (mut low, mut high) = ([1.0; 16], [1.0; 16]);
    for byte in lines {
        low[usize::from(byte & 0xf)] += 1.0;
        high[usize::from(byte >> 4)] += 1.0;
    }
    let all = (lines.len() + 16) as f64;
    std::array::from_fn(|byte| low[byte & 0xf] / all * (high[byte >> 4] / all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::tests::cases;

    #[test]
    fn what_several_texts_share_is_looked_for_once_unless_the_log_is_full_of_it() {
        let texts = ["Refused to greet ", "refused to greet ", "no bread for user ", "no milk for user "];
        let texts = texts.map(str::as_bytes);
        let calm = "gate: bed 7 is dry\n".repeat(99);
        let looked_for = |log: &str| {
            let mut parts: Vec<_> = parts(&texts, log.as_bytes())
                .into_iter()
                .map(|part| String::from_utf8(part).unwrap())
                .collect();
            parts.sort();
            parts
        };
        let few = looked_for(&calm);
        assert_eq!(few.len(), 2, "{few:?}");
        let more = looked_for(&(calm + &"gate: mail for user mira\n".repeat(99)));
        assert_eq!(more.len(), 3, "{more:?}");
        assert!(!more.iter().any(|part| "gate: mail for user mira".contains(part)), "{more:?}");
    }

    proptest! {
        #![proptest_config(cases(300))]

        /// Whatever holds one of the texts holds one of the parts.
        #[test]
        fn each_text_holds_a_part(
            texts in prop::collection::vec("[ab]{3,9}|[a-d]{3,60}|(user |from |fail){1,4}", 0..40),
            lines in "([ab]{9}|user |from |fail|\n){0,200}",
        ) {
            let texts: Vec<_> = texts.iter().map(String::as_bytes).collect();
            let parts = parts(&texts, lines.as_bytes());
            prop_assert!(parts.len() <= texts.len());
            for text in texts {
                prop_assert!(parts.iter().any(|part| memmem::find(text, part).is_some()), "{:?}", text);
            }
        }
    }
}
