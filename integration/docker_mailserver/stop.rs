//! The end of the container and its next start: the table goes with the daemon, the bans come back.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::lab::Container;

/// Ends the daemon as supervisor does; how long that took.
fn end(container: &mut Container) -> (Option<i32>, Duration) {
    let begun = Instant::now();
    let status = container.lab.end(libc::SIGTERM);
    (status.code(), begun.elapsed())
}

#[test]
fn bans_leave_the_kernel_and_come_back() {
    let Some(mut container) = Container::new(&["192.0.2.66"]) else { return };
    let _port = container.lab.serve(25);
    container.start();
    for id in ["192.0.2.66", "192.0.67.0/24", "2001:db8::66"] {
        assert!(container.does(&["ban", "--jail", "custom", id]));
    }
    assert_eq!(end(&mut container).0, Some(0), "{}", container.log());
    assert_eq!(container.lab.nft("list tables"), "");
    assert!(container.lab.reaches("192.0.2.66", 25));
    // As after a container that was killed: socket and pid file of a daemon that is no more.
    container.start();
    assert_eq!(container.elements("addr-set-custom"), "{ 192.0.2.66, 192.0.67.0/24 }");
    assert_eq!(container.elements("addr6-set-custom"), "{ 2001:db8::66 }");
    assert!(!container.lab.reaches("192.0.2.66", 25));
    container.lab.end(libc::SIGKILL);
    assert!(container.lab.path("run/fail2ban/fail2ban.sock").exists());
    container.start();
    assert_eq!(container.elements("addr-set-custom"), "{ 192.0.2.66, 192.0.67.0/24 }");
}

/// As with Fail2Ban: what a command changed lasts until the next start. Files are for what is to stay.
#[test]
fn what_was_changed_at_run_time_is_gone_after_a_start() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.start();
    container.prints("fail2ban-client set postfix addignoreip 192.0.2.77");
    let ignored = |container: &Container| container.prints("fail2ban-client get postfix ignoreip");
    assert!(ignored(&container).contains("192.0.2.77"));
    assert_eq!(end(&mut container).0, Some(0), "{}", container.log());
    container.lab.write("etc/jail.d/user-jail.local", "[DEFAULT]\nignoreip = 127.0.0.1/8 192.0.2.88\n");
    container.start();
    let ignored = ignored(&container);
    assert!(!ignored.contains("192.0.2.77") && ignored.contains("192.0.2.88"), "{ignored}");
}

/// Ten thousand addresses, none beside another.
fn many() -> Vec<String> {
    let addresses = (0..10_000_u32).map(|n| format!("10.{}.{}.{}", n / 5000, n / 100 % 50, n % 100 * 2 + 1));
    addresses.collect()
}

#[test]
fn ten_thousand_bans_leave_in_time() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.start();
    let all = many();
    for some in all.chunks(2500) {
        let words: Vec<&str> = some.iter().map(String::as_str).collect();
        assert!(container.does(&[&["ban", "--jail", "custom"], &words[..]].concat()), "{}", container.log());
    }
    assert_eq!(container.status("custom")["banned_now"], 10_000);
    let (code, took) = end(&mut container);
    assert_eq!(code, Some(0), "{}", container.log());
    assert_eq!(container.lab.nft("list tables"), "");
    assert!(took < Duration::from_secs(50), "{took:?}");
    container.start();
    assert_eq!(container.status("custom")["banned_now"], 10_000);
    assert_eq!(container.elements("addr-set-custom").split(", ").count(), 10_000);
}

/// An action that takes its time costs no more than `stop_timeout`, and the table goes all the same.
#[test]
fn a_slow_action_does_not_keep_the_table() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.lab.write(
        "etc/action.d/slow.conf",
        "[Definition]\nactionban = echo ban <ip> >>/run/slow\nactionunban = echo unban <ip> >>/run/slow; sleep 30\n",
    );
    container.lab.write("etc/jail.d/user-jail.local", "[custom]\naction = %(action_)s\n         slow\n");
    container.launch(&["env", "STOCKADE_DAEMON__STOP_TIMEOUT=3s"]);
    container.until_ready();
    for id in ["192.0.66.1", "192.0.66.2", "192.0.66.3"] {
        assert!(container.does(&["ban", "--jail", "custom", id]), "{}", container.log());
    }
    let (code, took) = end(&mut container);
    assert_eq!(code, Some(255), "{}", container.log());
    assert!(took < Duration::from_secs(50), "{took:?}: {}", container.log());
    assert_eq!(container.lab.nft("list tables"), "");
    let mut want = String::new();
    for id in 1..=3 {
        writeln!(want, "ban 192.0.66.{id}").unwrap();
    }
    let done = crate::lab::read(&container.lab.path("run/slow"));
    assert!(done.starts_with(&format!("{want}unban 192.0.66.")), "{done}");
    container.start();
    assert_eq!(container.elements("addr-set-custom"), "{ 192.0.66.1, 192.0.66.2, 192.0.66.3 }");
}
