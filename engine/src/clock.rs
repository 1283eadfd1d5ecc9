//! Time as a seam: only floor 5 reads a clock, everything below is handed `now`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where the engine gets the time from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;
}

/// The machine's wall clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam through which wall time comes in")]
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }
}

/// A clock that stands still until it is told to move: for tests and simulation.
#[derive(Debug)]
pub struct VirtualClock(AtomicI64);

impl VirtualClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        VirtualClock(AtomicI64::new(now_ms))
    }

    /// Shows `now_ms` from here on, which may be earlier than before.
    pub fn set(&self, now_ms: i64) {
        self.0.store(now_ms, Ordering::SeqCst);
    }

    /// Moves by `ms`, backwards where it is negative.
    pub fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A clock that runs at its true speed from a chosen instant and can be wound forward, never back: for
/// demonstrations in which six months pass while the work between them takes the time that it takes.
#[derive(Debug)]
pub struct FastForwardClock {
    began: Instant,
    offset_ms: AtomicI64,
}

impl FastForwardClock {
    /// A clock that shows `now_ms` now.
    #[expect(clippy::disallowed_methods, reason = "a clock is where time comes in")]
    pub fn new(now_ms: i64) -> Self {
        FastForwardClock { began: Instant::now(), offset_ms: AtomicI64::new(now_ms) }
    }

    /// Winds forward so that it shows at least `now_ms`.
    pub fn wind_to(&self, now_ms: i64) {
        let ahead = now_ms.saturating_sub(self.elapsed_ms());
        self.offset_ms.fetch_max(ahead, Ordering::SeqCst);
    }

    fn elapsed_ms(&self) -> i64 {
        let elapsed: Duration = self.began.elapsed();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Clock for FastForwardClock {
    fn now_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::SeqCst).saturating_add(self.elapsed_ms())
    }
}
