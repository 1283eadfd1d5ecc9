//! Legal holds. An object that a hold covers stays until the lift, whatever else was promised.

use sexton::decision::HoldKind;
use sexton::store::Answer;
use sexton::{RegistrationId, Selector};
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, key, subject};
use sexton_tests::{DAY, FailureMode, HOUR, NEW_YEAR};
use std::time::Duration;

/// A short class, one with a floor and a wide window, and one whose objects are open until they start.
const CLASSES: &str = r#"
[class.upload]
within = "3h"

[class.kept]
keep = "10d"
within = "20d"

[class.account]
within = "3h"
start = "explicit"
max_open = "30d"
"#;

fn simulation() -> Simulation {
    Simulation::new(CLASSES)
}

fn after_hold(by: Duration) -> (Compliance, Method, Reason) {
    (Compliance::AfterHold { by }, Method::Deleted, Reason::Lifted)
}

#[test]
fn hold_keeps_exactly_what_its_selector_covers() {
    for (selector, kept) in [
        (key("a/1"), &["a/1"][..]),
        (Selector::keys([b"a/1", b"b/1"]), &["a/1", "b/1"]),
        (Selector::Prefix(b"a/".into()), &["a/1", "a/2"]),
        (subject("anna"), &["a/1", "b/1"]),
        (Selector::Class("account".into()), &["b/2"]),
        (Selector::Everything, &["a/1", "a/2", "b/1", "b/2"]),
    ] {
        let sim = simulation();
        let start = Some(NEW_YEAR);
        for (class, key, subject) in
            [("upload", "a/1", "anna"), ("upload", "a/2", "bob"), ("upload", "b/1", "anna")]
        {
            sim.put_of(class, key, subject, start);
        }
        sim.put_of("account", "b/2", "bob", start);
        assert_eq!(sim.hold("case", selector.clone()), []);
        sim.pass(DAY);
        let left: Vec<&str> = ["a/1", "a/2", "b/1", "b/2"].into_iter().filter(|key| sim.has(key)).collect();
        assert_eq!(left, kept, "{}", selector.describe());
        let (upload, account) = (sim.class("upload"), sim.class("account"));
        assert_eq!(upload.held + account.held, kept.len() as u64);
        assert_eq!(upload.ended.held + account.ended.held, kept.len() as u64);
        sim.assert_sound();
    }
}

#[test]
fn object_under_several_holds_goes_after_the_last_lift() {
    let sim = simulation();
    let id = sim.put_of("upload", "a", "anna", None);
    sim.hold("one", key("a"));
    sim.hold("two", subject("anna"));
    sim.hold("three", Selector::Class("upload".into()));
    sim.pass(DAY);
    for name in ["two", "one"] {
        sim.lift(name, Duration::ZERO);
        sim.pass(DAY);
        assert!(sim.has("a"), "{name} was not the last");
    }
    sim.lift("three", Duration::ZERO);
    sim.enforce();
    assert_eq!(sim.receipt(id, "a"), after_hold(2 * DAY + 21 * HOUR));
    assert_eq!(sim.engine().status().unwrap().holds, 0);
    assert_eq!(sim.engine().holds().len(), 3, "lifted holds stay on record");
    sim.assert_sound();
}

#[test]
fn hold_covers_objects_registered_later() {
    let sim = simulation();
    sim.hold("case", Selector::Prefix(b"mail/anna/".into()));
    sim.pass(10 * DAY);
    let held = sim.put("upload", "mail/anna/9");
    sim.put("upload", "mail/bob/9");
    sim.pass(DAY);
    assert!(sim.has("mail/anna/9") && !sim.has("mail/bob/9"));
    sim.lift("case", Duration::ZERO);
    sim.enforce();
    assert_eq!(sim.receipt(held, "mail/anna/9"), after_hold(21 * HOUR));
    sim.assert_sound();
}

#[test]
fn event_hold_restarts_the_clock_and_a_temporary_one_does_not() {
    for (kind, start, outcome) in [
        (HoldKind::Temporary, NEW_YEAR, after_hold(9 * HOUR)),
        (
            HoldKind::Event,
            NEW_YEAR.saturating_add(12 * HOUR),
            (Compliance::Kept, Method::Deleted, Reason::Due),
        ),
    ] {
        let sim = simulation();
        let id = sim.put("upload", "a");
        sim.hold_of("case", key("a"), kind);
        sim.pass(12 * HOUR);
        sim.lift("case", Duration::ZERO);
        sim.enforce();
        assert_eq!(sim.has("a"), kind == HoldKind::Event);
        sim.pass(3 * HOUR);
        assert_eq!(sim.verdict(id, "a").start, start);
        assert_eq!(sim.receipt(id, "a"), outcome);
        sim.assert_sound();
    }
}

#[test]
fn hold_lifted_before_the_floor_changes_nothing() {
    let sim = simulation();
    let id = sim.put("kept", "a");
    sim.hold("case", key("a"));
    sim.pass(5 * DAY);
    sim.lift("case", 2 * DAY);
    sim.pass(5 * DAY - Duration::from_millis(1));
    assert!(sim.has("a"));
    sim.pass(2 * HOUR);
    assert_eq!(sim.receipt(id, "a"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn hold_lifted_in_the_window_gives_grace_up_to_the_ceiling() {
    for (grace, goes) in [(2 * DAY, 17 * DAY), (90 * DAY, 20 * DAY)] {
        let sim = simulation();
        let id = sim.put("kept", "a");
        sim.hold("case", key("a"));
        sim.pass(15 * DAY);
        sim.lift("case", grace);
        sim.pass_until(NEW_YEAR.saturating_add(goes - 2 * HOUR));
        assert!(sim.has("a"), "{grace:?}");
        sim.pass(2 * HOUR);
        assert_eq!(sim.receipt(id, "a"), (Compliance::Kept, Method::Deleted, Reason::Due));
        sim.assert_sound();
    }
}

#[test]
fn hold_lifted_after_the_ceiling_gives_the_whole_grace() {
    let mut sim = simulation();
    let id = sim.put("upload", "a");
    sim.hold("case", key("a"));
    sim.pass(2 * DAY);
    sim.lift("case", DAY);
    sim.pass(DAY - Duration::from_secs(1));
    sim.lose_power();
    sim.enforce();
    assert!(sim.has("a"));
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.receipt(id, "a"), after_hold(2 * DAY + 21 * HOUR));
    assert_eq!(sim.class("upload").ended.late_after_hold, 1);
    sim.assert_sound();
}

#[test]
fn grace_applies_if_the_ceiling_passed_while_closed() {
    let mut sim = simulation();
    let id = sim.put("upload", "a");
    sim.hold("case", key("a"));
    sim.close();
    sim.machine.clock.advance(2 * DAY);
    sim.reopen();
    sim.lift("case", DAY);
    sim.pass(DAY - Duration::from_secs(1));
    assert!(sim.has("a"));
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.receipt(id, "a"), after_hold(2 * DAY + 21 * HOUR));
    sim.assert_sound();
}

/// The receipt still says that a hold kept the object.
#[test]
fn erasure_in_the_grace_deletes_at_once() {
    let sim = simulation();
    let id = sim.put_of("upload", "a", "anna", None);
    sim.hold("case", key("a"));
    sim.pass(2 * DAY);
    sim.lift("case", 30 * DAY);
    sim.pass(DAY);
    sim.erase(subject("anna"));
    sim.enforce();
    assert!(!sim.has("a"));
    assert_eq!(sim.receipt(id, "a"), after_hold(2 * DAY + 21 * HOUR));
    sim.assert_sound();
}

#[test]
fn erasure_under_an_event_hold_applies_after_the_lift() {
    let sim = simulation();
    let id = sim.put_of("upload", "a", "anna", None);
    sim.hold_of("case", key("a"), HoldKind::Event);
    sim.erase(subject("anna"));
    sim.pass(2 * DAY);
    assert!(sim.has("a"));
    sim.lift("case", HOUR);
    sim.enforce();
    assert!(!sim.has("a"));
    assert_eq!(sim.receipt(id, "a"), (Compliance::Kept, Method::Deleted, Reason::Erasure));
    sim.assert_sound();
}

#[test]
fn holds_and_lifts_survive_a_restart_and_a_power_loss() {
    let mut sim = simulation();
    let id = sim.put("upload", "a");
    sim.hold("case", key("a"));
    sim.lose_power();
    sim.pass(DAY);
    sim.reopen();
    sim.pass(DAY);
    assert!(sim.has("a"));
    assert_eq!((sim.class("upload").held, sim.engine().status().unwrap().holds), (1, 1));
    sim.lift("case", Duration::ZERO);
    sim.lose_power();
    sim.pass(Duration::from_secs(1));
    assert!(matches!(sim.receipt(id, "a").0, Compliance::AfterHold { .. }));
    sim.assert_sound();
}

/// Returns a batch in flight with two of anna's objects and one of bob's.
fn out(sim: &Simulation) -> (sexton::Batch, Vec<RegistrationId>) {
    let ids = [("a", "anna"), ("b", "anna"), ("c", "bob")]
        .map(|(key, subject)| sim.put_of("upload", key, subject, None));
    sim.put_of("kept", "d", "anna", None);
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(20)));
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 3);
    (batch, ids.into())
}

#[test]
fn hold_during_a_batch_reports_its_covered_objects_too_late() {
    let sim = simulation();
    let (mut batch, ids) = out(&sim);
    let mut too_late = sim.hold("case", subject("anna"));
    too_late.sort_unstable();
    let mut annas = ids[..2].to_vec();
    annas.sort_unstable();
    assert_eq!(
        too_late, annas,
        "bob's object is not covered, and anna's of the other class is not in flight"
    );

    // The store could not delete one of them, and the hold keeps that one from now on.
    let failed: Vec<bool> = batch.objects().map(|object| object.key == b"a").collect();
    for (index, failed) in failed.into_iter().enumerate() {
        let answer = if failed { Answer::Failed("it is busy".into()) } else { Answer::Deleted };
        batch.answer(index, answer, sim.now()).unwrap();
    }
    sim.engine().complete(batch).unwrap();
    sim.pass(30 * DAY);
    assert!(sim.has("a") && sim.has("d"));
    assert_eq!(sim.hold("another case", subject("anna")), [], "no batch is in flight");
    sim.assert_sound();
}

#[test]
fn hold_before_planning_keeps_all_that_it_covers() {
    let sim = simulation();
    for n in 0..200 {
        sim.put_of("upload", &n.to_string(), if n % 2 == 0 { "anna" } else { "bob" }, None);
    }
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(20)));
    assert_eq!(sim.hold("case", subject("anna")), []);
    sim.pass(HOUR);
    assert_eq!(sim.machine.store.len(), 100);
    assert!((0..200).all(|n| sim.has(&n.to_string()) == (n % 2 == 0)));
    let class = sim.class("upload");
    assert_eq!((class.live, class.held, class.ended.held, class.ended.deleted), (100, 100, 100, 100));
    sim.assert_sound();
}

#[test]
fn batch_repeated_after_a_crash_leaves_out_held_objects() {
    let mut sim = simulation();
    let (batch, ids) = out(&sim);
    let number = batch.number();
    drop(batch);
    sim.lose_power();
    assert_eq!(sim.hold("case", subject("anna")).len(), 2, "the store may have deleted any of them");
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.number(), number);
    assert_eq!(batch.objects().map(|object| object.id).collect::<Vec<_>>(), ids[2..]);
    drop(batch);
    sim.pass(DAY);
    assert!(sim.has("a") && sim.has("b") && !sim.has("c"));
    sim.lift("case", Duration::ZERO);
    sim.enforce();
    assert!(!sim.has("a") && !sim.has("b"));
    for (id, key) in ids.iter().zip(["a", "b"]) {
        assert!(matches!(sim.receipt(*id, key).0, Compliance::AfterHold { .. }));
    }
    sim.assert_sound();
}

#[test]
fn lift_while_other_batches_are_out_frees_its_objects() {
    let sim = simulation();
    sim.put("upload", "a");
    let id = sim.put_of("upload", "b", "", Some(NEW_YEAR.saturating_add(Duration::from_secs(120))));
    sim.hold("case", key("b"));
    let next = || sim.engine().next_batch().unwrap();
    let complete = |mut batch: sexton::Batch| {
        batch.objects().for_each(|object| sim.machine.store.remove(object.key));
        batch.answer_all(&Answer::Deleted, sim.now());
        sim.engine().complete(batch).unwrap();
    };
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(20)));
    let first = next().unwrap();
    sim.lift("case", Duration::ZERO);
    assert!(next().is_none());
    sim.machine.clock.advance(Duration::from_secs(120));
    let second = next().unwrap(); // the sweep for the lifted hold waits for the first batch
    complete(first);
    assert!(next().is_none());
    complete(second);
    sim.pass(Duration::from_secs(1));
    assert_eq!(sim.receipt(id, "b"), (Compliance::Kept, Method::Deleted, Reason::Due));
    sim.assert_sound();
}

#[test]
fn held_object_is_planned_once_in_thirty_days() {
    let sim = simulation();
    sim.put("upload", "a");
    sim.hold("case", key("a"));
    sim.pass(20 * DAY);
    assert_eq!(sim.class("upload").ended.held, 1);
    sim.pass(20 * DAY);
    assert_eq!(sim.class("upload").ended.held, 2);
    assert_eq!(sim.machine.store.asked(), 0);
    sim.assert_sound();
}

#[test]
fn open_object_under_a_hold_can_start_and_stays() {
    let sim = simulation();
    let id = sim.put("account", "a");
    sim.hold("case", key("a"));
    sim.pass(DAY);
    sim.start("a");
    sim.pass(DAY);
    assert!(sim.has("a"));
    sim.lift("case", Duration::ZERO);
    sim.enforce();
    assert_eq!(sim.receipt(id, "a"), after_hold(21 * HOUR));
    sim.assert_sound();
}

/// An erasure whose objects are all held does not.
#[test]
fn late_erasure_and_late_review_need_an_operator() {
    let sim = simulation();
    sim.put("upload", "photo");
    sim.hold("investigation", key("photo"));
    let erasure = sim.erasure(key("photo")).within("15d".parse().unwrap());
    let number = sim.engine().erase(erasure).unwrap().number;
    let needs = || sim.engine().needs(&sim.engine().status().unwrap()).unwrap();
    sim.pass(15 * DAY);
    assert!(needs().is_empty(), "{:?}", needs());

    sim.pass(75 * DAY + Duration::from_secs(1));
    assert_eq!(
        needs(),
        ["hold \"investigation\" was to be reviewed by now"],
        "a hold keeps what was asked for"
    );
    sim.lift("investigation", DAY);
    sim.machine.store.set_failure_mode(b"photo", Some(FailureMode::Fails));
    sim.enforce();
    let late = format!("erasure {number} was to be answered by now, and 1 of its objects still wait");
    assert!(needs().contains(&late), "{:?}", needs());
    sim.machine.store.set_failure_mode(b"photo", None);
    sim.pass(DAY);
    assert!(needs().is_empty(), "{:?}", needs());
}
