//! The program called as `fail2ban-client`, `fail2ban-server` and `setup`.

mod mistakes;
mod server;
mod setup;
mod theirs;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use crate::lab::{Lab, read, until};

/// A tree whose bans are written into a file, the program under Fail2Ban's names, and what they leave behind.
struct Names {
    lab: Lab,
}

impl Names {
    fn new() -> Self {
        let lab = Lab::new(&[]);
        for folder in ["bin", "f2b/filter.d", "f2b/action.d", "f2b/jail.d"] {
            fs::create_dir_all(lab.path(folder)).unwrap();
        }
        for name in ["fail2ban-client", "fail2ban-server", "setup"] {
            symlink(env!("CARGO_BIN_EXE_stockade"), lab.path("bin").join(name)).unwrap();
        }
        let names = Self { lab };
        names.configure("f2b.log");
        names.lab.write("f2b/filter.d/door.conf", "[Definition]\nfailregex = ^ door: failed from <HOST>$\n");
        let book = names.at("book");
        names.lab.write(
            "f2b/action.d/book.conf",
            &format!("[Definition]\nactionban = echo \"ban <name> <ip>\" >> {book}\nactionunban = echo \"unban <name> <ip>\" >> {book}\n"),
        );
        names.jails("", &["one", "two"]);
        names.lab.append("logs/door.log", "");
        names
    }

    fn at(&self, name: &str) -> String {
        self.lab.path(name).display().to_string()
    }

    /// The tree's `fail2ban.conf`, with this log.
    fn configure(&self, log: &str) {
        let text = format!(
            "[Definition]\nloglevel = INFO\nsyslogsocket = auto\nallowipv6 = auto\ndbmaxmatches = 10\nlogtarget = {}\nsocket = {}\npidfile = {}\ndbfile = {}\ndbpurgeage = 1d\n",
            self.at(log),
            self.at("run/f2b.sock"),
            self.at("run/f2b.pid"),
            self.at("f2b.sqlite3")
        );
        self.lab.write("f2b/fail2ban.conf", &text);
    }

    /// The tree's `jail.conf`: these jails, each with more lines.
    fn jails(&self, more: &str, names: &[&str]) {
        let log = self.at("logs/door.log");
        let jails = names.iter().map(|jail| {
            format!("[{jail}]\nenabled = true\nfilter = door\naction = book[name={jail}]\nlogpath = {log}\n{more}\n")
        });
        let jails: String = jails.collect();
        self.lab.write("f2b/jail.conf", &format!("[DEFAULT]\nbackend = polling\nmaxretry = 3\n{jails}"));
    }

    /// One of the names, on the tree.
    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = self.lab.tool(&self.at(&format!("bin/{name}")));
        command.args(["-c", &self.at("f2b")]).args(words).env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Output {
        self.command(name, words).output().unwrap()
    }

    /// What `fail2ban-client` says: exit code, standard output, and what its log lines say.
    fn client(&self, words: &[&str]) -> (i32, String, Vec<String>) {
        said(&self.run("fail2ban-client", words))
    }

    /// Whether the server answers.
    fn answers(&self) -> bool {
        self.client(&["ping"]).0 == 0
    }

    fn log(&self) -> String {
        read(&self.lab.path("f2b.log"))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if self.lab.path("run/f2b.sock").exists() {
            _ = self.run("fail2ban-client", &["stop"]);
        }
        if std::thread::panicking() {
            eprintln!("the log:\n{}", self.log());
        }
    }
}

/// Exit code, standard output, and the texts of the log lines on standard error.
fn said(output: &Output) -> (i32, String, Vec<String>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let error = text(&output.stderr);
    let message = |line: &str| match line.split_once("]: ") {
        // `2026-01-02 03:04:05,678 fail2ban                [PID]: ERROR   text`
        Some((before, rest)) if before.get(24..32) == Some("fail2ban") => rest.to_owned(),
        _ => format!("no log line: {line}"),
    };
    (output.status.code().unwrap(), text(&output.stdout), error.lines().map(message).collect())
}

fn none() -> Vec<String> {
    Vec::new()
}

fn one(line: &str) -> Vec<String> {
    vec![line.to_owned()]
}

#[test]
fn a_server_is_started_asked_and_ended_by_the_client() {
    let names = Names::new();
    let down = one(&format!(
        "ERROR   Failed to access socket path: {}. Is fail2ban running?",
        names.at("run/f2b.sock")
    ));
    for words in [&["ping"][..], &["status"], &["stop"]] {
        assert_eq!(names.client(words), (255, String::new(), down.clone()), "{words:?}");
    }
    assert_eq!(names.client(&["reload"]), (255, String::new(), one("ERROR   Could not find server")));
    assert_eq!(names.client(&["start"]), (0, "Server ready\n".to_owned(), none()));
    assert_eq!(names.client(&["start"]), (255, String::new(), one("ERROR   Server already running")));
    let refused = names.run("fail2ban-server", &["-xf", "start"]);
    assert_eq!(said(&refused), (255, String::new(), one("ERROR   Server already running")));
    assert_eq!(names.client(&["ping"]), (0, "Server replied: pong\n".to_owned(), none()));
    assert_eq!(names.client(&["ping", "1"]), (0, "Server replied: pong\n".to_owned(), none()));
    assert_eq!(
        names.client(&["ping", "x"]),
        (255, String::new(), one("ERROR   could not convert string to float: 'x'"))
    );
    let before = read(&names.lab.path("run/f2b.pid"));
    let restarted = (0, "Shutdown successful\nServer ready\n".to_owned(), none());
    assert_eq!(names.client(&["restart"]), restarted);
    assert_ne!(read(&names.lab.path("run/f2b.pid")), before);
    assert_eq!(names.client(&["stop"]), (0, "Shutdown successful\n".to_owned(), none()));
    assert_eq!(names.client(&["restart"]), (0, "Server ready\n".to_owned(), down));
}

#[test]
fn a_server_in_the_background_is_a_daemon_that_tools_find() {
    let names = Names::new();
    let started = names.run("fail2ban-server", &["--pname", "watchman", "start"]);
    assert_eq!(said(&started), (0, "Server ready\n".to_owned(), none()));
    let pid = read(&names.lab.path("run/f2b.pid"));
    let number = pid.strip_suffix('\n').unwrap();
    let of = |file: &str| fs::read_to_string(format!("/proc/{number}/{file}")).unwrap();
    assert!(of("cmdline").starts_with("fail2ban-server\0"), "{}", of("cmdline"));
    assert_eq!(of("comm"), "watchman\n");
    let stat = of("stat");
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap();
    assert_eq!(session, number, "a session of its own");
    for stream in ["0", "1", "2"] {
        let target = fs::read_link(format!("/proc/{number}/fd/{stream}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"), "{stream}");
    }
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        fs::metadata(names.lab.path(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(
        ["run", "run/f2b.pid", "run/f2b.sock", "f2b.log", "f2b.sqlite3"].map(mode),
        [0o700, 0o600, 0o600, 0o600, 0o600]
    );
    assert_eq!(names.client(&["stop"]).0, 0);
    assert!(!names.lab.path("run/f2b.pid").exists() && !names.lab.path("run/f2b.sock").exists());
}

#[test]
fn what_needs_no_server() {
    let names = Names::new();
    let printed = |words: &[&str]| {
        let output = names.run("fail2ban-client", words);
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (words, code, out) in [
        (&["--version"][..], 0, "Fail2Ban v1.1.0\n"),
        (&["-V"], 0, "1.1.0\n"),
        (&["--str2sec", "1d 12h"], 0, "129600\n"),
        (&["--str2sec", "1y-6mo"], 0, "15778800.0\n"),
        (&["-t"], 0, "OK: configuration test is successful\n"),
    ] {
        assert_eq!(printed(words), (code, out.to_owned(), String::new()), "{words:?}");
    }
    let (code, usage, error) = printed(&["--help"]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(usage.starts_with("Usage: fail2ban-client [OPTIONS] COMMAND...\n"), "{usage}");
    assert_eq!(printed(&[]), (255, usage.clone(), String::new()));
    let not_begun = "Init of command line failed\n".to_owned();
    assert_eq!(printed(&["--bogus"]), (255, usage, not_begun.clone()));
    assert_eq!(
        printed(&["--str2sec", "soon"]),
        (255, "ERROR: name 'soon' is not defined\n".to_owned(), not_begun)
    );
    let (code, stream, _) = printed(&["-d"]);
    assert!(code == 0 && stream.contains("['add', 'one', 'polling']\n"), "{stream}");
    let server = names.run("fail2ban-server", &["-h"]);
    assert!(server.stdout.starts_with(b"Usage: fail2ban-server [OPTIONS] [start]\n"), "{server:?}");
}

#[test]
fn commands_line_by_line() {
    let names = Names::new();
    assert_eq!(names.client(&["start"]).0, 0);
    names.lab.write("typed", "ping\n\nechoes 'a b' c\nget \"x\necho 'a b' c\nquit\nping\n");
    let mut command = names.command("fail2ban-client", &["-i"]);
    let output = command.stdin(fs::File::open(names.lab.path("typed")).unwrap()).output().unwrap();
    let (code, out, log) = said(&output);
    let prompt = "fail2ban> ";
    let want = ["Server replied: pong\n", "", "Invalid command\n", "", "a b c\n", ""]
        .map(|answer| prompt.to_owned() + answer)
        .concat();
    assert_eq!((code, out), (0, want));
    assert_eq!(log, ["ERROR   NOK: ('Invalid command',)", "ERROR   a quote is not closed"]);
    until("it answers still", || names.answers());
}
