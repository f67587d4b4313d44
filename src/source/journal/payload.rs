//! Values that journald has compressed: unpacked as far as they are wanted, never further.
//!
//! Pure. LZ4 and ZSTD; XZ (systemd before 246, where it was built so) is refused with a sentence.

use std::io::Read as _;

use super::bytes::Damage;

/// How a value is packed, as its object's flags say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Lz4,
    Zstd,
}

impl Packing {
    pub(super) fn of(flags: u8) -> Result<Self, Damage> {
        match flags & 0b111 {
            0 => Ok(Self::Plain),
            2 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            _ => Err(Damage::Unsupported("XZ")),
        }
    }
}

/// Bytes of a packed value that are read at most.
pub(super) const PACKED_CAP: usize = 1 << 20;
/// A packed value whose LZ4 frame says that it is longer is unpacked only up to here.
const LZ4_CAP: usize = 4 << 20;

/// The first `limit` bytes of a packed value; none: it is not packed as it says.
pub(super) fn unpack(packing: Packing, packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    match packing {
        Packing::Plain => Some(packed[..packed.len().min(limit)].to_vec()),
        Packing::Lz4 => {
            let (size, block) = packed.split_first_chunk::<8>()?;
            let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
            let mut bytes = vec![0; size.min(LZ4_CAP)];
            let unpacked = lz4_flex::block::decompress_into(block, &mut bytes);
            if size <= LZ4_CAP {
                bytes.truncate(unpacked.ok()?);
            }
            bytes.truncate(limit);
            Some(bytes)
        }
        Packing::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(packed).ok()?;
            let mut bytes = Vec::new();
            decoder.take(limit as u64).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        }
    }
}
