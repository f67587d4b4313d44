//! Clients and servers, Debian's and ours, in every pairing: the same commands print the same.
//!
//! What Debian's client prints of Debian's server is the measure.

use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::sync::OnceLock;

use super::theirs::{options, tree};
use crate::lab::{Lab, read, skip, syslog, until};

/// What an operator types, one command a line; `DIR` is the lab's directory, `␣` a blank within a word. Our server
/// answers those with a `~` otherwise, for the reason above them.
const COMMANDS: &str = include_str!("commands.txt");

/// A program and what it printed: `$ command`, standard output, `! ` standard error, `= ` exit code.
type Transcript = Vec<String>;

/// A pairing under way.
struct Pair {
    lab: Lab,
    client: PathBuf,
    server: Child,
}

impl Drop for Pair {
    fn drop(&mut self) {
        _ = self.server.kill();
        _ = self.server.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", read(&self.lab.path("theirs.log")));
        }
    }
}

/// A program of Fail2Ban's: Debian's, or ours by that name.
fn program(lab: &Lab, name: &str, ours: bool) -> PathBuf {
    if !ours {
        return Path::new("/usr/bin").join(name);
    }
    let link = lab.path(name);
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stockade"), &link).unwrap();
    }
    link
}

fn installed() -> bool {
    let there =
        Path::new("/usr/bin/fail2ban-client").exists() && Path::new("/usr/bin/fail2ban-server").exists();
    if !there {
        skip("Debian's fail2ban package is not installed: its programs were not paired with ours");
    }
    there
}

impl Pair {
    fn start(our_client: bool, our_server: bool) -> Self {
        let lab = Lab::new(&[]);
        tree(&lab);
        let client = program(&lab, "fail2ban-client", our_client);
        let server = program(&lab, "fail2ban-server", our_server);
        let said = std::fs::File::create(lab.path("server.out")).unwrap();
        let server = options(lab.tool(server.to_str().unwrap()), &lab)
            .args(["-f", "start"])
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let mut pair = Self { lab, client, server };
        until("the server is up", || {
            assert!(pair.server.try_wait().unwrap().is_none(), "{}", read(&pair.lab.path("server.out")));
            pair.ask("status two").status.success()
        });
        pair
    }

    fn ask(&self, line: &str) -> Output {
        let mut command = options(self.lab.tool(self.client.to_str().unwrap()), &self.lab);
        let dir = self.lab.dir.path().display().to_string();
        command.args(
            line.trim_start_matches('~').split(' ').map(|word| word.replace("DIR", &dir).replace('␣', " ")),
        );
        command.output().unwrap()
    }

    /// What a command printed, without what differs from run to run.
    fn told(&self, line: &str) -> String {
        let output = self.ask(line);
        let dir = self.lab.dir.path().display().to_string();
        let plain = |bytes: &[u8]| timeless(&String::from_utf8_lossy(bytes).replace(&dir, "DIR"));
        let errors: Vec<String> = plain(&output.stderr).lines().map(|line| format!("! {line}\n")).collect();
        let code = output.status.code().unwrap_or(-1);
        format!("$ {line}\n{}{}= {code}", plain(&output.stdout), errors.concat())
    }

    /// Failures in the log, as the jails' filter has them.
    fn fail(&self, address: &str, times: usize) {
        let line = format!("{} door: failed from {address}\n", syslog(0));
        self.lab.append("logs/door.log", &line.repeat(times));
    }

    /// All commands, an attack, and the end.
    fn transcript(mut self) -> Transcript {
        let mut transcript: Transcript =
            COMMANDS.lines().filter(|line| !line.starts_with('#')).map(|line| self.told(line)).collect();
        self.fail("192.0.2.99", 3);
        until("both jails have banned", || {
            let banned = self.ask("banned 192.0.2.99");
            let book = read(&self.lab.path("book"));
            String::from_utf8_lossy(&banned.stdout).contains("'one', 'two'")
                && ["one", "two"].iter().all(|jail| book.contains(&format!("ban {jail} 192.0.2.99")))
        });
        transcript.extend(["status one", "banned", "stop"].map(|line| self.told(line)));
        until("the server has ended", || self.server.try_wait().unwrap().is_some());
        transcript.push(format!("the server: {:?}", self.server.wait().unwrap().code()));
        transcript.push(format!("socket left behind: {}", self.lab.path("f2b.sock").exists()));
        transcript.push(format!("pid file left behind: {}", self.lab.path("f2b.pid").exists()));
        let mut book: Vec<String> = read(&self.lab.path("book")).lines().map(ToOwned::to_owned).collect();
        book.sort(); // the jails run beside each other
        transcript.push(format!("the actions were told:\n{}", book.join("\n")));
        transcript
    }
}

/// Times, and the process ids behind them, as `#`.
fn timeless(text: &str) -> String {
    let time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3} \S+ +\[\d+\])?";
    fancy_regex::Regex::new(time).unwrap().replace_all(text, "#").into_owned()
}

/// What Debian's client prints of Debian's server.
fn measure() -> &'static Transcript {
    static MEASURE: OnceLock<Transcript> = OnceLock::new();
    MEASURE.get_or_init(|| Pair::start(false, false).transcript())
}

/// Where our server answers, lines with a `~` must differ, and no others may.
fn compare(ours: &Transcript, our_server: bool) {
    let theirs = measure();
    // What `<HOST>` stands for, in the version whose protocol we speak.
    let newer =
        |text: &String| if our_server { text.replace("::?|::){1,7}", "::?|:){1,7}") } else { text.clone() };
    let wrong: Vec<String> = theirs
        .iter()
        .map(newer)
        .zip(ours)
        .filter(|(theirs, ours)| (theirs == *ours) == (our_server && theirs.starts_with("$ ~")))
        .map(|(theirs, ours)| format!("theirs {theirs}\nours   {ours}\n"))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), theirs.len(), wrong.join("\n"));
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn debians_client_drives_our_server() {
    if installed() {
        compare(&Pair::start(false, true).transcript(), true);
    }
}

#[test]
fn our_client_drives_debians_server() {
    if installed() {
        compare(&Pair::start(true, false).transcript(), false);
    }
}

#[test]
fn our_client_drives_our_server() {
    if installed() {
        compare(&Pair::start(true, true).transcript(), true);
    }
}

/// Where our server has taken the place of Debian's, Debian's client starts it: in the background, by its stream.
#[test]
fn debians_client_starts_our_server() {
    if !installed() {
        return;
    }
    let lab = Lab::new(&[]);
    tree(&lab);
    let script = format!(
        "mount --bind {} /usr/bin/fail2ban-server && exec \"$@\"",
        program(&lab, "fail2ban-server", true).canonicalize().unwrap().display()
    );
    let client = |words: &[&str]| {
        let mut command = lab.tool("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh", "/usr/bin/fail2ban-client"]);
        options(command, &lab).args(words).output().unwrap()
    };
    let said = |output: &Output| {
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let started = client(&["start"]);
    assert_eq!(said(&started), "Server ready\n", "{}", read(&lab.path("theirs.log")));
    assert!(started.status.success());
    assert_eq!(said(&client(&["version"])), "1.1.0\n");
    assert_eq!(said(&client(&["status"])), "Status\n|- Number of jail:\t2\n`- Jail list:\tone, two\n");
    assert_eq!(said(&client(&["set", "one", "banip", "192.0.2.66"])), "1\n");
    assert_eq!(read(&lab.path("book")), "ban one 192.0.2.66\n");
    assert_eq!(said(&client(&["stop"])), "Shutdown successful\n");
    until("the server has ended", || !lab.path("f2b.sock").exists() && !lab.path("f2b.pid").exists());
    assert_eq!(read(&lab.path("book")), "ban one 192.0.2.66\nunban one 192.0.2.66\n");
}
