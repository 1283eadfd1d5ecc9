//! What is shown, as JSON: the same for the command, the C library and whoever serves it to a monitor. Instants are Unix
//! milliseconds; bytes come in hexadecimal, and keys also as text for people.

use crate::alarm::{Alarm, AlarmCause};
use crate::answers::{Item, Progress};
use crate::check::Report;
use crate::class::Definition;
use crate::feed::FeedEntry;
use crate::guard::ClockState;
use crate::hold::{Hold, HoldKind};
use crate::preview::{Action, Forecast};
use crate::request::{Request, RequestKind, RequestState};
use crate::screen::Screened;
use crate::status::{ClassStatus, Status};
use serde_json::{Map, Value, json};
use sexton_proof::id::{NO_CEILING, NO_FLOOR, printable};
use sexton_proof::window::{Date, Span};

/// How the clock stands, as a word, and by how much, ms.
pub fn clock(clock: ClockState) -> (&'static str, i64) {
    match clock {
        ClockState::Agrees => ("agrees", 0),
        ClockState::Behind { by_ms } => ("behind", by_ms),
        ClockState::Ahead { by_ms } => ("ahead", by_ms),
    }
}

/// The status, with what needs a person ([`Engine::needs`](crate::Engine::needs)).
pub fn status(status: &Status, needs: &[String]) -> Value {
    let (word, why) = status.state.in_words();
    let (clock, off_ms) = clock(status.clock);
    let classes: Map<String, Value> =
        status.classes.iter().map(|(name, one)| (name.clone(), class_status(one))).collect();
    let erasure = status
        .oldest_erasure
        .as_ref()
        .map(|one| json!({ "number": one.number, "received_ms": one.received_ms, "due_ms": one.due_ms }));
    json!({
        "needs": needs,
        "state": word,
        "why": why,
        "origin": status.origin,
        "as_of_ms": status.as_of_ms,
        "clock": clock,
        "clock_off_ms": off_ms,
        "alarms": status.alarms.iter().map(alarm).collect::<Vec<_>>(),
        "log_entries": status.log_size,
        "log_published": status.published_size,
        "publish_error": status.publish_error,
        "holds": status.holds,
        "oldest_erasure": erasure,
        "classes": classes,
    })
}

fn class_status(class: &ClassStatus) -> Value {
    let counts = counts(class).into_iter().map(|(name, n)| (name.to_owned(), n.into()));
    let mut told: Map<String, Value> = counts.collect();
    told.insert("closed".into(), class.closed.into());
    told.insert("oldest_overdue_ms".into(), class.oldest_overdue_ms.into());
    told.into()
}

/// The counts of a class by their names.
pub fn counts(class: &ClassStatus) -> [(&'static str, u64); 16] {
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
        ("released", ended.released),
        ("replaced", ended.replaced),
        ("early", ended.early),
        ("late", ended.late),
        ("late_after_hold", ended.late_after_hold),
        ("deleted_bytes", ended.deleted_bytes),
    ]
}

/// The word for what raised an alarm.
pub fn cause(cause: &AlarmCause) -> String {
    match cause {
        AlarmCause::Clock => "clock".into(),
        AlarmCause::TimeOff => "time off".into(),
        AlarmCause::Breaker { class } => format!("surprise in class \"{class}\""),
    }
}

/// An alarm.
pub fn alarm(alarm: &Alarm) -> Value {
    json!({
        "id": hex::encode(alarm.id),
        "cause": cause(&alarm.cause),
        "raised_ms": alarm.raised_ms,
        "sentence": alarm.sentence,
    })
}

/// A legal hold.
pub fn hold(hold: &Hold) -> Value {
    let terms = &hold.terms;
    let lifted = hold.lifted.as_ref().map(|lifted| {
        json!({
            "at_ms": lifted.at_ms,
            "reason": lifted.reason,
            "author": lifted.author,
            "grace_ms": lifted.grace_ms,
            "done": lifted.done,
        })
    });
    json!({
        "id": hex::encode(hold.id),
        "name": terms.name,
        "on": terms.selector.describe(),
        "selector": terms.selector,
        "event": terms.kind == HoldKind::Event,
        "reason": terms.reason,
        "author": terms.author,
        "placed_ms": hold.placed_ms,
        "review_ms": terms.review_ms,
        "lifted": lifted,
    })
}

/// What is asked for, as a word.
pub fn request_kind(request: &Request) -> &'static str {
    match request.kind {
        RequestKind::Erase => "erase",
        RequestKind::Close => "close",
        RequestKind::Apply { .. } => "apply",
        RequestKind::Lift { .. } => "lift",
    }
}

/// How far a request has come, as a word.
pub fn request_state(request: &Request) -> &'static str {
    match request.state {
        RequestState::Waiting => "waiting",
        RequestState::Found => "found",
        RequestState::Finished => "finished",
        RequestState::Cancelled => "cancelled",
    }
}

/// A request.
pub fn request(request: &Request) -> Value {
    json!({
        "number": request.number,
        "kind": request_kind(request),
        "of": request.selector.describe(),
        "selector": request.selector,
        "reason": request.reason,
        "author": request.author,
        "received_ms": request.received_ms,
        "cancellable_until_ms": Some(request.ready_ms).filter(|ready| *ready > request.received_ms),
        "due_ms": request.due_ms,
        "immediate": request.is_immediate(),
        "state": request_state(request),
        "changed_ms": request.changed_ms,
        "objects": request.objects,
    })
}

/// An object of an erasure.
pub fn item(item: &Item) -> Value {
    let mut told = json!({
        "key": printable(&item.key),
        "key_hex": hex::encode(&item.key),
        "id": item.id.to_string(),
    });
    match item.progress {
        Progress::Waits { until_ms, floor_ms, held } => {
            told["progress"] = "waits".into();
            told["until_ms"] = until_ms.into();
            told["floor_ms"] = floor_ms.into();
            told["held"] = held.into();
        }
        Progress::Ended { method, time_ms } => {
            told["progress"] = "ended".into();
            told["method"] = method.name().into();
            told["time_ms"] = time_ms.into();
        }
    }
    told
}

/// A deletion of the feed.
pub fn feed_entry(entry: &FeedEntry) -> Value {
    json!({
        "number": entry.number,
        "class": entry.class,
        "key": printable(&entry.key),
        "key_hex": hex::encode(&entry.key),
        "version_hex": hex::encode(&entry.version),
        "method": entry.method,
        "reason": entry.reason,
        "time_ms": entry.time_ms,
    })
}

/// What is known of a key.
pub fn screened(key: &[u8], screened: &Screened) -> Value {
    let mut told = json!({ "key": printable(key), "key_hex": hex::encode(key) });
    match screened {
        Screened::Live(id) => {
            told["state"] = "live".into();
            told["id"] = id.to_string().into();
        }
        Screened::Unknown => told["state"] = "unknown".into(),
        Screened::Ended(ended) => {
            told["state"] = "ended".into();
            told["id"] = ended.id.to_string().into();
            told["method"] = ended.method.name().into();
            told["reason"] = ended.reason.name().into();
            told["start_ms"] = ended.start_ms.into();
            told["time_ms"] = ended.time_ms.into();
            told["until_ms"] = ended.until_ms.into();
        }
    }
    told
}

/// What will be done, as a word.
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

/// A line of the plan.
pub fn forecast(one: &Forecast) -> Value {
    json!({
        "at_ms": one.at_ms,
        "class": one.class,
        "key": printable(&one.key),
        "key_hex": hex::encode(&one.key),
        "id": one.id.to_string(),
        "action": action(&one.action),
        "hold": if let Action::Hold(name) = &one.action { Some(name) } else { None },
        "reason": one.reason.name(),
        "floor_ms": bound(one.floor_ms),
        "ceiling_ms": bound(one.ceiling_ms),
    })
}

/// A floor or a ceiling, where there is one, Unix ms.
pub fn bound(ms: i64) -> Option<i64> {
    Some(ms).filter(|ms| ![NO_FLOOR, NO_CEILING].contains(ms))
}

/// A class.
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
        "slot_ms": class.slot_ms,
        "lead_ms": class.lead_ms,
        "find": class.find.name(),
        "disposition": class.disposition.name(),
        "openings": class.openings.name(),
        "feed": class.feed,
        "remember": text(class.remember),
    })
}

/// What the full check found.
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
