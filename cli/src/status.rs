//! `sexton status`: what the engine is doing, and whether a person is needed.

use crate::args::StatusArgs;
use crate::check::state_text;
use crate::output::{Failure, Output};
use crate::{alarms, folder, show};
use serde_json::{Map, Value, json};
use sexton::{Action, Alarm, ClassStatus, ClockState, Engine, State, Status};
use std::ops::ControlFlow;

const FINE: u8 = 0;
const NEEDS_A_PERSON: u8 = 1;

pub(crate) fn run(args: &StatusArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let status = engine.status()?;
    let needs = needs(&engine, &status)?;
    if args.data.json {
        output.json(&json_of(&status, &needs));
    } else {
        text(&status, &needs, output);
    }
    Ok(code(&needs))
}

/// The exit code for what needs a person.
pub(crate) fn code(needs: &[String]) -> u8 {
    if needs.is_empty() { FINE } else { NEEDS_A_PERSON }
}

/// What needs a person, in a sentence each.
pub(crate) fn needs(engine: &Engine, status: &Status) -> Result<Vec<String>, Failure> {
    let mut needs = Vec::new();
    if let (name, Some(why)) = state_text(&status.state) {
        needs.push(format!("{name}: {why}"));
    }
    // A pause says the sentence of its alarm.
    let is_said = |alarm: &Alarm| matches!(&status.state, State::Paused(why) if *why == alarm.sentence);
    let others = status.alarms.iter().filter(|alarm| !is_said(alarm));
    needs.extend(others.map(|alarm| format!("alarm: {}", alarm.sentence)));
    let overdue: u64 = status.classes.values().map(|class| class.overdue).sum();
    if overdue > 0 && is_late(engine, status)? {
        needs.push(format!("overdue: {} are past their ceiling", show::count(overdue)));
    }
    needs.extend(status.publish_error.iter().map(|why| format!("not published: {why}")));
    Ok(needs)
}

/// Whether something is overdue that no legal hold keeps: what is held may be past its ceiling.
fn is_late(engine: &Engine, status: &Status) -> Result<bool, Failure> {
    if status.classes.values().any(|class| class.overdue > class.held) {
        return Ok(true);
    }
    // Only then all that lives has to be looked at.
    let mut is_late = false;
    engine.plan(i64::MAX, &mut |forecast| {
        let is_held = matches!(forecast.action, Action::Hold(_) | Action::EndReplaced | Action::EndReleased);
        is_late |= forecast.ceiling_ms < status.as_of_ms && !is_held;
        if is_late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(is_late)
}

fn clock_text(clock: ClockState) -> (&'static str, i64) {
    match clock {
        ClockState::Agrees => ("agrees", 0),
        ClockState::Behind { by_ms } => ("behind", by_ms),
        ClockState::Ahead { by_ms } => ("ahead", by_ms),
    }
}

fn text(status: &Status, needs: &[String], output: &mut Output) {
    let (state, _) = state_text(&status.state);
    output.line(format_args!("{} as of {}: {state}", status.origin, show::instant(status.as_of_ms)));
    for need in needs {
        output.line(output.bad(need));
    }
    alarms::list(&status.alarms, output);
    if let (word @ ("behind" | "ahead"), by_ms) = clock_text(status.clock) {
        output.line(format_args!("the clock is {word} by {}", show::length(by_ms.unsigned_abs())));
    }
    output.line(format_args!(
        "{} log entries, {} published; legal holds that stand: {}",
        show::count(status.log_size),
        show::count(status.published_size),
        show::count(status.holds)
    ));
    if let Some(erasure) = &status.oldest_erasure {
        let due = erasure.due_ms.map(|due| format!(", to be answered by {}", show::instant(due)));
        output.line(format_args!(
            "the oldest open erasure is number {}, received {}{}",
            erasure.number,
            show::instant(erasure.received_ms),
            due.unwrap_or_default()
        ));
    }
    for (name, class) in &status.classes {
        let closed = if class.closed { ", closed down" } else { "" };
        output.line(format_args!("{}{closed}", output.strong(name)));
        let counts: Vec<String> = counts(class)
            .into_iter()
            .filter(|(name, n)| *n > 0 || ["registered", "live"].contains(name))
            .map(|(name, n)| {
                let shown = format!("{} {}", show::count(n), name.replace('_', " "));
                let is_bad = ["overdue", "early", "late"].contains(&name);
                if is_bad { output.bad(shown) } else { shown }
            })
            .collect();
        output.line(format_args!("  {}", counts.join(", ")));
        if let Some(oldest) = class.oldest_overdue_ms {
            output.line(format_args!("  the longest overdue had to go by {}", show::instant(oldest)));
        }
    }
}

/// The counts of a class by their names.
pub(crate) fn counts(class: &ClassStatus) -> [(&'static str, u64); 15] {
    let ended = &class.ended;
    [
        ("registered", class.registered),
        ("registered_bytes", class.registered_bytes),
        ("live", class.live),
        ("held", class.held),
        ("due", class.due),
        ("overdue", class.overdue),
        ("deleted", ended.deleted),
        ("absent", ended.absent.saturating_add(ended.absent_after_intent)),
        ("anonymised", ended.anonymised),
        ("released", ended.released),
        ("replaced", ended.replaced),
        ("early", ended.early),
        ("late", ended.late),
        ("late_after_hold", ended.late_after_hold),
        ("deleted_bytes", ended.deleted_bytes),
    ]
}

fn json_of(status: &Status, needs: &[String]) -> Value {
    let (state, why) = state_text(&status.state);
    let (clock, off_ms) = clock_text(status.clock);
    let classes: Map<String, Value> = status
        .classes
        .iter()
        .map(|(name, class)| {
            let counts = counts(class).into_iter().map(|(name, n)| (name.to_owned(), n.into()));
            let mut told: Map<String, Value> = counts.collect();
            told.insert("closed".into(), class.closed.into());
            told.insert("oldest_overdue_ms".into(), class.oldest_overdue_ms.into());
            (name.clone(), told.into())
        })
        .collect();
    let erasure = status
        .oldest_erasure
        .as_ref()
        .map(|one| json!({ "number": one.number, "received_ms": one.received_ms, "due_ms": one.due_ms }));
    json!({
        "needs": needs,
        "state": state,
        "why": why,
        "origin": status.origin,
        "as_of_ms": status.as_of_ms,
        "clock": clock,
        "clock_off_ms": off_ms,
        "alarms": status.alarms.iter().map(alarms::json_of).collect::<Vec<_>>(),
        "log_entries": status.log_size,
        "log_published": status.published_size,
        "publish_error": status.publish_error,
        "holds": status.holds,
        "oldest_erasure": erasure,
        "classes": classes,
    })
}
