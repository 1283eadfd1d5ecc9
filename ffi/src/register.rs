//! Registrations and changes: calls that wait, and submissions with completions.

use crate::error::sexton_error;
use crate::failure::{CallResult, invalid};
use crate::handle::{sexton_engine, with_driver, with_engine};
use crate::pointer::{self, Out, optional};
use crate::results::sexton_results;
use crate::time::instant;
use crate::types::{sexton_bytes, sexton_object_change, sexton_registration};
use sexton::limits::REGISTER_MAX;
use sexton::{Change, Driver, Durability, Engine, RegisterOptions, Registration, Which};
use std::ffi::c_int;
use std::os::fd::AsRawFd;
use std::ptr;

/// Flag: the call does not wait for the fsync. Its effects survive the end of the process. They survive a power failure
/// only after sexton_sync(), or after a later call without this flag.
pub const SEXTON_BUFFERED: u32 = 1;
/// Flag of registering: keys with a live registration are left alone (SEXTON_PREVIOUS_KEPT).
pub const SEXTON_ONLY_MISSING: u32 = 2;

/// Kind of a change: sets the start of an object that was registered without one.
pub const SEXTON_START: i32 = 1;
/// Kind of a change: moves the object to another class or start. Its floor and ceiling are those of the new class and
/// start.
pub const SEXTON_RESCHEDULE: i32 = 2;
/// Kind of a change: records that the host has deleted the object itself.
pub const SEXTON_RELEASE: i32 = 3;
/// Kind of a change: states that the object has other content, such as a file that was written again or grew. Class,
/// holds and erasures stay. A later start moves floor and ceiling; one that is not later changes nothing.
pub const SEXTON_CONTENT: i32 = 4;
/// Kind of a change: states that the object is stored under another key, such as a file that was renamed. Class, holds and
/// erasures stay. Holds and erasures by key cover it under its first key as well, and its receipt names that one. An object
/// that is live under the new key is replaced. Renames that follow each other in a call are applied together, so two objects
/// may exchange their keys. To repeat such a call safely, name the objects by id.
pub const SEXTON_RENAME: i32 = 5;

/// Reads the flags of a call that registers.
fn register_options(flags: u32) -> CallResult<RegisterOptions> {
    let options = RegisterOptions::from(durability(flags, SEXTON_BUFFERED | SEXTON_ONLY_MISSING)?);
    Ok(if flags & SEXTON_ONLY_MISSING != 0 { options.only_missing() } else { options })
}

fn durability(flags: u32, allowed: u32) -> CallResult<Durability> {
    if flags & !allowed != 0 {
        return Err(invalid(format!("flags {flags:#x}; only {allowed:#x} are allowed here")));
    }
    Ok(if flags & SEXTON_BUFFERED != 0 { Durability::Buffered } else { Durability::Synced })
}

/// Borrows the registrations of a call.
unsafe fn registrations<'a>(
    lent: *const sexton_registration,
    len: usize,
) -> CallResult<Vec<Registration<'a>>> {
    // SAFETY: by the contract borrowed for the call.
    let lent = unsafe { pointer::values(lent, len, "registrations") }?;
    pointer::at_most(len, REGISTER_MAX, "registrations")?;
    let mut out: Vec<Registration<'a>> = Vec::with_capacity(lent.len());
    let mut last: Option<(sexton_bytes, &'a str)> = None;
    for (index, from) in lent.iter().enumerate() {
        // Neighbours usually lend the same class name at the same address. It is validated once.
        let known =
            last.filter(|(name, _)| (name.data, name.len) == (from.class_name.data, from.class_name.len));
        // SAFETY: by the contract borrowed for the call.
        let registration = unsafe { registration(from, known.map(|(_, name)| name)) };
        let registration = registration.map_err(|failure| {
            invalid(format!("registration {} of {len}: {}", index + 1, failure.message))
        })?;
        last = Some((from.class_name, registration.class));
        out.push(registration);
    }
    Ok(out)
}

#[inline]
unsafe fn registration<'a>(
    from: &sexton_registration,
    class: Option<&'a str>,
) -> CallResult<Registration<'a>> {
    // SAFETY: by the contract borrowed for the call.
    let lent = |bytes, name| unsafe { pointer::bytes(bytes, name) };
    let class = match class {
        Some(class) => class,
        // SAFETY: by the contract borrowed for the call.
        None => unsafe { pointer::text(from.class_name, "class_name") }?,
    };
    Ok(Registration::new(class, lent(from.key, "key")?)
        .version(lent(from.version, "version")?)
        .start(instant(from.has_start, from.start_ms, "has_start", "start_ms")?)
        .digest(lent(from.digest, "digest")?)
        .size(optional(from.has_size, from.size_bytes, "has_size", "size_bytes")?)
        .subject(lent(from.subject, "subject")?))
}

/// Borrows the changes of a call.
unsafe fn changes<'a>(lent: *const sexton_object_change, len: usize) -> CallResult<Vec<Change<'a>>> {
    // SAFETY: by the contract borrowed for the call.
    let lent = unsafe { pointer::values(lent, len, "changes") }?;
    pointer::at_most(len, REGISTER_MAX, "changes")?;
    let read = |(index, from): (usize, &sexton_object_change)| {
        // SAFETY: by the contract borrowed for the call.
        let change = unsafe { change(from) };
        change.map_err(|failure| invalid(format!("change {} of {len}: {}", index + 1, failure.message)))
    };
    lent.iter().enumerate().map(read).collect()
}

unsafe fn change<'a>(from: &sexton_object_change) -> CallResult<Change<'a>> {
    // SAFETY: by the contract borrowed for the call.
    let key = unsafe { pointer::bytes(from.key, "key") }?;
    // SAFETY: by the contract borrowed for the call.
    let of_version = unsafe { pointer::bytes(from.of_version, "of_version") }?;
    let of = match (key.is_empty(), of_version.is_empty()) {
        (true, true) => Which::Id(from.id.into()),
        (true, false) => return Err(invalid("an of_version without a key; set key, or clear of_version")),
        (false, true) => Which::Key(key),
        (false, false) => Which::Version { key, version: of_version },
    };
    let start = instant(from.has_start, from.start_ms, "has_start", "start_ms")?;
    Ok(match from.kind {
        SEXTON_START => {
            let start = start.ok_or_else(|| invalid("SEXTON_START without a start; set has_start"))?;
            Change::Start { of, start }
        }
        SEXTON_RESCHEDULE => {
            // SAFETY: by the contract borrowed for the call.
            let class = unsafe { pointer::text(from.class_name, "class_name") }?;
            Change::Reschedule { of, class: Some(class).filter(|name| !name.is_empty()), start }
        }
        SEXTON_RELEASE => Change::Release { of },
        SEXTON_CONTENT => {
            // SAFETY: by the contract borrowed for the call.
            let version = unsafe { pointer::bytes(from.version, "version") }?;
            let size = optional(from.has_size, from.size_bytes, "has_size", "size_bytes")?;
            Change::Content { of, version, size, start }
        }
        SEXTON_RENAME => {
            // SAFETY: by the contract borrowed for the call.
            let to = unsafe { pointer::bytes(from.new_key, "new_key") }?;
            Change::Rename { of, to }
        }
        kind => return Err(invalid(format!("a change of kind {kind}; 1 to 5 are allowed"))),
    })
}

/// Registers all objects, or none if one is invalid. At most 100,000 in a call. Waits for an fsync, which concurrent
/// calls share. *out gets one result per registration. `flags` is 0 or a combination of SEXTON_BUFFERED and
/// SEXTON_ONLY_MISSING.
///
/// After SEXTON_OK the registrations survive a power failure; with SEXTON_BUFFERED, the end of the process. After
/// SEXTON_INVALID none was made. After another status it is unknown which were made. Registering the same objects again
/// is then safe if their class has find = "key" and they have versions.
///
/// Errors: SEXTON_INVALID with the registration, the value and the bound; SEXTON_HELD if a hold on the object's class
/// or subject, or a waiting erasure of its subject, forbids another one; SEXTON_FULL; SEXTON_IO; SEXTON_POISONED; SEXTON_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_register(
    engine: *mut sexton_engine,
    registrations: *const sexton_registration,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let options = register_options(flags)?;
        // SAFETY: by the contract borrowed for the call.
        let registrations = unsafe { self::registrations(registrations, len) }?;
        let answers = engine.register(&registrations, options)?;
        out.give(sexton_results::of_registered(0, answers.into_iter().map(Some)));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Applies changes to registered objects, each independently of the others. At most 100,000 in a call. Waits for an
/// fsync. *out gets one result with a status per change. A change that was already applied succeeds again. `flags` is 0
/// or SEXTON_BUFFERED.
///
/// After SEXTON_OK the applied changes survive a power failure; with SEXTON_BUFFERED, the end of the process. After
/// SEXTON_INVALID none was applied. After another status it is unknown which were applied.
///
/// Errors: SEXTON_INVALID if a change is malformed; SEXTON_FULL; SEXTON_IO; SEXTON_POISONED; SEXTON_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_change(
    engine: *mut sexton_engine,
    changes: *const sexton_object_change,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let changes = unsafe { self::changes(changes, len) }?;
        out.give(sexton_results::of_changed(0, engine.change(&changes, durability)?));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Registers objects that came back from a backup after their end, so that they are deleted again at once. Each gets
/// the class and start with which it ended. Those in the registration are ignored. A key that is live, or whose end is
/// not remembered, has the status SEXTON_NOT_FOUND in *out. At most 100,000 in a call. `flags` is 0 or SEXTON_BUFFERED.
///
/// Durability and errors are those of sexton_register().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_delete_again(
    engine: *mut sexton_engine,
    registrations: *const sexton_registration,
    len: usize,
    flags: u32,
    out: *mut *mut sexton_results,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        let out = Out::new(out, "out")?;
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let registrations = unsafe { self::registrations(registrations, len) }?;
        out.give(sexton_results::of_registered(0, engine.delete_again(&registrations, durability)?));
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Makes earlier calls with SEXTON_BUFFERED durable. After SEXTON_OK their effects survive a power failure; after
/// another status it is unknown which do.
///
/// Errors: SEXTON_POISONED; SEXTON_IO; SEXTON_FULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_sync(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, |engine| Ok(engine.sync()?)) }
}

/// Copies and queues registrations, and returns without waiting. sexton_next_completion() gives their results under
/// this token, in the order of submission. They are as durable as those of sexton_register(). Until then it is unknown
/// whether they are made. `flags` is 0 or a combination of SEXTON_BUFFERED and SEXTON_ONLY_MISSING.
///
/// Errors: SEXTON_BUSY if the option queue_objects is reached; SEXTON_INVALID if a registration is malformed or there
/// are more than 100,000; the status with which the engine stopped. Other invalid values are reported by the
/// completion.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_submit_register(
    engine: *mut sexton_engine,
    token: u64,
    registrations: *const sexton_registration,
    len: usize,
    flags: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let options = register_options(flags)?;
        // SAFETY: by the contract borrowed for the call.
        let registrations = unsafe { self::registrations(registrations, len) }?;
        Ok(driver.submit(token, &registrations, options)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Copies and queues changes, and returns without waiting. sexton_next_completion() gives their results under this
/// token, in the order of submission. They are as durable as those of sexton_change(). Until then it is unknown whether
/// they are applied. `flags` is 0 or SEXTON_BUFFERED.
///
/// Errors: SEXTON_BUSY if the option queue_objects is reached; SEXTON_INVALID if a change is malformed or there are
/// more than 100,000; the status with which the engine stopped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_submit_change(
    engine: *mut sexton_engine,
    token: u64,
    changes: *const sexton_object_change,
    len: usize,
    flags: u32,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |driver: &Driver| {
        let durability = durability(flags, SEXTON_BUFFERED)?;
        // SAFETY: by the contract borrowed for the call.
        let changes = unsafe { self::changes(changes, len) }?;
        Ok(driver.submit_changes(token, &changes, durability)?)
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, body) }
}

/// Takes the next completed submission. *out is NULL if there is none. Never waits.
///
/// Errors: the status with which the engine stopped, once all completions are taken.
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

/// Writes a file descriptor for poll() to *out. It is readable exactly while a completion or a sub-batch can be taken,
/// and once if the engine stopped. The engine owns it until it is closed: do not read from it, and do not close it.
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
