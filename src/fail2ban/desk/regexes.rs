//! Regular expressions of a jail: what is wrong with one, in Fail2Ban's words, and how it is shown.
//!
//! Pure.

use super::argument::{int, small, string};
use crate::fail2ban::JailSpec;
use crate::filter::{Fail2Ban, Filter, FilterOptions};
use crate::python::{Raised, Value};

/// Says who failed, for a filter in which something else is looked at.
const SOMEBODY: &str = "<F-ID/>";

/// How a jail's expressions are read; they are shown as Fail2Ban 1.1 does.
fn own(spec: &JailSpec) -> Fail2Ban {
    let own = spec.filter.options().fail2ban.unwrap_or_default();
    Fail2Ban { date_pattern: None, zone: None, overwrite_with_nothing: false, ..own }
}

/// As it is shown; those of a TOML jail's filter as they are.
pub(super) fn shown(spec: &JailSpec, text: &str) -> Value {
    match spec.native_filter {
        Some(_) => text.into(),
        None => own(spec).shown(text).into(),
    }
}

/// Several of them.
pub(super) fn all(spec: &JailSpec, texts: &[String]) -> Value {
    Value::List(texts.iter().map(|text| shown(spec, text)).collect())
}

/// One that says who failed, or stands behind a prefix that does.
pub(super) fn failure(spec: &JailSpec, value: &Value) -> Result<String, Raised> {
    let text = string(value)?.to_owned();
    let alone = FilterOptions { patterns: vec![text.clone()], ..FilterOptions::default() };
    let prefix = spec.filter.prefregex.clone().filter(|prefix| !prefix.is_empty());
    // The prefix is looked at where it is needed only: it is the same for all.
    match check(spec, alone.clone(), &text, "failregex") {
        Err(_) if prefix.is_some() => check(spec, FilterOptions { prefix, ..alone }, &text, "failregex"),
        checked => checked,
    }
}

/// One that spares a line.
pub(super) fn exception(spec: &JailSpec, value: &Value) -> Result<String, Raised> {
    let text = string(value)?.to_owned();
    let patterns = vec![SOMEBODY.to_owned()];
    let options = FilterOptions { patterns, ignore: vec![text.clone()], ..FilterOptions::default() };
    check(spec, options, &text, "ignoreregex")
}

/// What is tried before the others; none: nothing.
pub(super) fn prefix(spec: &JailSpec, value: &Value) -> Result<Option<String>, Raised> {
    let text = match value {
        Value::None => return Ok(None),
        value => string(value)?.to_owned(),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let patterns = vec![SOMEBODY.to_owned()];
    let options = FilterOptions { patterns, prefix: Some(text.clone()), ..FilterOptions::default() };
    check(spec, options, &text, "prefregex").map(Some)
}

/// The text, if nothing is wrong with this option.
fn check(spec: &JailSpec, options: FilterOptions, text: &str, option: &str) -> Result<String, Raised> {
    let own = own(spec);
    let errors =
        Filter::new(&FilterOptions { fail2ban: Some(own.clone()), ..options }).err().unwrap_or_default();
    let Some(error) = errors.iter().find(|error| error.option().0 == option) else {
        return Ok(text.to_owned());
    };
    let (module, class) = ("fail2ban.server.failregex".to_owned(), "RegexException".to_owned());
    Err(Raised { module, class, arguments: vec![error.as_fail2ban(text, &own).into()] })
}

/// Takes out the one at a place; a place where there is none is passed over.
pub(super) fn remove(texts: &mut Vec<String>, value: &Value) -> Result<(), Raised> {
    let index = small(&int(value)?);
    // From the end, as Python counts.
    let index = if index < 0 { index.saturating_add_unsigned(texts.len() as u64) } else { index };
    if let Some(index) = usize::try_from(index).ok().filter(|index| *index < texts.len()) {
        texts.remove(index);
    }
    Ok(())
}
