//! Log lines go to a callback of the host. No global subscriber is installed: the engine's subscriber is set in a
//! thread only during its calls, and in its own threads.

use crate::pointer;
use crate::reentrancy;
use crate::types::sexton_bytes;
use std::ffi::c_void;
use std::io::{self, Write};
use std::sync::LazyLock;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::fmt::{MakeWriter, Subscriber};

/// Log level: a failure that needs an operator.
pub const SEXTON_LOG_ERROR: i32 = 1;
/// Log level: a failure that the engine retries.
pub const SEXTON_LOG_WARN: i32 = 2;
/// Log level: normal events. No line has this level yet.
pub const SEXTON_LOG_INFO: i32 = 3;
/// Log level: details for debugging.
pub const SEXTON_LOG_DEBUG: i32 = 4;

/// Receives a log line: UTF-8 without a line end, borrowed for the call. Several threads may call it at the same time,
/// also while they hold locks of the engine. It must return soon, and may call no sexton function (SEXTON_BUSY).
pub type sexton_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, line: sexton_bytes)>;

/// Subscriber of engines without a log callback. It is never dropped. If `tracing` knew only one subscriber, it would
/// ask that subscriber once per line and cache the answer for all threads. The answer may be that no lines are wanted.
static NOWHERE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Returns the subscriber that discards all lines.
pub(crate) fn nowhere() -> Dispatch {
    NOWHERE.clone()
}

/// The host's log function.
#[derive(Clone, Copy)]
pub(crate) struct LogTarget {
    function: unsafe extern "C" fn(*mut c_void, i32, sexton_bytes),
    user: *mut c_void,
}

// SAFETY: the contract requires a callback that any thread may call with this pointer.
unsafe impl Send for LogTarget {}
// SAFETY: as for Send.
unsafe impl Sync for LogTarget {}

impl LogTarget {
    pub(crate) fn new(function: sexton_log_fn, user: *mut c_void) -> Option<Self> {
        function.map(|function| LogTarget { function, user })
    }

    /// Returns a subscriber that sends lines up to `level` to the function.
    pub(crate) fn dispatch(self, level: Level) -> Dispatch {
        LazyLock::force(&NOWHERE);
        let subscriber = Subscriber::builder()
            .with_max_level(level)
            .with_ansi(false)
            .with_level(false)
            .with_target(false)
            .without_time()
            .with_writer(self)
            .finish();
        Dispatch::new(subscriber)
    }
}

/// Writer of one log line.
pub(crate) struct Line {
    target: LogTarget,
    level: i32,
}

impl<'a> MakeWriter<'a> for LogTarget {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { target: *self, level: SEXTON_LOG_INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Line {
        let level = match *metadata.level() {
            Level::ERROR => SEXTON_LOG_ERROR,
            Level::WARN => SEXTON_LOG_WARN,
            Level::INFO => SEXTON_LOG_INFO,
            _ => SEXTON_LOG_DEBUG,
        };
        Line { target: *self, level }
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let shown = line.strip_suffix(b"\n").unwrap_or(line);
        let LogTarget { function, user } = self.target;
        reentrancy::in_log_or_clock_callback(|| {
            // SAFETY: by the contract any thread may call the host's function with its pointer.
            unsafe { function(user, self.level, pointer::lend(shown)) }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
