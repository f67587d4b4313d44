//! What cannot be enforced is no ban, and says why.

use crate::lab::{Container, until};

const LEGACY: &str = "[DEFAULT]\nbanaction = iptables-multiport\nbanaction_allports = iptables-allports\n";

/// The image has no iptables.
#[test]
fn legacy_iptables_that_is_not_installed_bans_nobody_and_says_so() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.lab.write("etc/jail.d/user-jail.local", LEGACY);
    // Where iptables lies is no part of it.
    container.launch(&["env", "PATH=/usr/bin"]);
    container.until_ready();
    let output = container.stockade(&["ban", "--jail", "custom", "192.0.66.7"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{output:?}");
    assert!(said.contains("iptables") && said.contains("not found"), "{said}");
    until("it is said", || container.log().contains("192.0.66.7 is not banned: "));
    assert_eq!(container.status("custom")["banned_now"], 0);
    assert!(!container.log().contains("[custom] Ban "), "{}", container.log());
}
