//! `fail2ban-regex systemd-journal[…]`: a filter tried on a journal.

use std::process::Command;

use super::{Entry, can_write, write};

fn entry(second: i64, unit: &str, message: &str) -> Entry {
    let fields = [
        ("_HOSTNAME", "host"),
        ("SYSLOG_IDENTIFIER", "maild"),
        ("_PID", "7"),
        ("_SYSTEMD_UNIT", unit),
        ("MESSAGE", message),
    ];
    Entry::new(1, 1_767_323_045_000_000 + second * 1_000_000, &fields)
}

#[test]
fn a_filter_is_tried_on_a_journal() {
    if !can_write() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.journal");
    let entries = [
        entry(0, "mail.service", "bad 192.0.2.1"),
        entry(1, "web.service", "bad 192.0.2.2"),
        entry(2, "mail.service", "good"),
    ];
    write(&file, &entries, &[]);
    let program = dir.path().join("fail2ban-regex");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_stockade"), &program).unwrap();
    let run = |words: &[&str]| {
        let output = Command::new(&program).args(words).env("TZ", "UTC").output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let journal = format!("systemd-journal[journalfiles=\"{}\"]", file.display());
    let regex = r"^host maild\[\d+\]: bad <HOST>$";
    assert_eq!(
        run(&["-o", "<ip> <time>", &journal, regex]),
        "192.0.2.1 1767323045.0\n192.0.2.2 1767323046.0\n"
    );
    let out = run(&["-m", "_SYSTEMD_UNIT=mail.service", &journal, regex]);
    let (told, found) = out.split_once("Results").unwrap();
    assert!(
        told.contains(
            "Use         systemd journal\nUse         encoding : UTF-8\n\
             Use    journal match : _SYSTEMD_UNIT=mail.service\n"
        ),
        "{told}"
    );
    assert!(!found.contains("Date template hits"), "{found}");
    assert!(found.contains("Lines: 2 lines, 0 ignored, 1 matched, 1 missed\n"), "{found}");
    assert!(
        found.contains("|- Missed line(s):\n|  2026-01-02T03:04:07 host maild[7]: good\n`-\n"),
        "{found}"
    );
}
