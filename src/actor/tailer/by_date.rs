//! The dates by which a file is read from its middle.

use std::sync::{Arc, Mutex};

use crate::filter::date;
use crate::source::follow::Dates;

/// Finds the moment of a line wherever it stands in a file: what other lines taught is forgotten.
///
/// Made when it is first needed, and given up soon: files are seldom new, and Fail2Ban's patterns are large.
pub(super) struct ByDate(Mutex<Search>);

struct Search {
    /// None: the dates of a TOML jail.
    options: Option<date::DateOptions>,
    dates: Option<date::Dates>,
}

impl ByDate {
    pub(super) fn new(options: Option<date::DateOptions>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Search { options, dates: None })))
    }

    pub(super) fn into_dates(self: Arc<Self>) -> Dates {
        Arc::new(move |line, now| {
            let Search { options, dates } = &mut *self.0.lock().ok()?;
            let dates = dates.get_or_insert_with(|| Self::make(options.as_ref()));
            dates.forget();
            dates.time(String::from_utf8_lossy(line).as_bytes(), now)
        })
    }

    fn make(options: Option<&date::DateOptions>) -> date::Dates {
        // Options that mean nothing had their say when the jail was read.
        let dates = options.and_then(|options| date::Dates::fail2ban(options).ok());
        dates.unwrap_or_else(|| date::Dates::new(date::Zone::system()))
    }

    /// Whether there was something to give up.
    pub(super) fn give_up(&self) -> bool {
        self.0.lock().is_ok_and(|mut search| search.dates.take().is_some())
    }
}
