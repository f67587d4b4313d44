//! The command line: what can be typed, in clap's types; each command lives in a file of its own.
//!
//! A command answers with an [`Exit`], or with an error that `main` prints as one sentence.

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

mod ask;
mod ban;
mod blocks;
mod broker;
mod check;
mod client;
mod confirm;
mod crew;
mod daemon;
mod doctor;
mod fail2ban;
mod generate;
mod json;
mod log;
pub mod names;
mod reload;
pub mod run;
mod server;
mod settings;
mod setup;
mod show;
mod stop;
mod test;
pub mod tester;

const EXAMPLES: &str = "\
Examples:
  stockade check                        is the configuration right?
  stockade test sshd /var/log/auth.log  who would be banned, when?
  stockade run --dry-run                the daemon, with a firewall that blocks nobody
  stockade status                       how are the jails?
  stockade doctor                       do bans hold here? if not, why?
  stockade ban 192.0.2.7 --for 2w       shut somebody out by hand
  stockade unban 192.0.2.7              and let them in again

Exit codes:
  0  done
  1  not done, or mistakes were found: the output says which
  2  the environment is in the way: wrong command line, no permission,
     no daemon answers, NET_ADMIN is missing

Files:
  /etc/stockade/stockade.toml    the configuration; STOCKADE_* variables and --set win over it
  /etc/stockade/jails.d/*.toml   drop-ins of the same shape
  /run/stockade/stockade.sock    where the daemon is asked";

/// Where the configuration is, unless it is said.
const ETC: &str = "/etc/stockade";

const EVERYWHERE: &str = "Options of every command";

/// Reads logs as they are written, recognises attackers, bans them in the firewall.
#[derive(Debug, Parser)]
#[command(name = "stockade", version, after_help = EXAMPLES, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Directory of the configuration; it may hold a Fail2Ban tree, such as /etc/fail2ban
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR", default_value = ETC)]
    pub etc: PathBuf,
    /// Socket of the daemon [default: `daemon.socket` of the configuration]
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// An option that wins over every file, such as `jail.sshd.max_retry=3`
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Print JSON, for scripts
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon in the foreground
    #[command(after_help = "\
Signals: TERM, INT end it (bans stay, those of actions are undone and come back); HUP reloads what differs; RTMIN+n reloads jail n of `status`; USR1 reopens the log.
Exit codes: 0 ended as asked; 1 no jail can run; 2 NET_ADMIN is missing, or another daemon runs.")]
    Run(run::RunArgs),
    /// Check the configuration and list every mistake at once
    Check,
    /// Find out whether bans can hold here, and do: kernel, rights, logs, clocks, daemon
    #[command(after_help = "\
Changes nothing: what must be tried is tried in a network namespace of its own. For monitoring: exit 0 when all is well, 1 when something is WRONG; --json has a list of findings, each with check, state (fine, unknown, look, wrong), what and advice.

Examples:
  stockade doctor
  stockade doctor --quiet && echo protected
  stockade doctor --etc /etc/fail2ban --json")]
    Doctor(doctor::DoctorArgs),
    /// Show the daemon and its jails, or one jail with its bans
    Status(show::StatusArgs),
    /// Show who is banned where; with an address, exit 1 unless it is banned, 2 when a jail does not tell
    Banned(show::BannedArgs),
    /// Ban addresses or prefixes by hand
    #[command(after_help = "\
Answers when the firewall and the disk have it. Own, gateway and ignored addresses, and hosts that somebody is logged in from, are refused without --force.

Examples:
  stockade ban 192.0.2.7
  stockade ban 2001:db8::/64 198.51.100.0/24 --jail sshd --for 2w
  stockade ban --for forever $(cat addresses)")]
    Ban(ban::BanArgs),
    /// Let addresses or prefixes in again
    Unban(ban::UnbanArgs),
    /// Read the configuration again and move only what differs
    #[command(after_help = "\
A jail whose configuration is wrong keeps its running version; the others move. Exit 1 then, with a line for each mistake.

With --confirm nobody can lock himself out for good: the new configuration runs, and if `stockade confirm` does not come in time, the one before (as it ran, whatever the files say) returns. Bans and counters stay; whom only the new one banned is let in.

Examples:
  stockade reload
  stockade reload sshd --confirm 60s
  stockade reload --confirm 2m && ssh somewhere-else ssh this-host true && stockade confirm")]
    Reload(reload::ReloadArgs),
    /// Keep the configuration that `reload --confirm` put on trial
    #[command(after_help = "\
Exit 1 when there is nothing to confirm, or when it is too late. A reload without --confirm meanwhile neither confirms nor gives more time; one with --confirm gives more time, and what was confirmed last is what returns. `stockade status` shows what is waited for.")]
    Confirm(confirm::ConfirmArgs),
    /// Show or change what the daemon logs, and where
    Log(log::LogArgs),
    /// End the daemon; bans stay in the firewall until their time is over, but for those of actions, which come back
    Stop(stop::StopArgs),
    /// Try a jail on a log file: which lines match which pattern, who would be banned when
    #[command(after_help = "\
Offline: asks no daemon, changes nothing. Time is the log's own: bans begin and end as they would have. Disabled jails can be tried too. With --json each line that --verbose or --missed prints is an object, and the last one is the summary.

Examples:
  stockade test sshd /var/log/auth.log
  stockade test postfix /var/log/mail.log --mode aggressive --verbose
  zcat /var/log/auth.log.*.gz | stockade test sshd - --missed
  stockade test nginx access.log --set jail.nginx.max_retry=3 --json")]
    Test(test::TestArgs),
    /// Try Fail2Ban's configuration, filters, dates and counting without a daemon
    #[command(subcommand)]
    Fail2ban(fail2ban::Fail2BanCommand),
    /// Ban and unban as docker-mailserver's `setup` does
    Setup(setup::SetupArgs),
    /// Print the version
    Version,
    /// Write the man pages into a directory
    #[command(hide = true)]
    Man(generate::ManArgs),
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions(generate::CompletionsArgs),
}

/// How a command ended, as a script sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As asked.
    Done,
    /// Not done, or mistakes were found; the output says which.
    NotDone,
    /// The environment is in the way.
    Environment,
    /// Not done, and said in Fail2Ban's way.
    Fail2Ban,
}

impl Exit {
    /// [`Exit::Done`] if so, else [`Exit::NotDone`].
    pub fn done(done: bool) -> Self {
        if done { Self::Done } else { Self::NotDone }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::NotDone => Self::from(1),
            Exit::Environment => Self::from(2),
            Exit::Fail2Ban => Self::from(255),
        }
    }
}

/// Does what the command line says; the whole program but for the name it was called by.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(help) => {
            _ = help.print(); // whoever closed the terminal needs no help
            return if help.use_stderr() { Exit::Environment } else { Exit::Done };
        }
    };
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout());
    let ended = cli.run(&mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match ended {
        Ok(exit) => exit,
        Err(error) if is_closed_pipe(&error) => Exit::Done, // `| head` has seen enough
        Err(error) => {
            complain(&format!("{error:#}"));
            Exit::Environment
        }
    }
}

impl Cli {
    fn run(&self, out: &mut dyn Write) -> anyhow::Result<Exit> {
        let global = &self.global;
        match &self.command {
            Command::Run(args) => run::run(global, args),
            Command::Check => check::run(global, out),
            Command::Doctor(args) => doctor::run(global, args, out),
            Command::Status(args) => show::status(global, args, out),
            Command::Banned(args) => show::banned(global, args, out),
            Command::Ban(args) => ban::ban(global, args, out),
            Command::Unban(args) => ban::unban(global, args, out),
            Command::Reload(args) => reload::run(global, args, out),
            Command::Confirm(args) => confirm::run(global, args, out),
            Command::Log(args) => log::run(global, args, out),
            Command::Stop(args) => stop::run(global, args, out),
            Command::Test(args) => test::run(global, args, out),
            Command::Fail2ban(command) => fail2ban::run(global, command, out),
            Command::Setup(args) => Ok(setup::run(global, args)),
            Command::Version => version(global, out),
            Command::Man(args) => generate::man(args, Self::command()),
            Command::Completions(args) => generate::completions(args, Self::command(), out),
        }
    }
}

fn version(global: &Global, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    if global.json {
        json::write(out, &serde_json::json!({ "version": version }))?;
    } else {
        writeln!(out, "stockade {version}")?;
    }
    Ok(Exit::Done)
}

/// One sentence on standard error; that it cannot be written is no second mistake.
pub fn complain(sentence: &str) {
    _ = writeln!(io::stderr(), "stockade: {}", crate::control::text::clean(sentence));
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(closed)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("KEY=VALUE is wanted, such as jail.sshd.max_retry=3".to_owned()),
    }
}

#[cfg(test)]
mod tests;
