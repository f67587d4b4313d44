//! What a jail's options are asked and told by Fail2Ban's commands: the same questions to Fail2Ban's own server.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stockade::config::{self, JailConfig, Sources};
use stockade::control::talk::Client;
use stockade::fail2ban::desk::{self, JailOrder, Order};
use stockade::fail2ban::{self, JailSpec, Request};
use stockade::filter::FilterOptions;
use stockade::python::{Raised, Value};

use crate::lab::{skip, until};

const QUESTIONS: &str = include_str!("desk/questions.txt");
const SERVER: &str = "/usr/bin/fail2ban-server";

/// Fail2Ban's own server, with a folder of its own and no jails.
struct Theirs {
    process: Child,
    client: Client,
}

impl Theirs {
    fn start(root: &Path) -> Self {
        let main = "[Definition]\nlogtarget = STDERR\nallowipv6 = auto\ndbfile = None\n";
        std::fs::write(root.join("fail2ban.conf"), main).unwrap();
        std::fs::write(root.join("jail.conf"), "[DEFAULT]\n").unwrap();
        let socket = root.join("s");
        let process = Command::new(SERVER)
            .args(["-f", "-x", "-c"])
            .arg(root)
            .arg("-s")
            .arg(&socket)
            .arg("-p")
            .arg(root.join("p"))
            .arg("start")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let connect = || Client::connect(&socket, Duration::from_secs(20)).ok();
        let mut client = None;
        until("Fail2Ban's server listens", || {
            client = connect();
            client.is_some()
        });
        Self { process, client: client.unwrap() }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The jails by our own code.
#[derive(Default)]
struct Ours(HashMap<String, JailSpec>);

impl Ours {
    fn ask(&mut self, words: &[Value]) -> Result<Value, Raised> {
        match desk::order(words)? {
            Order::Add { jail, backend } => {
                self.0.insert(jail.clone(), JailSpec::added(&jail, &backend)?);
                Ok(jail.into())
            }
            Order::Jail { jail, order } => {
                let spec = self.0.get_mut(&jail).ok_or_else(|| Raised::unknown_jail(&jail))?;
                match order {
                    JailOrder::Get(words) => desk::get(spec, &words),
                    JailOrder::Set(words) => {
                        let mut changed = spec.clone();
                        let answer = desk::set(&mut changed, &words)?;
                        *spec = changed;
                        Ok(answer)
                    }
                    other => panic!("{other:?} is not about an option"),
                }
            }
            other => panic!("{other:?} is not about a jail"),
        }
    }
}

/// An answer as Python prints it. What is written in another way since 1.1, and the place in a text that is no
/// expression, are the same.
fn shown(answer: &Result<Value, Raised>) -> String {
    match answer {
        Ok(value) => value.to_string().replace("{1,4}::?|::){1,7}", "{1,4}::?|:){1,7}"),
        Err(raised) => {
            let arguments = raised.arguments.iter().map(Value::to_string);
            let arguments: Vec<String> = match raised.class.as_str() {
                "SyntaxError" => arguments.take(1).collect(),
                _ => arguments.collect(),
            };
            let text = format!("{}({})", raised.class, arguments.join(", "));
            text.replace("{1,4}::?|::){1,7}", "{1,4}::?|:){1,7}")
        }
    }
}

fn sort(answer: &mut Result<Value, Raised>) {
    if let Ok(Value::List(items)) = answer {
        items.sort_by_key(Value::to_string);
    }
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::None,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => Value::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value).collect()),
        serde_json::Value::Object(items) => {
            Value::Map(items.iter().map(|(key, item)| (key.as_str().into(), value(item))).collect())
        }
    }
}

#[test]
fn every_option_of_a_jail_is_answered_as_fail2ban_does() {
    if !Path::new(SERVER).exists() {
        skip("Debian's fail2ban package is not installed: its answers were not compared");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.log", "b.log", "c[1].log"] {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    let root = dir.path().to_str().unwrap();
    let mut theirs = Theirs::start(dir.path());
    let mut ours = Ours::default();
    let mut differ = Vec::new();
    let mut asked = 0;
    let mut jail = String::new();
    for line in QUESTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let question: serde_json::Value = serde_json::from_str(&line.replace("{root}", root)).unwrap();
        let command = if let Some(words) = question.as_array() {
            let mut words = words.clone();
            words.insert(1, json!(jail));
            json!(words)
        } else {
            jail = format!("j{asked}");
            json!(["add", jail, question])
        };
        let Value::List(words) = value(&command) else { unreachable!() };
        let (mut their, mut our) = (theirs.client.ask(&words).unwrap(), ours.ask(&words));
        asked += 1;
        // The order of single addresses is one of chance.
        if command[2].as_str().is_some_and(|option| option.ends_with("ignoreip")) {
            sort(&mut their);
            sort(&mut our);
        }
        if shown(&their) != shown(&our) {
            differ.push(format!("{command}\n  theirs {}\n  ours   {}", shown(&their), shown(&our)));
        }
    }
    assert!(differ.is_empty(), "{} of {asked} answers differ:\n{}", differ.len(), differ.join("\n"));
}

/// The trees of Fail2Ban that are at hand: installed, or beside this project.
fn trees() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus/base");
    let found = std::fs::read_dir(beside).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = found.chain(["/etc/fail2ban".into()]);
    all.filter(|tree| tree.join("jail.conf").is_file() && tree.join("paths-common.conf").is_file()).collect()
}

/// A tree with a part of its jails enabled, each with the same log and other actions.
fn enabled(tree: &Path, at: &Path, (part, parts): (usize, usize)) {
    let copied = Command::new("cp").arg("-r").arg(tree.join(".")).arg(at).status().unwrap();
    assert!(copied.success());
    let log = at.join("some.log");
    std::fs::write(&log, "").unwrap();
    let jails = std::fs::read_to_string(tree.join("jail.conf")).unwrap();
    let names = jails.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'));
    let actions = ["action_", "action_mwl", "action_xarf"];
    let mut local = String::from(
        "[DEFAULT]\nbantime.increment = true\nbantime.maxtime = 1w\nignoreip = ::1 10.1.2.3/8\n",
    );
    let names = names.enumerate().filter(|(_, name)| !["DEFAULT", "INCLUDES"].contains(name));
    for (index, name) in names {
        let action = actions[index % actions.len()];
        let action = if jails.contains(action) { format!("action = %({action})s\n") } else { String::new() };
        let wanted = index % parts == part;
        let log = log.display();
        let _ = write!(local, "[{name}]\nenabled = {wanted}\nlogpath = {log} tail\n{action}");
    }
    std::fs::write(at.join("jail.local"), local).unwrap();
}

/// Which Fail2Ban a tree was made for is not told by its stream.
fn of_dialect(mut filter: FilterOptions, config: &JailConfig) -> FilterOptions {
    let known = config.options.filter.as_ref().and_then(|filter| filter.fail2ban.as_ref());
    if let (Some(own), Some(known)) = (&mut filter.fail2ban, known) {
        own.overwrite_with_nothing = known.overwrite_with_nothing;
    }
    filter
}

#[test]
fn a_stream_makes_the_jails_that_its_tree_makes() {
    const OPTIONS: [&str; 26] = [
        "logpath",
        "logencoding",
        "journalmatch",
        "ignoreself",
        "ignoreip",
        "ignorecommand",
        "ignorecache",
        "prefregex",
        "failregex",
        "ignoreregex",
        "usedns",
        "findtime",
        "bantime",
        "datepattern",
        "logtimezone",
        "maxmatches",
        "maxretry",
        "maxlines",
        "actions",
        "bantime.increment",
        "bantime.factor",
        "bantime.formula",
        "bantime.multipliers",
        "bantime.maxtime",
        "bantime.rndtime",
        "bantime.overalljails",
    ];
    let trees = trees();
    if trees.is_empty() {
        skip("no tree of Fail2Ban's is at hand: streams were not compared with their trees");
    }
    // They have most jails in common.
    let parts = trees.len();
    for (part, tree) in trees.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        enabled(&tree, dir.path(), (part, parts));
        let request = Request { dump: true, ..Request::default() };
        let stream = fail2ban::dump(dir.path(), &request).stream.unwrap_or_default();
        let drafted = desk::draft(stream, &|_| None);
        assert!(drafted.wrong.is_empty(), "{}: {:?}", tree.display(), drafted.wrong);
        let streamed = drafted.jails.into_iter().map(|jail| (jail.name.to_string(), jail));
        let mut streamed: HashMap<String, JailSpec> = streamed.collect();
        let sources = Sources { etc: dir.path().to_owned(), shipped: false, ..Sources::default() };
        let loaded = config::load(&sources).jails;
        assert!(loaded.len() >= streamed.len() && !streamed.is_empty(), "{}", tree.display());
        for config in loaded {
            let Some(other) = streamed.remove(&*config.options.name) else { continue };
            let jail = (**config.spec.as_ref().unwrap()).clone();
            for option in OPTIONS {
                let [told, heard] = [&jail, &other].map(|spec| desk::get(spec, &[option.into()]));
                assert_eq!(told, heard, "{}: {option} of {}", tree.display(), jail.name);
            }
            let (mut adopted, _) = config::adopt(&Arc::new(other), &sources, "auto").unwrap();
            adopted.options.filter = adopted.options.filter.map(|filter| of_dialect(filter, &config));
            if jail.is_systemd() {
                // A stream does not name the files that are read where there is no journal.
                adopted.logs.clone_from(&config.logs);
            }
            let told = JailConfig { spec: None, sources: Vec::new(), ..config };
            let heard = JailConfig { spec: None, sources: Vec::new(), ..adopted };
            assert_eq!(told, heard, "{}: {}", tree.display(), jail.name);
        }
        assert!(streamed.is_empty(), "{}: {:?}", tree.display(), streamed.keys());
    }
}
