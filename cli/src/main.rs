//! The `sexton` command: a demonstration on real files, offline verification of receipts, inspection of every file
//! format, and the operator's work on a data folder.
//!
//! Results go to stdout, messages and progress to stderr. `verify` and `inspect` need no engine. Without the feature
//! `engine` only these two are built, and RocksDB is not.

mod args;
#[cfg(feature = "engine")]
mod cores;
#[cfg(feature = "engine")]
mod data;
#[cfg(feature = "engine")]
mod demo;
mod format;
mod inspect;
mod output;
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
