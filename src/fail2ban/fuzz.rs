//! Whatever text, through each pure part of the reading of Fail2Ban's files.

use std::collections::HashSet;
use std::path::Path;

use super::brackets::{self, Names};
use super::interpolate::{self, Scope};
use super::problem::Problem;
use super::set::Set;
use super::tags::{self, Options};
use super::{Dialect, ini, jail};
use crate::python::Value;

/// As one file, and once more as one that overwrites it.
pub fn ini(text: &str) {
    let ini = ini::parse(text);
    let mut set = Set::default();
    set.push(Path::new("jail.conf"), &ini);
    set.push(Path::new("jail.local"), &ini);
    let sections: Vec<String> = set.sections().map(str::to_owned).collect();
    for section in &sections {
        let mut options = Options::new();
        for key in set.options(section) {
            let found = interpolate::get(&Scope { set: &set, section, vars: &[] }, key);
            let Ok(Some(value)) = found else { continue };
            for names in [Names::Plain, Names::Conditional] {
                _ = brackets::parse(&value, names);
                brackets::split(&value, names);
            }
            jail::addresses(&value, Dialect::Stable);
            options.push((key.clone(), Value::from(value.as_str())));
        }
        _ = tags::resolve::<Problem>(options, &HashSet::new(), |_| Ok(None));
    }
}
