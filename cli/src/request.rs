//! Requests as they are shown: erasures, closing down, applied classes, lifted holds.

use crate::args::Change;
use crate::output::Output;
use crate::show;
use serde_json::{Value, json};
use sexton::{Request, RequestKind, RequestState, Span};
use sexton_proof::window::Unit;

/// Within what time an erasure that is to have effect at once is to be answered: the shortest span there is.
pub(crate) const AT_ONCE: Span = Span { count: 1, unit: Unit::Seconds };

/// Says that a request was taken, or would be.
pub(crate) fn taken(request: &Request, what: &str, change: &Change, output: &mut Output) {
    if change.data.json {
        let mut told = json_of(request);
        told["dry_run"] = change.dry_run.into();
        if change.dry_run {
            told["number"] = Value::Null;
        }
        output.json(&told);
        return;
    }
    match change.dry_run {
        true => output.line(format_args!("would {what}")),
        false => output.line(format_args!("request {} is taken: {what}", request.number)),
    }
    for line in times(request) {
        output.line(format_args!("  {line}"));
    }
}

/// Whether it is to have effect at once.
pub(crate) fn is_immediate(request: &Request) -> bool {
    let at_once_ms = request.received_ms.saturating_add(AT_ONCE.exact_ms().unwrap_or(0));
    request.kind == RequestKind::Erase
        && request.ready_ms == request.received_ms
        && request.due_ms.is_some_and(|due_ms| due_ms <= at_once_ms)
}

/// What of its times matters.
fn times(request: &Request) -> Vec<String> {
    let mut lines = Vec::new();
    if is_immediate(request) {
        lines.push("at once: it cannot be cancelled, and goes at the next enforcement".into());
        return lines;
    }
    if request.ready_ms > request.received_ms {
        lines.push(format!("it can be cancelled until {}", show::instant(request.ready_ms)));
    }
    lines.extend(request.due_ms.map(|due| format!("it is to be answered by {}", show::instant(due))));
    lines
}

/// As JSON.
pub(crate) fn json_of(request: &Request) -> Value {
    let (kind, _) = kind(request);
    json!({
        "number": request.number,
        "kind": kind,
        "of": request.selector.describe(),
        "selector": request.selector,
        "reason": request.reason,
        "author": request.author,
        "received_ms": request.received_ms,
        "cancellable_until_ms": Some(request.ready_ms).filter(|ready| *ready > request.received_ms),
        "due_ms": request.due_ms,
        "immediate": is_immediate(request),
        "state": state(request),
        "changed_ms": request.changed_ms,
        "objects": request.objects,
    })
}

/// What is asked for, as a word and for people.
pub(crate) fn kind(request: &Request) -> (&'static str, &'static str) {
    match request.kind {
        RequestKind::Erase => ("erase", "erasure of"),
        RequestKind::Close => ("close", "closing down of"),
        RequestKind::Apply { .. } => ("apply", "new terms for"),
        RequestKind::Lift { .. } => ("lift", "lifted hold on"),
    }
}

/// How far it has come, as a word.
pub(crate) fn state(request: &Request) -> &'static str {
    match request.state {
        RequestState::Waiting => "waiting",
        RequestState::Found => "found",
        RequestState::Finished => "finished",
        RequestState::Cancelled => "cancelled",
    }
}
