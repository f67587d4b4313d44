//! A place in a file as Fail2Ban remembers it: a digest of the first line, and how many bytes were read.
//!
//! Fail2Ban goes on at that place when the file at the path still begins with that line, else at its beginning. Here a
//! file that was rotated since is looked for, too.

use std::path::Path;

use super::log::Log;
use super::{Cursor, head, rotated};
use crate::digest::Digest;
use crate::time::UnixTime;

/// A first line that is longer has no digest.
const LONGEST: usize = 1 << 20;

/// The file at `path`, or the one rotated from there, that begins with the line of this digest and holds so many
/// bytes. None: there is none, or nothing was read of it.
pub fn find(path: &Path, digest: &str, offset: u64, now: UnixTime) -> Option<Cursor> {
    if offset == 0 {
        return None;
    }
    let kind = Digest::spelled(digest);
    let rotated = || rotated::youngest_first(path);
    let paths = std::iter::once_with(|| vec![path.to_owned()]).chain(std::iter::once_with(rotated)).flatten();
    let mut logs = paths.filter_map(|path| Log::open(&path).ok());
    let mut log = logs.find(|log| {
        log.meta().is_ok_and(|meta| meta.len() >= offset)
            && first_line(log).is_some_and(|line| kind.hex(&line).eq_ignore_ascii_case(digest))
    })?;
    log.skip_to(offset).ok()?;
    Some(Cursor {
        dev: log.id.dev,
        inode: log.id.inode,
        offset,
        head_len: log.head.len,
        head_hash: log.head.hash,
        // As after any start of Fail2Ban: what lies behind it was not written while it watched.
        live: false,
        read_at: now,
        ..Cursor::default()
    })
}

/// The digest of the first line of the file that the cursor is in. None: that file is not at `path` any more.
pub fn digest(path: &Path, cursor: &Cursor, kind: Digest) -> Option<String> {
    let mut log =
        Log::open(path).ok().filter(|log| (log.id.dev, log.id.inode) == (cursor.dev, cursor.inode))?;
    let line = first_line(&log)?;
    // Afterwards: were it emptied and filled meanwhile, it would begin otherwise than when it was read.
    log.resume(cursor).ok()?.then(|| kind.hex(&line))
}

/// The first line with its end, or what there is of it.
fn first_line(log: &Log) -> Option<Vec<u8>> {
    let mut line = vec![0; 512];
    loop {
        let filled = head::fill(log.file(), &mut line, 0).ok()?;
        match memchr::memchr(b'\n', &line[..filled]) {
            Some(end) => line.truncate(end + 1),
            None if filled < line.len() => line.truncate(filled),
            None if filled > LONGEST => return None,
            None => {
                line.resize(filled * 8, 0);
                continue;
            }
        }
        return Some(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Format;
    use crate::source::follow::{Follow, Origin};
    use crate::source::spare::Spare;
    use crate::source::tail::Step;

    const NOW: UnixTime = UnixTime::from_secs(1_767_323_045);

    fn read_on(path: &Path, cursor: Cursor) -> String {
        let mut follow = Follow::open(path.into(), Origin::Saved(cursor), Format::Plain, NOW);
        let mut text = Vec::new();
        loop {
            match follow.read(NOW, &mut Spare::default()) {
                Step::Lines(block, _) => text.extend(block.text),
                Step::Inside => {}
                Step::End => return String::from_utf8(text).unwrap(),
            }
        }
    }

    #[test]
    fn a_place_of_fail2bans_is_found_also_where_the_file_was_rotated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.log");
        let long = format!("{}\n", "x".repeat(5000));
        for (first, kind) in [("one\n", Digest::Md5), ("one\n", Digest::Sha1), (&long, Digest::Sha1)] {
            std::fs::write(&path, format!("{first}two\nthree\n")).unwrap();
            let (digest, offset) = (kind.hex(first.as_bytes()), first.len() as u64 + 4);
            let cursor = find(&path, &digest, offset, NOW).unwrap();
            assert_eq!(read_on(&path, cursor.clone()), "three\n");
            assert_eq!(self::digest(&path, &cursor, kind), Some(digest.clone()));
            for (what, offset) in [("nothing was read", 0), ("it was longer", offset + 100)] {
                assert_eq!(find(&path, &digest, offset, NOW), None, "{what}");
            }
            assert_eq!(find(&path, &kind.hex(b"other\n"), offset, NOW), None);
            let rotated = dir.path().join("mail.log.1");
            std::fs::rename(&path, &rotated).unwrap();
            std::fs::write(&path, "new\n").unwrap();
            assert_eq!(self::digest(&path, &cursor, kind), None, "it is another file now");
            let cursor = find(&path, &digest, offset, NOW).unwrap();
            assert_eq!(read_on(&path, cursor), "three\nnew\n");
            std::fs::remove_file(&rotated).unwrap();
        }
    }

    #[test]
    fn a_file_that_was_emptied_and_filled_again_has_another_digest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.log");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let cursor = find(&path, &Digest::Sha1.hex(b"one\n"), 8, NOW).unwrap();
        std::fs::write(&path, "another\nand more\n").unwrap();
        assert_eq!(digest(&path, &cursor, Digest::Sha1), None);
    }
}
