//! `stockade fail2ban dump`: the command stream of a tree, as `fail2ban-client -c DIR -d` prints it.

use std::io::{self, Write};

use clap::{Args, Parser};
use jiff::Zoned;

use crate::cli::{Exit, Global, json};
use crate::fail2ban::{self, Request, Said};
use crate::python;

/// The arguments.
#[derive(Debug, Args)]
#[command(after_help = "\
--etc names the tree. Exit codes as Fail2Ban's: 0 right, 255 wrong.

Examples:
  stockade fail2ban dump --etc /etc/fail2ban
  stockade fail2ban dump --etc /etc/fail2ban -t
  stockade fail2ban dump --json --etc /etc/fail2ban -d --loglevel DEBUG")]
pub struct DumpArgs {
    /// Options of fail2ban-client; without -d or -t: -d
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// What fail2ban-client understands, as far as it matters here; the rest is read and passed over.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, infer_long_args = true, disable_help_flag = true)]
#[allow(clippy::struct_excessive_bools)]
struct Client {
    #[arg(short = 'd', long = "dp", visible_alias = "dump-pretty")]
    dump: bool,
    #[arg(short = 't', long)]
    test: bool,
    #[arg(long)]
    loglevel: Option<String>,
    #[arg(long)]
    logtarget: Option<String>,
    #[arg(long)]
    syslogsocket: Option<String>,
    #[arg(short, long)]
    socket: Option<String>,
    #[arg(short, long)]
    pidfile: Option<String>,
    #[arg(long)]
    pname: Option<String>,
    #[arg(long)]
    timeout: Option<String>,
    #[arg(short = 'x')]
    force: bool,
    #[arg(short = 'i')]
    interactive: bool,
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    verbose: u8,
    #[arg(short = 'q', action = clap::ArgAction::Count)]
    quiet: u8,
    #[arg(short = 'b')]
    background: bool,
    #[arg(short = 'f')]
    foreground: bool,
    #[arg(long = "async")]
    detached: bool,
    words: Vec<String>,
}

impl Client {
    fn request(&self) -> Request {
        let overrides = [
            ("socket", &self.socket),
            ("pidfile", &self.pidfile),
            ("loglevel", &self.loglevel),
            ("logtarget", &self.logtarget),
            ("syslogsocket", &self.syslogsocket),
        ];
        let overrides = overrides.into_iter();
        Request {
            test: self.test,
            dump: self.dump || !self.test,
            overrides: overrides.filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))).collect(),
        }
    }
}

pub(super) fn run(global: &Global, args: &DumpArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let client = match Client::try_parse_from(&args.rest) {
        Ok(client) => client,
        Err(error) => {
            _ = error.print();
            return Ok(Exit::Fail2Ban);
        }
    };
    let request = client.request();
    let dump = fail2ban::dump(&global.etc, &request);
    for command in dump.stream.iter().flatten().filter(|_| request.dump) {
        if global.json {
            json::write(out, command)?;
        } else {
            writeln!(out, "{}", python::command(command))?;
        }
    }
    if let Some(text) = &dump.printed {
        writeln!(out, "{text}")?;
    }
    out.flush()?;
    let mut log = io::stderr().lock();
    for said in &dump.said {
        _ = write_log(&mut log, said); // nobody to tell
    }
    Ok(if dump.right { Exit::Done } else { Exit::Fail2Ban })
}

/// `2026-01-02 03:04:05,678 fail2ban.configreader   [PID]: ERROR   text`
fn write_log(log: &mut dyn Write, said: &Said) -> io::Result<()> {
    let now = Zoned::now();
    let logger = match said.logger {
        "" => "fail2ban".to_owned(),
        name => format!("fail2ban.{name}"),
    };
    let (time, pid) = (now.strftime("%Y-%m-%d %H:%M:%S,%3f"), std::process::id());
    writeln!(log, "{time} {logger:<24}[{pid}]: {:<7} {}", said.level, said.text)
}
