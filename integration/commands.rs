//! The commands as a script sees them: what goes where, and the exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use stockade::control::Listener;
use stockade::control::request::{
    BanStatus, JailBans, JailStatus, Reloaded, Request, Response, Status, Verdict,
};
use stockade::id::Id;
use stockade::python::Value;
use stockade::time::UnixTime;
use tokio::sync::oneshot;

/// A daemon's socket without a daemon behind it.
struct Desk {
    dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Desk {
    fn open(answer: fn(Request) -> Response) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stockade.sock");
        let (stop, mut stopped) = oneshot::channel();
        let (opened, ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let tasks = tokio::task::LocalSet::new();
            tasks.block_on(&runtime, async {
                let listener = Listener::bind(&path, None).unwrap();
                opened.send(()).unwrap();
                let serve = Box::pin(listener.run(
                    Duration::from_secs(60),
                    async move |request| answer(request),
                    async |words| Ok(Value::List(words)),
                ));
                _ = futures_util::future::select(serve, &mut stopped).await;
            });
        });
        ready.recv().unwrap();
        Self { dir, stop: Some(stop), thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("stockade.sock")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(self.stop.take());
        _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn stockade(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    command.arg("--socket").arg(socket).args(["--etc", "/nonexistent"]).args(line.split_whitespace());
    command.stdin(Stdio::null()).env("TZ", "UTC");
    command
}

fn said(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn answer(request: Request) -> Response {
    let verdict = |id: &String| Verdict {
        id: id.clone(),
        jail: "sshd".into(),
        done: id != "not-an-ip",
        what: if id == "not-an-ip" { "no address".into() } else { "done".into() },
        ..Verdict::default()
    };
    match request {
        Request::Ping => Response::Pong { version: "0".into(), pid: 1, ready: true },
        Request::Status { jail: None } => Response::Status(Box::new(Status {
            version: "0".into(),
            pid: 7,
            ready: true,
            store: "none".into(),
            jails: vec![JailStatus { name: "sshd".into(), ..JailStatus::default() }],
            ..Status::default()
        })),
        Request::Status { jail: Some(jail) } => Response::Error(format!("there is no jail {jail}")),
        Request::Banned { id: Some(id) } if id != "192.0.2.1" => Response::Banned(Vec::new()),
        Request::Banned { .. } => {
            let ban = BanStatus {
                id: Id::parse("192.0.2.1"),
                since: UnixTime::from_secs(1_767_323_045),
                until: None,
                count: 1,
                failures: 6,
                state: "enforced".into(),
                lines: Vec::new(),
            };
            Response::Banned(vec![JailBans { jail: "sshd".into(), bans: vec![ban; 10_000], unknown: None }])
        }
        Request::Ban { ids, .. } | Request::Unban { ids, .. } => {
            Response::Verdicts(ids.iter().map(verdict).collect())
        }
        Request::Reload { confirm: Some(_), .. } => Response::Reloaded(Reloaded {
            moved: vec!["sshd: ports".into()],
            confirm_until: Some(UnixTime::from_secs(1_767_323_045)),
            ..Reloaded::default()
        }),
        Request::Confirm { undo: false } => Response::Confirmed { jails: vec!["sshd".into()] },
        Request::Confirm { undo: true } => Response::Error("there is nothing to confirm".into()),
        Request::Reload { jail: None, .. } => Response::Reloaded(Reloaded {
            moved: vec!["sshd: ports".into()],
            same: vec!["web".into()],
            mistakes: vec!["x.toml:1: jail.x.ports: no list".into()],
            confirm_until: None,
        }),
        Request::Reload { .. } => {
            Response::Reloaded(Reloaded { moved: vec!["sshd: ports".into()], ..Reloaded::default() })
        }
        Request::Log { level, target } => Response::Log {
            level: level.unwrap_or_else(|| "INFO".into()),
            target: target.unwrap_or_else(|| "STDOUT".into()),
        },
        Request::Stop { .. } => Response::Error("not ready".into()),
    }
}

#[test]
fn what_a_script_sees() {
    let desk = Desk::open(answer);
    for (line, code, out, err) in [
        ("status nope", 1, "", "stockade: there is no jail nope\n"),
        ("status nope --json", 1, "{\"error\":\"there is no jail nope\"}\n", ""),
        ("ban 192.0.2.1 --for 2w", 0, "sshd: 192.0.2.1: done\n", ""),
        ("ban 192.0.2.1 not-an-ip", 1, "sshd: 192.0.2.1: done\n", "stockade: sshd: not-an-ip: no address\n"),
        (
            "unban not-an-ip --json",
            1,
            "{\"verdicts\":[{\"id\":\"not-an-ip\",\"jail\":\"sshd\",\"done\":false,\"what\":\"no address\"}]}\n",
            "",
        ),
        ("unban --all", 0, "nobody was banned\n", ""),
        ("banned 192.0.2.9", 1, "192.0.2.9 is not banned\n", ""),
        ("banned 192.0.2.9 --json", 1, "{\"banned\":[]}\n", ""),
        ("reload", 1, "sshd: ports\nunchanged: web\n", "stockade: x.toml:1: jail.x.ports: no list\n"),
        ("reload sshd", 0, "sshd: ports\n", ""),
        (
            "reload sshd --confirm 60s",
            0,
            "sshd: ports\non trial: unless `stockade confirm` comes before 2026-01-02 03:04:05, the configuration before returns\n",
            "",
        ),
        ("confirm", 0, "confirmed: sshd\n", ""),
        ("confirm --json", 0, "{\"confirmed\":{\"jails\":[\"sshd\"]}}\n", ""),
        ("confirm --undo", 1, "", "stockade: there is nothing to confirm\n"),
        ("log --level debug", 0, "level DEBUG, target STDOUT\n", ""),
        ("stop", 1, "", "stockade: not ready\n"),
        ("version", 0, concat!("stockade ", env!("CARGO_PKG_VERSION"), "\n"), ""),
        ("version --json", 0, concat!("{\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n"), ""),
    ] {
        let got = said(stockade(&desk.socket(), line).output().unwrap());
        assert_eq!(got, (Some(code), out.to_owned(), err.to_owned()), "{line}");
    }

    let (code, out, err) = said(stockade(&desk.socket(), "banned 192.0.2.1").output().unwrap());
    assert_eq!((code, &*err, out.lines().count()), (Some(0), "", 10_002));
    let row = "  192.0.2.1  2026-01-02 03:04:05  for ever                          1         6  enforced";
    assert_eq!(out.lines().last(), Some(row));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_mistake() {
    let desk = Desk::open(answer);
    for line in ["banned", "banned --json"] {
        let mut child =
            stockade(&desk.socket(), line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let (code, _, err) = said(child.wait_with_output().unwrap());
        assert_eq!((code, &*err), (Some(0), ""), "{line}");
    }
}

#[test]
fn many_addresses_need_more_than_one_request() {
    let desk = Desk::open(answer);
    let ids: Vec<_> = (0..6000).map(|number| format!("2001:db8::{number:x}")).collect();
    let (code, out, err) = said(stockade(&desk.socket(), "ban").args(&ids).output().unwrap());
    assert_eq!((code, &*err), (Some(0), ""));
    assert!(out.lines().eq(ids.iter().map(|id| format!("sshd: {id}: done"))));
}

#[test]
fn what_the_environment_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("stockade.sock");
    let silent =
        format!("stockade: no stockade answers on {}: is it running? (stockade run)\n", socket.display());
    for line in ["status", "status --json", "ban 192.0.2.1", "reload", "stop"] {
        let got = said(stockade(&socket, line).output().unwrap());
        assert_eq!(got, (Some(2), String::new(), silent.clone()), "{line}");
    }
    for line in ["", "ban", "frobnicate", "ban 192.0.2.1 --for soon"] {
        let (code, out, err) = said(stockade(&socket, line).output().unwrap());
        assert_eq!((code, &*out), (Some(2), ""), "{line}: {err}");
    }
    let (code, out, _) = said(stockade(&socket, "ban --help").output().unwrap());
    assert_eq!(code, Some(0));
    assert!(out.contains("stockade ban 2001:db8::/64"), "{out}");
}

#[test]
fn the_socket_is_the_one_that_the_configuration_names() {
    let desk = Desk::open(answer);
    fs::write(
        desk.dir.path().join("stockade.toml"),
        format!("[daemon]\nsocket = {:?}\n[jail.x]\nenabled = 7\n", desk.socket()),
    )
    .unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
    let output = command.arg("--etc").arg(desk.dir.path()).arg("log").output().unwrap();
    assert_eq!(said(output), (Some(0), "level INFO, target STDOUT\n".to_owned(), String::new()));
}

#[test]
fn check_lists_every_mistake_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let jails = dir.path().join("jails.d");
    fs::create_dir(&jails).unwrap();
    let check = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
        said(command.args(["--etc", dir.path().to_str().unwrap()]).args(line.split(' ')).output().unwrap())
    };
    let jail = "[jail.web]\nenabled = true\nfirewall = \"memory\"\nlogs = [\"/var/log/web.log\"]\n";
    fs::write(jails.join("a.toml"), jail.to_owned() + "filter.patterns = ['from <HOST>']\n").unwrap();
    assert_eq!(check("check"), (Some(0), "web  ok  /var/log/web.log\n".to_owned(), String::new()));
    let (code, out, _) = check("check --json");
    assert_eq!(code, Some(0));
    assert!(out.starts_with("{\"mistakes\":[],\"enabled\":[\"web\"],\"disabled\":["), "{out}");

    fs::write(jails.join("b.toml"), "[jail.web]\nmax_retry = \"many\"\n[jail.new]\nports = 7000000\n")
        .unwrap();
    let (code, out, err) = check("check");
    assert_eq!((code, &*out), (Some(1), ""), "{err}");
    let place = jails.join("b.toml");
    for want in [
        format!("stockade: {}:2: jail.web.max_retry: ", place.display()),
        format!("stockade: {}:4: jail.new.ports: ", place.display()),
        "stockade: 2 mistakes\n".to_owned(),
    ] {
        assert!(err.contains(&want), "{want} is missing in {err}");
    }
}
