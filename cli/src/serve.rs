//! `sexton serve`: the service.

use crate::output::{self, Failure, LogWriter, Output};
use clap::Args as ClapArgs;
use sexton_service::config::{self, Config};
use sexton_service::rights;
use sexton_service::run::{self, ServeError};
use std::path::PathBuf;

/// Exit code of a service that failed: a restart may help.
const FAILED: u8 = 1;

/// Arguments of `sexton serve`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "Example:\n  sexton serve --config /etc/sexton/sexton.toml\n\nExit codes:\n  \
    0  stopped as told\n  1  failed: a restart may help\n  \
    2  wrong usage or configuration: a restart does not help")]
pub(crate) struct ServeArgs {
    /// Configuration
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Test the configuration and the rights of this user, print the systemd drop-in, and start nothing
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &ServeArgs, output: &mut Output) -> Result<u8, Failure> {
    if args.check {
        return check(args, output);
    }
    log_to_stderr();
    sexton::log_panics();
    match run::run(&args.config) {
        Ok(()) => Ok(0),
        Err(ServeError::Configuration(why)) => Err(Failure::new(why)),
        Err(error) => {
            output::message(error);
            Ok(FAILED)
        }
    }
}

/// Tests a configuration, and prints the drop-in that it needs.
fn check(args: &ServeArgs, output: &mut Output) -> Result<u8, Failure> {
    let config = Config::read(&args.config).map_err(Failure::new)?;
    let missing = rights::missing(&config);
    for why in &missing {
        output.line(output.bad(why));
    }
    if let Some(drop_in) = rights::drop_in(&config) {
        output.line("# /etc/systemd/system/sexton.service.d/directories.conf");
        drop_in.lines().for_each(|line| output.line(line));
    }
    Ok(if missing.is_empty() { 0 } else { Failure::EXIT })
}

/// Sends the program log to stderr, where the service manager takes it.
fn log_to_stderr() {
    tracing_subscriber::fmt()
        .with_writer(|| LogWriter)
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .init();
}
