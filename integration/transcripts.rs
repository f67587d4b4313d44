//! The operator answers as before: recorded sessions with Fail2Ban's client are held again with ours, word for word.
//!
//! The recordings lie beside the project, where they are there at all.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use fancy_regex::Regex;
use serde::Deserialize;

use crate::lab::{Lab, skip, until};

const FOLDER: &str = "../shared/fail2ban/corpus/public/cli";

/// What is answered in another way, each as `docs/fail2ban.md` says.
const OTHERWISE: &[&str] = &[
    // The version, which is the protocol's.
    "version",
    "--version",
    "-V",
    // Here Fail2Ban's client fails over the answer, and prints it twice.
    "status --all stats",
    // Help in our own words.
    "-h",
    "--bogus",
    "",
];

/// A recorded session.
#[derive(Deserialize)]
struct Session {
    files: BTreeMap<String, String>,
    commands: Vec<Recorded>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Recorded {
    cmd: Vec<String>,
    rc: i32,
    stdout: String,
    stderr: String,
}

fn session(version: &str) -> Option<Session> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FOLDER).join(format!("cli-{version}.json"));
    Some(serde_json::from_slice(&fs::read(path).ok()?).unwrap())
}

/// A namespace, a tree and our client in it.
struct Stage {
    lab: Lab,
    root: String,
}

impl Stage {
    fn new(session: &Session) -> Self {
        let lab = Lab::alone();
        let root = lab.path("").display().to_string().trim_end_matches('/').to_owned();
        for (name, text) in &session.files {
            let path = lab.path("etc").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("@ROOT@", &root)).unwrap();
        }
        for log in ["a", "b"] {
            lab.write(&format!("logs/{log}.log"), "");
        }
        fs::create_dir(lab.path("bin")).unwrap();
        for name in ["fail2ban-client", "fail2ban-server"] {
            symlink(env!("CARGO_BIN_EXE_stockade"), lab.path("bin").join(name)).unwrap();
        }
        Self { lab, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lab.path(name)
    }

    /// What our client says to these words.
    fn say(&self, words: &[String]) -> Recorded {
        let mut command: Command = self.lab.program(&self.path("bin/fail2ban-client"));
        command.arg("-c").arg(self.path("etc")).arg("-s").arg(self.path("f2b.sock"));
        command.arg("-p").arg(self.path("f2b.pid"));
        command.args(words.iter().map(|word| word.replace("@ROOT@", &self.root)));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| self.plain(&String::from_utf8_lossy(bytes));
        Recorded {
            cmd: words.to_vec(),
            rc: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        static TIME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?").unwrap());
        static PID: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\[ *\d+\]: (ERROR|WARNING|INFO)").unwrap());
        let text = text.replace(&self.root, "@ROOT@");
        let text = TIME.replace_all(&text, "@TIME@");
        PID.replace_all(&text, "[PID]: $1").into_owned()
    }

    /// The lines that were written in the middle of the session: three addresses fail three times, one once.
    fn attack(&self) {
        for address in ["192.0.2.1", "192.0.2.2", "2001:db8::5"] {
            for user in 0..3 {
                self.fail(address, &format!("u{user}"));
            }
        }
        self.fail("192.0.2.77", "x");
        for jail in ["one", "two"] {
            until("all failures are counted and bans confirmed", || {
                let told = self.say(&["status".to_owned(), jail.to_owned()]).stdout;
                told.contains("Total failed:\t10\n") && told.contains("Currently banned:\t3\n")
            });
        }
    }

    /// A log that could be added is there by then.
    fn make_log(&self, recorded: &Recorded) {
        if let ([_, _, option, path, ..], 0) = (&recorded.cmd[..], recorded.rc)
            && option == "addlogpath"
        {
            self.lab.append(path.trim_start_matches("@ROOT@/"), "");
        }
    }

    fn fail(&self, address: &str, user: &str) {
        let time = jiff::Zoned::now().strftime("%F %T").to_string();
        self.lab.append("logs/a.log", &format!("{time} bad {address} user {user}\n"));
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.say(&["stop".to_owned()]);
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.path("f2b.log")).unwrap_or_default());
        }
    }
}

/// Plays a session; what is answered in another way, each with what was recorded.
fn play(session: &Session) -> Vec<(usize, Recorded, Recorded)> {
    let stage = Stage::new(session);
    let attacked =
        session.commands.iter().position(|one| one.stdout.contains("Total failed:\t10\n")).unwrap();
    let mut unequal = Vec::new();
    for (number, want) in session.commands.iter().enumerate() {
        if number == attacked {
            stage.attack();
        }
        stage.make_log(want);
        let got = stage.say(&want.cmd);
        if got != *want {
            unequal.push((number, want.clone(), got));
        }
    }
    unequal
}

fn show(unequal: &[(usize, Recorded, Recorded)]) -> String {
    let one = |(number, want, got): &(usize, Recorded, Recorded)| {
        format!(
            "{number} {:?}\n  want {} {:?} {:?}\n  got  {} {:?} {:?}\n",
            want.cmd, want.rc, want.stdout, want.stderr, got.rc, got.stdout, got.stderr
        )
    };
    unequal.iter().map(one).collect()
}

#[test]
fn a_session_of_188_commands_is_answered_word_for_word() {
    let Some(session) = session("1.1.2.dev1") else {
        return skip("recorded sessions with Fail2Ban's client: they do not lie beside the project");
    };
    let unequal = play(&session);
    let equal = session.commands.len() - unequal.len();
    let unknown: Vec<_> =
        unequal.iter().filter(|(_, want, _)| !OTHERWISE.contains(&&*want.cmd.join(" "))).cloned().collect();
    assert!(unknown.is_empty() && equal >= 180, "{equal} equal\n{}", show(&unknown));
}

#[test]
fn where_both_versions_agree_so_do_we() {
    let (Some(old), Some(new)) = (session("1.0.2"), session("1.1.2.dev1")) else {
        return skip("recorded sessions with Fail2Ban's client: they do not lie beside the project");
    };
    let agreed = |number: usize| {
        let both = (&old.commands[number], &new.commands[number]);
        both.0 == both.1
    };
    let unequal: Vec<_> = play(&old).into_iter().filter(|(number, ..)| agreed(*number)).collect();
    let unknown: Vec<_> =
        unequal.iter().filter(|(_, want, _)| !OTHERWISE.contains(&&*want.cmd.join(" "))).cloned().collect();
    assert!(unknown.is_empty(), "{}", show(&unknown));
}
