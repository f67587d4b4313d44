//! Speaks SMTP (RFC 5321) with one server about one mail.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Mail, Mailer};
use crate::time::UnixTime;

/// Lines of one reply, and bytes of a line, that are read.
const REPLY_LINES: usize = 64;
const REPLY_LINE: u64 = 1000;
/// A line of a mail is at most 998 bytes (RFC 5322 §2.1.1): longer ones make it base64.
const PLAIN_LINE: usize = 900;
/// Bytes in one encoded word: 60 letters of base64 and the frame stay below 76 (RFC 2047 §2).
const WORD: usize = 45;

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The server cannot be reached, or is silent.
    #[error("{server}: {source}")]
    Io {
        /// `host:port`.
        server: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server says no.
    #[error("{server} answers {command} with `{reply}`")]
    Refused {
        /// `host:port`.
        server: String,
        /// What was asked, without arguments.
        command: &'static str,
        /// Its words.
        reply: String,
    },
    /// It offers no way to log in that is known here.
    #[error("{server} offers neither AUTH PLAIN nor AUTH LOGIN")]
    NoLogin {
        /// `host:port`.
        server: String,
    },
}

pub(super) fn send(
    mailer: &Mailer,
    mail: &Mail,
    hello: &str,
    now: UnixTime,
    limit: Duration,
) -> Result<(), SmtpError> {
    let server = format!("{}:{}", mailer.host, mailer.port);
    let io = |source| SmtpError::Io { server: server.clone(), source };
    let deadline = Instant::now() + limit;
    let stream = connect(mailer, deadline).map_err(io)?;
    let mut talk = Talk { server: server.clone(), stream: BufReader::new(stream), deadline };
    talk.expect("the greeting", 2)?;
    let hello: String = hello.chars().filter(char::is_ascii_graphic).collect();
    let hello = if hello.is_empty() { "localhost" } else { &hello };
    let offers = match talk.ask("EHLO", &format!("EHLO {hello}"), 2) {
        Ok(offers) => offers,
        Err(SmtpError::Refused { .. }) => talk.ask("HELO", &format!("HELO {hello}"), 2)?,
        Err(error) => return Err(error),
    };
    if let Some((user, password)) = &mailer.login {
        talk.login(user, password, &offers)?;
    }
    talk.ask("MAIL FROM", &format!("MAIL FROM:<{}>", mailer.sender), 2)?;
    let mut refused = None;
    let mut accepted = 0;
    for recipient in &mailer.recipients {
        match talk.ask("RCPT TO", &format!("RCPT TO:<{recipient}>"), 2) {
            Ok(_) => accepted += 1,
            Err(error @ SmtpError::Refused { .. }) => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    if let (0, Some(error)) = (accepted, refused) {
        return Err(error);
    }
    talk.ask("DATA", "DATA", 3)?;
    talk.ask("the mail", &format!("{}.", stuffed(&message(mailer, mail, now))), 2)?;
    // It has the mail; what it says to this changes nothing.
    let _ = talk.ask("QUIT", "QUIT", 2);
    Ok(())
}

fn connect(mailer: &Mailer, deadline: Instant) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address");
    for address in (mailer.host.as_str(), mailer.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

struct Talk {
    server: String,
    stream: BufReader<TcpStream>,
    deadline: Instant,
}

impl Talk {
    /// Says a line and takes the reply, whose first digit must be this.
    fn ask(&mut self, command: &'static str, line: &str, digit: u8) -> Result<Vec<String>, SmtpError> {
        let said = left(self.deadline).and_then(|left| {
            self.stream.get_ref().set_write_timeout(Some(left))?;
            self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes())
        });
        said.map_err(|source| SmtpError::Io { server: self.server.clone(), source })?;
        self.expect(command, digit)
    }

    fn expect(&mut self, command: &'static str, digit: u8) -> Result<Vec<String>, SmtpError> {
        let reply = self.reply().map_err(|source| SmtpError::Io { server: self.server.clone(), source })?;
        if reply.first().is_some_and(|line| line.starts_with(char::from(b'0' + digit))) {
            return Ok(reply);
        }
        let reply = reply.join(" ");
        Err(SmtpError::Refused { server: self.server.clone(), command, reply })
    }

    /// The lines of a reply; all but the last have a `-` behind the code.
    fn reply(&mut self) -> std::io::Result<Vec<String>> {
        let mut lines = Vec::new();
        while lines.len() < REPLY_LINES {
            self.stream.get_ref().set_read_timeout(Some(left(self.deadline)?))?;
            let mut line = Vec::new();
            self.stream.by_ref().take(REPLY_LINE).read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let more = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !more {
                break;
            }
        }
        Ok(lines)
    }

    fn login(&mut self, user: &str, password: &str, offers: &[String]) -> Result<(), SmtpError> {
        let auth = |line: &&String| line.get(4..8).is_some_and(|word| word.eq_ignore_ascii_case("AUTH"));
        let offers = offers.iter().find(auth).map(|line| line.to_ascii_uppercase()).unwrap_or_default();
        let offers = |way: &str| offers.split([' ', '=']).any(|word| word == way);
        if offers("PLAIN") {
            let word = STANDARD.encode(format!("\0{user}\0{password}"));
            self.ask("AUTH PLAIN", &format!("AUTH PLAIN {word}"), 2)?;
        } else if offers("LOGIN") {
            self.ask("AUTH LOGIN", "AUTH LOGIN", 3)?;
            self.ask("AUTH LOGIN", &STANDARD.encode(user), 3)?;
            self.ask("AUTH LOGIN", &STANDARD.encode(password), 2)?;
        } else {
            return Err(SmtpError::NoLogin { server: self.server.clone() });
        }
        Ok(())
    }
}

/// Header and body, lines ended by `\r\n`.
pub(super) fn message(mailer: &Mailer, mail: &Mail, now: UnixTime) -> String {
    let plain = mail.body.is_ascii()
        && !mail.body.contains(|letter: char| letter.is_control() && letter != '\n' && letter != '\t')
        && mail.body.lines().all(|line| line.len() <= PLAIN_LINE);
    let (charset, encoding) = if plain { ("us-ascii", "7bit") } else { ("utf-8", "base64") };
    let date = jiff::Timestamp::from_microsecond(now.micros()).unwrap_or_default();
    let mut text = format!(
        "Subject: {}\r\nFrom: {} <{}>\r\nTo: {}\r\nDate: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=\"{charset}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n",
        header(&mail.subject),
        phrase(&mailer.sender_name),
        mailer.sender,
        mailer.recipients.join(", "),
        date.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    );
    if plain {
        for line in mail.body.lines() {
            let _ = write!(text, "{line}\r\n");
        }
    } else {
        let body = STANDARD.encode(mail.body.replace('\n', "\r\n"));
        let mut rest = &*body;
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(76));
            let _ = write!(text, "{line}\r\n");
            rest = more;
        }
    }
    text
}

/// A header's text in one line, or in encoded words when it is not plain or too long (RFC 2047).
fn header(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.is_ascii() && !text.contains("=?") && text.len() <= PLAIN_LINE {
        return text;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for letter in text.chars() {
        if word.len() + letter.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter);
    }
    words.push(word);
    let encoded = words.iter().map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

/// A name before an address: in quotes when it holds anything special.
fn phrase(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '-' | '_' | '\'');
    match header(name) {
        text if text.starts_with("=?") || text.chars().all(plain) => text,
        text => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

/// A line that begins with a dot gets another one (RFC 5321 §4.5.2).
pub(super) fn stuffed(message: &str) -> String {
    let text = message.replace("\r\n.", "\r\n..");
    if text.starts_with('.') { format!(".{text}") } else { text }
}
