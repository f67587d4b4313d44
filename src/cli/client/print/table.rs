//! `stats`: a table of all jails.
//!
//! Pure. A server tells of each jail by its name: its backend, then (current, total) of failures and of bans.

use crate::python::Value;

/// What lines are drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Marks {
    /// Box drawing characters.
    Boxes,
    /// ASCII, where the terminal knows nothing else.
    Ascii,
}

impl Marks {
    /// By the locale: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that says anything. Python's `C` is UTF-8.
    pub(in crate::cli) fn of(locale: impl Fn(&str) -> Option<String>) -> Self {
        let said = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
        let locale = said.filter_map(locale).find(|text| !text.is_empty()).unwrap_or_default();
        let lower = locale.to_ascii_lowercase();
        let knows = lower.contains("utf-8") || lower.contains("utf8");
        if knows || matches!(&*lower, "" | "c" | "posix") { Self::Boxes } else { Self::Ascii }
    }

    fn draw(self, text: &str) -> String {
        let ascii = |c| match c {
            '║' | '│' | '╟' | '╬' | '╩' | '╫' => '|',
            '═' => '=',
            '─' => '-',
            other => other,
        };
        match self {
            Self::Boxes => text.to_owned(),
            Self::Ascii => text.chars().map(ascii).collect(),
        }
    }
}

/// The table; none: this is none.
pub(super) fn statistics(value: &Value, marks: Marks) -> Option<String> {
    let Value::Map(jails) = value else { return None };
    let rows: Vec<[String; 6]> = jails.iter().map(|(name, told)| row(name, told)).collect::<Option<_>>()?;
    let width = |column: usize, least: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(least)
    };
    let widths = [width(0, 8), width(1, 8), width(2, 3), width(3, 3), width(4, 3), width(5, 3)];
    let [jail, backend, failed, all_failed, banned, all_banned] = widths;
    let (filter, actions) = (failed + 3 + all_failed, banned + 3 + all_banned);
    let line = |width: usize, with: &str| with.repeat(width + 2);
    let mut lines = vec![
        format!(" {:jail$} ║ {:backend$} ║ {:filter$} ║ {:actions$}", "", "", "Filter", "Actions"),
        format!(" {:jail$} ║ {:backend$} ╟{}╫{}", "Jail", "Backend", line(filter, "─"), line(actions, "─")),
        format!(
            " {:jail$} ║ {:backend$} ║ {:>failed$} │ {:>all_failed$} ║ {:>banned$} │ {:>all_banned$}",
            "", "", "cur", "tot", "cur", "tot"
        ),
    ];
    let rule = |cross: &str| [jail, backend, filter, actions].map(|width| line(width, "═")).join(cross);
    lines.push(rule("╬"));
    for [name, how, now, ever, barred, all] in &rows {
        lines.push(format!(
            " {name:jail$} ║ {how:backend$} ║ {now:>failed$} │ {ever:>all_failed$} ║ {barred:>banned$} │ {all:>all_banned$}"
        ));
    }
    lines.push(rule("╩"));
    Some(marks.draw(&lines.join("\n")))
}

fn row(name: &Value, told: &Value) -> Option<[String; 6]> {
    let items = |value: &Value| match value {
        Value::List(items) | Value::Tuple(items) => Some(items.clone()),
        _ => None,
    };
    let told = items(told)?;
    let [backend, failures, bans] = &told[..] else { return None };
    let (failures, bans) = (items(failures)?, items(bans)?);
    let ([failed, all_failed], [banned, all_banned]) = (&failures[..], &bans[..]) else { return None };
    Some([name, backend, failed, all_failed, banned, all_banned].map(Value::print))
}
