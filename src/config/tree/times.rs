//! Time expressions of a jail (SPEC §1.7) → spans and sentences.
//!
//! Pure.

use std::time::Duration;

use crate::sentence::expression::seconds;
use crate::sentence::{Sentence, Value};

/// What `bantime` means.
#[derive(Debug, PartialEq)]
pub(super) struct BanTime {
    pub(super) sentence: Sentence,
    /// Every ban would be over before it begins: a negative time other than -1.
    pub(super) bans_nobody: bool,
}

fn value(text: &str) -> Result<Value, String> {
    seconds(text).map_err(|_| format!("`{text}` is no time such as 600, 10m or 1d 12h"))
}

/// A span that is not negative; a part of a second counts.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let value = value(text)?.float();
    Duration::try_from_secs_f64(value).map_err(|_| format!("`{text}` is no span: {value} seconds"))
}

/// `bantime`: whole seconds, cut; -1 is for ever.
pub(super) fn ban_time(text: &str) -> Result<BanTime, String> {
    let value = match value(text)? {
        Value::Int(value) => value as f64,
        value => value.float().trunc(),
    };
    let sentence = |span| BanTime { sentence: Sentence(span), bans_nobody: false };
    if value == -1.0 {
        return Ok(sentence(None));
    }
    if value < 0.0 {
        return Ok(BanTime { sentence: Sentence(Some(Duration::ZERO)), bans_nobody: true });
    }
    Duration::try_from_secs_f64(value)
        .map(|span| sentence(Some(span)))
        .map_err(|_| format!("`{text}` is no span: {value} seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ban_times() {
        for (text, want) in [
            ("600", Ok(("10m", false))),
            ("1d 12h", Ok(("1d 12h", false))),
            ("-1", Ok(("forever", false))),
            ("-5", Ok(("0s", true))),
            ("0", Ok(("0s", false))),
            ("0.5h + 0.9s", Ok(("30m", false))),
            ("soon", Err(())),
            ("", Err(())),
        ] {
            let got = ban_time(text).map(|time| (time.sentence.to_string(), time.bans_nobody)).map_err(drop);
            assert_eq!(got, want.map(|(text, nobody): (&str, bool)| (text.to_owned(), nobody)), "{text:?}");
        }
    }

    #[test]
    fn spans() {
        for (text, want) in
            [("10m", Some(600.0)), ("1.5", Some(1.5)), ("0", Some(0.0)), ("-1", None), ("x", None)]
        {
            assert_eq!(span(text).ok().map(|span| span.as_secs_f64()), want, "{text:?}");
        }
    }
}
