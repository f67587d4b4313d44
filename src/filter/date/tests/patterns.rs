//! `datepattern` as operators write it.

use super::*;

#[test]
fn patterns() {
    for (pattern, line, cut, time) in [
        // Bounds.
        ("%H:%M:%S", "x 01:02:03 y", "01:02:03", "1123981323"),
        ("%H:%M:%S", "x01:02:03 y", "", ""),
        ("**%H:%M:%S", "x01:02:03 y", "01:02:03", "1123981323"),
        ("%H:%M:%S**", "01:02:03x", "01:02:03", "1123981323"),
        ("{UNB}%H:%M:%S", "x01:02:03x", "01:02:03", "1123981323"),
        ("^%H:%M:%S", "01:02:03 x", "01:02:03", "1123981323"),
        ("^%H:%M:%S", " 01:02:03 x", "", ""),
        ("{^LN-BEG}%H:%M:%S", "[[01:02:03 x", "01:02:03", "1123981323"),
        ("{^LN-BEG}%H:%M:%S", "[[[01:02:03 x", "", ""),
        ("%H:%M:%S$", "x 01:02:03", "01:02:03", "1123981323"),
        ("%H:%M:%S$", "01:02:03 x", "", ""),
        // Groups, flags, case.
        ("at (%H:%M) sharp", "at 01:02 sharp", "01:02", "1123981320"),
        (r"^[^\[]*\[({DATE})", "x [2005-01-23 21:59:59] y", "2005-01-23 21:59:59", "1106517599"),
        (r"^\[{DATE}\s?", "[2005-01-23 21:59:59] y", "[2005-01-23 21:59:59", "1106517599"),
        ("day %d %m", "day 14 8", "day 14 8", "1123977600"),
        ("day %d %m", "DAY 14 8", "", ""),
        ("day %d %b", "DAY 14 aug", "DAY 14 aug", "1123977600"),
        ("(?i)day %d %m", "DAY 14 8", "DAY 14 8", "1123977600"),
        ("x((?i)day %d %m)", "xDAY 14 8", "DAY 14 8", "1123977600"),
        (r"(?<=at )%H:%M", "at 01:02", "01:02", "1123981320"),
        (r"(?P<q>\|)%H%M(?P=q)", "|0102|", "|0102|", "1123981320"),
        (r"(?:%a )?%b %d (?P<Y>\d{4}) %H", "Sun Aug 14 2005 01", "Sun Aug 14 2005 01", "1123981200"),
        // Fields.
        ("%c", "Sun Jan 23 21:59:59 2005", "Sun Jan 23 21:59:59 2005", "1106517599"),
        ("%x-%X", "01/23/05-21:59:59", "01/23/05-21:59:59", "1106517599"),
        ("%A %d %B %Y", "Sunday 23 January 2005", "Sunday 23 January 2005", "1106438400"),
        ("%Exd.%Exm.%ExY %ExH", "23.01.2005 21", "23.01.2005 21", "1106514000"),
        ("%Exd.%Exm.%ExY %ExH", "3.01.2005 21", "", ""),
        ("%Y-%m-%d %H:%M:%S%Exz", "2005-01-23 21:59:59CET+0100", "2005-01-23 21:59:59CET+0100", "1106510399"),
        ("%Y-%m-%d %H:%M:%S %ExZ", "2005-01-23 21:59:59 XYZ", "2005-01-23 21:59:59 XYZ", "none"),
        ("%(Y)s-%m-%d", "2005-01-23", "2005-01-23", "1106438400"),
        ("%%Y %Y", "%Y 2005", "%Y 2005", "1123977600"),
        ("x%Y\n%H:%M", "01:02 x2005", "01:02", "1123981320"),
        (r"{^LN-BEG}(?:%Y)?/%m%d %H:%M", "/0814 01:02", "/0814 01:02", "1123981320"),
        // Words.
        ("EPOCH", "1106517599 x", "1106517599", "1106517599"),
        ("epoch", "[1106517599] x", "1106517599", "1106517599"),
        ("EPOCH", "x 1106517599", "", ""),
        ("LEPOCH", "1106517599123 x", "1106517599123", "1106517599.123"),
        ("LEPOCH", "1106517599123456 x", "1106517599123456", "1106517599.123456"),
        ("LEPOCH", "1106517599123.5 x", "1106517599123.5", "1106517599.1235"),
        ("^EPOCH", " 1106517599 x", "1106517599", "1106517599"),
        ("t={EPOCH};", "x t=1106517599; y", "t=1106517599;", "1106517599"),
        ("t={LEPOCH}", "x t=1106517599123 y", "t=1106517599123", "1106517599.123"),
        ("TAI64N", "x @4000000041f41ddf00000000 y", "@4000000041f41ddf00000000", "1106517471"),
        ("{NONE}", "2005-01-23 21:59:59", "", "none"),
        ("{DEFAULT}", "2005-01-23 21:59:59", "2005-01-23 21:59:59", "1106517599"),
        ("{^LN-BEG}", "x 2005-01-23 21:59:59", "", ""),
        ("^<W>{DATE}", "<W>2005-01-23 21:59:59", "<W>2005-01-23 21:59:59", "1106517599"),
        ("no percent", "no percent", "no percent", "1123977600"),
    ] {
        check(&options(Some(pattern)), NOW, &[(line, cut, time)]);
    }
}

#[test]
fn mistakes() {
    for (pattern, want) in [
        ("%q", "datepattern has `%q`, which is no field (a percent sign is `%%`)"),
        ("%Y %", "datepattern has `%`, which is no field (a percent sign is `%%`)"),
        ("%Exq", "datepattern has `%Exq`, which is no field (a percent sign is `%%`)"),
        ("%Y\n%Y", "datepattern has `%Y` twice"),
        ("EPOCH\nepoch", "datepattern has `epoch` twice"),
        ("(%Y", "`(` is never closed"),
        ("%Y %Y", "there is a second Y"),
    ] {
        let error = Dates::fail2ban(&options(Some(pattern))).unwrap_err().to_string();
        assert!(error.contains(want), "{pattern:?}: {error}");
    }
    let many: Vec<_> = (0..1000).map(|number| format!("x{number}%Y")).collect();
    let many = many.join("\n");
    let error = Dates::fail2ban(&options(Some(&many))).unwrap_err().to_string();
    assert_eq!(error, "datepattern has more than 500 patterns");
}
