//! Fault points for the tests: places where the program can be made to panic, die, wait or hang.
//!
//! They exist only with the cargo feature `faults`; a release has none, and [`point`] is then nothing at all.
//! `--fault store.before_commit=kill@17` kills the process at the 17th time that it comes by.

/// A place with a name. Does what was [`arm`](self)ed for it, else nothing.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &str) {}

#[cfg(feature = "faults")]
pub use armed::{arm, point};

#[cfg(feature = "faults")]
mod armed {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum What {
        Panic,
        Kill,
        Hang,
    }

    /// What happens at a point, and at which passages (`at`, and with `every` at all later ones).
    #[derive(Debug, Clone, Copy)]
    struct Fault {
        what: What,
        at: u64,
        every: bool,
        passed: u64,
    }

    static FAULTS: Mutex<Option<HashMap<String, Fault>>> = Mutex::new(None);

    /// Arms `point=panic|kill|hang[@N|@N+]`: at the Nth passage, or at the Nth and all later ones.
    ///
    /// # Errors
    /// The text has another form.
    pub fn arm(text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no fault: write point=panic|kill|hang[@N|@N+]");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (what, at) = rest.split_once('@').unwrap_or((rest, "1"));
        let (at, every) = at.strip_suffix('+').map_or((at, false), |at| (at, true));
        let what = match what {
            "panic" => What::Panic,
            "kill" => What::Kill,
            "hang" => What::Hang,
            _ => return Err(wrong()),
        };
        let fault = Fault { what, at: at.parse().map_err(|_| wrong())?, every, passed: 0 };
        FAULTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(name.to_owned(), fault);
        Ok(())
    }

    /// A place with a name. Does what was armed for it, else nothing.
    pub fn point(name: &str) {
        let what = {
            let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(fault) = faults.as_mut().and_then(|faults| faults.get_mut(name)) else { return };
            fault.passed += 1;
            if fault.passed == fault.at || (fault.every && fault.passed > fault.at) {
                fault.what
            } else {
                return;
            }
        };
        match what {
            What::Panic => panic!("fault {name}"),
            What::Kill => {
                let _ =
                    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            }
            What::Hang => loop {
                std::thread::park();
            },
        }
    }
}
