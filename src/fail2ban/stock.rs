//! Which filters are Fail2Ban's own, unchanged.
//!
//! Pure. Only their fingerprints are kept.

use super::filter::Resolved;

/// The mode, if these are the regular expressions of a stock `dovecot` filter, of 1.0.2 or of upstream's head.
pub(super) fn dovecot(filter: &Resolved) -> Option<&'static str> {
    let print = fingerprint(filter);
    DOVECOT.iter().find(|(known, _)| *known == print).map(|(_, mode)| *mode)
}

/// The fingerprints of both, with their modes.
const DOVECOT: &[(u64, &str)] = &[
    (0xfca7_e8e4_6d26_71d6, "normal"),
    (0x3204_1c3a_abde_793b, "aggressive"),
    (0x2d1f_c4d7_8ea4_8b2a, "normal"),
    (0x83b2_a445_d7e7_0dad, "aggressive"),
];

/// Of the patterns in their order, each followed by a line end. The prefix, in which the log types
/// differ, is left out.
pub(super) fn fingerprint(filter: &Resolved) -> u64 {
    let patterns = filter.failregex.iter().flat_map(|text| text.bytes().chain([b'\n']));
    crate::fingerprint::of(patterns)
}
