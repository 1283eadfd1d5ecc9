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
    assert_eq!((accepted.now, accepted.state), (Timestamp::from_unix_ms(START + YEAR), Agrees));
    assert!(accepted.verdict.wall_was_right);
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
fn accepting_a_step_back_takes_time_back() {
    let mut machine = Machine::new();
    machine.step(-DAY);
    let accepted = machine.guard.accept(machine.reading());
    assert_eq!((accepted.now, accepted.state), (Timestamp::from_unix_ms(START - DAY), Agrees));
    assert!(accepted.verdict.wall_was_right);
    assert_eq!(machine.pass(HOUR), (HOUR - DAY, Agrees));
    assert_eq!(machine.step(DAY).1, ahead(DAY), "the way back up is no longer an undoing");
}

/// Jumps that an operator accepts or the kernel confirms count, each once. Small steps, and time that goes back, do not.
#[test]
fn jumps_ahead_are_counted_once() {
    let jumped = |machine: &mut Machine| {
        machine.guard.observe(machine.reading());
        i64::try_from(machine.guard.observe(machine.reading()).jumped.as_millis()).unwrap()
    };
    let mut machine = Machine::new();
    machine.step(30 * SECOND);
    assert_eq!(jumped(&mut machine), 0);
    let before = machine.guard.observe(machine.reading());
    for times in 1..=2 {
        machine.step(DAY);
        machine.guard.accept(machine.reading());
        assert_eq!(jumped(&mut machine), times * DAY);
    }
    machine.step(-2 * DAY);
    let back = machine.guard.accept(machine.reading());
    assert_eq!((back.now, jumped(&mut machine)), (before.now, 2 * DAY));
    for (off, is_counted) in [(3 * DAY, true), (HOUR / 2, false)] {
        let (mut machine, _) = Machine::opened(Some(0), off, true);
        assert_eq!(jumped(&mut machine), if is_counted { off } else { 0 });
    }
}

#[test]
fn accepting_a_clock_that_agrees_changes_nothing() {
    let mut machine = Machine::new();
    machine.step(-59 * SECOND);
    let accepted = machine.guard.accept(machine.reading());
    assert_eq!((accepted.now, accepted.state), (Timestamp::from_unix_ms(START), Agrees));
    assert!(!accepted.verdict.wall_was_right);
}

/// Of an object that arrives in doubt, either the wall clock or the monotonic clock gives the instant.
#[test]
fn end_of_a_doubt_tells_which_time_was_right() {
    enum End {
        Step(i64),
        Pass(i64),
        Accept,
    }
    let table = [
        (40 * DAY, End::Step(-40 * DAY), false),
        (40 * DAY, End::Accept, true),
        (-HOUR, End::Step(HOUR), false),
        (-HOUR, End::Pass(2 * HOUR), true),
        (-HOUR, End::Accept, true),
        (-YEAR, End::Step(YEAR), false),
    ];
    for (step, end, wall_was_right) in table {
        let mut machine = Machine::new();
        machine.pass(HOUR);
        machine.step(step);
        machine.pass(10 * SECOND);
        let doubt = machine.guard.observe(machine.reading());
        assert!(doubt.is_in_doubt());
        let at = START + HOUR + 10 * SECOND;
        assert_eq!((doubt.wall.unix_ms(), doubt.expected.unix_ms()), (at + step, at), "{step}");
        assert_eq!(doubt.for_floors(), doubt.wall.min(doubt.expected), "{step}");
        match end {
            End::Step(ms) => _ = machine.step(ms),
            End::Pass(ms) => _ = machine.pass(ms),
            End::Accept => _ = machine.guard.accept(machine.reading()),
        }
        let trusted = machine.guard.observe(machine.reading());
        assert_eq!(
            (trusted.is_in_doubt(), trusted.verdict.wall_was_right),
            (false, wall_was_right),
            "{step}"
        );
    }
}

/// The engine was off for ten hours, and the wall clock was set back by more.
#[test]
fn time_off_before_a_doubt_is_added_to_the_expected_time() {
    for accepts in [false, true] {
        let (mut machine, state) = Machine::opened(Some(0), -DAY, false);
        assert_eq!(state, behind(DAY));
        machine.pass(SECOND);
        let doubt = machine.guard.observe(machine.reading());
        assert_eq!(doubt.expected.unix_ms(), START + SECOND);
        machine.wall_ms += DAY + 10 * HOUR;
        machine.synchronised = !accepts;
        if accepts {
            machine.guard.accept(machine.reading());
        }
        let trusted = machine.guard.observe(machine.reading());
        assert!(!trusted.is_in_doubt());
        assert_eq!(trusted.verdict.lag, Duration::from_hours(10), "accepts: {accepts}");
    }
}

#[test]
fn clock_after_time_off_was_right_if_the_kernel_vouches() {
    let (mut machine, state) = Machine::opened(Some(0), 3 * DAY, false);
    assert_eq!(state, ahead(3 * DAY));
    machine.synchronised = true;
    machine.pass(SECOND);
    assert!(machine.guard.observe(machine.reading()).verdict.wall_was_right);
    let (mut machine, state) = Machine::opened(Some(0), HOUR / 2, false);
    assert_eq!(state, Agrees);
    assert!(!machine.guard.observe(machine.reading()).verdict.wall_was_right);
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
    fn extreme_readings_do_not_panic_and_only_accepting_takes_time_back(
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
            prop_assert!(accept || trusted.now >= before);
            prop_assert!(trusted.for_floors() <= trusted.now);
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
