//! What the commands that ask the daemon share.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, SystemTime};
use std::{env, fs};

use jiff::tz::TimeZone;

use super::{Exit, Global, complain, json, settings};
use crate::control::request::{Request, Response};
use crate::control::text::{self, View};
use crate::time::UnixTime;

/// How long the daemon may be silent: a reload or a thousand bans take their time on a busy host.
const PATIENCE: Duration = Duration::from_secs(60);

/// The zone of this host: that of `/etc/localtime`, if nothing else is said. For one by its name, jiff reads the folders of
/// all zones.
pub(super) fn zone() -> TimeZone {
    let own = || {
        let link = fs::read_link("/etc/localtime").ok().filter(|_| env::var_os("TZ").is_none())?;
        let (_, name) = link.to_str()?.split_once("/zoneinfo/")?;
        TimeZone::tzif(name, &fs::read("/etc/localtime").ok()?).ok()
    };
    own().unwrap_or_else(TimeZone::system)
}

/// Asks the daemon; what it could not do becomes a sentence on standard error.
pub(super) fn ask(global: &Global, request: &Request) -> anyhow::Result<Response> {
    Ok(crate::control::ask(&settings::socket(global), request, PATIENCE)?)
}

/// Asks, prints the answer, and says how it ended.
pub(super) fn show(
    global: &Global,
    request: &Request,
    detail: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let response = ask(global, request)?;
    print(global, &response, detail, out)?;
    Ok(exit(&response))
}

/// Prints an answer: what is done on standard output, what is not on standard error.
pub(super) fn print(
    global: &Global,
    response: &Response,
    detail: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    if global.json {
        return json::write(out, response);
    }
    let view = view(detail);
    match response {
        Response::Error(why) => complain(why),
        Response::Verdicts(verdicts) => {
            for verdict in verdicts {
                let line = text::verdict_line(verdict);
                if verdict.done { writeln!(out, "{line}")? } else { complain(&line) }
            }
        }
        Response::Reloaded(reloaded) => {
            text::write_moved(out, reloaded, &view)?;
            reloaded.mistakes.iter().for_each(|mistake| complain(mistake));
        }
        other => text::write(out, other, &view)?,
    }
    Ok(())
}

/// How a script sees an answer.
pub(super) fn exit(response: &Response) -> Exit {
    Exit::done(match response {
        Response::Error(_) => false,
        Response::Verdicts(verdicts) => verdicts.iter().all(|verdict| verdict.done),
        Response::Reloaded(reloaded) => reloaded.mistakes.is_empty(),
        _ => true,
    })
}

/// Here and now, and the terminal as it is.
pub(super) fn view(detail: bool) -> View {
    let terminal = io::stdout().is_terminal();
    View {
        now: now(),
        zone: TimeZone::system(),
        width: terminal.then(width).flatten(),
        colour: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        detail,
    }
}

/// This moment: commands are an edge, so they may read the clock.
pub(super) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    UnixTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The terminal's columns; one that does not know them cuts nothing.
fn width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}
