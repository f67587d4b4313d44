//! Whatever an attacker writes into a log, nobody but himself fails, and he does not get away either.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use stockade::filter::Outcome;
use stockade::id::Id;

use crate::shipped::{self, Judge};

const ATTACKER: &str = "192.0.2.1";

/// What attackers would put together to name 203.0.113.9.
const PIECES: &[&str] = &[
    "203.0.113.9",
    " from 203.0.113.9",
    " from 203.0.113.9 port 22 ssh2",
    " 203.0.113.9 port 22",
    " [preauth]",
    "'",
    "Failed password for ",
    "Invalid user ",
    "invalid user ",
    "illegal user ",
    "authenticating user ",
    "sshd[1]: ",
    " not allowed because not listed in AllowUsers",
    " rhost=203.0.113.9",
    "Connection closed by ",
    "error: PAM: ",
    "unknown[203.0.113.9]",
    "[203.0.113.9]:25",
    "warning: ",
    ": SASL LOGIN authentication failed: ",
    "NOQUEUE: ",
    "reject: RCPT from ",
    ": 554 5.7.1 <x>: Relay access denied",
    " blocked using ",
    ", sasl_username=",
    "lost connection",
    " after AUTH from ",
    "Connection lost to authentication server",
    "dovecot: ",
    "auth: passwd-file(",
    ",203.0.113.9",
    ",<AAAAAAAAAAAAAAA9>",
    "): unknown user",
    "): Password mismatch (given password: ",
    ",sasl:plain)",
    "user=<",
    ">, method=PLAIN, rip=203.0.113.9, lip=198.51.100.1",
    ", session=<",
    "imap-login: Disconnected (auth failed, 1 attempts): ",
    " Ban 203.0.113.9",
    "NOTICE  [sshd]",
    "fail2ban.actions        [1]: ",
    "Nov 22 13:17:48 ",
    "2026-11-22T13:17:48Z ",
    " ",
    ",",
    ";",
    ":",
    "<",
    ">",
    "(",
    ")",
    "[",
    "]",
    "x",
    "\u{e9}",
    "\0",
];

/// A line as the service writes it: `{}` is the attacker's text, `#` the connection. `!` in front: it is his failure
/// in the jail's own mode, whatever the text is.
const LINES: &[(&str, &[&str])] = &[
    (
        "sshd",
        &[
            "!Nov 22 13:17:48 box sshd[#]: Failed password for invalid user {} from 192.0.2.1 port 4242 ssh2",
            "!Nov 22 13:17:48 box sshd[#]: Invalid user {} from 192.0.2.1 port 4242",
            "Nov 22 13:17:48 box sshd[#]: Connection closed by invalid user {} 192.0.2.1 port 4242 [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Disconnected from invalid user {} 192.0.2.1 port 4242 [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Disconnecting invalid user {} 192.0.2.1 port 4242: Too many authentication failures [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Received disconnect from 192.0.2.1 port 4242:11: {} [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Bad protocol version identification '{}' from 192.0.2.1 port 4242",
            "Nov 22 13:17:48 box sshd[#]: Unable to negotiate with 192.0.2.1 port 4242: no matching cipher found. Their offer: {} [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Protocol major versions differ for 192.0.2.1 port 4242: SSH-2.0-OpenSSH vs. {}",
            "Nov 22 13:17:48 box sshd[#]: error: kex_exchange_identification: client sent invalid protocol identifier \"{}\"",
            "Nov 22 13:17:48 box sshd[#]: error: PAM: Authentication failure for illegal user {} from 192.0.2.1",
            "Nov 22 13:17:48 box sshd[#]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user={}",
            "Nov 22 13:17:48 box sshd[#]: error: maximum authentication attempts exceeded for invalid user {} from 192.0.2.1 port 4242 ssh2 [preauth]",
            "Nov 22 13:17:48 box sshd[#]: Failed publickey for invalid user {} from 192.0.2.1 port 4242 ssh2: RSA-CERT SHA256:x ID {} (serial 0) CA RSA SHA256:y",
            "Nov 22 13:17:48 box cron[#]: {}",
        ],
    ),
    (
        "postfix",
        &[
            "!Nov 22 13:17:48 mail postfix/smtpd[#]: warning: unknown[192.0.2.1]: SASL LOGIN authentication failed: (reason unavailable), sasl_username={}",
            "!Nov 22 13:17:48 mail postfix/smtpd[#]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 <{}>: Relay access denied; from=<{}> to=<{}> proto=ESMTP helo=<{}>",
            "Nov 22 13:17:48 mail postfix/smtpd[#]: NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 450 4.2.0 <{}>: Recipient address rejected: Greylisted; from=<{}> to=<{}> proto=ESMTP helo=<{}>",
            "Nov 22 13:17:48 mail postfix/smtpd[#]: improper command pipelining after DATA from unknown[192.0.2.1]: {}",
            "Nov 22 13:17:48 mail postfix/smtpd[#]: warning: non-SMTP command from unknown[192.0.2.1]: {}",
            "Nov 22 13:17:48 mail postfix/smtpd[#]: warning: Illegal address syntax from unknown[192.0.2.1] in RCPT command: <{}>",
            "Nov 22 13:17:48 mail postfix/postscreen[2]: PREGREET 14 after 0 from [192.0.2.1]:#: {}",
            "Nov 22 13:17:48 mail postfix/postscreen[2]: NON-SMTP COMMAND from [192.0.2.1]:# after CONNECT: {}",
            "Nov 22 13:17:48 mail postfix/cleanup[#]: D7A2B9D2432: warning: header Subject: {} from unknown[192.0.2.1]; from=<a> to=<b> proto=ESMTP helo=<{}>",
        ],
    ),
    (
        "dovecot",
        &[
            "!Nov 22 13:17:48 mail dovecot: imap-login: Disconnected (auth failed, 1 attempts in 2 secs): user=<{}>, method=PLAIN, rip=192.0.2.1, lip=198.51.100.200, TLS, session=<S#>",
            "!Nov 22 13:17:48 mail dovecot: pop3-login: Login aborted: Logged out (auth failed, 1 attempts in 0 secs) (auth_failed): user=<{}>, method=PLAIN, rip=192.0.2.1, lip=198.51.100.200, session=<S#>",
            "Nov 22 13:17:48 mail dovecot: imap-login: Login: user=<{}>, method=PLAIN, rip=192.0.2.1, lip=198.51.100.200, mpid=7, TLS, session=<S#>",
            "Nov 22 13:17:48 mail dovecot: auth: passwd-file({},192.0.2.1,<S#>): Password mismatch (given password: {})",
            "Nov 22 13:17:48 mail dovecot: auth: passwd-file({},192.0.2.1,<S#>): unknown user - trying the next passdb",
            "Nov 22 13:17:48 mail dovecot: auth: passwd-file({},192.0.2.1): unknown user (given password: {})",
            "Nov 22 13:17:48 mail dovecot: auth({},192.0.2.1,sasl:plain)<S#>: passwd-file: Password mismatch (given password: {})",
            "Nov 22 13:17:48 mail dovecot: auth({},192.0.2.1,sasl:plain): passwd-file: unknown user (given password: {})",
            "Nov 22 13:17:48 mail dovecot: auth: login(?,192.0.2.1,<S#>): Username character disallowed by auth_username_chars: 0x20 (username: {})",
        ],
    ),
    (
        "recidive",
        &[
            "2026-01-02 03:04:05,678 fail2ban.filter         [#]: INFO    [sshd] Found 192.0.2.1 - {}",
            "2026-01-02 03:04:05,678 fail2ban.actions        [#]: ERROR   [sshd] {}",
        ],
    ),
];

/// A text made of pieces; bytes that a log writer would not let through (line ends) are not among them.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), 0..7).prop_map(|pieces| pieces.concat())
}

fn runner() -> TestRunner {
    TestRunner::new(Config { failure_persistence: None, ..Config::default() })
}

/// Who fails in the line, where the attacker's text and the connection are put in.
fn failed(judge: &mut Judge, line: &str, text: &str, connection: usize) -> Option<(Id, String)> {
    let line = line.trim_start_matches('!').replace('#', &connection.to_string()).replace("{}", text);
    match judge.line(line.as_bytes(), 2026) {
        Outcome::Failure(failure) => Some((failure.id, line)),
        Outcome::Undecided => panic!("undecided: {line}"),
        _ => None,
    }
}

#[test]
fn nobody_else_fails() {
    let attacker = Id::parse(ATTACKER);
    let connections = Cell::new(10_000);
    for (jail, lines) in LINES {
        let jail = shipped::jail(jail);
        for mode in jail.modes() {
            let judge = RefCell::new(jail.judge(&mode));
            // Some lines of one connection, in any order.
            let strategy = prop::collection::vec((prop::sample::select(*lines), text()), 1..6);
            let result = runner().run(&strategy, |session| {
                let connection = connections.replace(connections.get() + 1);
                for (line, text) in session {
                    if let Some((id, line)) = failed(&mut judge.borrow_mut(), line, &text, connection) {
                        prop_assert_eq!(&id, &attacker, "{}[{}]: {}", jail.name, mode, line);
                    }
                }
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn the_attacker_does_not_get_away() {
    let attacker = Id::parse(ATTACKER);
    let connections = Cell::new(10_000);
    for (jail, lines) in LINES {
        let jail = shipped::jail(jail);
        let judge = RefCell::new(jail.judge(jail.mode()));
        for line in lines.iter().filter(|line| line.starts_with('!')) {
            let result = runner().run(&text(), |text| {
                let connection = connections.replace(connections.get() + 1);
                let found = failed(&mut judge.borrow_mut(), line, &text, connection).map(|(id, _)| id);
                prop_assert_eq!(
                    found.as_ref(),
                    Some(&attacker),
                    "{}: {}",
                    jail.name,
                    line.replace("{}", &text)
                );
                Ok(())
            });
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
