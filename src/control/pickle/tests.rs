use proptest::prelude::*;

use super::*;
use crate::control::talk::END;
use crate::python::words;

fn int(digits: &str) -> Value {
    Value::Int(digits.to_owned())
}

fn text(text: &str) -> Value {
    text.into()
}

/// Bytes as `pickle.dumps` of Python 3.11 writes them, and what they are.
fn written_by_python() -> Vec<(u8, &'static [u8], Reply)> {
    let many = Value::List(vec![
        int("1"),
        int("300"),
        int("70000"),
        int("-1"),
        int("2147483648"),
        int("-1180591620717411303424"),
        Value::Float(1.5),
        Value::None,
        Value::Bool(true),
    ]);
    let map = Value::Map(vec![(text("a"), int("1")), (text("b"), Value::List(vec![]))]);
    let four = Value::Tuple(vec![int("1"), int("2"), int("3"), int("4")]);
    let gone = Raised {
        module: "builtins".into(),
        class: "FileNotFoundError".into(),
        arguments: vec![int("2"), text("No such file")],
    };
    vec![
        (5, b"\x80\x05\x95\x0c\0\0\0\0\0\0\0K\0\x8c\x04pong\x94\x86\x94.", Ok(text("pong"))),
        (4, b"\x80\x04\x95\x0c\0\0\0\0\0\0\0K\0\x8c\x04pong\x94\x86\x94.", Ok(text("pong"))),
        (
            5,
            b"\x80\x05\x955\0\0\0\0\0\0\0K\0]\x94(K\x01M,\x01Jp\x11\x01\0J\xff\xff\xff\xff\x8a\x05\0\0\0\x80\0\x8a\t\0\0\0\0\0\0\0\0\xc0G?\xf8\0\0\0\0\0\0N\x88e\x86\x94.",
            Ok(many),
        ),
        (5, b"\x80\x05\x95\x15\0\0\0\0\0\0\0K\0}\x94(\x8c\x01a\x94K\x01\x8c\x01b\x94]\x94u\x86\x94.", Ok(map)),
        (5, b"\x80\x05\x95\x06\0\0\0\0\0\0\0K\0)\x86\x94.", Ok(Value::Tuple(vec![]))),
        (5, b"\x80\x05\x95\x10\0\0\0\0\0\0\0K\0(K\x01K\x02K\x03K\x04t\x94\x86\x94.", Ok(four)),
        (
            5,
            b"\x80\x05\x95'\0\0\0\0\0\0\0K\x01\x8c\x08builtins\x94\x8c\nValueError\x94\x93\x94\x8c\x01x\x94\x85\x94R\x94\x86\x94.",
            Err(Raised::builtin("ValueError", "x")),
        ),
        (
            5,
            b"\x80\x05\x95;\0\0\0\0\0\0\0K\x01\x8c\x08builtins\x94\x8c\x11FileNotFoundError\x94\x93\x94K\x02\x8c\x0cNo such file\x94\x86\x94R\x94\x86\x94.",
            Err(gone),
        ),
    ]
}

#[test]
fn short_messages_are_pythons_own_to_the_byte() {
    let ping = b"\x80\x05\x95\x0b\0\0\0\0\0\0\0]\x94\x8c\x04ping\x94a.";
    assert_eq!(write_command(&words(["ping"]), 5), ping);
    assert_eq!(command(ping), Ok((Value::List(words(["ping"])), 5)));
    for (protocol, bytes, want) in written_by_python() {
        assert_eq!(reply(bytes).as_ref(), Ok(&want), "{want:?}");
        assert_eq!(write_reply(&want, protocol).escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }
}

#[test]
fn what_older_and_other_programs_write() {
    let addresses = Value::List(words(["192.0.2.1", "2001:db8::1"]));
    for (bytes, want) in [
        // A server's addresses: texts by way of the class of texts.
        (
            &b"\x80\x05K\0]\x94(\x8c\x08builtins\x94\x8c\x03str\x94\x93\x94\x8c\x09192.0.2.1\x94\x85\x94R\x94h\x03\x8c\x0b2001:db8::1\x85R\x94e\x86\x94."[..],
            addresses.clone(),
        ),
        (b"\x80\x02K\0]q\0(c__builtin__\nunicode\nq\x01X\x09\0\0\x00192.0.2.1\x85Rh\x01X\x0b\0\0\x002001:db8::1\x85Re\x86.", addresses),
        (b"\x80\x04K\0\x8f\x94(K\x01K\x02\x90\x86.", Value::List(vec![int("1"), int("2")])),
        (b"\x80\x04K\0(K\x01\x91\x86.", Value::List(vec![int("1")])),
        (b"\x80\x02K\0c__builtin__\nset\nq\0]q\x01(K\x01K\x02e\x85q\x02Rq\x03\x86.", Value::List(vec![int("1"), int("2")])),
        // A key that comes twice.
        (b"\x80\x04K\0}(\x8c\x01aK\x01\x8c\x01bK\x02\x8c\x01aK\x03u\x86.", Value::Map(vec![(text("a"), int("3")), (text("b"), int("2"))])),
        // The oldest form.
        (
            b"(I0\n(lp0\nVping\np1\naI01\naF2.5\naL-1180591620717411303424L\naNag1\na(dp2\nVa\np3\n(I1\ntp4\nsat.",
            Value::List(vec![
                text("ping"),
                Value::Bool(true),
                Value::Float(2.5),
                int("-1180591620717411303424"),
                Value::None,
                text("ping"),
                Value::Map(vec![(text("a"), Value::Tuple(vec![int("1")]))]),
            ]),
        ),
        // A byte that is no text.
        (b"\x80\x04K\0\x8c\x05a\xed\xb3\xbfb\x86.", text("a\u{fffd}b")),
    ] {
        assert_eq!(reply(bytes), Ok(Ok(want)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_a_server_raises() {
    let own = |arguments| Raised {
        module: "fail2ban.server.failregex".into(),
        class: "RegexException".into(),
        arguments,
    };
    for (bytes, want) in [
        // With a state, of which nothing matters.
        (
            &b"\x80\x05K\x01\x8c\x19fail2ban.server.failregex\x8c\x0eRegexException\x93\x8c\x01x\x85R}\x8c\x03posK\0sb\x86."[..],
            own(vec![text("x")]),
        ),
        (b"\x80\x02K\x01cexceptions\nKeyError\nq\0)Rq\x01\x86q\x02.", Raised { arguments: vec![], ..Raised::builtin("KeyError", "") }),
        // An exception within another one.
        (b"\x80\x04K\x01cfail2ban.server.failregex\nRegexException\ncbuiltins\nOSError\nK\x02\x85R\x85R\x86.", own(vec![text("2")])),
        (b"\x80\x04K\x01\x8c\x03why\x86.", Raised::builtin("Exception", "why")),
        (b"\x80\x05\x8c\x0aERROR: why.", Raised::builtin("Exception", "ERROR: why")),
    ] {
        assert_eq!(reply(bytes), Ok(Err(want)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn nothing_foreign_and_nothing_broken() {
    for (bytes, want) in [
        (&b""[..], "Ran out of input"),
        (b"\x80\x05", "pickle data was truncated"),
        (b"\x80\x09N.", "unsupported pickle protocol: 9"),
        (b"\x80\x05.", "unpickling stack underflow: nothing is there"),
        (b"x", "invalid load key, 'x'"),
        (b"\x80\x05N.N", "1 bytes follow the end of the pickle"),
        (b"cos\nsystem\n(Vtrue\ntR.", "global 'os.system' is forbidden"),
        (b"\x80\x05\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "global 'posix.system' is forbidden"),
        (b"\x80\x05cbuiltins\neval\n.", "global 'builtins.eval' is forbidden"),
        (b"\x80\x05cbuiltins\nValueError\n)R.", "global 'builtins.ValueError' is forbidden"),
        (b"\x80\x05cbuiltins\nstr\n.", "global 'builtins.str' is forbidden"),
        (b"\x80\x05cbuiltins\nstr\nK\x01\x85R.", "unpickling stack underflow: an argument that fits"),
        (b"\x80\x05]}b.", "unpickling stack underflow: an instance"),
        (b"\x80\x05h\x07.", "Memo value not found at index 7"),
        (b"\x80\x05C\x01a.", "invalid load key, 'C'"),
        (b"\x80\x05\x8c\x01\xff.", "this is no text"),
        (b"\x80\x05}]Ns.", "this is no key of a dict"),
        (b"\x80\x05X\xff\xff\xff\xffa.", "pickle data was truncated"),
        (b"\x80\x05\x8b\xff\xff\xff\xff.", "the pickle has more than the allowed bytes of an integer"),
        (b"I1_0\n.", "this is no number"),
        // In itself: a list, a dict, a tuple by way of a list.
        (b"\x80\x05]\x94h\0a.", "values are nested deeper than 64, or in themselves"),
        (b"\x80\x05}\x94Nh\0s.", "values are nested deeper than 64, or in themselves"),
        (b"\x80\x05]\x94h\0\x85\x94ah\x01.", "values are nested deeper than 64, or in themselves"),
        // The mark guards what lies below it.
        (b"\x80\x05N(a.", "unpickling stack underflow: nothing is there"),
        (b"\x80\x05N(\x85.", "unpickling stack underflow: a tuple's items"),
        (b"\x80\x05t.", "unpickling stack underflow: there is no mark"),
    ] {
        assert_eq!(command(bytes).unwrap_err().to_string(), want, "{}", bytes.escape_ascii());
    }
    for bytes in [&b"\x80\x05K\x01cos\nsystem\n\x86."[..], b"\x80\x05N.", b"\x80\x05K\0cos\nsystem\nNb\x86."]
    {
        assert!(reply(bytes).is_err(), "{}", bytes.escape_ascii());
    }
    let named = reply(b"\x80\x05K\0cos\nsystem\n\x8c\x04true\x85R\x86.").unwrap_err();
    assert_eq!(named, PickleError::Forbidden("os.system".into()));
}

#[test]
fn depth_size_and_growth_are_bounded() {
    let nested =
        |depth: usize| [&b"\x80\x05"[..], &b"]".repeat(depth), &b"a".repeat(depth - 1), b"."].concat();
    assert!(command(&nested(DEPTH_CAP)).is_ok());
    assert_eq!(command(&nested(DEPTH_CAP + 1)), Err(PickleError::TooDeep));

    // Lists of ten times the one before: few bytes, and more than there is room for.
    let mut laughs = b"\x80\x05]\x94".to_vec();
    for level in 0..30 {
        laughs.extend([b"](".to_vec(), [b'h', level].repeat(10), b"e\x94".to_vec()].concat());
    }
    laughs.push(b'.');
    // A long text, again and again.
    let mut long = b"\x80\x05](X\0\0\x10\0".to_vec();
    long.extend(vec![b'x'; 1 << 20]);
    long.extend(b"\x94".iter().chain(b"h\0".repeat(100).iter()).chain(b"e."));
    let stack = [&b"\x80\x05N\x94"[..], &b"h\0".repeat(5 * VALUES_CAP), b"."].concat();
    let values = [&b"\x80\x05("[..], &b"K\x01".repeat(VALUES_CAP + 1), b"l."].concat();
    let marks = [&b"\x80\x05"[..], &b"(".repeat(VALUES_CAP + 1), b"."].concat();
    for (name, bytes) in
        [("laughs", laughs), ("long", long), ("stack", stack), ("values", values), ("marks", marks)]
    {
        let error = command(&bytes).unwrap_err();
        assert!(matches!(error, PickleError::TooMuch(_)), "{name}: {error}");
    }
    let huge = vec![b'N'; BYTES_CAP + 1];
    assert_eq!(command(&huge), Err(PickleError::TooMuch("the allowed number of bytes")));
    let huge = vec![b'N'; ANSWER_CAP + 1];
    assert_eq!(reply(&huge), Err(PickleError::TooMuch("the allowed number of bytes")));
}

#[test]
fn no_text_ends_a_message_early() {
    let hostile = format!("a\\é\n{}b", str::from_utf8(END).unwrap());
    for protocol in PROTOCOLS {
        let bytes = write_command(&[text(&hostile), text("after")], protocol);
        assert_eq!(memchr::memmem::find(&bytes, END), None);
        assert_eq!(command(&bytes), Ok((Value::List(vec![text(&hostile), text("after")]), protocol)));
    }
}

/// Any value; floats that equal themselves.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "-?[1-9][0-9]{0,60}".prop_map(Value::Int),
        any::<f64>().prop_filter("NaN", |number| !number.is_nan()).prop_map(Value::Float),
        ".{0,20}".prop_map(Value::Text),
        Just(Value::Text("x".repeat(300))),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        let key = prop_oneof![
            "[a-z]{1,3}".prop_map(Value::Text),
            any::<i16>().prop_map(|key| Value::from(i64::from(key)))
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Tuple),
            prop::collection::btree_map(key.prop_map(|key| key.to_string()), inner, 0..5).prop_map(|map| {
                Value::Map(map.into_iter().map(|(key, value)| (Value::Text(key), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back(values in prop::collection::vec(value(), 0..4), protocol in 2u8..=5) {
        let bytes = write_command(&values, protocol);
        prop_assert_eq!(command(&bytes), Ok((Value::List(values), protocol)));
    }

    #[test]
    fn answers_come_back(arguments in prop::collection::vec(value(), 0..4), class in "[A-Z][a-z]{0,9}", raised: bool, protocol in 2u8..=5) {
        let answer = if raised {
            Err(Raised { module: "fail2ban.exceptions".into(), class, arguments })
        } else {
            Ok(Value::List(arguments))
        };
        prop_assert_eq!(reply(&write_reply(&answer, protocol)), Ok(answer));
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        _ = command(&bytes);
        _ = reply(&bytes);
    }

    /// Instructions alone reach deeper than any bytes do.
    #[test]
    fn any_instructions_are_judged(picks in prop::collection::vec(prop::sample::select(INSTRUCTIONS), 0..80)) {
        let bytes = [b"\x80\x05", &picks.concat()[..], b"."].concat();
        _ = command(&bytes);
        _ = reply(&bytes);
    }

    #[test]
    fn changed_messages_are_judged(values in prop::collection::vec(value(), 0..4), protocol in 2u8..=5, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut: prop::sample::Index) {
        let mut bytes = write_command(&values, protocol);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        _ = command(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        _ = reply(&bytes);
    }
}

const INSTRUCTIONS: &[&[u8]] = &[
    b"(",
    b"0",
    b"1",
    b"2",
    b"]",
    b"}",
    b")",
    b"l",
    b"t",
    b"d",
    b"a",
    b"e",
    b"s",
    b"u",
    b"N",
    b"K\x01",
    b"\x8c\x01a",
    b"\x94",
    b"q\x01",
    b"h\x01",
    b"h\0",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x93",
    b"R",
    b"b",
    b"cbuiltins\nstr\n",
    b"cbuiltins\nset\n",
    b"cbuiltins\nValueError\n",
    b"I01\n",
    b"\x8a\x02\x01\x02",
];
