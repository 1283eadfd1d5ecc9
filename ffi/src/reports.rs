//! Reading the engine: state, status, counters, plan, feed, keys, full check; and the maintenance calls.

use crate::error::sexton_error;
use crate::failure::{invalid, no_number, not_found};
use crate::handle::{sexton_engine, with_engine};
use crate::open::with_signals_blocked;
use crate::pointer::{self, Out, lend};
use crate::reentrancy;
use crate::text::{give_json, give_json_of_driver, sexton_text};
use crate::time::split_instant;
use crate::types::{sexton_bytes, sexton_counters, sexton_id, sexton_planned_object};
use sexton::report::{Action, ClassStatus, EngineState, PlannedObject};
use sexton::{Driver, Engine, json};
use sexton_proof::time::Timestamp;
use std::ffi::c_void;

/// The engine works.
pub const SEXTON_STATE_RUNNING: i32 = 1;
/// Deleting is stopped until the clock is right, or until an operator calls sexton_resume().
pub const SEXTON_STATE_PAUSED: i32 = 2;
/// The log in the folder does not extend the published one, or the folder is a copy. The engine registers, deletes and
/// signs nothing.
pub const SEXTON_STATE_FORKED: i32 = 3;
/// A write failed. The engine writes nothing until it is opened again.
pub const SEXTON_STATE_POISONED: i32 = 4;

/// Writes the state of the engine to *out: SEXTON_STATE_*. Cheap: it reads no disk. Alarms of a single class are only
/// in sexton_status().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_state(
    engine: *const sexton_engine,
    out: *mut i32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        Out::new(out, "out")?.put(match engine.state() {
            EngineState::Running => SEXTON_STATE_RUNNING,
            EngineState::Paused(_) => SEXTON_STATE_PAUSED,
            EngineState::Forked(_) | EngineState::Copy(_) => SEXTON_STATE_FORKED,
            EngineState::Poisoned(_) => SEXTON_STATE_POISONED,
            _ => return Err(no_number("state")),
        });
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Writes the status of the engine to *json, as `sexton status --json` shows it. "needs" has a message for each
/// condition that needs an operator. It visits every page of the index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_status(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let status = driver.engine().status()?;
        let mut needs = driver.engine().needs(&status)?;
        needs.extend(needs_of(driver));
        Ok(json::status(&status, &needs))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json_of_driver(engine, json, error, body) }
}

/// Returns the condition of a driver that needs an operator. A read error stops the driver without poisoning the engine,
/// and a host that never polls sees it only in the status.
pub(crate) fn needs_of(driver: &Driver) -> Option<String> {
    let stopped = |error| format!("deleting has stopped: {error}; close the engine and open it again");
    driver.failure().map(stopped)
}

/// Writes the counts of a class to *out. It visits every page of the index.
///
/// Errors: SEXTON_NOT_FOUND if there is no class of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_class_counters(
    engine: *const sexton_engine,
    class_name: sexton_bytes,
    out: *mut sexton_counters,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract borrowed for the call.
        let name = unsafe { pointer::text(class_name, "class_name") }?;
        let status = engine.status()?;
        let class =
            status.classes.get(name).ok_or_else(|| not_found(format!("there is no class {name:?}")))?;
        out.put(counters(class));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

fn counters(class: &ClassStatus) -> sexton_counters {
    let ended = &class.ended;
    let (has_oldest_overdue, oldest_overdue_ms) = split_instant(class.oldest_overdue);
    sexton_counters {
        registered: class.registered,
        registered_bytes: class.registered_bytes,
        live: class.live,
        held: class.held,
        due: class.due,
        overdue: class.overdue,
        deleted: ended.deleted,
        deleted_bytes: ended.deleted_bytes,
        absent: ended.absent,
        absent_after_intent: ended.absent_after_intent,
        replaced: ended.replaced,
        released: ended.released,
        anonymised: ended.anonymised,
        requested: ended.requested,
        early: ended.early,
        late: ended.late,
        late_after_hold: ended.late_after_hold,
        has_oldest_overdue,
        closed: class.closed,
        oldest_overdue_ms,
    }
}

/// Receives one line of the plan, borrowed for the call. Any return value but 0 ends the plan. It may call every
/// function except sexton_run(), sexton_close() and sexton_engine_free().
pub type sexton_plan_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, planned: *const sexton_planned_object) -> i32>;

/// Calls `visit` with each object that is due by until_ms, or by now if that is later, and with its planned action. It
/// decides by the rules of deleting, and changes nothing. It cannot foresee the answers of the store, nor a breaker
/// that has not tripped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_plan(
    engine: *const sexton_engine,
    until_ms: i64,
    visit: sexton_plan_fn,
    user: *mut c_void,
    error: *mut *mut sexton_error,
) -> i32 {
    let tag = engine.cast();
    let body = |engine: &Engine| {
        let visit = visit.ok_or_else(|| invalid("visit is NULL"))?;
        for planned in engine.plan(Timestamp::from_unix_ms(until_ms))? {
            let planned = planned?;
            let why = why(&planned);
            let (has_floor, floor_ms) = split_instant(planned.floor);
            let (has_ceiling, ceiling_ms) = split_instant(planned.ceiling);
            let lent = sexton_planned_object {
                id: planned.id.into(),
                class_name: lend(planned.class.as_bytes()),
                key: lend(&planned.key),
                action: lend(json::action(&planned.action).as_bytes()),
                why: lend(why.as_bytes()),
                at_ms: planned.at.unix_ms(),
                has_floor,
                has_ceiling,
                floor_ms,
                ceiling_ms,
            };
            // SAFETY: by the contract the host's function may be called with its pointer. `lent` outlives the call.
            if reentrancy::in_callback_of(tag, || unsafe { visit(user, &raw const lent) }) != 0 {
                break;
            }
        }
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

fn why(planned: &PlannedObject) -> String {
    match &planned.action {
        Action::Hold(name) => name.to_string(),
        Action::Stopped(cause) => json::cause(cause),
        _ => planned.reason.name().to_owned(),
    }
}

/// Writes up to `max` deletions of classes with feed = true to *json, as an array in the order of their "number". At
/// most 10,000 are written, even if `max` is larger. The first entry is the one after number `after`; begin with 0, and
/// continue with the last number read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_feed(
    engine: *const sexton_engine,
    after: u64,
    max: usize,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| Ok(engine.feed(after, max)?.iter().map(json::feed_entry).collect());
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Acknowledges the feed: the engine forgets its entries up to and including number `through`. After SEXTON_OK they
/// stay forgotten after a power failure; after SEXTON_POISONED, SEXTON_FULL or SEXTON_IO it is unknown whether they are
/// forgotten.
///
/// Errors: SEXTON_INVALID if the feed has no entry `through` yet; SEXTON_POISONED; SEXTON_FORKED; SEXTON_FULL;
/// SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_acknowledge_feed(
    engine: *mut sexton_engine,
    through: u64,
    error: *mut *mut sexton_error,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.acknowledge_feed(through)?)) }
}

/// Writes the known history of a key to *json, for an object that comes back from a backup. "state" is "live", "ended"
/// or "unknown". Ended objects are remembered for as long as their class says (`remember`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_ended(
    engine: *const sexton_engine,
    key: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let key = unsafe { pointer::bytes(key, "key") }?;
        Ok(json::key_history(key, &engine.ended(key)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Checks all stored data for consistency, and writes the findings to *json: "sound" is true if there are no
/// "problems". It reads everything, and deleting waits meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_check(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let report = engine.check()?;
        let mut object = json::report(&report);
        object["sound"] = report.is_sound().into();
        Ok(object)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Frees the disk space of ended objects, and removes their rows from the files of the index, the write-ahead log (WAL)
/// included. After SEXTON_OK no file has a row of a page that had settled before the call.
///
/// It may be called at any time, and other calls go on. It takes a fraction of the time that the deletions took. The
/// interval between calls bounds how long residue lasts: call it once an hour, for example.
///
/// Errors: SEXTON_BUSY if a scan or a compaction still needs an older file, and then call it again; SEXTON_POISONED;
/// SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_reclaim(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| with_signals_blocked(|| Ok(engine.reclaim()?))) }
}

/// Publishes the log now. The engine publishes by itself; this call is for retrying after a failure, or for publishing
/// without waiting for batches in flight.
///
/// Errors: SEXTON_FORKED; SEXTON_POISONED; SEXTON_FULL; SEXTON_IO.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_publish(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.publish()?)) }
}

/// Writes the id of the live registration of a key to *out, for classes with find = "key" or "version". `version` is
/// empty, or the version of the registration. sexton_api() lists all live versions of a key.
///
/// Errors: SEXTON_NOT_FOUND if there is none; SEXTON_INVALID if `version` is empty and several versions of the key live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_find(
    engine: *const sexton_engine,
    key: sexton_bytes,
    version: sexton_bytes,
    out: *mut sexton_id,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract borrowed for the call.
        let key = unsafe { pointer::bytes(key, "key") }?;
        // SAFETY: by the contract borrowed for the call.
        let version = unsafe { pointer::bytes(version, "version") }?;
        let found = if version.is_empty() {
            engine.find(key)?.ok_or_else(|| not_found("no live registration has this key"))?
        } else {
            let found = engine.find_version(key, version)?;
            found.ok_or_else(|| not_found("no live registration has this key and version"))?
        };
        out.put(found.into());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}
