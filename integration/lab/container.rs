//! A mail container without an engine: a victim whose programs see files of the test in the places where
//! docker-mailserver has them, and Debian's Fail2Ban tree as docker-mailserver makes it at build and at start.
//!
//! Each command gets a mount namespace of its own with the same bindings: nothing of the host is seen to change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Lab, answer, skip, until};

/// What a container has of its own, and the folder of the lab that stands for it.
const FOLDERS: [(&str, &str); 5] = [
    ("etc", "/etc/fail2ban"),
    ("var-log", "/var/log"),
    ("lib", "/var/lib/fail2ban"),
    ("run", "/run"),
    ("bin", "/usr/local/bin"),
];

/// The names of the program inside.
const NAMES: [&str; 4] = ["fail2ban-server", "fail2ban-client", "fail2ban-regex", "setup"];

/// What docker-mailserver's `jail.local` comes to.
const JAILS: &str = "[DEFAULT]\nbantime = 1w\nfindtime = 1w\nmaxretry = 6\nignoreip = 127.0.0.1/8\n\
    banaction = nftables-allports\n[dovecot]\nenabled = true\n[postfix]\nenabled = true\nmode = extra\n\
    [custom]\nenabled = true\nbantime = 180d\n\
    port = smtp,pop3,pop3s,imap,imaps,submission,submissions,sieve\n";

/// What a user's `fail2ban-jail.cf` holds where docker-mailserver tries it.
pub(crate) const CUSTOM_JAILS: &str =
    "[DEFAULT]\nbantime = 1234\nfindtime = 321\nmaxretry = 2\nbanaction = nftables-multiport\n";

/// A mail server's container.
pub(crate) struct Container {
    pub(crate) lab: Lab,
}

impl Container {
    /// A container and a world with these addresses; none: Debian's Fail2Ban is not there to take its files from.
    pub(crate) fn new(world: &[&str]) -> Option<Self> {
        let debian = Path::new("/etc/fail2ban");
        if !debian.join("filter.d/postfix.conf").exists() {
            skip("Debian's fail2ban package is not installed: docker-mailserver's container was not tried");
            return None;
        }
        let lab = Lab::new(world);
        for (folder, _) in FOLDERS {
            fs::create_dir_all(lab.path(folder)).unwrap();
        }
        let copy = Command::new("cp").arg("-a").arg(debian.join(".")).arg(lab.path("etc")).status().unwrap();
        assert!(copy.success());
        let container = Self { lab };
        container.build();
        Some(container)
    }

    /// What docker-mailserver's image and its start make of Debian's tree.
    fn build(&self) {
        let lab = &self.lab;
        fs::remove_file(lab.path("etc/jail.d/defaults-debian.conf")).unwrap();
        let nftables = fs::read_to_string(lab.path("etc/action.d/nftables.conf")).unwrap();
        let (plain, interval) = (r"\{ type <addr_type>\; \}", r"\{ type <addr_type>\; flags interval\; \}");
        assert!(nftables.contains(plain) || nftables.contains("addr_options"));
        lab.write("etc/action.d/nftables.conf", &nftables.replace(plain, interval));
        lab.write("etc/action.d/nftables-common.local", "[Init]\nblocktype = drop\n");
        lab.write("etc/filter.d/custom.conf", "[Definition]\n");
        lab.write("etc/fail2ban.d/fixes.local", "[Definition]\nallowipv6 = auto;\n");
        lab.write("etc/jail.local", JAILS);
        fs::create_dir_all(lab.path("var-log/mail")).unwrap();
        for log in ["mail.log", "fail2ban.log"] {
            lab.append(&format!("var-log/mail/{log}"), "");
            symlink(format!("/var/log/mail/{log}"), lab.path(&format!("var-log/{log}"))).unwrap();
        }
        for name in NAMES {
            symlink(env!("CARGO_BIN_EXE_stockade"), lab.path(&format!("bin/{name}"))).unwrap();
        }
        let bind =
            |(folder, place): &(&str, &str)| format!("mount --bind {} {place}\n", lab.path(folder).display());
        let binds: String = FOLDERS.iter().map(bind).collect();
        lab.write("enter", &format!("set -e\nmount --make-rprivate /\n{binds}cd /\nexport PATH=/usr/local/bin:$PATH\nexec \"$@\"\n"));
    }

    /// A command inside.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.lab.inside(&self.lab.victim, "unshare");
        command.args(["--mount", "sh"]).arg(self.lab.path("enter")).args(words);
        command
    }

    /// Runs a command inside to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command inside prints, and nothing else; it succeeds.
    pub(crate) fn prints(&self, words: &str) -> String {
        let output = self.run(&words.split(' ').collect::<Vec<_>>());
        assert!(output.status.success() && output.stderr.is_empty(), "{words}: {output:?}\n{}", self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command of the program says, on both its outputs.
    pub(crate) fn said(&self, words: &[&str]) -> String {
        let output = self.stockade(words);
        [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
    }

    /// Runs a command of the program on the container's tree.
    pub(crate) fn stockade(&self, words: &[&str]) -> Output {
        self.run(&[&[env!("CARGO_BIN_EXE_stockade"), "--etc", "/etc/fail2ban"], words].concat())
    }

    /// Whether a command of the program succeeds.
    pub(crate) fn does(&self, words: &[&str]) -> bool {
        self.stockade(words).status.success()
    }

    /// Starts the daemon.
    pub(crate) fn launch(&mut self, wrapper: &[&str]) {
        let command = self.command(&[wrapper, &["fail2ban-server", "-xf", "start"]].concat());
        self.lab.spawn(command);
    }

    /// Starts the daemon and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.launch(&[]);
        self.until_ready();
    }

    pub(crate) fn until_ready(&mut self) {
        until("the daemon is ready", || {
            assert!(!self.lab.is_down(), "the daemon ended:\n{}", self.log());
            answer(&self.stockade(&["status", "--json"]).stdout).is_some_and(|status| status["ready"] == true)
        });
    }

    /// One jail's status.
    pub(crate) fn status(&self, jail: &str) -> Value {
        let output = self.stockade(&["status", jail, "--json"]);
        let status = answer(&output.stdout).unwrap_or_else(|| panic!("{output:?}\n{}", self.log()));
        status["jails"][0].clone()
    }

    /// Who is banned in a jail, each as `address state`.
    pub(crate) fn banned(&self, jail: &str) -> Vec<String> {
        let status = self.status(jail);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let bans = status["bans"].as_array().cloned().unwrap_or_default();
        bans.iter().map(|ban| format!("{} {}", text(&ban["id"]), text(&ban["state"]))).collect()
    }

    /// Waits until this address is banned in this jail and the kernel has confirmed it.
    pub(crate) fn until_banned(&self, jail: &str, address: &str) {
        let want = format!("{address} enforced");
        until(&format!("{address} is banned in {jail}"), || self.banned(jail).contains(&want));
    }

    /// What the daemon has said, to its log and to its outputs.
    pub(crate) fn log(&self) -> String {
        super::read(&self.lab.path("var-log/mail/fail2ban.log")) + &self.lab.log()
    }

    /// Lines for the mail log.
    pub(crate) fn mail(&self, lines: &str) {
        self.lab.append("var-log/mail/mail.log", lines);
    }

    /// One line as `nft list` prints it, without what stands before and behind it.
    pub(crate) fn has_rule(&self, rule: &str) -> bool {
        self.lab.nft("list table inet f2b-table").lines().any(|line| line.trim() == rule)
    }

    /// What a set holds, as `nft list` prints it.
    pub(crate) fn elements(&self, set: &str) -> String {
        let listed = self.lab.nft(&format!("list set inet f2b-table {set}"));
        let elements = listed.split_once("elements = ").map(|(_, rest)| rest.split('}').next().unwrap());
        elements
            .map(|text| format!("{text}}}").split_whitespace().collect::<Vec<_>>().join(" "))
            .unwrap_or_default()
    }
}
