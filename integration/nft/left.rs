//! Going on with what an earlier run left, without a look at each ban.

use std::sync::Arc;

use stockade::firewall::nftables::Nftables;
use stockade::firewall::{Block, Change, Element, Firewall, Hook, Ruleset, Singles, Wanted};

use super::namespace::{Reach, connect, in_namespace, nft};
use super::{apply, ban, listed, listen, on_ports, open, server, unban, wanted};
use crate::lab::{skip, without_times};

/// Whether this kernel says how many elements a set has.
fn counts() -> bool {
    let mut firewall = Nftables::open().unwrap();
    let all = [wanted("probe", on_ports(&[(22, 22)]), &["192.0.2.1"])];
    firewall.replace(&all).unwrap();
    let counts = firewall.holds(&holding("probe", 1, 0));
    firewall.remove().unwrap();
    assert!(counts || !is_to_count(), "it does since 6.16");
    if !counts {
        skip(
            "this kernel does not say how many elements a set has (from 6.16 on): all is filled anew at a start",
        );
    }
    counts
}

/// Whether the kernel is young enough to say it.
fn is_to_count() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(16))
}

fn holding(jail: &str, four: usize, six: usize) -> Vec<(Arc<str>, Singles)> {
    vec![(jail.into(), Singles { four, six })]
}

fn bare(jail: &str, ruleset: Ruleset) -> Wanted {
    wanted(jail, ruleset, &[])
}

/// Leaves these bans of the jail `a`, and the jail `gone`.
fn leave(ruleset: Ruleset, nets: &[&str]) {
    let mut firewall = Nftables::open().unwrap();
    let gone = wanted("gone", on_ports(&[(9, 9)]), &["192.0.2.2"]);
    assert_eq!(firewall.replace(&[wanted("a", ruleset, nets), gone]).unwrap(), vec![vec![]; 2]);
}

#[test]
fn bans_stay_in_force_and_their_number_tells_whether_they_are_all() {
    in_namespace(|| {
        if !counts() {
            return;
        }
        let (_listener, port) = listen();
        leave(on_ports(&[(port, port)]), &["192.0.2.1", "192.0.2.3", "2001:db8::1"]);
        nft("add element inet stockade a4 { 192.0.2.99 }");
        let mut firewall = Nftables::open().unwrap();
        let rules =
            Ruleset { block: Block::Reject, hooks: vec![Hook::Prerouting], ..on_ports(&[(port, port)]) };
        assert!(firewall.take_up(&[bare("a", rules), bare("new", on_ports(&[(9, 9)]))]).unwrap());
        assert_eq!(listed(&mut firewall), "a: 192.0.2.1 192.0.2.3 192.0.2.99 2001:db8::1, new: ");
        assert_eq!(connect("192.0.2.1", server("192.0.2.1", port)), Reach::Refused, "by the new rules");
        assert!(!nft("list table inet stockade").contains("gone"));

        // What is there gets another time, what is not is put in.
        let later = |text: &str| Change::Ban {
            jail: "a".into(),
            element: Element { timeout: Some(std::time::Duration::from_secs(3000)), ..element(text) },
        };
        let forever = Change::Ban { jail: "a".into(), element: element("2001:db8::1") };
        let changes =
            [later("192.0.2.1"), later("192.0.2.4"), later("192.0.2.99"), forever, ban("new", "192.0.2.7")];
        assert_eq!(firewall.restore(&changes).unwrap(), vec![Ok(()); 5]);
        let set = nft("list set inet stockade a6");
        assert!(!set.contains("expires"), "it had an end: {set}");
        let set = nft("list set inet stockade a4");
        assert!(set.contains("192.0.2.99 timeout 50m"), "it had none: {set}");
        assert!(set.contains("192.0.2.1 timeout 50m") && set.contains("192.0.2.3 timeout 7d"), "{set}");
        let mut both = [holding("a", 4, 1), holding("new", 1, 0)].concat();
        assert!(firewall.holds(&both));
        both[0].1.four = 3;
        assert!(!firewall.holds(&both), "somebody's is there, too");
        // Who is over is taken out, whether there or not.
        let over = [unban("a", "192.0.2.99"), unban("a", "192.0.2.98"), unban("a", "2001:db8::9")];
        assert_eq!(firewall.restore(&over).unwrap(), vec![Ok(()); 3]);
        assert!(firewall.holds(&both));
        both[0].1.six = 2;
        assert!(!firewall.holds(&both), "one is missing");
        assert!(!firewall.holds(&holding("nobody", 0, 0)));
        // It goes on as after a replacement.
        assert_eq!(
            firewall.apply(&[ban("a", "10.0.0.0/8"), open("b", on_ports(&[]))]).unwrap(),
            [Ok(()), Ok(())]
        );
        let listed = listed(&mut firewall);
        assert_eq!(listed, "a: 10.0.0.0/8 192.0.2.1 192.0.2.3 192.0.2.4 2001:db8::1, b: , new: 192.0.2.7");
    });
}

fn element(text: &str) -> Element {
    Element { net: super::net(text), timeout: None }
}

#[test]
fn prefixes_are_replaced_at_once() {
    in_namespace(|| {
        if !counts() {
            return;
        }
        leave(on_ports(&[(22, 22)]), &["192.0.2.1", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"]);
        let mut firewall = Nftables::open().unwrap();
        assert!(
            firewall
                .take_up(&[bare("a", on_ports(&[(22, 22)])), bare("new", on_ports(&[(22, 22)]))])
                .unwrap()
        );
        let kept = "a: 192.0.2.1 198.51.100.0/24 203.0.113.0/24 2001:db8::/32, new: ";
        assert_eq!(listed(&mut firewall), kept, "in force until it is known who is to be");
        let bans = ["198.51.0.0/16", "198.51.100.0/24", "2001:db8::/32"].map(|net| ban("a", net));
        let nobody = ban("nobody", "10.0.0.0/8");
        let said = firewall.replace_prefixes(&[&bans[..], &[nobody]].concat()).unwrap();
        assert_eq!(said.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, true, false]);
        let set = nft("list set inet stockade a4-net");
        assert!(
            set.contains("198.51.0.0/16") && !set.contains("198.51.100") && !set.contains("203."),
            "{set}"
        );
        assert!(firewall.holds(&[holding("a", 1, 0), holding("new", 0, 0)].concat()));
        // What the wider one covers comes back when that goes.
        apply(&mut firewall, &[unban("a", "198.51.0.0/16")]);
        assert_eq!(listed(&mut firewall), "a: 192.0.2.1 198.51.100.0/24 2001:db8::/32, new: ");
        assert_eq!(firewall.replace_prefixes(&[]).unwrap(), []);
    });
}

#[test]
fn what_cannot_be_gone_on_with_stays_as_it_is_until_it_is_replaced() {
    in_namespace(|| {
        let all = [bare("a", on_ports(&[(22, 22)]))];
        assert!(!Nftables::open().unwrap().take_up(&all).unwrap(), "nothing is there");
        leave(on_ports(&[(22, 22)]), &["192.0.2.1", "198.51.100.0/24"]);
        nft("add chain inet stockade somebody");
        let before = nft("list table inet stockade");
        let mut firewall = Nftables::open().unwrap();
        assert!(!firewall.take_up(&all).unwrap(), "it is of another shape");
        assert_eq!(without_times(&nft("list table inet stockade")), without_times(&before));
        nft("delete chain inet stockade somebody");
        assert_eq!(firewall.take_up(&all).unwrap(), counts_in(&mut firewall));
    });
}

/// Whether this kernel says that there is one.
fn counts_in(firewall: &mut Nftables) -> bool {
    firewall.holds(&holding("a", 1, 0))
}
