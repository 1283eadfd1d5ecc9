//! Handle of an open engine: the checks that begin every call, and closing.

use crate::error::{call, plain, sexton_error};
use crate::failure::{CallResult, Failure, PANICKED, closed};
use crate::pointer::{self, Out};
use crate::reentrancy::{self, EngineTag};
use crate::status::{SEXTON_BUSY, SEXTON_INTERNAL};
use parking_lot::{Condvar, Mutex};
use sexton::{Driver, Engine, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::Dispatch;

/// Open engine. Opaque; made by sexton_open() and freed by sexton_engine_free(). Any number of threads may call
/// functions on it at the same time. sexton_engine_free() must be the last call.
pub struct sexton_engine {
    /// Process that opened the engine. A forked child has a copy of the memory, but none of the threads.
    process: u32,
    /// Data folder, as it was given at opening.
    folder: PathBuf,
    /// `None` before the driver is attached, and once the engine is closed.
    driver: Mutex<Option<Arc<Driver>>>,
    running: RunningCalls,
    closing: AtomicBool,
    /// Held during closing, so that a second call of `close` returns only when the engine is closed.
    close_lock: Mutex<()>,
    panicked: AtomicBool,
    log: Dispatch,
}

impl sexton_engine {
    /// Makes a handle of a data folder, without a driver, whose log lines go to `log`.
    pub(crate) fn new(folder: &Path, log: Dispatch) -> Self {
        sexton_engine {
            process: process::id(),
            folder: folder.to_owned(),
            driver: Mutex::new(None),
            running: RunningCalls::default(),
            closing: AtomicBool::new(false),
            close_lock: Mutex::new(()),
            panicked: AtomicBool::new(false),
            log,
        }
    }

    /// Attaches the driver, before its threads start: a callback must find the driver in the handle.
    pub(crate) fn attach(&self, driver: Arc<Driver>) {
        *self.driver.lock() = Some(driver);
    }

    /// Runs `body` with the log lines of this thread going to the engine's log callback.
    pub(crate) fn log_to_callback<T>(&self, body: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.log, body)
    }

    fn tag(&self) -> EngineTag {
        ptr::from_ref(self).cast()
    }

    /// Runs a call's body with the driver. A panic makes the handle unusable.
    fn with<T>(&self, body: impl FnOnce(&Driver) -> CallResult<T>) -> CallResult<T> {
        self.check_process()?;
        check_callable()?;
        if self.panicked.load(Ordering::SeqCst) {
            return Err(Failure::new(SEXTON_INTERNAL, PANICKED));
        }
        // Counted before `closing` is read, so that `close` waits for every call that passes the check below.
        let _running = self.running.begin();
        // `close` waits for callbacks to return, so calls inside them must go on.
        if self.closing.load(Ordering::SeqCst) && !reentrancy::is_in_callback_of(self.tag()) {
            return Err(is_closed());
        }
        let driver = self.driver.lock().clone();
        let Some(driver) = driver else { return Err(is_closed()) };
        if driver.failure().is_some_and(|error| error.kind() == ErrorKind::Internal) {
            return Err(self.panicked());
        }
        let result = catch_unwind(AssertUnwindSafe(|| self.log_to_callback(|| body(&driver))));
        result.unwrap_or_else(|_| {
            // No more sub-batches are handed out: every later answer would be refused.
            self.log_to_callback(|| driver.fail(PANICKED));
            Err(self.panicked())
        })
    }

    fn panicked(&self) -> Failure {
        self.panicked.store(true, Ordering::SeqCst);
        Failure::new(SEXTON_INTERNAL, PANICKED)
    }

    fn check_process(&self) -> CallResult<()> {
        if self.process == process::id() {
            return Ok(());
        }
        Err(closed(format!(
            "the engine was opened by process {}, and this is a child of it; execute a program, or fork before the first \
             opening",
            self.process
        )))
    }

    /// Stops the threads, waits for running calls and callbacks, and closes the engine.
    pub(crate) fn close(&self) -> CallResult<()> {
        self.check_process()?;
        if reentrancy::is_in_callback() || reentrancy::is_in_log_or_clock_callback() {
            return Err(Failure::new(
                SEXTON_BUSY,
                "the engine cannot be closed inside a callback; close it in another thread, or after the callback",
            ));
        }
        let _closing = self.close_lock.lock();
        self.closing.store(true, Ordering::SeqCst);
        self.log_to_callback(|| {
            // Threads stop first. They may be in callbacks, whose calls must still get their answers.
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

/// Refuses calls from log and clock callbacks: the engine may hold locks that the call would wait for.
pub(crate) fn check_callable() -> CallResult<()> {
    if reentrancy::is_in_log_or_clock_callback() {
        return Err(Failure::new(
            SEXTON_BUSY,
            "no sexton function may be called from a log or clock callback",
        ));
    }
    Ok(())
}

/// Number of calls that are running.
#[derive(Default)]
struct RunningCalls {
    count: Mutex<usize>,
    ended: Condvar,
}

/// Counts one running call until it is dropped.
struct RunningCall<'a>(&'a RunningCalls);

impl RunningCalls {
    fn begin(&self) -> RunningCall<'_> {
        *self.count.lock() += 1;
        RunningCall(self)
    }

    fn wait_for_none(&self) {
        let mut count = self.count.lock();
        while *count > 0 {
            self.ended.wait(&mut count);
        }
    }
}

impl Drop for RunningCall<'_> {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}

fn is_closed() -> Failure {
    closed("the engine is closed")
}

/// Runs the body of a C function that needs the driver.
pub(crate) unsafe fn with_driver(
    engine: *const sexton_engine,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Driver) -> CallResult<()>,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or an engine that is not freed before the call returns.
        unsafe { pointer::borrow(engine, "engine") }?.with(body)
    })
}

/// Runs the body of a C function that needs only the engine.
pub(crate) unsafe fn with_engine(
    engine: *const sexton_engine,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Engine) -> CallResult<()>,
) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, |driver| body(driver.engine())) }
}

/// Runs the body of a C function that needs the driver and the data folder, which is locked.
pub(crate) unsafe fn with_folder(
    engine: *const sexton_engine,
    error: *mut *mut sexton_error,
    body: impl FnOnce(&Driver, &Path) -> CallResult<()>,
) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or an engine that is not freed before the call returns.
        let handle = unsafe { pointer::borrow(engine, "engine") }?;
        handle.with(|driver| body(driver, &handle.folder))
    })
}

/// Pointer to an engine's handle, for its own callbacks.
#[derive(Clone, Copy)]
pub(crate) struct Handle(pub(crate) *mut sexton_engine);

// SAFETY: a handle may be used by any thread, and is freed only after the engine's threads ended.
unsafe impl Send for Handle {}
// SAFETY: as for Send.
unsafe impl Sync for Handle {}

/// Closes an engine: stops its threads, each at the end of its current step, and waits for running calls and callbacks.
/// Closing again has no effect. The handle must still be freed.
///
/// Answers already given are committed. If a batch has some answers, its other objects count as failed. A batch without
/// answers is handed out again after the next opening. It is unknown whether uncompleted submissions are applied. Every
/// later call returns SEXTON_CLOSED.
///
/// Errors: SEXTON_BUSY inside a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_close(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    call(error, || {
        // SAFETY: by the contract NULL or an engine that is not freed before the call returns.
        unsafe { pointer::borrow(engine.cast_const(), "engine") }?.close()
    })
}

/// Frees an engine, after closing it if it is open. NULL is allowed. Must not be called inside a callback. In a forked
/// child it frees only the handle, and the parent's engine goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_engine_free(engine: *mut sexton_engine) {
    plain((), || {
        // SAFETY: by the contract NULL or an engine that no other call uses.
        let Some(engine) = (unsafe { pointer::take(engine) }) else { return };
        if engine.process != process::id() || engine.close().is_err() {
            // The threads are those of the parent, or are still running. Dropping the engine would unlock the folder,
            // or free memory that the threads use.
            std::mem::forget(engine);
        }
    });
}

/// Writes the engine's present time to *out, Unix ms. It goes back only if an operator accepts that (sexton_resume()), and
/// does not follow a wall clock that steps ahead.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sexton_now_ms(
    engine: *const sexton_engine,
    out: *mut i64,
    error: *mut *mut sexton_error,
) -> i32 {
    let body = |engine: &Engine| {
        Out::new(out, "out")?.put(engine.now().unix_ms());
        Ok(())
    };
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_engine(engine, error, body) }
}

/// Panics inside the library, for tests of the boundary. The installed library does not have it.
#[cfg(feature = "test-hook")]
#[unsafe(no_mangle)]
#[expect(clippy::panic, reason = "the purpose of this function")]
pub unsafe extern "C" fn sexton_test_panic(engine: *mut sexton_engine, error: *mut *mut sexton_error) -> i32 {
    // SAFETY: by the contract of docs/c-api.md.
    unsafe { with_driver(engine, error, |_| panic!("as asked")) }
}
