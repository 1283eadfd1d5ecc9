//! `sexton object`: changes to one registered object.

use super::args::{MutatingArgs, ObjectArgs, help};
use super::format::bounds;
use super::host::Host;
use super::parse;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton_proof::time::Timestamp;
use sexton_service::api::{ChangedObject, Operation, ReleaseObject, RescheduleObject, StartObject, Which};

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

pub(super) fn run(command: &ObjectCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        ObjectCommand::Start(StartArgs { common, object, at }) => {
            let start =
                StartObject { object: which(object)?, start_ms: at.unix_ms(), dry_run: common.dry_run };
            change(common, start, Told { done: "started", bounds: Bounds::Shown }, output)
        }
        ObjectCommand::Reschedule(RescheduleArgs { common, object, class, start }) => {
            let told = match start {
                None if common.dry_run => Bounds::OfPresentStart,
                _ => Bounds::Shown,
            };
            let reschedule = RescheduleObject {
                object: which(object)?,
                class: class.clone(),
                start_ms: start.map(Timestamp::unix_ms),
                dry_run: common.dry_run,
            };
            change(common, reschedule, Told { done: "rescheduled", bounds: told }, output)
        }
        ObjectCommand::Release(ReleaseArgs { common, object }) => {
            let release = ReleaseObject { object: which(object)?, dry_run: common.dry_run };
            change(common, release, Told { done: "released", bounds: Bounds::Hidden }, output)
        }
    }
}

/// Words about a change in the text output.
#[derive(Clone, Copy)]
struct Told {
    done: &'static str,
    bounds: Bounds,
}

/// Bounds of a changed object in the text output.
#[derive(Clone, Copy)]
enum Bounds {
    Shown,
    /// They follow from the present start, which a dry run does not know.
    OfPresentStart,
    Hidden,
}

fn which(object: &ObjectArgs) -> Result<Which, Failure> {
    if let Some(id) = object.by.id {
        return Ok(Which::id(id));
    }
    let key = parse::bytes(object.by.key.as_deref().unwrap_or_default(), object.hex)?;
    Ok(match &object.object_version {
        Some(version) => Which::version(&key, &parse::bytes(version, object.hex)?),
        None => Which::key(&key),
    })
}

fn change<O: Operation<Answer = ChangedObject>>(
    args: &MutatingArgs,
    request: O,
    told: Told,
    output: &mut Output,
) -> Result<u8, Failure> {
    let reply = Host::of(&args.data)?.call(request)?;
    if args.data.json {
        output.json(&reply.into_json());
        return Ok(0);
    }
    let changed = reply.answer();
    let would = if args.dry_run { "would be " } else { "" };
    output.line(format_args!("{would}{}: registration {}", told.done, changed.id));
    let instant = |ms: Option<i64>| ms.map(Timestamp::from_unix_ms);
    match told.bounds {
        Bounds::Shown => {
            let shown = bounds(instant(changed.floor_ms), instant(changed.ceiling_ms));
            output.line(format_args!("  {shown}"));
        }
        Bounds::OfPresentStart => {
            output.line("  its bounds would follow from the class and its present start");
        }
        Bounds::Hidden => {}
    }
    if let Some(ticket) = &changed.ticket_hex {
        output.line(format_args!("  its new ticket, of which there is no other copy: {ticket}"));
    }
    Ok(0)
}
