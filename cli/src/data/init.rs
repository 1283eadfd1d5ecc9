//! `sexton init`: creates a data folder.

use super::args::{MutatingArgs, help};
use super::dry_run;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::testing::{Clock, SystemClock};
use sexton::{Engine, Options};

/// Arguments of `sexton init`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton init /var/lib/sexton --origin example.com/uploads"))]
pub(crate) struct InitArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Origin line of the log
    #[arg(long, value_name = "NAME")]
    origin: String,
}

pub(super) fn run(args: &InitArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.common.data.folder;
    let is_new = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_new {
        return Err(Failure::new(format!("{} is not a new or empty folder", folder.display())));
    }
    let is_dry = args.common.dry_run;
    let options = Options::new(&args.origin);
    let engine = if is_dry {
        dry_run::in_memory(&options, SystemClock.now())?
    } else {
        Engine::open(folder, &options)?
    };
    // The key of an engine in memory verifies nothing.
    let log_key = Some(engine.log_key().to_string()).filter(|_| !is_dry);
    if args.common.data.json {
        output.json(&json!({ "dry_run": is_dry, "origin": args.origin, "log_key": log_key }));
        return Ok(0);
    }
    let created = if is_dry { "would create" } else { "created" };
    output.line(format_args!("{created} {} with the origin {}", folder.display(), args.origin));
    if let Some(key) = log_key {
        output.line(format_args!("the key {key} verifies its log"));
    }
    Ok(0)
}
