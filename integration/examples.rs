//! The examples that no container shows: what they name is there, and reads as they say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::skip;
use crate::shipped::path;

#[test]
fn systemd_takes_the_unit() {
    let found = Command::new("systemd-analyze").arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        skip("systemd-analyze is not installed: the unit of examples/systemd was not verified");
        return;
    }
    let unit = fs::read_to_string(path("examples/systemd/stockade-fail2ban.service")).unwrap();
    assert!(unit.contains("=/usr/local/bin/stockade "), "the program's place has changed");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("stockade-fail2ban.service");
    fs::write(&copy, unit.replace("/usr/local/bin/stockade", env!("CARGO_BIN_EXE_stockade"))).unwrap();
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    let ours = said.lines().filter(|line| line.contains("stockade")).collect::<Vec<_>>();
    assert!(ours.is_empty(), "{said}");
}

/// What `systemd-analyze security` thinks of a unit, in tenths; none: it is not there to be asked.
fn exposure(unit: &str, program: &str) -> Option<u32> {
    let text = fs::read_to_string(path(unit)).unwrap();
    assert!(text.contains(program), "{unit}: the program's place has changed");
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join(Path::new(unit).file_name().unwrap());
    fs::write(&copy, text.replace(program, env!("CARGO_BIN_EXE_stockade"))).unwrap();
    let asked = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(&copy)
        .output();
    let said = asked.ok().map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let Some(rest) = said.split("Overall exposure level for ").nth(1) else {
        skip(&format!("systemd-analyze cannot judge {unit} here: {said}"));
        return None;
    };
    let figure = rest.split_whitespace().nth(1).unwrap();
    Some(figure.replace('.', "").parse().unwrap())
}

#[test]
fn units_expose_no_more_than_is_said() {
    for (unit, program, most) in [
        ("packaging/stockade.service", "@BINDIR@/stockade", 20),
        ("examples/systemd/stockade-actions.service", "/usr/local/bin/stockade", 32),
        ("examples/systemd/stockade-fail2ban.service", "/usr/local/bin/stockade", 60),
    ] {
        if let Some(figure) = exposure(unit, program) {
            assert!(figure <= most, "{unit}: {figure} tenths, not {most}");
            let security = fs::read_to_string(path("docs/security.md")).unwrap();
            let said = format!("| {unit} | {}.{} |", figure / 10, figure % 10);
            assert!(security.replace('`', "").contains(&said), "docs/security.md does not say: {said}");
        }
    }
}

#[test]
fn units_let_the_daemon_close_its_sandbox() {
    let units = ["packaging/stockade.service", "examples/systemd/stockade-actions.service"]
        .map(|unit| fs::read_to_string(path(unit)).unwrap());
    for unit in units {
        for call in ["seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"] {
            let filter = unit.lines().find(|line| line.starts_with("SystemCallFilter=")).unwrap();
            assert!(filter.split_whitespace().any(|word| word == call), "{call} in {filter}");
        }
    }
}

#[test]
fn the_drop_in_for_a_host_has_no_mistake_in_debians_tree() {
    let debian = Path::new("/etc/fail2ban");
    if !debian.join("filter.d/sshd.conf").exists() {
        skip("Debian's fail2ban package is not installed: the drop-in of examples/systemd was not checked");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("fail2ban");
    assert!(Command::new("cp").arg("-a").arg(debian).arg(&etc).status().unwrap().success());
    fs::copy(path("examples/systemd/jail.d/stockade.local"), etc.join("jail.d/stockade.local")).unwrap();
    let check =
        Command::new(env!("CARGO_BIN_EXE_stockade")).arg("check").arg("--etc").arg(&etc).output().unwrap();
    let said = [check.stdout, check.stderr].concat();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn what_is_run_can_be_run() {
    for script in [
        "examples/docker-mailserver/rootfs/usr/local/bin/build-mailserver.sh",
        "examples/docker-mailserver/rootfs/usr/local/bin/configure-mail.sh",
        "examples/docker-mailserver/rootfs/usr/local/bin/link-fail2ban.sh",
        "examples/docker-mailserver/rootfs/usr/local/bin/start-mailserver.sh",
        "examples/docker-mailserver/user-patches.sh",
        "examples/rootless/podman.sh",
        "integration/containers/run.sh",
    ] {
        let mode = fs::metadata(path(script))
            .unwrap_or_else(|error| panic!("{script}: {error}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}
