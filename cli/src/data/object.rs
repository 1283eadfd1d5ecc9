//! `sexton object`: changes to one registered object.

use super::args::{KeyOrId, MutatingArgs, ObjectArgs, help};
use super::format::bounds;
use super::{dry_run, open, parse};
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use sexton::report::{Action, PlannedObject};
use sexton::{Change, Changed, Durability, Engine, Registration, Which};
use sexton_proof::time::Timestamp;

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
    /// Put an object under the window of another class, or count it from another start. Its bounds always follow from a
    /// class and a start, so that every verifier can check them.
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
    at: Timestamp,
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
    start: Option<Timestamp>,
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

/// Change to an object that is named apart from it.
#[derive(Clone, Copy)]
enum Edit<'a> {
    Start(Timestamp),
    Reschedule { class: Option<&'a str>, start: Option<Timestamp> },
    Release,
}

impl<'a> Edit<'a> {
    /// Returns the change to this object.
    fn to(self, of: Which<'a>) -> Change<'a> {
        match self {
            Edit::Start(start) => Change::Start { of, start },
            Edit::Reschedule { class, start } => Change::Reschedule { of, class, start },
            Edit::Release => Change::Release { of },
        }
    }
}

pub(super) fn run(command: &ObjectCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        ObjectCommand::Start(args) => run_edit(&args.common, &args.object, Edit::Start(args.at), output),
        ObjectCommand::Reschedule(args) => {
            let edit = Edit::Reschedule { class: args.class.as_deref(), start: args.start };
            run_edit(&args.common, &args.object, edit, output)
        }
        ObjectCommand::Release(args) => run_edit(&args.common, &args.object, Edit::Release, output),
    }
}

fn run_edit(
    args: &MutatingArgs,
    object: &ObjectArgs,
    edit: Edit<'_>,
    output: &mut Output,
) -> Result<u8, Failure> {
    let key = parse::bytes(object.by.key.as_deref().unwrap_or_default(), object.hex)?;
    let engine = open::for_change(args)?;
    let changed = if args.dry_run {
        apply_dry(&engine, &find(&engine, &object.by, &key)?, edit)?
    } else {
        apply(&engine, edit.to(object.by.id.map_or(Which::Key(&key), Which::Id)))?
    };
    if args.data.json {
        output.json(&json!({
            "dry_run": args.dry_run,
            "id": changed.id.to_string(),
            "floor_ms": changed.floor.map(Timestamp::unix_ms),
            "ceiling_ms": changed.ceiling.map(Timestamp::unix_ms),
            "ticket_hex": changed.ticket.map(hex::encode),
        }));
        return Ok(0);
    }
    let done = match edit {
        Edit::Start(_) => "started",
        Edit::Reschedule { .. } => "rescheduled",
        Edit::Release => "released",
    };
    let would = if args.dry_run { "would be " } else { "" };
    output.line(format_args!("{would}{done}: registration {}", changed.id));
    if args.dry_run && matches!(edit, Edit::Reschedule { start: None, .. }) {
        output.line("  its bounds would follow from the class and its present start");
    } else if !matches!(edit, Edit::Release) {
        output.line(format_args!("  {}", bounds(changed.floor, changed.ceiling)));
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
fn apply_dry(engine: &Engine, object: &PlannedObject, edit: Edit<'_>) -> Result<Changed, Failure> {
    if let (Edit::Release, Action::Hold(name)) = (edit, &object.action) {
        return Err(Failure::new(format!("the legal hold {:?} covers it; lift it first", name.as_str())));
    }
    let dry = dry_run::with_open_classes(engine)?;
    let start = match edit {
        Edit::Start(_) => None,
        _ => Some(engine.now()),
    };
    let stand_in = Registration::new(&object.class, &object.key).start(start);
    let registered = dry.register(&[stand_in], Durability::Synced)?;
    dry_run::close_classes(&dry, engine)?;
    let id = registered.first().map_or(object.id, |registered| registered.id);
    let mut changed = apply(&dry, edit.to(Which::Id(id)))?;
    (changed.floor, changed.ceiling) = match edit {
        Edit::Start(_) | Edit::Reschedule { start: Some(_), .. } => (changed.floor, changed.ceiling),
        Edit::Reschedule { start: None, .. } => (None, None),
        Edit::Release => (object.floor, object.ceiling),
    };
    (changed.id, changed.ticket) = (object.id, None);
    Ok(changed)
}

/// Returns the object as the plan shows it.
fn find(engine: &Engine, by: &KeyOrId, key: &[u8]) -> Result<PlannedObject, Failure> {
    let id = match by.id {
        Some(id) => id,
        None => engine.find(key)?.ok_or_else(|| Failure::new("no live registration has this key"))?,
    };
    for object in engine.plan(Timestamp::MAX)? {
        let object = object?;
        if object.id == id {
            return Ok(object);
        }
    }
    Err(Failure::new(format!(
        "registration {id} is not live under this id: it ended, moved, or is on its way to deletion"
    )))
}
