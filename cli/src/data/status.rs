//! `sexton status`: state of the engine, and what needs an operator.

use super::alarm;
use super::args::{DataArgs, help};
use super::host::Host;
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::time::Timestamp;
use sexton_service::api::{GetStatus, Status};
use std::time::Duration;

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
    let status = Host::of(&args.data)?.call(GetStatus {})?;
    let code = if status.answer().needs.is_empty() { FINE } else { NEEDS_OPERATOR };
    if args.data.json {
        output.json(&status.into_json());
    } else {
        print(status.answer(), output);
    }
    Ok(code)
}

fn print(status: &Status, output: &mut Output) {
    let instant = Timestamp::from_unix_ms;
    output.line(format_args!("{} as of {}: {}", status.origin, instant(status.as_of_ms), status.state));
    for need in &status.needs {
        output.line(output.bad(need));
    }
    // Their messages stand above.
    status.alarms.iter().for_each(|alarm| alarm::print_head(alarm, output));
    if let word @ ("behind" | "ahead") = &*status.clock {
        let by = Duration::from_millis(status.clock_off_ms);
        output.line(format_args!("the clock is {word} by {}", format::length(by)));
    }
    output.line(format_args!(
        "{} log entries, {} published; standing legal holds: {}",
        format::count(status.log_entries),
        format::count(status.log_published),
        format::count(status.holds)
    ));
    if let Some(erasure) = &status.oldest_erasure {
        let answer_by = erasure.answer_by_ms.map(|ms| format!(", to be answered by {}", instant(ms)));
        output.line(format_args!(
            "the oldest open erasure is number {}, received {}{}",
            erasure.number,
            instant(erasure.received_ms),
            answer_by.unwrap_or_default()
        ));
    }
    for failure in &status.failures {
        let at = instant(failure.at_ms);
        output.line(format_args!(
            "{} at {at}: {}: {}",
            output.bad(&failure.result),
            failure.key,
            failure.why
        ));
    }
    for (name, class) in &status.classes {
        let closed = if class.closed { ", closed down" } else { "" };
        output.line(format_args!("{}{closed}", output.strong(name)));
        let counts: Vec<String> = class
            .counts()
            .into_iter()
            .filter(|(name, n)| *n > 0 || ["registered", "live"].contains(name))
            .map(|(name, n)| {
                let shown = format!("{} {}", format::count(n), name.replace('_', " "));
                let is_bad = ["overdue", "early", "late"].contains(&name);
                if is_bad { output.bad(shown) } else { shown }
            })
            .collect();
        output.line(format_args!("  {}", counts.join(", ")));
        if let Some(oldest_ms) = class.oldest_overdue_ms {
            output.line(format_args!("  the oldest overdue ceiling was {}", instant(oldest_ms)));
        }
    }
}
