//! Limits of the guards that stop deletion.

use super::classes::Decided;
use super::{Access, Context, Decision, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sexton::limits::{GuardLimits, StoredLimits};
use sexton::{Result, json as engine_json};
use std::time::Duration;
use utoipa::ToSchema;

/// Request of `limits`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetLimits {}

/// Request of `limits_set`: limits from the next opening on. A limit that is left out stays.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetLimits {
    /// Largest step of the wall clock while the engine is open, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_step_max_ms: Option<u64>,
    /// Longest time between two openings if the clock is not NTP-synchronised, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_time_off_max_ms: Option<u64>,
    /// Objects of a class that may fall due at short notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker_objects: Option<u64>,
    /// Share of the live objects of a class that may, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    pub breaker_share_percent: Option<u8>,
    /// `true` to restore the defaults, except for limits that are given.
    #[serde(default)]
    pub reset: bool,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Limits at which clock guard and breaker stop deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Limits {
    /// Largest step of the wall clock that is trusted, milliseconds.
    pub clock_step_max_ms: u64,
    /// Longest time between two openings without NTP, milliseconds.
    pub clock_time_off_max_ms: u64,
    /// Objects of a class that may fall due at short notice.
    pub breaker_objects: u64,
    /// Share of the live objects of a class that may, percent.
    pub breaker_share_percent: u8,
}

/// Answer of `limits` and `limits_set`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LimitsInForce {
    /// Limits in effect, or from the next opening on if they were set now.
    #[serde(flatten)]
    pub limits: Limits,
    /// Decision that set them; `None` if none did.
    pub set: Option<Decided>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

impl SetLimits {
    /// Returns the limits that result from those in effect, or `None` if they are the defaults again.
    fn applied_to(&self, now: GuardLimits) -> Option<GuardLimits> {
        let span = Duration::from_millis;
        let mut limits = if self.reset { GuardLimits::default() } else { now };
        limits.breaker.objects = self.breaker_objects.unwrap_or(limits.breaker.objects);
        limits.breaker.share_percent = self.breaker_share_percent.unwrap_or(limits.breaker.share_percent);
        limits.clock.step_max = self.clock_step_max_ms.map_or(limits.clock.step_max, span);
        limits.clock.time_off_max = self.clock_time_off_max_ms.map_or(limits.clock.time_off_max, span);
        Some(limits).filter(|limits| *limits != GuardLimits::default())
    }

    fn is_empty(&self) -> bool {
        let spans = [self.clock_step_max_ms, self.clock_time_off_max_ms, self.breaker_objects];
        spans.iter().all(Option::is_none) && self.breaker_share_percent.is_none() && !self.reset
    }
}

impl Operation for GetLimits {
    type Answer = LimitsInForce;
    const NAME: &'static str = "limits";
    const PATH: &'static str = "/v1/limits";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Return the limits at which clock and breaker stop deletion";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        Ok(to_json(&context.engine.limits(), context.engine.stored_limits()?.as_ref(), false))
    }
}

impl Operation for SetLimits {
    type Answer = LimitsInForce;
    const NAME: &'static str = "limits_set";
    const PATH: &'static str = "/v1/limits/set";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Set the limits at which clock and breaker stop deletion";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        if self.is_empty() {
            return Err(invalid("no limit is given; give one, or reset"));
        }
        let new = self.applied_to(context.engine.limits());
        let target = dry_run::target(context.engine, self.dry_run)?;
        target.set_limits(new, self.decision.attribution(context))?;
        let stored = context.engine.stored_limits()?;
        Ok(to_json(&new.unwrap_or_default(), stored.as_ref(), self.dry_run))
    }
}

fn to_json(limits: &GuardLimits, stored: Option<&StoredLimits>, is_dry: bool) -> Value {
    let mut value = engine_json::limits(limits);
    value["set"] = stored.map(|stored| Decided::json(stored.set.unix_ms(), &stored.attribution)).into();
    value["dry_run"] = is_dry.into();
    value
}
