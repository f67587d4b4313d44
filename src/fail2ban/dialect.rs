//! Which Fail2Ban a tree was made for: they differ in what they accept and in what they say.
//!
//! Pure.

use std::path::Path;

use super::ini::{DEFAULT, Ini};

/// A behaviour of Fail2Ban.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// 1.0.2, of Debian 12, and those before.
    #[default]
    Stable,
    /// Upstream's head, 1.1.2.
    Head,
}

impl Dialect {
    /// The tree tells by its `paths-*.conf`: since 1.1 the default `banaction` is set there, before that in `jail.conf`.
    /// A tree without either is read as 1.0.2 does.
    pub(super) fn of<'a>(mut files: impl Iterator<Item = (&'a Path, &'a Ini)>) -> Self {
        let is_paths = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("paths-") && path.extension().is_some_and(|suffix| suffix == "conf")
        };
        let sets = |ini: &Ini| {
            let defaults = ini.sections.iter().filter(|section| section.name == DEFAULT);
            defaults.flat_map(|section| &section.options).any(|option| option.key == "banaction")
        };
        if files.any(|(path, ini)| is_paths(path) && sets(ini)) { Self::Head } else { Self::Stable }
    }

    /// The version that `%(fail2ban_version)s` names.
    pub fn version(self) -> &'static str {
        match self {
            Self::Stable => "1.0.2",
            Self::Head => "1.1.2.dev1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fail2ban::ini;

    #[test]
    fn the_tree_tells() {
        let sets = "[DEFAULT]\nbanaction = x\n";
        for (file, text, dialect) in [
            ("/e/paths-debian.conf", sets, Dialect::Head),
            ("/e/paths-debian.conf", "[DEFAULT]\nmta = x\n", Dialect::Stable),
            ("/e/paths-overrides.local", sets, Dialect::Stable),
            ("/e/jail.conf", sets, Dialect::Stable),
        ] {
            let ini = ini::parse(text);
            assert_eq!(Dialect::of([(Path::new(file), &ini)].into_iter()), dialect, "{file}");
        }
    }
}
