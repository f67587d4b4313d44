//! Large buffers that are used again while much is read: giving them back each time costs more than reading.

use std::sync::Arc;

use super::Block;
use super::log::BLOCK;

/// So many are kept.
const KEPT: usize = 2 * super::files::WINDOW;

/// Blocks on their way; one that nobody else holds any more gives its buffer to the next.
#[derive(Default)]
pub(super) struct Spare {
    lent: Vec<Arc<Block>>,
    free: Option<Vec<u8>>,
    used: bool,
}

impl Spare {
    /// An empty buffer for so many bytes, no larger than it needs to be.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<u8> {
        if bytes >= BLOCK / 2 {
            self.used = true;
            let mut buffer = self.free.take().or_else(|| self.returned()).unwrap_or_default();
            buffer.clear();
            buffer.reserve_exact(bytes);
            return buffer;
        }
        Vec::with_capacity(bytes)
    }

    fn returned(&mut self) -> Option<Vec<u8>> {
        let at = self.lent.iter().position(|block| Arc::strong_count(block) == 1)?;
        Arc::try_unwrap(self.lent.swap_remove(at)).ok().map(|block| block.text)
    }

    /// A buffer that is not needed after all.
    pub(super) fn put(&mut self, buffer: Vec<u8>) {
        if buffer.capacity() >= BLOCK / 2 {
            self.free = Some(buffer);
        }
    }

    /// Waits for a block to come back.
    pub(super) fn lend(&mut self, block: &Arc<Block>) {
        if block.text.capacity() >= BLOCK / 2 && self.lent.len() < KEPT {
            self.lent.push(block.clone());
        }
    }

    /// From time to time: what was not used since the last time is given up.
    pub(super) fn rest(&mut self) {
        if !std::mem::take(&mut self.used) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: Vec<u8>) -> Arc<Block> {
        let (end, read_at) = (crate::source::Cursor::default(), crate::time::UnixTime::default());
        let path = std::path::Path::new("log").into();
        Arc::new(Block {
            path,
            text,
            ends: Vec::new(),
            end,
            read_at,
            since: read_at,
            live: true,
            cut: 0,
            times: Vec::new(),
        })
    }

    #[test]
    fn a_large_buffer_comes_back_when_its_block_is_done_with() {
        let mut spare = Spare::default();
        let first = block(spare.take(BLOCK));
        let place = first.text.as_ptr();
        spare.lend(&first);
        let second = spare.take(BLOCK);
        assert_ne!(second.as_ptr(), place, "the first is still in use");
        drop(first);
        let third = spare.take(BLOCK);
        assert_eq!((third.as_ptr(), third.len()), (place, 0));
        assert!(third.capacity() >= BLOCK);
        spare.put(third);
        let fourth = spare.take(BLOCK);
        assert_eq!(fourth.as_ptr(), place, "it was not needed");
    }

    #[test]
    fn nothing_is_kept_of_small_blocks_nor_for_long() {
        let mut spare = Spare::default();
        let small = block(spare.take(100));
        assert_eq!(small.text.capacity(), 100);
        spare.lend(&small);
        assert!(spare.lent.is_empty());
        for _ in 0..100 {
            spare.lend(&block(spare_buffer()));
        }
        assert_eq!(spare.lent.len(), KEPT);
        spare.take(BLOCK);
        spare.rest();
        assert_eq!(spare.lent.len(), KEPT - 1, "used since");
        spare.rest();
        assert!(spare.lent.is_empty() && spare.free.is_none());
    }

    fn spare_buffer() -> Vec<u8> {
        Vec::with_capacity(BLOCK)
    }
}
