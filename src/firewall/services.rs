//! Ports by number, range or service name.
//!
//! Pure: the text of `/etc/services` comes from the caller; names it lacks come from a built-in table, because
//! containers often have no such file.

/// Why a list of ports cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Neither number, range nor known service.
    #[error("`{0}` is neither a port, a range such as 1000:2000, nor a known service")]
    Unknown(String),
    /// The range ends before it begins.
    #[error("the range `{0}` ends before it begins")]
    Backwards(String),
}

/// What the usual jails guard, as IANA names them, with the names in common use before that.
const BUILT_IN: &[(&str, u16)] = &[
    ("amqp", 5672),
    ("domain", 53),
    ("domain-s", 853),
    ("ftp", 21),
    ("ftp-data", 20),
    ("ftps", 990),
    ("ftps-data", 989),
    ("git", 9418),
    ("http", 80),
    ("http-alt", 8080),
    ("https", 443),
    ("https-alt", 8443),
    ("imap", 143),
    ("imap2", 143),
    ("imap3", 220),
    ("imaps", 993),
    ("ipp", 631),
    ("ircs-u", 6697),
    ("kerberos", 88),
    ("ldap", 389),
    ("ldaps", 636),
    ("managesieve", 4190),
    ("matrix-fed", 8448),
    ("mongodb", 27017),
    ("mqtt", 1883),
    ("ms-sql-s", 1433),
    ("ms-wbt-server", 3389),
    ("mysql", 3306),
    ("nntp", 119),
    ("ntp", 123),
    ("openvpn", 1194),
    ("pop3", 110),
    ("pop3s", 995),
    ("postgresql", 5432),
    ("radius", 1812),
    ("redis", 6379),
    ("rsync", 873),
    ("sftp", 115),
    ("sieve", 4190),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("sips", 5061),
    ("smtp", 25),
    ("smtps", 465),
    ("snmp", 161),
    ("socks", 1080),
    ("squid", 3128),
    ("ssh", 22),
    ("ssmtp", 465),
    ("submission", 587),
    ("submissions", 465),
    ("telnet", 23),
    ("tftp", 69),
    ("urd", 465),
    ("webcache", 8080),
    ("webmin", 10000),
    ("xmpp-client", 5222),
    ("xmpp-server", 5269),
    ("zabbix-agent", 10050),
];

/// The port of a service: from `services` (the text of `/etc/services`), else from the built-in table.
pub fn port(name: &str, services: &str) -> Option<u16> {
    let named = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let first = words.next()?;
        let number = words.next()?.split('/').next()?.parse().ok()?;
        (first == name || words.any(|alias| alias == name)).then_some(number)
    };
    let built_in = || BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, port)| *port);
    services.lines().find_map(named).or_else(built_in)
}

/// Reads ports: numbers, service names, ranges `a:b` or `a-b`; an item may hold several, separated by commas.
///
/// The answer is sorted, and ranges that touch are one.
///
/// # Errors
/// An item that is none of these, or a range that ends before it begins.
pub fn parse_ports(items: &[String], services: &str) -> Result<Vec<(u16, u16)>, PortError> {
    let words = items.iter().flat_map(|item| item.split(',')).map(str::trim).filter(|word| !word.is_empty());
    let mut ranges = words.map(|word| range(word, services)).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_unstable();
    let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if u32::from(low) <= u32::from(last.1) + 1 => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    Ok(merged)
}

/// One port or range; a service's name may itself hold a `-`, so the whole word is tried first.
fn range(word: &str, services: &str) -> Result<(u16, u16), PortError> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let one = |text: &str| if digits(text) { text.parse().ok() } else { port(text, services) };
    if let Some(port) = one(word) {
        return Ok((port, port));
    }
    let pair = |(at, mark): (usize, &str)| Some((one(&word[..at])?, one(&word[at + mark.len()..])?));
    match word.match_indices([':', '-']).find_map(pair) {
        Some((low, high)) if low > high => Err(PortError::Backwards(word.to_owned())),
        Some(pair) => Ok(pair),
        None => Err(PortError::Unknown(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICES: &str = "\
# a comment
smtp\t\t25/tcp\t\tmail
odd-name        7777/udp   odd  # not-an-alias
broken
http            81/tcp          # this host's own idea
";

    #[test]
    fn a_port_is_looked_up_in_the_file_and_then_in_the_table() {
        for (name, want) in [
            ("smtp", Some(25)),
            ("mail", Some(25)),
            ("odd", Some(7777)),
            ("http", Some(81)),
            ("imaps", Some(993)),
            ("sieve", Some(4190)),
            ("not-an-alias", None),
            ("broken", None),
            ("", None),
        ] {
            assert_eq!(port(name, SERVICES), want, "{name:?}");
        }
    }

    #[test]
    fn lists_of_ports() {
        for (items, want) in [
            (&["ssh"][..], Ok(vec![(22, 22)])),
            (&["smtp,465", " submission "], Ok(vec![(25, 25), (465, 465), (587, 587)])),
            (&["odd-name"], Ok(vec![(7777, 7777)])),
            (&["1000:2000", "1500-2500", "2501", "80"], Ok(vec![(80, 80), (1000, 2501)])),
            (&["ftp-data-ftp"], Ok(vec![(20, 21)])),
            (&["0:65535", "65535"], Ok(vec![(0, 65535)])),
            (&["", ","], Ok(vec![])),
            (&["2000:1000"], Err("the range `2000:1000` ends before it begins")),
            (&["65536"], Err("`65536` is neither a port, a range such as 1000:2000, nor a known service")),
            (&["+22"], Err("`+22` is neither a port, a range such as 1000:2000, nor a known service")),
            (&["é-1"], Err("`é-1` is neither a port, a range such as 1000:2000, nor a known service")),
            (&["-"], Err("`-` is neither a port, a range such as 1000:2000, nor a known service")),
        ] {
            let items: Vec<String> = items.iter().map(|&item| item.to_owned()).collect();
            let got = parse_ports(&items, SERVICES).map_err(|error| error.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{items:?}");
        }
    }

    #[test]
    fn the_table_names_each_service_once() {
        assert!(BUILT_IN.windows(2).all(|pair| pair[0].0 < pair[1].0), "sorted, no name twice");
    }
}
