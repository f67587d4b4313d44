use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::LocalSet;

use super::listen::may_ask;
use super::request::{BanStatus, JailBans, Request, Response};
use super::*;
use crate::id::Id;
use crate::python::Value;
use crate::time::UnixTime;

const IDLE: Duration = Duration::from_secs(60);

fn virtually<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// What `future` comes to while the other one runs.
async fn beside<T>(future: impl Future<Output = T>, other: impl Future<Output = ()>) -> T {
    match select(Box::pin(future), Box::pin(other)).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => unreachable!("it runs for ever"),
    }
}

/// Answers each request with its own spelling.
async fn echo(request: Request) -> Response {
    Response::Error(format!("{request:?}"))
}

/// Answers each command with itself.
async fn said(words: Vec<Value>) -> pickle::Reply {
    Ok(Value::List(words))
}

/// What a peer that sends `bytes`, then (or not) closes its side, reads until the other side closes.
fn talk(bytes: &[u8], close: bool, idle: Duration) -> (std::io::Result<()>, String) {
    virtually(async {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let serving = tokio::task::spawn_local(serve(theirs, idle, &echo));
        _ = ours.write_all(bytes).await; // may be cut off in the middle
        if close {
            ours.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        _ = ours.read_to_end(&mut answer).await;
        (serving.await.unwrap(), String::from_utf8(answer).unwrap())
    })
}

#[test]
fn requests_by_the_line() {
    for (bytes, want) in [
        (&b"\"ping\"\n"[..], &["Ping"][..]),
        (b"\"ping\"", &["Ping"]),
        (b"\"ping\"\r\n\"ping\"\n", &["Ping", "Ping"]),
        (b"{\"status\":{\"jail\":\"sshd\"}}\n", &["Status { jail: Some(\\\"sshd\\\") }"]),
        (b"", &[]),
        (b"\n", &["this is no request: EOF while parsing a value at line 2 column 0"]),
        (b"\xff\xfe\0\n\"ping\"\n", &["this is no request: expected value at line 1 column 1"]),
        (
            b"{\"stop\":{\"remove\":tru",
            &["this is no request: EOF while parsing a value at line 1 column 21"],
        ),
        (
            b"{\"ban\":{\"ids\":[],\"all\":1}}\n",
            &[
                "this is no request: unknown field `all`, expected one of `ids`, `jail`, `span`, `force` at line 1 column 22",
            ],
        ),
        (b"\"ping\" \"ping\"\n", &["this is no request: trailing characters at line 1 column 8"]),
    ] {
        let (result, answer) = talk(bytes, true, IDLE);
        let want: String = want.iter().flat_map(|text| ["{\"error\":\"", *text, "\"}\n"]).collect();
        assert_eq!(answer, want, "{:?}", String::from_utf8_lossy(bytes));
        assert!(result.is_ok(), "{result:?}");
    }
}

#[test]
fn a_request_is_bounded_in_size_depth_and_time() {
    let mut deep = b"{\"ban\":{\"ids\":".to_vec();
    deep.resize(REQUEST_CAP - 1, b'[');
    deep.push(b'\n');
    let mut fits = b"\"ping\"".to_vec();
    fits.resize(REQUEST_CAP - 1, b' ');
    fits.push(b'\n');
    for (name, bytes, want) in [
        ("fits", fits, "{\"error\":\"Ping\"}\n"),
        ("huge", vec![b' '; 4 * REQUEST_CAP], "{\"error\":\"a request may have 65536 bytes at most\"}\n"),
        (
            "deep",
            deep,
            "{\"error\":\"this is no request: invalid type: sequence, expected a string at line 1 column 15\"}\n",
        ),
    ] {
        let (_, answer) = talk(&bytes, true, IDLE);
        assert!(answer.starts_with("{\"error\":"), "{name}: {answer}");
        assert_eq!(answer, want, "{name}");
    }
    // Neither silence nor half a request holds a connection for ever.
    for bytes in [&b""[..], b"\"pi"] {
        let (result, answer) = talk(bytes, false, Duration::from_millis(1));
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(answer, "");
    }
}

/// Serves `path` while the question is asked on another thread.
fn asked(path: &Path, response: Response, request: Request) -> Result<Response, ControlError> {
    virtually(async {
        let listener = Listener::bind(path, None).unwrap();
        let question = tokio::task::spawn_blocking({
            let path = path.to_owned();
            move || ask(&path, &request, IDLE)
        });
        beside(question, listener.run(IDLE, async move |_| response.clone(), said)).await.unwrap()
    })
}

#[test]
fn a_question_is_answered_whatever_its_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/stockade.sock");
    let ban = |number: u32| BanStatus {
        id: Id::from(crate::subnet::Subnet::from(std::net::Ipv4Addr::from(number))),
        since: UnixTime::from_secs(1),
        until: None,
        count: 1,
        failures: 6,
        state: "enforced".into(),
        lines: vec![Arc::from("x".repeat(50))],
    };
    for bans in [0, 1, 20_000] {
        let jail =
            JailBans { jail: "sshd".into(), bans: (0..bans).map(ban).collect(), ..JailBans::default() };
        let response = Response::Banned(vec![jail]);
        let answer = asked(&path, response.clone(), Request::Banned { id: None }).unwrap();
        assert!(answer == response, "{bans} bans");
        assert!(!path.exists(), "the socket is removed with its listener");
    }
    let request = Request::Banned { id: Some("x".repeat(REQUEST_CAP)) };
    let answer = ask(&path, &request, IDLE);
    assert!(matches!(answer, Err(ControlError::RequestTooLong)), "{answer:?}");
}

#[test]
fn the_socket_is_for_its_owner_and_replaced_only_when_stale() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stockade.sock");
    virtually(async {
        drop(StdListener::bind(&path).unwrap()); // nobody serves it any more
        assert!(path.exists());
        let listener = Listener::bind(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let second = Listener::bind(&path, None).unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(second, format!("another stockade (pid {pid}) answers on {}", path.display()));

        drop(listener);
        drop(Listener::bind(&path, None).unwrap());

        let foreign = StdListener::bind(&path).unwrap(); // served by somebody who knows nothing of our lock
        let second = Listener::bind(&path, None).unwrap_err().to_string();
        assert_eq!(second, format!("another stockade (pid {pid}) answers on {}", path.display()));
        drop(foreign);

        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        let second = Listener::bind(&path, None).unwrap_err();
        assert!(matches!(second, ControlError::NotSocket(_)), "{second}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    });
}

#[test]
fn root_and_its_own_user_may_ask() {
    for (peer, own, may) in
        [(0, 0, true), (0, 1000, true), (1000, 1000, true), (1000, 0, false), (1001, 1000, false)]
    {
        assert_eq!(may_ask(peer, own), may, "{peer} asks {own}");
    }
}

#[test]
fn a_crowd_is_told_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stockade.sock");
    let (answer, after) = virtually(async {
        let listener = Listener::bind(&path, None).unwrap();
        let guests = async {
            let mut guests = Vec::new();
            for _ in 0..CONNECTIONS {
                let mut guest = UnixStream::connect(&path).await.unwrap();
                guest.write_all(b"\"ping\"\n").await.unwrap();
                let mut byte = [0];
                guest.read_exact(&mut byte).await.unwrap(); // it is being served
                guests.push(guest);
            }
            let mut answer = String::new();
            UnixStream::connect(&path).await.unwrap().read_to_string(&mut answer).await.unwrap();
            drop(guests);
            // Room again, as soon as the daemon has seen them go.
            let after = loop {
                let mut guest = UnixStream::connect(&path).await.unwrap();
                _ = guest.write_all(b"\"ping\"\n").await;
                _ = guest.shutdown().await;
                let mut answer = String::new();
                _ = guest.read_to_string(&mut answer).await;
                if answer.contains("Ping") {
                    break answer;
                }
            };
            (answer, after)
        };
        beside(guests, listener.run(IDLE, echo, said)).await
    });
    assert_eq!(answer, "{\"error\":\"64 connections are open already: try again\"}\n");
    assert_eq!(after, "{\"error\":\"Ping\"}\n");
}

#[test]
fn no_answer_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stockade.sock");
    let shown = path.display();
    let sentence = |timeout| ask(&path, &Request::Ping, timeout).unwrap_err().to_string();
    assert_eq!(sentence(IDLE), format!("no stockade answers on {shown}: is it running? (stockade run)"));

    let silent_one = StdListener::bind(&path).unwrap();
    let silent = sentence(Duration::from_millis(1));
    assert!(silent.starts_with(&format!("stockade on {shown} did not answer within ")), "{silent}");

    for (bytes, want) in [
        (&b""[..], format!("stockade on {shown} hung up without an answer")),
        (b"{\"banned\":[", format!("stockade on {shown} hung up without an answer")),
        (
            b"\"pong\xff\"\n",
            format!(
                "the answer from {shown} makes no sense: is the daemon of another version? (invalid unicode code point at line 1 column 6)"
            ),
        ),
    ] {
        std::fs::remove_file(&path).unwrap();
        let listener = StdListener::bind(&path).unwrap();
        let got = std::thread::scope(|scope| {
            scope.spawn(|| listener.accept().unwrap().0.write_all(bytes).unwrap());
            sentence(IDLE)
        });
        assert_eq!(got, want, "{:?}", String::from_utf8_lossy(bytes));
    }
    drop(silent_one);
    assert_eq!(sentence(IDLE), format!("no stockade answers on {shown}: is it running? (stockade run)"));

    let long = PathBuf::from(format!("/{}", "x".repeat(108)));
    let error = ask(&long, &Request::Ping, IDLE).unwrap_err();
    assert!(matches!(error, ControlError::TooLong(_)), "{error}");
}

#[test]
fn what_the_system_says_in_the_operators_words() {
    use std::io::ErrorKind;
    let path = Path::new("/run/s.sock");
    for (kind, want) in [
        (
            ErrorKind::PermissionDenied,
            "permission denied on /run/s.sock: only root or the user stockade runs as may ask it",
        ),
        (ErrorKind::ConnectionRefused, "no stockade answers on /run/s.sock: is it running? (stockade run)"),
        (ErrorKind::NotADirectory, "no stockade answers on /run/s.sock: is it running? (stockade run)"),
        (ErrorKind::WouldBlock, "stockade on /run/s.sock did not answer within 1m"),
        (ErrorKind::ConnectionReset, "stockade on /run/s.sock hung up without an answer"),
        (ErrorKind::OutOfMemory, "cannot ask on /run/s.sock: out of memory"),
    ] {
        assert_eq!(super::ask::failed(path, IDLE, kind.into()).to_string(), want, "{kind:?}");
    }
}

#[test]
fn a_pid_file_is_held_by_the_living() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/stockade.pid");
    std::fs::create_dir(dir.path().join("run")).unwrap();
    std::fs::write(&path, "99999999999 and what a crash left\n").unwrap();
    let pid = std::process::id();
    let held = PidFile::take(&path).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{pid}\n"));
    let second = PidFile::take(&path).unwrap_err().to_string();
    assert_eq!(second, format!("another stockade (pid {pid}) holds {}", path.display()));
    drop(held);
    assert!(!path.exists());

    let held = PidFile::take(&path).unwrap();
    std::fs::remove_file(&path).unwrap(); // somebody cleaned up
    let other = PidFile::take(&path).unwrap();
    drop(held);
    assert!(path.exists(), "what another holds now is not removed");
    drop(other);
}

#[test]
fn a_peer_that_does_not_read_is_left() {
    let bans = (0..20_000u32).map(|number| BanStatus {
        id: Id::Text(number.to_string().into()),
        since: UnixTime::from_secs(1),
        until: None,
        count: 1,
        failures: 6,
        state: "x".repeat(100).into(),
        lines: Vec::new(),
    });
    let response =
        Response::Banned(vec![JailBans { jail: "sshd".into(), bans: bans.collect(), ..JailBans::default() }]);
    let result = virtually(async {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"\"ping\"\n").await.unwrap();
        let handler = async move |_| response.clone();
        let result = serve(theirs, Duration::from_millis(50), &handler).await;
        drop(ours); // open until now, and never read
        result
    });
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}
