//! What docker-mailserver expects of its Fail2Ban, in a container without an engine ([`Container`]).

mod logs;
mod refused;
mod replay;
mod sets;
mod stop;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::lab::{CUSTOM_JAILS, Container, syslog};

/// A failed login as Postfix writes it; no two are alike.
fn sasl_failure(address: &str) -> String {
    static PROCESS: AtomicU32 = AtomicU32::new(1000);
    let process = PROCESS.fetch_add(1, Ordering::Relaxed);
    format!(
        "{} mail postfix/submissions/smtpd[{process}]: warning: unknown[{address}]: SASL LOGIN authentication failed: \
         (reason unavailable), sasl_username=bob\n",
        syslog(0)
    )
}

/// A failed login as Dovecot 2.4 writes it.
fn auth_failure(address: &str) -> String {
    let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.6f%:z");
    format!("{now} mail dovecot: auth(bob,{address},sasl:plain): passwd-file: Password mismatch\n")
}

/// The assertions of its own tests, with a user's files of both kinds; bans by its defaults say `reject` and 6 tries.
#[test]
fn what_its_own_tests_assert() {
    for section in ["DEFAULT", "Definition"] {
        let Some(mut container) = Container::new(&["192.0.2.77", "192.0.2.88", "192.0.2.10"]) else { return };
        container.lab.write("etc/jail.d/user-jail.local", CUSTOM_JAILS);
        container.lab.write("etc/fail2ban.local", &format!("[{section}]\nloglevel = DEBUG\n"));
        let _ports = [25, 143, 465].map(|port| container.lab.serve(port));
        container.start();
        assert!(container.prints("fail2ban-client get loglevel").contains("DEBUG"), "{section}");
        for (option, value) in [("bantime", "1234\n"), ("findtime", "321\n"), ("maxretry", "2\n")] {
            for jail in ["dovecot", "postfix"] {
                assert_eq!(container.prints(&format!("fail2ban-client get {jail} {option}")), value);
            }
        }
        let dump = container.prints("fail2ban-client -d");
        assert!(dump.contains("['set', 'dovecot', 'addaction', 'nftables-multiport']"), "{dump}");
        container.mail(&sasl_failure("127.0.0.1").repeat(3));
        container.mail(&sasl_failure("192.0.2.77").repeat(2));
        container.until_banned("postfix", "192.0.2.77");
        let status = container.prints("fail2ban-client status postfix");
        assert!(status.ends_with("Banned IP list:\t192.0.2.77\n"), "{status}");
        assert_eq!(container.elements("addr-set-postfix"), "{ 192.0.2.77 }");
        assert!(!container.lab.reaches("192.0.2.77", 465) && container.lab.reaches("192.0.2.10", 465));
        assert_eq!(container.prints("fail2ban-client set postfix unbanip 192.0.2.77"), "1\n");
        assert_eq!(container.elements("addr-set-postfix"), "");
        assert!(container.lab.reaches("192.0.2.77", 465));

        container.mail(&auth_failure("192.0.2.88").repeat(2));
        container.until_banned("dovecot", "192.0.2.88");
        assert!(!container.lab.reaches("192.0.2.88", 143) && container.lab.reaches("192.0.2.10", 143));
        for banned in ["192.0.66.7", "192.0.66.0/24"] {
            let said = container.prints(&format!("setup fail2ban ban {banned}"));
            assert_eq!(said, "Banned custom IP: 1\n");
            assert_eq!(container.elements("addr-set-custom"), format!("{{ {banned} }}"));
            let listed = format!("Banned in custom: {banned}\nBanned in dovecot: 192.0.2.88\n");
            assert_eq!(container.prints("setup fail2ban"), listed);
            let said = container.prints(&format!("setup fail2ban unban {banned}"));
            assert!(said.starts_with("Unbanned IP from custom: 1\n"), "{said}");
            assert_eq!(container.elements("addr-set-custom"), "");
        }
        for (jail, ports) in [
            ("dovecot", "110, 143, 465, 587, 993, 995, 4190"),
            ("custom", "25, 110, 143, 465, 587, 993, 995, 4190"),
        ] {
            let rule = format!("tcp dport {{ {ports} }} ip saddr @addr-set-{jail} drop");
            assert!(container.has_rule(&rule), "{rule}: {}", container.lab.nft("list ruleset"));
        }
    }
}

/// `FAIL2BAN_BLOCKTYPE` arrives in `nftables-common.local`; without it Fail2Ban's own word holds.
#[test]
fn its_defaults_reject_or_drop_as_it_says() {
    for (blocktype, verdict) in [("[Init]\nblocktype = drop\n", "drop"), ("", "reject with icmp")] {
        let Some(mut container) = Container::new(&["192.0.2.77"]) else { return };
        container.lab.write("etc/action.d/nftables-common.local", blocktype);
        container.start();
        container.mail(&sasl_failure("192.0.2.77").repeat(5));
        crate::lab::until("five are counted", || container.status("postfix")["failed_total"] == 5);
        assert_eq!(container.banned("postfix"), [] as [&str; 0]);
        container.mail(&sasl_failure("192.0.2.77"));
        container.until_banned("postfix", "192.0.2.77");
        let rules = container.lab.nft("list table inet f2b-table");
        let rule = rules.lines().find(|line| line.contains("@addr-set-postfix")).unwrap_or_default();
        assert!(
            rule.trim().starts_with(&format!("meta l4proto tcp ip saddr @addr-set-postfix {verdict}")),
            "{rules}"
        );
        for (jail, seconds) in [("postfix", 604_800), ("dovecot", 604_800), ("custom", 15_552_000)] {
            let status = container.status(jail);
            let numbers = ["ban_time", "find_time", "max_retry"].map(|key| status[key].as_u64().unwrap());
            assert_eq!(numbers, [seconds, 604_800, 6], "{jail}");
        }
        // `auto;` is no "no": IPv6 is banned, too.
        assert!(container.does(&["ban", "--jail", "custom", "2001:db8::66"]));
        assert_eq!(container.elements("addr6-set-custom"), "{ 2001:db8::66 }");
    }
}
