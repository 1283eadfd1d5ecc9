//! The clock guard: wall time held against the monotonic clock, and after a restart against the last wall time on
//! disk. Wrong time may make deletion late, never early.
//!
//! A pure structure: readings go in, what may be trusted comes out.
//!
//! **Ahead.** From the anchor, a reading that agreed, the wall may have gained on the monotonic clock by
//! `step_max_ms` and a thousandth of what passed. On Linux slewing moves both clocks alike. What legitimately moves
//! them apart is an oscillator that is off, by 500 ppm at most, and is corrected in small steps; a thousandth leaves
//! room for twice that. A wall further ahead is not followed: time then runs on by the monotonic clock, until the
//! step is undone or a person has looked ([`ClockGuard::accept`]).
//!
//! **The anchor** moves to a reading only where that takes room away: the wall is no further ahead of the old anchor
//! than the thousandth. So one step never has more room than `step_max_ms`, however long ago the guard was made, and
//! a wall that gains by small steps uses up its room and is found out.
//!
//! **Behind.** The wall went back: time stands still until the wall has caught up, and meanwhile the anchor stays
//! where it is. So a step back that is undone agrees again: no more time passed than the monotonic clock counted.
//! Once the wall has caught up by itself, the step back has proved to be the truth, and the anchor follows: from
//! there on the way back up is a forward step like any other.
//!
//! **After time off** the last known wall time is the anchor, with `time_off_max_ms` as its room, and what is further
//! ahead agrees where the kernel reports synchronised time. This holds until the wall has agreed once, not just for
//! the first reading: a machine without a battery for its clock starts long ago and is stepped to the true time
//! later, and that is time off still, not a step of a running clock.

/// What the clocks show at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Wall time, Unix ms. To be read before `monotonic_ms`: a pause between the two then looks like a wall that is
    /// behind, never ahead.
    pub wall_ms: i64,
    /// Milliseconds of a clock that never jumps and counts on while the machine is suspended.
    pub monotonic_ms: i64,
    /// Whether the kernel reports that its wall time is synchronised.
    pub synchronised: bool,
}

/// How far the wall may be ahead before it is no longer trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockLimits {
    /// Milliseconds by which the wall may step, forward or back, while the engine is open.
    pub step_max_ms: i64,
    /// Milliseconds since the last known wall time that are believed, when the engine is opened, to a clock that is
    /// not synchronised.
    pub time_off_max_ms: i64,
}

impl Default for ClockLimits {
    fn default() -> Self {
        ClockLimits { step_max_ms: 60_000, time_off_max_ms: 3_600_000 }
    }
}

/// How the wall stands to what is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockState {
    /// The wall is trusted.
    Agrees,
    /// The wall went back, or stands before the last known time: time stands still until it has caught up.
    Behind {
        /// Milliseconds from the wall to the time that is trusted.
        by_ms: i64,
    },
    /// The wall is ahead of what can have passed: time runs on by the monotonic clock, and a person has to look.
    Ahead {
        /// Milliseconds from the time expected to the wall.
        by_ms: i64,
    },
}

/// The time to go by, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// Now, Unix ms; never earlier than it was before.
    pub now_ms: i64,
    /// How the wall stands to it.
    pub state: ClockState,
}

/// Holds wall time against the monotonic clock, through one opening of the engine.
#[derive(Debug)]
pub struct ClockGuard {
    limits: ClockLimits,
    anchor: Anchor,
    /// The latest trusted instant, Unix ms.
    latest_ms: i64,
    /// The latest monotonic time read.
    read_at_ms: i64,
}

/// A pair of wall and monotonic time that belong together.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall_ms: i64,
    monotonic_ms: i64,
    /// The wall is that of an earlier opening, and how long the engine was closed is not known yet.
    after_time_off: bool,
}

impl ClockGuard {
    /// A guard for an engine that is opened at `reading`. `last_known_ms` is the last wall time recorded (Unix ms);
    /// where there is none, the wall is trusted as it stands.
    pub fn new(reading: Reading, last_known_ms: Option<i64>, limits: ClockLimits) -> Self {
        let wall_ms = last_known_ms.unwrap_or(reading.wall_ms);
        let after_time_off = last_known_ms.is_some();
        let anchor = Anchor { wall_ms, monotonic_ms: reading.monotonic_ms, after_time_off };
        let mut guard = ClockGuard { limits, anchor, latest_ms: wall_ms, read_at_ms: reading.monotonic_ms };
        guard.observe(reading);
        guard
    }

    /// What to trust at `reading`.
    pub fn observe(&mut self, reading: Reading) -> Trusted {
        // Threads may hand in their readings in another order than they took them: no span counts twice.
        let passed_ms = reading.monotonic_ms.saturating_sub(self.read_at_ms).max(0);
        self.read_at_ms = self.read_at_ms.max(reading.monotonic_ms);

        let state = self.judge(reading);
        match state {
            ClockState::Agrees => {
                if reading.wall_ms >= self.latest_ms && self.anchor.may_move_to(reading) {
                    self.anchor = Anchor::at(reading);
                }
                self.latest_ms = self.latest_ms.max(reading.wall_ms);
            }
            ClockState::Behind { .. } => {}
            ClockState::Ahead { .. } => self.latest_ms = self.latest_ms.saturating_add(passed_ms),
        }
        Trusted { now_ms: self.latest_ms, state }
    }

    /// A person has looked and found that the wall of `reading` is right: it is trusted from here on.
    ///
    /// Time does not go back for that either. Where the wall is behind, it stands still until the wall has caught up
    /// and the state goes on saying so.
    pub fn accept(&mut self, reading: Reading) -> Trusted {
        self.anchor = Anchor::at(reading);
        self.observe(reading)
    }

    fn judge(&self, reading: Reading) -> ClockState {
        let behind_ms = self.latest_ms.saturating_sub(reading.wall_ms);
        if behind_ms > self.limits.step_max_ms {
            return ClockState::Behind { by_ms: behind_ms };
        }
        let room_ms =
            if self.anchor.after_time_off { self.limits.time_off_max_ms } else { self.limits.step_max_ms };
        let ahead_ms = reading.wall_ms.saturating_sub(self.anchor.expected_ms(reading));
        let believed = self.anchor.after_time_off && reading.synchronised;
        if ahead_ms > room_ms.saturating_add(self.anchor.drift_ms(reading)) && !believed {
            return ClockState::Ahead { by_ms: ahead_ms };
        }
        ClockState::Agrees
    }
}

impl Anchor {
    fn at(reading: Reading) -> Self {
        Anchor { wall_ms: reading.wall_ms, monotonic_ms: reading.monotonic_ms, after_time_off: false }
    }

    /// Milliseconds that passed from here to `reading`.
    fn passed_ms(&self, reading: Reading) -> i64 {
        reading.monotonic_ms.saturating_sub(self.monotonic_ms).max(0)
    }

    /// What the wall should show at `reading`.
    fn expected_ms(&self, reading: Reading) -> i64 {
        self.wall_ms.saturating_add(self.passed_ms(reading))
    }

    /// Milliseconds that the wall may have gained by drifting until `reading`.
    fn drift_ms(&self, reading: Reading) -> i64 {
        self.passed_ms(reading) / 1000
    }

    /// Whether an anchor at `reading`, which agrees, leaves no more room than this one does.
    fn may_move_to(&self, reading: Reading) -> bool {
        self.after_time_off
            || reading.wall_ms <= self.expected_ms(reading).saturating_add(self.drift_ms(reading))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClockState::{Agrees, Ahead, Behind};
    use proptest::prelude::*;

    const SECOND: i64 = 1_000;
    const HOUR: i64 = 3_600 * SECOND;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    const START: i64 = 1_767_225_600_000;
    const LIMITS: ClockLimits = ClockLimits { step_max_ms: 60_000, time_off_max_ms: 3_600_000 };

    /// A machine whose clocks the test moves; instants are relative to `START`.
    struct Machine {
        wall_ms: i64,
        monotonic_ms: i64,
        synchronised: bool,
        guard: ClockGuard,
    }

    impl Machine {
        fn opened(last_known: Option<i64>, wall: i64, synchronised: bool) -> (Self, ClockState) {
            let reading = Reading { wall_ms: START + wall, monotonic_ms: 77, synchronised };
            let mut guard = ClockGuard::new(reading, last_known.map(|ms| START + ms), LIMITS);
            let state = guard.observe(reading).state;
            (Machine { wall_ms: START + wall, monotonic_ms: 77, synchronised, guard }, state)
        }

        fn new() -> Self {
            Machine::opened(None, 0, true).0
        }

        fn reading(&self) -> Reading {
            Reading {
                wall_ms: self.wall_ms,
                monotonic_ms: self.monotonic_ms,
                synchronised: self.synchronised,
            }
        }

        /// Time passes; then what is trusted.
        fn pass(&mut self, ms: i64) -> (i64, ClockState) {
            self.monotonic_ms += ms;
            self.step(ms)
        }

        /// The wall jumps; then what is trusted.
        fn step(&mut self, ms: i64) -> (i64, ClockState) {
            self.wall_ms += ms;
            let trusted = self.guard.observe(self.reading());
            (trusted.now_ms - START, trusted.state)
        }
    }

    #[test]
    fn a_wall_that_keeps_up_with_the_monotonic_clock_is_followed() {
        let mut machine = Machine::new();
        assert_eq!(machine.pass(SECOND), (SECOND, Agrees));
        assert_eq!(machine.pass(DAY), (SECOND + DAY, Agrees));
    }

    #[test]
    fn a_suspended_machine_wakes_up_in_agreement() {
        let mut machine = Machine::new();
        assert_eq!(machine.pass(90 * DAY), (90 * DAY, Agrees));
    }

    #[test]
    fn a_year_ahead_is_not_followed_even_where_the_kernel_calls_it_synchronised() {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        assert_eq!(machine.step(YEAR), (HOUR, Ahead { by_ms: YEAR }));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, Ahead { by_ms: YEAR }));
    }

    #[test]
    fn a_step_has_no_more_room_after_a_year_than_after_a_second() {
        let mut machine = Machine::new();
        machine.pass(YEAR);
        assert_eq!(machine.step(60 * SECOND), (YEAR + 60 * SECOND, Agrees));
        assert_eq!(machine.step(SECOND), (YEAR + 60 * SECOND, Ahead { by_ms: 61 * SECOND }));
    }

    #[test]
    fn a_step_forward_that_is_undone_agrees_again() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        machine.pass(HOUR);
        assert_eq!(machine.step(-YEAR), (HOUR, Agrees));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, Agrees));
    }

    #[test]
    fn after_a_step_back_time_stands_still_until_the_wall_has_caught_up() {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        assert_eq!(machine.step(-DAY), (HOUR, Behind { by_ms: DAY }));
        assert_eq!(machine.pass(23 * HOUR), (HOUR, Behind { by_ms: HOUR }));
        assert_eq!(machine.pass(HOUR), (HOUR, Agrees));
        assert_eq!(machine.pass(HOUR), (2 * HOUR, Agrees));
    }

    #[test]
    fn a_step_back_that_is_undone_agrees_again() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        machine.pass(HOUR);
        assert_eq!(machine.step(DAY), (HOUR, Agrees));
    }

    #[test]
    fn a_step_back_that_is_more_than_undone_is_ahead() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        assert_eq!(machine.pass(HOUR), (0, Behind { by_ms: 23 * HOUR }));
        assert_eq!(machine.step(2 * DAY), (0, Ahead { by_ms: DAY }));
        assert_eq!(machine.pass(HOUR), (HOUR, Ahead { by_ms: DAY }));
    }

    #[test]
    fn once_the_wall_has_caught_up_by_itself_the_way_back_up_is_a_step_forward() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        assert_eq!(machine.pass(25 * HOUR), (HOUR, Agrees));
        assert_eq!(machine.step(DAY), (HOUR, Ahead { by_ms: DAY }));
    }

    #[test]
    fn slow_drift_is_fine_for_years_however_it_is_corrected() {
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
    fn a_wall_at_double_speed_is_found_out_though_each_step_is_small() {
        let mut machine = Machine::new();
        let found_out = (1..1_000).find(|_| {
            machine.monotonic_ms += SECOND;
            machine.step(2 * SECOND).1 != Agrees
        });
        assert_eq!(found_out, Some(61));
    }

    #[test]
    fn steps_to_and_fro_inside_the_limit_do_not_add_up() {
        let mut machine = Machine::new();
        for _ in 0..1_000 {
            assert_eq!(machine.step(50 * SECOND).1, Agrees);
            machine.pass(HOUR);
            assert_eq!(machine.step(-50 * SECOND).1, Agrees);
            machine.pass(HOUR);
        }
    }

    #[test]
    fn a_new_folder_trusts_the_wall() {
        assert_eq!(Machine::opened(None, 0, false).1, Agrees);
    }

    #[test]
    fn an_hour_off_is_believed_and_three_days_only_to_a_synchronised_clock() {
        assert_eq!(Machine::opened(Some(0), HOUR, false).1, Agrees);
        assert_eq!(Machine::opened(Some(0), 3 * DAY, true).1, Agrees);
        let (mut machine, state) = Machine::opened(Some(0), 3 * DAY, false);
        assert_eq!(state, Ahead { by_ms: 3 * DAY });
        assert_eq!(machine.pass(HOUR), (HOUR, Ahead { by_ms: 3 * DAY }));
    }

    #[test]
    fn after_time_off_it_goes_on_by_itself_once_the_clock_is_synchronised() {
        let (mut machine, _) = Machine::opened(Some(0), 3 * DAY, false);
        machine.pass(HOUR);
        machine.synchronised = true;
        assert_eq!(machine.pass(HOUR), (3 * DAY + 2 * HOUR, Agrees));
        machine.synchronised = false;
        assert_eq!(machine.pass(HOUR), (3 * DAY + 3 * HOUR, Agrees), "it was settled");
    }

    #[test]
    fn a_step_after_agreement_asks_though_the_clock_becomes_synchronised() {
        let (mut machine, state) = Machine::opened(Some(0), HOUR, false);
        assert_eq!(state, Agrees);
        machine.synchronised = true;
        assert_eq!(machine.step(DAY), (HOUR, Ahead { by_ms: DAY }));
    }

    #[test]
    fn opened_before_the_last_known_time_it_stands_still_there() {
        let (mut machine, state) = Machine::opened(Some(0), -DAY, true);
        assert_eq!(state, Behind { by_ms: DAY });
        assert_eq!(machine.pass(HOUR), (0, Behind { by_ms: 23 * HOUR }));
        assert_eq!(machine.pass(24 * HOUR), (HOUR, Agrees));
    }

    #[test]
    fn a_machine_that_starts_in_1970_and_is_then_set_right_goes_on_by_itself() {
        let (mut machine, state) = Machine::opened(Some(0), -START, false);
        assert_eq!(state, Behind { by_ms: START });
        machine.pass(30 * SECOND);
        // The time is set; the kernel reports it as synchronised a little later.
        let gap = 3 * DAY;
        assert_eq!(machine.step(START + gap), (0, Ahead { by_ms: gap }));
        machine.synchronised = true;
        assert_eq!(machine.pass(SECOND), (gap + 31 * SECOND, Agrees));
    }

    #[test]
    fn what_a_person_accepts_is_followed_from_there_on() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        let accepted = machine.guard.accept(machine.reading());
        assert_eq!(accepted, Trusted { now_ms: START + YEAR, state: Agrees });
        assert_eq!(machine.pass(HOUR), (YEAR + HOUR, Agrees));
        assert_eq!(machine.step(DAY), (YEAR + HOUR, Ahead { by_ms: DAY }));
    }

    #[test]
    fn accepting_after_time_off_ends_it() {
        let (mut machine, _) = Machine::opened(Some(0), 3 * DAY, false);
        assert_eq!(machine.guard.accept(machine.reading()).state, Agrees);
        machine.synchronised = true;
        assert_eq!(machine.step(DAY).1, Ahead { by_ms: DAY });
    }

    #[test]
    fn accepting_a_wall_that_went_back_does_not_take_time_back() {
        let mut machine = Machine::new();
        machine.step(-DAY);
        let accepted = machine.guard.accept(machine.reading());
        assert_eq!(accepted, Trusted { now_ms: START, state: Behind { by_ms: DAY } });
        assert_eq!(machine.step(DAY), (0, Ahead { by_ms: DAY }), "the way back up is no longer an undoing");
        machine.step(-DAY);
        assert_eq!(machine.pass(25 * HOUR), (HOUR, Agrees));
    }

    #[test]
    fn readings_that_arrive_out_of_order_count_no_span_twice() {
        let mut machine = Machine::new();
        machine.step(YEAR);
        for _ in 0..10 {
            machine.pass(10);
            let late = Reading { monotonic_ms: machine.monotonic_ms - 5, ..machine.reading() };
            machine.guard.observe(late);
        }
        assert_eq!(machine.pass(0).0, 100);
    }

    fn extreme() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0), any::<i64>()]
    }

    proptest! {
        #[test]
        fn absurd_readings_neither_panic_nor_turn_time_back(
            last_known in proptest::option::of(extreme()),
            readings in prop::collection::vec((extreme(), extreme(), any::<bool>(), any::<bool>()), 1..20),
            limits in (extreme(), extreme()),
        ) {
            let limits = ClockLimits { step_max_ms: limits.0, time_off_max_ms: limits.1 };
            let mut guard: Option<ClockGuard> = None;
            let mut before = last_known.unwrap_or(i64::MIN);
            for (wall_ms, monotonic_ms, synchronised, accept) in readings {
                let reading = Reading { wall_ms, monotonic_ms, synchronised };
                let guard = guard.get_or_insert_with(|| ClockGuard::new(reading, last_known, limits));
                let trusted = if accept { guard.accept(reading) } else { guard.observe(reading) };
                prop_assert!(trusted.now_ms >= before);
                before = trusted.now_ms;
            }
        }

        #[test]
        fn time_never_goes_back_nor_further_than_the_monotonic_clock_allows(
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
            let room = LIMITS.step_max_ms + off.map_or(0, |_| LIMITS.time_off_max_ms);
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
