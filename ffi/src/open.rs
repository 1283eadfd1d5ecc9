//! Opening an engine: its threads' signals, panics to the log, and the driver behind the handle.

use crate::error::{call, sexton_error};
use crate::failure::{CallResult, Failure, PANICKED, closed, invalid};
use crate::handle::{Handle, check_callable, sexton_engine};
use crate::logging;
use crate::options::sexton_options;
use crate::pointer::{self, Out};
use crate::status::{SEXTON_INTERNAL, SEXTON_IO};
use crate::types::sexton_bytes;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use sexton::testing::{Clock, SystemClock};
use sexton::{Driver, Engine};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};

/// Signals that a thread raises by its own code. In a callback that is the host's code, so the host's handlers must get
/// them. If such a signal is blocked, raising it ends the process.
const RAISED_BY_THREAD: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGTRAP, Signal::SIGSYS];

/// Runs `body` with all other signals blocked in this thread. Threads that start in `body`, including RocksDB's,
/// inherit the mask, so that none of them handles a signal sent to the process.
pub(crate) fn with_signals_blocked<T>(body: impl FnOnce() -> CallResult<T>) -> CallResult<T> {
    let refused = |e: nix::Error| Failure::new(SEXTON_IO, format!("cannot set the signal mask: {e}"));
    let mut blocked = SigSet::all();
    RAISED_BY_THREAD.into_iter().for_each(|signal| blocked.remove(signal));
    let before = blocked.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(refused)?;
    let result = catch_unwind(AssertUnwindSafe(body));
    before.thread_set_mask().map_err(refused)?;
    result.unwrap_or_else(|_| Err(Failure::new(SEXTON_INTERNAL, PANICKED)))
}

/// Process that opened the first engine, or 0. RocksDB's threads, which all databases share, exist only there.
static OPENED_IN: AtomicU32 = AtomicU32::new(0);

/// Refuses to open an engine in a child of a process that has opened one. Its writes would wait for threads that do not
/// exist.
fn check_process() -> CallResult<()> {
    let own = process::id();
    match OPENED_IN.compare_exchange(0, own, Ordering::SeqCst, Ordering::SeqCst) {
        Err(other) if other != own => Err(closed(format!(
            "this process was forked from process {other}, which had opened an engine; execute a program, or fork before the \
             first opening"
        ))),
        _ => Ok(()),
    }
}

/// Sends panic messages to the log callback instead of stderr. The hook belongs to the copy of Rust's library inside
/// libsexton; a host written in Rust has its own.
fn send_panics_to_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(sexton::log_panics);
}

fn open(folder: &Path, options: &sexton_options) -> CallResult<Box<sexton_engine>> {
    options.driver.check()?;
    let log = options.log.map_or_else(logging::nowhere, |target| target.dispatch(options.log_level));
    let handle = Handle(Box::into_raw(Box::new(sexton_engine::new(folder, log))));
    // SAFETY: just made, and shared only with its own callbacks.
    let engine = unsafe { &*handle.0 };
    let opened = engine.log_to_callback(|| {
        let driver = drive(folder, options, handle)?;
        engine.attach(Arc::clone(&driver));
        Ok(driver.start_threads()?)
    });
    let stopped = if opened.is_err() { engine.close() } else { Ok(()) };
    // SAFETY: from Box::into_raw above, and taken back once. If it is dropped here, its threads have ended.
    let engine = unsafe { Box::from_raw(handle.0) };
    opened.and(stopped).map(|()| engine)
}

/// Opens the engine in `folder` and returns its driver, whose threads are not started.
fn drive(folder: &Path, options: &sexton_options, handle: Handle) -> CallResult<Arc<Driver>> {
    let clock: Arc<dyn Clock> = match options.clock {
        Some(clock) => Arc::new(clock),
        None => Arc::new(SystemClock),
    };
    let engine = Arc::new(Engine::open_with_clock(folder, &options.engine(), clock)?);
    let handler = options.delete.map(|target| target.handler(handle));
    Ok(Arc::new(Driver::new(engine, options.driver, handler)?))
}

/// Opens the engine in `folder`, and finishes what a crash interrupted. If the folder is missing or empty, a new engine
/// is created there, for which the option "origin" is required. `options` may be NULL for the defaults.
///
/// A folder whose log is not the published one opens in the state SEXTON_STATE_FORKED.
///
/// Errors: SEXTON_BUSY if the folder is open already; SEXTON_INVALID if the options contradict the stored ones;
/// SEXTON_CORRUPT if the files contradict each other; SEXTON_CLOSED in a child of a process that had opened an engine;
/// SEXTON_IO; SEXTON_FULL.
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
            return Err(invalid("the path of the folder is empty, or contains a NUL"));
        }
        let defaults;
        // SAFETY: by the contract NULL or options that no other thread changes during the call.
        let options = match unsafe { pointer::maybe(options) } {
            Some(options) => options,
            None => {
                defaults = sexton_options::default();
                &defaults
            }
        };
        check_callable()?;
        check_process()?;
        send_panics_to_log();
        let engine = with_signals_blocked(|| open(Path::new(OsStr::from_bytes(folder)), options))?;
        out.put(Box::into_raw(engine));
        Ok(())
    })
}
