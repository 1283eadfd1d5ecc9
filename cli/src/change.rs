//! `sexton start`, `reschedule` and `release`: what is said of a registered object.

use crate::args::{Change, Object, ReleaseArgs, RescheduleArgs, StartArgs};
use crate::output::{Failure, Output};
use crate::{folder, rehearsal, show, value};
use serde_json::json;
use sexton::{
    Action, Change as Said, Changed, Durability, Engine, Forecast, Registration, RegistrationId, Which, json,
};
use sexton_proof::id::{NO_CEILING, NO_FLOOR};
use std::ops::ControlFlow;

pub(crate) fn start(args: &StartArgs, output: &mut Output) -> Result<u8, Failure> {
    let key = key(&args.object)?;
    let of = which(&args.object, &key);
    say(&args.change, of, Said::Start { of, start_ms: args.at }, "started", output)
}

pub(crate) fn reschedule(args: &RescheduleArgs, output: &mut Output) -> Result<u8, Failure> {
    let key = key(&args.object)?;
    let of = which(&args.object, &key);
    let said = Said::Reschedule { of, class: args.class.as_deref(), start_ms: args.start };
    say(&args.change, of, said, "rescheduled", output)
}

pub(crate) fn release(args: &ReleaseArgs, output: &mut Output) -> Result<u8, Failure> {
    let key = key(&args.object)?;
    let of = which(&args.object, &key);
    say(&args.change, of, Said::Release { of }, "released", output)
}

fn key(object: &Object) -> Result<Vec<u8>, Failure> {
    value::bytes(object.which.key.as_deref().unwrap_or_default(), object.hex)
}

fn which<'a>(object: &Object, key: &'a [u8]) -> Which<'a> {
    object.which.id.map_or(Which::Key(key), Which::Id)
}

fn say(
    change: &Change,
    of: Which<'_>,
    said: Said<'_>,
    done: &str,
    output: &mut Output,
) -> Result<u8, Failure> {
    let engine = folder::to_change(change)?;
    let changed = if change.dry_run { rehearse(&engine, of, said)? } else { tell(&engine, said)? };
    if change.data.json {
        output.json(&json!({
            "dry_run": change.dry_run,
            "id": changed.id.to_string(),
            "floor_ms": json::bound(changed.floor_ms),
            "ceiling_ms": json::bound(changed.ceiling_ms),
            "ticket_hex": changed.ticket.map(hex::encode),
        }));
        return Ok(0);
    }
    let would = if change.dry_run { "would be " } else { "" };
    output.line(format_args!("{would}{done}: registration {}", changed.id));
    if change.dry_run && matches!(said, Said::Reschedule { start_ms: None, .. }) {
        output.line("  its bounds would be what the class makes of the start that it has");
    } else if !matches!(said, Said::Release { .. }) {
        output.line(format_args!("  {}", show::bounds(changed.floor_ms, changed.ceiling_ms)));
    }
    if let Some(ticket) = changed.ticket {
        output.line(format_args!("  its new ticket, which nobody else keeps: {}", hex::encode(ticket)));
    }
    Ok(0)
}

fn tell(engine: &Engine, said: Said<'_>) -> Result<Changed, Failure> {
    let answers = engine.change(&[said], Durability::Synced)?;
    let answer = answers.into_iter().next();
    Ok(answer.ok_or_else(|| Failure::new("the change was left without an answer"))??)
}

/// What a change would make of the object: the change is made to its like in an engine in memory. What the index alone
/// knows, whether its start is known and which it is, is not checked; without a start the new bounds are not known.
fn rehearse(engine: &Engine, of: Which<'_>, said: Said<'_>) -> Result<Changed, Failure> {
    let object = find(engine, of)?;
    if let (Said::Release { .. }, Action::Hold(name)) = (said, &object.action) {
        return Err(Failure::new(format!("the legal hold {name:?} covers it; lift it first")));
    }
    let rehearsal = rehearsal::open(engine)?;
    let start_ms = match said {
        Said::Start { .. } => None,
        _ => Some(engine.now_ms()),
    };
    let like = Registration { start_ms, ..Registration::new(&object.class, &object.key) };
    let registered = rehearsal.register(&[like], Durability::Synced)?;
    rehearsal::close(&rehearsal, engine)?;
    let of = Which::Id(registered.first().map_or(object.id, |one| one.id));
    let changed = match said {
        Said::Start { start_ms, .. } => tell(&rehearsal, Said::Start { of, start_ms })?,
        Said::Release { .. } => tell(&rehearsal, Said::Release { of })?,
        Said::Reschedule { class, start_ms, .. } => {
            tell(&rehearsal, Said::Reschedule { of, class, start_ms })?
        }
    };
    let (floor_ms, ceiling_ms) = match said {
        Said::Start { .. } | Said::Reschedule { start_ms: Some(_), .. } => {
            (changed.floor_ms, changed.ceiling_ms)
        }
        Said::Reschedule { .. } => (NO_FLOOR, NO_CEILING),
        Said::Release { .. } => (object.floor_ms, object.ceiling_ms),
    };
    Ok(Changed { id: object.id, floor_ms, ceiling_ms, ticket: None })
}

/// The object, as the plan shows it.
fn find(engine: &Engine, of: Which<'_>) -> Result<Forecast, Failure> {
    let id: RegistrationId = match of {
        Which::Id(id) => id,
        Which::Key(key) => {
            engine.find(key)?.ok_or_else(|| Failure::new("no live registration has this key"))?
        }
    };
    let mut found = None;
    engine.plan(i64::MAX, &mut |forecast| {
        if forecast.id != id {
            return ControlFlow::Continue(());
        }
        found = Some(forecast);
        ControlFlow::Break(())
    })?;
    found.ok_or_else(|| {
        Failure::new(format!("registration {id} does not live, has another id by now, or is on its way out"))
    })
}
