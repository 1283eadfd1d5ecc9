//! Pauses: an operator stops all deletion for a stated time.

use sexton::decision::{AlarmCause, PAUSE_MAX};
use sexton::report::{Action, EngineState};
use sexton::{Attribution, ErrorKind};
use sexton_tests::simulation::Simulation;
use sexton_tests::{DAY, HOUR, MINUTE};
use std::time::Duration;

const CLASSES: &str = "[class.upload]\nwithin = \"3h\"\n[class.kept]\nkeep = \"3h\"\n";

fn ops() -> Attribution {
    Attribution::new("ops", "the disk is moved")
}

/// Returns a host with two objects that are due, paused for an hour.
fn paused() -> Simulation {
    let sim = Simulation::new(CLASSES);
    sim.put("upload", "a");
    sim.put("kept", "b");
    sim.engine().pause(30 * HOUR, &ops()).unwrap();
    sim.pass(29 * HOUR);
    sim
}

#[test]
fn pause_stops_all_deletion_until_it_is_over() {
    let mut sim = paused();
    for _ in 0..2 {
        assert!(sim.has("a") && sim.has("b"));
        let status = sim.engine().status().unwrap();
        assert!(
            matches!(&status.state, EngineState::Paused(why) if why.contains("by ops: the disk is moved"))
        );
        let needs = sim.engine().needs(&status).unwrap();
        assert!(needs.iter().any(|need| need.contains("deletion is paused until")), "{needs:?}");
        assert_eq!(status.classes["upload"].overdue, 1);
        for object in sim.engine().plan(sim.now()).unwrap() {
            assert!(matches!(object.unwrap().action, Action::Stopped(AlarmCause::Pause { .. })));
        }
        sim.reopen();
    }
    sim.pass(HOUR);
    assert!(!sim.has("a") && !sim.has("b"));
    assert!(sim.engine().status().unwrap().alarms.is_empty());
    sim.assert_sound();
}

#[test]
fn resuming_ends_a_pause_early() {
    let sim = paused();
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    sim.engine().resume(alarm.id, ops()).unwrap();
    sim.enforce();
    assert!(!sim.has("a") && !sim.has("b"));
}

#[test]
fn wrong_length_and_second_pause_are_refused() {
    let sim = Simulation::new(CLASSES);
    for length in [Duration::ZERO, PAUSE_MAX + Duration::from_millis(1)] {
        assert_eq!(sim.engine().pause(length, &ops()).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(sim.engine().pause(HOUR, &Attribution::new("", "")).is_err());
    assert!(sim.engine().status().unwrap().alarms.is_empty());

    sim.engine().pause(HOUR, &ops()).unwrap();
    let error = sim.engine().pause(HOUR, &ops()).unwrap_err();
    assert!(error.message().contains("a pause stands until"), "{error}");
    // A pause that is over does not stand.
    sim.machine.clock.advance(HOUR);
    sim.engine().pause(PAUSE_MAX, &ops()).unwrap();
    assert_eq!(sim.engine().status().unwrap().alarms.len(), 1);
}

#[test]
fn pause_leaves_the_alarm_of_a_wrong_clock() {
    let sim = paused();
    sim.machine.clock.step_forward(DAY);
    sim.enforce();
    // The clock is ahead, and the pause goes by trusted time.
    let causes = |sim: &Simulation| -> Vec<AlarmCause> {
        sim.engine().status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect()
    };
    assert_eq!(causes(&sim).len(), 2, "{:?}", causes(&sim));
    sim.pass(2 * HOUR);
    assert_eq!(causes(&sim), [AlarmCause::Clock]);
    assert!(sim.has("a") && sim.has("b"));
    sim.machine.clock.step_back(DAY);
    sim.pass(MINUTE);
    assert!(!sim.has("a") && !sim.has("b"));
}
