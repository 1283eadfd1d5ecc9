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
#[cfg(feature = "serve")]
mod generate;
mod input;
mod inspect;
mod output;
#[cfg(feature = "serve")]
mod serve;
mod verify;

use args::{Args, Command};
use clap::Parser;
use nix::sys::signal::{SigSet, Signal};
use output::{Failure, Output};
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A write beyond the limit of file sizes then returns an error. All later threads inherit it. It cannot fail.
    let _ = SigSet::from(Signal::SIGXFSZ).thread_block();
    let is_json = wants_json(std::env::args_os());
    let mut output = Output::stdout();
    let done = parse(is_json).and_then(|args| run(&args.command, &mut output));
    // Only a result that reached stdout counts.
    let code = done.and_then(|code| output.flush().map(|()| code)).unwrap_or_else(|failure| {
        output.failure(&failure, is_json);
        // The failure is all that can be reported.
        let _ = output.flush();
        failure.exit_code()
    });
    ExitCode::from(code)
}

/// Returns `true` if the command line asks for JSON, even if it is wrong otherwise.
fn wants_json(words: impl Iterator<Item = OsString>) -> bool {
    words.take_while(|word| word != "--").any(|word| word == "--json")
}

/// Parses the command line. Unless JSON is wanted, a refused one is explained on stderr, and help is shown always.
fn parse(is_json: bool) -> Result<Args, Failure> {
    Args::try_parse().map_err(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        if !is_json {
            output::refused_usage(error);
            std::process::exit(Failure::EXIT.into());
        }
        let text = error.render().to_string();
        let what = text.split("\n\n").next().unwrap_or_default();
        Failure::new(what.trim().trim_start_matches("error: "))
    })
}

/// Runs a command and returns its exit code.
fn run(command: &Command, output: &mut Output) -> Result<u8, Failure> {
    match command {
        #[cfg(feature = "engine")]
        Command::Demo(args) => demo::run(args, output),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(args, output),
        #[cfg(feature = "serve")]
        Command::Generate(args) => generate::run(args, &<Args as clap::CommandFactory>::command()),
        Command::Verify(args) => verify::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        #[cfg(feature = "engine")]
        Command::Data(command) => data::run(command, output),
    }
}
