//! Pauses: an operator stops all deletion for a stated time.

use super::{Access, Alarm, Context, Decision, Method, Operation, dry_run};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Result, json as engine_json};
use std::time::Duration;
use utoipa::ToSchema;

/// Request of `pause`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// Length of the pause, milliseconds: at most 30 days.
    pub for_ms: u64,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Answer of `pause`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Paused {
    /// Alarm that stops deletion until the pause is over, or an operator resumes it.
    pub alarm: Alarm,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

impl Operation for Pause {
    type Answer = Paused;
    const NAME: &'static str = "pause";
    const PATH: &'static str = "/v1/pause";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Stop all deletion for a time";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let target = dry_run::target(context.engine, self.dry_run)?;
        let length = Duration::from_millis(self.for_ms);
        let alarm = target.pause(length, &self.decision.attribution(context))?;
        Ok(json!({ "alarm": engine_json::alarm(&alarm), "dry_run": self.dry_run }))
    }
}
