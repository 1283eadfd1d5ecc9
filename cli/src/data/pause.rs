//! `sexton pause`: stops all deletion for a time.

use super::args::{DecisionArgs, MutatingArgs, help};
use super::host::Host;
use super::parse;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::time::whole_ms;
use sexton_service::api::{Pause, Paused};
use std::time::Duration;

/// Arguments of `sexton pause`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = help!(
    "sexton pause /var/lib/sexton --for 1h \\\n    --reason 'the disk is moved' --author 'Ada Lovelace'"
))]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Length of the pause: s, m, h, d or w, at most 30d
    #[arg(long = "for", value_name = "SPAN", value_parser = parse::exact)]
    length: Duration,
    #[command(flatten)]
    decision: DecisionArgs,
}

pub(super) fn run(args: &PauseArgs, output: &mut Output) -> Result<u8, Failure> {
    let request = Pause {
        for_ms: whole_ms(args.length),
        decision: args.decision.decision(),
        dry_run: args.common.dry_run,
    };
    let paused = Host::of(&args.common.data)?.call(request)?;
    if args.common.data.json {
        output.json(&paused.into_json());
        return Ok(0);
    }
    let Paused { alarm, dry_run } = paused.answer();
    output.line(&alarm.message);
    if !dry_run {
        output.line(format_args!("`sexton alarm resume` with {} ends the pause early", alarm.id));
    }
    Ok(0)
}
