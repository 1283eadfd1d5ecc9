//! `sexton alarm`: alarms, which stop deletion until the operator resumes it.

use super::args::{DataArgs, DecisionArgs, MutatingArgs, help};
use super::host::Host;
use crate::output::{Failure, Output};
use clap::{Args as ClapArgs, Subcommand};
use sexton_proof::time::Timestamp;
use sexton_service::api::{Alarm, AlarmList, ListAlarms, ResumeAlarm, ResumedAlarms};

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
    let listed = Host::of(&args.data)?.call(ListAlarms {})?;
    if args.data.json {
        output.json(&listed.into_json()["alarms"]);
        return Ok(0);
    }
    let AlarmList { alarms } = listed.answer();
    print(alarms, output);
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
        Timestamp::from_unix_ms(alarm.raised_ms),
        alarm.cause
    ));
}

fn resume(args: &ResumeArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = ResumeAlarm {
        alarm: args.alarm.clone(),
        all: args.all,
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let ended = Host::of(&args.common.data)?.call(request)?;
    if args.common.data.json {
        output.json(&ended.into_json());
        return Ok(0);
    }
    let ResumedAlarms { resumed, dry_run } = ended.answer();
    let done = if *dry_run { "would be ended" } else { "is ended" };
    for alarm in resumed {
        output.line(format_args!("alarm {} ({}) {done}", alarm.id, alarm.cause));
    }
    if resumed.is_empty() {
        output.line("no alarm stands");
    }
    Ok(0)
}
