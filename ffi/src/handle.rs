//! The handle of an open engine: opening, closing, and what every call does before its own work.

use crate::error::{Failure, Outcome, PANICKED, call, closed, invalid, plain, sexton_error};
use crate::inside;
use crate::logging;
use crate::options::sexton_options;
use crate::pointer::{self, Out};
use crate::status::{SEXTON_BUSY, SEXTON_INTERNAL};
use crate::types::sexton_bytes;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use parking_lot::{Condvar, Mutex};
use sexton::{Clock, Driver, Engine, ErrorKind, SystemClock};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Once};
use tracing::Dispatch;

/// An open engine. Opaque; made by sexton_open(), freed by sexton_engine_free(). Every function may be called on it from
/// many threads at once, but for sexton_engine_free(), which must be the last.
pub struct sexton_engine {
    /// Who opened it: a forked child has its memory, but none of its threads.
    process: u32,
    driver: Mutex<Option<Arc<Driver>>>,
    running: Running,
    closing: AtomicBool,
    /// Held while it is closed, so that nobody is told so before it is.
    being_closed: Mutex<()>,
    panicked: AtomicBool,
    log: Dispatch,
}

impl sexton_engine {
    /// Does `body` with the engine, with log lines going where they are to go. What panics leaves the handle of no more use.
    fn with<T>(&self, body: impl FnOnce(&Driver) -> Outcome<T>) -> Outcome<T> {
        self.check_process()?;
        check_inside()?;
        if self.panicked.load(Ordering::SeqCst) {
            return Err(Failure::new(SEXTON_INTERNAL, PANICKED));
        }
        // Counted before it is asked whether the engine is closing, so that closing waits for every call that goes on.
        let _running = self.running.begin();
        // What runs inside a callback is part of what closing waits for anyway.
        if self.closing.load(Ordering::SeqCst) && !inside::is_in_a_callback_of(self) {
            return Err(is_closed());
        }
        let driver = self.driver.lock().clone();
        let Some(driver) = driver else { return Err(is_closed()) };
        if driver.failure().is_some_and(|error| error.kind() == ErrorKind::Internal) {
            return Err(self.panicked());
        }
        let done =
            catch_unwind(AssertUnwindSafe(|| tracing::dispatcher::with_default(&self.log, || body(&driver))));
        done.unwrap_or_else(|_| {
            // Nothing more is handed out: nobody could answer.
            tracing::dispatcher::with_default(&self.log, || driver.fail(PANICKED));
            Err(self.panicked())
        })
    }

    fn panicked(&self) -> Failure {
        self.panicked.store(true, Ordering::SeqCst);
        Failure::new(SEXTON_INTERNAL, PANICKED)
    }

    fn check_process(&self) -> Outcome<()> {
        if self.process == process::id() {
            return Ok(());
        }
        Err(closed(format!(
            "the engine was opened by process {}, of which this one is a child; execute a program, or fork before the first \
             opening",
            self.process
        )))
    }

    /// Stops the threads, waits for calls that are under way, and closes.
    fn close(&self) -> Outcome<()> {
        self.check_process()?;
        if inside::is_in_a_callback() || inside::is_in_a_log_or_clock_callback() {
            return Err(Failure::new(
                SEXTON_BUSY,
                "the engine cannot be closed from inside a callback; close it elsewhere",
            ));
        }
        let _closed_by_one = self.being_closed.lock();
        self.closing.store(true, Ordering::SeqCst);
        tracing::dispatcher::with_default(&self.log, || {
            // The threads first: they may be inside callbacks, which may call back and must get their answer.
            let driver = self.driver.lock().clone();
            if let Some(driver) = driver {
                driver.stop();
            }
            self.running.wait_for_none();
            drop(self.driver.lock().take());
        });
        Ok(())
    }
}

/// Refuses what would wait for itself.
fn check_inside() -> Outcome<()> {
    if inside::is_in_a_log_or_clock_callback() {
        return Err(Failure::new(
            SEXTON_BUSY,
            "no sexton function may be called from a log or clock callback",
        ));
    }
    Ok(())
}

/// How many calls are at work.
#[derive(Default)]
struct Running {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of them.
struct OneRunning<'a>(&'a Running);

impl Running {
    fn begin(&self) -> OneRunning<'_> {
        *self.count.lock() += 1;
        OneRunning(self)
    }

    fn wait_for_none(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            self.ended.wait(&mut count);
        }
    }
}

impl Drop for OneRunning<'_> {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}

fn is_closed() -> Failure {
    closed("the engine is closed")
}

/// Does `body` with an engine, and tells C how it went.
pub(crate) unsafe fn with_driver(
    engine: *const sexton_engine,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Driver) -> Outcome<()>,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or an engine that is not freed before the call returns.
        unsafe { pointer::borrow(engine, "engine") }?.with(body)
    })
}

/// The same, where only the engine itself is needed.
pub(crate) unsafe fn with_engine(
    engine: *const sexton_engine,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Engine) -> Outcome<()>,
) -> i32 {
    // SAFETY: as there.
    unsafe { with_driver(engine, error, |driver| body(driver.engine())) }
}

/// An engine's handle, for its own callbacks.
#[derive(Clone, Copy)]
pub(crate) struct Handle(pub(crate) *mut sexton_engine);

// SAFETY: a handle may be used from any thread; it lives until its threads are gone.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The signals that a thread raises itself, by what it does. In a callback that is the host's code, whose handlers count on
/// them; blocked, they would end the process.
const RAISED_BY_ITSELF: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGSYS];

/// Does `body` with all other signals blocked in this thread: the threads that begin in it, RocksDB's too, inherit that, so
/// that what is sent to the process is never handled in one of them.
pub(crate) fn with_signals_blocked<T>(body: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let refused =
        |e: nix::Error| Failure::new(crate::status::SEXTON_IO, format!("cannot set the signal mask: {e}"));
    let mut sent = SigSet::all();
    RAISED_BY_ITSELF.into_iter().for_each(|signal| sent.remove(signal));
    let before = sent.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(refused)?;
    let done = catch_unwind(AssertUnwindSafe(body));
    before.thread_set_mask().map_err(refused)?;
    done.unwrap_or_else(|_| Err(Failure::new(SEXTON_INTERNAL, PANICKED)))
}

/// The process in which an engine was opened first. RocksDB's threads, which all its databases share, are there and nowhere else.
static OPENED_IN: AtomicU32 = AtomicU32::new(0);

/// Refuses to open an engine in a child of a process that has opened one: its writes would wait for threads that are not there.
fn check_process() -> Outcome<()> {
    let own = process::id();
    match OPENED_IN.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        Err(other) if other != own => Err(closed(format!(
            "this process was forked from {other}, which had opened an engine; execute a program, or fork before the first \
             opening"
        ))),
        _ => Ok(()),
    }
}

/// Sends what a panic says to the log instead of stderr. The hook is that of the copy of Rust's library inside this one: a
/// host written in Rust has its own.
fn send_panics_to_the_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|info| tracing::error!("{info}"))));
}

fn open(folder: &Path, options: &sexton_options) -> Outcome<Box<sexton_engine>> {
    options.driver.check()?;
    let log = options.log.map_or_else(logging::nowhere, |target| target.dispatch(options.log_level));
    let handle = Handle(Box::into_raw(Box::new(sexton_engine {
        process: process::id(),
        driver: Mutex::new(None),
        running: Running::default(),
        closing: AtomicBool::new(false),
        being_closed: Mutex::new(()),
        panicked: AtomicBool::new(false),
        log,
    })));
    // SAFETY: made a line above, and shared with nobody but its own callbacks.
    let engine = unsafe { &*handle.0 };
    let opened = tracing::dispatcher::with_default(&engine.log, || {
        let driver = drive(folder, options, handle)?;
        // There before its threads are: a callback finds the engine that it is of.
        *engine.driver.lock() = Some(Arc::clone(&driver));
        Ok(driver.start_threads()?)
    });
    let stopped = if opened.is_err() { engine.close() } else { Ok(()) };
    // SAFETY: from above, and given back once. Where it is dropped here, its threads are gone.
    let engine = unsafe { Box::from_raw(handle.0) };
    opened.and(stopped).map(|()| engine)
}

/// An engine in `folder`, driven as the options say, without its threads.
fn drive(folder: &Path, options: &sexton_options, handle: Handle) -> Outcome<Arc<Driver>> {
    let clock: Arc<dyn Clock> = match options.clock {
        Some(clock) => Arc::new(clock),
        None => Arc::new(SystemClock),
    };
    let opened = Arc::new(Engine::open_with_clock(folder, &options.engine(), clock)?);
    let handler = options.delete.map(|target| target.handler(handle));
    Ok(Arc::new(Driver::new(opened, options.driver, handler)?))
}

/// Opens the engine in `folder`, making a new one where the folder is missing or empty, and finishes what a crash
/// interrupted. `options` may be NULL: the defaults, which open a folder that exists.
///
/// SEXTON_BUSY where another process has the folder open; SEXTON_INVALID where the options do not fit what is stored;
/// SEXTON_CLOSED in a child of a process that had opened an engine before it forked; SEXTON_CORRUPT where the files
/// contradict themselves; SEXTON_IO, SEXTON_FULL. A folder whose log is not the published one opens, in the state
/// SEXTON_STATE_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_open(
    folder: sexton_bytes,
    options: *const sexton_options,
    out: *mut *mut sexton_engine,
    error: *mut *mut sexton_error,
) -> i32 {
    call(error, || {
        let out = Out::new(out, "out")?;
        // SAFETY: by the contract the path is borrowed for the call.
        let folder = unsafe { pointer::bytes(folder, "folder") }?;
        if folder.is_empty() || folder.contains(&0) {
            return Err(invalid("the folder's path is empty, or contains a NUL"));
        }
        let defaults;
        // SAFETY: by the contract NULL or options that nobody changes meanwhile.
        let options = match unsafe { pointer::maybe(options) } {
            Some(options) => options,
            None => {
                defaults = sexton_options::default();
                &defaults
            }
        };
        check_inside()?;
        check_process()?;
        send_panics_to_the_log();
        let engine = with_signals_blocked(|| open(Path::new(OsStr::from_bytes(folder)), options))?;
        out.put(Box::into_raw(engine));
        Ok(())
    })
}

/// Closes the engine: stops its threads, each after what it is working at, and waits for calls and callbacks that are under
/// way. What was answered is committed: what is not answered in a batch of which something is counts as failed, and a batch
/// of which nothing is comes again after the next opening. What was submitted and not completed may or may not be applied. From then on every call gives SEXTON_CLOSED; closing again is fine. The handle is still to be
/// freed.
///
/// SEXTON_BUSY from inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_close(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or an engine that is not freed before the call returns.
        unsafe { pointer::borrow(engine.cast_const(), "engine") }?.close()
    })
}

/// Closes the engine, where it is still open, and frees the handle. NULL is fine; not from inside a callback. In a forked
/// child it only lets go of the handle: the parent's engine is not touched.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_engine_free(engine: *mut sexton_engine) {
    plain((), || {
        // SAFETY: by the contract NULL or an engine that nobody uses any more.
        let Some(engine) = (unsafe { pointer::take(engine) }) else { return };
        if engine.process != process::id() || engine.close().is_err() {
            // Its threads are the parent's, or still at work: to drop it would unlock the folder or pull the ground from
            // under them.
            std::mem::forget(engine);
        }
    });
}

/// Now, by the engine's clock, Unix ms: never earlier than it was before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_now_ms(
    engine: *const sexton_engine,
    out: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        Out::new(out, "out")?.put(engine.now_ms());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Panics inside, so that tests see that no panic gets out. Not in the library that is installed.
#[cfg(feature = "test-hook")]
#[unsafe(no_mangle)]
#[expect(clippy::panic, reason = "that is what it is for")]
pub unsafe extern "C" fn sexton_test_panic(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, |_| panic!("as asked")) }
}
