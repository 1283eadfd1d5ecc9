//! `sexton limits`: limits of the guards that stop deletion.

use super::args::{MutatingArgs, help};
use super::format::span;
use super::host::Host;
use super::parse;
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_service::api::{Decision, GetLimits, LimitsInForce, SetLimits};
use std::time::Duration;

/// Arguments of `sexton limits`.
#[derive(Debug, ClapArgs)]
#[command(
    group = clap::ArgGroup::new("change")
        .args(["breaker_objects", "breaker_share", "clock_step", "time_off", "reset"])
        .multiple(true)
        .requires_all(["reason", "author"]),
    after_long_help = help!(
        "sexton limits /var/lib/sexton --breaker-objects 200000 \\\n    \
         --reason 'import of the archive' --author 'Ada Lovelace'"
    )
)]
pub(crate) struct LimitsArgs {
    #[command(flatten)]
    common: MutatingArgs,
    /// Objects of a class that may fall due at short notice within a slot or an hour; the larger breaker limit counts
    #[arg(long, value_name = "N")]
    breaker_objects: Option<u64>,
    /// Share of the live objects of a class that may, in percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    breaker_share: Option<u8>,
    /// Largest step of the wall clock while the engine is open: s, m, h, d or w
    #[arg(long, value_name = "SPAN", value_parser = parse::exact)]
    clock_step: Option<Duration>,
    /// Longest time between two openings if the clock is not NTP-synchronised: s, m, h, d or w
    #[arg(long, value_name = "SPAN", value_parser = parse::exact)]
    time_off: Option<Duration>,
    /// Restore the defaults, except for limits that are given
    #[arg(long)]
    reset: bool,
    /// Reason, for later readers
    #[arg(long, value_name = "TEXT", value_parser = parse::short_text, requires = "change")]
    reason: Option<String>,
    /// Person who decides
    #[arg(long, value_name = "NAME", value_parser = parse::short_text, requires = "change")]
    author: Option<String>,
}

impl LimitsArgs {
    /// Returns the request to set limits; `None` if none is to be set.
    fn request(&self) -> Option<SetLimits> {
        let (reason, author) = self.reason.as_ref().zip(self.author.as_ref())?;
        Some(SetLimits {
            clock_step_max_ms: self.clock_step.map(whole_ms),
            clock_time_off_max_ms: self.time_off.map(whole_ms),
            breaker_objects: self.breaker_objects,
            breaker_share_percent: self.breaker_share,
            reset: self.reset,
            decision: Decision { author: author.clone(), reason: reason.clone() },
            dry_run: self.common.dry_run,
        })
    }
}

pub(super) fn run(args: &LimitsArgs, output: &mut Output) -> Result<u8, Failure> {
    let host = Host::of(&args.common.data)?;
    let (value, limits) = match args.request() {
        Some(set) => host.call(set)?.into_parts(),
        None => host.call(GetLimits {})?.into_parts(),
    };
    if args.common.data.json {
        let mut value = value;
        value["dry_run"] = args.common.dry_run.into();
        output.json(&value);
    } else {
        print(&limits, output);
    }
    Ok(0)
}

fn print(limits: &LimitsInForce, output: &mut Output) {
    let LimitsInForce { limits, set, .. } = limits;
    let mut line = |name: &str, value: String, what: &str| {
        output.line(format_args!("{name:<16}  {value:>8}  {what}"));
    };
    let length = |ms| span(Duration::from_millis(ms));
    line("breaker objects", format::count(limits.breaker_objects), "at short notice pass in each class");
    line(
        "breaker share",
        format!("{} %", limits.breaker_share_percent),
        "of a class passes, if that is more",
    );
    let (step, off) = (length(limits.clock_step_max_ms), length(limits.clock_time_off_max_ms));
    line("clock step", step, "is the largest step of the clock that is trusted");
    line("time off", off, "may pass between two openings without NTP");
    match set {
        None => output.line("no limit was set"),
        Some(set) => {
            let at = Timestamp::from_unix_ms(set.at_ms);
            output.line(format_args!("last set {at} by {}: {}", set.author, set.reason));
        }
    }
}
