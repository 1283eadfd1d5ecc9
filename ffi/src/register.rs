//! Registering and changing, blocking and not.

use crate::batch::at_most;
use crate::error::{Outcome, invalid, sexton_error};
use crate::handle::{sexton_engine, with_driver, with_engine};
use crate::pointer::{self, Out};
use crate::results::sexton_results;
use crate::types::{SEXTON_UNKNOWN_MS, sexton_bytes, sexton_change, sexton_registration};
use sexton::{Change, Driver, Durability, Engine, REGISTER_MAX, Registration, Which};
use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::ptr;

/// Flag: do not wait for the fsync. What was answered so survives the end of the process, and the loss of power only after
/// sexton_sync() or a later call without this flag.
pub const SEXTON_BUFFERED: u32 = 1;
/// Flag of registering: leave keys alone that have a live registration (SEXTON_EARLIER_STANDS).
pub const SEXTON_ONLY_MISSING: u32 = 2;

/// Kind of a change: the start, not known so far, is start_ms.
pub const SEXTON_START: i32 = 1;
/// Kind of a change: the object falls under other terms.
pub const SEXTON_RESCHEDULE: i32 = 2;
/// Kind of a change: the host has deleted the object itself.
pub const SEXTON_RELEASE: i32 = 3;

fn durability(flags: u32, allowed: u32) -> Outcome<Durability> {
    if flags & !allowed != 0 {
        return Err(invalid(format!("flags {flags:#x}; only {allowed:#x} are allowed here")));
    }
    Ok(if flags & SEXTON_BUFFERED != 0 { Durability::Buffered } else { Durability::Synced })
}

/// An instant, where one is given.
pub(crate) fn given_ms(ms: i64) -> Option<i64> {
    Some(ms).filter(|ms| *ms != SEXTON_UNKNOWN_MS)
}

/// The registrations that C lends.
unsafe fn registrations<'a>(items: *const sexton_registration, len: usize) -> Outcome<Vec<Registration<'a>>> {
    // SAFETY: by the contract borrowed for the call.
    let items = unsafe { pointer::values(items, len, "items") }?;
    at_most(len, REGISTER_MAX, "registrations")?;
    let mut out: Vec<Registration<'a>> = Vec::with_capacity(items.len());
    let mut last: Option<(sexton_bytes, &'a str)> = None;
    for (at, item) in items.iter().enumerate() {
        // Neighbours mostly lend the same name: it is looked at once.
        let known =
            last.filter(|(lent, _)| (lent.data, lent.len) == (item.class_name.data, item.class_name.len));
        // SAFETY: by the contract borrowed for the call.
        let one = unsafe { registration(item, known.map(|(_, name)| name)) };
        let one =
            one.map_err(|failure| invalid(format!("registration {} of {len}: {}", at + 1, failure.message)))?;
        last = Some((item.class_name, one.class));
        out.push(one);
    }
    Ok(out)
}

#[inline]
unsafe fn registration<'a>(item: &sexton_registration, class: Option<&'a str>) -> Outcome<Registration<'a>> {
    // SAFETY: by the contract borrowed for the call.
    let lent = |bytes, name| unsafe { pointer::bytes(bytes, name) };
    let class = match class {
        Some(class) => class,
        // SAFETY: as above.
        None => unsafe { pointer::text(item.class_name, "class_name") }?,
    };
    Ok(Registration {
        key: lent(item.key, "key")?,
        class,
        version: lent(item.version, "version")?,
        start_ms: given_ms(item.start_ms),
        digest: lent(item.digest, "digest")?,
        size_bytes: item.size_bytes,
        subject: lent(item.subject, "subject")?,
    })
}

/// The changes that C lends.
unsafe fn changes<'a>(items: *const sexton_change, len: usize) -> Outcome<Vec<Change<'a>>> {
    // SAFETY: by the contract borrowed for the call.
    let items = unsafe { pointer::values(items, len, "items") }?;
    at_most(len, REGISTER_MAX, "changes")?;
    let one = |(at, item): (usize, &sexton_change)| {
        // SAFETY: by the contract borrowed for the call.
        let changed = unsafe { change(item) };
        changed.map_err(|failure| invalid(format!("change {} of {len}: {}", at + 1, failure.message)))
    };
    items.iter().enumerate().map(one).collect()
}

unsafe fn change<'a>(item: &sexton_change) -> Outcome<Change<'a>> {
    // SAFETY: by the contract borrowed for the call.
    let key = unsafe { pointer::bytes(item.key, "key") }?;
    let of = if key.is_empty() { Which::Id(item.id.into()) } else { Which::Key(key) };
    let start_ms = given_ms(item.start_ms);
    Ok(match item.kind {
        SEXTON_START => {
            let start_ms =
                start_ms.ok_or_else(|| invalid("start_ms is SEXTON_UNKNOWN_MS; a start needs an instant"))?;
            Change::Start { of, start_ms }
        }
        SEXTON_RESCHEDULE => {
            // SAFETY: as above.
            let class = unsafe { pointer::text(item.class_name, "class_name") }?;
            Change::Reschedule { of, class: Some(class).filter(|name| !name.is_empty()), start_ms }
        }
        SEXTON_RELEASE => Change::Release { of },
        kind => return Err(invalid(format!("a change of kind {kind}; there are 1 to 3"))),
    })
}

/// Registers all items or, where one of them is invalid, none; blocks for the fsync, which it shares with everybody who
/// waits. At most 100,000 items.
///
/// After SEXTON_OK they survive the loss of power (with SEXTON_BUFFERED the end of the process). After SEXTON_INVALID nothing
/// was applied. After another status it is unknown which were, and registering the same again is safe where the class finds
/// by key and versions are given.
///
/// SEXTON_INVALID with the item, the value and the bound; SEXTON_HELD, SEXTON_FULL, SEXTON_IO, SEXTON_POISONED,
/// SEXTON_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_register(
    engine: *mut sexton_engine,
    items: *const sexton_registration,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let durability = durability(flags, SEXTON_BUFFERED | SEXTON_ONLY_MISSING)?;
        // SAFETY: by the contract borrowed for the call.
        let items = unsafe { registrations(items, len) }?;
        let answers = match flags & SEXTON_ONLY_MISSING {
            0 => engine.register(&items, durability)?,
            _ => engine.register_missing(&items, durability)?,
        };
        out.give(sexton_results::of_registered(0, answers.into_iter().map(Some)));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Applies each change or says why not; one fsync for all. A change that is asked for again is answered as done.
///
/// After SEXTON_OK what was applied survives the loss of power (with SEXTON_BUFFERED the end of the process); each item has
/// a status of its own. SEXTON_INVALID where an item cannot be read: then none was applied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_change_all(
    engine: *mut sexton_engine,
    items: *const sexton_change,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let changes = unsafe { changes(items, len) }?;
        out.give(sexton_results::of_changed(0, engine.change(&changes, durability)?));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Registers objects that came back from a backup after their end, so that they are deleted again at once: in the class and
/// with the start that they had. An item of which nothing is known, or that lives, has the status SEXTON_NOT_FOUND.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_delete_again(
    engine: *mut sexton_engine,
    items: *const sexton_registration,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let items = unsafe { registrations(items, len) }?;
        out.give(sexton_results::of_registered(0, engine.delete_again(&items, durability)?));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Makes durable what was answered with SEXTON_BUFFERED so far: after SEXTON_OK it survives the loss of power.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_sync(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.sync()?)) }
}

/// Copies the items, queues them, and returns at once. The answers come as the completion with this token, as durable as
/// sexton_register() would have made them; before that nothing is known to have happened. Completions come in the order of
/// submitting.
///
/// SEXTON_BUSY where more than queue_objects are queued, or completed and not taken; SEXTON_INVALID where an item cannot be
/// read or there are too many (what else is invalid the completion says).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_submit_register(
    engine: *mut sexton_engine,
    token: u64,
    items: *const sexton_registration,
    len: usize,
    flags: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let durability = durability(flags, SEXTON_BUFFERED | SEXTON_ONLY_MISSING)?;
        // SAFETY: by the contract borrowed for the call.
        let items = unsafe { registrations(items, len) }?;
        Ok(driver.submit(token, &items, durability, flags & SEXTON_ONLY_MISSING != 0)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// The same for changes: sexton_change_all() without waiting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_submit_change(
    engine: *mut sexton_engine,
    token: u64,
    items: *const sexton_change,
    len: usize,
    flags: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let changes = unsafe { changes(items, len) }?;
        Ok(driver.submit_changes(token, &changes, durability)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Takes the next completion; *out is NULL where none is there yet. Never waits.
///
/// What stopped the engine, where it stopped and every completion was taken.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_next_completion(
    engine: *mut sexton_engine,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let out = Out::new(out, "out")?;
        match driver.next_completion()? {
            Some(completion) => out.give(sexton_results::of_completion(completion)),
            None => out.put(ptr::null_mut()),
        }
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// A file descriptor for poll(): readable exactly while a completion or a sub-batch can be taken, and once where the engine
/// stopped. It belongs to the engine and goes with it: do not read from it, do not close it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_event_fd(
    engine: *const sexton_engine,
    out: *mut c_int,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        Out::new(out, "out")?.put(driver.event_fd().as_raw_fd());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}
