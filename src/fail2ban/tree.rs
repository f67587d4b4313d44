//! A whole tree as the daemon takes it: every mistake of every jail is listed, and the other jails go on.

use super::problem::Trouble;
use super::set::Set;
use super::shelf::Shelf;

/// The files of the jails; none: there are none.
pub(super) fn jails(shelf: &mut Shelf) -> Result<Option<Set>, Trouble> {
    let Some(mut set) = shelf.set("jail")? else { return Ok(None) };
    let base = shelf.base.display().to_string();
    for (key, value) in
        [("fail2ban_version", shelf.dialect().version().to_owned()), ("fail2ban_confpath", base)]
    {
        if set.own(super::ini::DEFAULT, key).is_none() {
            set.inject(super::ini::DEFAULT, key, value);
        }
    }
    Ok(Some(set))
}
