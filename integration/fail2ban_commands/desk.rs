//! The daemon on a small tree, and a client of Fail2Ban's to speak to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use crate::lab::{Lab, until};

const JAILS: &str = "[DEFAULT]
backend = polling
maxretry = 3
findtime = 10m
bantime = 10m
usedns = no
ignoreself = false
[one]
enabled = true
filter = simple
logpath = @ROOT@/logs/one.log
action = rec[name=one]
[two]
enabled = true
filter = simple
logpath = @ROOT@/logs/two.log
action = rec[name=two]
";

const FILTER: &str = "[Definition]
failregex = ^\\s*bad <HOST> user <F-USER>\\S+</F-USER>$
datepattern = {^LN-BEG}
";

const ACTION: &str = "[Definition]
actionstart = echo \"start <name>\" >> @ROOT@/acts
actionstop = echo \"stop <name>\" >> @ROOT@/acts
actionban = echo \"ban <name> <ip> <matches>\" >> @ROOT@/acts
actionunban = echo \"unban <name> <ip>\" >> @ROOT@/acts
[Init]
name = default
";

const SERVER: &str = "[Definition]
loglevel = INFO
logtarget = STDOUT
socket = @ROOT@/stockade.sock
pidfile = @ROOT@/stockade.pid
dbfile = @ROOT@/stockade.sqlite3
";

/// The client of Debian's package.
pub(super) const DEBIANS: &str = "/usr/bin/fail2ban-client";

/// The daemon on a tree, and a client of Fail2Ban's.
pub(super) struct Desk {
    pub(super) lab: Lab,
}

impl Desk {
    pub(super) fn new() -> Self {
        let lab = Lab::alone();
        fs::create_dir_all(lab.path("etc/filter.d")).unwrap();
        fs::create_dir_all(lab.path("etc/action.d")).unwrap();
        fs::create_dir(lab.path("bin")).unwrap();
        for name in ["fail2ban-client", "fail2ban-server"] {
            symlink(env!("CARGO_BIN_EXE_stockade"), lab.path("bin").join(name)).unwrap();
        }
        let desk = Self { lab };
        for (name, text) in [
            ("jail.conf", JAILS),
            ("filter.d/simple.conf", FILTER),
            ("action.d/rec.conf", ACTION),
            ("fail2ban.conf", SERVER),
        ] {
            desk.file(name, text);
        }
        for log in ["one", "two", "three"] {
            desk.lab.write(&format!("logs/{log}.log"), "");
        }
        desk
    }

    pub(super) fn running() -> Self {
        let mut desk = Self::new();
        desk.lab.start(&[]);
        desk
    }

    /// Debian's client, with a server of ours beside it that it will start.
    pub(super) fn debians() -> Self {
        let desk = Self::new();
        let client = desk.lab.path("bin/fail2ban-client");
        fs::remove_file(&client).unwrap();
        fs::copy(DEBIANS, &client).unwrap();
        desk.file("jail.local", "");
        desk
    }

    /// Writes a file of the tree.
    pub(super) fn file(&self, name: &str, text: &str) {
        let root = self.lab.path("").display().to_string();
        self.lab.write(&format!("etc/{name}"), &text.replace("@ROOT@", root.trim_end_matches('/')));
    }

    pub(super) fn client(&self, words: &[&str]) -> Output {
        let mut command: Command = self.lab.program(&self.lab.path("bin/fail2ban-client"));
        command.arg("-c").arg(self.lab.path("etc")).arg("-s").arg(self.lab.path("stockade.sock"));
        command.arg("-p").arg(self.lab.path("stockade.pid")).args(words);
        command.output().unwrap()
    }

    /// What the client prints; it must succeed.
    pub(super) fn say(&self, words: &str) -> String {
        self.words(&words.split(' ').collect::<Vec<_>>())
    }

    pub(super) fn words(&self, words: &[&str]) -> String {
        let output = self.client(words);
        assert!(output.status.success(), "{words:?}: {output:?}\n{}", self.lab.log());
        String::from_utf8(output.stdout).unwrap().trim_end_matches('\n').to_owned()
    }

    /// What the client prints on both streams; it must fail.
    pub(super) fn refused(&self, words: &str) -> (String, String) {
        let output = self.client(&words.split(' ').collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(255), "{words}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    }

    /// Lines in a jail's log.
    pub(super) fn fail(&self, log: &str, lines: &[&str]) {
        for line in lines {
            let time = jiff::Zoned::now().strftime("%F %T").to_string();
            self.lab.append(&format!("logs/{log}.log"), &format!("{time} {line}\n"));
        }
    }

    pub(super) fn banned(&self, jail: &str) -> String {
        self.say(&format!("get {jail} banip"))
    }

    /// A number of the status.
    pub(super) fn number(&self, jail: &str, what: &str) -> u64 {
        let status = self.say(&format!("status {jail}"));
        let line = status.lines().find_map(|line| line.split_once(&format!("{what}:\t")));
        line.unwrap_or_else(|| panic!("{what} in {status}")).1.parse().unwrap()
    }

    pub(super) fn until_banned(&self, jail: &str, ids: &str) {
        until(&format!("{ids} banned in {jail}"), || self.banned(jail) == ids);
    }

    pub(super) fn until_failed(&self, jail: &str, times: u64) {
        until(&format!("{times} failures in {jail}"), || self.number(jail, "Total failed") == times);
    }

    pub(super) fn acts(&self) -> String {
        fs::read_to_string(self.lab.path("acts")).unwrap_or_default()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.client(&["stop"]);
    }
}
