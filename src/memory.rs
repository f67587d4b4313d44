//! Gives memory back that only the start needed.

use std::fs;

use rustix::mm::{Advice, madvise};

/// Work on so many bans at once leaves so much behind that giving it back is worth the milliseconds.
pub const MANY: usize = 10_000;

/// Pieces of memory at least so large go back to the system as soon as they are freed.
const LARGE: libc::c_int = 128 * 1024;

/// Has large pieces of memory go back to the system when they are freed. By itself the C library keeps ever larger
/// ones after the first, for each thread, out of the reach of [`give_back_heap`].
pub fn keep_nothing_large() {
    // SAFETY: it has no preconditions, and what is allocated already is not touched.
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "there is no safe way to ask the C library")]
    let _ = unsafe {
        (libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE), libc::mallopt(libc::M_TRIM_THRESHOLD, LARGE))
    };
}

/// Gives back what a start or a flood used: heap that is free, and the pages of this program's code. Of these, those
/// that are used come back from the page cache at once, those that only the start used (command line, configuration)
/// do not.
pub fn give_back() {
    give_back_heap();
    give_back_code();
}

/// Lets the system have the whole pages of free heap: the C library keeps them, wherever something lies behind them.
pub fn give_back_heap() {
    // SAFETY: it has no preconditions; what is in use is not touched.
    #[cfg(target_env = "gnu")]
    #[expect(unsafe_code, reason = "there is no safe way to ask the C library")]
    let _ = unsafe { libc::malloc_trim(0) };
}

/// Lets go of the pages of this program's code and constants, and of its libraries' code.
pub fn give_back_code() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    let Ok(program) = fs::read_link("/proc/self/exe") else { return };
    for line in maps.lines() {
        let Some((start, length)) = code(line, &program.to_string_lossy()) else { continue };
        // SAFETY: the mapping is code, or this program's constants, as the linker laid them out: never written, backed by
        // its file, so a page that is dropped is read again, unchanged, when it is next used.
        #[expect(unsafe_code, reason = "there is no safe way to advise on a mapping")]
        let _ =
            unsafe { madvise(std::ptr::with_exposed_provenance_mut(start), length, Advice::LinuxDontNeed) };
    }
}

/// Start and length of a mapping that is private and never written: a file's code, or the constants at this program's
/// start. (The loader wrote into what else is only read now.)
fn code(line: &str, program: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (rights, offset) = (words.next()?, words.next()?.trim_start_matches('0'));
    match (rights, offset, words.nth(2)?) {
        ("r-xp", _, file) if file.starts_with('/') => {}
        ("r--p", "", file) if file == program => {}
        _ => return None,
    }
    let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    Some((start, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_this_programs_constants_are_given_back() {
        let program = "/usr/bin/stockade";
        for (line, want) in [
            ("1000-3000 r-xp 00001000 fe:00 12 /usr/bin/stockade", Some((0x1000, 0x2000))),
            ("1000-3000 r--p 00000000 fe:00 12 /usr/bin/stockade", Some((0x1000, 0x2000))),
            ("1000-3000 r--p 00001000 fe:00 12 /usr/bin/stockade", None),
            ("1000-3000 r--p 00000000 fe:00 12 /lib/libc.so.6", None),
            ("1000-3000 rw-p 00001000 fe:00 12 /usr/bin/stockade", None),
            ("1000-3000 r-xp 00001000 fe:00 12 /lib/libc.so.6", Some((0x1000, 0x2000))),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", None),
            ("3000-1000 r-xp 00001000 fe:00 12 /usr/bin/stockade", None),
            ("1000-3000 r-xp 00000000 00:00 0", None),
            ("", None),
        ] {
            assert_eq!(code(line, program), want, "{line}");
        }
    }

    #[test]
    fn the_program_goes_on() {
        give_back_code();
        assert!(fs::read_to_string("/proc/self/maps").is_ok());
    }
}
