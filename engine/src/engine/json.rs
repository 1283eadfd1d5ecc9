//! JSON of reports, as the command and the C library write it, for hosts that serve it to a monitor.
//!
//! Instants are Unix milliseconds. Bytes are hexadecimal; keys come as printable text too.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let options = sexton::Options::new("example.com/uploads");
//! # let engine = sexton::Engine::open(folder.path(), &options)?;
//! let status = engine.status()?;
//! let json = sexton::json::status(&status, &engine.needs(&status)?);
//! assert_eq!(json["state"], "running");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use crate::enforcement::ended::KeyHistory;
use crate::enforcement::feed::FeedEntry;
use crate::engine::check::Report;
use crate::engine::plan::{Action, PlannedObject};
use crate::engine::status::{ClassStatus, Status};
use crate::governance::progress::{ErasureObject, Progress};
use crate::model::alarm::{Alarm, AlarmCause};
use crate::model::class::Definition;
use crate::model::clock_guard::ClockState;
use crate::model::guard_limits::GuardLimits;
use crate::model::hold::{Hold, HoldKind};
use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::selector::Selector;
use crate::state::failures::Failure;
use serde_json::{Map, Value, json};
use sexton_proof::id::printable;
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_proof::window::{Date, Span};
use std::time::Duration;

/// Returns the word for the state of the clock, and how far it is off.
pub fn clock(clock: ClockState) -> (&'static str, Duration) {
    match clock {
        ClockState::Agrees => ("agrees", Duration::ZERO),
        ClockState::Behind { by } => ("behind", by),
        ClockState::Ahead { by } => ("ahead", by),
    }
}

/// Returns a status as JSON, with the conditions that need an operator ([`Engine::needs`](crate::Engine::needs)).
pub fn status(status: &Status, needs: &[String]) -> Value {
    let (word, why) = status.state.word_and_reason();
    let (clock, off) = clock(status.clock);
    let classes: Map<String, Value> =
        status.classes.iter().map(|(name, class)| (name.clone(), class_status(class))).collect();
    let erasure = status.oldest_erasure.as_ref().map(|request| {
        json!({
            "number": request.number,
            "received_ms": request.received.unix_ms(),
            "answer_by_ms": request.answer_by.map(Timestamp::unix_ms),
        })
    });
    json!({
        "needs": needs,
        "state": word,
        "why": why,
        "origin": status.origin,
        "as_of_ms": status.as_of.unix_ms(),
        "clock": clock,
        "clock_off_ms": whole_ms(off),
        "limits": limits(&status.limits),
        "alarms": status.alarms.iter().map(alarm).collect::<Vec<_>>(),
        "log_entries": status.log_size,
        "log_published": status.published_size,
        "publish_error": status.publish_error,
        "holds": status.holds,
        "oldest_erasure": erasure,
        "failures": status.failures.iter().map(failure).collect::<Vec<_>>(),
        "classes": classes,
    })
}

/// Returns an object that the store did not delete as JSON.
fn failure(failure: &Failure) -> Value {
    json!({
        "id": failure.id.to_string(),
        "class": failure.class,
        "key": printable(&failure.key),
        "key_hex": hex::encode(&failure.key),
        "result": failure.cause.name(),
        "why": failure.why,
        "at_ms": failure.at.unix_ms(),
    })
}

/// Returns limits of the guards as JSON.
pub fn limits(limits: &GuardLimits) -> Value {
    json!({
        "clock_step_max_ms": whole_ms(limits.clock.step_max),
        "clock_time_off_max_ms": whole_ms(limits.clock.time_off_max),
        "breaker_objects": limits.breaker.objects,
        "breaker_share_percent": limits.breaker.share_percent,
    })
}

fn class_status(class: &ClassStatus) -> Value {
    let counts = counts(class).into_iter().map(|(name, n)| (name.to_owned(), n.into()));
    let mut json: Map<String, Value> = counts.collect();
    json.insert("closed".into(), class.closed.into());
    json.insert("oldest_overdue_ms".into(), class.oldest_overdue.map(Timestamp::unix_ms).into());
    json.into()
}

/// Returns the counts of a class with their names.
pub fn counts(class: &ClassStatus) -> [(&'static str, u64); 17] {
    let ended = &class.ended;
    [
        ("registered", class.registered),
        ("registered_bytes", class.registered_bytes),
        ("live", class.live),
        ("held", class.held),
        ("due", class.due),
        ("overdue", class.overdue),
        ("deleted", ended.deleted),
        ("absent", ended.absent),
        ("absent_after_intent", ended.absent_after_intent),
        ("anonymised", ended.anonymised),
        ("requested", ended.requested),
        ("released", ended.released),
        ("replaced", ended.replaced),
        ("early", ended.early),
        ("late", ended.late),
        ("late_after_hold", ended.late_after_hold),
        ("deleted_bytes", ended.deleted_bytes),
    ]
}

/// Returns the cause of an alarm in words.
pub fn cause(cause: &AlarmCause) -> String {
    match cause {
        AlarmCause::Clock => "clock".into(),
        AlarmCause::TimeOff => "time off".into(),
        AlarmCause::Behind => "clock behind".into(),
        AlarmCause::Pause { .. } => "pause".into(),
        AlarmCause::Restored { .. } => "restored from a copy".into(),
        AlarmCause::Absent { class } => format!("absent objects in class \"{class}\""),
        AlarmCause::Breaker { class } => format!("short notice in class \"{class}\""),
    }
}

/// Returns the names of the limits by which a guard raised an alarm.
fn limit_names(cause: &AlarmCause) -> &'static [&'static str] {
    match cause {
        AlarmCause::Clock | AlarmCause::Behind => &["clock_step_max_ms"],
        AlarmCause::TimeOff => &["clock_time_off_max_ms"],
        AlarmCause::Breaker { .. } => &["breaker_objects", "breaker_share_percent"],
        AlarmCause::Absent { .. } | AlarmCause::Pause { .. } | AlarmCause::Restored { .. } => &[],
    }
}

/// Returns an alarm as JSON.
pub fn alarm(alarm: &Alarm) -> Value {
    json!({
        "id": alarm.id.to_string(),
        "cause": cause(&alarm.cause),
        "limits": limit_names(&alarm.cause),
        "raised_ms": alarm.raised.unix_ms(),
        "message": alarm.message,
    })
}

/// Returns a legal hold as JSON.
pub fn hold(hold: &Hold) -> Value {
    let terms = &hold.terms;
    let lifted = hold.lifted.as_ref().map(|lifted| {
        json!({
            "at_ms": lifted.at.unix_ms(),
            "reason": lifted.attribution.reason,
            "author": lifted.attribution.author,
            "uid": lifted.attribution.uid,
            "grace_ms": whole_ms(lifted.grace),
            "done": lifted.done,
        })
    });
    json!({
        "id": hold.id.to_string(),
        "name": terms.name.as_str(),
        "on": terms.selector.describe(),
        "selector": selector(&terms.selector),
        "event": terms.kind == HoldKind::Event,
        "reason": terms.attribution.reason,
        "author": terms.attribution.author,
        "uid": terms.attribution.uid,
        "placed_ms": hold.placed.unix_ms(),
        "review_ms": terms.review.unix_ms(),
        "lifted": lifted,
    })
}

/// Most keys of a selector that are written as JSON.
const SELECTOR_KEYS_SHOWN: usize = 10_000;

/// Returns a selector as JSON. Of a long list of keys it has the first ones in ascending order, and the number of the
/// others.
fn selector(selector: &Selector) -> Value {
    match selector {
        Selector::Keys(keys) if keys.len() > SELECTOR_KEYS_SHOWN => {
            let shown: Vec<String> = keys.iter().take(SELECTOR_KEYS_SHOWN).map(hex::encode).collect();
            json!({ "keys": shown, "more": keys.len() - SELECTOR_KEYS_SHOWN })
        }
        other => json!(other),
    }
}

/// Returns the word for the kind of a request.
pub fn request_kind(request: &Request) -> &'static str {
    match request.kind {
        RequestKind::Erase => "erase",
        RequestKind::Close => "close",
        RequestKind::Apply { .. } => "apply",
        RequestKind::Lift { .. } => "lift",
        RequestKind::Doubt { .. } => "doubt",
        RequestKind::Back(_) => "back",
    }
}

/// Returns the word for the state of a request.
pub fn request_state(request: &Request) -> &'static str {
    match request.state {
        RequestState::Waiting => "waiting",
        RequestState::Found => "found",
        RequestState::Finished => "finished",
        RequestState::Cancelled => "cancelled",
    }
}

/// Returns a request as JSON.
pub fn request(request: &Request) -> Value {
    let cancellable_until = Some(request.ready).filter(|ready| *ready > request.received);
    json!({
        "number": request.number,
        "kind": request_kind(request),
        "of": request.selector.describe(),
        "selector": selector(&request.selector),
        "reason": request.attribution.reason,
        "author": request.attribution.author,
        "uid": request.attribution.uid,
        "received_ms": request.received.unix_ms(),
        "cancellable_until_ms": cancellable_until.map(Timestamp::unix_ms),
        "answer_by_ms": request.answer_by.map(Timestamp::unix_ms),
        "immediate": request.is_immediate(),
        "state": request_state(request),
        "changed_ms": request.changed.unix_ms(),
        "objects": request.objects,
    })
}

/// Returns an object of an erasure as JSON.
pub fn erasure_object(object: &ErasureObject) -> Value {
    let mut json = json!({
        "key": printable(&object.key),
        "key_hex": hex::encode(&object.key),
        "id": object.id.to_string(),
    });
    match object.progress {
        Progress::Pending { until, floor, held } => {
            json["progress"] = "pending".into();
            json["until_ms"] = until.unix_ms().into();
            json["floor_ms"] = floor.map(Timestamp::unix_ms).into();
            json["held"] = held.into();
        }
        Progress::Ended { method, time } => {
            json["progress"] = "ended".into();
            json["method"] = method.name().into();
            json["time_ms"] = time.unix_ms().into();
        }
    }
    json
}

/// Returns a deletion of the feed as JSON.
pub fn feed_entry(entry: &FeedEntry) -> Value {
    json!({
        "number": entry.number,
        "class": entry.class,
        "key": printable(&entry.key),
        "key_hex": hex::encode(&entry.key),
        "version_hex": hex::encode(&entry.version),
        "id": entry.id.map(|id| id.to_string()),
        "method": entry.method,
        "reason": entry.reason,
        "time_ms": entry.time.unix_ms(),
    })
}

/// Returns the history of a key as JSON.
pub fn key_history(key: &[u8], history: &KeyHistory) -> Value {
    let mut json = json!({ "key": printable(key), "key_hex": hex::encode(key) });
    match history {
        KeyHistory::Live(id) => {
            json["state"] = "live".into();
            json["id"] = id.to_string().into();
        }
        KeyHistory::Unknown => json["state"] = "unknown".into(),
        KeyHistory::Ended(ended) => {
            json["state"] = "ended".into();
            json["id"] = ended.id.to_string().into();
            json["method"] = ended.method.name().into();
            json["reason"] = ended.reason.name().into();
            json["start_ms"] = ended.start.unix_ms().into();
            json["time_ms"] = ended.time.unix_ms().into();
            json["until_ms"] = ended.until.unix_ms().into();
        }
    }
    json
}

/// Returns the word for an action of the plan.
pub fn action(action: &Action) -> &'static str {
    match action {
        Action::Delete => "delete",
        Action::Anonymise => "anonymise",
        Action::EndReplaced => "end-replaced",
        Action::EndReleased => "end-released",
        Action::Hold(_) => "hold",
        Action::WaitForFloor => "wait-for-floor",
        Action::Stopped(_) => "stopped",
    }
}

/// Returns an object of the plan as JSON.
pub fn planned_object(object: &PlannedObject) -> Value {
    json!({
        "at_ms": object.at.unix_ms(),
        "class": object.class,
        "key": printable(&object.key),
        "key_hex": hex::encode(&object.key),
        "first_key": object.first_key.as_deref().map(printable),
        "first_key_hex": object.first_key.as_ref().map(hex::encode),
        "id": object.id.to_string(),
        "action": action(&object.action),
        "hold": if let Action::Hold(name) = &object.action { Some(name.as_str()) } else { None },
        "reason": object.reason.name(),
        "floor_ms": object.floor.map(Timestamp::unix_ms),
        "ceiling_ms": object.ceiling.map(Timestamp::unix_ms),
    })
}

/// Returns a class as JSON.
pub fn class(class: &Definition) -> Value {
    let text = |span: Option<Span>| span.map(|span| span.to_string());
    let dates = |dates: &[Date]| -> Vec<String> { dates.iter().map(ToString::to_string).collect() };
    json!({
        "name": class.name,
        "keep": text(class.keep),
        "within": text(class.within),
        "zone": class.zone,
        "holidays": dates(class.calendar.holidays()),
        "workdays": dates(class.calendar.workdays()),
        "start": class.start.name(),
        "max_open": text(class.max_open),
        "slot_ms": whole_ms(class.slot),
        "lead_ms": whole_ms(class.lead),
        "find": class.find.name(),
        "disposition": class.disposition.name(),
        "openings": class.openings.name(),
        "seal_within": class.seal_within.to_string(),
        "evidence": text(class.evidence),
        "feed": class.feed,
        "remember": text(class.remember),
        "host_deletes": class.host_deletes,
    })
}

/// Returns the result of the full check as JSON.
pub fn report(report: &Report) -> Value {
    json!({
        "live_pages": report.pages,
        "live_registrations": report.rows,
        "batches": report.batches,
        "tombstones": report.tombstones,
        "carries": report.carries,
        "log_entries": report.leaves,
        "problems_found": report.problems_found,
        "problems": report.problems,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock_guard::Verdict;
    use crate::model::hold::HoldId;
    use crate::model::text::Attribution;
    use crate::model::time_back::TimeBack;

    const SCHEMA: &str = include_str!("../../../docs/schemas/common.json");

    /// Returns the kind after this one, so that a kind that is added has to be here.
    fn next(kind: &RequestKind) -> Option<RequestKind> {
        let (lag, lead) = (Duration::ZERO, Duration::ZERO);
        Some(match kind {
            RequestKind::Erase => RequestKind::Close,
            RequestKind::Close => RequestKind::Apply { class: 1 },
            RequestKind::Apply { .. } => RequestKind::Lift { hold: HoldId::from_bytes([1; 16]) },
            RequestKind::Lift { .. } => {
                let verdict = Verdict { wall_was_right: true, lag, lead, is_unsure: false };
                RequestKind::Doubt { doubt: 1, verdict }
            }
            RequestKind::Doubt { .. } => {
                let to = Timestamp::from_unix_ms(0);
                RequestKind::Back(TimeBack { era: 1, to, by: lag, since: None, jumps: Vec::new() })
            }
            RequestKind::Back(_) => return None,
        })
    }

    #[test]
    fn schema_lists_every_kind_of_request() {
        let kinds = std::iter::successors(Some(RequestKind::Erase), next);
        let requests = kinds.map(|kind| {
            let attribution = Attribution::new("a", "r");
            Request::new(1, kind, Selector::Everything, attribution, Timestamp::from_unix_ms(0))
        });
        let kinds: Vec<&str> = requests.map(|request| request_kind(&request)).collect();
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        assert_eq!(schema["$defs"]["request"]["properties"]["kind"]["enum"], json!(kinds));
    }
}
