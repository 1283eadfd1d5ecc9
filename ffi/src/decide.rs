//! What people decide: classes, legal holds, erasures, closing down, alarms. The answers are JSON, as the command gives it.

use crate::error::{Outcome, invalid, sexton_error};
use crate::handle::{sexton_engine, with_engine};
use crate::pointer;
use crate::register::given_ms;
use crate::text::{give_json, sexton_text};
use crate::types::{sexton_bytes, sexton_erasure, sexton_hold, sexton_selector};
use serde_json::Value;
use sexton::{Calendar, ClassSet, Engine, Erasure, HoldKind, NewHold, Selector, Span, json};

/// Of a selector: these keys.
pub const SEXTON_SELECT_KEYS: i32 = 1;
/// Of a selector: every key that begins so.
pub const SEXTON_SELECT_PREFIX: i32 = 2;
/// Of a selector: everything of this subject.
pub const SEXTON_SELECT_SUBJECT: i32 = 3;
/// Of a selector: everything in this class.
pub const SEXTON_SELECT_CLASS: i32 = 4;
/// Of a selector: everything.
pub const SEXTON_SELECT_EVERYTHING: i32 = 5;

/// A hold that lets the clock run: lifted, the object goes as soon as it may.
pub const SEXTON_HOLD_TEMPORARY: i32 = 1;
/// A hold that restarts the clock: what it covers when it is lifted counts from that instant on.
pub const SEXTON_HOLD_EVENT: i32 = 2;

unsafe fn selector(selector: &sexton_selector) -> Outcome<Selector> {
    // SAFETY: by the contract borrowed for the call.
    let items = unsafe { pointer::values(selector.items, selector.len, "selector.items") }?;
    // SAFETY: as above.
    let bytes = |item: &sexton_bytes| unsafe { pointer::bytes(*item, "selector.items") }.map(<[u8]>::to_vec);
    let one = || match items {
        [one] => bytes(one),
        many => Err(invalid(format!(
            "a selector of kind {} with {} items; it takes 1",
            selector.kind,
            many.len()
        ))),
    };
    Ok(match selector.kind {
        SEXTON_SELECT_KEYS => Selector::Keys(items.iter().map(bytes).collect::<Outcome<_>>()?),
        SEXTON_SELECT_PREFIX => Selector::Prefix(one()?),
        SEXTON_SELECT_SUBJECT => Selector::Subject(one()?),
        SEXTON_SELECT_CLASS => {
            let name = String::from_utf8(one()?);
            Selector::Class(name.map_err(|e| invalid(format!("the name of the class is not UTF-8: {e}")))?)
        }
        SEXTON_SELECT_EVERYTHING if items.is_empty() => Selector::Everything,
        SEXTON_SELECT_EVERYTHING => return Err(invalid("a selector of everything takes no items")),
        kind => return Err(invalid(format!("a selector of kind {kind}; there are 1 to 5"))),
    })
}

unsafe fn owned(text: sexton_bytes, name: &str) -> Outcome<String> {
    // SAFETY: by the contract borrowed for the call.
    unsafe { pointer::text(text, name) }.map(str::to_owned)
}

/// Defines classes, or new versions of them, from the text of a class file (TOML). Objects registered before keep the version
/// they fell under.
///
/// SEXTON_INVALID where the text is no class file: then nothing was defined.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_define_classes(
    engine: *mut sexton_engine,
    toml: sexton_bytes,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let classes = ClassSet::from_toml(unsafe { pointer::text(toml, "toml") }?)?;
        Ok(engine.define(&classes)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// The newest version of each class: an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_classes(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let one = |(class, version)| {
            let mut told = json::class(&class);
            told["version"] = Value::from(version);
            told
        };
        Ok(engine.classes().into_iter().map(one).collect())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Places a legal hold: what it covers, now and later, is not deleted until it is lifted. After SEXTON_OK it survives the loss
/// of power. The hold is in *json; "too_late" lists the registrations that were on their way to deletion already.
///
/// SEXTON_INVALID where the selector is empty, a text is missing, the name is taken or the class unknown.
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
            kind => return Err(invalid(format!("a hold of kind {kind}; there are 1 and 2"))),
        };
        // SAFETY: by the contract borrowed for the call, here and below.
        let text = |text, name| unsafe { owned(text, name) };
        let new = NewHold {
            name: text(hold.name, "name")?,
            // SAFETY: as above.
            selector: unsafe { selector(&hold.selector) }?,
            kind,
            reason: text(hold.reason, "reason")?,
            author: text(hold.author, "author")?,
            review_ms: hold.review_ms,
        };
        let placed = engine.place_hold(new)?;
        let mut told = json::hold(&placed.hold);
        told["too_late"] = placed.too_late.iter().map(ToString::to_string).collect();
        Ok(told)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Lifts the hold of this name. What it kept past its ceiling goes when grace_ms have passed, what is still in its window goes
/// in time. After SEXTON_OK that survives the loss of power.
///
/// SEXTON_NOT_FOUND where no such hold stands.
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
        let text = |text, name| unsafe { pointer::text(text, name) };
        let (name, reason, author) = (text(name, "name")?, text(reason, "reason")?, text(author, "author")?);
        Ok(json::hold(&engine.lift_hold(name, reason, author, grace_ms)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// All legal holds, lifted ones too: an array.
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

/// Takes an erasure; the request with its "number" is in *json. When it can no longer be cancelled, each of its objects goes as
/// soon as its floor allows and no hold covers it. It covers what is registered by then. After SEXTON_OK it survives the loss
/// of power.
///
/// SEXTON_NOT_FOUND where nothing that lives belongs to the subject, which takes reading every row; SEXTON_INVALID.
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
        // SAFETY: by the contract borrowed for the call, here and below.
        let text = |text, name| unsafe { owned(text, name) };
        if erasure.received_ms == 0 {
            return Err(invalid(
                "received_ms is 0, which is usually a field left empty; SEXTON_UNKNOWN_MS is now",
            ));
        }
        let within = text(erasure.within, "within")?;
        let span = |text: &str| {
            text.parse::<Span>()
                .map_err(|e| invalid(format!("within {text:?} is no span like 30d or 15wd: {e}")))
        };
        let holidays = text(erasure.holidays, "holidays")?;
        let calendar = Calendar::parse(&holidays).map_err(|e| invalid(format!("holidays: {e}")))?;
        let taken = engine.erase(Erasure {
            // SAFETY: as above.
            selector: unsafe { selector(&erasure.selector) }?,
            received_ms: given_ms(erasure.received_ms).unwrap_or_else(|| engine.now_ms()),
            within: if within.is_empty() { None } else { Some(span(&within)?) },
            calendar,
            cancellable_ms: erasure.cancellable_ms,
            reason: text(erasure.reason, "reason")?,
            author: text(erasure.author, "author")?,
        })?;
        Ok(json::request(&taken))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Cancels an erasure that may still be cancelled. Doing it again is fine.
///
/// SEXTON_NOT_FOUND; SEXTON_TOO_LATE where it is final.
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

/// All requests (erasures, closing down, applied classes, lifted holds) and how far they have come: an array.
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

/// The objects of an erasure that were found so far, each with what it waits for or how it ended: an array.
///
/// SEXTON_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_erasure_items(
    engine: *const sexton_engine,
    number: u32,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| Ok(engine.erasure_items(number)?.iter().map(json::item).collect());
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Forgets a request that is over, and with it whose it was and which objects it concerned.
///
/// SEXTON_NOT_FOUND; SEXTON_INVALID where it is still open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_forget_request(
    engine: *mut sexton_engine,
    number: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.forget_request(number)?)) }
}

/// Closes down a class (SEXTON_SELECT_CLASS) or everything: it takes no objects any more, and what lives in it goes with a
/// slot's notice, at its floor, or when no hold covers it any more. The request is in *json.
///
/// SEXTON_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_close_down(
    engine: *mut sexton_engine,
    what: *const sexton_selector,
    reason: sexton_bytes,
    author: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract it points to a selector.
        let what = unsafe { pointer::borrow(what, "selector") }?;
        // SAFETY: by the contract borrowed for the call.
        let what = unsafe { selector(what) }?;
        // SAFETY: as above.
        let text = |text, name| unsafe { pointer::text(text, name) };
        Ok(json::request(&engine.close_down(what, text(reason, "reason")?, text(author, "author")?)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Applies the newest version of a class to the objects that were registered under earlier ones. The request is in *json.
///
/// SEXTON_INVALID where the class is unknown, or finds or opens in another way than before.
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
        let text = |text, name| unsafe { pointer::text(text, name) };
        let (name, reason) = (text(class_name, "class_name")?, text(reason, "reason")?);
        Ok(json::request(&engine.apply_class(name, reason, text(author, "author")?)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Ends an alarm after somebody has looked; `alarm` is its "id" in sexton_status(). A clock is accepted as it stands now; what
/// was a surprise counts as known.
///
/// SEXTON_NOT_FOUND where no such alarm stands.
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
        let text = |text, name| unsafe { pointer::text(text, name) };
        let id = text(alarm, "alarm")?;
        let (reason, author) = (text(reason, "reason")?, text(author, "author")?);
        let standing = engine.status()?.alarms;
        let found =
            standing.iter().map(|alarm| (json::alarm(alarm), alarm)).find(|(told, _)| told["id"] == id);
        let (_, alarm) = found.ok_or_else(|| crate::error::not_found(format!("no alarm {id:?} stands")))?;
        Ok(json::alarm(&engine.resume(&alarm.id, reason, author)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}
