//! `stockade man` and `stockade completions`: what `make install` puts beside the program.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use clap_complete::Shell;

use super::Exit;
use super::client::usage;

/// The arguments of `stockade man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where the pages go; it is created
    pub dir: PathBuf,
}

/// The arguments of `stockade completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: Shell,
}

pub(super) fn man(args: &ManArgs, command: clap::Command) -> anyhow::Result<Exit> {
    let dir = || args.dir.display().to_string();
    fs::create_dir_all(&args.dir).with_context(dir)?;
    clap_mangen::generate_to(command.disable_help_subcommand(true), &args.dir).with_context(dir)?;
    for (name, usage) in [("fail2ban-client", usage::CLIENT), ("fail2ban-server", usage::SERVER)] {
        fs::write(args.dir.join(format!("{name}.1")), page(name, usage)).with_context(dir)?;
    }
    Ok(Exit::Done)
}

/// The manual page of a name that explains itself in plain text.
fn page(name: &str, usage: &str) -> String {
    let line = |line: &str| format!("\\&{}", line.replace('\\', "\\e").replace('-', "\\-"));
    let text = usage.lines().map(line).collect::<Vec<_>>().join("\n");
    format!(
        ".TH {name} 1\n.SH NAME\n{name} \\- stockade under Fail2Ban's name\n.SH SYNOPSIS\n.nf\n{text}\n.fi\n.SH SEE ALSO\nstockade(1)\n"
    )
}

pub(super) fn completions(
    args: &CompletionsArgs,
    mut command: clap::Command,
    out: &mut dyn Write,
) -> anyhow::Result<Exit> {
    // The generator panics when it cannot write, so it writes into memory.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "stockade", &mut text);
    out.write_all(&text)?;
    Ok(Exit::Done)
}
