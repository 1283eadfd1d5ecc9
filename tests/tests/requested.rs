//! Stores that were asked to delete an object and cannot tell if they had it.

use sexton::report::KeyHistory;
use sexton_proof::leaf::Disposition;
use sexton_proof::receipt::Compliance;
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{DAY, FailureMode, HOUR};

const CLASSES: &str = r#"
[class.upload]
within = "3h"
feed = true
remember = "30d"

[class.record]
keep = "2h"
within = "4h"
"#;

/// Number of objects from which on their absence would be doubted.
const OBJECTS: usize = 120;

fn acknowledge(sim: &Simulation, keys: &[String]) {
    for key in keys {
        sim.machine.store.set_failure_mode(key.as_bytes(), Some(FailureMode::Acknowledges));
    }
}

/// Half of them were absent, which the store does not say.
#[test]
fn requested_objects_end_without_a_doubt_or_a_proof() {
    let sim = Simulation::new(CLASSES);
    let keys: Vec<String> = (0..OBJECTS).map(|number| format!("{number:03}")).collect();
    let ids: Vec<_> = keys.iter().map(|key| sim.put("upload", key)).collect();
    acknowledge(&sim, &keys);
    keys.iter().step_by(2).for_each(|key| sim.machine.store.remove(key.as_bytes()));
    sim.pass(4 * HOUR);

    let class = sim.class("upload");
    assert_eq!((class.live, class.ended.requested, class.ended.ended()), (0, 120, 120));
    assert_eq!((class.ended.deleted, class.ended.deleted_bytes, class.ended.absent), (0, 0, 0));
    assert!(sim.engine().status().unwrap().alarms.is_empty());
    for (id, key) in ids.iter().zip(&keys) {
        let expected = (Compliance::NotADeletion(Method::Requested), Method::Requested, Reason::Due);
        assert_eq!(sim.receipt(*id, key), expected);
        let history = sim.engine().ended(key.as_bytes()).unwrap();
        assert!(
            matches!(history, KeyHistory::Ended(ended) if ended.method == Method::Requested),
            "{history:?}"
        );
    }
    let feed = sim.engine().feed(0, 1_000).unwrap();
    assert_eq!(feed.iter().filter(|entry| entry.method == "requested").count(), OBJECTS);
    assert!(sim.machine.store.asked_for().iter().all(|(_, what)| *what == Disposition::Delete));
    sim.assert_sound();
}

/// The absent ones of the batch are nine in ten of those whose answer says if they were there.
#[test]
fn requested_objects_hide_no_absent_ones() {
    let sim = Simulation::new(CLASSES);
    let keys: Vec<String> = (0..2 * OBJECTS).map(|number| format!("{number:03}")).collect();
    for key in &keys {
        sim.put("upload", key);
    }
    acknowledge(&sim, &keys[OBJECTS..]);
    keys[..OBJECTS].iter().for_each(|key| sim.machine.store.remove(key.as_bytes()));
    sim.pass(4 * HOUR);
    let ended = sim.class("upload").ended;
    assert_eq!((ended.absent, ended.requested), (0, OBJECTS as u64));
    assert_eq!(sim.engine().status().unwrap().alarms.len(), 1);
    sim.assert_sound();
}

#[test]
fn late_request_is_late_and_held_one_is_after_the_hold() {
    let sim = Simulation::new(CLASSES);
    let late = sim.put("record", "late");
    acknowledge(&sim, &["late".into(), "held".into()]);
    let held = sim.put("record", "held");
    sim.hold("case", key("held"));
    sim.machine.clock.advance(5 * HOUR);
    sim.enforce();
    let (compliance, method, _) = sim.receipt(late, "late");
    assert!(matches!(compliance, Compliance::Late { .. }), "{compliance:?}");
    assert_eq!(method, Method::Requested);
    sim.lift("case", HOUR);
    sim.pass(DAY);
    let (compliance, method, reason) = sim.receipt(held, "held");
    assert!(matches!(compliance, Compliance::AfterHold { .. }), "{compliance:?}");
    assert_eq!((method, reason), (Method::Requested, Reason::Lifted));
    let ended = sim.class("record").ended;
    assert_eq!((ended.late, ended.late_after_hold, ended.requested), (1, 1, 2));
    sim.assert_sound();
}

/// A crash between request and commit: the server acknowledges the second request as well.
#[test]
fn request_repeated_after_a_crash_is_still_only_requested() {
    let mut sim = Simulation::new(CLASSES);
    let id = sim.put("upload", "a");
    acknowledge(&sim, &["a".into()]);
    sim.machine.clock.advance(3 * HOUR - HOUR / 60);
    let mut batch = sim.engine().next_batch().unwrap().unwrap();
    batch.delete_with(10, |part| sexton::store::Store::delete(&*sim.machine.store, part), || sim.now());
    drop(batch);
    sim.lose_power();
    assert!(!sim.has("a"));
    sim.enforce();
    assert_eq!(sim.receipt(id, "a").1, Method::Requested);
    sim.assert_sound();
}
