//! Upkeep: the full check, publishing, and reclaiming space.

use super::{Access, Context, Method, Operation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::report::EngineState;
use sexton::{Engine, Result, json as engine_json};
use utoipa::ToSchema;

/// Request of `check`. It reads all stored data, and planning and committing wait meanwhile.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckData {}

/// Request of `reclaim`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reclaim {}

/// Request of `publish`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Publish {}

/// Answer of `check`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckReport {
    /// `true` if no problem was found, and the engine is neither forked nor poisoned.
    pub sound: bool,
    /// `running`, `paused`, `poisoned`, `forked` or `copy`.
    pub state: String,
    /// Cause of any state but `running`.
    pub why: Option<String>,
    /// Live pages.
    pub live_pages: u64,
    /// Live registrations.
    pub live_registrations: u64,
    /// Batches on record.
    pub batches: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Carries.
    pub carries: u64,
    /// Entries of the log.
    pub log_entries: u64,
    /// Problems found.
    pub problems_found: u64,
    /// First problems, one message each.
    pub problems: Vec<String>,
}

/// Answer of `reclaim` and `publish`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Instant at which it was done, Unix milliseconds.
    pub as_of_ms: i64,
}

impl Operation for CheckData {
    type Answer = CheckReport;
    const NAME: &'static str = "check";
    const PATH: &'static str = "/v1/check";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Check all stored data against each other";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let report = context.engine.check()?;
        let state = context.engine.state();
        // A pause concerns the clock, not the data.
        let is_sound =
            report.is_sound() && !matches!(state, EngineState::Forked(_) | EngineState::Poisoned(_));
        let (state, why) = state.word_and_reason();
        let mut value = engine_json::report(&report);
        value["sound"] = is_sound.into();
        value["state"] = state.into();
        value["why"] = why.into();
        Ok(value)
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

impl Operation for Reclaim {
    type Answer = Done;
    const NAME: &'static str = "reclaim";
    const PATH: &'static str = "/v1/reclaim";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str =
        "Free the disk space of ended objects, and remove their rows from the files";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        context.engine.reclaim()?;
        Ok(done(context))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

impl Operation for Publish {
    type Answer = Done;
    const NAME: &'static str = "publish";
    const PATH: &'static str = "/v1/publish";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Publish the log up to its last entry";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        context.engine.publish()?;
        Ok(done(context))
    }

    fn is_repeatable(&self, _: &Engine) -> bool {
        true
    }
}

fn done(context: &Context<'_>) -> Value {
    json!({ "as_of_ms": context.engine.now().unix_ms() })
}
