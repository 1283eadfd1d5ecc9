//! Decisions of operators: classes, legal holds, requests, alarms. Results are JSON, as the `sexton` command gives it.

use crate::error::sexton_error;
use crate::failure::{CallResult, invalid, not_found};
use crate::handle::{sexton_engine, with_engine};
use crate::pointer::{self, Out};
use crate::text::{give_json, sexton_text};
use crate::time::{instant, span};
use crate::types::{sexton_bytes, sexton_erasure, sexton_hold, sexton_selector};
use serde_json::Value;
use sexton::class::Calendar;
use sexton::decision::{AlarmId, HoldKind};
use sexton::{Attribution, ClassSet, Engine, Erasure, HoldName, NewHold, Selector, Span, json};
use sexton_proof::time::Timestamp;

/// Kind of a selector: keys, together 1 to 268,435,456 bytes.
pub const SEXTON_SELECT_KEYS: i32 = 1;
/// Kind of a selector: all keys with a prefix of 1 to 2,048 bytes.
pub const SEXTON_SELECT_PREFIX: i32 = 2;
/// Kind of a selector: all objects of a subject of 1 to 255 bytes.
pub const SEXTON_SELECT_SUBJECT: i32 = 3;
/// Kind of a selector: all objects of a class.
pub const SEXTON_SELECT_CLASS: i32 = 4;
/// Kind of a selector: all objects.
pub const SEXTON_SELECT_EVERYTHING: i32 = 5;

/// Kind of a hold: the promise's clock runs on. After the lift an object that fell due before is deleted after the grace.
pub const SEXTON_HOLD_TEMPORARY: i32 = 1;
/// Kind of a hold: the promise's clock restarts. After the lift the promise counts from the instant of the lift.
pub const SEXTON_HOLD_EVENT: i32 = 2;

unsafe fn selector(selector: &sexton_selector) -> CallResult<Selector> {
    // SAFETY: by the contract borrowed for the call.
    let values = unsafe { pointer::values(selector.values, selector.len, "selector.values") }?;
    let bytes = |value: &sexton_bytes| {
        // SAFETY: by the contract borrowed for the call.
        unsafe { pointer::bytes(*value, "selector.values") }.map(<[u8]>::to_vec)
    };
    let single = || match values {
        [value] => bytes(value),
        many => Err(invalid(format!(
            "a selector of kind {} with {} values; 1 is allowed",
            selector.kind,
            many.len()
        ))),
    };
    Ok(match selector.kind {
        SEXTON_SELECT_KEYS => Selector::keys(values.iter().map(bytes).collect::<CallResult<Vec<_>>>()?),
        SEXTON_SELECT_PREFIX => Selector::Prefix(single()?),
        SEXTON_SELECT_SUBJECT => Selector::Subject(single()?),
        SEXTON_SELECT_CLASS => {
            let name = String::from_utf8(single()?);
            Selector::Class(name.map_err(|e| invalid(format!("the class name is not UTF-8: {e}")))?)
        }
        SEXTON_SELECT_EVERYTHING if values.is_empty() => Selector::Everything,
        SEXTON_SELECT_EVERYTHING => return Err(invalid("a selector of everything takes no values")),
        kind => return Err(invalid(format!("a selector of kind {kind}; 1 to 5 are allowed"))),
    })
}

/// Reads the time within which an erasure is answered. Empty text means that no time was promised.
fn within(text: &str) -> CallResult<Option<Span>> {
    if text.is_empty() {
        return Ok(None);
    }
    let span = text.parse();
    span.map(Some).map_err(|e| invalid(format!("within {text:?} is not a span like 30d or 15wd: {e}")))
}

unsafe fn owned(text: sexton_bytes, name: &str) -> CallResult<String> {
    // SAFETY: by the contract borrowed for the call.
    unsafe { pointer::text(text, name) }.map(str::to_owned)
}

unsafe fn attribution(reason: sexton_bytes, author: sexton_bytes) -> CallResult<Attribution> {
    // SAFETY: by the contract borrowed for the call.
    let text = |text, name| unsafe { owned(text, name) };
    let reason = text(reason, "reason")?;
    Ok(Attribution::new(text(author, "author")?, reason))
}

/// Defines the classes of a class file (TOML). A class whose definition differs from the stored one gets a new version.
/// Live objects keep their version; sexton_apply_class() moves them. After SEXTON_OK the classes survive a power
/// failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown which are defined.
///
/// Errors: SEXTON_INVALID if the text is not a valid class file, and then none is defined; SEXTON_POISONED;
/// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_define_classes(
    engine: *mut sexton_engine,
    toml: sexton_bytes,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let classes = ClassSet::from_toml(unsafe { pointer::text(toml, "toml") }?)?;
        Ok(engine.define_classes(&classes)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Writes the newest version of each class to *json, as an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_classes(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let with_version = |(class, version)| {
            let mut object = json::class(&class);
            object["version"] = Value::from(version);
            object
        };
        Ok(engine.classes().into_iter().map(with_version).collect())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Places a legal hold. Objects that it covers, including those registered later, are not deleted until it is lifted.
/// Writes the hold to *json, with the covered registrations that are already in a batch in "too_late". After SEXTON_OK
/// the hold survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it stands.
///
/// Errors: SEXTON_INVALID if a field is missing or out of bounds, the name is taken, or the class is unknown;
/// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_place_hold(
    engine: *mut sexton_engine,
    hold: *const sexton_hold,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract it points to a hold.
        let hold = unsafe { pointer::borrow(hold, "hold") }?;
        let kind = match hold.kind {
            SEXTON_HOLD_TEMPORARY => HoldKind::Temporary,
            SEXTON_HOLD_EVENT => HoldKind::Event,
            kind => return Err(invalid(format!("a hold of kind {kind}; 1 and 2 are allowed"))),
        };
        // SAFETY: by the contract borrowed for the call.
        let name = HoldName::new(unsafe { owned(hold.name, "name") }?)?;
        // SAFETY: by the contract borrowed for the call.
        let selector = unsafe { selector(&hold.selector) }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(hold.reason, hold.author) }?;
        let review = Timestamp::from_unix_ms(hold.review_ms);
        let placed = engine.place_hold(NewHold::new(name, selector, kind, attribution, review))?;
        let mut object = json::hold(&placed.hold);
        object["too_late"] = placed.too_late.iter().map(ToString::to_string).collect();
        Ok(object)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Writes the number of live objects that the selector covers now to *live. Other calls go on meanwhile and may change
/// it. The key index answers for keys, and the schedule for a class and for everything. A prefix and a subject take
/// reading every row, and so do keys in classes with find = "none". Call it after placing a hold or recording an
/// erasure, which stands already then: 0 may mean that it names the wrong objects.
///
/// Errors: SEXTON_INVALID if the selector could match nothing; SEXTON_IO; SEXTON_CORRUPT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_count_live(
    engine: *const sexton_engine,
    covered: *const sexton_selector,
    live: *mut u64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(live, "live")?;
        // SAFETY: by the contract it points to a selector.
        let covered = unsafe { pointer::borrow(covered, "selector") }?;
        // SAFETY: by the contract borrowed for the call.
        let covered = unsafe { selector(covered) }?;
        out.put(engine.count_live(&covered)?);
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Lifts the standing hold of this name. Objects that fell due before are deleted grace_ms later, or in time for a ceiling
/// that is still to come; other objects on time. grace_ms is at most 3,660 days. `reason` and `author` have 1 to 1,000 bytes. Writes the hold to *json.
/// After SEXTON_OK the lift survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown
/// whether the hold stands.
///
/// Errors: SEXTON_NOT_FOUND if no hold of this name stands; SEXTON_BUSY while the wall clock is ahead or behind;
/// SEXTON_INVALID; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_lift_hold(
    engine: *mut sexton_engine,
    name: sexton_bytes,
    reason: sexton_bytes,
    author: sexton_bytes,
    grace_ms: i64,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let name = unsafe { pointer::text(name, "name") }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(reason, author) }?;
        let grace = span(grace_ms, "grace_ms")?;
        // No hold can have a name that is empty or too long.
        let name = HoldName::new(name).map_err(|_| not_found(format!("no hold named {name:?} stands")))?;
        Ok(json::hold(&engine.lift_hold(&name, attribution, grace)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Writes all legal holds, including lifted ones, to *json, as an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_holds(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| Ok(engine.holds().iter().map(json::hold).collect());
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Records an erasure, and writes the request with its "number" to *json. It becomes final cancellable_ms after its
/// receipt, and covers the objects registered by then. Each is deleted as soon as its floor has passed and no hold
/// covers it. After SEXTON_OK the request survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it
/// is unknown whether it is recorded.
///
/// Errors: SEXTON_NOT_FOUND if no live object has the subject, which takes reading every row; SEXTON_INVALID;
/// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_erase(
    engine: *mut sexton_engine,
    erasure: *const sexton_erasure,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract it points to an erasure.
        let erasure = unsafe { pointer::borrow(erasure, "erasure") }?;
        let received = instant(erasure.has_received, erasure.received_ms, "has_received", "received_ms")?;
        if received.is_some_and(|received| received.unix_ms() == 0) {
            return Err(invalid("received_ms is 0, but has_received is true; set both or neither"));
        }
        // SAFETY: by the contract borrowed for the call.
        let within = within(unsafe { pointer::text(erasure.within, "within") }?)?;
        // SAFETY: by the contract borrowed for the call.
        let holidays = unsafe { pointer::text(erasure.holidays, "holidays") }?;
        let calendar = Calendar::parse(holidays).map_err(|e| invalid(format!("holidays: {e}")))?;
        // SAFETY: by the contract borrowed for the call.
        let selector = unsafe { selector(&erasure.selector) }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(erasure.reason, erasure.author) }?;
        let mut new = Erasure::new(selector, received.unwrap_or_else(|| engine.now()), attribution)
            .calendar(calendar)
            .cancellable(span(erasure.cancellable_ms, "cancellable_ms")?);
        new.within = within;
        Ok(json::request(&engine.erase(new)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Cancels an erasure that is not final, and writes the request to *json. Cancelling again succeeds. After SEXTON_OK
/// the cancellation survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether the
/// erasure is cancelled.
///
/// Errors: SEXTON_NOT_FOUND if there is no erasure of this number; SEXTON_TOO_LATE if it is final; SEXTON_POISONED;
/// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_cancel_erasure(
    engine: *mut sexton_engine,
    number: u32,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| Ok(json::request(&engine.cancel_erasure(number)?));
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Writes all requests (erasures, closings, applied classes, lifted holds) with their progress to *json, as an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_requests(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| Ok(engine.requests()?.iter().map(json::request).collect());
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Writes the objects found so far for an erasure to *json, as an array. Each has its progress: pending with its time,
/// or ended with the method.
///
/// Errors: SEXTON_NOT_FOUND if there is no erasure of this number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_erasure_objects(
    engine: *const sexton_engine,
    number: u32,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body =
        |engine: &Engine| Ok(engine.erasure_objects(number)?.iter().map(json::erasure_object).collect());
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Forgets a request that is finished or cancelled, with its subject and the list of its objects. After SEXTON_OK it
/// stays forgotten after a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it is
/// forgotten.
///
/// Errors: SEXTON_NOT_FOUND if there is no request of this number; SEXTON_INVALID if it is still open; SEXTON_POISONED;
/// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_forget_request(
    engine: *mut sexton_engine,
    number: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.forget_request(number)?)) }
}

/// Closes down a class (SEXTON_SELECT_CLASS) or all classes (SEXTON_SELECT_EVERYTHING), and writes the request to
/// *json. A closed class takes no registrations. Its live objects are deleted with one slot's notice, once their floor
/// has passed and no hold covers them. `reason` and `author` have 1 to 1,000 bytes. After SEXTON_OK the request
/// survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether it is recorded.
///
/// Errors: SEXTON_INVALID for another selector or a bad text; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_close_down(
    engine: *mut sexton_engine,
    classes: *const sexton_selector,
    reason: sexton_bytes,
    author: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract it points to a selector.
        let classes = unsafe { pointer::borrow(classes, "classes") }?;
        // SAFETY: by the contract borrowed for the call.
        let classes = unsafe { selector(classes) }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(reason, author) }?;
        Ok(json::request(&engine.close_down(classes, attribution)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Applies the newest version of a class to objects registered under its earlier versions, and writes the request to
/// *json. Without this call they keep the floor and ceiling that they were promised. `reason` and `author` have 1 to
/// 1,000 bytes. After SEXTON_OK the request survives a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO
/// it is unknown whether it is recorded.
///
/// Errors: SEXTON_INVALID if the class is unknown, or differs from an earlier version in `find` or `openings`;
/// SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_apply_class(
    engine: *mut sexton_engine,
    class_name: sexton_bytes,
    reason: sexton_bytes,
    author: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let name = unsafe { pointer::text(class_name, "class_name") }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(reason, author) }?;
        Ok(json::request(&engine.apply_class(name, attribution)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Ends an alarm whose cause an operator has examined, and writes the alarm to *json. `alarm` is its "id" in
/// sexton_status(). For a clock alarm the present wall clock is accepted. For a breaker alarm the objects at short
/// notice are accepted. `reason` and `author` have 1 to 1,000 bytes. After SEXTON_OK the end of the alarm survives a
/// power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether the alarm stands.
///
/// Errors: SEXTON_NOT_FOUND if no such alarm stands; SEXTON_BUSY if time would go back while batches are out;
/// SEXTON_INVALID, also if the clock to be accepted shows a year before 1970 or after 9998; SEXTON_POISONED;
/// SEXTON_FORKED; SEXTON_FULL; SEXTON_IO. After SEXTON_BUSY the alarm stands and time is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_resume(
    engine: *mut sexton_engine,
    alarm: sexton_bytes,
    reason: sexton_bytes,
    author: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let id = unsafe { pointer::text(alarm, "alarm") }?;
        // SAFETY: by the contract borrowed for the call.
        let attribution = unsafe { attribution(reason, author) }?;
        let id: AlarmId = id.parse().map_err(|_| not_found(format!("no alarm {id:?} stands")))?;
        Ok(json::alarm(&engine.resume(id, attribution)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}
