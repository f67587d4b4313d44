//! Its logs: symbolic links, `copytruncate` in the middle of an attack, no journal, two versions of Dovecot.

use std::fs;

use stockade::config::{self, Sources};

use super::sasl_failure;
use crate::lab::{Container, until};
use crate::mail;
use crate::shipped::Judge;

/// Five failures, a `copytruncate`, and the sixth: nothing is lost, nothing counted twice.
#[test]
fn copytruncate_in_the_middle_of_an_attack_loses_nothing() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.start();
    let files = &container.status("postfix")["files"];
    assert!(files[0]["path"] == "/var/log/mail.log" && files.as_array().unwrap().len() == 1, "{files}");
    let mail = container.lab.path("var-log/mail/mail.log");
    for turn in 0..3 {
        container.mail(&sasl_failure("192.0.2.77"));
        let counted = turn + 1;
        until("it is counted", || container.status("postfix")["failed_total"] == counted);
        fs::copy(&mail, mail.with_extension("log.1")).unwrap();
        fs::OpenOptions::new().write(true).open(&mail).unwrap().set_len(0).unwrap();
    }
    container.mail(&sasl_failure("192.0.2.77").repeat(2));
    until("they are counted", || container.status("postfix")["failed_total"] == 5);
    assert_eq!(container.banned("postfix"), [] as [&str; 0]);
    container.mail(&sasl_failure("192.0.2.77"));
    container.until_banned("postfix", "192.0.2.77");
    assert_eq!(container.status("postfix")["failed_total"], 6);
}

/// Its own log rotates by `create`, and the server is told: what comes then stands in the new file alone.
#[test]
fn its_own_log_is_opened_anew() {
    let Some(mut container) = Container::new(&[]) else { return };
    container.start();
    container.prints("setup fail2ban ban 192.0.66.7");
    let log = container.lab.path("var-log/mail/fail2ban.log");
    fs::rename(&log, log.with_extension("log.1")).unwrap();
    fs::write(&log, "").unwrap();
    assert_eq!(container.prints("fail2ban-client flushlogs"), "logs: rolled over\n");
    container.prints("setup fail2ban ban 192.0.66.8");
    let (old, new) = (crate::lab::read(&log.with_extension("log.1")), crate::lab::read(&log));
    let (first, second) = ("[custom] Ban 192.0.66.7", "[custom] Ban 192.0.66.8");
    assert!(old.contains(first) && !old.contains(second), "{old}");
    assert!(!new.contains(first) && new.contains(second), "{new}");
    assert_eq!(container.prints("setup fail2ban log"), new);
}

/// Debian's paths files name the journal, of which a container has none.
#[test]
fn without_a_journal_the_files_are_read_and_it_is_said() {
    let Some(mut container) = Container::new(&[]) else { return };
    let paths = "[DEFAULT]\npostfix_backend = systemd\ndovecot_backend = systemd\n";
    container.lab.write("etc/paths-overrides.local", paths);
    container.start();
    container.mail(&sasl_failure("192.0.2.77").repeat(6));
    container.until_banned("postfix", "192.0.2.77");
    for jail in ["postfix", "dovecot"] {
        let status = container.status(jail).to_string();
        assert!(status.contains("no journal in ") && status.contains("/var/log/mail.log"), "{status}");
    }
    assert!(container.log().contains("the log files are read instead"), "{}", container.log());
}

/// Real attacks on a real Postfix and Dovecot, by the filters that the tree comes to.
#[test]
fn every_failed_login_of_both_dovecots_is_found_and_no_good_one() {
    let Some(container) = Container::new(&[]) else { return };
    let sources = Sources { etc: container.lab.path("etc"), ..Sources::default() };
    let config = config::load(&sources);
    for log in ["debian12", "debian13"] {
        let mut judges: Vec<Judge> = ["postfix", "dovecot"]
            .into_iter()
            .map(|name| config.jails.iter().find(|jail| &*jail.options.name == name).unwrap())
            .map(|jail| Judge::new(jail.options.filter.clone().unwrap()))
            .collect();
        let mut faults = mail::logins(log, &mut judges);
        // No password was tried: Fail2Ban's filter for Postfix passes these over on purpose. Ours counts them.
        faults.retain(|fault| !fault.starts_with("sasl_badmech ") && !fault.starts_with("sasl_abort "));
        assert!(faults.is_empty(), "{log}:\n{}", faults.join("\n"));
    }
}
