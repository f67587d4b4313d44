use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::id::Id;
use crate::time::UnixTime;

fn definition(options: &[(&str, &str)]) -> Definition {
    let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Definition { name: "act".into(), file: "act".into(), options: options.collect() }
}

fn ticket(id: &str) -> Ticket {
    Ticket {
        id: Some(Id::parse(id)),
        failures: 5,
        time: UnixTime::from_secs(1000),
        ban_time: 600,
        ban_count: 1,
        matches: vec!["a b".into()],
        data: vec![("user".into(), "bob".to_owned())],
        ..Ticket::default()
    }
}

/// Every tag that a ban gives a value to.
const DYNAMIC: &[&str] = &[
    "ip",
    "fid",
    "family",
    "ip-rev",
    "ip-host",
    "failures",
    "time",
    "bantime",
    "bancount",
    "matches",
    "restored",
    "ipmatches",
    "ipjailmatches",
    "ipfailures",
    "ipjailfailures",
    "jail.name",
    "jail.banned",
    "jail.banned_total",
    "jail.found",
    "jail.found_total",
    "fq-hostname",
    "sh-hostname",
    "raw-ticket",
    "F-USER",
    "F-ALT_USER",
];

#[test]
fn properties() {
    use Family::{Inet4, Inet6};
    for (options, family, want) in [
        (
            &[("actionban", "<x> <y-<m>> <z>"), ("x", "1<br>2"), ("m", "q"), ("y-q", "Q<ip>")][..],
            None,
            "1\n2 Q<ip> <z>",
        ),
        (&[("actionban", "a<sp>b<br>c")], None, "a b\nc"),
        (&[("actionban", "<br>"), ("br", "own")], None, "own"),
        (
            &[("actionban", "<x> <y>"), ("x", "4"), ("x?family=inet6", "6"), ("y", "[<x>]")],
            Some(Inet6),
            "6 [6]",
        ),
        (
            &[("actionban", "<x> <y>"), ("x", "4"), ("x?family=inet6", "6"), ("y", "[<x>]")],
            Some(Inet4),
            "4 [4]",
        ),
        (&[("actionban", "<x>"), ("x?family=inet6", "6")], Some(Inet4), "<x>"),
        (&[("actionban", "4"), ("actionban?family=inet6", "6 <x>"), ("x", "y")], Some(Inet6), "6 y"),
        (&[("actionban", "<bantime> <timeout>"), ("bantime", "7"), ("timeout", "2m")], None, "<bantime> 120"),
        (&[("actionban", "<timeout>")], None, "60"),
        (&[("actionban", "<matches>|<ip>"), ("matches", "a$b\nc"), ("ip", "q$")], None, "a\\$b\\nc|q$"),
        (&[("actionban", "[<actionunban>]"), ("actionunban", "U<ip>")], None, "[U<ip>]"),
        (&[("actionban", "a <x> b"), ("x", "")], None, "a  b"),
        (&[("actionban", "1"), ("actionban", "2")], None, "2"),
        (&[("actionban", "< ip> <ip <> <> a<b >c")], None, "< ip> <ip <> <> a<b >c"),
        (&[("other", "1")], None, ""),
        (&[("actionban", &"<x>".repeat(40)), ("x", "y")], None, &"y".repeat(40)),
    ] {
        assert_eq!(expand(&definition(options), "actionban", family).as_deref(), Ok(want), "{options:?}");
    }
}

#[test]
fn endless_properties() {
    let long = "<y>".repeat(5000);
    for (options, want) in [
        (&[("actionban", "<x>"), ("x", "<x>")][..], "actionban: <x> holds itself"),
        (&[("actionban", "<x>"), ("x", "<y>"), ("y", "a<x>")], "actionban: <x> holds itself"),
        (&[("actionban", "<actionban>")], "actionban: <actionban> holds itself"),
        (&[("actionban", "<x>"), ("x", &long), ("y", &long)], "actionban is longer than 100 KiB"),
        (&[("actionban", "<x>"), ("x", "<x><x>")], "actionban is longer than 100 KiB"),
    ] {
        let got = expand(&definition(options), "actionban", None).map_err(|error| error.to_string());
        assert_eq!(got, Err(want.to_owned()), "{options:?}");
    }
}

#[test]
fn options() {
    let with = definition(&[("a", "Yes"), ("b", "2"), ("timeout", "1m"), ("x?family=inet6", "")]);
    assert_eq!((with.flag("a"), with.flag("b"), with.flag("c")), (Some(true), Some(false), None));
    assert_eq!((with.timeout(), with.is_conditional()), (Duration::from_secs(60), true));
    assert_eq!(definition(&[("timeout", "soon")]).timeout(), TIMEOUT);
    assert!(!definition(&[("x", "?family")]).is_conditional());
}

#[test]
fn plain_values() {
    for (id, text, want) in [
        ("192.0.2.1", "<ip>|<fid>|<family>|<ip-rev>", "192.0.2.1|192.0.2.1|inet4|1.2.0.192."),
        ("192.0.2.0/24", "<ip>|<family>|<ip-rev>", "192.0.2.0/24|inet4|0/24.2.0.192."),
        (
            "2001:db8::1",
            "<ip> <family> <ip-rev>",
            "2001:db8::1 inet6 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.",
        ),
        ("foo bar", "<ip>|<family>|<ip-rev>|<ip-host>", "foo bar|None||None"),
        ("192.0.2.1", "<failures> <time> <bantime> <bancount> <restored>", "5 1000 600 1 0"),
        ("192.0.2.1", "<matches>|<ipmatches>|<ipfailures>|<ipjailfailures>", "a b|a b|5|5"),
        ("192.0.2.1", "<F-USER>|<F-NONE>|<F-user>|<F->", "bob||<F-user>|<F->"),
        ("192.0.2.1", "<a-<ip>> <<ip>> <HOST> <name>", "<a-192.0.2.1> <192.0.2.1> <HOST> <name>"),
    ] {
        let want = Script { text: want.to_owned(), argv: Vec::new() };
        assert_eq!(render(text, &ticket(id)), want, "{text:?}");
    }
}

#[test]
fn a_command_about_no_ban() {
    let none = Ticket { family: Some(Family::Inet6), time: UnixTime::from_secs(7), ..Ticket::default() };
    assert_eq!(render("<ip>|<family>|<time>|<failures>|<F-USER>|<matches>", &none).text, "|inet6|7|0||");
    assert_eq!(render("<family>", &Ticket::default()).text, "");
}

#[test]
fn what_a_shell_could_understand_goes_in_as_an_argument() {
    let mut hostile = ticket("192.0.2.1");
    hostile.matches = vec!["l1".into(), "l2 $(reboot)".into()];
    hostile.data = vec![("user".into(), "b\"o".to_owned()), ("a-b".into(), "`x`".to_owned())];
    let script = render("a <F-USER> \"<matches>\" <ip> <F-USER> <F-A-B> <F-A_B>", &hostile);
    assert_eq!(
        script.text,
        "f2bV_matches=$0 f2bV_F_user=$1 f2bV_F_a_b=$2 \na $f2bV_F_user \"$f2bV_matches\" 192.0.2.1 $f2bV_F_user $f2bV_F_a_b "
    );
    assert_eq!(script.argv, ["l1\nl2 $(reboot)", "b\"o", "`x`"]);
}

#[test]
fn ten_arguments_and_more_keep_their_numbers() {
    let mut many = ticket("192.0.2.1");
    many.data = (0..12).map(|n| (format!("k{n}").into(), format!("${n}"))).collect();
    let text = (0..12).fold(String::new(), |text, n| text + &format!("<F-K{n}>"));
    let script = render(&text, &many);
    assert!(script.text.contains("f2bV_F_k9=$9 f2bV_F_k10=${10} f2bV_F_k11=${11} \n"), "{}", script.text);
    assert_eq!(script.argv[10], "$10");
}

#[test]
fn two_tags_that_would_share_a_variable_do_not() {
    let mut two = ticket("192.0.2.1");
    two.data = vec![("a-b".into(), "$1".to_owned()), ("a_b".into(), "$2".to_owned())];
    let script = render("<F-A-B> <F-A_B> <F-A-B>", &two);
    assert_eq!(script.text, "f2bV_F_a_b=$0 f2bV_F_a_b_=$1 \n$f2bV_F_a_b $f2bV_F_a_b_ $f2bV_F_a_b");
}

#[test]
fn values_are_cut_to_what_the_kernel_takes() {
    let mut long = ticket("192.0.2.1");
    long.matches = vec!["é".repeat(VALUE_CAP).into()];
    long.data = (0..20).map(|n| (format!("k{n}").into(), "x".repeat(VALUE_CAP))).collect();
    let text = (0..20).fold(String::new(), |text, n| text + &format!("<F-K{n}>"));
    let script = render(&format!("<matches>{text}"), &long);
    assert!(script.argv.iter().all(|value| value.len() <= VALUE_CAP));
    assert!(script.argv.iter().map(String::len).sum::<usize>() <= VALUES_CAP);
    assert!(script.text.len() < 2048, "nothing long is inside: {}", script.text.len());
    assert!(script.argv[0].ends_with('é'), "the newest stays");
}

#[test]
fn only_what_is_asked_for_is_looked_up() {
    assert!(asks("x <ip-host>", "ip-host"));
    assert!(!asks("x <ip-hos> ip-host < ip-host>", "ip-host"));
}

/// A ticket in which everything that text can reach is this text.
fn all(value: &str) -> Ticket {
    let past = Evidence { lines: vec![value.into()], failures: 1 };
    Ticket {
        id: Some(Id::Text(value.into())),
        matches: vec![value.into(), value.into()],
        data: vec![("user".into(), value.to_owned()), ("alt_user".into(), value.to_owned())],
        jail: JailFacts { name: value.into(), ..JailFacts::default() },
        host: Arc::new(Hostnames { full: value.to_owned(), short: value.to_owned() }),
        ip_host: Some(value.to_owned()),
        past: Some(past.clone()),
        jail_past: Some(past),
        ..Ticket::default()
    }
}

proptest! {
    /// Whatever a log says: no special letter of it is in the script, and no NUL in an argument.
    #[test]
    fn no_value_becomes_code(value in "(?s).{0,40}", tag in proptest::sample::select(DYNAMIC)) {
        let script = render(&format!("[<{tag}>]"), &all(&value));
        let (head, body) = script.text.split_once(" \n").unwrap_or(("", &script.text));
        prop_assert!(script.argv.is_empty() == head.is_empty());
        let inner = body.strip_prefix('[').and_then(|body| body.strip_suffix(']')).expect("the frame stays");
        let variable = inner.strip_prefix('$');
        prop_assert_eq!(variable.is_some(), !script.argv.is_empty());
        prop_assert!(!variable.unwrap_or(inner).contains(SPECIAL), "{}", script.text);
        prop_assert!(!script.text.contains('\0') && !script.argv.iter().any(|value| value.contains('\0')));
    }

    #[test]
    fn any_text_renders(text in "[<>a-zA-Z \n$F-]{0,60}", value in "(?s).{0,20}") {
        render(&text, &all(&value));
        let _ = expand(&definition(&[("actionban", &text), ("a", &value)]), "actionban", Some(Family::Inet6));
    }
}
