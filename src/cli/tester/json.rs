//! `--json`: everything that the blocks say, as one object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::report::Report;
use super::stats::{Kept, Lines};

pub(super) fn write(report: &Report<'_>, told: &[String], out: &mut dyn Write) -> io::Result<()> {
    let Report { options, stats, .. } = report;
    let patterns = stats.patterns.iter().zip(report.patterns).map(|(regex, text)| {
        let who = regex.who.iter();
        let who: Vec<Value> =
            who.map(|(id, time, _)| json!({ "id": id, "time": time.micros() as f64 / 1e6 })).collect();
        json!({ "regex": text, "hits": regex.hits, "matched": who })
    });
    let ignore = stats.ignores.iter().zip(report.ignore);
    let ignore = ignore.map(|(hits, text)| json!({ "regex": text, "hits": hits }));
    let dates = report.dates.unwrap_or_default().iter().filter(|date| date.hits > 0 || options.verbose > 0);
    let dates = dates.map(|date| json!({ "name": date.name, "regex": date.regex, "hits": date.hits }));
    let prefix = report.prefix.map(|text| json!({ "regex": text, "hits": stats.prefix_hits }));
    let lines = |lines: &Lines| match lines.kept() {
        Kept::None => Value::Null,
        _ if lines.are_many(stats.limit) => Value::Null,
        _ => json!(lines.texts),
    };
    let document = json!({
        "use": told,
        "prefregex": prefix,
        "failregex": patterns.collect::<Vec<_>>(),
        "ignoreregex": ignore.collect::<Vec<_>>(),
        "dates": dates.collect::<Vec<_>>(),
        "lines": stats.tested,
        "matched": stats.matched.count,
        "ignored": stats.ignored.count,
        "missed": stats.missed.count,
        "matched_lines": lines(&stats.matched),
        "ignored_lines": lines(&stats.ignored),
        "missed_lines": lines(&stats.missed),
        "seconds": report.took.as_secs_f64(),
    });
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}
