//! The seam to the clocks. Only the layers `engine` and `driver` read a clock; all others receive the time from their caller.

use crate::platform::error::{Error, Result};
use parking_lot::Mutex;
use rtime_clock::adjtime::{self, Timex};
use rustix::time::{ClockId, clock_gettime};
use sexton_proof::time::{Timestamp, whole_ms};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Return value of `adjtimex` while the clock is not NTP-synchronised: `TIME_ERROR` of `<sys/timex.h>`.
const TIME_ERROR: i32 = 5;

/// Earliest and latest wall time that can be recorded: the years 1970 to 9998. All promises have to end in the year 9999.
const CALENDAR: RangeInclusive<Timestamp> =
    Timestamp::from_unix_ms(0)..=Timestamp::from_unix_ms(253_370_764_799_999);

/// Refuses a wall time that cannot be recorded.
///
/// # Errors
/// `Invalid` with the time.
pub(crate) fn check_calendar(wall: Timestamp) -> Result<()> {
    if CALENDAR.contains(&wall) {
        return Ok(());
    }
    let (first, last) = (CALENDAR.start(), CALENDAR.end());
    Err(Error::invalid(format!(
        "the clock of this machine shows {wall}; {first} to {last} are allowed; set it right"
    )))
}

/// Returns the nearest wall time that can be recorded.
pub(crate) fn in_calendar(wall: Timestamp) -> Timestamp {
    wall.clamp(*CALENDAR.start(), *CALENDAR.end())
}

/// Time on a monotonic clock: milliseconds since an instant that is fixed while the process lives.
///
/// Only times of the same clock and process can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(i64);

impl Monotonic {
    /// Creates a time from its milliseconds.
    #[must_use]
    pub const fn from_ms(ms: i64) -> Self {
        Monotonic(ms)
    }

    /// Returns the time in milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Returns the time that passed since `earlier`, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Monotonic) -> Duration {
        if self.0 <= earlier.0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.0.abs_diff(earlier.0))
    }

    /// Returns the time `span` later, at most the latest that can be represented. Fractions of a millisecond in `span` are
    /// dropped.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Monotonic(self.0.saturating_add_unsigned(whole_ms(span)))
    }
}

/// Source of the engine's time.
///
/// A caller that compares both times reads `now` first. A pause between both reads then makes the wall clock look behind,
/// never ahead.
pub trait Clock: Send + Sync {
    /// Returns the wall time. It may jump forward and back.
    fn now(&self) -> Timestamp;

    /// Returns the monotonic time.
    ///
    /// It never goes back and never jumps. It counts on while the machine is suspended.
    fn monotonic(&self) -> Monotonic;

    /// Returns `true` if the kernel reports that the wall clock is NTP-synchronised; `false` if it cannot tell.
    fn is_synchronised(&self) -> bool;
}

/// Clocks of the machine.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam through which wall time comes in")]
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Monotonic {
        // The standard library's monotonic clock stops while the machine is suspended.
        let since_boot = clock_gettime(ClockId::Boottime);
        Monotonic(since_boot.tv_sec.saturating_mul(1000).saturating_add(since_boot.tv_nsec / 1_000_000))
    }

    fn is_synchronised(&self) -> bool {
        // An empty `Timex` changes nothing. The kernel clears the state if the time is set by hand. It also clears it
        // if the clock was not disciplined for so long that it may be off by 16 s.
        adjtime::adjtimex(&mut Timex::new()).is_ok_and(|state| state != TIME_ERROR)
    }
}

/// Clock that moves only by calls of its methods, for tests and simulation.
#[derive(Debug)]
pub struct VirtualClock(Mutex<Times>);

#[derive(Debug)]
struct Times {
    wall: Timestamp,
    monotonic: Monotonic,
    synchronised: bool,
}

impl VirtualClock {
    /// Creates a clock that shows `now` and is NTP-synchronised.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        VirtualClock(Mutex::new(Times { wall: now, monotonic: Monotonic(0), synchronised: true }))
    }

    /// Lets time pass until the wall clock shows `now`. If that is in the past, only the wall clock goes back.
    pub fn set(&self, now: Timestamp) {
        self.0.lock().pass_until(now);
    }

    /// Lets `span` pass.
    pub fn advance(&self, span: Duration) {
        let mut shown = self.0.lock();
        let until = shown.wall.saturating_add(span);
        shown.pass_until(until);
    }

    /// Steps the wall clock forward by `span`. No time passes.
    pub fn step_forward(&self, span: Duration) {
        let mut shown = self.0.lock();
        shown.wall = shown.wall.saturating_add(span);
    }

    /// Steps the wall clock back by `span`. No time passes.
    pub fn step_back(&self, span: Duration) {
        let mut shown = self.0.lock();
        shown.wall = shown.wall.saturating_sub(span);
    }

    /// Sets what [`Clock::is_synchronised`] returns.
    pub fn set_synchronised(&self, synchronised: bool) {
        self.0.lock().synchronised = synchronised;
    }
}

impl Times {
    fn pass_until(&mut self, wall: Timestamp) {
        self.monotonic = self.monotonic.saturating_add(wall.since(self.wall));
        self.wall = wall;
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().wall
    }

    fn monotonic(&self) -> Monotonic {
        self.0.lock().monotonic
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
    /// Unix ms that the clock would show at `began`.
    offset_ms: AtomicI64,
}

impl FastForwardClock {
    /// Creates a clock that shows `now` at this moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a clock is where time comes in")]
    pub fn new(now: Timestamp) -> Self {
        FastForwardClock { began: Instant::now(), offset_ms: AtomicI64::new(now.unix_ms()) }
    }

    /// Advances the clock so that it shows at least `now`.
    pub fn advance_to(&self, now: Timestamp) {
        let offset = now.saturating_sub(self.began.elapsed());
        self.offset_ms.fetch_max(offset.unix_ms(), Ordering::SeqCst);
    }
}

impl Clock for FastForwardClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.offset_ms.load(Ordering::SeqCst)).saturating_add(self.began.elapsed())
    }

    fn monotonic(&self) -> Monotonic {
        // This clock never goes back, so its wall time is monotonic.
        Monotonic(self.now().unix_ms())
    }

    fn is_synchronised(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn span(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn shown(clock: &dyn Clock) -> (i64, i64) {
        (clock.now().unix_ms(), clock.monotonic().ms())
    }

    #[test]
    fn monotonic_sums_and_differences_saturate() {
        let (least, greatest) = (Monotonic::from_ms(i64::MIN), Monotonic::from_ms(i64::MAX));
        assert_eq!(greatest.since(least), span(u64::MAX));
        assert_eq!(least.since(greatest), Duration::ZERO);
        assert_eq!(least.saturating_add(Duration::MAX), greatest);
        assert_eq!(
            Monotonic::from_ms(-5).saturating_add(Duration::from_micros(7_999)),
            Monotonic::from_ms(2)
        );
    }

    #[test]
    fn virtual_clock_advances_wall_and_monotonic_together() {
        let clock = VirtualClock::new(ms(1_000));
        clock.advance(span(500));
        assert_eq!(shown(&clock), (1_500, 500));
        clock.set(ms(4_000));
        assert_eq!(shown(&clock), (4_000, 3_000));
    }

    #[test]
    fn virtual_clock_set_back_moves_the_wall_alone() {
        let clock = VirtualClock::new(ms(10_000));
        clock.set(ms(4_000));
        assert_eq!(shown(&clock), (4_000, 0));
        clock.step_back(span(1_000));
        assert_eq!(shown(&clock), (3_000, 0));
        clock.advance(span(200));
        assert_eq!(shown(&clock), (3_200, 200));
    }

    #[test]
    fn virtual_clock_step_moves_the_wall_alone() {
        let clock = VirtualClock::new(ms(10_000));
        clock.step_forward(span(5_000));
        assert_eq!(shown(&clock), (15_000, 0));
        clock.step_back(span(7_000));
        assert_eq!(shown(&clock), (8_000, 0));
    }

    #[test]
    fn virtual_clock_is_synchronised_until_told_otherwise() {
        let clock = VirtualClock::new(ms(0));
        assert!(clock.is_synchronised());
        clock.set_synchronised(false);
        assert!(!clock.is_synchronised());
    }

    #[test]
    fn virtual_clock_stops_at_the_ends_of_time() {
        let clock = VirtualClock::new(Timestamp::MIN);
        clock.set(Timestamp::MAX);
        clock.advance(span(1));
        assert_eq!(shown(&clock), (i64::MAX, i64::MAX));
    }

    #[test]
    fn fast_forward_clock_advances_wall_and_monotonic_together() {
        let clock = FastForwardClock::new(ms(1_000));
        let before = shown(&clock);
        clock.advance_to(ms(5_000_000_000));
        let after = shown(&clock);
        assert!(after.0 >= 5_000_000_000);
        assert!(after.1 - before.1 >= 4_000_000_000);
        clock.advance_to(ms(0));
        assert!(clock.now() >= ms(5_000_000_000), "it never goes back");
        assert!(clock.is_synchronised());
    }

    #[test]
    fn system_clock_monotonic_time_never_goes_back() {
        let readings: Vec<Monotonic> = (0..1_000).map(|_| SystemClock.monotonic()).collect();
        assert!(readings[0] > Monotonic::default());
        assert!(readings.is_sorted());
        let _ = SystemClock.is_synchronised(); // Either answer is right; the call must not fail.
    }
}
