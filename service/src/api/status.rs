//! State of the engine.

use super::{Access, Alarm, Context, Limits, Method, Operation};
use crate::sources::Sources;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Result, json as engine_json};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Request of `status`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStatus {}

/// Request of `time`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetTime {}

/// Answer of `time`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Time that the engine trusts, Unix milliseconds.
    pub now_ms: i64,
}

/// State of the engine, and the conditions that need an operator.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Conditions that need an operator, one message each.
    pub needs: Vec<String>,
    /// `running`, `paused`, `poisoned`, `forked` or `copy`.
    pub state: String,
    /// Cause of any state but `running`.
    pub why: Option<String>,
    /// Origin line of the log.
    pub origin: String,
    /// Instant of the status, Unix milliseconds.
    pub as_of_ms: i64,
    /// `agrees`, `behind` or `ahead`: the wall clock beside the engine's time.
    pub clock: String,
    /// Difference of both, milliseconds.
    pub clock_off_ms: u64,
    /// Limits of the guards.
    pub limits: Limits,
    /// Standing alarms.
    pub alarms: Vec<Alarm>,
    /// Entries of the log.
    pub log_entries: u64,
    /// Entries of the log that are published.
    pub log_published: u64,
    /// Error of the last publication; `None` if it succeeded.
    pub publish_error: Option<String>,
    /// Standing legal holds.
    pub holds: u64,
    /// Oldest open erasure.
    pub oldest_erasure: Option<OldestErasure>,
    /// Newest objects that the store did not delete when it was last asked, at most 100. They are known since the data folder
    /// was opened.
    pub failures: Vec<Failure>,
    /// Counts of each class.
    pub classes: BTreeMap<String, ClassStatus>,
}

/// Oldest open erasure.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OldestErasure {
    /// Number of the request.
    pub number: u32,
    /// Instant of its receipt, Unix milliseconds.
    pub received_ms: i64,
    /// Instant by which it is to be answered, Unix milliseconds.
    pub answer_by_ms: Option<i64>,
}

/// Object that the store did not delete when it was last asked.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Present registration id.
    pub id: String,
    /// Name of its class.
    pub class: String,
    /// Key under which the store was asked for it, as printable text.
    pub key: String,
    /// Key under which the store was asked for it, hexadecimal.
    pub key_hex: String,
    /// `failed`, `refused` or `changed`.
    pub result: String,
    /// Reason in the words of the store.
    pub why: String,
    /// Instant of the answer, Unix milliseconds.
    pub at_ms: i64,
}

/// Counts of a class.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassStatus {
    /// Objects registered so far.
    pub registered: u64,
    /// Bytes registered so far.
    pub registered_bytes: u64,
    /// Live objects.
    pub live: u64,
    /// Live objects that a hold was found to keep.
    pub held: u64,
    /// Live objects that are due.
    pub due: u64,
    /// Live objects past their ceiling.
    pub overdue: u64,
    /// Objects that the store deleted.
    pub deleted: u64,
    /// Objects that the store did not have.
    pub absent: u64,
    /// Objects that the store no longer had after an earlier attempt.
    pub absent_after_intent: u64,
    /// Objects that the store anonymised.
    pub anonymised: u64,
    /// Objects that the store was asked to delete, and of which it did not say if it had them.
    pub requested: u64,
    /// Objects that the host deleted itself.
    pub released: u64,
    /// Objects that a later registration replaced.
    pub replaced: u64,
    /// Objects that ended before their floor.
    pub early: u64,
    /// Objects that ended after their ceiling.
    pub late: u64,
    /// Objects that ended after their ceiling because a hold had kept them.
    pub late_after_hold: u64,
    /// Bytes deleted.
    pub deleted_bytes: u64,
    /// `true` if the class is closed down.
    pub closed: bool,
    /// Oldest ceiling of an overdue object, Unix milliseconds.
    pub oldest_overdue_ms: Option<i64>,
}

impl Operation for GetTime {
    type Answer = Time;
    const NAME: &'static str = "time";
    const PATH: &'static str = "/v1/time";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Host;
    const SUMMARY: &'static str = "Return the time that the engine trusts";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        Ok(json!({ "now_ms": context.engine.now().unix_ms() }))
    }
}

impl ClassStatus {
    /// Returns the counts with their names.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 17] {
        [
            ("registered", self.registered),
            ("registered_bytes", self.registered_bytes),
            ("live", self.live),
            ("held", self.held),
            ("due", self.due),
            ("overdue", self.overdue),
            ("deleted", self.deleted),
            ("absent", self.absent),
            ("absent_after_intent", self.absent_after_intent),
            ("anonymised", self.anonymised),
            ("requested", self.requested),
            ("released", self.released),
            ("replaced", self.replaced),
            ("early", self.early),
            ("late", self.late),
            ("late_after_hold", self.late_after_hold),
            ("deleted_bytes", self.deleted_bytes),
        ]
    }
}

impl Operation for GetStatus {
    type Answer = Status;
    const NAME: &'static str = "status";
    const PATH: &'static str = "/v1/status";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Return the state of the engine, and what needs an operator";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let status = context.engine.status()?;
        let mut needs = context.engine.needs(&status)?;
        needs.extend(context.sources.into_iter().flat_map(Sources::needs));
        needs.extend_from_slice(context.needs);
        Ok(engine_json::status(&status, &needs))
    }
}
