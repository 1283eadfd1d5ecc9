//! Options of an engine: opaque, set by name.

use crate::batch::{DeleteTarget, sexton_delete_fn};
use crate::clock::{HostClock, sexton_clock_fn};
use crate::error::{call, plain, sexton_error};
use crate::failure::{CallResult, Failure, invalid};
use crate::logging::{LogTarget, sexton_log_fn};
use crate::pointer;
use crate::types::sexton_bytes;
use sexton::limits::SHARDS_MAX;
use sexton::{ClassSet, DriverOptions, Options};
use std::ffi::c_void;
use std::ptr;
use std::time::Duration;
use tracing::Level;

/// Options for opening an engine. Opaque; made by sexton_options_new(), set by name, read by sexton_open(), and freed
/// by sexton_options_free(). One thread at a time may use them.
pub struct sexton_options {
    pub(crate) engine: Options,
    pub(crate) driver: DriverOptions,
    pub(crate) log: Option<LogTarget>,
    pub(crate) log_level: Level,
    pub(crate) delete: Option<DeleteTarget>,
    pub(crate) clock: Option<HostClock>,
    classes: ClassSet,
    built_in: bool,
}

impl Default for sexton_options {
    fn default() -> Self {
        sexton_options {
            engine: Options::default(),
            driver: DriverOptions::default(),
            log: None,
            log_level: Level::WARN,
            delete: None,
            clock: None,
            classes: ClassSet::empty(),
            built_in: true,
        }
    }
}

impl sexton_options {
    /// Returns the engine's options, with the built-in and the given classes.
    pub(crate) fn engine(&self) -> Options {
        let built_in = if self.built_in { ClassSet::built_in() } else { ClassSet::empty() };
        self.engine.clone().classes(built_in.and(self.classes.clone()))
    }

    fn set(&mut self, name: &str, value: &str) -> CallResult<()> {
        match name {
            "origin" => self.engine.origin = Some(value.to_owned()),
            "classes" => self.classes = ClassSet::from_toml(value)?,
            "builtin_classes" => self.built_in = flag(name, value)?,
            "log_level" => {
                self.log_level = match value {
                    "error" => Level::ERROR,
                    "warn" => Level::WARN,
                    "info" => Level::INFO,
                    "debug" => Level::DEBUG,
                    _ => {
                        return Err(invalid(format!(
                            "log_level {value:?}; error, warn, info and debug are allowed"
                        )));
                    }
                }
            }
            _ if NUMBERS.contains(&name) => {
                let number =
                    value.parse().map_err(|e| invalid(format!("{name} = {value:?} is not a number: {e}")))?;
                self.set_number(name, number)?;
            }
            _ => return Err(unknown(name)),
        }
        Ok(())
    }

    fn set_number(&mut self, name: &str, value: u64) -> CallResult<()> {
        check_bounds(name, value)?;
        let (engine, driver) = (&mut self.engine, &mut self.driver);
        match name {
            "shards" => engine.shards = Some(fit(name, value)?),
            "batch_objects" => engine.batch_objects = fit(name, value)?,
            "batches_in_flight" => {
                driver.batches_in_flight = fit(name, value)?;
                engine.max_batches_in_flight = engine.max_batches_in_flight.max(value);
            }
            "sub_batch_objects" => driver.sub_batch_objects = fit(name, value)?,
            "answer_timeout_ms" => {
                let ms = fit::<u32>(name, value)?;
                driver.answer_timeout = Duration::from_millis(ms.into());
            }
            "queue_objects" => driver.queue_objects = fit(name, value)?,
            "threads" => {
                driver.threads = value > 0;
                engine.threads = if value > 0 { None } else { Some(0) };
            }
            "handler_threads" => driver.handler_threads = fit(name, value)?,
            "disk_reserve_bytes" => engine.disk_reserve_bytes = value,
            "clock_step_max_ms" => engine.clock.get_or_insert_default().step_max = span(name, value)?,
            "clock_time_off_max_ms" => engine.clock.get_or_insert_default().time_off_max = span(name, value)?,
            "breaker_objects" => engine.breaker.get_or_insert_default().objects = value,
            "breaker_share_percent" => {
                engine.breaker.get_or_insert_default().share_percent = fit(name, value)?;
            }
            "rocksdb_cache_bytes" => engine.rocks.cache_bytes = fit(name, value)?,
            "rocksdb_write_buffer_bytes" => engine.rocks.write_buffer_bytes = fit(name, value)?,
            "rocksdb_wal_bytes" => engine.rocks.wal_bytes = value,
            "rocksdb_file_bytes" => engine.rocks.file_bytes = value,
            "memtable_keys" => engine.memtable_keys = fit(name, value)?,
            "rocksdb_open_files" => engine.rocks.open_files = fit(name, value)?,
            _ => return Err(unknown(name)),
        }
        Ok(())
    }
}

/// Options that are numbers.
const NUMBERS: [&str; 19] = [
    "shards",
    "batch_objects",
    "batches_in_flight",
    "sub_batch_objects",
    "answer_timeout_ms",
    "queue_objects",
    "threads",
    "handler_threads",
    "disk_reserve_bytes",
    "clock_step_max_ms",
    "clock_time_off_max_ms",
    "breaker_objects",
    "breaker_share_percent",
    "rocksdb_cache_bytes",
    "rocksdb_write_buffer_bytes",
    "rocksdb_wal_bytes",
    "rocksdb_file_bytes",
    "memtable_keys",
    "rocksdb_open_files",
];

/// Refuses a value with which no engine can be opened.
fn check_bounds(name: &str, value: u64) -> CallResult<()> {
    let (least, most) = match name {
        "shards" => (1, SHARDS_MAX.into()),
        "handler_threads" => (1, 1_024),
        "breaker_share_percent" => (0, 100),
        "batch_objects" | "batches_in_flight" | "sub_batch_objects" | "answer_timeout_ms"
        | "queue_objects" | "memtable_keys" => (1, u64::MAX),
        _ => (0, u64::MAX),
    };
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(invalid(format!("{name} = {value}; {least} to {most} are allowed")))
}

fn unknown(name: &str) -> Failure {
    invalid(format!(
        "there is no option {name:?}; there are origin, classes, builtin_classes, log_level, {}",
        NUMBERS.join(", ")
    ))
}

fn fit<T: TryFrom<u64>>(name: &str, value: u64) -> CallResult<T> {
    T::try_from(value).map_err(|_| invalid(format!("{name} = {value} is too large")))
}

/// Reads a span in ms, at most `i64::MAX`.
fn span(name: &str, value: u64) -> CallResult<Duration> {
    fit::<i64>(name, value).map(|_| Duration::from_millis(value))
}

fn flag(name: &str, value: &str) -> CallResult<bool> {
    value.parse().map_err(|_| invalid(format!("{name} = {value:?}; true and false are allowed")))
}

/// Returns the default options. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn sexton_options_new() -> *mut sexton_options {
    plain(ptr::null_mut(), || Box::into_raw(Box::new(sexton_options::default())))
}

/// Frees options. NULL is allowed. Open engines do not need their options.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_free(options: *mut sexton_options) {
    // SAFETY: by the contract NULL or options that are not freed yet.
    plain((), || drop(unsafe { pointer::take(options) }));
}

/// Sets an option from text. docs/c-api.md lists the options with their bounds and defaults.
///
/// Errors: SEXTON_INVALID if there is no such option or the value is out of bounds; the options are then unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_set(
    options: *mut sexton_options,
    name: sexton_bytes,
    value: sexton_bytes,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or options that only this thread uses.
        let options = unsafe { pointer::borrow_mut(options, "options") }?;
        // SAFETY: by the contract borrowed for the call.
        let name = unsafe { pointer::text(name, "name") }?;
        // SAFETY: by the contract borrowed for the call.
        options.set(name, unsafe { pointer::text(value, "value") }?)
    })
}

/// Sets an option that is a number.
///
/// Errors: SEXTON_INVALID if there is no such number option or the value is out of bounds; the options are then
/// unchanged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_set_uint(
    options: *mut sexton_options,
    name: sexton_bytes,
    value: u64,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or options that only this thread uses.
        let options = unsafe { pointer::borrow_mut(options, "options") }?;
        // SAFETY: by the contract borrowed for the call.
        options.set_number(unsafe { pointer::text(name, "name") }?, value)
    })
}

/// Sets the log callback. NULL, the default, discards log lines. The library never writes to stdout or stderr.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_set_log(
    options: *mut sexton_options,
    log: sexton_log_fn,
    user: *mut c_void,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or options that only this thread uses.
        unsafe { pointer::borrow_mut(options, "options") }?.log = LogTarget::new(log, user);
        Ok(())
    })
}

/// Sets the delete callback, which is called with each sub-batch. With NULL, the default, the host takes sub-batches
/// with sexton_next_batch().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_set_delete(
    options: *mut sexton_options,
    delete_fn: sexton_delete_fn,
    user: *mut c_void,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or options that only this thread uses.
        unsafe { pointer::borrow_mut(options, "options") }?.delete = DeleteTarget::new(delete_fn, user);
        Ok(())
    })
}

/// Sets clocks of the host, for tests and simulation. With NULL for both, the default, the engine reads the machine's
/// clocks.
///
/// wall_ms returns Unix ms and may step. monotonic_ms never goes back while an engine is open. Both count as
/// synchronised. If the wall clock steps ahead of the monotonic clock, deleting pauses. A test that advances both
/// therefore advances the monotonic clock first.
///
/// Errors: SEXTON_INVALID if exactly one of them is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_options_set_clock(
    options: *mut sexton_options,
    wall_ms: sexton_clock_fn,
    monotonic_ms: sexton_clock_fn,
    user: *mut c_void,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or options that only this thread uses.
        let options = unsafe { pointer::borrow_mut(options, "options") }?;
        if wall_ms.is_some() != monotonic_ms.is_some() {
            return Err(invalid("wall_ms and monotonic_ms: one of them is NULL; set both or neither"));
        }
        options.clock = HostClock::new(wall_ms, monotonic_ms, user);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_option_is_settable_and_documented() {
        let page = include_str!("../../docs/c-api.md");
        for name in NUMBERS {
            assert!(sexton_options::default().set(name, "7").is_ok(), "{name}");
            assert!(sexton_options::default().set(name, "seven").is_err(), "{name}");
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/c-api.md");
        }
        let unknown = sexton_options::default().set("shard", "7").unwrap_err();
        assert!(unknown.message.starts_with("there is no option \"shard\"; there are origin, classes"));
    }

    #[test]
    fn refused_value_leaves_options_unchanged() {
        let mut options = sexton_options::default();
        assert!(options.set_number("shards", 70_000).is_err());
        assert!(options.set("classes", "[class.a").is_err());
        assert!(options.set("builtin_classes", "yes").is_err());
        assert!(options.set("log_level", "loud").is_err());
        assert_eq!(options.engine.shards, None);
        assert_eq!(options.engine().classes.iter().count(), 4);
    }
}
