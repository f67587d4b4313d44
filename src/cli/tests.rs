use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn command_lines() {
    for (line, right) in [
        ("run --dry-run --remove --no-store --socket /tmp/s --set a.b=c --set d=", true),
        ("status --json", true),
        ("--json status sshd", true),
        ("ban 192.0.2.1 not-an-ip --for forever --force", true), // the daemon says what it thinks of not-an-ip
        ("ban 192.0.2.1 --for 2weeks", true),
        ("unban --all --jail sshd", true),
        ("log --level debug --target STDOUT", true),
        ("reload sshd --confirm 60s", true),
        ("reload --confirm 2m --json", true),
        ("reload --confirm soon", false),
        ("reload --confirm", false),
        ("confirm", true),
        ("confirm --undo --json", true),
        ("confirm sshd", false),
        ("ban", false),
        ("ban 192.0.2.1 --for soon", false),
        ("unban", false),
        ("unban --all 192.0.2.1", false),
        ("log --level loud", false),
        ("status --set nothing", false),
        ("status --set =x", false),
        ("test sshd", false),
        ("", false),
    ] {
        let parsed = Cli::try_parse_from(std::iter::once("stockade").chain(line.split_whitespace()));
        assert_eq!(parsed.is_ok(), right, "{line}: {parsed:?}");
    }
}

#[test]
fn a_closed_pipe_is_no_mistake() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for json in ["", " --json"] {
        let line = format!("stockade version{json}");
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let error = cli.run(&mut Closed).unwrap_err();
        assert!(is_closed_pipe(&error), "{line}: {error:?}");
    }
    assert!(!is_closed_pipe(&anyhow::anyhow!("something else")));
}

#[test]
fn json_is_plain() {
    let mut out = Vec::new();
    json::write(&mut out, &["a\u{9b}31m\u{202e}b\x1b\x7f", "ü\n"]).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "[\"a\\u009b31m\\u202eb\\u001b\\u007f\",\"ü\\n\"]\n");
}
