use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn rules(nets: &[&str]) -> Vec<(Subnet, Arc<str>)> {
    nets.iter().map(|net| (net.parse().unwrap(), (*net).into())).collect()
}

#[test]
fn who_is_ignored_and_why() {
    let mut list =
        IgnoreList::new(rules(&["127.0.0.0/8", "::1", "203.0.113.0/24", "203.0.113.7", "2001:db8::/32"]));
    list.set_own(vec!["192.0.2.1".parse().unwrap(), "2001:db8::5".parse().unwrap()]);
    list.set_gateways(vec!["192.0.2.254".parse().unwrap()]);
    list.set_file(vec![("198.51.100.0/25".parse().unwrap(), "file:/etc/friends".into())]);
    for (id, want, listed) in [
        ("127.3.3.3", Some("127.0.0.0/8"), true),
        ("::1", Some("::1"), true),
        ("::2", None, false),
        ("203.0.113.7", Some("203.0.113.0/24"), true),
        ("203.0.113.0/28", Some("203.0.113.0/24"), true),
        ("203.0.112.0/22", Some("203.0.113.0/24"), true),
        ("203.0.114.0", None, false),
        ("192.0.2.1", Some("192.0.2.1 is an address of this host"), false),
        ("::ffff:192.0.2.1", Some("192.0.2.1 is an address of this host"), false),
        ("192.0.2.0/31", Some("192.0.2.1 is an address of this host"), false),
        ("192.0.2.2", None, false),
        ("192.0.2.254", Some("192.0.2.254 is the default gateway"), false),
        ("192.0.2.128/25", Some("192.0.2.254 is the default gateway"), false),
        ("2001:db8::5", Some("2001:db8::5 is an address of this host"), true),
        ("2001:db8:1::", Some("2001:db8::/32"), true),
        ("198.51.100.127", Some("file:/etc/friends"), true),
        ("198.51.100.128", None, false),
        ("0.0.0.0/0", Some("192.0.2.1 is an address of this host"), true),
        ("::/0", Some("2001:db8::5 is an address of this host"), true),
        ("root", None, false),
    ] {
        let id = Id::parse(id);
        assert_eq!(list.check(&id).map(|rule| rule.to_string()).as_deref(), want, "{id}");
        assert_eq!(list.check_listed(&id).is_some(), listed, "{id}");
    }
    assert_eq!(IgnoreList::default().check(&Id::parse("127.0.0.1")), None);
}

#[test]
fn lists_are_read_line_by_line() {
    let text = "\u{feff}# friends\n192.0.2.1 ; the office\r\n\n2001:db8::/32,192.0.2.2\t10.0.0.0/8#home\nnobody\n1.2.3.4/99\n";
    let (nets, mistakes) = parse_list(text);
    let nets: Vec<_> = nets.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["192.0.2.1", "2001:db8::/32", "192.0.2.2", "10.0.0.0/8"]);
    let wrong = |line, word: &str| {
        (line, format!("`{word}` is neither an IP address nor a prefix such as 192.0.2.0/24"))
    };
    assert_eq!(mistakes, [wrong(5, "nobody"), wrong(6, "1.2.3.4/99")]);
}

fn subnet() -> impl Strategy<Value = Subnet> {
    let four =
        (0..64_u32, 20..=32_u8).prop_map(|(n, length)| Subnet::new(Ipv4Addr::from(n << 2).into(), length));
    let six =
        (0..64_u128, 110..=128_u8).prop_map(|(n, length)| Subnet::new(Ipv6Addr::from(n << 3).into(), length));
    prop_oneof![four, six, Just(Subnet::new(Ipv4Addr::UNSPECIFIED.into(), 0))]
        .prop_filter_map("a subnet", |net| net)
}

proptest! {
    /// One search finds what comparing with every rule finds.
    #[test]
    fn as_comparing_with_each(nets in proptest::collection::vec(subnet(), 0..30), asked in subnet()) {
        let table = Table::without_rules(nets.clone());
        prop_assert_eq!(table.overlapping(asked).is_some(), nets.iter().any(|net| net.overlaps(&asked)));
    }
}
