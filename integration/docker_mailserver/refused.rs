//! What cannot be enforced is no ban, and says why.

use crate::lab::{Container, until};

const LEGACY: &str = "[DEFAULT]\nbanaction = iptables-multiport\nbanaction_allports = iptables-allports\n";

/// The image has no iptables.
#[test]
fn legacy_iptables_that_is_not_installed_bans_nobody_and_says_so() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.lab.write("etc/jail.d/user-jail.local", LEGACY);
    // Where iptables lies is no part of it.
    container.launch(&["env", "PATH=/usr/local/bin:/usr/bin"]);
    container.until_ready();
    let output = container.stockade(&["ban", "--jail", "custom", "192.0.66.7"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{output:?}");
    assert!(said.contains("iptables") && said.contains("not found"), "{said}");
    until("it is said", || container.log().contains("192.0.66.7 is not banned: "));
    assert_eq!(container.status("custom")["banned_now"], 0);
    assert!(!container.log().contains("[custom] Ban "), "{}", container.log());
}

/// A container without `NET_ADMIN`: the server stays up, no ban is claimed, and the reason is given.
#[test]
fn without_net_admin_no_ban_is_claimed_and_the_server_stays_up() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.launch(&["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]);
    container.until_ready();
    let refused = |words: &[&str], code: i32| {
        let output = container.run(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), &*output.stdout), (Some(code), &b""[..]), "{output:?}");
        assert!(said.contains("NET_ADMIN"), "{said}");
    };
    refused(&["fail2ban-client", "set", "custom", "banip", "192.0.66.7"], 255);
    refused(&["setup", "fail2ban", "ban", "192.0.66.8"], 0);
    container.mail(&super::sasl_failure("192.0.2.77").repeat(6));
    until("it is said", || container.log().contains("[postfix] 192.0.2.77 is not banned: "));
    let status = container.run(&["fail2ban-client", "status", "postfix"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("Currently banned:\t0") && status.contains("Total failed:\t6"), "{status}");
    assert!(!container.log().contains("] Ban "), "{}", container.log());
    let shown = container.said(&["status"]);
    assert!(shown.contains("not enforced") && shown.contains("NET_ADMIN"), "{shown}");
    assert_eq!(container.lab.end(libc::SIGTERM).code(), Some(0), "{}", container.log());
}
