//! The name it was called by → the command.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().and_then(|path| Path::new(path).file_name()).unwrap_or_default();
    if name.as_encoded_bytes().starts_with(b"fail2ban-") {
        stockade::cli::complain(&format!("{}: this version does not speak Fail2Ban yet", name.display()));
        return stockade::cli::Exit::Environment.into();
    }
    stockade::cli::main(arguments).into()
}
