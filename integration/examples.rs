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
