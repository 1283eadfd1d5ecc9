//! Log lines go to a callback of the host. Nothing global is installed: a subscriber counts only while a call of its engine,
//! or a thread of it, is at work.

use crate::inside;
use crate::pointer;
use crate::types::sexton_bytes;
use std::ffi::c_void;
use std::io::{self, Write};
use std::sync::LazyLock;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Level, Metadata};
use tracing_subscriber::fmt::{MakeWriter, Subscriber};

/// Level of a log line: something does not work, and a person is needed.
pub const SEXTON_LOG_ERROR: i32 = 1;
/// Level of a log line: something went wrong, and will be tried again.
pub const SEXTON_LOG_WARN: i32 = 2;
/// Level of a log line: what happens; nothing so far.
pub const SEXTON_LOG_INFO: i32 = 3;
/// Level of a log line: for whoever looks for a defect.
pub const SEXTON_LOG_DEBUG: i32 = 4;

/// Is given a log line: UTF-8, without a line end, borrowed for the call. Called from several threads at once, also while
/// the engine works at something: it must return soon, and every sexton function refuses to be called from it
/// (SEXTON_BUSY).
pub type sexton_log_fn = Option<unsafe extern "C" fn(user: *mut c_void, level: i32, line: sexton_bytes)>;

/// Where the lines go of engines that have no callback. It is there for good: with a single subscriber known, `tracing` asks
/// whatever is the default at a line's first use, once and for everybody, and that could be an engine without a callback.
static NOWHERE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// What sends lines nowhere.
pub(crate) fn nowhere() -> Dispatch {
    NOWHERE.clone()
}

/// Where the lines of an engine go.
#[derive(Clone, Copy)]
pub(crate) struct LogTarget {
    function: unsafe extern "C" fn(*mut c_void, i32, sexton_bytes),
    user: *mut c_void,
}

// SAFETY: the contract asks for a callback that may be called from any thread with this pointer.
unsafe impl Send for LogTarget {}
// SAFETY: as above.
unsafe impl Sync for LogTarget {}

impl LogTarget {
    pub(crate) fn new(function: sexton_log_fn, user: *mut c_void) -> Option<Self> {
        function.map(|function| LogTarget { function, user })
    }

    /// What sends lines up to `level` there.
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

/// Writes one line.
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
        inside::a_log_or_clock_callback(|| {
            // SAFETY: by the contract the host's function may be called from any thread with its pointer.
            unsafe { function(user, self.level, pointer::lend(shown)) }
        });
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
