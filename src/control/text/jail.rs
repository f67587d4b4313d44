//! One jail, with all there is to say of it.

use std::io::{self, Write};
use std::time::Duration;

use super::{Style, View, clean, count, paint, write_bans};
use crate::control::request::{FileStatus, JailStatus, RUNNING};
use crate::span;

/// Its rule, files, counters and bans.
pub(super) fn write_jail(out: &mut dyn Write, jail: &JailStatus, view: &View) -> io::Result<()> {
    let title = format!("{}: {}", clean(&jail.name), clean(&jail.state));
    writeln!(out, "{}", paint(&title, Style::Heading, view))?;
    let mut fact = |key: &str, value: &str| writeln!(out, "  {key:<12} {}", clean(value));
    let reload_alone = format!("stockade reload {}, or SIGRTMIN+{}", jail.name, jail.number);
    if jail.state != RUNNING {
        fact("enforcement", &jail.enforcement)?;
        fact("reload alone", &reload_alone)?;
        return fact("all else", "is not known, as long as it does not answer");
    }
    let find_time = span::format(Duration::from_secs(jail.find_time));
    let ban_time = jail.ban_time.map_or_else(
        || "for ever".to_owned(),
        |secs| format!("for {}", span::format(Duration::from_secs(secs))),
    );
    let retries = count(u64::from(jail.max_retry), "failure", "failures");
    if jail.files.is_empty() {
        fact("rule", &format!("bans by hand only, {ban_time} unless told otherwise"))?;
    } else {
        fact("rule", &format!("{retries} within {find_time}: banned {ban_time}"))?;
    }
    fact("enforcement", &jail.enforcement)?;
    fact("reload alone", &reload_alone)?;
    for (number, file) in jail.files.iter().enumerate() {
        fact(if number == 0 { "files" } else { "" }, &file_line(file))?;
    }
    fact("lines", &format!("{} read{}", jail.lines, undecided(jail)))?;
    let counted = count(jail.failed_now, "address", "addresses");
    let (total, ignored) = (jail.failed_total, jail.ignored_total);
    fact(
        "failures",
        &format!("{total} in total, {ignored} ignored; {counted} counted now{}", evicted(jail)),
    )?;
    fact("bans", &format!("{} now, {} in total{}", jail.banned_now, jail.banned_total, spared(jail)))?;
    for (number, (id, why)) in jail.not_enforced.iter().enumerate() {
        fact(if number == 0 { "not enforced" } else { "" }, &format!("{id}: {why}"))?;
    }
    for (number, spared) in jail.spared.iter().enumerate() {
        fact(if number == 0 { "spared" } else { "" }, &spared.to_string())?;
    }
    if !jail.bans.is_empty() {
        writeln!(out)?;
        write_bans(out, &jail.bans, false, view)?;
    }
    Ok(())
}

fn file_line(file: &FileStatus) -> String {
    let cut = match file.cut {
        0 => String::new(),
        cut => format!(", {} cut", count(cut, "long line", "long lines")),
    };
    match file.offset {
        0 => format!("{}: {}{cut}", file.path, file.state),
        offset => format!("{}: {} at byte {offset}{cut}", file.path, file.state),
    }
}

fn undecided(jail: &JailStatus) -> String {
    match jail.undecided_total {
        0 => String::new(),
        some => format!(", {some} undecided (the regexes did not come to an end)"),
    }
}

fn spared(jail: &JailStatus) -> String {
    match jail.spared_total {
        0 => String::new(),
        some => format!(", {some} not made (own addresses, gateways, hosts of those who are logged in)"),
    }
}

fn evicted(jail: &JailStatus) -> String {
    match jail.evicted_total {
        0 => String::new(),
        some => format!(", {some} given up for lack of room"),
    }
}
