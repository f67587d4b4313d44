//! The keys of a jail that say who is spared, and how bans grow.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use figment::value::Value;

use super::value::{self, Notes, Shape, Slot, Table};
use crate::ignore::{CacheOptions, SpareLogins};
use crate::jail::IgnoreOptions;
use crate::sentence::{Formula, Increment, Scale, Value as Number};
use crate::subnet::{Subnet, SubnetError};

enum Rule {
    Net(Subnet, Arc<str>),
    Name(Arc<str>),
    File(PathBuf),
}

/// Who is spared, and the files with more of them.
pub(super) fn ignore(table: &mut Table, notes: &mut Notes<'_>) -> (IgnoreOptions, Vec<PathBuf>) {
    let rule = |slot: &Slot| {
        let text = value::text(slot)?;
        match text.strip_prefix("file:") {
            Some(path) => value::absolute(path).map(|path| Rule::File(path.into())),
            None if is_host_name(&text) => Ok(Rule::Name(text.into())),
            None => net(&text).map(|net| Rule::Net(net, text.into())),
        }
    };
    let (mut nets, mut names, mut files) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(rules) = table.list(notes, "ignore", Shape::Words, rule) {
        for (rule, _) in rules {
            match rule {
                Rule::Net(net, text) => nets.push((net, text)),
                Rule::Name(name) => names.push(name),
                Rule::File(path) => files.push(path),
            }
        }
    } else {
        let loopback = ["127.0.0.0/8", "::1"];
        nets.extend(loopback.iter().filter_map(|text| Some((net(text).ok()?, (*text).into()))));
    }
    let options = IgnoreOptions {
        nets,
        names,
        own: table.get(notes, "ignore_own", value::boolean).unwrap_or(true),
        logins: spare_logins(table, notes),
        command: table.get(notes, "ignore_command", command),
        cache: table.table(notes, "ignore_cache").and_then(|table| cache(table, notes)),
    };
    (options, files)
}

/// `true`, `false`, or a list of users.
fn spare_logins(table: &mut Table, notes: &mut Notes<'_>) -> SpareLogins {
    const KEY: &str = "spare_logins";
    let Some(slot) = table.slot(notes, KEY) else { return SpareLogins::Everybody };
    match value::boolean(&slot) {
        Ok(true) => SpareLogins::Everybody,
        Ok(false) => SpareLogins::Nobody,
        Err(_) if !matches!(slot.value, Value::Array(..) | Value::String(..)) => {
            notes.note(&slot.at, value::wrong_type(&slot.value, "true, false or a list of users"));
            SpareLogins::Nobody
        }
        Err(_) => {
            let users = value::items(notes, slot, Shape::Words).unwrap_or_default();
            let read = |user: Slot| value::text(&user).map_err(|what| notes.note(&user.at, what)).ok();
            SpareLogins::Users(users.into_iter().filter_map(read).map(Into::into).collect())
        }
    }
}

fn net(text: &str) -> Result<Subnet, String> {
    text.parse().map_err(|error: SubnetError| error.to_string())
}

/// Whether it can be nothing else: labels between dots, the last with a letter.
pub(super) fn is_host_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(fits);
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(label) && last.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn command(slot: &Slot) -> Result<Arc<str>, String> {
    let text = value::text(slot)?;
    if text.trim().is_empty() {
        return Err("is empty: leave it away, and no command is asked".to_owned());
    }
    Ok(text.into())
}

fn cache(mut table: Table, notes: &mut Notes<'_>) -> Option<CacheOptions> {
    let at = table.at().clone();
    let key = table.get(notes, "key", value::text);
    let max_count = table.get(notes, "max_count", |slot| value::number(slot, 1, 1_000_000)).unwrap_or(300);
    let max_time = table.get(notes, "max_time", value::span).unwrap_or(Duration::from_secs(300));
    let missing = key.is_none() && !notes.wrong();
    table.finish(notes);
    if missing {
        notes.note(&at, "has no key: say what makes two failures alike, such as key = \"<ip>\"");
    }
    Some(CacheOptions { key: key?.into(), max_count, max_time })
}

/// `[jail.NAME.ban_increment]`.
pub(super) fn increment(table: Option<Table>, notes: &mut Notes<'_>) -> Option<Increment> {
    let mut table = table?;
    let enabled = table.get(notes, "enabled", value::boolean).unwrap_or(true);
    let factor = table.get(notes, "factor", factor).unwrap_or(Number::Int(1));
    let formula = table.get(notes, "formula", formula);
    let multipliers =
        table.list(notes, "multipliers", Shape::Words, |slot| value::number::<u64>(slot, 0, 1_000_000_000));
    let scale = match (formula, multipliers) {
        (_, Some(all)) if !all.is_empty() => {
            Scale::Multipliers(all.into_iter().map(|(number, _)| number).collect())
        }
        (Some(formula), _) => Scale::Formula(formula),
        (None, _) => Scale::Doubling,
    };
    let increment = Increment {
        scale,
        factor,
        max_time: table.get(notes, "max_time", value::span),
        random_time: table.get(notes, "random_time", value::span).unwrap_or_default(),
        all_jails: table.get(notes, "all_jails", value::boolean).unwrap_or(false),
    };
    table.finish(notes);
    enabled.then_some(increment)
}

/// A number, or an expression of numbers.
fn factor(slot: &Slot) -> Result<Number, String> {
    match &slot.value {
        Value::Num(_, number) => {
            let whole = number.to_i128().map(Number::Int);
            whole.or_else(|| number.to_f64().map(Number::Float)).ok_or_else(|| "is no number".to_owned())
        }
        _ => Increment::factor(&value::text(slot)?).map_err(|error| error.to_string()),
    }
}

fn formula(slot: &Slot) -> Result<Formula, String> {
    value::text(slot)?.parse().map_err(|error: crate::sentence::FormulaError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_told_from_a_slip_in_an_address() {
        for (text, want) in [
            ("mail.example.org", true),
            ("mail.example.org.", true),
            ("localhost", true),
            ("my_host", true),
            ("192.0.2.300", false),
            ("192.0.2.0/33", false),
            ("2001:db8::zz", false),
            ("a..b", false),
            ("", false),
            ("host name", false),
        ] {
            assert_eq!(is_host_name(text), want, "{text:?}");
        }
    }
}
