//! Actions in the grammar that Fail2Ban's nftables actions are written in, as small as they can be.

use super::Definition;

/// What a jail's action says, as far as it differs from test to test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Action {
    /// The jail.
    pub(crate) name: &'static str,
    /// Where its chain and sets are.
    pub(crate) table: &'static str,
    /// `multiport`, `allports`, or anything else, which is a match itself.
    pub(crate) kind: &'static str,
    /// As in `port = ssh,8000:8100`.
    pub(crate) port: &'static str,
    /// As in `protocol = tcp,udp`.
    pub(crate) protocol: &'static str,
    /// As in `blocktype = reject`.
    pub(crate) block: &'static str,
    /// After the type of a set, such as ` flags interval\;`.
    pub(crate) set_options: &'static str,
    /// As in `chain_hook = input`.
    pub(crate) hook: &'static str,
    /// As in `chain_priority = -1`.
    pub(crate) priority: &'static str,
    /// Rules are found by `sed`, and `protocol = all` is known.
    pub(crate) modern: bool,
}

impl Default for Action {
    fn default() -> Self {
        Self {
            name: "sshd",
            table: "t",
            kind: "multiport",
            port: "ssh,2222",
            protocol: "tcp",
            block: "reject",
            set_options: "",
            hook: "input",
            priority: "-1",
            modern: false,
        }
    }
}

impl Action {
    /// With everything but `<…>` that differs by family put in.
    pub(crate) fn definition(&self) -> Definition {
        let Self { name, table, port, protocol, block, set_options, hook, priority, .. } = self;
        let ports = format!(r"\{{ $(echo '{port}' | sed s/:/-/g) \}}");
        let (loop_in, loop_out, matches, matches_all) = match self.kind {
            "multiport" => (
                format!("for proto in $(echo '{protocol}' | sed 's/,/ /g'); do"),
                "done",
                format!("$proto dport {ports}"),
                format!("th dport {ports}"),
            ),
            "allports" => (String::new(), "", format!(r"meta l4proto \{{ {protocol} \}}"), String::new()),
            custom => (String::new(), "", custom.to_owned(), custom.to_owned()),
        };
        let rule =
            |matches: &str| format!("nft add rule inet t c {matches} <family_word> saddr @<set> {block}");
        let mut rules = format!("{loop_in}\n{}\n{loop_out}", rule(&matches));
        if self.modern {
            rules =
                format!("if [ '{protocol}' != \"all\" ]; then\n{rules}\nelse\n{}\nfi", rule(&matches_all));
        }
        let find = if self.modern {
            r"sed -nE 's/.*@<set>\s+.*\s+\#\s*(handle\s+[0-9]+)$/\1/p'"
        } else {
            r"grep -oP '@<set>\s+.*\s+\Khandle\s+(\d+)$'"
        };
        let begin = format!(r"nft add set inet t <set> \{{ type <type>\;{set_options} \}}") + "\n" + &rules;
        let undo = format!(
            "{{ nft -a list chain inet t c | {find}; }} | while read -r h; do\nnft delete rule inet t c $h; done\n\
             nft delete set inet t <set>"
        );
        let letter = if self.modern { 'E' } else { 'P' };
        let start = format!(
            r"nft add table inet t
            nft -- add chain inet t c \{{ type filter hook {hook} priority {priority} \; \}}
            {begin}"
        );
        let stop = format!(
            "{undo}\n{{ nft list table inet t | grep -q{letter} '^\\s+set\\s+'; }} || {{\nnft delete table inet t\n}}"
        );
        let flush = format!("{{ nft flush set inet t <set> 2> /dev/null; }} || {{\n{undo}\n{begin}\n}}");
        let options = [
            ("actionstart", &*start),
            ("actionstop", &stop),
            ("actionflush", &flush),
            ("actioncheck", r"nft list chain inet t c | grep -q '@<set>[ \t]'"),
            ("actionban", r"nft add element inet t <set> \{ <ip> \}"),
            ("actionunban", r"nft delete element inet t <set> \{ <ip> \}"),
            ("set", "four-<name>"),
            ("set?family=inet6", "six-<name>"),
            ("type", "ipv4_addr"),
            ("type?family=inet6", "ipv6_addr"),
            ("family_word", "ip"),
            ("family_word?family=inet6", "ip6"),
            ("name", name),
        ];
        let place = format!("inet {table}");
        let options = options.map(|(key, value)| (key.to_owned(), value.replace("inet t", &place))).to_vec();
        Definition { name: "nft".into(), file: "nft".into(), options }
    }
}
