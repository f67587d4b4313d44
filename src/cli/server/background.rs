//! The server in the background: this program once more, in a session of its own. Whoever started it waits until it
//! is ready, and hears why if it never is.

use std::ffi::CString;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::client::{self, Place, options::Options};
use crate::control;
use crate::control::request::{Request, Response};

/// Set in the environment of the process that becomes the server: who starts it. What the server itself runs later has
/// another parent.
const CHILD: &str = "STOCKADE_CHILD";
/// How long it may take until it is ready, unless `--timeout` says something else.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Whether this process is to become the server.
pub(in crate::cli) fn is_child() -> bool {
    let parent = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().to_string());
    parent.is_some_and(|parent| std::env::var(CHILD).is_ok_and(|starter| starter == parent))
}

/// The server is ready: whoever started it need not listen any more.
pub(super) fn detach() {
    let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") else { return };
    _ = rustix::stdio::dup2_stdout(&null);
    _ = rustix::stdio::dup2_stderr(&null); // a log that goes there is lost, as in every daemon
}

/// What the process is called in lists of processes, and a session of its own where it is a child.
pub(super) fn name(name: &str) {
    if is_child() {
        _ = rustix::process::setsid(); // fails where it leads a group already, as from a shell
    }
    if let Ok(name) = CString::new(name) {
        _ = rustix::thread::set_name(&name);
    }
}

/// Starts the server and waits until it is ready; whether it is. With `--async` whoever asked for it says so.
pub(super) fn start(options: &Options, place: &Place) -> anyhow::Result<bool> {
    let mut child = command(options)?.spawn()?;
    let said = listen(&mut child);
    let patience = options.timeout.filter(|time| !time.is_zero()).unwrap_or(PATIENCE);
    let asked = Instant::now();
    let ready = loop {
        if child.try_wait()?.is_some() {
            break false;
        }
        if is_ready(&place.socket) {
            break true;
        }
        if asked.elapsed() > patience {
            let patience = crate::span::format(patience);
            client::complain(&format!("the server is not ready after {patience}; it goes on, see its log"));
            return Ok(false);
        }
        thread::sleep(LOOK);
    };
    _ = said.recv_timeout(Duration::from_secs(2)); // its last words; a process of its own may hold the pipe
    if ready && !options.detached {
        client::print("Server ready\n");
    }
    Ok(ready)
}

/// This program as the server, with the same options.
fn command(options: &Options) -> io::Result<Command> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(super::NAME).arg("-f").arg("-c").arg(std::path::absolute(&options.folder)?);
    for (key, value) in &options.overrides {
        let is_path = matches!(&**key, "socket" | "pidfile") || value.contains('/');
        command.arg(format!("--{key}"));
        if is_path {
            command.arg(std::path::absolute(value)?)
        } else {
            command.arg(value)
        };
    }
    if let Some(name) = &options.process_name {
        command.arg("--pname").arg(name);
    }
    for (flag, set) in [("-x", options.force), ("--async", options.detached)] {
        if set {
            command.arg(flag);
        }
    }
    command.arg("start").env(CHILD, std::process::id().to_string()).current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// Passes on what the server says until it is ready or gone.
fn listen(child: &mut Child) -> mpsc::Receiver<()> {
    let (done, said) = mpsc::channel();
    if let Some(mut stderr) = child.stderr.take() {
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut piece) {
                _ = io::stderr().write_all(&piece[..count]); // nobody to tell
            }
            _ = done.send(());
        });
    }
    said
}

fn is_ready(socket: &Path) -> bool {
    let answer = control::ask(socket, &Request::Ping, Duration::from_secs(1));
    matches!(answer, Ok(Response::Pong { ready: true, .. }))
}
