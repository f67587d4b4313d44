//! The rules of one jail or filter, for a command that tries them: no jail need be enabled, no action is looked at.
//!
//! In: a tree, a name, options that come before those of the files. Out: [`Resolved`].

use std::path::Path;

use super::filter::{self, Resolved, Wanted};
use super::problem::Trouble;
use super::shelf::Shelf;
use super::{jail, tree};
use crate::python::Value;

/// What was found, and the options of the filter as they came out.
pub type Found = Result<(Resolved, Vec<(String, Value)>), Trouble>;

/// The rules of a jail; none: there is no jail of this name.
///
/// `backend` replaces the jail's own, and `options` those in the brackets of its filter.
pub fn jail(base: &Path, name: &str, options: &[(String, String)], backend: &str) -> Option<Found> {
    let mut shelf = Shelf::new(base);
    let mut set = tree::jails(&mut shelf).ok()??;
    if !jail::is_jail(name) || !set.has_section(name) {
        return None;
    }
    set.inject(name, "backend", backend.to_owned());
    Some(jail::rules(&mut shelf, set, name, options))
}

/// The rules of a filter.
///
/// # Errors
/// As [`filter::resolve`].
pub fn filter(wanted: &Wanted<'_>) -> Found {
    filter::resolve_shown(wanted)
}
