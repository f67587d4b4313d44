//! Joins the two worlds: the jails of TOML, and those of a Fail2Ban tree.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Config, JailConfig, Mistake, tree};

impl Config {
    /// Takes the jails of a Fail2Ban tree in. A name that is enabled in both worlds is the tree's.
    pub(super) fn join(&mut self, tree: tree::Jails, everything: bool) {
        self.mistakes.extend(tree.mistakes);
        self.refused.everything |= everything;
        let theirs: BTreeSet<Arc<str>> = tree
            .right
            .iter()
            .map(|jail| jail.options.name.clone())
            .chain(tree.refused.iter().cloned())
            .collect();
        let (both, ours) = std::mem::take(&mut self.jails)
            .into_iter()
            .partition::<Vec<_>, _>(|jail| theirs.contains(&jail.options.name));
        self.jails = ours;
        for jail in both {
            let name = &jail.options.name;
            let file = |config: &JailConfig| config.sources.last().map(|file| file.display().to_string());
            let other = tree.right.iter().find(|other| other.options.name == *name);
            let what = match other.and_then(file) {
                Some(other) => format!("is enabled in {other} too: that one runs, this one does not"),
                None => "is enabled in the Fail2Ban tree too, where it is wrong: neither runs".to_owned(),
            };
            self.mistakes.push(Mistake {
                jail: Some(name.clone()),
                place: file(&jail).unwrap_or_else(|| "the environment".to_owned()),
                line: None,
                key: Some(format!("jail.{name}.enabled")),
                what,
            });
        }
        if !self.refused.everything {
            self.jails.extend(tree.right);
        }
        self.refused.jails.extend(tree.refused);
        let known = |name: &Arc<str>| theirs.contains(name);
        self.disabled.retain(|(name, _)| !known(name));
        let more: Vec<_> = tree
            .disabled
            .into_iter()
            .filter(|(name, _)| !self.jails.iter().any(|jail| jail.options.name == *name))
            .filter(|(name, _)| !self.disabled.iter().any(|(other, _)| other == name))
            .collect();
        self.disabled.extend(more);
    }
}
