//! The server's end of one conversation.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::frames::Frames;
use super::{CLOSE, END, words};
use crate::control::pickle::{self, Reply};
use crate::python::Value;

/// So much is read or written at once.
const PIECE: usize = 64 * 1024;

/// What a peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may be silent within a message, and take for a piece of an answer.
    pub idle: Duration,
    /// How long it may be silent between two commands.
    pub pause: Duration,
    /// How many bytes a message may have.
    pub message: usize,
}

/// Answers one connection's commands, one after another, until it ends or misbehaves.
///
/// # Errors
/// The peer went away, or exceeded a limit.
pub async fn serve<S, H>(mut stream: S, limits: Limits, handler: &H) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: AsyncFn(Vec<Value>) -> Reply,
{
    let mut frames = Frames::default();
    let mut piece = vec![0; PIECE];
    loop {
        while let Some(message) = frames.next() {
            if message == CLOSE {
                return Ok(());
            }
            let answer = answer(message, handler).await;
            write(&mut stream, &answer, limits.idle).await?;
        }
        if frames.pending() > limits.message {
            let why = format!("a command may have {} bytes at most", limits.message);
            write(&mut stream, &pickle::write_error(&why, u8::MAX), limits.idle).await?;
            return Ok(());
        }
        let patience = if frames.pending() == 0 { limits.pause } else { limits.idle };
        match timeout(patience, stream.read(&mut piece)).await?? {
            0 => return Ok(()),
            count => frames.push(&piece[..count]),
        }
    }
}

/// Reads a command, has it carried out and writes down what came of it.
async fn answer<H: AsyncFn(Vec<Value>) -> Reply>(message: Vec<u8>, handler: &H) -> Vec<u8> {
    let (command, protocol) = match pickle::command(&message) {
        Ok(command) => command,
        Err(why) => {
            tracing::error!(target: "fail2ban.asyncserver", "a command that is none: {why}");
            return pickle::write_error(&why.to_string(), u8::MAX);
        }
    };
    drop(message);
    let reply = match words(command) {
        Ok(words) => handler(words).await,
        Err(raised) => Err(raised),
    };
    pickle::write_reply(&reply, protocol)
}

/// Writes a message and its end.
async fn write<S: AsyncWrite + Unpin>(stream: &mut S, message: &[u8], idle: Duration) -> io::Result<()> {
    for piece in message.chunks(PIECE) {
        timeout(idle, stream.write_all(piece)).await??;
    }
    timeout(idle, stream.write_all(END)).await??;
    stream.flush().await
}
