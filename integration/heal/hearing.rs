//! The way by which others' changes are heard fails, and comes back.

use super::{ADDRESS, drifts, heals, own_with, ruleset};
use crate::lab::until;

/// A socket that fails is opened anew until that works. What was taken away meanwhile was not heard: all is checked.
#[test]
fn a_socket_that_fails_later_is_opened_anew_and_everything_is_checked() {
    let lab =
        own_with("", &["--fault", "monitor.read=fail:EPERM@1", "--fault", "monitor.open=fail:EPERM@2-3"]);
    let kept = ruleset(&lab);
    assert!(lab.run_inside("nft flush ruleset"));
    until("it is said that nobody listens", || {
        lab.log().contains(
            "is noticed only at the next ban: Operation not permitted (os error 1); it is tried again",
        )
    });
    until("it is heard again", || lab.log().contains("is heard again: everything is checked"));
    until("all stands again", || ruleset(&lab) == kept && drifts(&lab)["healed"] == 1);
    assert!(drifts(&lab)["deaf"].is_null(), "{}", drifts(&lab));
    heals(&lab, "delete table inet stockade", &kept);
}

/// More at once than the socket has room for: nobody knows what was in it, so all is checked.
#[test]
fn an_overrun_has_everything_checked_and_put_back() {
    let lab = own_with("", &["--fault", "monitor.room=fail:ENOBUFS@1+"]);
    let nets: Vec<String> =
        (0..4000_u32).map(|n| std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    for chunk in nets.chunks(1000) {
        let words: Vec<&str> =
            ["ban", "--jail", "ssh"].into_iter().chain(chunk.iter().map(String::as_str)).collect();
        assert!(lab.stockade(&words).status.success());
    }
    let kept = ruleset(&lab);
    assert!(kept.iter().any(|line| line.contains("10.0.15.159")));
    for foreign in ["flush set inet stockade ssh4", "flush ruleset"] {
        let healed = drifts(&lab)["healed"].as_u64();
        // Who does not read meanwhile has no room.
        lab.signal(libc::SIGSTOP);
        let flushed = lab.run_inside(&format!("nft {foreign}"));
        lab.signal(libc::SIGCONT);
        assert!(flushed);
        until("all stands again", || drifts(&lab)["healed"].as_u64() > healed && ruleset(&lab) == kept);
    }
    let checked = lab.log().matches("something was missing: it is put back, with 4003 bans").count();
    assert_eq!(checked, 2, "{}", lab.log());
}

/// With `heal = structure` a loss that stays is told; a loop of them does not fill the log.
#[test]
fn what_stays_out_again_and_again_is_told_five_times_a_minute() {
    let lab = own_with("[daemon]\nheal = \"structure\"\n", &[]);
    let script = "for i in $(seq 60); do nft add element inet stockade ssh4 { 10.9.9.9 }; \
                  nft delete element inet stockade ssh4 { 10.9.9.9 }; done";
    let words: Vec<String> = (0..60).map(|n| format!("10.8.0.{n}")).collect();
    let ban: Vec<&str> =
        ["ban", "--jail", "ssh"].into_iter().chain(words.iter().map(String::as_str)).collect();
    assert!(lab.stockade(&ban).status.success());
    assert!(lab.run_inside(script), "what is nobody's ban is no loss");
    let loop_ = "for i in $(seq 0 59); do nft delete element inet stockade ssh4 { 10.8.0.$i }; done";
    assert!(lab.run_inside(loop_));
    until("all were seen", || drifts(&lab)["seen"] == 60);
    assert!(!lab.nft("list set inet stockade ssh4").contains("10.8.0."));
    assert!(lab.nft("list set inet stockade ssh4").contains(ADDRESS));
    let told = lab.log().matches("it stays out, as `heal` in [daemon] says").count();
    assert!((5..=10).contains(&told), "{told} lines: {}", lab.log());
}
