//! The actions that Fail2Ban itself comes with, where a copy of it is at hand: none is part of this project.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stockade::action::Definition;
use stockade::fail2ban::{Request, dump};
use stockade::python::Value;

use super::namespace::in_namespace;
use super::spelled::{BLOCKS, HOOKS, PROTOCOLS, compare_each};
use crate::lab::skip;

/// How many actions are compared in one go.
const AT_ONCE: usize = 12;

/// Copies of Fail2Ban's actions, as installed or in a corpus beside this project, in the version whose sets have options
/// of their own (1.1) or the one before it.
fn trees(is_modern: bool) -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus/base");
    let all =
        [PathBuf::from("/etc/fail2ban"), beside.join("debian-1.0.2"), beside.join("upstream-1.1.2.dev1")];
    // An installed copy may be one of the others again.
    let mut seen = BTreeSet::new();
    let is_new = |tree: &PathBuf| {
        let text = fs::read_to_string(tree.join("action.d/nftables.conf"));
        text.is_ok_and(|text| text.contains("addr_options") == is_modern && seen.insert(text))
    };
    let found: Vec<_> = all.into_iter().filter(is_new).collect();
    if found.is_empty() {
        let version = if is_modern { "1.1" } else { "1.0" };
        skip(&format!("the nftables actions of Fail2Ban {version}: no copy is at hand"));
    }
    found
}

/// A tree with the stock nftables actions and one jail for each of these values of `action`.
fn tree(stock: &Path, is_interval: bool, actions: &[String]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let actions_dir = tree.path().join("action.d");
    fs::create_dir(&actions_dir).unwrap();
    for file in ["nftables.conf", "nftables-multiport.conf", "nftables-allports.conf"] {
        let mut text = fs::read_to_string(stock.join("action.d").join(file)).unwrap();
        if is_interval && !text.contains("addr_options") {
            // As docker-mailserver does when it builds its image.
            text = text.replace(r"\{ type <addr_type>\; \}", r"\{ type <addr_type>\; flags interval\; \}");
        }
        fs::write(actions_dir.join(file), text).unwrap();
    }
    fs::write(actions_dir.join("nftables-common.local"), "[Init]\nblocktype = drop\n").unwrap();
    fs::write(tree.path().join("fail2ban.conf"), "[Definition]\n").unwrap();
    let jail =
        |(n, action): (usize, &String)| format!("[jail{n}]\nenabled = true\nfilter =\naction = {action}\n");
    let jails: String = actions.iter().enumerate().map(jail).collect();
    fs::write(tree.path().join("jail.conf"), format!("[DEFAULT]\nbackend = polling\n{jails}")).unwrap();
    tree
}

/// The actions as Fail2Ban's server is told of them.
fn definitions(tree: &Path) -> Vec<Definition> {
    let answer = dump(tree, &Request { dump: true, ..Request::default() });
    let stream = answer.stream.unwrap_or_else(|| panic!("{:?} {:?}", answer.printed, answer.said));
    let text = |item: &Value| match item {
        Value::Text(text) | Value::Int(text) => text.clone(),
        other => other.to_string(),
    };
    let read = |command: &Vec<Value>| match &**command {
        [Value::Text(verb), Value::Text(_), Value::Text(what), Value::Text(name), Value::List(options)]
            if verb == "multi-set" && what == "action" =>
        {
            let options = options.iter().filter_map(|pair| match pair {
                Value::List(pair) => Some((text(&pair[0]), text(&pair[1]))),
                _ => None,
            });
            Some(Definition {
                name: name.as_str().into(),
                file: "nftables".into(),
                options: options.collect(),
            })
        }
        _ => None,
    };
    stream.iter().filter_map(read).collect()
}

/// Compares these actions, as jails of one tree, some at a time.
fn compare_all(stock: &Path, is_interval: bool, actions: &[String]) {
    let tree = tree(stock, is_interval, actions);
    let definitions = definitions(tree.path());
    assert_eq!(definitions.len(), actions.len(), "{}", stock.display());
    let groups = definitions.chunks(AT_ONCE).zip(actions.chunks(AT_ONCE));
    let told = |actions: &[String]| format!("{}: {}", stock.display(), actions.join(", "));
    compare_each(groups.map(|(definitions, actions)| (definitions.to_vec(), told(actions))).collect());
}

/// Every kind, protocol, verdict, hook and priority with every other, IPv4 and IPv6, with and without intervals.
fn cross(stock: &Path) {
    for is_interval in [true, false] {
        let plain_set = if is_interval { "" } else { r#", addr_options="""# };
        let mut actions = Vec::new();
        for kind in [
            r#"nftables-multiport[port="ssh,8000:8100""#,
            "nftables-allports[type=allports",
            r#"nftables[type=custom, rule_match-custom="udp dport 53""#,
        ] {
            for protocol in PROTOCOLS {
                for block in BLOCKS {
                    for (hook, priority) in HOOKS {
                        let table = actions.len();
                        actions.push(format!(
                            r#"{kind}, protocol="{protocol}", blocktype={block}, chain_hook={hook}, chain_priority="{priority}", table=t{table:02}{plain_set}]"#
                        ));
                    }
                }
            }
        }
        compare_all(stock, is_interval, &actions);
    }
    let more = [
        r#"nftables[type=custom, rule_match-custom="", table=alone]"#,
        "nftables[port=ssh]",
        r#"nftables[type=multiport][table=mine, port="0:65535"]"#,
        "nftables[port=ssh, chain_hook=output, chain_priority=-5, chain=pre, table=u]",
        r#"nftables[port="ssh,smtp", table=v4, blocktype="counter drop"]"#,
    ];
    compare_all(stock, true, &more.map(str::to_owned));
}

#[test]
fn stock_actions_of_version_1_0_stand_as_their_commands_make_them() {
    in_namespace(|| trees(false).iter().for_each(|stock| cross(stock)));
}

#[test]
fn stock_actions_of_version_1_1_stand_as_their_commands_make_them() {
    in_namespace(|| trees(true).iter().for_each(|stock| cross(stock)));
}
