//! `sexton status`: what the engine is doing, and whether a person is needed.

use crate::args::StatusArgs;
use crate::output::{Failure, Output};
use crate::{alarms, folder, show};
use sexton::{Status, json};

const FINE: u8 = 0;
const NEEDS_A_PERSON: u8 = 1;

pub(crate) fn run(args: &StatusArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = folder::open(&args.data.folder)?;
    let status = engine.status()?;
    let needs = engine.needs(&status)?;
    if args.data.json {
        output.json(&json::status(&status, &needs));
    } else {
        text(&status, &needs, output);
    }
    Ok(code(&needs))
}

/// The exit code for what needs a person.
pub(crate) fn code(needs: &[String]) -> u8 {
    if needs.is_empty() { FINE } else { NEEDS_A_PERSON }
}

fn text(status: &Status, needs: &[String], output: &mut Output) {
    let (state, _) = status.state.in_words();
    output.line(format_args!("{} as of {}: {state}", status.origin, show::instant(status.as_of_ms)));
    for need in needs {
        output.line(output.bad(need));
    }
    alarms::list(&status.alarms, output);
    if let (word @ ("behind" | "ahead"), by_ms) = json::clock(status.clock) {
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
        let counts: Vec<String> = json::counts(class)
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
