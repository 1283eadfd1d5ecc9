//! Requests as they are shown: erasures, closing down, applied classes, lifted holds.

use crate::args::Change;
use crate::output::Output;
use crate::show;
use serde_json::Value;
use sexton::{Request, RequestKind, json};

/// Says that a request was taken, or would be.
pub(crate) fn taken(request: &Request, what: &str, change: &Change, output: &mut Output) {
    if change.data.json {
        let mut told = json::request(request);
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

/// What of its times matters.
fn times(request: &Request) -> Vec<String> {
    let mut lines = Vec::new();
    if request.is_immediate() {
        lines.push("at once: it cannot be cancelled, and goes at the next enforcement".into());
        return lines;
    }
    if request.ready_ms > request.received_ms {
        lines.push(format!("it can be cancelled until {}", show::instant(request.ready_ms)));
    }
    lines.extend(request.due_ms.map(|due| format!("it is to be answered by {}", show::instant(due))));
    lines
}

/// What is asked for, for people.
pub(crate) fn kind(request: &Request) -> &'static str {
    match request.kind {
        RequestKind::Erase => "erasure of",
        RequestKind::Close => "closing down of",
        RequestKind::Apply { .. } => "new terms for",
        RequestKind::Lift { .. } => "lifted hold on",
    }
}
