//! Alarms, which stop deletion until an operator resumes it.

use super::{Access, Context, Decision, Method, Operation, dry_run, invalid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sexton::decision::{Alarm as Standing, AlarmCause, AlarmId};
use sexton::{Error, ErrorKind, Result, json as engine_json};
use utoipa::ToSchema;

/// Request of `alarm_list`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAlarms {}

/// Request of `alarm_resume`. Without `alarm` and `all`, the only standing alarm is ended.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeAlarm {
    /// First digits of the id of the alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm: Option<String>,
    /// `true` to end every standing alarm.
    #[serde(default)]
    pub all: bool,
    /// Author and reason.
    pub decision: Decision,
    /// `true` to validate and report, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Alarm: a guard stopped deletion.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// Unique id.
    pub id: String,
    /// Cause in words.
    pub cause: String,
    /// Names of the limits that were met.
    pub limits: Vec<String>,
    /// Instant at which it was raised, Unix milliseconds.
    pub raised_ms: i64,
    /// Message for the operator.
    pub message: String,
}

/// Answer of `alarm_list`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmList {
    /// Standing alarms.
    pub alarms: Vec<Alarm>,
}

/// Answer of `alarm_resume`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumedAlarms {
    /// Alarms that are ended.
    pub resumed: Vec<Alarm>,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

impl Operation for ListAlarms {
    type Answer = AlarmList;
    const NAME: &'static str = "alarm_list";
    const PATH: &'static str = "/v1/alarms";
    const METHOD: Method = Method::Get;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "List the standing alarms, which stop deletion";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        let alarms: Vec<Value> = context.engine.status()?.alarms.iter().map(engine_json::alarm).collect();
        Ok(json!({ "alarms": alarms }))
    }
}

impl Operation for ResumeAlarm {
    type Answer = ResumedAlarms;
    const NAME: &'static str = "alarm_resume";
    const PATH: &'static str = "/v1/alarms/resume";
    const METHOD: Method = Method::Post;
    const ACCESS: Access = Access::Control;
    const SUMMARY: &'static str = "End alarms that the operator has examined, so that deletion continues";

    fn run(self, context: &Context<'_>) -> Result<Value> {
        if self.all && self.alarm.is_some() {
            return Err(invalid("both an alarm and all alarms are named; name one"));
        }
        dry_run::check_if(self.dry_run, context.engine)?;
        let standing = context.engine.status()?.alarms;
        let chosen = match self.all {
            true => apart_from_restored(standing)?,
            false => vec![choose(standing, |alarm| alarm.id, self.alarm.as_deref())?],
        };
        for alarm in chosen.iter().filter(|_| !self.dry_run) {
            context.engine.resume(alarm.id, self.decision.attribution(context))?;
        }
        let resumed: Vec<Value> = chosen.iter().map(engine_json::alarm).collect();
        Ok(json!({ "resumed": resumed, "dry_run": self.dry_run }))
    }
}

/// Returns all alarms but that of a restored copy. What it asks for is seldom done when another alarm is ended.
fn apart_from_restored(standing: Vec<Standing>) -> Result<Vec<Standing>> {
    let (restored, others): (Vec<Standing>, Vec<Standing>) =
        standing.into_iter().partition(|alarm| matches!(alarm.cause, AlarmCause::Restored { .. }));
    match restored.first().filter(|_| others.is_empty()) {
        Some(alarm) => Err(invalid(format!(
            "only the alarm of the restored copy stands; do what it says, and then end it by its id, {}",
            alarm.id
        ))),
        None => Ok(others),
    }
}

/// Returns the alarm whose id begins with `prefix`, or the only standing alarm if there is no prefix.
fn choose<T>(standing: Vec<T>, id: fn(&T) -> AlarmId, prefix: Option<&str>) -> Result<T> {
    let matches = |alarm: &T| prefix.is_none_or(|prefix| id(alarm).to_string().starts_with(prefix));
    let mut found: Vec<T> = standing.into_iter().filter(matches).collect();
    let not_found = |why: String| Err(Error::new(ErrorKind::NotFound, why));
    match (found.pop(), found.len(), prefix) {
        (Some(alarm), 0, _) => Ok(alarm),
        (Some(_), more, _) => Err(invalid(format!(
            "{} alarms match; give more digits of an id (`sexton alarm list` shows them), or --all",
            more + 1
        ))),
        (None, _, Some(prefix)) => not_found(format!("no alarm stands whose id begins with {prefix:?}")),
        (None, _, None) => not_found("no alarm stands".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> AlarmId {
        let mut id = [0x11; 16];
        id[0] = first;
        AlarmId::from_bytes(id)
    }

    #[test]
    fn choose_by_prefix_needs_a_unique_match() {
        let all = || vec![id(0x3f), id(0x3e), id(0xa0)];
        let choose = |standing: Vec<AlarmId>, prefix| choose(standing, |id| *id, prefix);
        assert_eq!(choose(all(), Some("3f")).unwrap(), id(0x3f));
        assert_eq!(choose(all(), Some("a")).unwrap(), id(0xa0));
        for (standing, prefix) in [(all(), Some("3")), (all(), Some("b")), (all(), None), (vec![], None)] {
            assert!(choose(standing, prefix).is_err(), "{prefix:?}");
        }
        assert_eq!(choose(vec![id(1)], None).unwrap(), id(1));
    }
}
