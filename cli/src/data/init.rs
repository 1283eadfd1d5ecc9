//! `sexton init`: creates a data folder.

use super::args::{MutatingArgs, help};
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::testing::{Clock, SystemClock};
use sexton::{Engine, Options};
use sexton_service::dry_run;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

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

/// Entries that creating a data folder makes. One that was interrupted has only these, and no checkpoint, which comes last.
const CREATED: [&str; 5] = ["head", "index", "keys", "lock", "log"];
const CHECKPOINT: &str = "log/checkpoint";

pub(super) fn run(args: &InitArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.common.data.folder;
    check_free(folder)?;
    let is_dry = args.common.dry_run;
    let options = Options::new(&args.origin);
    let engine = if is_dry {
        dry_run::in_memory(&options, SystemClock.now())?
    } else {
        let engine = Engine::open(folder, &options)?;
        engine.publish()?;
        engine
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

/// Refuses a folder that has anything in it, except what an interrupted `init` left.
fn check_free(folder: &Path) -> Result<(), Failure> {
    let failed = |why: &str| Err(Failure::new(format!("{} {why}", folder.display())));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return failed(&format!("cannot be read: {e}")),
    };
    if folder.join(CHECKPOINT).exists() {
        return failed("is a data folder already");
    }
    for entry in entries {
        let name = entry.map_or_else(|_| OsString::new(), |entry| entry.file_name());
        // The engine writes a file under a temporary name first.
        let name = name.to_string_lossy();
        let name = name.strip_prefix(".tmp-").unwrap_or(&name);
        if !CREATED.contains(&name) {
            return failed("is not a new or empty folder");
        }
    }
    Ok(())
}
