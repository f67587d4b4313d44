//! Answers as an operator reads them: columns, local time, the bad news first.
//!
//! Pure: the moment, the zone, the width and whether there are colours are passed in a [`View`].
//! What an attacker chose (log lines, names) is shown with its control characters spelled out, so that it cannot
//! speak to the terminal.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::request::{
    BanStatus, Cuts, Drifts, ENFORCED, JailBans, JailStatus, OnTrial, RUNNING, Reloaded, Response, Status,
    Verdict,
};
use crate::id::Id;
use crate::sandbox::Closed;
use crate::span;
use crate::time::UnixTime;

mod jail;

use self::jail::write_jail;

/// How an answer is looked at.
#[derive(Debug, Clone)]
pub struct View {
    /// The moment.
    pub now: UnixTime,
    /// The zone that times are shown in.
    pub zone: TimeZone,
    /// The terminal's columns; none: nothing is cut.
    pub width: Option<usize>,
    /// Whether colours are understood.
    pub colour: bool,
    /// Whether one thing was asked for: then all about it, the log lines behind a ban included.
    pub detail: bool,
}

/// How a word is emphasised.
#[derive(Clone, Copy)]
enum Style {
    Heading,
    Bad,
}

/// Writes an answer.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut dyn Write, response: &Response, view: &View) -> io::Result<()> {
    match response {
        Response::Pong { version, pid, ready } => {
            writeln!(out, "stockade {version} (pid {pid}), {}", readiness(*ready))
        }
        Response::Status(status) => write_status(out, status, view),
        Response::Banned(jails) => write_banned(out, jails, view),
        Response::Verdicts(verdicts) => {
            verdicts.iter().try_for_each(|verdict| writeln!(out, "{}", verdict_line(verdict)))
        }
        Response::Reloaded(reloaded) => {
            write_moved(out, reloaded, view)?;
            reloaded.mistakes.iter().try_for_each(|mistake| writeln!(out, "{}", clean(mistake)))
        }
        Response::Confirmed { jails } => match &jails[..] {
            [] => writeln!(out, "confirmed"),
            jails => writeln!(out, "confirmed: {}", clean(&jails.join(", "))),
        },
        Response::Log { level, target } => writeln!(out, "level {}, target {}", clean(level), clean(target)),
        Response::Stopping => writeln!(out, "stopping"),
        Response::Error(why) => writeln!(out, "{}", clean(why)),
    }
}

/// One verdict, such as `sshd: 192.0.2.1: banned until …`.
pub fn verdict_line(verdict: &Verdict) -> String {
    let Verdict { id, jail, what, .. } = verdict;
    let (id, what) = (clean(id), clean(what));
    if jail.is_empty() { format!("{id}: {what}") } else { format!("{}: {id}: {what}", clean(jail)) }
}

/// What a reload moved and what it did not; the mistakes are left to [`write()`].
///
/// # Errors
/// Those of `out`.
pub fn write_moved(out: &mut dyn Write, reloaded: &Reloaded, view: &View) -> io::Result<()> {
    for line in &reloaded.moved {
        writeln!(out, "{}", clean(line))?;
    }
    write_unmoved(out, reloaded, view)?;
    let Some(until) = reloaded.confirm_until else { return Ok(()) };
    let until = local(until, &view.zone);
    writeln!(
        out,
        "on trial: unless `stockade confirm` comes before {until}, the configuration before returns"
    )
}

fn write_unmoved(out: &mut dyn Write, reloaded: &Reloaded, view: &View) -> io::Result<()> {
    match (&reloaded.same[..], &reloaded.moved[..]) {
        ([], []) if reloaded.mistakes.is_empty() => writeln!(out, "there is no jail to reload"),
        ([], _) => Ok(()),
        (same, []) if reloaded.mistakes.is_empty() => {
            writeln!(out, "{}", cut(&format!("nothing differs in {}", clean(&same.join(", "))), view.width))
        }
        (same, _) => writeln!(out, "{}", cut(&format!("unchanged: {}", clean(&same.join(", "))), view.width)),
    }
}

fn readiness(ready: bool) -> &'static str {
    if ready { "ready" } else { "starting" }
}

fn write_status(out: &mut dyn Write, status: &Status, view: &View) -> io::Result<()> {
    let up = brief(view.now.since(status.started));
    let ready = readiness(status.ready);
    writeln!(out, "stockade {} (pid {}), {ready}, up {up}", clean(&status.version), status.pid)?;
    if let Some(OnTrial { since, until, jails }) = &status.on_trial {
        let (since, rest) = (local(*since, &view.zone), brief(until.since(view.now)));
        let jails = if jails.is_empty() { String::new() } else { format!(" ({})", jails.join(", ")) };
        let what = "awaits `stockade confirm`, or the one before returns in";
        write_warning(out, &format!("the configuration of {since}{jails} {what} {rest}"), view)?;
    }
    for warning in &status.warnings {
        write_warning(out, warning, view)?;
    }
    for jail in &status.jails {
        if let Some((id, why)) = jail.not_enforced.first() {
            let some = count(jail.not_enforced.len() as u64, "ban is", "bans are");
            write_warning(out, &format!("{}: {some} not enforced, such as {id}: {why}", jail.name), view)?;
        }
    }
    writeln!(out, "store: {}", clean(&status.store))?;
    write_sandbox(out, status.sandbox.as_ref())?;
    for jail in status.jails.iter().filter(|_| !view.detail) {
        for spared in &jail.spared {
            writeln!(out, "spared: {}: {}", clean(&jail.name), clean(&spared.to_string()))?;
        }
    }
    write_drifts(out, &status.drifts, view)?;
    write_cuts(out, &status.cuts, view)?;
    writeln!(out)?;
    match &status.jails[..] {
        [] => writeln!(out, "no jail runs"),
        [jail] if view.detail => write_jail(out, jail, view),
        jails => write_jails(out, jails, view),
    }
}

/// What is closed, then what could not be.
fn write_sandbox(out: &mut dyn Write, sandbox: Option<&Closed>) -> io::Result<()> {
    let Some(closed) = sandbox else { return writeln!(out, "sandbox: off") };
    writeln!(out, "sandbox: {}", clean(&closed.text()))?;
    closed.open.iter().try_for_each(|open| writeln!(out, "not closed: {}", clean(open)))
}

/// Nothing, as long as nobody did anything.
fn write_drifts(out: &mut dyn Write, drifts: &Drifts, view: &View) -> io::Result<()> {
    if let Some(until) = drifts.waits_until {
        let rest = brief(until.since(view.now));
        let what = "another program takes the firewall's rules or bans away again and again: banned hosts get in until they";
        write_warning(out, &format!("{what} are put back, in {rest}"), view)?;
    }
    if let Some(why) = &drifts.deaf {
        write_warning(out, why, view)?;
    }
    if drifts.seen == 0 && drifts.healed == 0 {
        return Ok(());
    }
    let by = drifts.by.as_deref().map_or_else(String::new, |by| format!(", the last time by {}", clean(by)));
    let at = drifts.at.map_or_else(String::new, |at| format!(" at {}", local(at, &view.zone)));
    let (seen, healed) = (count(drifts.seen, "time", "times"), count(drifts.healed, "time", "times"));
    writeln!(out, "firewall: changed by others {seen}{by}{at}; put back {healed}")
}

/// Nothing, as long as nothing was cut.
fn write_cuts(out: &mut dyn Write, cuts: &Cuts, view: &View) -> io::Result<()> {
    if let Some(why) = &cuts.cannot {
        write_warning(out, &format!("connections of banned hosts end by themselves only: {why}"), view)?;
    }
    if cuts.missed > 0 {
        let bans = count(cuts.missed, "ban", "bans");
        write_warning(out, &format!("too many bans at once: the connections of {bans} were not cut"), view)?;
    }
    if cuts.connections == 0 {
        return Ok(());
    }
    let (cut, bans) =
        (count(cuts.connections, "connection", "connections"), count(cuts.hosts, "ban", "bans"));
    writeln!(out, "cut: {cut} of {bans}")
}

fn write_warning(out: &mut dyn Write, warning: &str, view: &View) -> io::Result<()> {
    writeln!(out, "{} {}", paint("warning:", Style::Bad, view), clean(warning))
}

fn write_jails(out: &mut dyn Write, jails: &[JailStatus], view: &View) -> io::Result<()> {
    let name = jails.iter().map(|jail| clean(&jail.name).chars().count()).max().unwrap_or(0).max(4);
    let state = jails.iter().map(|jail| clean(&jail.state).chars().count()).max().unwrap_or(0).max(5);
    let heading = format!(
        " NO  {:name$}  {:state$}  {:>9} {:>9}  {:>9} {:>9}  ENFORCEMENT",
        "JAIL", "STATE", "FAILED", "TOTAL", "BANNED", "TOTAL"
    );
    writeln!(out, "{}", paint(&cut(&heading, view.width), Style::Heading, view))?;
    for jail in jails {
        let tells = jail.state == RUNNING;
        let number = |number: u64| if tells { number.to_string() } else { "?".to_owned() };
        let line = format!(
            "{:>3}  {:name$}  {:state$}  {:>9} {:>9}  {:>9} {:>9}  {}",
            jail.number,
            clean(&jail.name),
            clean(&jail.state),
            number(jail.failed_now),
            number(jail.failed_total),
            number(jail.banned_now),
            number(jail.banned_total),
            clean(&jail.enforcement)
        );
        let line = cut(line.trim_end(), view.width);
        let bad = !tells || !jail.not_enforced.is_empty();
        writeln!(out, "{}", if bad { paint(&line, Style::Bad, view) } else { line.into_owned() })?;
    }
    Ok(())
}

fn write_banned(out: &mut dyn Write, jails: &[JailBans], view: &View) -> io::Result<()> {
    let mut first = true;
    for jail in jails {
        if let Some(why) = &jail.unknown {
            let warning = format!("{}: who is banned is not known, for it is {why}", jail.jail);
            write_warning(out, &warning, view)?;
        }
    }
    for jail in jails.iter().filter(|jail| !jail.bans.is_empty()) {
        if !first {
            writeln!(out)?;
        }
        first = false;
        let title = format!("{}: {} banned", clean(&jail.jail), jail.bans.len());
        writeln!(out, "{}", paint(&title, Style::Heading, view))?;
        write_bans(out, &jail.bans, view.detail, view)?;
    }
    let all_told = jails.iter().all(|jail| jail.unknown.is_none());
    if first && all_told { writeln!(out, "nobody is banned") } else { Ok(()) }
}

/// The columns of bans; the widest id sets the first one.
fn write_bans(out: &mut dyn Write, bans: &[BanStatus], lines: bool, view: &View) -> io::Result<()> {
    let mut text = String::new();
    let mut id_width = "BANNED".len();
    for ban in bans {
        write_id(&mut text, &ban.id);
        id_width = id_width.max(text.chars().count().min(60));
    }
    let heading = format!(
        "  {:id_width$}  {:19}  {:19}  {:>7}  {:>5}  {:>8}  STATE",
        "BANNED", "SINCE", "UNTIL", "LEFT", "TIMES", "FAILURES"
    );
    writeln!(out, "{}", paint(&cut(&heading, view.width), Style::Heading, view))?;
    let (mut line, mut cells) = (String::new(), Cells::default());
    for ban in bans {
        write_id(&mut text, &ban.id);
        line.clear();
        left(&mut line, &text, id_width);
        cells.write(&mut line, ban, view);
        let line = cut(&line, view.width);
        let enforced = ban.state == ENFORCED;
        let line = if enforced { line } else { paint(&line, Style::Bad, view).into() };
        out.write_all(line.as_bytes())?;
        out.write_all(b"\n")?;
        if lines {
            for line in &ban.lines {
                writeln!(out, "    {}", cut(&clean(line), view.width.map(|width| width.saturating_sub(4))))?;
            }
        }
    }
    Ok(())
}

/// `2026-01-02 03:04:05` in the zone.
pub fn local(time: UnixTime, zone: &TimeZone) -> String {
    match Timestamp::from_second(time.secs()) {
        Ok(stamp) => {
            let time = zone.to_datetime(stamp);
            let (date, time) = (time.date(), time.time());
            let [year, month, day] = [date.year(), date.month().into(), date.day().into()];
            format!(
                "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
                time.hour(),
                time.minute(),
                time.second()
            )
        }
        Err(_) => time.secs().to_string(),
    }
}

/// In place of what was there: an id, with nothing in it that steers.
fn write_id(text: &mut String, id: &Id) {
    text.clear();
    _ = write!(text, "{id}");
    if let Id::Text(_) = id
        && let Cow::Owned(cleaned) = clean(text)
    {
        *text = cleaned;
    }
}

/// All columns of a ban but the first. Of neighbours much is often the same, and put into words once.
#[derive(Default)]
struct Cells {
    since: Same,
    until: Same,
    rest: Same,
    count: Same,
    failures: Same,
}

impl Cells {
    fn write(&mut self, line: &mut String, ban: &BanStatus, view: &View) {
        let moment = |time: UnixTime| move || local(time, &view.zone);
        left(line, self.since.of(ban.since.secs(), moment(ban.since)), 19);
        if let Some(until) = ban.until {
            let span = until.since(view.now);
            left(line, self.until.of(until.secs(), moment(until)), 19);
            right(line, self.rest.of(span.as_secs().cast_signed(), || brief(span)), 7);
        } else {
            left(line, "for ever", 19);
            right(line, "", 7);
        }
        right(line, self.count.of(ban.count.into(), || ban.count.to_string()), 5);
        let failures = || if ban.failures == 0 { "by hand".to_owned() } else { ban.failures.to_string() };
        right(line, self.failures.of(ban.failures.into(), failures), 8);
        line.push_str("  ");
        line.push_str(&clean(&ban.state));
    }
}

/// A column of so many characters, the text at its left.
fn left(line: &mut String, text: &str, width: usize) {
    line.push_str("  ");
    line.push_str(text);
    gap(line, text, width);
}

/// The text at its right.
fn right(line: &mut String, text: &str, width: usize) {
    line.push_str("  ");
    gap(line, text, width);
    line.push_str(text);
}

fn gap(line: &mut String, text: &str, width: usize) {
    const SPACES: &str = "                                                                ";
    let missing = width.saturating_sub(text.chars().count());
    line.push_str(&SPACES[..missing.min(SPACES.len())]);
}

/// The words for a number, which are kept until it is another.
#[derive(Default)]
struct Same(Option<(i64, String)>);

impl Same {
    fn of(&mut self, number: i64, words: impl FnOnce() -> String) -> &str {
        if self.0.as_ref().is_none_or(|(last, _)| *last != number) {
            self.0 = Some((number, words()));
        }
        self.0.as_ref().map_or("", |(_, words)| words)
    }
}

/// A span in its two largest terms: `6d 23h`.
pub fn brief(span: Duration) -> String {
    span::terms(span, 2)
}

/// `1 ban`, `2 bans`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The text with every character spelled out that could steer a terminal or turn the direction of writing.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '\t' => cleaned.push(' '),
            _ if steers(char) => cleaned.extend(char.escape_default()),
            _ => cleaned.push(char),
        }
    }
    Cow::Owned(cleaned)
}

pub(crate) fn steers(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first `width` characters, the last of them `…` when something is cut.
fn cut(text: &str, width: Option<usize>) -> Cow<'_, str> {
    match width.filter(|width| text.len() > *width && text.chars().count() > *width) {
        None => Cow::Borrowed(text),
        Some(width) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn paint(text: &str, style: Style, view: &View) -> String {
    match (view.colour, style) {
        (false, _) => text.to_owned(),
        (true, Style::Heading) => format!("\x1b[1m{text}\x1b[0m"),
        (true, Style::Bad) => format!("\x1b[31m{text}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests;
