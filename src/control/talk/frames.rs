//! Cuts what arrives into messages.
//!
//! Pure. What was looked at is not looked at again, so many small pieces cost no more than a large one.

use memchr::memmem;

use super::END;

/// The bytes of a connection that no message was made of yet.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Up to here there is no end mark.
    searched: usize,
}

impl Frames {
    /// What arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// How much of an unfinished message there is.
    pub(super) fn pending(&self) -> usize {
        self.bytes.len()
    }

    /// The next message, without its end mark.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let Some(end) = memmem::find(&self.bytes[self.searched..], END) else {
            self.searched = self.bytes.len().saturating_sub(END.len() - 1);
            return None;
        };
        let end = self.searched + end;
        let rest = self.bytes.split_off(end + END.len());
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.truncate(end);
        self.searched = 0;
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_any_pieces() {
        let bytes = b"one<F2B_END_COMMAND><F2B_END_COMMAND>t<F2B_END_o<F2B_END_COMMAND>rest";
        for size in 1..bytes.len() {
            let mut frames = Frames::default();
            let mut messages = Vec::new();
            for piece in bytes.chunks(size) {
                frames.push(piece);
                messages.extend(std::iter::from_fn(|| frames.next()));
            }
            assert_eq!(messages, [&b"one"[..], b"", b"t<F2B_END_o"], "pieces of {size}");
            assert_eq!(frames.pending(), 4);
        }
    }
}
