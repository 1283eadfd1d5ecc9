//! The seam to the clocks. Only the layers `engine` and `driver` read a clock; all others receive the time from their caller.

use parking_lot::Mutex;
use rtime_clock::adjtime::{self, Timex};
use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Return value of `adjtimex` while the clock is not NTP-synchronised: `TIME_ERROR` of `<sys/timex.h>`.
const TIME_ERROR: i32 = 5;

/// Source of the engine's time.
///
/// A caller that compares both times reads `now_ms` first. A pause between both reads then makes the wall clock look behind,
/// never ahead.
pub trait Clock: Send + Sync {
    /// Returns the wall time, Unix ms. It may jump forward and back.
    fn now_ms(&self) -> i64;

    /// Returns the monotonic time: milliseconds since an instant that is fixed while the process lives.
    ///
    /// It never goes back and never jumps. It counts on while the machine is suspended.
    fn monotonic_ms(&self) -> i64;

    /// Returns `true` if the kernel reports that the wall clock is NTP-synchronised; `false` if it cannot tell.
    fn is_synchronised(&self) -> bool;
}

/// Clocks of the machine.
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

    fn monotonic_ms(&self) -> i64 {
        // The standard library's monotonic clock stops while the machine is suspended.
        let since_boot = clock_gettime(ClockId::Boottime);
        since_boot.tv_sec.saturating_mul(1000).saturating_add(since_boot.tv_nsec / 1_000_000)
    }

    fn is_synchronised(&self) -> bool {
        // An empty `Timex` changes nothing. The kernel clears the state when the time is set by hand, and when the clock
        // was not disciplined for so long that it may be off by 16 s.
        adjtime::adjtimex(&mut Timex::new()).is_ok_and(|state| state != TIME_ERROR)
    }
}

/// Clock that moves only when it is told to, for tests and simulation.
#[derive(Debug)]
pub struct VirtualClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    wall_ms: i64,
    monotonic_ms: i64,
    synchronised: bool,
}

impl VirtualClock {
    /// Creates a clock that shows `now_ms` (Unix ms) and is NTP-synchronised.
    pub fn new(now_ms: i64) -> Self {
        VirtualClock(Mutex::new(Times { wall_ms: now_ms, monotonic_ms: 0, synchronised: true }))
    }

    /// Lets time pass until the wall clock shows `now_ms` (Unix ms). If that is in the past, only the wall clock goes back.
    pub fn set(&self, now_ms: i64) {
        self.0.lock().pass_until(now_ms);
    }

    /// Lets `ms` milliseconds pass. If `ms` is negative, only the wall clock goes back.
    pub fn advance(&self, ms: i64) {
        let mut shown = self.0.lock();
        let until = shown.wall_ms.saturating_add(ms);
        shown.pass_until(until);
    }

    /// Steps the wall clock by `ms` milliseconds, back if `ms` is negative. No time passes.
    pub fn step(&self, ms: i64) {
        let mut shown = self.0.lock();
        shown.wall_ms = shown.wall_ms.saturating_add(ms);
    }

    /// Sets what [`Clock::is_synchronised`] returns.
    pub fn set_synchronised(&self, synchronised: bool) {
        self.0.lock().synchronised = synchronised;
    }
}

impl Times {
    fn pass_until(&mut self, wall_ms: i64) {
        let passed = wall_ms.saturating_sub(self.wall_ms).max(0);
        self.monotonic_ms = self.monotonic_ms.saturating_add(passed);
        self.wall_ms = wall_ms;
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.0.lock().wall_ms
    }

    fn monotonic_ms(&self) -> i64 {
        self.0.lock().monotonic_ms
    }

    fn is_synchronised(&self) -> bool {
        self.0.lock().synchronised
    }
}

/// Accelerated clock: it runs at true speed from a chosen instant and can be advanced, never set back.
///
/// It is for demonstrations in which months pass, while the work between takes its real time.
#[derive(Debug)]
pub struct FastForwardClock {
    began: Instant,
    offset_ms: AtomicI64,
}

impl FastForwardClock {
    /// Creates a clock that shows `now_ms` (Unix ms) now.
    #[expect(clippy::disallowed_methods, reason = "a clock is where time comes in")]
    pub fn new(now_ms: i64) -> Self {
        FastForwardClock { began: Instant::now(), offset_ms: AtomicI64::new(now_ms) }
    }

    /// Advances the clock so that it shows at least `now_ms` (Unix ms).
    pub fn advance_to(&self, now_ms: i64) {
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

    fn monotonic_ms(&self) -> i64 {
        // This clock never goes back, so its wall time is monotonic.
        self.now_ms()
    }

    fn is_synchronised(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(clock: &dyn Clock) -> (i64, i64) {
        (clock.now_ms(), clock.monotonic_ms())
    }

    #[test]
    fn virtual_clock_advances_wall_and_monotonic_together() {
        let clock = VirtualClock::new(1_000);
        clock.advance(500);
        assert_eq!(shown(&clock), (1_500, 500));
        clock.set(4_000);
        assert_eq!(shown(&clock), (4_000, 3_000));
    }

    #[test]
    fn virtual_clock_set_back_moves_the_wall_alone() {
        let clock = VirtualClock::new(10_000);
        clock.set(4_000);
        assert_eq!(shown(&clock), (4_000, 0));
        clock.advance(-1_000);
        assert_eq!(shown(&clock), (3_000, 0));
        clock.advance(200);
        assert_eq!(shown(&clock), (3_200, 200));
    }

    #[test]
    fn virtual_clock_step_moves_the_wall_alone() {
        let clock = VirtualClock::new(10_000);
        clock.step(5_000);
        assert_eq!(shown(&clock), (15_000, 0));
        clock.step(-7_000);
        assert_eq!(shown(&clock), (8_000, 0));
    }

    #[test]
    fn virtual_clock_is_synchronised_until_told_otherwise() {
        let clock = VirtualClock::new(0);
        assert!(clock.is_synchronised());
        clock.set_synchronised(false);
        assert!(!clock.is_synchronised());
    }

    #[test]
    fn virtual_clock_stops_at_the_ends_of_time() {
        let clock = VirtualClock::new(i64::MIN);
        clock.set(i64::MAX);
        clock.advance(1);
        assert_eq!(shown(&clock), (i64::MAX, i64::MAX));
    }

    #[test]
    fn fast_forward_clock_advances_wall_and_monotonic_together() {
        let clock = FastForwardClock::new(1_000);
        let before = shown(&clock);
        clock.advance_to(5_000_000_000);
        let after = shown(&clock);
        assert!(after.0 >= 5_000_000_000);
        assert!(after.1 - before.1 >= 4_000_000_000);
        clock.advance_to(0);
        assert!(clock.now_ms() >= 5_000_000_000, "it never goes back");
        assert!(clock.is_synchronised());
    }

    #[test]
    fn system_clock_monotonic_time_never_goes_back() {
        let readings: Vec<i64> = (0..1_000).map(|_| SystemClock.monotonic_ms()).collect();
        assert!(readings[0] > 0);
        assert!(readings.is_sorted());
        let _ = SystemClock.is_synchronised(); // Either answer is right; the call must not fail.
    }
}
