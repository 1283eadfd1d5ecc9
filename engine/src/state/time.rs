//! Trusted time of an open engine, and the state under whose locks it does not go back.
//!
//! An operator can take time back. A thread that read the time before would then write instants of the future, and delete by
//! them. So no function takes the time of a write from its caller. It reads the time with
//! [`Core::now`](crate::state::core::Core::now), which asks for [`Steady`] state that the thread has locked.

use crate::model::clock_guard::{ClockGuard, ClockLimits, ClockState, Reading, Trusted};
use crate::platform::clock::{Clock, Monotonic, check_calendar, in_calendar};
use crate::platform::error::Result;
use parking_lot::Mutex;
use sexton_proof::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// State behind a lock that an operator who takes time back waits for. While a thread has such state, the trusted time does
/// not go back.
pub(crate) trait Steady {}

/// Clocks of the machine with their guard.
pub(crate) struct TrustedTime {
    clock: Arc<dyn Clock>,
    /// Source of trusted time.
    guard: Mutex<ClockGuard>,
    /// `true` once the clock agreed with the guard. A clock that is ahead later has stepped.
    has_agreed: AtomicBool,
}

impl TrustedTime {
    /// Begins the trusted time of an engine that is opened now.
    ///
    /// `last_known` is the last recorded time. `stepped` is `true` if an alarm about a step stands.
    ///
    /// # Errors
    /// `Invalid` if there is no last recorded time, and the clock is before 1970 or after 9998.
    pub(crate) fn begin(
        clock: Arc<dyn Clock>,
        last_known: Option<Timestamp>,
        mut limits: ClockLimits,
        stepped: bool,
    ) -> Result<Self> {
        if stepped {
            // Opening again must not end an alarm that a step raised.
            limits.time_off_max = limits.step_max;
        }
        if last_known.is_none() {
            // A new folder believes the clock. An older one trusts only what follows from the last known time.
            check_calendar(clock.now())?;
        }
        let (_, reading) = read(&*clock, !stepped);
        let mut guard = ClockGuard::new(reading, last_known, limits);
        let agrees = guard.observe(reading).state == ClockState::Agrees;
        Ok(TrustedTime { clock, guard: Mutex::new(guard), has_agreed: AtomicBool::new(stepped || agrees) })
    }

    /// Reads the trusted time, and the state of the wall clock.
    pub(crate) fn read(&self) -> Trusted {
        let mut guard = self.guard.lock();
        let mut now = guard.observe(read(&*self.clock, false).1);
        if !self.has_agreed() && matches!(now.state, ClockState::Ahead { .. }) {
            // After time off, deletion resumes by itself once the clock is NTP-synchronised.
            now = guard.observe(read(&*self.clock, true).1);
        }
        drop(guard);
        if now.state == ClockState::Agrees {
            self.has_agreed.store(true, Ordering::SeqCst);
        }
        now
    }

    /// Trusts the wall clock from now on, because an operator found it right. Returns the time before and after.
    ///
    /// The clock is read once, so `check` judges the reading that is accepted. An error of `check` leaves all as it is. The
    /// caller holds the locks of all [`Steady`] state, because time may go back.
    ///
    /// # Errors
    /// `Invalid` if the clock is before 1970 or after 9998; errors of `check`.
    pub(crate) fn accept(&self, check: impl FnOnce(Trusted) -> Result<()>) -> Result<(Trusted, Trusted)> {
        let mut guard = self.guard.lock();
        let (shown, reading) = read(&*self.clock, !self.has_agreed());
        check_calendar(shown)?;
        let before = guard.observe(reading);
        check(before)?;
        let accepted = guard.accept(reading);
        drop(guard);
        self.has_agreed.store(true, Ordering::SeqCst);
        Ok((before, accepted))
    }

    /// Returns `true` if the wall clock agreed since the opening. One that is ahead has then stepped.
    pub(crate) fn has_agreed(&self) -> bool {
        self.has_agreed.load(Ordering::SeqCst)
    }

    /// Returns the monotonic clock, for measuring durations.
    pub(crate) fn monotonic(&self) -> Monotonic {
        self.clock.monotonic()
    }
}

/// Reads both clocks. Returns the wall time as it was shown, and the reading to be judged.
///
/// The wall is read first: a pause in between then makes it look behind, never ahead. A wall time that cannot be recorded is
/// not believed.
fn read(clock: &dyn Clock, ask_kernel: bool) -> (Timestamp, Reading) {
    let shown = clock.now();
    let monotonic = clock.monotonic();
    let wall = in_calendar(shown);
    let synchronised = ask_kernel && wall == shown && clock.is_synchronised();
    (shown, Reading { wall, monotonic, synchronised })
}

/// Hook of tests between reading the time and writing by it.
#[cfg(test)]
pub(crate) mod hook {
    use std::cell::RefCell;

    thread_local! {
        static AFTER_READ: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    }

    /// Has the next read of this thread for a write call `hook`.
    pub(crate) fn after_read(hook: impl FnOnce() + 'static) {
        AFTER_READ.set(Some(Box::new(hook)));
    }

    /// Returns `true` if no read called the hook.
    pub(crate) fn is_set() -> bool {
        AFTER_READ.with_borrow(Option::is_some)
    }

    pub(crate) fn run() {
        if let Some(hook) = AFTER_READ.take() {
            hook();
        }
    }
}
