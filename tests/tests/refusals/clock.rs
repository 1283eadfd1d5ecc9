//! Wall clocks outside the years 1970 to 9998, which cannot be recorded.

use sexton::class::START_MIN;
use sexton::report::EngineState;
use sexton::testing::Clock;
use sexton::{Attribution, Durability, Engine, ErrorKind, Registration};
use sexton_proof::time::Timestamp;
use sexton_tests::{HOUR, Machine, NEW_YEAR};

/// Last ms of the year 9998.
const LAST: i64 = 253_370_764_799_999;
/// Wall times, in ms since 1970, of which none can be recorded.
const OUTSIDE: [i64; 7] =
    [i64::MIN, -1_000_000_000_000_000, -1, LAST + 1, 253_402_300_799_999, 253_402_300_800_000, i64::MAX];

/// Steps the wall clock to `wall`. No time passes.
fn step(machine: &Machine, wall: i64) {
    let (now, wall) = (machine.clock.now(), Timestamp::from_unix_ms(wall));
    machine.clock.step_back(now.since(wall));
    machine.clock.step_forward(wall.since(now));
}

#[test]
fn new_folder_is_refused_and_created_once_the_clock_is_right() {
    for wall in OUTSIDE {
        let machine = Machine::new();
        step(&machine, wall);
        let error = machine.open().err().expect("it was opened");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wall}: {error}");
        assert!(error.to_string().contains("set it right"), "{wall}: {error}");
        step(&machine, NEW_YEAR.unix_ms());
        machine.open().unwrap();
    }
}

#[test]
fn engine_at_either_end_of_the_calendar_works() {
    for wall in [START_MIN.unix_ms(), LAST - 400 * 86_400_000, LAST] {
        let machine = Machine::new();
        step(&machine, wall);
        let engine = machine.open().unwrap();
        machine.store.put(b"a", b"1");
        let a = Registration::new("upload-3h", b"a").version(b"1").start(engine.now());
        engine.register(&[a], Durability::Synced).unwrap();
        machine.clock.advance(6 * HOUR);
        let ended = engine.enforce(&*machine.store).unwrap().objects;
        // Beyond the calendar, time stands still, so nothing is early.
        assert_eq!(ended, u64::from(wall < LAST), "{wall}");
        assert!(engine.check().unwrap().is_sound(), "{wall}");
        drop(engine);
        machine.open().unwrap();
    }
}

/// No clock outside the calendar is believed, whatever the kernel says. Everything else goes on, and nothing ends.
#[test]
fn clock_that_leaves_the_calendar_is_not_believed() {
    for wall in OUTSIDE {
        let machine = Machine::new();
        let engine = machine.open().unwrap();
        machine.store.put(b"a", b"1");
        let a = Registration::new("log-6mo", b"a").version(b"1");
        engine.register(&[a], Durability::Synced).unwrap();
        step(&machine, wall);
        assert_not_believed(&machine, &engine, wall);
        drop(engine);
        let engine = machine.open().unwrap();
        assert_not_believed(&machine, &engine, wall);

        // What arrived meanwhile gets its true start, and ends with the rest.
        step(&machine, NEW_YEAR.unix_ms());
        assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 0, "{wall}");
        assert_eq!(engine.status().unwrap().state, EngineState::Running, "{wall}");
        machine.clock.advance(190 * 24 * HOUR);
        assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 2, "{wall}");
        assert!(engine.check().unwrap().is_sound(), "{wall}");
    }
}

fn assert_not_believed(machine: &Machine, engine: &Engine, wall: i64) {
    let b = Registration::new("log-6mo", b"b").version(b"1");
    engine.register(&[b], Durability::Synced).unwrap();
    assert_eq!(engine.enforce(&*machine.store).unwrap().objects, 0, "{wall}");
    assert!(engine.now().since(NEW_YEAR) < HOUR, "{wall}: {}", engine.now());
    let status = engine.status().unwrap();
    assert_eq!(matches!(status.state, EngineState::Paused(_)), wall > LAST, "{wall}: {:?}", status.state);
    for alarm in status.alarms {
        let error = engine.resume(alarm.id, Attribution::new("me", "it is right")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wall}: {error}");
    }
    engine.publish().unwrap();
    assert!(engine.check().unwrap().is_sound(), "{wall}");
}
