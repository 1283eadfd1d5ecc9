//! The clock guard: compares the wall clock with the monotonic clock, and after a restart with the last wall time on
//! disk. Wrong time may make a deletion late, never early.
//!
//! The guard is a pure structure: readings of the clocks go in, the trusted time comes out.
//!
//! **Ahead.** The anchor is an earlier reading that agreed. From the anchor on, the wall clock may gain `step_max` and a
//! thousandth of the elapsed time on the monotonic clock. Slewing moves both clocks alike on Linux. What legitimately moves
//! them apart is an oscillator that is off by at most 500 ppm and is corrected in small steps. A thousandth leaves room for
//! twice that. The guard does not follow a wall clock that is further ahead. Time then runs on by the monotonic clock until
//! the step is undone or an operator accepts it ([`ClockGuard::accept`]).
//!
//! **The anchor** moves to a reading only if that leaves no more room: the wall clock is no further ahead of the old anchor
//! than the thousandth. So a single step never has more room than `step_max`, however old the guard is. A wall clock
//! that gains by small steps uses up its room and is detected.
//!
//! **Behind.** If the wall clock goes back, trusted time stands still until the wall clock has caught up. The anchor stays
//! where it is. So a step back that is undone agrees again: no more time passed than the monotonic clock counted. Once the
//! wall clock has caught up by itself, the step back was right, and the anchor follows. From then on a return is a step
//! forward like any other.
//!
//! **After time off** the last known wall time is the anchor, with `time_off_max` as its room. A wall clock further
//! ahead agrees if the kernel reports that it is NTP-synchronised. This holds until the wall clock has agreed once, and not
//! only for the first reading. A machine without a battery for its clock starts in the past and is set to the true time
//! later. That step still belongs to the time off.

use crate::platform::clock::Monotonic;
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
    /// Longest time off that is believed at opening of a clock that is not NTP-synchronised.
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
    /// Trusted time. It never goes back.
    pub now: Timestamp,
    /// State of the wall clock.
    pub state: ClockState,
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
        let mut guard = ClockGuard { limits, anchor, latest: wall, read_at: reading.monotonic };
        guard.observe(reading);
        guard
    }

    /// Returns the trusted time at `reading`.
    pub fn observe(&mut self, reading: Reading) -> Trusted {
        // Threads may pass their readings in another order than they took them. No span counts twice.
        let passed = reading.monotonic.since(self.read_at);
        self.read_at = self.read_at.max(reading.monotonic);

        let state = self.judge(reading);
        match state {
            ClockState::Agrees => {
                if reading.wall >= self.latest && self.anchor.may_move_to(reading) {
                    self.anchor = Anchor::at(reading);
                }
                self.latest = self.latest.max(reading.wall);
            }
            ClockState::Behind { .. } => {}
            ClockState::Ahead { .. } => self.latest = self.latest.saturating_add(passed),
        }
        Trusted { now: self.latest, state }
    }

    /// Trusts the wall clock of `reading` from now on, because an operator found it right.
    ///
    /// Trusted time does not go back. If the wall clock is behind, trusted time stands still until it has caught up, and the
    /// state remains [`ClockState::Behind`].
    pub fn accept(&mut self, reading: Reading) -> Trusted {
        self.anchor = Anchor::at(reading);
        self.observe(reading)
    }

    fn judge(&self, reading: Reading) -> ClockState {
        let behind = self.latest.since(reading.wall);
        if behind > self.limits.step_max {
            return ClockState::Behind { by: behind };
        }
        let room = if self.anchor.after_time_off { self.limits.time_off_max } else { self.limits.step_max };
        let ahead = reading.wall.since(self.anchor.expected(reading));
        let believed = self.anchor.after_time_off && reading.synchronised;
        if ahead > room.saturating_add(self.anchor.drift(reading)) && !believed {
            return ClockState::Ahead { by: ahead };
        }
        ClockState::Agrees
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
mod tests {
    use super::*;
    use ClockState::Agrees;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000;
    const HOUR: i64 = 3_600 * SECOND;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    const START: i64 = 1_767_225_600_000;
    const LIMITS: ClockLimits =
        ClockLimits { step_max: Duration::from_secs(60), time_off_max: Duration::from_secs(3_600) };

    fn ahead(by_ms: i64) -> ClockState {
        ClockState::Ahead { by: Duration::from_millis(u64::try_from(by_ms).unwrap()) }
    }

    fn behind(by_ms: i64) -> ClockState {
        ClockState::Behind { by: Duration::from_millis(u64::try_from(by_ms).unwrap()) }
    }

    fn reading(wall_ms: i64, monotonic_ms: i64, synchronised: bool) -> Reading {
        let (wall, monotonic) = (Timestamp::from_unix_ms(wall_ms), Monotonic::from_ms(monotonic_ms));
        Reading { wall, monotonic, synchronised }
    }

    /// Machine whose clocks the test moves. Instants are relative to `START`.
    struct Machine {
        wall_ms: i64,
        monotonic_ms: i64,
        synchronised: bool,
        guard: ClockGuard,
    }

    impl Machine {
        fn opened(last_known: Option<i64>, wall: i64, synchronised: bool) -> (Self, ClockState) {
            let reading = reading(START + wall, 77, synchronised);
            let last_known = last_known.map(|ms| Timestamp::from_unix_ms(START + ms));
            let mut guard = ClockGuard::new(reading, last_known, LIMITS);
            let state = guard.observe(reading).state;
            (Machine { wall_ms: START + wall, monotonic_ms: 77, synchronised, guard }, state)
        }

        fn new() -> Self {
            Machine::opened(None, 0, true).0
        }

        fn reading(&self) -> Reading {
            reading(self.wall_ms, self.monotonic_ms, self.synchronised)
        }

        /// Lets `ms` pass on both clocks, and returns the trusted time.
        fn pass(&mut self, ms: i64) -> (i64, ClockState) {
            self.monotonic_ms += ms;
            self.step(ms)
        }

        /// Steps the wall clock by `ms`, and returns the trusted time.
        fn step(&mut self, ms: i64) -> (i64, ClockState) {
            self.wall_ms += ms;
            let trusted = self.guard.observe(self.reading());
            (trusted.now.unix_ms() - START, trusted.state)
        }
    }

    #[test]
    fn wall_clock_in_step_with_the_monotonic_clock_is_followed() {
        let mut machine = Machine::new();
        assert_eq!(machine.pass(SECOND), (SECOND, Agrees));
        assert_eq!(machine.pass(DAY), (SECOND + DAY, Agrees));
    }

    #[test]
    fn machine_after_suspension_agrees() {
        let mut machine = Machine::new();
        assert_eq!(machine.pass(90 * DAY), (90 * DAY, Agrees));
    }

    #[test]
    fn synchronised_step_of_a_year_is_not_followed() {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        assert_eq!(machine.step(YEAR), (HOUR, ahead(YEAR)));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, ahead(YEAR)));
    }

    #[test]
    fn step_after_a_year_has_no_more_room_than_after_a_second() {
        let mut machine = Machine::new();
        machine.pass(YEAR);
        assert_eq!(machine.step(60 * SECOND), (YEAR + 60 * SECOND, Agrees));
        assert_eq!(machine.step(SECOND), (YEAR + 60 * SECOND, ahead(61 * SECOND)));
    }

    #[test]
    fn undone_step_forward_agrees_again() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        machine.pass(HOUR);
        assert_eq!(machine.step(-YEAR), (HOUR, Agrees));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, Agrees));
    }

    #[test]
    fn step_back_stops_time_until_the_wall_clock_has_caught_up() {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        assert_eq!(machine.step(-DAY), (HOUR, behind(DAY)));
        assert_eq!(machine.pass(23 * HOUR), (HOUR, behind(HOUR)));
        assert_eq!(machine.pass(HOUR), (HOUR, Agrees));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, Agrees));
    }

    #[test]
    fn undone_step_back_agrees_again() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        machine.pass(HOUR);
        assert_eq!(machine.step(DAY), (HOUR, Agrees));
    }

    #[test]
    fn more_than_undone_step_back_is_ahead() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        assert_eq!(machine.pass(HOUR), (0, behind(23 * HOUR)));
        assert_eq!(machine.step(2 * DAY), (0, ahead(DAY)));
        assert_eq!(machine.pass(HOUR), (HOUR, ahead(DAY)));
    }

    #[test]
    fn return_after_the_wall_clock_caught_up_is_a_step_forward() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        assert_eq!(machine.pass(25 * HOUR), (HOUR, Agrees));
        assert_eq!(machine.step(DAY), (HOUR, ahead(DAY)));
    }

    #[test]
    fn slow_drift_agrees_for_years() {
        for (every_ms, gain_ms) in [(1_000, 1), (100_000, 50), (DAY, 40 * SECOND), (HOUR, -2 * SECOND)] {
            let mut machine = Machine::new();
            for _ in 0..5_000 {
                machine.monotonic_ms += every_ms;
                let (now, state) = machine.step(every_ms + gain_ms);
                assert_eq!((now, state), (machine.wall_ms - START, Agrees), "{gain_ms} in {every_ms} ms");
            }
        }
    }

    #[test]
    fn wall_clock_at_double_speed_is_detected() {
        let mut machine = Machine::new();
        let found_out = (1..1_000).find(|_| {
            machine.monotonic_ms += SECOND;
            machine.step(2 * SECOND).1 != Agrees
        });
        assert_eq!(found_out, Some(61));
    }

    #[test]
    fn steps_to_and_fro_within_the_limit_do_not_add_up() {
        let mut machine = Machine::new();
        for _ in 0..1_000 {
            assert_eq!(machine.step(50 * SECOND).1, Agrees);
            machine.pass(HOUR);
            assert_eq!(machine.step(-50 * SECOND).1, Agrees);
            machine.pass(HOUR);
        }
    }

    #[test]
    fn new_folder_trusts_the_wall_clock() {
        assert_eq!(Machine::opened(None, 0, false).1, Agrees);
    }

    #[test]
    fn three_days_off_are_believed_only_if_synchronised() {
        assert_eq!(Machine::opened(Some(0), HOUR, false).1, Agrees);
        assert_eq!(Machine::opened(Some(0), 3 * DAY, true).1, Agrees);
        let (mut machine, state) = Machine::opened(Some(0), 3 * DAY, false);
        assert_eq!(state, ahead(3 * DAY));
        assert_eq!(machine.pass(HOUR), (HOUR, ahead(3 * DAY)));
    }

    #[test]
    fn time_off_is_settled_once_the_clock_is_synchronised() {
        let (mut machine, _) = Machine::opened(Some(0), 3 * DAY, false);
        machine.pass(HOUR);
        machine.synchronised = true;
        assert_eq!(machine.pass(HOUR), (3 * DAY + 2 * HOUR, Agrees));
        machine.synchronised = false;
        assert_eq!(machine.pass(HOUR), (3 * DAY + 3 * HOUR, Agrees), "it was settled");
    }

    #[test]
    fn step_after_agreement_is_ahead_even_if_synchronised() {
        let (mut machine, state) = Machine::opened(Some(0), HOUR, false);
        assert_eq!(state, Agrees);
        machine.synchronised = true;
        assert_eq!(machine.step(DAY), (HOUR, ahead(DAY)));
    }

    #[test]
    fn opening_before_the_last_known_time_stops_time() {
        let (mut machine, state) = Machine::opened(Some(0), -DAY, true);
        assert_eq!(state, behind(DAY));
        assert_eq!(machine.pass(HOUR), (0, behind(23 * HOUR)));
        assert_eq!(machine.pass(24 * HOUR), (HOUR, Agrees));
    }

    #[test]
    fn machine_that_starts_in_1970_agrees_once_its_time_is_set() {
        let (mut machine, state) = Machine::opened(Some(0), -START, false);
        assert_eq!(state, behind(START));
        machine.pass(30 * SECOND);
        // The time is set; the kernel reports it as synchronised a little later.
        let gap = 3 * DAY;
        assert_eq!(machine.step(START + gap), (0, ahead(gap)));
        machine.synchronised = true;
        assert_eq!(machine.pass(SECOND), (gap + 31 * SECOND, Agrees));
    }

    #[test]
    fn accepted_wall_clock_is_followed() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        let accepted = machine.guard.accept(machine.reading());
        assert_eq!(accepted, Trusted { now: Timestamp::from_unix_ms(START + YEAR), state: Agrees });
        assert_eq!(machine.pass(HOUR), (YEAR + HOUR, Agrees));
        assert_eq!(machine.step(DAY), (YEAR + HOUR, ahead(DAY)));
    }

    #[test]
    fn accepting_after_time_off_settles_it() {
        let (mut machine, _) = Machine::opened(Some(0), 3 * DAY, false);
        assert_eq!(machine.guard.accept(machine.reading()).state, Agrees);
        machine.synchronised = true;
        assert_eq!(machine.step(DAY).1, ahead(DAY));
    }

    #[test]
    fn accepting_a_step_back_does_not_take_time_back() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        let accepted = machine.guard.accept(machine.reading());
        assert_eq!(accepted, Trusted { now: Timestamp::from_unix_ms(START), state: behind(DAY) });
        assert_eq!(machine.step(DAY), (0, ahead(DAY)), "the way back up is no longer an undoing");
        machine.step(-DAY);
        assert_eq!(machine.pass(25 * HOUR), (HOUR, Agrees));
    }

    #[test]
    fn readings_out_of_order_count_no_span_twice() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        for _ in 0..10 {
            machine.pass(10);
            let late = reading(machine.wall_ms, machine.monotonic_ms - 5, machine.synchronised);
            machine.guard.observe(late);
        }
        assert_eq!(machine.pass(0).0, 100);
    }

    fn extreme() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>()]
    }

    fn extreme_span() -> impl Strategy<Value = Duration> {
        prop_oneof![Just(Duration::ZERO), Just(Duration::MAX), any::<u64>().prop_map(Duration::from_millis)]
    }

    proptest! {
        #[test]
        fn extreme_readings_neither_panic_nor_take_time_back(
            last_known in proptest::option::of(extreme()),
            readings in prop::collection::vec((extreme(), extreme(), any::<bool>(), any::<bool>()), 1..20),
            limits in (extreme_span(), extreme_span()),
        ) {
            let limits = ClockLimits { step_max: limits.0, time_off_max: limits.1 };
            let mut guard: Option<ClockGuard> = None;
            let last_known = last_known.map(Timestamp::from_unix_ms);
            let mut before = last_known.unwrap_or(Timestamp::MIN);
            for (wall_ms, monotonic_ms, synchronised, accept) in readings {
                let reading = reading(wall_ms, monotonic_ms, synchronised);
                let guard = guard.get_or_insert_with(|| ClockGuard::new(reading, last_known, limits));
                let trusted = if accept { guard.accept(reading) } else { guard.observe(reading) };
                prop_assert!(trusted.now >= before);
                before = trusted.now;
            }
        }

        #[test]
        fn time_stays_within_what_the_monotonic_clock_allows(
            off in proptest::option::of(-3 * DAY..3 * DAY),
            moves in prop::collection::vec(
                (0..2 * HOUR, prop_oneof![
                    Just(0), -90_000_i64..90_000, -2 * DAY..2 * DAY, Just(DAY), Just(-DAY),
                ]),
                1..100,
            ),
        ) {
            let (mut machine, _) = Machine::opened(off.map(|_| 0), off.unwrap_or(0), false);
            let opened = machine.monotonic_ms;
            let room = 60 * SECOND + off.map_or(0, |_| HOUR);
            let mut before = 0;
            for (passed, stepped) in moves {
                machine.monotonic_ms += passed;
                let (now, state) = machine.step(passed + stepped);
                let elapsed = machine.monotonic_ms - opened;
                prop_assert!(now >= before);
                prop_assert!(now <= elapsed + elapsed / 1000 + room, "{now} after {elapsed}: {state:?}");
                before = now;
            }
        }
    }
}
