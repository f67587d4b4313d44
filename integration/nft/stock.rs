//! The actions that Fail2Ban itself comes with, where a copy of it is at hand: none is part of this project.

use std::fs;
use std::path::{Path, PathBuf};

use stockade::action::Definition;
use stockade::fail2ban::{Item, Request, dump};

use super::namespace::in_namespace;
use super::spelled::compare;

/// Where Fail2Ban's actions may be: as installed, and both versions of a corpus beside this project.
fn trees() -> Vec<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fail2ban/corpus/base");
    let all =
        [PathBuf::from("/etc/fail2ban"), beside.join("debian-1.0.2"), beside.join("upstream-1.1.2.dev1")];
    let (found, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|tree| tree.join("action.d/nftables.conf").exists());
    for tree in missing {
        eprintln!("SKIPPED: the actions of {}, which is not there", tree.display());
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
    let text = |item: &Item| match item {
        Item::Text(text) | Item::Int(text) => text.clone(),
        other => other.to_string(),
    };
    let read = |command: &Vec<Item>| match &**command {
        [Item::Text(verb), Item::Text(_), Item::Text(what), Item::Text(name), Item::List(options)]
            if verb == "multi-set" && what == "action" =>
        {
            let options = options.iter().filter_map(|pair| match pair {
                Item::List(pair) => Some((text(&pair[0]), text(&pair[1]))),
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

#[test]
fn stock_actions_stand_as_their_commands_make_them() {
    in_namespace(|| {
        for stock in trees() {
            let mut turn = 0;
            for (file, parameters) in [
                ("nftables-multiport", r#"port="ssh,8000:8100""#),
                ("nftables-allports", "type=allports"),
                ("nftables", r#"type=custom, rule_match-custom="udp dport 53""#),
                ("nftables", "port=ssh, chain_hook=prerouting, chain_priority=-300, chain=pre"),
                ("nftables[type=multiport]", r#"table=mine, port="0:65535""#),
            ] {
                for protocol in ["tcp", "udp", "tcp,udp"] {
                    turn += 1;
                    let block = ["", ", blocktype=reject"][turn % 2];
                    let is_interval = turn / 2 % 2 == 0;
                    let plain_set = if is_interval { "" } else { r#", addr_options="""# };
                    let action = format!(r#"{file}[{parameters}, protocol="{protocol}"{block}{plain_set}]"#);
                    let tree = tree(&stock, is_interval, std::slice::from_ref(&action));
                    let definitions = definitions(tree.path());
                    assert_eq!(definitions.len(), 1, "{action}");
                    compare(&definitions, &format!("{}: {action}", stock.display()));
                }
            }
        }
    });
}
