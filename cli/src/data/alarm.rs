//! `sexton alarm`: alarms, which stop deletion until the operator resumes it.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::open;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use serde_json::{Value, json};
use sexton::decision::{Alarm, AlarmId};
use sexton::json;

/// Subcommands of `sexton alarm`.
#[derive(Debug, Subcommand)]
pub(crate) enum AlarmCommand {
    /// Show the standing alarms
    List(ListArgs),
    /// End an alarm that the operator has examined
    ///
    /// End an alarm that the operator has examined, so that deletion continues. An alarm of the clock accepts the clock
    /// as it stands now. An alarm of the breaker accepts the objects that fell due at short notice. Without an id, the
    /// only standing alarm is ended.
    Resume(ResumeArgs),
}

/// Arguments of `sexton alarm list`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!("sexton alarm list /var/lib/sexton"))]
pub(crate) struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
}

/// Arguments of `sexton alarm resume`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton alarm resume /var/lib/sexton 3f \\\n    --reason 'import of old files' --author 'Ada Lovelace'",
    in steps
))]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// First digits of the alarm's id
    #[arg(value_name = "ALARM")]
    alarm: Option<String>,
    /// End every standing alarm
    #[arg(long, conflicts_with = "alarm")]
    all: bool,
    #[command(flatten)]
    decision: DecisionArgs,
}

pub(super) fn run(command: &AlarmCommand, output: &mut Output) -> Result<u8, Failure> {
    match command {
        AlarmCommand::List(args) => list(args, output),
        AlarmCommand::Resume(args) => resume(args, output),
    }
}

fn list(args: &ListArgs, output: &mut Output) -> Result<u8, Failure> {
    let alarms = open::data(&args.data.folder)?.status()?.alarms;
    if args.data.json {
        output.json(&Value::Array(alarms.iter().map(json::alarm).collect()));
        return Ok(0);
    }
    print(&alarms, output);
    if alarms.is_empty() {
        output.line("no alarm stands");
    }
    Ok(0)
}

/// Prints each alarm with its message.
pub(super) fn print(alarms: &[Alarm], output: &mut Output) {
    for alarm in alarms {
        print_head(alarm, output);
        output.line(format_args!("  {}", alarm.message));
    }
}

/// Prints id, instant and cause of an alarm.
pub(super) fn print_head(alarm: &Alarm, output: &mut Output) {
    output.line(format_args!(
        "{} {} since {}, {}",
        output.bad("alarm"),
        alarm.id,
        alarm.raised,
        json::cause(&alarm.cause)
    ));
}

fn resume(args: &ResumeArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let standing = engine.status()?.alarms;
    let chosen =
        if args.all { standing } else { vec![choose(standing, |alarm| alarm.id, args.alarm.as_deref())?] };
    let is_dry = args.common.dry_run;
    for alarm in chosen.iter().filter(|_| !is_dry) {
        engine.resume(alarm.id, args.decision.attribution())?;
    }
    if args.common.data.json {
        let values: Vec<Value> = chosen.iter().map(json::alarm).collect();
        output.json(&json!({ "dry_run": is_dry, "resumed": values }));
        return Ok(0);
    }
    let done = if is_dry { "would be ended" } else { "is ended" };
    for alarm in &chosen {
        output.line(format_args!("alarm {} ({}) {done}", alarm.id, json::cause(&alarm.cause)));
    }
    if chosen.is_empty() {
        output.line("no alarm stands");
    }
    Ok(0)
}

/// Returns the alarm whose id begins with `prefix`, or the only standing alarm if there is no prefix.
fn choose<T>(standing: Vec<T>, id: fn(&T) -> AlarmId, prefix: Option<&str>) -> Result<T, Failure> {
    let matches = |alarm: &T| prefix.is_none_or(|prefix| id(alarm).to_string().starts_with(prefix));
    let mut found: Vec<T> = standing.into_iter().filter(matches).collect();
    match (found.pop(), found.len(), prefix) {
        (Some(alarm), 0, _) => Ok(alarm),
        (Some(_), more, _) => Err(Failure::new(format!(
            "{} alarms match; give more digits of an id (`sexton alarm list` shows them), or --all",
            more + 1
        ))),
        (None, _, Some(prefix)) => {
            Err(Failure::new(format!("no alarm stands whose id begins with {prefix:?}")))
        }
        (None, _, None) => Err(Failure::new("no alarm stands")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> AlarmId {
        let mut id = [0x11; 16];
        id[0] = first;
        AlarmId::from_bytes(id)
    }

    #[test]
    fn choose_by_prefix_needs_a_unique_match() {
        let all = || vec![id(0x3f), id(0x3e), id(0xa0)];
        let choose = |standing: Vec<AlarmId>, prefix| choose(standing, |id| *id, prefix);
        assert_eq!(choose(all(), Some("3f")).unwrap(), id(0x3f));
        assert_eq!(choose(all(), Some("a")).unwrap(), id(0xa0));
        for (standing, prefix) in [(all(), Some("3")), (all(), Some("b")), (all(), None), (vec![], None)] {
            assert!(choose(standing, prefix).is_err(), "{prefix:?}");
        }
        assert_eq!(choose(vec![id(1)], None).unwrap(), id(1));
    }
}
