//! `sexton object`: changes to one registered object.

use super::args::{KeyOrId, MutatingArgs, ObjectArgs, help};
use super::format::bounds;
use super::{dry_run, open, parse};
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use sexton::{
    Action, Change, Changed, Durability, Engine, PlannedObject, Registration, RegistrationId, Which, json,
};
use sexton_proof::id::{NO_CEILING, NO_FLOOR};

/// Subcommands of `sexton object`.
#[derive(Debug, Subcommand)]
pub(crate) enum ObjectCommand {
    /// Set the start of an object registered without one
    ///
    /// Set the start of an object that was registered without one. Its promise counts from then. A dry run does not
    /// check if the object has a start already.
    Start(StartArgs),
    /// Put an object under another class or another start
    ///
    /// Put an object under the window of another class, or count it from another start. Its bounds always follow from
    /// a class and a start, so that anybody can check them.
    Reschedule(RescheduleArgs),
    /// Record that the host deleted an object by itself
    ///
    /// Record that the host deleted an object by itself. Its registration ends as released, and the store is not asked
    /// to delete it.
    Release(ReleaseArgs),
}

/// Arguments of `sexton object start`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton object start /var/lib/sexton --key cat.jpg --at 2026-01-31T12:00:00Z"))]
pub(crate) struct StartArgs {
    #[command(flatten)]
    common: MutatingArgs,
    #[command(flatten)]
    object: ObjectArgs,
    /// Start of the object, RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = parse::instant)]
    at: i64,
}

/// Arguments of `sexton object reschedule`.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("terms").args(["class", "start"]).required(true).multiple(true),
    after_long_help = help!("sexton object reschedule /var/lib/sexton --key cat.jpg --class data-30d")
)]
pub(crate) struct RescheduleArgs {
    #[command(flatten)]
    common: MutatingArgs,
    #[command(flatten)]
    object: ObjectArgs,
    /// Class whose window applies
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Start from which the window counts, RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = parse::instant)]
    start: Option<i64>,
}

/// Arguments of `sexton object release`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton object release /var/lib/sexton --key cat.jpg"))]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    common: MutatingArgs,
    #[command(flatten)]
    object: ObjectArgs,
}

pub(super) fn run(command: &ObjectCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        ObjectCommand::Start(args) => {
            let key = key(&args.object)?;
            let of = which(&args.object.by, &key);
            run_change(&args.common, of, Change::Start { of, start_ms: args.at }, output)
        }
        ObjectCommand::Reschedule(args) => {
            let key = key(&args.object)?;
            let of = which(&args.object.by, &key);
            let change = Change::Reschedule { of, class: args.class.as_deref(), start_ms: args.start };
            run_change(&args.common, of, change, output)
        }
        ObjectCommand::Release(args) => {
            let key = key(&args.object)?;
            let of = which(&args.object.by, &key);
            run_change(&args.common, of, Change::Release { of }, output)
        }
    }
}

fn key(object: &ObjectArgs) -> Result<Vec<u8>, Failure> {
    parse::bytes(object.by.key.as_deref().unwrap_or_default(), object.hex)
}

fn which<'a>(by: &KeyOrId, key: &'a [u8]) -> Which<'a> {
    by.id.map_or(Which::Key(key), Which::Id)
}

fn run_change(
    args: &MutatingArgs,
    of: Which<'_>,
    change: Change<'_>,
    output: &mut Output,
) -> Result<u8, Failure> {
    let engine = open::for_change(args)?;
    let changed = if args.dry_run { apply_dry(&engine, of, change)? } else { apply(&engine, change)? };
    if args.data.json {
        output.json(&json!({
            "dry_run": args.dry_run,
            "id": changed.id.to_string(),
            "floor_ms": json::bound(changed.floor_ms),
            "ceiling_ms": json::bound(changed.ceiling_ms),
            "ticket_hex": changed.ticket.map(hex::encode),
        }));
        return Ok(0);
    }
    let done = match change {
        Change::Start { .. } => "started",
        Change::Reschedule { .. } => "rescheduled",
        Change::Release { .. } => "released",
    };
    let would = if args.dry_run { "would be " } else { "" };
    output.line(format_args!("{would}{done}: registration {}", changed.id));
    if args.dry_run && matches!(change, Change::Reschedule { start_ms: None, .. }) {
        output.line("  its bounds would follow from the class and its present start");
    } else if !matches!(change, Change::Release { .. }) {
        output.line(format_args!("  {}", bounds(changed.floor_ms, changed.ceiling_ms)));
    }
    if let Some(ticket) = changed.ticket {
        output
            .line(format_args!("  its new ticket, of which there is no other copy: {}", hex::encode(ticket)));
    }
    Ok(0)
}

fn apply(engine: &Engine, change: Change<'_>) -> Result<Changed, Failure> {
    let answers = engine.change(&[change], Durability::Synced)?;
    let answer = answers.into_iter().next();
    Ok(answer.ok_or_else(|| Failure::new("the engine did not answer the change"))??)
}

/// Applies a change to a stand-in of the object, in an engine in memory.
///
/// Only the index knows if the object has a start, and which. So a dry run does not check the start, and it returns no
/// bounds for a reschedule without one.
fn apply_dry(engine: &Engine, of: Which<'_>, change: Change<'_>) -> Result<Changed, Failure> {
    let object = find(engine, of)?;
    if let (Change::Release { .. }, Action::Hold(name)) = (change, &object.action) {
        return Err(Failure::new(format!("the legal hold {name:?} covers it; lift it first")));
    }
    let dry = dry_run::with_open_classes(engine)?;
    let start_ms = match change {
        Change::Start { .. } => None,
        _ => Some(engine.now_ms()),
    };
    let stand_in = Registration { start_ms, ..Registration::new(&object.class, &object.key) };
    let registered = dry.register(&[stand_in], Durability::Synced)?;
    dry_run::close_classes(&dry, engine)?;
    let of = Which::Id(registered.first().map_or(object.id, |registered| registered.id));
    let changed = match change {
        Change::Start { start_ms, .. } => apply(&dry, Change::Start { of, start_ms })?,
        Change::Release { .. } => apply(&dry, Change::Release { of })?,
        Change::Reschedule { class, start_ms, .. } => {
            apply(&dry, Change::Reschedule { of, class, start_ms })?
        }
    };
    let (floor_ms, ceiling_ms) = match change {
        Change::Start { .. } | Change::Reschedule { start_ms: Some(_), .. } => {
            (changed.floor_ms, changed.ceiling_ms)
        }
        Change::Reschedule { .. } => (NO_FLOOR, NO_CEILING),
        Change::Release { .. } => (object.floor_ms, object.ceiling_ms),
    };
    Ok(Changed { id: object.id, floor_ms, ceiling_ms, ticket: None })
}

/// Returns the object as the plan shows it.
fn find(engine: &Engine, of: Which<'_>) -> Result<PlannedObject, Failure> {
    let id: RegistrationId = match of {
        Which::Id(id) => id,
        Which::Key(key) => {
            engine.find(key)?.ok_or_else(|| Failure::new("no live registration has this key"))?
        }
    };
    for object in engine.plan(i64::MAX)? {
        let object = object?;
        if object.id == id {
            return Ok(object);
        }
    }
    Err(Failure::new(format!(
        "registration {id} is not live under this id: it ended, moved, or is on its way to deletion"
    )))
}
