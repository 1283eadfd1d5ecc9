//! The `sexton` command: a demonstration on real files, offline verification of receipts, inspection of every file
//! format, and the operator's work on a data folder.
//!
//! Results go to stdout, messages and progress to stderr. `verify` and `inspect` need no engine. Without the feature
//! `engine` only these two are built, and RocksDB is not.

mod args;
#[cfg(feature = "engine")]
mod data;
#[cfg(feature = "engine")]
mod demo;
mod format;
mod input;
mod inspect;
mod output;
mod verify;

use args::{Args, Command};
use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use output::{Failure, Output};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A write beyond the limit of file sizes then returns an error. All later threads inherit it. It cannot fail.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refused) if refused.use_stderr() => {
            output::refused_usage(refused);
            return ExitCode::from(Failure::EXIT);
        }
        // Help and version.
        Err(shown) => shown.exit(),
    };
    let mut output = Output::stdout();
    let code = run(&args.command, &mut output).and_then(|code| output.finish().map(|()| code));
    match code {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            output::error(&failure);
            ExitCode::from(Failure::EXIT)
        }
    }
}

/// Runs a command and returns its exit code.
fn run(command: &Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        #[cfg(feature = "engine")]
        Command::Demo(args) => demo::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        #[cfg(feature = "engine")]
        Command::Data(command) => data::run(command, output),
    }
}
