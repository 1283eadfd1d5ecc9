//! What an operator takes back with the time: each instant goes back by the error that it was read with, and no other.

use crate::wrong_clock::{accept, made_at, needs, put, set_right, simulation};
use sexton::decision::{HoldKind, RequestKind};
use sexton::report::KeyHistory;
use sexton::{Attribution, Change, Durability, Registration, Selector, Which};
use sexton_proof::record::Method;
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{DAY, HOUR, MINUTE, NEW_YEAR};
use std::time::Duration;

const YEAR: Duration = Duration::from_hours(365 * 24);

/// Lets the clock jump ahead, and accepts it.
fn jump(sim: &Simulation, by: Duration) {
    sim.machine.clock.step_forward(by);
    accept(sim);
}

/// Returns the listed keys of the request that took time back.
fn listed(sim: &Simulation) -> Vec<Vec<u8>> {
    let requests = sim.engine().requests().unwrap();
    let back = requests.iter().rfind(|request| matches!(request.kind, RequestKind::Back(_))).unwrap();
    sim.engine().erasure_objects(back.number).unwrap().into_iter().map(|object| object.key).collect()
}

/// A wrong clock is accepted in two steps. Between them the error is smaller than at the end.
#[test]
fn object_between_two_jumps_goes_back_by_the_first_jump_only() {
    for restarts in [false, true] {
        let mut sim = simulation();
        let before = sim.put("month", "before");
        sim.pass(HOUR);
        jump(&sim, 10 * DAY);
        let first = sim.put("month", "first");
        sim.pass(HOUR);
        jump(&sim, 15 * DAY);
        let second = sim.put("month", "second");
        sim.pass(HOUR);
        if restarts {
            sim.lose_power();
        }
        set_right(&sim, NEW_YEAR.saturating_add(3 * HOUR));
        accept(&sim);
        sim.enforce();
        let late = "the clock was wrong, and 1 object registered meanwhile has a start that may be too late";
        assert!(needs(&sim).iter().any(|need| need.starts_with(late)), "{:?}", needs(&sim));
        assert_eq!(listed(&sim), [b"first"]);
        sim.lose_power();
        for (hours, key, id) in [(0, "before", before), (1, "first", first), (2, "second", second)] {
            let due = NEW_YEAR.saturating_add(hours * HOUR).saturating_add(30 * DAY);
            sim.pass_until(due.saturating_sub(MINUTE));
            assert!(sim.has(key), "{key} goes early, restart: {restarts}");
            sim.pass(30 * MINUTE);
            assert!(!sim.has(key), "{key} goes late, restart: {restarts}");
            let verdict = sim.verdict(id, key);
            assert_eq!(verdict.start, NEW_YEAR.saturating_add(hours * HOUR), "{key}");
        }
        assert_eq!(needs(&sim), Vec::<String>::new());
        assert_eq!(sim.class("month").ended.early, 0);
        sim.assert_sound();
    }
}

/// The machine was really off after the first object. Nothing tells that jump from a wrong one, so the object is kept longer.
#[test]
fn object_before_a_true_jump_is_kept_longer_until_its_host_confirms() {
    let sim = made_at(NEW_YEAR.saturating_add(YEAR));
    sim.put("month", "a");
    sim.pass(HOUR);
    jump(&sim, 20 * DAY);
    let right = NEW_YEAR.saturating_add(20 * DAY).saturating_add(HOUR);
    set_right(&sim, right);
    accept(&sim);
    sim.enforce();
    assert_eq!(listed(&sim), [b"a"]);
    assert_eq!(needs(&sim).len(), 1);
    sim.pass_until(NEW_YEAR.saturating_add(30 * DAY).saturating_add(DAY));
    assert!(sim.has("a"), "its true time is in doubt, so it is kept");
    let of = Which::Key(b"a");
    sim.change(Change::Reschedule { of, class: None, start: Some(NEW_YEAR) }).unwrap();
    assert_eq!(needs(&sim), Vec::<String>::new());
    sim.pass(HOUR);
    assert!(!sim.has("a"));
    sim.assert_sound();
}

/// Time goes back twice, the second time beyond the first. The error of the oldest object is not known.
#[test]
fn object_of_an_earlier_era_is_never_early_after_time_went_back_twice() {
    let after = |days: u32, hours: u32| NEW_YEAR.saturating_add(days * DAY).saturating_add(hours * HOUR);
    let mut sim = made_at(after(40, 0));
    let old = sim.put("month", "old");
    sim.pass(HOUR);
    jump(&sim, 10 * DAY);
    // The accepted time is still wrong.
    set_right(&sim, after(45, 1));
    accept(&sim);
    sim.enforce();
    let new = sim.put("month", "new");
    sim.pass(HOUR);
    sim.lose_power();
    set_right(&sim, after(0, 2));
    accept(&sim);
    sim.enforce();
    assert_eq!(listed(&sim), [b"old"]);
    sim.pass_until(after(30, 0).saturating_sub(MINUTE));
    assert!(sim.has("old") && sim.has("new"));
    sim.pass_until(after(30, 3));
    assert!(!sim.has("old") && !sim.has("new"), "they wait for a wrong time");
    let starts = [(old, "old"), (new, "new")].map(|(id, key)| sim.verdict(id, key).start);
    assert_eq!(starts, [after(0, 2), after(0, 1)]);
    sim.assert_sound();
}

#[test]
fn released_object_ends_at_once_after_time_went_back() {
    let sim = made_at(NEW_YEAR.saturating_add(10 * YEAR));
    let ids = ["kept", "archive", "month"].map(|class| (class, put(&sim, class).id));
    for (class, _) in ids {
        sim.change(Change::Release { of: Which::Key(class.as_bytes()) }).unwrap();
    }
    set_right(&sim, NEW_YEAR);
    accept(&sim);
    sim.pass(Duration::from_secs(2));
    for (class, id) in ids {
        assert_eq!(sim.class(class).live, 0, "{class} waits for a wrong time");
        let verdict = sim.verdict(id, class);
        assert_eq!((verdict.method, verdict.start), (Method::Released, NEW_YEAR));
    }
    sim.assert_sound();
}

#[test]
fn record_of_an_ended_object_goes_back_with_the_time() {
    let mut sim = made_at(NEW_YEAR.saturating_add(10 * YEAR));
    let id = sim.put("remembered", "a");
    sim.pass(4 * HOUR);
    assert!(!sim.has("a"));
    let right = NEW_YEAR.saturating_add(4 * HOUR);
    set_right(&sim, right);
    accept(&sim);
    sim.lose_power();
    let KeyHistory::Ended(ended) = sim.engine().ended(b"a").unwrap() else { panic!("it is forgotten") };
    assert_eq!((ended.id, ended.start), (id, NEW_YEAR));
    assert!(ended.time > NEW_YEAR && ended.time <= right, "{ended:?}");
    assert_eq!(ended.until, ended.time.saturating_add(30 * DAY));
    sim.machine.store.put(b"a", b"again");
    let copy = Registration::new("remembered", b"a").version(b"again");
    let again = sim.engine().delete_again(&[copy], Durability::Synced).unwrap();
    assert!(again[0].is_some());
    sim.pass(Duration::from_secs(2));
    assert!(!sim.has("a"), "the copy waits for a wrong time");
    sim.pass(70 * DAY);
    assert_eq!(sim.engine().ended(b"a").unwrap(), KeyHistory::Unknown);
    sim.assert_sound();
}

/// A hold is lifted with a grace, by a right or by a wrong time. The grace counts from the true instant of the lift.
#[test]
fn grace_of_a_lifted_hold_keeps_its_length_when_time_goes_back() {
    for is_right in [true, false] {
        let sim = if is_right { simulation() } else { made_at(NEW_YEAR.saturating_add(YEAR)) };
        sim.put("upload", "a");
        sim.hold_of("case", key("a"), HoldKind::Temporary);
        sim.pass(4 * HOUR);
        sim.lift("case", 20 * DAY);
        sim.pass(HOUR);
        if is_right {
            jump(&sim, 10 * DAY);
        }
        sim.pass(HOUR);
        set_right(&sim, NEW_YEAR.saturating_add(6 * HOUR));
        accept(&sim);
        let until = NEW_YEAR.saturating_add(20 * DAY).saturating_add(4 * HOUR);
        sim.pass_until(until.saturating_sub(MINUTE));
        assert!(sim.has("a"), "the grace is cut, lifted by a right time: {is_right}");
        sim.pass(HOUR);
        assert!(!sim.has("a"), "the grace is longer, lifted by a right time: {is_right}");
        sim.assert_sound();
    }
}

/// A class is closed by a right or by a wrong time. Its objects go with the notice of a slot, a day here.
#[test]
fn notice_of_a_closing_keeps_its_length_when_time_goes_back() {
    for is_right in [true, false] {
        let sim = if is_right { simulation() } else { made_at(NEW_YEAR.saturating_add(YEAR)) };
        sim.put("noticed", "a");
        sim.enforce();
        let attribution = Attribution::new("ops", "over");
        sim.engine().close_down(Selector::Class("noticed".into()), attribution).unwrap();
        sim.enforce();
        if is_right {
            jump(&sim, 2 * HOUR);
        }
        set_right(&sim, NEW_YEAR);
        accept(&sim);
        sim.pass(23 * HOUR);
        assert!(sim.has("a"), "the notice is cut, closed by a right time: {is_right}");
        sim.pass(2 * HOUR);
        assert!(!sim.has("a"), "the notice is longer, closed by a right time: {is_right}");
        sim.assert_sound();
    }
}

/// The object was due when it was registered, and a hold kept it. Registration and lift were read from the wrong clock.
#[test]
fn grace_of_an_overdue_object_lasts_after_time_went_back() {
    let sim = made_at(NEW_YEAR.saturating_add(YEAR));
    sim.hold("case", key("a"));
    sim.put_of("upload", "a", "", Some(NEW_YEAR.saturating_sub(DAY)));
    sim.pass(HOUR);
    sim.lift("case", 10 * DAY);
    sim.pass(HOUR);
    let right = NEW_YEAR.saturating_add(2 * HOUR);
    set_right(&sim, right);
    accept(&sim);
    sim.enforce();
    sim.pass_until(right.saturating_sub(HOUR).saturating_add(10 * DAY).saturating_sub(MINUTE));
    assert!(sim.has("a"), "it goes before the end of the grace");
    sim.pass(2 * MINUTE);
    assert!(!sim.has("a"));
    sim.assert_sound();
}
