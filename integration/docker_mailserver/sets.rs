//! The sets and rules of its table: addresses of both families, prefixes and what lies inside them.

use crate::lab::Container;

#[test]
fn what_overlaps_is_banned_and_let_in_one_by_one() {
    let Some(mut container) = Container::new(&["192.0.2.66", "192.0.2.10"]) else { return };
    let _port = container.lab.serve(25);
    container.start();
    for (command, id, four, six) in [
        ("ban", "192.0.66.7", "{ 192.0.66.7 }", ""),
        ("ban", "192.0.66.0/24", "{ 192.0.66.0/24 }", ""),
        ("ban", "192.0.66.9", "{ 192.0.66.0/24 }", ""),
        ("ban", "2001:db8:1::/48", "{ 192.0.66.0/24 }", "{ 2001:db8:1::/48 }"),
        ("ban", "2001:db8:1::7", "{ 192.0.66.0/24 }", "{ 2001:db8:1::/48 }"),
        ("ban", "192.0.67.5", "{ 192.0.66.0/24, 192.0.67.5 }", "{ 2001:db8:1::/48 }"),
        ("unban", "192.0.66.0/24", "{ 192.0.66.7, 192.0.66.9, 192.0.67.5 }", "{ 2001:db8:1::/48 }"),
        ("unban", "192.0.66.7", "{ 192.0.66.9, 192.0.67.5 }", "{ 2001:db8:1::/48 }"),
        ("unban", "2001:db8:1::7", "{ 192.0.66.9, 192.0.67.5 }", "{ 2001:db8:1::/48 }"),
        ("unban", "2001:db8:1::/48", "{ 192.0.66.9, 192.0.67.5 }", ""),
        ("ban", "192.0.2.0/25", "{ 192.0.2.0/25, 192.0.66.9, 192.0.67.5 }", ""),
    ] {
        let force: &[&str] = if id == "192.0.2.0/25" { &["--force"] } else { &[] };
        let output = container.stockade(&[&[command, "--jail", "custom", id], force].concat());
        assert!(output.status.success(), "{command} {id}: {output:?}");
        let sets = ["addr-set-custom", "addr6-set-custom"].map(|set| container.elements(set));
        assert_eq!(sets, [four, six], "{command} {id}");
    }
    // A prefix that is listed is enforced.
    assert!(!container.lab.reaches("192.0.2.66", 25) && !container.lab.reaches("192.0.2.10", 25));
    assert!(container.does(&["unban", "--jail", "custom", "192.0.2.0/25"]));
    assert!(container.lab.reaches("192.0.2.66", 25));
}

/// Fail2Ban leaves a second rule of the first family when a ban of the second one makes it start again.
#[test]
fn each_set_has_one_rule_whatever_comes_first() {
    for order in
        [["192.0.66.7", "2001:db8::66", "192.0.66.8"], ["2001:db8::66", "192.0.66.7", "2001:db8::67"]]
    {
        let Some(mut container) = Container::new(&[]) else { return };
        container.start();
        for id in order {
            assert!(container.does(&["ban", "--jail", "custom", id]));
            assert!(container.does(&["unban", "--jail", "custom", id]));
            assert!(container.does(&["ban", "--jail", "custom", id]));
        }
        let rules = container.lab.nft("list chain inet f2b-table f2b-chain");
        for set in ["@addr-set-custom ", "@addr6-set-custom "] {
            assert_eq!(rules.matches(set).count(), 1, "{order:?}: {rules}");
        }
    }
}

/// An operator with very many bans gives up `flags interval`, but for prefixes.
#[test]
fn a_fast_layout_is_asked_for_in_the_jail() {
    let Some(mut container) = Container::new(&["192.0.2.66"]) else { return };
    let _port = container.lab.serve(25);
    container.lab.write("etc/jail.d/user-jail.local", "[DEFAULT]\nlayout = fast\n");
    container.start();
    for id in ["192.0.66.7", "192.0.66.0/24", "192.0.2.64/30"] {
        assert!(container.does(&["ban", "--jail", "custom", "--force", id]), "{id}");
    }
    let sets = ["addr-set-custom", "addr-set-custom-net"].map(|set| container.elements(set));
    assert_eq!(sets, ["{ 192.0.66.7 }", "{ 192.0.2.64/30, 192.0.66.0/24 }"]);
    assert!(!container.lab.reaches("192.0.2.66", 25));
    assert!(container.does(&["unban", "--jail", "custom", "192.0.2.64/30"]));
    assert!(container.lab.reaches("192.0.2.66", 25));
    container.lab.write("etc/jail.d/user-jail.local", "[DEFAULT]\nlayout = swift\n");
    let said = container.said(&["check"]);
    assert!(said.contains("layout: `swift` is neither exact nor fast"), "{said}");
}
