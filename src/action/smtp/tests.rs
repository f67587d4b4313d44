use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::action::template::{Hostnames, JailFacts};
use crate::id::Id;

const LONG: Duration = Duration::from_secs(60);
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

fn mailer(options: &[(&str, &str)]) -> Result<Mailer, MailerError> {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Mailer::new(&Definition { name: "smtp".into(), file: FILE.into(), options: options.collect() })
}

fn ticket(id: &str) -> Ticket {
    Ticket {
        id: Some(Id::parse(id)),
        failures: 3,
        ban_time: 600,
        matches: vec!["line one".into(), ".line $(two)".into()],
        jail: JailFacts { name: "sshd".into(), ..JailFacts::default() },
        host: Arc::new(Hostnames { full: "host.example".to_owned(), short: "host".to_owned() }),
        ..Ticket::default()
    }
}

/// A server for one mail: `answers` by the command's first word, else 250. What it was told, line by line.
fn server(answers: &'static [(&'static str, &'static str)]) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = move |line: &str| {
        let known = answers.iter().find(|(begin, _)| line.starts_with(begin));
        known.map_or(if line == "DATA" { "354 go on" } else { "250 fine" }, |(_, answer)| *answer)
    };
    let serve = move |mut stream: TcpStream| {
        stream.set_nodelay(true).unwrap();
        let mut told = Vec::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut data = false;
        write!(stream, "220-hello\r\n220 there\r\n").unwrap();
        while let Some(Ok(line)) = lines.next() {
            let ends = data && line == ".";
            if !data || ends {
                let reply = if ends { "250 queued" } else { answer(&line) };
                data = !ends && line == "DATA" && reply.starts_with('3');
                if write!(stream, "{reply}\r\n").is_err() {
                    break;
                }
            }
            told.push(line);
        }
        told
    };
    (port, std::thread::spawn(move || serve(listener.accept().unwrap().0)))
}

#[test]
fn a_mail_arrives() {
    let (port, told) =
        server(&[("EHLO", "250-there\r\n250 AUTH LOGIN PLAIN"), ("RCPT TO:<nobody", "550 no")]);
    let host = format!("127.0.0.1:{port}");
    let options = [
        ("host", &*host),
        ("dest", "root, nobody@x"),
        ("user", "me"),
        ("password", "pw"),
        ("matches", "matches"),
    ];
    let mailer = mailer(&options).unwrap();
    let mail = mailer.mail(Task::Ban, &ticket("192.0.2.1")).unwrap();
    mailer.send(&mail, "host.example", NOW, LONG).unwrap();
    assert_eq!(
        told.join().unwrap(),
        [
            "EHLO host.example",
            "AUTH PLAIN AG1lAHB3",
            "MAIL FROM:<fail2ban>",
            "RCPT TO:<root>",
            "RCPT TO:<nobody@x>",
            "DATA",
            "Subject: [Fail2Ban] sshd: banned 192.0.2.1 from host.example",
            "From: Fail2Ban <fail2ban>",
            "To: root, nobody@x",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=\"us-ascii\"",
            "Content-Transfer-Encoding: 7bit",
            "",
            "192.0.2.1 is banned for 600 seconds, after 3 failures in the jail sshd.",
            "",
            "The lines that led to it:",
            "line one",
            "..line $(two)",
            ".",
            "QUIT",
        ]
    );
}

#[test]
fn refusals_are_said_in_the_servers_words() {
    for (answers, options, want) in [
        (&[("RCPT", "550 5.1.1 no such user")][..], &[][..], "answers RCPT TO with `550 5.1.1 no such user`"),
        (&[("MAIL", "451 later")], &[], "answers MAIL FROM with `451 later`"),
        (&[("EHLO", "500 what"), ("HELO", "421 full")], &[], "answers EHLO with `421 full`"),
        (&[], &[("user", "me"), ("password", "pw")], "offers neither AUTH PLAIN nor AUTH LOGIN"),
        (
            &[("EHLO", "250 AUTH LOGIN"), ("AUTH", "334 x"), ("bWU=", "535 no")],
            &[("user", "me"), ("password", "pw")],
            "answers AUTH LOGIN with `535 no`",
        ),
        (&[("DATA", "554 no")], &[], "answers DATA with `554 no`"),
    ] {
        let (port, told) = server(answers);
        let host = format!("127.0.0.1:{port}");
        let options: Vec<_> = options.iter().copied().chain([("host", &*host)]).collect();
        let mailer = mailer(&options).unwrap();
        let error =
            mailer.send(&mailer.mail(Task::Start, &ticket("x")).unwrap(), "h", NOW, LONG).unwrap_err();
        let told = told.join().unwrap();
        let want = want.replace("EHLO with `421", "HELO with `421");
        assert!(error.to_string().ends_with(&want), "{error}: {told:?}");
    }
}

#[test]
fn a_silent_or_missing_server_costs_the_limit_at_most() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mail = Mail { subject: String::new(), body: String::new() };
    let to = |host: &str| mailer(&[("host", host)]).unwrap();
    let error = to(&address.to_string()).send(&mail, "h", NOW, Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, SmtpError::Io { .. }), "{error}");
    drop(silent);
    let error = to(&address.to_string()).send(&mail, "h", NOW, LONG).unwrap_err();
    assert!(error.to_string().starts_with(&address.to_string()), "{error}");
}

#[test]
fn arguments() {
    let wrong = |options: &[(&str, &str)]| mailer(options).unwrap_err().to_string();
    for (options, want) in [
        (
            &[("hots", "x")][..],
            "smtp.py has no argument `hots`: known are host, user, password, sendername, sender, dest, matches",
        ),
        (&[("ssl", "True")], "smtp.py: ssl is not built in: send by a relay on this host, which can use it"),
        (&[("host", "x:y")], "smtp.py: host: `x:y` is neither a host nor host:port"),
        (&[("dest", "a@b, c>\n")], "smtp.py: dest: `c>` is no mail address"),
        (&[("sender", "a b")], "smtp.py: sender: `a b` is no mail address"),
    ] {
        assert_eq!(wrong(options), want);
    }
    for (host, want) in [
        ("mail", ("mail", 25)),
        ("mail:587", ("mail", 587)),
        ("[::1]:26", ("::1", 26)),
        ("::1", ("::1", 25)),
        ("[::1]", ("::1", 25)),
    ] {
        let mailer = mailer(&[("host", host), ("ssl", "False")]).unwrap();
        assert_eq!((&*mailer.host, mailer.port), want, "{host}");
    }
}

#[test]
fn who_is_told_of_what() {
    let mailer = mailer(&[]).unwrap();
    let about = |task| mailer.mail(task, &ticket("192.0.2.1")).map(|mail| mail.subject);
    assert_eq!(about(Task::Start).as_deref(), Some("[Fail2Ban] sshd: started on host.example"));
    assert_eq!(about(Task::Stop).as_deref(), Some("[Fail2Ban] sshd: stopped on host.example"));
    assert_eq!((about(Task::Unban), about(Task::Check), about(Task::Flush)), (None, None, None));
    let restored = Ticket { restored: true, ..ticket("192.0.2.1") };
    assert_eq!(mailer.mail(Task::Ban, &restored), None);
}

proptest! {
    /// Whatever an id or a line holds: no header and no end of the mail is its own, and the body is what it was.
    #[test]
    fn no_value_becomes_a_header_or_a_command(text in "(?s).{0,60}") {
        let mailer = mailer(&[("sendername", &text), ("matches", "matches")]).unwrap();
        let mut hostile = ticket(&text);
        hostile.matches = vec![text.as_str().into()];
        let mail = mailer.mail(Task::Ban, &hostile).unwrap();
        let sent = client::stuffed(&client::message(&mailer, &mail, NOW));
        prop_assert!(!sent.replace("\r\n", "").contains(['\r', '\n']));
        let (head, body) = sent.split_once("\r\n\r\n").unwrap();
        let names: Vec<&str> =
            head.lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(':').next()).collect();
        prop_assert_eq!(
            names,
            ["Subject", "From", "To", "Date", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"]
        );
        prop_assert!(body.lines().all(|line| !line.starts_with('.') || line.starts_with("..")));
        prop_assert!(sent.lines().all(|line| line.len() <= 998));
        if head.ends_with("base64") {
            let decoded = STANDARD.decode(body.replace("\r\n", "")).unwrap();
            prop_assert_eq!(String::from_utf8(decoded).unwrap(), mail.body.replace('\n', "\r\n"));
        } else {
            let unstuffed = format!("\r\n{body}").replace("\r\n..", "\r\n.").replace("\r\n", "\n");
            prop_assert_eq!(&unstuffed[1..], mail.body);
        }
    }
}
