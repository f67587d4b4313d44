use std::io::{Read, Write};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::Path;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::LocalSet;

use super::{CLOSE, Client, END, Limits, begins, serve, words};
use crate::control::pickle::{self, Reply};
use crate::control::request::{Request, Response};
use crate::control::{ControlError, Listener, ask};
use crate::python::{self, Raised, Value};

const IDLE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { idle: IDLE, pause: IDLE, message: 1000 };

fn virtually<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// Answers each command with itself, and what is told to fail with what it is told.
async fn echo(words: Vec<Value>) -> Reply {
    match &words[..] {
        [Value::Text(verb), Value::Text(why)] if verb == "raise" => Err(Raised::builtin("ValueError", why)),
        _ => Ok(Value::List(words)),
    }
}

/// What a peer that sends `bytes`, then (or not) closes its side, reads until the other side closes.
fn talk(bytes: &[u8], close: bool, limits: Limits) -> (std::io::Result<()>, Vec<u8>) {
    virtually(async {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let serving = tokio::task::spawn_local(serve(theirs, limits, &echo));
        _ = ours.write_all(bytes).await; // may be cut off in the middle
        if close {
            ours.shutdown().await.unwrap();
        }
        let mut answer = Vec::new();
        _ = ours.read_to_end(&mut answer).await;
        (serving.await.unwrap(), answer)
    })
}

fn message(pickle: &[u8]) -> Vec<u8> {
    [pickle, END].concat()
}

#[test]
fn commands_until_the_close() {
    let ping = python::words(["ping"]);
    for protocol in pickle::PROTOCOLS {
        let told = message(&pickle::write_command(&ping, protocol));
        let failed = message(&pickle::write_command(&python::words(["raise", "no"]), protocol));
        let sent = [&told[..], &failed, &told, CLOSE, END, &told].concat();
        let same = message(&pickle::write_reply(&Ok(Value::List(ping.clone())), protocol));
        let raised = message(&pickle::write_reply(&Err(Raised::builtin("ValueError", "no")), protocol));
        for close in [true, false] {
            let (result, answer) = talk(&sent, close, LIMITS);
            assert_eq!(answer, [&same[..], &raised, &same].concat(), "protocol {protocol}");
            assert!(result.is_ok(), "{result:?}");
        }
    }
}

#[test]
fn what_is_no_command_is_told_so_and_the_next_one_is_heard() {
    for (bytes, why) in [
        (&b""[..], "ERROR: Ran out of input"),
        (b"\x80\x05", "ERROR: pickle data was truncated"),
        (b"\x80\x09N.", "ERROR: unsupported pickle protocol: 9"),
        (b"cos\nsystem\n(Vtrue\ntR.", "ERROR: global 'os.system' is forbidden"),
    ] {
        let ping = message(&pickle::write_command(&python::words(["ping"]), 5));
        let (_, answer) = talk(&[message(bytes), ping].concat(), true, LIMITS);
        let same = message(&pickle::write_reply(&Ok(Value::List(python::words(["ping"]))), 5));
        let error = message(&pickle::write_error(why.strip_prefix("ERROR: ").unwrap(), 5));
        assert_eq!(answer, [&error[..], &same].concat(), "{why}");
        assert_eq!(
            pickle::reply(&error[..error.len() - END.len()]),
            Ok(Err(Raised::builtin("Exception", why)))
        );
    }
}

#[test]
fn a_command_is_a_list() {
    for (command, want) in [
        (Value::List(vec![1.into()]), "[1]"),
        (Value::Tuple(vec![]), "[]"),
        (Value::Map(vec![]), "KeyError(0)"),
        ("ping".into(), "Exception('Invalid command')"),
        (5.into(), "TypeError(\"'int' object is not subscriptable\")"),
        (Value::None, "TypeError(\"'NoneType' object is not subscriptable\")"),
        (true.into(), "TypeError(\"'bool' object is not subscriptable\")"),
    ] {
        let got = match words(command.clone()) {
            Ok(words) => python::command(&words),
            Err(Raised { class, arguments, .. }) => {
                let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
                format!("{class}({})", arguments.join(", "))
            }
        };
        assert_eq!(got, want, "{command}");
    }
}

#[test]
fn a_conversation_is_bounded_in_size_and_time() {
    let (result, answer) = talk(&vec![b'N'; 300_000], true, LIMITS);
    assert!(result.is_ok());
    assert_eq!(answer, message(&pickle::write_error("a command may have 1000 bytes at most", 5)));

    let soon = Duration::from_millis(1);
    for (bytes, limits) in [
        (&b""[..], Limits { pause: soon, ..LIMITS }),
        (b"\x80\x05", Limits { idle: soon, ..LIMITS }),
        (b"\x80\x05<F2B_END_COMMAND", Limits { idle: soon, ..LIMITS }),
    ] {
        let (result, answer) = talk(bytes, false, limits);
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        assert!(answer.is_empty());
    }
}

/// Serves `path` while `question` is asked on another thread.
fn beside<T: Send + 'static>(path: &Path, question: impl FnOnce(&Path) -> T + Send + 'static) -> T {
    virtually(async {
        let listener = Listener::bind(path, None).unwrap();
        let path = path.to_owned();
        let question = tokio::task::spawn_blocking(move || question(&path));
        let json = async |request| Response::Error(format!("{request:?}"));
        match select(question, Box::pin(listener.run(IDLE, json, echo))).await {
            Either::Left((answer, _)) => answer.unwrap(),
            Either::Right(_) => unreachable!("it runs for ever"),
        }
    })
}

#[test]
fn two_languages_on_one_socket() {
    let dir = tempfile::tempdir().unwrap();
    beside(&dir.path().join("both.sock"), |path| {
        let mut client = Client::connect(path, IDLE).unwrap();
        assert_eq!(client.ask(&python::words(["ping"])).unwrap(), Ok(Value::List(python::words(["ping"]))));
        // Another one in between, in the other language.
        let json = ask(path, &Request::Ping, IDLE).unwrap();
        assert_eq!(json, Response::Error("Ping".into()));
        assert_eq!(
            client.ask(&python::words(["raise", "no"])).unwrap(),
            Err(Raised::builtin("ValueError", "no"))
        );
        // Large ones: a stream of a large configuration.
        let stream: Vec<Value> =
            (0..100_000).map(|line| format!("{line} {}", "x".repeat(50)).into()).collect();
        let large = [Value::from("server-stream"), Value::List(stream)];
        assert!(client.ask(&large).unwrap() == Ok(Value::List(large.to_vec())));
    });
    for byte in *b"\"{ \n" {
        assert!(!begins(byte), "JSON");
    }
}

#[test]
fn a_client_says_why_it_has_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f2b.sock");
    let ask = |path: &Path, timeout| Client::connect(path, timeout)?.ask(&python::words(["ping"]));
    assert!(matches!(ask(&path, IDLE), Err(ControlError::NotRunning(_))));
    let server = StdListener::bind(&path).unwrap();
    assert!(matches!(ask(&path, Duration::from_millis(1)), Err(ControlError::Silent { .. })));
    drop(server.accept()); // the one that gave up

    for (bytes, garbled) in
        [(&b""[..], None), (b"\x80\x05", None), (b"x<F2B_END_COMMAND>", Some("invalid load key, 'x'"))]
    {
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut peer, _) = server.accept().unwrap();
                read_command(&mut peer);
                peer.write_all(bytes).unwrap();
            });
            ask(&path, IDLE)
        });
        match (answer, garbled) {
            (Err(ControlError::HungUp(_)), None) => {}
            (Err(ControlError::Garbled { why, .. }), Some(want)) => assert_eq!(why, want),
            (other, _) => panic!("{other:?}"),
        }
    }
}

fn read_command(peer: &mut StdStream) {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(END) {
        peer.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
}
