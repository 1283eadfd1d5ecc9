//! `sexton limits`: limits of the guards that stop deletion.

use super::args::{MutatingArgs, help};
use super::format::span;
use super::{dry_run, open, parse};
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use serde_json::json;
use sexton::limits::{GuardLimits, StoredLimits};
use sexton::{Attribution, json};
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
    /// Returns the limits that result from those in effect, or `None` if they are the defaults again.
    fn applied_to(&self, now: GuardLimits) -> Option<GuardLimits> {
        let mut limits = if self.reset { GuardLimits::default() } else { now };
        limits.breaker.objects = self.breaker_objects.unwrap_or(limits.breaker.objects);
        limits.breaker.share_percent = self.breaker_share.unwrap_or(limits.breaker.share_percent);
        limits.clock.step_max = self.clock_step.unwrap_or(limits.clock.step_max);
        limits.clock.time_off_max = self.time_off.unwrap_or(limits.clock.time_off_max);
        Some(limits).filter(|limits| *limits != GuardLimits::default())
    }
}

pub(super) fn run(args: &LimitsArgs, output: &mut Output) -> Result<u8, Failure> {
    let engine = open::for_change(&args.common)?;
    let is_dry = args.common.dry_run;
    let mut stored = engine.stored_limits()?;
    let mut limits = engine.limits();
    if let Some((reason, author)) = args.reason.as_ref().zip(args.author.as_ref()) {
        let new = args.applied_to(limits);
        let attribution = Attribution::new(author, reason);
        if is_dry {
            dry_run::of(&engine)?.set_limits(new, attribution)?;
        } else {
            engine.set_limits(new, attribution)?;
            stored = engine.stored_limits()?;
        }
        limits = new.unwrap_or_default();
    }
    if args.common.data.json {
        let mut value = json::limits(&limits);
        value["dry_run"] = is_dry.into();
        value["set"] = stored.as_ref().map(set_json).into();
        output.json(&value);
    } else {
        print(&limits, stored.as_ref(), output);
    }
    Ok(0)
}

fn set_json(stored: &StoredLimits) -> serde_json::Value {
    json!({
        "at_ms": stored.set.unix_ms(),
        "reason": stored.attribution.reason,
        "author": stored.attribution.author,
    })
}

fn print(limits: &GuardLimits, stored: Option<&StoredLimits>, output: &mut Output) {
    let mut line = |name: &str, value: String, what: &str| {
        output.line(format_args!("{name:<16}  {value:>8}  {what}"));
    };
    line("breaker objects", format::count(limits.breaker.objects), "at short notice pass in each class");
    line(
        "breaker share",
        format!("{} %", limits.breaker.share_percent),
        "of a class passes, if that is more",
    );
    line("clock step", span(limits.clock.step_max), "is the largest step of the clock that is trusted");
    line("time off", span(limits.clock.time_off_max), "may pass between two openings without NTP");
    match stored {
        None => output.line("no limit was set"),
        Some(stored) => {
            let by = &stored.attribution;
            output.line(format_args!("last set {} by {}: {}", stored.set, by.author, by.reason));
        }
    }
}
