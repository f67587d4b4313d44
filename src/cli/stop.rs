//! `stockade stop`.

use std::io::Write;
use std::time::{Duration, Instant};

use clap::Args;

use super::{Exit, Global, ask, settings};
use crate::control::request::{Request, Response};

/// How long the daemon may take to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The arguments of `stockade stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Also take every ban out of the firewall
    #[arg(long)]
    pub remove: bool,
}

/// Asks the daemon to end, and waits until nobody answers any more.
pub(super) fn run(global: &Global, args: &StopArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let response = ask::ask(global, &Request::Stop { remove: args.remove })?;
    ask::print(global, &response, false, out)?;
    out.flush()?;
    if response != Response::Stopping {
        return Ok(ask::exit(&response));
    }
    let socket = settings::socket(global);
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        match crate::control::ask(&socket, &Request::Ping, PATIENCE) {
            Err(crate::control::ControlError::NotRunning(_)) => return Ok(Exit::Done),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    super::complain(&format!("still running after {}", crate::span::format(PATIENCE)));
    Ok(Exit::NotDone)
}
