use super::*;
use crate::firewall::{Block, Hook, Rules, Ruleset};

fn rules() -> Rules {
    Ruleset { ports: vec![], protocols: vec![], block: Block::Drop, hooks: vec![Hook::Input], priority: 0 }
        .into()
}

fn element(net: &str) -> Element {
    Element { net: net.parse().unwrap(), timeout: None }
}

#[test]
fn the_file_keeps_its_mode_its_link_and_what_others_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("real"), dir.path().join("hosts.deny"));
    fs::write(&file, "sshd: 198.51.100.1\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let mut firewall = HostsDeny::open(&link).unwrap();
    let jail: std::sync::Arc<str> = "a".into();
    let answers = firewall.apply(&[
        Change::Open { jail: jail.clone(), rules: rules() },
        Change::Ban { jail: jail.clone(), element: element("192.0.2.1") },
        Change::Ban { jail: jail.clone(), element: element("2001:db8::1") },
        Change::Ban { jail: "b".into(), element: element("192.0.2.1") },
    ]);
    let refused = Refusal("the jail `b` has no part of the file".to_owned());
    assert_eq!(answers.unwrap(), [Ok(()), Ok(()), Ok(()), Err(refused)]);
    let text = fs::read_to_string(&link).unwrap();
    assert!(text.starts_with("sshd: 198.51.100.1\n# stockade begins"), "{text}");
    assert!(text.contains("ALL: 192.0.2.1\nALL: [2001:db8::1]\n"), "{text}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    // Another run finds it, and someone's edit is kept.
    fs::write(&file, fs::read_to_string(&file).unwrap() + "vsftpd: ALL\n").unwrap();
    let mut again = HostsDeny::open(&link).unwrap();
    let found = again.list().unwrap();
    assert_eq!(found, [(jail.clone(), vec![element("192.0.2.1"), element("2001:db8::1")])]);
    let wanted = Wanted { jail: jail.clone(), rules: rules(), elements: vec![element("192.0.2.9")] };
    assert_eq!(again.replace(&[wanted]).unwrap(), [vec![]]);
    assert_eq!(again.list().unwrap(), [(jail.clone(), vec![element("192.0.2.9")])]);
    again.apply(&[Change::Unban { jail, net: "192.0.2.9".parse().unwrap() }]).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "sshd: 198.51.100.1\nvsftpd: ALL\n");
    again.remove().unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "sshd: 198.51.100.1\nvsftpd: ALL\n");
}

#[test]
fn a_file_that_is_not_there_is_made_and_a_damaged_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hosts.deny");
    let mut firewall = HostsDeny::open(&file).unwrap();
    assert_eq!(firewall.list().unwrap(), []);
    let wanted = Wanted { jail: "a".into(), rules: rules(), elements: vec![element("192.0.2.0/24")] };
    firewall.replace(&[wanted]).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, MODE);
    fs::write(&file, "# stockade begins: its bans, do not edit\n").unwrap();
    let error = HostsDeny::open(&file).unwrap_err().to_string();
    let path = file.canonicalize().unwrap();
    let line = "line 1 begins this program's part, and no line ends it: remove what is not yours below it";
    assert_eq!(error, format!("hosts-deny: {}: {line}", path.display()));
    let nowhere = dir.path().join("none/hosts.deny");
    let error = HostsDeny::open(&nowhere).unwrap().remove();
    assert!(error.is_ok(), "there is nothing to remove");
}
