//! One of logind's session files (`/run/systemd/sessions/5`): `KEY=value` lines, as `sd-login` reads them.
//!
//! Pure.

use super::{literal, word};
use crate::ignore::Login;

/// The kinds of sessions that somebody has logged into: no login screen, no manager, nothing that runs by itself.
const CLASSES: [&str; 4] = ["user", "user-early", "user-light", "user-early-light"];

/// The login that a session is; none: it is one of this host, is over, or makes no sense.
pub(super) fn read(name: &str, text: &[u8]) -> Option<Login> {
    let text = String::from_utf8_lossy(text);
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(known, _)| *known == key).map(|(_, value)| value.trim()).next_back()
    };
    let lives = match value("STATE") {
        Some(state) => matches!(state, "active" | "online"),
        None => value("ACTIVE") == Some("1"),
    };
    if !lives || value("REMOTE") != Some("1") || !CLASSES.contains(&value("CLASS")?) {
        return None;
    }
    let host = literal(value("REMOTE_HOST")?)?;
    let user = value("USER").or_else(|| value("UID")).filter(|user| !user.is_empty())?;
    let terminal = value("TTY").filter(|terminal| !terminal.is_empty());
    let place = terminal
        .map_or_else(|| format!("session {name}"), |terminal| format!("session {name}, {}", word(terminal)));
    Some(Login { host, user: word(user), place: place.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: &str = "# This is private data. Do not parse.\nUID=0\nUSER=root\nACTIVE=1\nSTATE=active\nREMOTE=1\n\
        TYPE=tty\nCLASS=user\nSCOPE=session-5.scope\nTTY=pts/0\nREMOTE_HOST=198.51.100.7\nSERVICE=sshd\nLEADER=4711\n";

    fn changed(from: &str, to: &str) -> String {
        assert!(ACTIVE.contains(from), "{from}");
        ACTIVE.replace(from, to)
    }

    #[test]
    fn who_is_logged_in() {
        let root = Some("root is logged in from 198.51.100.7 (session 5, pts/0)");
        for (text, want) in [
            (ACTIVE.to_owned(), root),
            (changed("STATE=active", "STATE=online"), root),
            (changed("STATE=active\n", ""), root),
            (changed("CLASS=user", "CLASS=user-early"), root),
            (changed("TTY=pts/0\n", ""), Some("root is logged in from 198.51.100.7 (session 5)")),
            (changed("USER=root\n", ""), Some("0 is logged in from 198.51.100.7 (session 5, pts/0)")),
            (
                changed("198.51.100.7", "2001:db8::7"),
                Some("root is logged in from 2001:db8::7 (session 5, pts/0)"),
            ),
            (
                changed("198.51.100.7", "fe80::7%eth0"),
                Some("root is logged in from fe80::7 (session 5, pts/0)"),
            ),
            (changed("198.51.100.7", "::ffff:198.51.100.7"), root),
            // Over, or not begun.
            (changed("STATE=active", "STATE=closing"), None),
            (changed("STATE=active", "STATE=opening"), None),
            (changed("STATE=active\n", "").replace("ACTIVE=1", "ACTIVE=0"), None),
            // Nobody who logged in from afar.
            (changed("REMOTE=1", "REMOTE=0"), None),
            (changed("REMOTE=1\n", ""), None),
            (changed("CLASS=user", "CLASS=greeter"), None),
            (changed("CLASS=user", "CLASS=manager"), None),
            (changed("CLASS=user\n", ""), None),
            // Not an address as such.
            (changed("198.51.100.7", "host.example.org"), None),
            (changed("198.51.100.7", "198.51.100.0/24"), None),
            (changed("198.51.100.7", "0.0.0.0"), None),
            (changed("198.51.100.7", ""), None),
            (changed("REMOTE_HOST=198.51.100.7\n", ""), None),
            // The last word counts, as a shell would have it, and a key is a whole one.
            (format!("{ACTIVE}STATE=closing\n"), None),
            (changed("REMOTE=1", "NO_REMOTE=1"), None),
            (
                changed("root", "ro\u{1b}[2Jot\u{202e}"),
                Some("ro??2Jot? is logged in from 198.51.100.7 (session 5, pts/0)"),
            ),
            (String::new(), None),
        ] {
            let found = read("5", text.as_bytes()).map(|login| login.to_string());
            assert_eq!(found.as_deref(), want, "{text}");
        }
        assert_eq!(read("5", b"\xff\xfe=\0\n=\n\n==\nREMOTE"), None);
    }
}
