//! Arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    stockade::cli::names::main(std::env::args_os().collect()).into()
}
