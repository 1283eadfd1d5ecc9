//! The clock guard: compares the wall clock with the monotonic clock, and after a restart with the last wall time on
//! disk. Wrong time may make a deletion late, never early.
//!
//! The guard is a pure structure: readings of the clocks go in, the trusted time comes out.
//!
//! **Ahead.** The anchor is an earlier reading that agreed. From the anchor on, the wall clock may gain `step_max` and
//! a thousandth of the elapsed time on the monotonic clock. Slewing moves both clocks alike on Linux. Only one cause
//! legitimately moves them apart: an oscillator that is off by at most 500 ppm and is corrected in small steps. A
//! thousandth leaves room for twice that. The guard does not follow a wall clock that is further ahead. Time then runs
//! on by the monotonic clock until the step is undone or an operator accepts it ([`ClockGuard::accept`]).
//!
//! **The anchor** moves to a reading only if that leaves no more room. The wall clock must not be further ahead of the
//! old anchor than the thousandth. So a single step never has more room than `step_max`, however old the guard is. A
//! wall clock that gains by small steps uses up its room and is detected.
//!
//! **Behind.** If the wall clock goes back, trusted time stands still until the wall clock has caught up. The anchor stays
//! where it is. So a step back that is undone agrees again: no more time passed than the monotonic clock counted. Once the
//! wall clock has caught up by itself, the step back was right, and the anchor follows. From then on a return is a step
//! forward like any other. Until then the trusted time may be one that a wrong clock gave, so floors are judged by the
//! earlier of both ([`Trusted::for_floors`]). An operator who finds the wall clock right takes the trusted time back.
//!
//! **Doubt.** While the wall clock is ahead or behind, an object that arrives has two possible instants of arrival. Its
//! registration keeps both. Once the clock agrees again, [`Trusted::verdict`] says which one it was.
//!
//! **After time off** the last known wall time is the anchor, with `time_off_max` as its room. A wall clock further
//! ahead agrees if the kernel reports that it is NTP-synchronised. This holds for every reading until the wall clock
//! has agreed once. A machine without a battery for its clock starts in the past and is set to the true time later.
//! That step still belongs to the time off.

use crate::model::span_ms;
use crate::platform::clock::Monotonic;
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;
use std::time::Duration;

/// Reading of the clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Wall time. Read it before `monotonic`: a pause between both reads then makes the wall clock look behind, never ahead.
    pub wall: Timestamp,
    /// Monotonic time. It never jumps, and it counts on while the machine is suspended.
    pub monotonic: Monotonic,
    /// `true` if the kernel reports that the wall clock is NTP-synchronised.
    pub synchronised: bool,
}

/// Limits within which the wall clock is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockLimits {
    /// Largest step of the wall clock, forward or back, while the engine is open.
    pub step_max: Duration,
    /// Longest time off that is accepted at opening if the clock is not NTP-synchronised.
    pub time_off_max: Duration,
}

impl Default for ClockLimits {
    fn default() -> Self {
        ClockLimits { step_max: Duration::from_secs(60), time_off_max: Duration::from_secs(3_600) }
    }
}

/// State of the wall clock, compared with the trusted time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockState {
    /// The wall clock is trusted.
    Agrees,
    /// The wall clock went back, or is before the last known time. Trusted time stands still until it has caught up.
    Behind {
        /// Distance from the wall time to the trusted time.
        by: Duration,
    },
    /// The wall clock is ahead of the time that can have passed. Trusted time runs on by the monotonic clock, and an operator
    /// has to look.
    Ahead {
        /// Distance from the expected time to the wall time.
        by: Duration,
    },
}

/// Trusted time, and the state of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trusted {
    /// Trusted time. It goes back only if an operator accepts that.
    pub now: Timestamp,
    /// State of the wall clock.
    pub state: ClockState,
    /// Present instant if the wall clock is right.
    pub wall: Timestamp,
    /// Present instant if the wall clock is wrong: by the monotonic clock, from the last reading that agreed.
    pub expected: Timestamp,
    /// Outcome of the last doubt about the wall clock.
    pub verdict: Verdict,
    /// Distance by which the trusted time jumped ahead in this opening, beyond the limits: all jumps together.
    pub jumped: Duration,
}

/// Outcome of a doubt about the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verdict {
    /// `true` if the wall clock was right at the end of the doubt, `false` if the expected time was.
    pub wall_was_right: bool,
    /// Distance by which the expected time was behind the wall clock when the doubt ended.
    #[serde(rename = "lag_ms", with = "span_ms")]
    pub lag: Duration,
    /// Distance by which the expected time was ahead of the wall clock when the doubt ended. Zero if time went back then,
    /// because another request ([`TimeBack`](crate::decision::TimeBack)) corrects that.
    #[serde(rename = "lead_ms", with = "span_ms")]
    pub lead: Duration,
    /// `true` if the doubt began in an earlier opening, so it is not known what the wall clock did meanwhile.
    pub is_unsure: bool,
}

impl Verdict {
    /// Returns the outcome of a doubt that ends when the wall clock shows `wall` and `expected` is the expected time.
    fn at(wall_was_right: bool, wall: Timestamp, expected: Timestamp) -> Self {
        Verdict { wall_was_right, lag: wall.since(expected), lead: expected.since(wall), is_unsure: false }
    }
}

impl Trusted {
    /// Returns the instant by which floors are judged: no later than the wall clock, if that is behind.
    #[must_use]
    pub fn for_floors(&self) -> Timestamp {
        match self.state {
            ClockState::Behind { .. } => self.now.min(self.wall),
            ClockState::Agrees | ClockState::Ahead { .. } => self.now,
        }
    }

    /// Returns the latest instant that the present can be, by either clock.
    #[must_use]
    pub fn latest(&self) -> Timestamp {
        match self.state {
            ClockState::Agrees => self.now,
            ClockState::Behind { .. } | ClockState::Ahead { .. } => {
                self.now.max(self.wall).max(self.expected)
            }
        }
    }

    /// Returns `true` if it is not known which of [`wall`](field@Trusted::wall) and [`expected`](field@Trusted::expected) is
    /// right.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.state != ClockState::Agrees
    }
}

/// Guard of the wall clock during one opening of the engine.
#[derive(Debug)]
pub struct ClockGuard {
    limits: ClockLimits,
    anchor: Anchor,
    /// Latest trusted time.
    latest: Timestamp,
    /// Latest monotonic time that was read.
    read_at: Monotonic,
    /// State at the last reading.
    state: ClockState,
    /// Outcome of the last doubt.
    verdict: Verdict,
    /// Distance of all jumps ahead together.
    jumped: Duration,
}

/// Pair of wall time and monotonic time of one instant.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall: Timestamp,
    monotonic: Monotonic,
    /// `true` if the wall time is that of an earlier opening, so the length of the time off is not confirmed yet.
    after_time_off: bool,
}

impl ClockGuard {
    /// Creates the guard of an engine that is opened at `reading`.
    ///
    /// `last_known` is the last recorded wall time. Without one, the wall clock is trusted as it is.
    pub fn new(reading: Reading, last_known: Option<Timestamp>, limits: ClockLimits) -> Self {
        let wall = last_known.unwrap_or(reading.wall);
        let after_time_off = last_known.is_some();
        let anchor = Anchor { wall, monotonic: reading.monotonic, after_time_off };
        let (read_at, state) = (reading.monotonic, ClockState::Agrees);
        let verdict = Verdict::default();
        let jumped = Duration::ZERO;
        let mut guard = ClockGuard { limits, anchor, latest: wall, read_at, state, verdict, jumped };
        guard.observe(reading);
        guard
    }

    /// Returns the trusted time at `reading`.
    pub fn observe(&mut self, reading: Reading) -> Trusted {
        // Threads may pass their readings in another order than they took them. No span counts twice.
        let passed = reading.monotonic.since(self.read_at);
        self.read_at = self.read_at.max(reading.monotonic);

        let state = self.judge(reading);
        let expected = self.anchor.expected(reading).max(self.latest);
        match state {
            ClockState::Agrees => {
                self.end_doubt(reading);
                if reading.wall >= self.latest && self.anchor.may_move_to(reading) {
                    self.anchor = Anchor::at(reading);
                }
                self.latest = self.latest.max(reading.wall);
            }
            ClockState::Behind { .. } => {}
            ClockState::Ahead { .. } => self.latest = self.latest.saturating_add(passed),
        }
        self.state = state;
        let expected = match state {
            ClockState::Behind { .. } => expected,
            ClockState::Agrees | ClockState::Ahead { .. } => self.latest,
        };
        let (now, wall) = (self.latest, reading.wall);
        Trusted { now, state, wall, expected, verdict: self.verdict, jumped: self.jumped }
    }

    /// Decides, as the wall clock agrees at `reading`, if it was right while it was in doubt.
    fn end_doubt(&mut self, reading: Reading) {
        let expected = self.anchor.expected(reading);
        let room = self.room(reading);
        let ahead = reading.wall.since(expected);
        let wall_was_right = match self.state {
            // It caught up by itself. A step back that is undone would be near the expected time.
            ClockState::Behind { .. } => expected.since(reading.wall) > room,
            // The kernel vouches for a wall clock that is still ahead. Otherwise it was set back.
            ClockState::Ahead { .. } => ahead > room,
            ClockState::Agrees if self.anchor.after_time_off => ahead > room,
            ClockState::Agrees => return,
        };
        self.jumped += if ahead > room { ahead } else { Duration::ZERO };
        self.verdict = Verdict::at(wall_was_right, reading.wall, expected);
    }

    /// Trusts the wall clock of `reading` from now on, because an operator found it right.
    ///
    /// Trusted time goes back with a wall clock that is behind.
    pub fn accept(&mut self, reading: Reading) -> Trusted {
        if self.observe(reading).is_in_doubt() {
            let expected = self.anchor.expected(reading).max(self.latest);
            self.latest = reading.wall;
            self.verdict = Verdict::at(true, reading.wall, expected);
            self.jumped += self.verdict.lag;
        }
        self.anchor = Anchor::at(reading);
        self.state = ClockState::Agrees;
        self.observe(reading)
    }

    fn judge(&self, reading: Reading) -> ClockState {
        let behind = self.latest.since(reading.wall);
        if behind > self.limits.step_max {
            return ClockState::Behind { by: behind };
        }
        let ahead = reading.wall.since(self.anchor.expected(reading));
        let believed = self.anchor.after_time_off && reading.synchronised;
        if ahead > self.room(reading) && !believed {
            return ClockState::Ahead { by: ahead };
        }
        ClockState::Agrees
    }

    /// Returns how far the wall clock may be from the expected time at `reading`.
    fn room(&self, reading: Reading) -> Duration {
        let room = if self.anchor.after_time_off { self.limits.time_off_max } else { self.limits.step_max };
        room.saturating_add(self.anchor.drift(reading))
    }
}

impl Anchor {
    fn at(reading: Reading) -> Self {
        Anchor { wall: reading.wall, monotonic: reading.monotonic, after_time_off: false }
    }

    /// Returns the monotonic time from the anchor to `reading`.
    fn passed(&self, reading: Reading) -> Duration {
        reading.monotonic.since(self.monotonic)
    }

    /// Returns the wall time expected at `reading`.
    fn expected(&self, reading: Reading) -> Timestamp {
        self.wall.saturating_add(self.passed(reading))
    }

    /// Returns the drift of the wall clock that is allowed until `reading`.
    fn drift(&self, reading: Reading) -> Duration {
        self.passed(reading) / 1000
    }

    /// Returns `true` if an anchor at `reading`, which agrees, leaves no more room than this anchor.
    fn may_move_to(&self, reading: Reading) -> bool {
        self.after_time_off || reading.wall <= self.expected(reading).saturating_add(self.drift(reading))
    }
}

#[cfg(test)]
#[path = "clock_guard_tests.rs"]
mod tests;
