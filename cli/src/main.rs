//! The `sexton` command: a demonstration on real files, offline verification of receipts, a look into every format,
//! and everything that a person does with a data folder.
//!
//! Results go to stdout, talk and progress to stderr. `verify` and `inspect` need no engine: without the feature
//! `engine` they are all that is built, and RocksDB is not.

#[cfg(feature = "engine")]
mod alarms;
mod args;
#[cfg(feature = "engine")]
mod bulk;
#[cfg(feature = "engine")]
mod change;
#[cfg(feature = "engine")]
mod check;
#[cfg(feature = "engine")]
mod classes;
#[cfg(feature = "engine")]
mod demo;
#[cfg(feature = "engine")]
mod enforce;
#[cfg(feature = "engine")]
mod erase;
#[cfg(feature = "engine")]
mod feed;
#[cfg(feature = "engine")]
mod folder;
#[cfg(feature = "engine")]
mod hold;
mod inspect;
mod output;
#[cfg(feature = "engine")]
mod plan;
#[cfg(feature = "engine")]
mod reconcile;
#[cfg(feature = "engine")]
mod rehearsal;
#[cfg(feature = "engine")]
mod request;
#[cfg(feature = "engine")]
mod screen;
mod show;
#[cfg(feature = "engine")]
mod status;
#[cfg(feature = "engine")]
mod value;
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
        #[cfg(feature = "engine")]
        other => on_data(other, output),
    }
}

/// Runs what a person does with a data folder.
#[cfg(feature = "engine")]
fn on_data(command: &Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        Command::Init(args) => classes::init(args, output),
        Command::Status(args) => status::run(args, output),
        Command::Plan(args) => plan::run(args, output),
        Command::Class(command) => classes::run(command, output),
        Command::Hold(command) => hold::run(command, output),
        Command::Erase(command) => erase::run(command, output),
        Command::Start(args) => change::start(args, output),
        Command::Reschedule(args) => change::reschedule(args, output),
        Command::Release(args) => change::release(args, output),
        Command::Reconcile(args) => reconcile::run(args, output),
        Command::Enforce(args) => enforce::run(args, output),
        Command::Resume(args) => alarms::run(args, output),
        Command::Feed(args) => feed::run(args, output),
        Command::Screen(args) => screen::run(args, output),
        Command::Demo(_) | Command::Verify(_) | Command::Inspect(_) | Command::Check(_) => {
            run(command, output)
        }
    }
}
