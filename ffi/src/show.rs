//! What is shown: state, status, counters, the plan ahead, the feed, screening, the full check.

use crate::error::{not_found, sexton_error};
use crate::handle::{sexton_engine, with_engine, with_signals_blocked};
use crate::inside;
use crate::pointer::{self, Out, lend};
use crate::text::{give_json, give_json_of_driver, sexton_text};
use crate::types::{SEXTON_UNKNOWN_MS, sexton_bytes, sexton_counters, sexton_forecast};
use sexton::{Action, ClassStatus, Driver, Engine, Forecast, State, json};
use std::ffi::c_void;
use std::ops::ControlFlow;

/// The engine does its work.
pub const SEXTON_STATE_RUNNING: i32 = 1;
/// Nothing is deleted until the clock is right or a person resumes.
pub const SEXTON_STATE_PAUSED: i32 = 2;
/// The log here is not the one that was published: nothing is signed, registered or deleted.
pub const SEXTON_STATE_FORKED: i32 = 3;
/// A write failed: nothing more is written until the engine is reopened.
pub const SEXTON_STATE_POISONED: i32 = 4;

/// Whether the engine does its work: SEXTON_STATE_*. Cheap. What stops a single class is in sexton_status().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_state(
    engine: *const sexton_engine,
    out: *mut i32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        Out::new(out, "out")?.put(match engine.state() {
            State::Running => SEXTON_STATE_RUNNING,
            State::Paused(_) => SEXTON_STATE_PAUSED,
            State::Forked(_) => SEXTON_STATE_FORKED,
            State::Poisoned(_) => SEXTON_STATE_POISONED,
        });
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// What the engine is doing and what needs a person, as `sexton status --json` shows it. Costs a look at every page.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_status(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let status = driver.engine().status()?;
        let mut needs = driver.engine().needs(&status)?;
        // An error that poisons nothing, as one in reading, shows nowhere else to who never polls.
        let stopped = |error| format!("deleting has stopped: {error}; close the engine and open it again");
        needs.extend(driver.failure().map(stopped));
        Ok(json::status(&status, &needs))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json_of_driver(engine, json, error, body) }
}

/// The counts of a class. Costs as much as sexton_status().
///
/// SEXTON_NOT_FOUND where there is no such class.
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
        early: ended.early,
        late: ended.late,
        late_after_hold: ended.late_after_hold,
        oldest_overdue_ms: class.oldest_overdue_ms.unwrap_or(SEXTON_UNKNOWN_MS),
        closed: class.closed,
    }
}

/// Is shown one line of the plan, borrowed for the call; anything but 0 ends it. It may call every function but
/// sexton_run(), sexton_close() and sexton_engine_free().
pub type sexton_forecast_fn =
    Option<unsafe extern "C" fn(user: *mut c_void, forecast: *const sexton_forecast) -> i32>;

/// Shows every object whose time comes by until_ms (at least now), and what will be done with it. Decides as deleting does, and
/// changes nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_plan(
    engine: *const sexton_engine,
    until_ms: i64,
    visit: sexton_forecast_fn,
    user: *mut c_void,
    error: *mut *mut sexton_error,
) -> i32 {
    let handle = engine;
    let body = |engine: &Engine| {
        let visit = visit.ok_or_else(|| crate::error::invalid("visit is NULL"))?;
        let mut show = |one: Forecast| {
            let why = match &one.action {
                Action::Hold(name) => name.clone(),
                Action::Stopped(cause) => json::cause(cause),
                _ => one.reason.name().to_owned(),
            };
            let shown = sexton_forecast {
                id: one.id.into(),
                class_name: lend(one.class.as_bytes()),
                key: lend(&one.key),
                action: lend(json::action(&one.action).as_bytes()),
                why: lend(why.as_bytes()),
                at_ms: one.at_ms,
                floor_ms: one.floor_ms,
                ceiling_ms: one.ceiling_ms,
            };
            // SAFETY: by the contract the host's function may be called with its pointer; what it is shown outlives it.
            match inside::a_callback_of(handle, || unsafe { visit(user, &raw const shown) }) {
                0 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        };
        Ok(engine.plan(until_ms, &mut show)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Up to `max` (at most 10,000) deletions behind number `after`, of the classes with feed = true: an array, in their order.
/// Remember the last "number", and go on behind it.
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

/// Forgets the feed up to number `through`. After SEXTON_OK that survives the loss of power.
///
/// SEXTON_INVALID where there is no such entry yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_acknowledge_feed(
    engine: *mut sexton_engine,
    through: u64,
    error: *mut *mut sexton_error,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.acknowledge_feed(through)?)) }
}

/// What is known of a key that comes back from a backup: "state" is "live", "ended" or "unknown".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_screen(
    engine: *const sexton_engine,
    key: sexton_bytes,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        // SAFETY: by the contract borrowed for the call.
        let key = unsafe { pointer::bytes(key, "key") }?;
        Ok(json::screened(key, &engine.screen(key)?))
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Checks everything that is stored against everything else, and tells in *json what it found ("sound", "problems"). Reads all
/// of it; deleting waits meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_check(
    engine: *const sexton_engine,
    json: *mut *mut sexton_text,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let report = engine.check()?;
        let mut told = json::report(&report);
        told["sound"] = report.is_sound().into();
        Ok(told)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { give_json(engine, json, error, body) }
}

/// Cleans up behind what has ended: gives its disk space back and clears its rows out of the index's files. After SEXTON_OK no
/// row of a page that had settled before the call is in any of them, log of writes included. Safe at any time; blocks
/// for a fraction of the time that deleting took. Call it as often as traces may last, once an hour for example.
/// SEXTON_BUSY: a scan or another merge still needs an older file; call it again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_reclaim(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| with_signals_blocked(|| Ok(engine.reclaim()?))) }
}

/// Publishes the log, where an earlier attempt failed or batches that are still out are not to be waited for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_publish(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.publish()?)) }
}
