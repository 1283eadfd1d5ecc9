//! `sexton status`: state of the engine, and what needs an operator.

use super::args::{DataArgs, help};
use super::{alarm, open};
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton::{Status, json};

const FINE: u8 = 0;
const NEEDS_OPERATOR: u8 = 1;

/// Arguments of `sexton status`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton status /var/lib/sexton",
    "an operator is needed: an alarm stands, an object is overdue that no\n     \
     legal hold keeps, the log is forked, the engine is poisoned or paused,\n     \
     the log could not be published, an erasure was to be answered by now, or\n     \
     a hold to be reviewed"
))]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    data: DataArgs,
}

pub(super) fn run(args: &StatusArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::data(&args.data.folder)?;
    let status = engine.status()?;
    let needs = engine.needs(&status)?;
    if args.data.json {
        output.json(&json::status(&status, &needs));
    } else {
        print(&status, &needs, output);
    }
    Ok(code(&needs))
}

/// Returns the exit code for the conditions that need an operator.
pub(super) fn code(needs: &[String]) -> u8 {
    if needs.is_empty() { FINE } else { NEEDS_OPERATOR }
}

fn print(status: &Status, needs: &[String], output: &mut Output) {
    let (state, _) = status.state.word_and_reason();
    output.line(format_args!("{} as of {}: {state}", status.origin, status.as_of));
    for need in needs {
        output.line(output.bad(need));
    }
    // Their messages stand above.
    status.alarms.iter().for_each(|alarm| alarm::print_head(alarm, output));
    if let (word @ ("behind" | "ahead"), by) = json::clock(status.clock) {
        output.line(format_args!("the clock is {word} by {}", format::length(by)));
    }
    output.line(format_args!(
        "{} log entries, {} published; standing legal holds: {}",
        format::count(status.log_size),
        format::count(status.published_size),
        format::count(status.holds)
    ));
    if let Some(erasure) = &status.oldest_erasure {
        let answer_by = erasure.answer_by.map(|answer_by| format!(", to be answered by {answer_by}"));
        output.line(format_args!(
            "the oldest open erasure is number {}, received {}{}",
            erasure.number,
            erasure.received,
            answer_by.unwrap_or_default()
        ));
    }
    for (name, class) in &status.classes {
        let closed = if class.closed { ", closed down" } else { "" };
        output.line(format_args!("{}{closed}", output.strong(name)));
        let counts: Vec<String> = json::counts(class)
            .into_iter()
            .filter(|(name, n)| *n > 0 || ["registered", "live"].contains(name))
            .map(|(name, n)| {
                let shown = format!("{} {}", format::count(n), name.replace('_', " "));
                let is_bad = ["overdue", "early", "late"].contains(&name);
                if is_bad { output.bad(shown) } else { shown }
            })
            .collect();
        output.line(format_args!("  {}", counts.join(", ")));
        if let Some(oldest) = class.oldest_overdue {
            output.line(format_args!("  the oldest overdue ceiling was {oldest}"));
        }
    }
}
