//! Names and offsets of time zones as lines and `logtimezone` write them: `Z`, `+0100`, `CET`, `CET+0100`.
//!
//! In: text. Out: minutes east of Greenwich. The names are those that Fail2Ban knows, with its offsets: ambiguous ones
//! mean what they mean there, whatever the host's zone is. Source: SPEC §3.5.

/// Minutes east of Greenwich; none: nothing that is known.
pub(super) fn minutes(text: &[u8]) -> Option<i64> {
    let letters = text.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let (name, offset) = text.split_at(letters);
    if name.is_empty() && offset.is_empty() {
        return None;
    }
    let base = if name.is_empty() { 0 } else { named(name)? };
    Some(base + if offset.is_empty() { 0 } else { signed(offset)? })
}

/// `+01`, `-0530`, `+01:00`.
fn signed(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let number = |tens: u8, ones: u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
    };
    let (hours, minutes) = match *digits {
        [a, b] => (number(a, b)?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (number(a, b)?, number(c, d)?),
        _ => return None,
    };
    // Fail2Ban's own limit.
    (hours < 20).then_some(sign * (hours * 60 + minutes))
}

fn named(name: &[u8]) -> Option<i64> {
    if let [letter] = name {
        return military(*letter);
    }
    let name = std::str::from_utf8(name).ok()?;
    NAMES.binary_search_by_key(&name, |(known, _)| known).ok().map(|at| i64::from(NAMES[at].1))
}

/// The letters that ships and aircraft use; `J` is local time and so means nothing here.
fn military(letter: u8) -> Option<i64> {
    let hours = match letter {
        b'A'..=b'I' => i64::from(letter - b'A') + 1,
        b'K'..=b'M' => i64::from(letter - b'K') + 10,
        b'N'..=b'Y' => -(i64::from(letter - b'N') + 1),
        b'Z' => 0,
        _ => return None,
    };
    Some(hours * 60)
}

/// Sorted by name.
#[rustfmt::skip]
const NAMES: &[(&str, i16)] = &[
    ("ACDT", 630), ("ACST", 570), ("ACT", 480), ("ADT", -180), ("AEDT", 660), ("AEST", 600), ("AFT", 270),
    ("AKDT", -480), ("AKST", -540), ("ALMT", 360), ("AMST", 300), ("AMT", 240), ("ANAST", 720),
    ("ANAT", 720), ("AQTT", 300), ("ART", -180), ("AST", -240), ("AWDT", 540), ("AWST", 480), ("AZOT", -60),
    ("AZST", 300), ("AZT", 240), ("BDT", 480), ("BIOT", 360), ("BNT", 480), ("BOT", -240), ("BRST", -120),
    ("BRT", -180), ("BTT", 360), ("CAST", 480), ("CAT", 120), ("CCT", 390), ("CDT", -300), ("CEDT", 120),
    ("CEST", 120), ("CET", 60), ("CIST", -480), ("CKT", -600), ("CLST", -180), ("CLT", -240),
    ("COST", -240), ("COT", -300), ("CST", -360), ("CVT", -60), ("CXT", 420), ("DAVT", 420), ("DFT", 60),
    ("EASST", -300), ("EAST", -360), ("EAT", 180), ("ECT", -300), ("EDT", -240), ("EEDT", 180),
    ("EEST", 180), ("EET", 120), ("EGST", 0), ("EGT", -60), ("EST", -300), ("FJST", 780), ("FJT", 720),
    ("FKST", -180), ("FKT", -240), ("FNT", -120), ("GALT", -360), ("GAMT", -540), ("GET", 240),
    ("GFT", -180), ("GILT", 720), ("GIT", -540), ("GMT", 0), ("GST", 240), ("GYT", -240), ("HAA", -180),
    ("HAC", -300), ("HADT", -540), ("HAE", -240), ("HAP", -420), ("HAR", -360), ("HAST", -600),
    ("HAT", -150), ("HAY", -480), ("HKT", 480), ("HLV", -270), ("HMT", 300), ("HNA", -240), ("HNC", -360),
    ("HNE", -300), ("HNP", -480), ("HNR", -420), ("HNT", -210), ("HNY", -540), ("HOVT", 420), ("HST", -600),
    ("ICT", 420), ("IDT", 180), ("IOT", 360), ("IRDT", 270), ("IRKST", 540), ("IRKT", 480), ("IRST", 210),
    ("JST", 540), ("KGT", 360), ("KRAST", 480), ("KRAT", 420), ("KST", 540), ("KUYT", 240), ("LHDT", 660),
    ("LHST", 630), ("MAGST", 720), ("MAGT", 660), ("MART", -570), ("MAWT", 300), ("MDT", -360),
    ("MHT", 720), ("MIT", -570), ("MMT", 390), ("MSD", 240), ("MSK", 180), ("MST", -420), ("MUT", 240),
    ("MVT", 300), ("MYT", 480), ("NCT", 660), ("NDT", -150), ("NFT", 690), ("NOVST", 420), ("NOVT", 360),
    ("NPT", 345), ("NST", -210), ("NUT", -660), ("NZDT", 780), ("NZST", 720), ("OMSST", 420), ("OMST", 360),
    ("PDT", -420), ("PET", -300), ("PETST", 720), ("PETT", 720), ("PGT", 600), ("PHT", 480), ("PKT", 300),
    ("PMDT", -120), ("PMST", -180), ("PONT", 660), ("PST", -480), ("PWT", 540), ("PYST", -180),
    ("PYT", -240), ("RET", 240), ("SAMT", 240), ("SAST", 120), ("SBT", 660), ("SCT", 240), ("SGT", 480),
    ("SLT", 330), ("SRT", -180), ("SST", -660), ("TAHT", -600), ("TFT", 300), ("THA", 420), ("TJT", 300),
    ("TKT", -600), ("TLT", 540), ("TMT", 300), ("TVT", 720), ("ULAT", 480), ("UTC", 0), ("UYST", -120),
    ("UYT", -180), ("UZT", 300), ("VET", -270), ("VLAST", 660), ("VLAT", 600), ("VUT", 660), ("WAST", 120),
    ("WAT", 60), ("WDT", 540), ("WEDT", 60), ("WEST", 60), ("WET", 0), ("WFT", 720), ("WGST", -120),
    ("WGT", -180), ("WIB", 420), ("WIT", 540), ("WITA", 480), ("WST", 480), ("YAKST", 600), ("YAKT", 540),
    ("YAPT", 600), ("YEKST", 360), ("YEKT", 300),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        for (text, want) in [
            ("Z", Some(0)),
            ("UTC", Some(0)),
            ("+01", Some(60)),
            ("-0530", Some(-330)),
            ("+01:00", Some(60)),
            ("+0199", Some(159)),
            ("CET", Some(60)),
            ("CET+0100", Some(120)),
            ("UTC-01:30", Some(-90)),
            ("A", Some(60)),
            ("M", Some(720)),
            ("N", Some(-60)),
            ("Y", Some(-720)),
            ("J", None),
            ("PST", Some(-480)),
            ("IST", None),
            ("cet", None),
            ("Cet", None),
            ("", None),
            ("+", None),
            ("+1", None),
            ("+2000", None),
            ("+01:0", None),
            ("+01:00:00", None),
            ("CET0100", None),
            ("01", None),
        ] {
            assert_eq!(minutes(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn names_are_sorted() {
        assert!(NAMES.is_sorted_by_key(|(name, _)| name));
    }
}
