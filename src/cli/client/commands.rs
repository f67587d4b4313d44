//! What the client does itself: everything that needs more than one question, or a server that does not run yet.

use std::time::Duration;

use super::{Session, log, reload, start};
use crate::cli::Exit;
use crate::python;

/// How long a server may take to go: its actions have 50 s, the rest is for the disk.
const GOING: Duration = Duration::from_secs(75);
/// Between two looks at a server that comes or goes.
pub(super) const LOOK: Duration = Duration::from_millis(20);

impl Session {
    /// Does what the words say.
    pub(in crate::cli) fn command(&self, words: &[String]) -> Exit {
        let short: Vec<&str> = words.iter().map(String::as_str).collect();
        match &short[..] {
            [] => Exit::Done,
            ["start"] => start::run(self),
            ["stop"] => self.stop(),
            ["restart"] => {
                self.stop();
                start::run(self)
            }
            ["restart", rest @ ..] => reload::run(self, &[&["--restart"], rest].concat()),
            ["reload", rest @ ..] => reload::run(self, rest),
            ["ping", patience, ..] => self.ping(patience),
            _ => self.pass_on(words, self.options.timeout),
        }
    }

    /// Asks whether anybody is there, for so many seconds.
    fn ping(&self, patience: &str) -> Exit {
        let Ok(seconds) = patience.trim().parse::<f64>() else {
            log::error(&format!("could not convert string to float: {}", python::repr(patience)));
            return Exit::Fail2Ban;
        };
        let patience = Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero());
        self.pass_on(&["ping".to_owned()], patience)
    }

    /// Ends the server and waits until it is gone.
    fn stop(&self) -> Exit {
        let words = ["stop".to_owned()];
        let exit = self.pass_on(&words, self.options.timeout);
        if exit != Exit::Done {
            return exit;
        }
        let asked = std::time::Instant::now();
        while self.is_served() {
            if asked.elapsed() > GOING {
                log::error(&format!("still running after {}", crate::span::format(GOING)));
                return Exit::Fail2Ban;
            }
            std::thread::sleep(LOOK);
        }
        exit
    }
}
