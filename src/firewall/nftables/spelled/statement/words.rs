//! The words of a command of nft, one after another.

use std::str::FromStr;

use crate::firewall::nftables::spelled::shell::ADDRESS;

/// The kernel's limit for a name, in bytes, without the NUL at its end.
const LONGEST_NAME: usize = 255;

pub(super) struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    /// Splits at blanks and at `{`, `}`, `;` and `,`, which are words themselves.
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        let known = |letter: char| {
            letter.is_ascii_alphanumeric() || "-_./:@+!{};, \t".contains(letter) || letter == ADDRESS
        };
        if let Some(letter) = text.chars().find(|letter| !known(*letter)) {
            return Err(format!("`{}` is not understood by itself", letter.escape_default()));
        }
        let words = text.split([' ', '\t']).flat_map(|word| {
            word.split_inclusive(['{', '}', ';', ',']).flat_map(|piece| {
                let cut = piece.len() - usize::from(piece.ends_with(['{', '}', ';', ',']));
                let (word, mark) = piece.split_at(cut);
                [word, mark]
            })
        });
        Ok(Self { words: words.filter(|word| !word.is_empty()).collect(), at: 0 })
    }

    pub(super) fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    pub(super) fn next_is(&self, word: &str) -> bool {
        self.peek() == Some(word)
    }

    /// The next word, whatever it is.
    pub(super) fn word(&mut self) -> Result<&'a str, String> {
        let word = self.peek().ok_or("a command of nft ends too early")?;
        self.at += 1;
        Ok(word)
    }

    /// This word and no other.
    pub(super) fn take(&mut self, want: &str) -> Result<(), String> {
        match self.word()? {
            word if word == want => Ok(()),
            word => Err(format!("`{}` stands where `{want}` is expected", shown(word))),
        }
    }

    pub(super) fn name(&mut self) -> Result<&'a str, String> {
        let word = self.word()?;
        if is_plain(word) { Ok(word) } else { Err(format!("the name `{}` is not understood", shown(word))) }
    }

    pub(super) fn number(&mut self) -> Result<u16, String> {
        let word = self.word()?;
        decimal(word).ok_or_else(|| format!("`{}` is not a number", shown(word)))
    }

    /// Where the address is put in.
    pub(super) fn address(&mut self) -> Result<(), String> {
        let word = self.word()?;
        let mut letters = word.chars();
        if letters.next() == Some(ADDRESS) && letters.next().is_none() {
            return Ok(());
        }
        Err(format!("`{}` stands where `<ip>` is expected", shown(word)))
    }

    pub(super) fn end(&self) -> Result<(), String> {
        self.peek().map_or(Ok(()), |word| Err(format!("`{}` is not understood here", shown(word))))
    }
}

/// A word as the action spells it.
pub(super) fn shown(word: &str) -> String {
    word.replace(ADDRESS, "<ip>")
}

/// A number; a zero before it would make it octal.
pub(in crate::firewall::nftables::spelled) fn decimal<T: FromStr>(digits: &str) -> Option<T> {
    let is_plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| is_plain)
}

/// What nft takes for words of its own where a name is expected, so that no table, chain or set has such a name.
const KEYWORDS: &str = "\
    accept add ah all and arp auto-merge bridge cgroup chain comment comp constant continue counter cpu \
    create ct day dccp define delete describe device devices dnat drop dst dup dynamic ecn element elements \
    esp ether exists expires export exthdr fib flags flow flowtable flush frag fwd gc-interval get goto \
    handle hbh hook hour ibriport ibrname icmp icmpv6 igmp iif iifgroup iifname iiftype import include index \
    inet insert interval ip ip6 ipsec jhash jump limit list log lt map mark masquerade meta meter mh missing \
    monitor netdev nftrace not notrack numgen obriport obrname offload oif oifgroup oifname oiftype or osf \
    pkttype policy position priority queue quota random redefine redirect reject rename replace reset return \
    rt rt0 rt2 rtclassid rule ruleset sctp secmark set size skgid skuid snat socket srh symhash synproxy \
    table tcp th time timeout tproxy type typeof udp udplite undefine update vlan vmap xt";

/// Whether a name means itself in nft, in the shell and in patterns.
pub(in crate::firewall::nftables::spelled) fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= LONGEST_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !KEYWORDS.split(' ').any(|keyword| keyword == name)
}
