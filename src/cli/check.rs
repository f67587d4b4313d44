//! `stockade check`.

use std::io::Write;

use super::{Exit, Global};

pub(super) fn run(_global: &Global, _out: &mut dyn Write) -> anyhow::Result<Exit> {
    anyhow::bail!("not yet")
}
