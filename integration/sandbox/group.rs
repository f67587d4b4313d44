//! The socket's group: its members ask, and change nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Output;

use crate::lab::{Lab, by, skip};

/// A group and a user that nobody has.
const GROUP: &str = "47110";
const USER: &str = "47111";

/// The program, as a user with this group.
fn asked(lab: &Lab, group: &str, words: &[&str]) -> (Option<i32>, String) {
    let (user, group) = (format!("--reuid={USER}"), format!("--regid={group}"));
    let wrapper = ["setpriv", &user, &group, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"];
    let Output { status, stdout, stderr } = by(&wrapper, &lab.command(words)).output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn its_members_may_ask_and_change_nothing_and_others_not_even_that() {
    if !rustix::process::geteuid().is_root() {
        skip("the socket's group: to become somebody else takes root");
        return;
    }
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    // The program, its configuration and the socket's folder are for everybody to see.
    fs::set_permissions(lab.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    lab.start(&["--set", &format!("daemon.socket_group={GROUP}")]);
    let socket = fs::metadata(lab.path("stockade.sock")).unwrap();
    assert_eq!((socket.mode() & 0o777, socket.uid(), socket.gid().to_string()), (0o660, 0, GROUP.to_owned()));
    let (code, said) = asked(&lab, GROUP, &["status"]);
    assert!(code == Some(0) && said.contains("sandbox: "), "{said}");
    for words in
        [&["stop"][..], &["unban", "--all"], &["ban", "192.0.2.7"], &["reload"], &["log", "--level", "DEBUG"]]
    {
        let (code, said) = asked(&lab, GROUP, words);
        let refused = said.contains("members of the socket's group may only ask: this is root's");
        assert!(code != Some(0) && refused, "{words:?}: {said}");
    }
    let (code, said) = asked(&lab, "47112", &["status"]);
    assert!(code == Some(2) && said.contains("permission denied"), "{said}");
    assert!(lab.is_ready());
}

#[test]
fn without_such_a_group_root_alone_asks_and_that_is_said() {
    let mut lab = Lab::new(&[]);
    lab.ssh_jail("ssh", "");
    lab.start(&["--set", "daemon.socket_group=no-such-group-here"]);
    assert_eq!(fs::metadata(lab.path("stockade.sock")).unwrap().mode() & 0o777, 0o600);
    assert!(lab.log().contains("only root may ask: there is no group no-such-group-here"), "{}", lab.log());
}
