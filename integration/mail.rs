//! Real attacks on a real Postfix and Dovecot: per kind of attack, what the jails find (`integration/mail/attacks.toml`).

use std::collections::{BTreeMap, HashMap};
use std::fs;

use serde::Deserialize;

use crate::shipped::{self, Judge};

/// The network of the attackers.
const ATTACKERS: &str = "10.77.9.";

#[derive(Deserialize)]
struct Attacks {
    /// How many addresses ran each kind.
    runs: u32,
    /// `lines`, then `jail[mode]`.
    columns: Vec<String>,
    /// In the order in which each address ran them; the last, `other`, is for what is left.
    kind: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    name: String,
    what: String,
    /// Failed logins of one run.
    #[serde(default)]
    logins: u32,
    /// Whether Postfix asked Dovecot, whose line then has no session.
    #[serde(default)]
    asks_dovecot: bool,
    debian12: Vec<u32>,
    debian13: Vec<u32>,
}

impl Attacks {
    fn read() -> Self {
        toml::from_str(&fs::read_to_string(shipped::path("integration/mail/attacks.toml")).unwrap()).unwrap()
    }

    /// A filter for each column behind `lines`.
    fn judges(&self) -> Vec<Judge> {
        let judge = |column: &String| {
            let (jail, mode) = column.strip_suffix(']').unwrap().split_once('[').unwrap();
            shipped::jail(jail).judge(mode)
        };
        self.columns[1..].iter().map(judge).collect()
    }
}

/// Tells which kind of attack left a line: each address made one connection per kind, in the order of the kinds.
struct Attribution<'a> {
    attacks: &'a Attacks,
    /// Connection → kind, by address and what marks the connection.
    connections: HashMap<String, usize>,
    /// Connections so far, by address.
    made: HashMap<String, usize>,
    /// Program and process id → kind of the connection that it serves.
    serving: HashMap<String, usize>,
    /// Queue id → kind.
    queued: HashMap<String, usize>,
    /// Dovecot's session → kind.
    sessions: HashMap<String, usize>,
    /// Auth lines without a session so far, by address.
    asked: HashMap<String, usize>,
}

impl<'a> Attribution<'a> {
    fn new(attacks: &'a Attacks) -> Self {
        Self {
            attacks,
            connections: HashMap::new(),
            made: HashMap::new(),
            serving: HashMap::new(),
            queued: HashMap::new(),
            sessions: HashMap::new(),
            asked: HashMap::new(),
        }
    }

    /// The kind of this connection, which is the next one where it is new.
    fn connection(&mut self, address: &str, mark: &str) -> usize {
        let made = self.made.entry(address.to_owned()).or_default();
        *self.connections.entry(format!("{address} {mark}")).or_insert_with(|| {
            *made += 1;
            *made - 1
        })
    }

    /// The kind that the line belongs to; the last one where it belongs to none.
    fn kind(&mut self, number: usize, line: &str) -> usize {
        let (program, message) = line.split_once(" mail ").unwrap().1.split_once(": ").unwrap();
        let address = attacker(line);
        let found = if program.contains("/smtpd[") {
            if let (true, Some(address)) = (message.starts_with("connect from "), address) {
                let kind = self.connection(address, &number.to_string());
                self.serving.insert(program.to_owned(), kind);
            } else if message.starts_with("connect from ") {
                self.serving.remove(program);
            }
            let kind = self.serving.get(program).copied();
            if let (Some(kind), Some((queue, _))) = (kind, message.split_once(": client=")) {
                self.queued.insert(queue.to_owned(), kind);
            }
            kind
        } else if program.starts_with("postfix/cleanup[") {
            self.queued.get(message.split(':').next().unwrap()).copied()
        } else if program.starts_with("postfix/postscreen[") {
            address.map(|address| {
                let port: String =
                    line.split_once(&format!("{address}]:")).unwrap().1.chars().take(5).collect();
                self.connection(address, &port)
            })
        } else if program.starts_with("dovecot") {
            self.dovecot(line, address)
        } else {
            None
        };
        found.unwrap_or(self.attacks.kind.len() - 1)
    }

    fn dovecot(&mut self, line: &str, address: Option<&str>) -> Option<usize> {
        let is_session = |text: &&str| {
            text.len() == 16 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
        };
        if let Some(session) = line.split(['<', '>']).find(is_session) {
            if let Some(address) = address {
                let kind = self.connection(address, session);
                self.sessions.insert(session.to_owned(), kind);
            }
            return self.sessions.get(session).copied();
        }
        let asked = self.asked.entry(address?.to_owned()).or_default();
        *asked += 1;
        let kinds = self.attacks.kind.iter().enumerate();
        kinds.filter(|(_, kind)| kind.asks_dovecot).nth(*asked - 1).map(|(at, _)| at)
    }
}

/// The attacker's address in the line.
fn attacker(line: &str) -> Option<&str> {
    let rest = &line[line.find(ATTACKERS)?..];
    let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// Counts the lines of each kind in a log, and what each judge finds in them.
fn count(log: &str, attacks: &Attacks, judges: &mut [Judge]) -> Vec<Vec<u32>> {
    let text = fs::read_to_string(shipped::path(format!("integration/mail/mail-{log}.log"))).unwrap();
    let mut attribution = Attribution::new(attacks);
    let mut got = vec![vec![0; judges.len() + 1]; attacks.kind.len()];
    for (number, line) in text.lines().enumerate() {
        let row = &mut got[attribution.kind(number, line)];
        row[0] += 1;
        for (judge, count) in judges.iter_mut().zip(&mut row[1..]) {
            if let Some(address) = judge.failed(line) {
                assert!(
                    [attacker(line), Some("127.0.0.1")].contains(&Some(&*address)),
                    "{address} failed in: {line}"
                );
                *count += 1;
            }
        }
    }
    let made = BTreeMap::from_iter(attribution.made);
    let kinds = attacks.kind.len() - 1;
    assert!(
        made.len() == attacks.runs as usize && made.values().all(|&made| made == kinds),
        "{log}: connections {made:?}"
    );
    assert_eq!(got.iter().map(|row| row[0]).sum::<u32>() as usize, text.lines().count(), "{log}: all lines");
    got
}

/// What is wrong with two judges, of Postfix and of Dovecot: failed logins that neither finds, good ones that either does.
pub(crate) fn logins(log: &str, judges: &mut [Judge]) -> Vec<String> {
    let attacks = Attacks::read();
    let got = count(log, &attacks, judges);
    attacks.kind.iter().zip(&got).flat_map(|(kind, got)| kind.faults(got, attacks.runs)).collect()
}

impl Kind {
    fn faults(&self, got: &[u32], runs: u32) -> Vec<String> {
        let mut faults = Vec::new();
        let Self { name, what, .. } = self;
        if got[1] + got[2] < self.logins * runs {
            faults.push(format!("{name} ({what}): a failed login was not found"));
        }
        if name.starts_with("ok_") && got[1..].iter().any(|&count| count > 0) {
            faults.push(format!("{name} ({what}): a good session failed"));
        }
        faults
    }
}

/// Compares a log with its column of the table.
fn compare(log: &str, expected: impl Fn(&Kind) -> &Vec<u32>) {
    let attacks = Attacks::read();
    let got = count(log, &attacks, &mut attacks.judges());
    let mut faults = Vec::new();
    for (kind, got) in attacks.kind.iter().zip(&got) {
        let expected = expected(kind);
        if got != expected {
            faults.push(format!("{} ({}): {got:?}, but the table says {expected:?}", kind.name, kind.what));
        }
        faults.extend(kind.faults(got, attacks.runs));
    }
    assert!(faults.is_empty(), "{log}: {:?}\n{}", attacks.columns, faults.join("\n"));
}

#[test]
fn postfix_37_and_dovecot_23() {
    compare("debian12", |kind| &kind.debian12);
}

#[test]
fn postfix_310_and_dovecot_24() {
    compare("debian13", |kind| &kind.debian13);
}

#[test]
fn no_mode_of_any_jail_fails_a_good_session() {
    let text = fs::read_to_string(shipped::path("integration/mail/success.log")).unwrap();
    let mut faults = Vec::new();
    for jail in shipped::jails().iter().filter(|jail| jail.has_filter()) {
        for mode in jail.modes() {
            let mut judge = jail.judge(&mode);
            let failed = text.lines().filter(|line| judge.failed(line).is_some());
            faults.extend(failed.map(|line| format!("{}[{mode}]: {line}", jail.name)));
        }
    }
    assert!(!text.is_empty() && faults.is_empty(), "{}", faults.join("\n"));
}
