//! The victim of a storm, and what is left of it: on disk, in the log, with the commands that were told.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use stockade::store::Store;
use stockade::time::UnixTime;

use super::input::LOGS;
use crate::lab::{Lab, read, until};

/// What is left when all is over; two runs of one input leave the same.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Who is banned, as `jail address`, by the store: with the number of bans, of rows of history, and of failures.
    bans: BTreeMap<String, (i64, i64, u32)>,
    /// Whose failures are still counted, by the store.
    counters: BTreeMap<String, u32>,
    /// How often the log says that a ban begins.
    said: BTreeMap<String, usize>,
    /// How often the command was run for a new ban: once, or never when it was put off by a kill.
    fresh: BTreeMap<String, usize>,
}

/// The jails of a storm: `sshd` as it is shipped, `web` with a command, and `recidive`, which reads the daemon's own log.
const JAILS: [&str; 3] = [LOGS[0], LOGS[1], "recidive"];

/// A victim who has read the first lines of its logs and was stopped.
pub(super) fn victim() -> Lab {
    let mut lab = Lab::new(&[]);
    let path = |name: &str| lab.path(name).display().to_string();
    let (sshd, web, own) = (path("logs/sshd.log"), path("logs/web.log"), path("stockade.log"));
    lab.write("etc/stockade.toml", &format!("[daemon]\nlog_target = \"{own}\"\nstore_matches = 1\n"));
    let times = "max_retry = 3\nfind_time = \"1h\"\nban_time = \"1d\"\n";
    lab.write("etc/jails.d/sshd.toml", &format!("[jail.sshd]\nenabled = true\nlogs = [\"{sshd}\"]\n{times}"));
    lab.write(
        "etc/jails.d/web.toml",
        &format!(
            "[jail.web]\nenabled = true\nlogs = [\"{web}\"]\n{times}\
             [jail.web.filter]\npatterns = ['''^ web: login failed from <HOST>$''']\n\
             [[jail.web.actions]]\nname = \"tell\"\nban = '''echo <ip> <restored> >> calls'''\nrestored = false\n"
        ),
    );
    lab.write(
        "etc/jails.d/recidive.toml",
        &format!("[jail.recidive]\nenabled = true\nlogs = [\"{own}\"]\nmax_retry = 2\n"),
    );
    for log in LOGS {
        lab.append(&format!("logs/{log}.log"), "");
    }
    lab.start(&[]);
    for log in LOGS {
        lab.append(&format!("logs/{log}.log"), "nothing of interest\n");
        lab.until_lines(log, 1);
    }
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", log(&lab));
    lab
}

/// All that the daemon has logged.
pub(super) fn log(lab: &Lab) -> String {
    read(&lab.path("stockade.log")) + &lab.log()
}

/// Waits until everything was read, these are banned and the command was told of all of `web`'s; ends the daemon in peace,
/// and looks at what is left.
pub(super) fn settled(lab: &mut Lab, banned: &BTreeSet<String>) -> Outcome {
    until("the daemon is ready", || lab.is_ready());
    let mut left = BTreeSet::new();
    let all = || {
        let now: BTreeSet<String> = JAILS.into_iter().flat_map(|jail| in_force(lab, jail)).collect();
        left = banned.symmetric_difference(&now).cloned().collect();
        let told = fresh(lab);
        let is_told =
            |who: &String| who.strip_prefix("web ").is_none_or(|address| told.contains_key(address));
        left.is_empty() && JAILS.into_iter().all(|jail| is_read(lab, jail)) && banned.iter().all(is_told)
    };
    patiently(all).unwrap_or_else(|| panic!("not as it must be: {left:?}\n{}", log(lab)));
    assert_eq!(lab.end(libc::SIGTERM).code(), Some(0), "{}", log(lab));
    outcome(lab)
}

fn patiently(mut condition: impl FnMut() -> bool) -> Option<()> {
    for _ in 0..600 {
        if condition() {
            return Some(());
        }
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
    None
}

/// Bans that the kernel has confirmed.
fn in_force(lab: &Lab, jail: &str) -> Vec<String> {
    let enforced = |ban: String| ban.strip_suffix(" enforced").map(|address| format!("{jail} {address}"));
    lab.banned(jail).into_iter().filter_map(enforced).collect()
}

fn is_read(lab: &Lab, jail: &str) -> bool {
    let file = &lab.status(jail)["files"][0];
    let size = fs::metadata(file["path"].as_str().unwrap_or_default()).map_or(0, |file| file.len());
    file["offset"] == size
}

fn outcome(lab: &Lab) -> Outcome {
    let now = UnixTime::from_secs(jiff::Timestamp::now().as_second());
    let mut store = Store::open(&lab.path("stockade.sqlite3"), now).unwrap().store;
    let (mut bans, mut counters) = (BTreeMap::new(), BTreeMap::new());
    for jail in JAILS {
        let saved = store.load(jail, now).unwrap();
        let each = saved
            .bans
            .iter()
            .map(|ban| (format!("{jail} {}", ban.id), (i64::from(ban.count), 0, ban.failures)));
        bans.extend(each);
        counters.extend(saved.counters.iter().map(|(id, record)| (format!("{jail} {id}"), record.failures)));
    }
    drop(store);
    let sqlite = rusqlite::Connection::open(lab.path("stockade.sqlite3")).unwrap();
    let mut rows = sqlite.prepare("SELECT jail || ' ' || ip, count(*) FROM bans GROUP BY 1").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    for (who, count) in rows.map(Result::unwrap) {
        bans.entry(who).or_default().1 = count;
    }
    let mut said = BTreeMap::new();
    for line in read(&lab.path("stockade.log")).lines() {
        let ban = line.split_once(" NOTICE ").and_then(|(_, ban)| ban.trim_start().strip_prefix('['));
        if let Some((jail, address)) = ban.and_then(|ban| ban.split_once("] Ban ")) {
            *said.entry(format!("{jail} {address}")).or_default() += 1;
        }
    }
    Outcome { bans, counters, said, fresh: fresh(lab) }
}

/// Whom the command was told of, and how often as of a new ban.
fn fresh(lab: &Lab) -> BTreeMap<String, usize> {
    let mut fresh = BTreeMap::new();
    for (address, restored) in read(&lab.path("calls")).lines().filter_map(|call| call.split_once(' ')) {
        *fresh.entry(address.to_owned()).or_default() += usize::from(restored == "0");
    }
    fresh
}

impl Outcome {
    /// Everyone whom a command was to be told of was told of.
    pub(super) fn told(&self) -> BTreeSet<String> {
        self.fresh.keys().cloned().collect()
    }

    /// What is another than in a run that nobody disturbed, each with both values.
    pub(super) fn differs_from(&self, undisturbed: &Self) -> Vec<String> {
        let mut found = Vec::new();
        compare("bans", &self.bans, &undisturbed.bans, &mut found);
        compare("counters", &self.counters, &undisturbed.counters, &mut found);
        compare("said", &self.said, &undisturbed.said, &mut found);
        if self.told() != undisturbed.told() {
            found.push(format!("told: {:?}, but {:?}", self.told(), undisturbed.told()));
        }
        found.extend(
            self.fresh
                .iter()
                .filter(|(_, times)| **times > 1)
                .map(|(who, times)| format!("told {who} {times} times")),
        );
        found
    }
}

fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &BTreeMap<String, T>,
    want: &BTreeMap<String, T>,
    found: &mut Vec<String>,
) {
    let all: BTreeSet<_> = got.keys().chain(want.keys()).collect();
    for who in all {
        let (got, want) = (got.get(who), want.get(who));
        if got != want {
            found.push(format!("{what}: {who}: {got:?}, undisturbed {want:?}"));
        }
    }
}
