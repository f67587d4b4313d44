//! Mails about a jail and its bans, as the stock `smtp.py` sends them: the same arguments and subjects.
//!
//! In: the action's [`Definition`] and what happened. Out: a [`Mail`], pure; [`Mailer::send`] hands it to a server.
//! The client is our own: lettre (0.11.23) brings 37 crates, 45 with TLS, and its addresses need a domain, while the
//! defaults here are `root` and `fail2ban`. Without TLS, as the original; who needs it sends by a local relay.

mod client;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::Definition;
use super::lifecycle::Task;
use super::template::{Evidence, Ticket};
use crate::time::UnixTime;
pub use client::SmtpError;

/// The file that is replaced by this module.
pub const FILE: &str = "smtp.py";
/// Where mails go when the action names no port.
const PORT: u16 = 25;
/// Lines of matches in a mail, in bytes; the newest are kept.
const MATCHES_CAP: usize = 256 * 1024;

/// Why the action cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailerError {
    /// An argument that it does not have.
    #[error(
        "{FILE} has no argument `{0}`: known are host, user, password, sendername, sender, dest, matches"
    )]
    Unknown(String),
    /// It asks for what is not built in.
    #[error("{FILE}: ssl is not built in: send by a relay on this host, which can use it")]
    Ssl,
    /// The server is no `host` or `host:port`.
    #[error("{FILE}: host: `{0}` is neither a host nor host:port")]
    Host(String),
    /// An address that would end the line it is in.
    #[error("{FILE}: {argument}: `{value}` is no mail address")]
    Address {
        /// `sender` or `dest`.
        argument: &'static str,
        /// What was written.
        value: String,
    },
}

/// Which lines go into the mail about a ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    None,
    Ban,
    Everywhere,
    Jail,
}

/// Who writes to whom, and by which server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailer {
    host: String,
    port: u16,
    login: Option<(String, String)>,
    sender_name: String,
    sender: String,
    recipients: Vec<String>,
    lines: Lines,
}

/// A mail to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// One line.
    pub subject: String,
    /// Lines, each ended by `\n`.
    pub body: String,
}

impl Mailer {
    /// Reads the arguments.
    ///
    /// # Errors
    /// One is unknown, or cannot be used.
    pub fn new(definition: &Definition) -> Result<Self, MailerError> {
        let known =
            ["host", "user", "password", "sendername", "sender", "dest", "destemail", "matches", "ssl"];
        let ours = ["name", "actname", "timeout", "norestored", "capabilities"];
        for (name, _) in &definition.options {
            if !known.contains(&&**name) && !ours.contains(&&**name) {
                return Err(MailerError::Unknown(name.clone()));
            }
        }
        if definition.flag("ssl") == Some(true) {
            return Err(MailerError::Ssl);
        }
        let text = |name: &str| definition.option(name, None).map(str::trim).filter(|text| !text.is_empty());
        let (host, port) = server(text("host").unwrap_or("localhost"))?;
        let dest = text("dest").or(text("destemail")).unwrap_or("root");
        let recipients = dest.split(',').map(|one| address("dest", one)).collect::<Result<_, _>>()?;
        Ok(Self {
            host,
            port,
            login: text("user").zip(text("password")).map(|(user, word)| (user.to_owned(), word.to_owned())),
            sender_name: text("sendername").unwrap_or("Fail2Ban").to_owned(),
            sender: address("sender", text("sender").unwrap_or("fail2ban"))?,
            recipients,
            lines: match text("matches") {
                Some("matches") => Lines::Ban,
                Some("ipmatches") => Lines::Everywhere,
                Some("ipjailmatches") => Lines::Jail,
                _ => Lines::None,
            },
        })
    }

    /// Whether a mail needs to know of earlier bans: in all jails, in this one.
    pub fn asks(&self) -> (bool, bool) {
        (self.lines == Lines::Everywhere, self.lines == Lines::Jail)
    }

    /// The mail about what happened; none when nobody is told of that. Restored bans were told of before.
    pub fn mail(&self, task: Task, ticket: &Ticket) -> Option<Mail> {
        let (jail, host) = (&ticket.jail.name, &ticket.host.full);
        let (event, text) = match task {
            Task::Start => {
                (format!("started on {host}"), format!("The jail {jail} was started on {host}.\n"))
            }
            Task::Stop => (format!("stopped on {host}"), format!("The jail {jail} was stopped on {host}.\n")),
            Task::Ban if !ticket.restored => {
                let ip = ticket.id.as_ref().map(ToString::to_string).unwrap_or_default();
                (format!("banned {ip} from {host}"), self.about_ban(&ip, ticket))
            }
            _ => return None,
        };
        Some(Mail { subject: format!("[Fail2Ban] {jail}: {event}"), body: text })
    }

    fn about_ban(&self, ip: &str, ticket: &Ticket) -> String {
        let time = match ticket.ban_time {
            -1 => "for ever".to_owned(),
            seconds => format!("for {seconds} seconds"),
        };
        let (jail, failures) = (&ticket.jail.name, ticket.failures);
        let mut text = format!("{ip} is banned {time}, after {failures} failures in the jail {jail}.\n");
        let past = |past: &Option<Evidence>| {
            past.as_ref().map_or_else(|| ticket.matches.clone(), |past| past.lines.clone())
        };
        let (head, lines) = match self.lines {
            Lines::None => return text,
            Lines::Ban => ("The lines that led to it:".to_owned(), ticket.matches.clone()),
            Lines::Everywhere => (format!("Lines about {ip}:"), past(&ticket.past)),
            Lines::Jail => (format!("Lines about {ip} in {jail}:"), past(&ticket.jail_past)),
        };
        let _ = write!(text, "\n{head}\n");
        let mut room = MATCHES_CAP;
        let fits = |line: &&Arc<str>| {
            room = room.saturating_sub(line.len() + 1);
            room > 0
        };
        let mut newest: Vec<_> = lines.iter().rev().take_while(fits).collect();
        newest.reverse();
        for line in newest {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    /// Hands a mail to the server.
    ///
    /// # Errors
    /// It cannot be reached in time, or refuses; recipients that it refuses are an error only when it refuses all.
    pub fn send(&self, mail: &Mail, hello: &str, now: UnixTime, limit: Duration) -> Result<(), SmtpError> {
        client::send(self, mail, hello, now, limit)
    }
}

/// `host`, `host:port` or `[::1]:port`.
fn server(text: &str) -> Result<(String, u16), MailerError> {
    let wrong = || MailerError::Host(text.to_owned());
    let (host, port) = match text.rsplit_once(':') {
        Some((host, _)) if host.contains(':') && !host.ends_with(']') => (text, None),
        Some((host, port)) if !host.is_empty() => (host, Some(port)),
        _ => (text, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
        return Err(wrong());
    }
    let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| wrong()))?;
    Ok((host.to_owned(), port))
}

/// An address without what would end it.
fn address(argument: &'static str, text: &str) -> Result<String, MailerError> {
    let value = text.trim();
    let bad = |letter: char| letter.is_control() || letter.is_whitespace() || matches!(letter, '<' | '>');
    if value.is_empty() || value.contains(bad) {
        return Err(MailerError::Address { argument, value: value.to_owned() });
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests;
