//! Plan: which objects will end when and why, and what delays them.

use super::page::{Limit, check_limit};
use super::{Access, Alarm, Context, Method, Operation, invalid};
use crate::outlook::{self, Group, Outlook, Position};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::{Result, Timestamp, json as engine_json};
use utoipa::ToSchema;

/// Most objects of one page.
pub const PLAN_OBJECTS_MAX: u32 = 10_000;

/// Request of `plan`. Each page reads the rows that fall due until then, and the memory for it grows with `limit` only.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GetPlan {
    /// End of the plan, Unix milliseconds.
    pub until_ms: i64,
    /// Most objects to list; 0 for the counts alone.
    #[serde(default)]
    #[schema(value_type = u32, maximum = 10000, default = 100)]
    pub limit: Limit<100>,
    /// Cursor: `next` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Answer of `plan`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Instant of the plan, Unix milliseconds.
    pub as_of_ms: i64,
    /// End of the plan, Unix milliseconds.
    pub until_ms: i64,
    /// Standing alarms.
    pub alarms: Vec<Alarm>,
    /// Number of all objects up to the end of the plan.
    pub found: u64,
    /// Objects in the order of time.
    pub objects: Vec<PlannedObject>,
    /// Counts of all objects, by class and action.
    pub summary: Vec<PlannedGroup>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<String>,
}

/// Object that comes up for deletion.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedObject {
    /// Instant at which it comes up, Unix milliseconds.
    pub at_ms: i64,
    /// Name of its class.
    pub class: String,
    /// Key as printable text.
    pub key: String,
    /// Key, hexadecimal.
    pub key_hex: String,
    /// Key of its registration as printable text; `None` if it was not renamed.
    pub first_key: Option<String>,
    /// Key of its registration, hexadecimal; `None` if it was not renamed.
    pub first_key_hex: Option<String>,
    /// Present registration id.
    pub id: String,
    /// `delete`, `anonymise`, `end-replaced`, `end-released`, `hold`, `wait-for-floor` or `stopped`.
    pub action: String,
    /// Action in words.
    pub action_text: String,
    /// Name of the hold that keeps it.
    pub hold: Option<String>,
    /// Reason of its end.
    pub reason: String,
    /// Floor, Unix milliseconds.
    pub floor_ms: Option<i64>,
    /// Ceiling, Unix milliseconds.
    pub ceiling_ms: Option<i64>,
}

/// Objects of one class with the same action.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedGroup {
    /// Name of the class.
    pub class: String,
    /// Action in words.
    pub action: String,
    /// Number of the objects.
    pub objects: u64,
    /// Number of these objects that will end after their ceiling.
    pub late: u64,
    /// Instant at which the first one comes up, Unix milliseconds.
    pub first_ms: i64,
    /// Instant at which the last one comes up, Unix milliseconds.
    pub last_ms: i64,
}

impl Operation for GetPlan {
    type Answer = Plan;
    const NAME: &'static str = "plan";
    const PATH: &'static str = "/v1/plan";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Show which objects will end when and why, and what delays them";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let limit = if self.limit.0 == 0 { 0 } else { check_limit(self.limit.0, PLAN_OBJECTS_MAX)? };
        let after = self.after.as_deref().map(position).transpose()?;
        let as_of = context.engine.now();
        let until = Timestamp::from_unix_ms(self.until_ms);
        let plan = Outlook::of(context.engine, until, after.as_ref(), limit)?;
        let alarms = context.engine.status()?.alarms;
        Ok(json!({
            "as_of_ms": as_of.unix_ms(),
            "until_ms": self.until_ms,
            "alarms": alarms.iter().map(engine_json::alarm).collect::<Vec<Value>>(),
            "found": plan.objects(),
            "objects": plan.first.iter().map(object).collect::<Vec<Value>>(),
            "summary": plan.groups.iter().map(group).collect::<Vec<Value>>(),
            "next": plan.next.as_ref().map(cursor),
        }))
    }
}

fn object(object: &sexton::report::PlannedObject) -> Value {
    let mut value = engine_json::planned_object(object);
    value["action_text"] = outlook::action(&object.action).into();
    value
}

fn group(((class, action), group): (&(String, String), &Group)) -> Value {
    json!({
        "class": class,
        "action": action,
        "objects": group.objects,
        "late": group.late,
        "first_ms": group.first.unix_ms(),
        "last_ms": group.last.unix_ms(),
    })
}

/// Fields of a cursor: instant, class, key and id.
type Cursor = (i64, String, String, String);

fn cursor(position: &Position) -> String {
    let Position { at, class, key, id } = position;
    let cursor: Cursor = (at.unix_ms(), class.clone(), hex::encode(key), id.to_string());
    URL_SAFE_NO_PAD.encode(json!(cursor).to_string())
}

/// Returns the position of a cursor.
///
/// # Errors
/// `Invalid` if no answer had this cursor.
fn position(text: &str) -> Result<Position> {
    let parsed = || {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (at_ms, class, key, id): Cursor = serde_json::from_slice(&json).ok()?;
        let (at, key) = (Timestamp::from_unix_ms(at_ms), hex::decode(key).ok()?);
        Some(Position { at, class, key, id: id.parse().ok()? })
    };
    parsed()
        .ok_or_else(|| invalid(format!("{text:?} is no cursor of a plan; take `next` of the answer before")))
}
