//! Fault points for the tests: places where the program can be made to panic, die, wait or hang.
//!
//! They exist only with the cargo feature `faults`; a release has none, and [`point`] is then nothing at all.
//! `--fault store.before_commit=kill@17` kills the process at the 17th time that it comes by;
//! `--fault firewall.send=fail:ENOBUFS@2` makes the kernel answer so the second time.

/// A place with a name. Does what was [`arm`](self)ed for it, else nothing.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// A place where the system may refuse. Does so if it was [`arm`](self)ed to.
///
/// # Errors
/// The one that was asked for.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn refusal(_name: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
pub use armed::{arm, point, refusal};

#[cfg(feature = "faults")]
mod armed {
    use std::collections::HashMap;
    use std::sync::{Mutex, PoisonError};

    use rustix::io::Errno;

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum What {
        Panic,
        Kill,
        Hang,
        Fail(Errno),
    }

    /// What happens at a point, and at which passages: from `at` to `last`.
    #[derive(Debug, Clone, Copy)]
    struct Fault {
        what: What,
        at: u64,
        last: u64,
        passed: u64,
    }

    static FAULTS: Mutex<Option<HashMap<String, Fault>>> = Mutex::new(None);

    /// Arms `point=panic|kill|hang|fail:ERROR[@N|@N-M|@N+]`: at the Nth passage, up to the Mth, or at all later ones.
    ///
    /// # Errors
    /// The text has another form.
    pub fn arm(text: &str) -> Result<(), String> {
        let wrong = || format!("`{text}` is no fault: write point=panic|kill|hang|fail:ERROR[@N|@N-M|@N+]");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (what, at) = rest.split_once('@').unwrap_or((rest, "1"));
        let (at, last) = match at.strip_suffix('+') {
            Some(at) => (at, None),
            None => at.split_once('-').map_or((at, Some(at)), |(at, last)| (at, Some(last))),
        };
        let what = match what {
            "panic" => What::Panic,
            "kill" => What::Kill,
            "hang" => What::Hang,
            "fail:EPERM" => What::Fail(Errno::PERM),
            "fail:ENOBUFS" => What::Fail(Errno::NOBUFS),
            _ => return Err(wrong()),
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let fault = Fault { what, at: number(at)?, last: last.map_or(Ok(u64::MAX), number)?, passed: 0 };
        FAULTS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_default()
            .insert(name.to_owned(), fault);
        Ok(())
    }

    /// What is to happen at this passage.
    fn pass(name: &str) -> Option<What> {
        let mut faults = FAULTS.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = faults.as_mut()?.get_mut(name)?;
        fault.passed += 1;
        (fault.at..=fault.last).contains(&fault.passed).then_some(fault.what)
    }

    /// A place where the system may refuse. Does so if it was armed to.
    ///
    /// # Errors
    /// The one that was asked for.
    pub fn refusal(name: &str) -> std::io::Result<()> {
        match pass(name) {
            Some(What::Fail(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// A place with a name. Does what was armed for it, else nothing.
    pub fn point(name: &str) {
        let Some(what) = pass(name) else { return };
        match what {
            What::Fail(_) => {}
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
