//! The operator's end: one question, one answer, no runtime.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{self as sys, AddressFamily, SocketFlags, SocketType, sockopt};
use serde::Deserialize;

use super::request::{Request, Response};
use super::{ControlError, REQUEST_CAP, RESPONSE_CAP};

/// Asks the daemon behind `path`; `timeout` is how long it may be silent.
///
/// # Errors
/// Nobody answers there, this user may not ask, the answer does not come in time, or makes no sense.
pub fn ask(path: &Path, request: &Request, timeout: Duration) -> Result<Response, ControlError> {
    let mut line = serde_json::to_vec(request).map_err(|error| garbled(path, error.to_string()))?;
    line.push(b'\n');
    if line.len() > REQUEST_CAP {
        return Err(ControlError::RequestTooLong);
    }
    let mut stream = connect(path, timeout)?;
    match stream.write_all(&line) {
        Ok(()) => {}
        // Refused before it was read: the reason waits to be read.
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {}
        Err(error) => return Err(failed(path, timeout, error)),
    }
    let mut answer = Vec::new();
    BufReader::with_capacity(256 * 1024, stream.take(RESPONSE_CAP))
        .read_until(b'\n', &mut answer)
        .map_err(|error| failed(path, timeout, error))?;
    let mut parser = serde_json::Deserializer::from_slice(&answer);
    Response::deserialize(&mut parser).map_err(|error| {
        if error.is_eof() { ControlError::HungUp(path.to_owned()) } else { garbled(path, error.to_string()) }
    })
}

/// Connects; `timeout` bounds this and every wait afterwards.
pub(super) fn connect(path: &Path, timeout: Duration) -> Result<UnixStream, ControlError> {
    let address = super::address(path)?;
    let open = || {
        let socket = sys::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        // Before the connect: it waits as long as the daemon's queue is full.
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(timeout))?;
        sys::connect(&socket, &address)?;
        Ok(UnixStream::from(socket))
    };
    open().map_err(|error: Errno| failed(path, timeout, error.into()))
}

pub(super) fn failed(path: &Path, timeout: Duration, error: io::Error) -> ControlError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
            ControlError::NotRunning(path)
        }
        io::ErrorKind::PermissionDenied => ControlError::Denied(path),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ControlError::Silent { path, timeout },
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ControlError::HungUp(path),
        _ => ControlError::Io { what: "ask on", path, source: error },
    }
}

fn garbled(path: &Path, why: String) -> ControlError {
    ControlError::Garbled { path: path.to_owned(), why }
}
