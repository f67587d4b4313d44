//! Which filters are Fail2Ban's own, unchanged.
//!
//! Pure. Only their fingerprints are kept.

use super::filter::Resolved;

/// Whether these are the regular expressions of a stock `dovecot` filter, of 1.0.2 or of upstream's head, in any mode.
pub(super) fn is_dovecot(filter: &Resolved) -> bool {
    DOVECOT.contains(&fingerprint(filter))
}

/// The fingerprints of the modes `normal` and `aggressive` in both.
const DOVECOT: &[u64] = &[];

/// FNV-1a, 64 bits, of the patterns in their order, each followed by a line end. The prefix, in which the log types
/// differ, is left out.
pub(super) fn fingerprint(filter: &Resolved) -> u64 {
    let patterns = filter.failregex.iter().flat_map(|text| text.bytes().chain([b'\n']));
    patterns.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
