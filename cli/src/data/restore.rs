//! `sexton restore`: a copy goes on in place of its original.

use super::alarm;
use super::args::{DecisionArgs, MutatingArgs, help};
use super::open::{self, spinner};
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use sexton::backup::CopyOf;
use sexton::{Attribution, Engine, Options, json as engine_json};
use sexton_service::api::Alarm;
use std::path::Path;

/// Arguments of `sexton restore`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton restore /var/lib/sexton --origin example.com/uploads-2 \\\n    --reason 'disk lost' --author 'Ada Lovelace'",
    in steps
))]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// New origin line: a name that no log has had
    #[arg(long, value_name = "NAME")]
    origin: String,
    #[command(flatten)]
    decision: DecisionArgs,
}

pub(super) fn run(args: &RestoreArgs, output: &mut Output) -> Result<u8, Failure> {
    let (folder, is_dry) = (&args.common.data.folder, args.common.dry_run);
    let (options, attribution) =
        (Options::new(&args.origin), Attribution::new(&args.decision.author, &args.decision.reason));
    open::warnings_to_stderr();
    let copy = Engine::check_restore(folder, &options, &attribution)?;
    let restored = if is_dry { None } else { Some(restore(folder, &options, &attribution)?) };
    let (log_key, alarms) = restored.unzip();
    if args.common.data.json {
        output.json(&json!({
            "dry_run": is_dry,
            "former_log_key": copy.log_key.to_string(),
            "taken_ms": copy.taken.unix_ms(),
            "log_entries": copy.log_entries,
            "origin": args.origin,
            "log_key": log_key,
            "alarms": alarms.unwrap_or_default(),
        }));
        return Ok(0);
    }
    print(args, &copy, log_key.as_deref(), output);
    alarm::print(&described(alarms)?, output);
    Ok(0)
}

/// Restores a copy. Returns the key of its log, and the alarms that stop deletion.
fn restore(
    folder: &Path,
    options: &Options,
    attribution: &Attribution,
) -> Result<(String, Vec<Value>), Failure> {
    let bar = spinner("restoring");
    let restored = Engine::restore(folder, options, attribution);
    bar.finish_and_clear();
    let engine = restored?;
    let alarms = engine.status()?.alarms.iter().map(engine_json::alarm).collect();
    Ok((engine.log_key().to_string(), alarms))
}

fn print(args: &RestoreArgs, copy: &CopyOf, log_key: Option<&str>, output: &mut Output) {
    let folder = args.common.data.folder.display();
    let (former, taken) = (copy.log_key.name(), copy.taken);
    let done = if log_key.is_some() { "goes on" } else { "would go on" };
    output.line(format_args!("{folder} {done} as {}, from the copy of {former} as of {taken}", args.origin));
    if let Some(key) = log_key {
        output.line(format_args!("the key {key} verifies its log from now on"));
    }
}

/// Returns alarms from their JSON.
fn described(alarms: Option<Vec<Value>>) -> Result<Vec<Alarm>, Failure> {
    serde_json::from_value(Value::Array(alarms.unwrap_or_default()))
        .map_err(|e| Failure::new(format!("the alarms are not understood: {e}")))
}
