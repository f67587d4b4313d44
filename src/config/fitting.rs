//! Which jails fit the logs of this host, and how to turn them on: for an operator who has none enabled yet.

use std::path::Path;
use std::sync::Arc;

use super::{Config, files, toml};

/// Each jail that is off although one of its logs is there: the jail, that log, and the line of shell that enables it.
pub fn fitting(config: &Config, exists: impl Fn(&str) -> bool) -> Vec<(Arc<str>, String, String)> {
    let fits = config.disabled.iter().filter_map(|(jail, logs)| {
        let log = logs.iter().find(|log| exists(&log.pattern))?;
        Some((Arc::clone(jail), log.pattern.clone(), enabling(jail, &config.etc, &exists)))
    });
    fits.collect()
}

fn enabling(jail: &str, etc: &Path, exists: &impl Fn(&str) -> bool) -> String {
    let folder = files::drop_in_folder(etc).display().to_string();
    // Never overwrites a drop-in, and is read behind it.
    let mut stem = format!("{folder}/{jail}");
    while exists(&format!("{stem}.toml")) {
        stem.push('_');
    }
    let make = if exists(&folder) { String::new() } else { format!("mkdir -p {} && ", quoted(&folder)) };
    format!(
        "{make}printf '[{}]\\nenabled = true\\n' > {}",
        toml::join("jail", jail),
        quoted(&format!("{stem}.toml"))
    )
}

fn quoted(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    if path.bytes().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}
