//! What the programs say when something is wrong, and what it means to the operator.
//!
//! Pure.

/// Why a program did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A set or chain of ours is not there.
    Gone,
    /// This line of the input was refused, and why.
    Line(usize, String),
    /// Nothing works.
    All(String),
}

/// Why a set takes no more.
pub(super) const FULL: &str = "the set is full";

/// What `program` means by what it said.
pub(super) fn meaning(program: &str, said: &str) -> Meaning {
    let has = |text: &str| said.contains(text);
    let all = |text: String| Meaning::All(text);
    if has("Permission denied") || has("Operation not permitted") || has("you must be root") {
        return all(
            "CAP_NET_ADMIN is missing (run as root, or in a container with --cap-add=NET_ADMIN)".to_owned()
        );
    }
    if has("Cannot open session to kernel") || has("Protocol wrong type for socket") {
        return all("this kernel has no ip_set: `modprobe ip_set`".to_owned());
    }
    if has("can't initialize ip") || has("unable to initialize table") || has("do you need to insmod") {
        return all("this kernel has no ip_tables: `modprobe ip_tables ip6_tables`".to_owned());
    }
    if has("Couldn't load match `set'") || has("Extension set revision 0 not supported") {
        return all("this kernel cannot look into sets from iptables: `modprobe xt_set`".to_owned());
    }
    if program != "ipset" && has("doesn't exist.") && has("Set ") {
        return Meaning::Gone;
    }
    if has("The set with the given name does not exist") {
        return Meaning::Gone;
    }
    let line = ["in line ", "at line: ", "line "].into_iter().find_map(|mark| {
        let (_, rest) = said.split_once(mark)?;
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse().ok()
    });
    let words = first_words(said);
    match line {
        Some(line) => Meaning::Line(line, words),
        None => Meaning::All(format!("`{program}`: {words}")),
    }
}

/// What is wrong with one line, in the operator's words.
fn first_words(said: &str) -> String {
    if said.contains("is full") {
        return FULL.to_owned();
    }
    let line = said.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let line = line.unwrap_or("it ended without a word");
    // Their names and versions come first: `ipset v7.17: Error in line 3: …`.
    line.rsplit_once(": ").map_or(line, |(_, words)| words).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_understood() {
        let line = |line, words: &str| Meaning::Line(line, words.to_owned());
        let all = |words: &str| Meaning::All(words.to_owned());
        for (program, said, want) in [
            (
                "ipset",
                "ipset v7.17: Error in line 3: Hash is full, cannot add more elements\n",
                line(3, "the set is full"),
            ),
            ("ipset", "ipset v7.17: Error in line 12: Syntax error: bad CIDR\n", line(12, "bad CIDR")),
            (
                "ipset",
                "ipset v7.17: Error in line 1: The set with the given name does not exist\n",
                Meaning::Gone,
            ),
            (
                "ipset",
                "ipset v7.17: Kernel error received: Operation not permitted\n",
                all("CAP_NET_ADMIN is missing (run as root, or in a container with --cap-add=NET_ADMIN)"),
            ),
            (
                "ipset",
                "ipset v7.17: Cannot open session to kernel.\n",
                all("this kernel has no ip_set: `modprobe ip_set`"),
            ),
            (
                "iptables-restore",
                "iptables-restore v1.8.9 (legacy): iptables-restore: unable to initialize table 'filter'\n\n\
                 Error occurred at line: 1\nTry `iptables-restore -h' for more information.\n",
                all("this kernel has no ip_tables: `modprobe ip_tables ip6_tables`"),
            ),
            (
                "iptables",
                "iptables v1.8.9 (legacy): can't initialize iptables table `filter': Table does not exist (do you need to insmod?)\n",
                all("this kernel has no ip_tables: `modprobe ip_tables ip6_tables`"),
            ),
            ("iptables-restore", "iptables-restore: line 7 failed\n", line(7, "line 7 failed")),
            ("iptables", "", all("`iptables`: it ended without a word")),
        ] {
            assert_eq!(meaning(program, said), want, "{said:?}");
        }
    }
}
