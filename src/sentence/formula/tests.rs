use proptest::prelude::*;

use super::*;

fn of(text: &str, time: i128, count: u32) -> Result<Value, String> {
    let variables = Variables { time: Value::Int(time), count, factor: Value::Int(1) };
    text.parse::<Formula>().and_then(|formula| formula.value(&variables)).map_err(|error| error.to_string())
}

/// Measured with Python 3.11.
#[test]
fn values() {
    use Value::{Float, Int};
    for (text, want) in [
        ("ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor", Int(480)),
        ("ban.Time / 8", Float(7.5)),
        ("int(ban.Time*1.5)//7", Int(12)),
        ("-7//2", Int(-4)),
        ("7//-2", Int(-4)),
        ("-7%3", Int(2)),
        ("7%-3*100", Int(-200)),
        ("-6//-3", Int(2)),
        ("-7.5//2", Float(-4.0)),
        ("7.5 % -2", Float(-0.5)),
        ("2**-1*1000", Float(500.0)),
        ("-2**2+1000", Int(996)),
        ("2**3**2", Int(512)),
        ("ban.Time**0.5", Float(60_f64.sqrt())),
        ("round(2.5)*100", Int(200)),
        ("round(2.675, 1)", Float(2.7)),
        ("0x40*10 + 1_000", Int(1640)),
        ("1e3 + .5", Float(1000.5)),
        ("~ban.Time + 10000 & 4095 | 1 ^ 3", Int(1747)),
        ("1 < ban.Count < 3 and 500 or 700", Int(700)),
        ("1 < ban.Count <= 3 and 500 or 700", Int(500)),
        ("not ban.Count", Int(0)),
        ("not 1 == 2", Int(1)),
        ("1 if 0 else 2 if 0 else 3", Int(3)),
        ("max(ban.Time, 1000, 2.5)", Int(1000)),
        ("min(ban.Time, 7.5)", Float(7.5)),
        ("pow(2, ban.Count) + abs(-5)", Int(13)),
        ("math.floor(2.9) + math.ceil(2.1) + math.trunc(-2.9)", Int(3)),
        ("math.log(math.e**2)", Float(2.0)),
        ("math.log(8, 2)", Float(8_f64.ln() / 2_f64.ln())),
        ("math.pow(2, 3)", Float(8.0)),
        ("True + True", Int(2)),
        ("( ( 1 ) )", Int(1)),
        ("1.0 == 1", Int(1)),
    ] {
        assert_eq!(of(text, 60, 3), Ok(want), "{text}");
    }
}

#[test]
fn mistakes() {
    let known = "a formula knows ban.Time, ban.Count, banFactor, numbers, min, max, abs, pow, int, float, round and math.*";
    for (text, want) in [
        ("", "is no formula: it ends too early"),
        ("ban.Time * 2 **", "is no formula: it ends too early"),
        ("ban.Time ban.Count", "is no formula at `ban.Count`"),
        ("1 if 2", "is no formula: it ends too early"),
        ("foo * 2", &format!("`foo` is not known: {known}")),
        ("ban.Foo", &format!("`ban.Foo` is not known: {known}")),
        ("__import__(1)", &format!("`__import__` is not known: {known}")),
        ("max(1)", "max takes another number of values"),
        ("1 = 2", "is no formula at `= 2`"),
        ("'a'", "is no formula at `'a'`"),
        ("2x", "is no formula at `2x`"),
        ("1 / 0", "has no value: something is divided by zero"),
        ("1 % 0.0", "has no value: something is divided by zero"),
        ("10 ** 400", "has no value: a whole number grows too large"),
        ("1 << 200", "has no value: a whole number grows too large"),
        ("1 << -1", "has no value: a shift is negative or too far"),
        ("1.5 | 1", "has no value: bits are taken of a number that is not whole"),
        ("(-8) ** 0.5", "has no value: a root of a negative number"),
        ("math.sqrt(-1)", "has no value: a function is not defined there"),
        ("math.log(0)", "has no value: a function is not defined there"),
        ("math.exp(10000)", "has no value: a number grows too large"),
        ("int(1e300)", "has no value: a whole number grows too large"),
    ] {
        assert_eq!(of(text, 60, 1), Err(want.to_owned()), "{text:?}");
    }
    for text in
        ["(".repeat(500), "-".repeat(500), "1+".repeat(2000), "not ".repeat(400), "1 if 1 else ".repeat(150)]
    {
        assert_eq!(of(&text, 60, 1), Err("is too long".to_owned()), "{text}");
    }
}

proptest! {
    /// Whatever an operator types: a number or a sentence, never a panic.
    #[test]
    fn any_text_is_read_or_refused(text in r"((ban\.(Time|Count)|[0-9]{1,3}|math\.(exp|log|sqrt)\(|max\(|[-+*/%()<>,.&|^~ ]|\*\*|<<|if|else|not){1,3} ?){0,12}|.{0,40}") {
        let _ = of(&text, 600, 7);
    }

    /// Whole numbers are Python's: quotient and rest belong together, and the rest has the divisor's sign.
    #[test]
    fn quotient_and_rest_belong_together(a in -1000..1000_i128, b in -50..50_i128) {
        prop_assume!(b != 0);
        let whole = |text: String| match of(&text, 0, 0) { Ok(Value::Int(whole)) => whole, other => panic!("{text}: {other:?}") };
        let (quotient, rest) = (whole(format!("({a})//({b})")), whole(format!("({a})%({b})")));
        prop_assert_eq!(quotient * b + rest, a);
        prop_assert!(rest == 0 || (rest < 0) == (b < 0));
        prop_assert!(rest.abs() < b.abs());
    }
}
