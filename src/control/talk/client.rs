//! The client's end of a conversation, no runtime.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::frames::Frames;
use super::{CLOSE, END};
use crate::control::ask::{connect, failed};
use crate::control::{ControlError, pickle};
use crate::python::{Raised, Value};

/// The newest form that every Python still in use reads.
const PROTOCOL: u8 = 4;

/// A conversation with a Fail2Ban server, ours or theirs. Dropped, it says that it ends.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    timeout: Duration,
    frames: Frames,
}

impl Client {
    /// Connects to a socket; `timeout` is how long the server may be silent.
    ///
    /// # Errors
    /// Nobody answers there, or this user may not ask.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, ControlError> {
        let stream = connect(path, timeout)?;
        Ok(Self { stream, path: path.to_owned(), timeout, frames: Frames::default() })
    }

    /// Another patience from now on.
    ///
    /// # Errors
    /// What the system says.
    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), ControlError> {
        let set = |stream: &UnixStream| {
            stream.set_read_timeout(Some(timeout))?;
            stream.set_write_timeout(Some(timeout))
        };
        set(&self.stream).map_err(ControlError::io("ask on", &self.path))?;
        self.timeout = timeout;
        Ok(())
    }

    /// Says a command and waits for its answer: a value, or what the server raised in its place.
    ///
    /// # Errors
    /// The answer does not come in time, or makes no sense. The conversation is over then.
    pub fn ask(&mut self, command: &[Value]) -> Result<Result<Value, Raised>, ControlError> {
        let message = pickle::write_command(command, PROTOCOL);
        self.stream
            .write_all(&message)
            .and_then(|()| self.stream.write_all(END))
            .map_err(|error| failed(&self.path, self.timeout, error))?;
        let answer = self.receive()?;
        pickle::reply(&answer)
            .map_err(|why| ControlError::Garbled { path: self.path.clone(), why: why.to_string() })
    }

    fn receive(&mut self) -> Result<Vec<u8>, ControlError> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            if let Some(message) = self.frames.next() {
                return Ok(message);
            }
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(ControlError::HungUp(self.path.clone())),
                Ok(count) => self.frames.push(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&self.path, self.timeout, error)),
            }
            if self.frames.pending() > pickle::ANSWER_CAP {
                let why = "it does not end".to_owned();
                return Err(ControlError::Garbled { path: self.path.clone(), why });
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        _ = self.stream.write_all(&[CLOSE, END].concat()); // a courtesy
    }
}
