//! Legal holds.

use super::covers::Selected;
use super::{Access, Context, Covers, Decision, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::decision::HoldKind;
use sexton::{HoldName, NewHold, Result, Timestamp, json as engine_json};
use std::time::Duration;
use utoipa::ToSchema;

/// Request of `hold_place`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// Name of the hold, by which it is lifted.
    pub name: String,
    /// Selector of the objects that the hold keeps, now and later.
    pub on: Covers,
    /// `true` if the clock of the covered objects restarts when the hold is lifted.
    #[serde(default)]
    pub event: bool,
    /// Author and reason.
    pub decision: Decision,
    /// Instant at which to review the hold, Unix milliseconds. It does not end by itself.
    pub review_ms: i64,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `hold_lift`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiftHold {
    /// Name of the hold.
    pub name: String,
    /// Author and reason.
    pub decision: Decision,
    /// Time until objects that the hold kept past their ceiling are deleted, milliseconds.
    pub grace_ms: u64,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Request of `hold_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListHolds {
    /// `true` to list lifted holds too.
    #[serde(default)]
    pub all: bool,
}

/// Legal hold.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Unique id; `None` in a dry run.
    pub id: Option<String>,
    /// Name, unique among standing holds.
    pub name: String,
    /// Selector in words.
    pub on: String,
    /// Selector of its objects.
    pub selector: Selected,
    /// `true` if the clock of the covered objects restarts when it is lifted.
    pub event: bool,
    /// Reason for which it was placed.
    pub reason: String,
    /// Person who placed it.
    pub author: String,
    /// Authenticated user of the process; `None` if it is not known.
    pub uid: Option<u32>,
    /// Instant of its placing, Unix milliseconds.
    pub placed_ms: i64,
    /// Instant at which to review it, Unix milliseconds.
    pub review_ms: i64,
    /// End of the hold; `None` while it stands.
    pub lifted: Option<Lift>,
}

/// End of a hold.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    /// Instant of the lift, Unix milliseconds.
    pub at_ms: i64,
    /// Reason for the lift.
    pub reason: String,
    /// Person who lifted it.
    pub author: String,
    /// Authenticated user of the process; `None` if it is not known.
    pub uid: Option<u32>,
    /// Time until objects that it kept past their ceiling are deleted, milliseconds.
    pub grace_ms: u64,
    /// `true` once its objects are found.
    pub done: bool,
}

/// Answer of `hold_place`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PlacedHold {
    /// Hold as it stands.
    #[serde(flatten)]
    pub hold: Hold,
    /// Registrations that it covers and that were already on their way to deletion.
    pub too_late: Vec<String>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Answer of `hold_lift`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LiftedHold {
    /// Hold with its end.
    #[serde(flatten)]
    pub hold: Hold,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Answer of `hold_list`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldList {
    /// Holds in the order of their placing.
    pub holds: Vec<Hold>,
    /// Instant of the list, Unix milliseconds.
    pub as_of_ms: i64,
}

impl Operation for PlaceHold {
    type Answer = PlacedHold;
    const NAME: &'static str = "hold_place";
    const PATH: &'static str = "/v1/holds/place";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Place a legal hold, which keeps objects until it is lifted";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let kind = if self.event { HoldKind::Event } else { HoldKind::Temporary };
        let review = Timestamp::from_unix_ms(self.review_ms);
        let attribution = self.decision.attribution(context);
        let new = NewHold::new(name(&self.name)?, self.on.selector()?, kind, attribution, review);
        let placed = dry_run::target(context.engine, self.dry_run)?.place_hold(new)?;
        let too_late: Vec<String> = placed.too_late.iter().map(ToString::to_string).collect();
        let mut answer = hold(&placed.hold, self.dry_run);
        answer["too_late"] = too_late.into();
        Ok(answer)
    }
}

impl Operation for LiftHold {
    type Answer = LiftedHold;
    const NAME: &'static str = "hold_lift";
    const PATH: &'static str = "/v1/holds/lift";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "Lift a legal hold";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let target = dry_run::target(context.engine, self.dry_run)?;
        let grace = Duration::from_millis(self.grace_ms);
        let lifted = target.lift_hold(&name(&self.name)?, self.decision.attribution(context), grace)?;
        Ok(hold(&lifted, self.dry_run))
    }
}

impl Operation for ListHolds {
    type Answer = HoldList;
    const NAME: &'static str = "hold_list";
    const PATH: &'static str = "/v1/holds";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "List the legal holds that stand";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let mut holds = context.engine.holds();
        holds.retain(|hold| self.all || hold.lifted.is_none());
        holds.sort_by_key(|hold| hold.placed);
        let list: Vec<Value> = holds.iter().map(engine_json::hold).collect();
        Ok(json!({ "holds": list, "as_of_ms": context.engine.now().unix_ms() }))
    }
}

fn name(text: &str) -> Result<HoldName> {
    text.parse().map_err(|e| invalid(format!("the name of the hold: {e}")))
}

/// Returns a hold that was changed as JSON. In a dry run it has no id.
fn hold(hold: &sexton::decision::Hold, is_dry: bool) -> Value {
    let mut value = engine_json::hold(hold);
    value["dry_run"] = is_dry.into();
    if is_dry {
        value["id"] = Value::Null;
    }
    value
}
