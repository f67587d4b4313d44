//! The daemon's end: a socket of its own, peers by their credentials, requests by their size.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener as StdListener;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self as sys, AddressFamily, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task;
use tokio::time::{sleep, timeout};

use super::group::{self, Rank};
use super::pickle::{BYTES_CAP, Reply};
use super::request::{Request, Response};
use super::{CONNECTIONS, ControlError, PidFile, REQUEST_CAP, talk};
use crate::python::{Raised, Value};

/// How long a client of Fail2Ban's protocol may keep its connection between two commands.
const PAUSE: Duration = Duration::from_secs(3600);

/// A longer answer is written piece by piece.
const CHUNK: usize = 64 * 1024;

/// The socket that a daemon is asked on. Dropped, it is removed, unless it is systemd's.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The file, if it is ours.
    inode: Option<(u64, u64)>,
    /// Whose members may ask, if the file lets them and nobody else in.
    group: Option<u32>,
    /// Held while the socket is ours: two daemons that start at once cannot both find it stale.
    _lock: PidFile,
}

impl Listener {
    /// Opens the socket, for its owner's eyes only, and those of a group if there is one; a socket that nobody serves any more is replaced, one that systemd
    /// has opened for us is served.
    /// Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`ControlError::Running`] when somebody serves it, [`ControlError::NotSocket`] when a file is in the way,
    /// else what the system says.
    pub fn bind(path: &Path, group: Option<&str>) -> Result<Self, ControlError> {
        let mut listener = Self::bind_alone(path)?;
        let given = group.map(|group| listener.let_in(group));
        match given.transpose() {
            Ok(group) => listener.group = group,
            Err(why) => tracing::error!(target: "fail2ban.server", "only root may ask: {why}"),
        }
        Ok(listener)
    }

    fn bind_alone(path: &Path) -> Result<Self, ControlError> {
        let address = super::address(path)?;
        super::create_parent(path)?;
        let lock = lock(path)?;
        if let Some(socket) = super::inherit::socket(path) {
            return Self::serving(socket, path, None, lock);
        }
        make_room(path)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let open = || {
            let socket = sys::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
            // Before the bind, so that the file never has another mode.
            rustix::fs::fchmod(&socket, rustix::fs::Mode::from_raw_mode(0o600))?;
            sys::bind(&socket, &address)?;
            sys::listen(&socket, 128)?;
            Ok(socket)
        };
        let socket = open().map_err(|error: Errno| ControlError::io("open", path)(error.into()))?;
        let there = fs::symlink_metadata(path).map_err(ControlError::io("look at", path))?;
        Self::serving(socket, path, Some((there.dev(), there.ino())), lock)
    }

    fn serving(
        socket: OwnedFd,
        path: &Path,
        inode: Option<(u64, u64)>,
        lock: PidFile,
    ) -> Result<Self, ControlError> {
        let open = || {
            let socket = StdListener::from(socket);
            socket.set_nonblocking(true)?;
            UnixListener::from_std(socket)
        };
        let socket = open().map_err(ControlError::io("serve", path))?;
        Ok(Self { socket, path: path.to_owned(), inode, group: None, _lock: lock })
    }

    /// Lets a group ask; its number. A socket of systemd's must have the group and keep others out already.
    fn let_in(&self, group: &str) -> Result<u32, String> {
        let number = group::number(group).ok_or_else(|| format!("there is no group {group}"))?;
        let failed = |error: io::Error| format!("the socket cannot be given to the group {group}: {error}");
        if self.inode.is_some() {
            chown(&self.path, None, Some(number)).map_err(failed)?;
            fs::set_permissions(&self.path, Permissions::from_mode(0o660)).map_err(failed)?;
        }
        let there = fs::metadata(&self.path).map_err(failed)?;
        let is_guarded = there.gid() == number && there.mode() & libc::S_IRWXO == 0;
        if is_guarded {
            Ok(number)
        } else {
            Err(format!("systemd's socket is not for the group {group} alone"))
        }
    }

    /// Serves for ever; must run inside a [`task::LocalSet`] (an arbiter of the actors is one).
    ///
    /// A peer has `idle` to send a request and as long to take each piece of an answer. `handler` answers requests,
    /// `converse` the commands of Fail2Ban's clients.
    pub async fn run<H, C>(&self, idle: Duration, handler: H, converse: C)
    where
        H: AsyncFn(Request) -> Response + 'static,
        C: AsyncFn(Vec<Value>) -> Reply + 'static,
    {
        let handlers = Rc::new((handler, converse));
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let own = rustix::process::geteuid().as_raw();
        loop {
            let mut stream = match self.socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "control socket: a connection could not be accepted");
                    sleep(Duration::from_millis(100)).await; // out of descriptors: trying at once would spin
                    continue;
                }
            };
            let rank = peer(&stream, own, self.group.is_some());
            let refusal = match (rank, Arc::clone(&room).try_acquire_owned()) {
                (Ok(rank), Ok(permit)) => {
                    let handlers = Rc::clone(&handlers);
                    task::spawn_local(async move {
                        _ = attend(stream, rank, idle, &handlers.0, &handlers.1).await; // it went away: its own affair
                        drop(permit);
                    });
                    continue;
                }
                (Err(refusal), _) => refusal,
                (Ok(_), Err(_)) => format!("{CONNECTIONS} connections are open already: try again"),
            };
            // A fresh socket has room for one line, so this waits for nobody.
            _ = timeout(Duration::from_millis(100), answer(&mut stream, Response::Error(refusal), idle))
                .await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path).ok().map(|there| (there.dev(), there.ino()));
        let ours = self.inode.is_some() && there == self.inode;
        if ours {
            _ = fs::remove_file(&self.path); // a socket left behind is stale, not wrong
        }
    }
}

fn lock(path: &Path) -> Result<PidFile, ControlError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PidFile::take(Path::new(&name)).map_err(|error| match error {
        ControlError::Running { pid, .. } => {
            ControlError::Running { pid, verb: "answers on", path: path.to_owned() }
        }
        other => other,
    })
}

/// Removes a socket that nobody serves.
fn make_room(path: &Path) -> Result<(), ControlError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(ControlError::io("look at", path)(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(ControlError::NotSocket(path.to_owned())),
        Ok(_) => {}
    }
    let running = |pid| ControlError::Running { pid, verb: "answers on", path: path.to_owned() };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let address = super::address(path)?;
    let socket = sys::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(|error| ControlError::io("try", path)(error.into()))?;
    match sys::connect(&socket, &address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(ControlError::io("replace", path)),
        Err(Errno::NOENT) => Ok(()),
        Ok(()) => {
            let peer = sys::sockopt::socket_peercred(&socket).ok();
            Err(running(peer.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok())))
        }
        Err(Errno::AGAIN | Errno::PROTOTYPE) => Err(running(None)), // its queue is full; or it is of another kind
        Err(error) => Err(ControlError::io("try", path)(error.into())),
    }
}

/// What this peer may do, or why it is not served. Whom the file lets in besides root is of the group.
fn peer(stream: &UnixStream, own: u32, has_group: bool) -> Result<Rank, String> {
    match stream.peer_cred() {
        Ok(peer) if may_ask(peer.uid(), own) => Ok(Rank::Master),
        Ok(_) if has_group => Ok(Rank::Guest),
        Ok(peer) => Err(format!("user {} may not ask: only root or user {own} may", peer.uid())),
        Err(error) => Err(format!("who asks cannot be told: {error}")),
    }
}

/// Root and the daemon's own user may ask whatever they like.
pub(super) fn may_ask(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

/// Serves one connection in the language that its first byte is of.
async fn attend<H, C>(
    stream: UnixStream,
    rank: Rank,
    idle: Duration,
    handler: &H,
    converse: &C,
) -> io::Result<()>
where
    H: AsyncFn(Request) -> Response,
    C: AsyncFn(Vec<Value>) -> Reply,
{
    let handler = async |request: Request| {
        if rank.may(&request) { handler(request).await } else { Response::Error(group::REFUSAL.to_owned()) }
    };
    let converse = async |words: Vec<Value>| {
        if rank.may_say(&words) {
            converse(words).await
        } else {
            Err(Raised::builtin("PermissionError", group::REFUSAL))
        }
    };
    let mut stream = BufReader::new(stream);
    match timeout(idle, stream.fill_buf()).await??.first() {
        Some(first) if talk::begins(*first) => {
            let limits = talk::Limits { idle, pause: PAUSE, message: BYTES_CAP };
            talk::serve(stream, limits, &converse).await
        }
        Some(_) => serve(stream, idle, &handler).await,
        None => Ok(()),
    }
}

/// Answers one connection's requests, one after another, until it ends or misbehaves.
///
/// # Errors
/// The peer went away, or took longer than `idle` to send a request or to take a piece of an answer.
pub async fn serve<S, H>(stream: S, idle: Duration, handler: &H) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: AsyncFn(Request) -> Response,
{
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let request = (&mut stream).take(REQUEST_CAP as u64 + 1);
        timeout(idle, { request }.read_until(b'\n', &mut line)).await??;
        if line.is_empty() {
            return Ok(());
        }
        match parse(&line) {
            Ok(request) => answer(&mut stream, handler(request).await, idle).await?,
            Err(why) => return answer(&mut stream, Response::Error(why), idle).await,
        }
    }
}

/// Reads one request line.
fn parse(line: &[u8]) -> Result<Request, String> {
    if line.len() > REQUEST_CAP {
        return Err(format!("a request may have {REQUEST_CAP} bytes at most"));
    }
    serde_json::from_slice(line).map_err(|error| format!("this is no request: {error}"))
}

/// Writes one answer; a long one is never in memory as a whole.
async fn answer<W: AsyncWrite + Unpin>(out: &mut W, response: Response, idle: Duration) -> io::Result<()> {
    let mut short = Short(Vec::new());
    if serde_json::to_writer(&mut short, &response).is_ok() {
        short.0.push(b'\n');
        timeout(idle, out.write_all(&short.0)).await??;
        return out.flush().await;
    }
    let (sender, mut chunks) = mpsc::channel(1);
    let writer = task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(CHUNK, Chunks(sender));
        serde_json::to_writer(&mut out, &response)?;
        out.write_all(b"\n")?;
        out.flush()
    });
    while let Some(chunk) = chunks.recv().await {
        timeout(idle, out.write_all(&chunk)).await??;
    }
    writer.await??;
    out.flush().await
}

/// Takes no more than a chunk.
struct Short(Vec<u8>);

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > CHUNK {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hands each write on to the task that owns the socket, and waits for it.
struct Chunks(mpsc::Sender<Vec<u8>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
