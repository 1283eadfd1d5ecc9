//! The `sexton` command: a demonstration on real files, offline verification of receipts, a look into every format,
//! and the full check of a data folder.
//!
//! Results go to stdout, talk and progress to stderr. `verify` and `inspect` need no engine: without the feature
//! `engine` they are all that is built, and RocksDB is not.

mod args;
#[cfg(feature = "engine")]
mod check;
#[cfg(feature = "engine")]
mod demo;
mod inspect;
mod output;
mod show;
mod verify;

use args::{Args, Command};
use clap::Parser;
use output::{Failure, Output};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
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

/// Runs a command; gives its exit code.
fn run(command: &Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        #[cfg(feature = "engine")]
        Command::Demo(args) => demo::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        #[cfg(feature = "engine")]
        Command::Check(args) => check::run(args, output),
    }
}
