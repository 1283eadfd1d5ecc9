//! Batches of which nearly all objects are absent: the store may not be there, so nothing counts as gone until an operator
//! says so.

use sexton::decision::AlarmCause;
use sexton::report::Action;
use sexton::{Attribution, RegistrationId};
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::Simulation;
use sexton_tests::{DAY, HOUR};

const CLASSES: &str = r#"
[class.upload]
within = "3h"

[class.other]
within = "3h"

[class.client]
within = "3h"
host_deletes = true
"#;

fn cause() -> AlarmCause {
    AlarmCause::Absent { class: "upload".into() }
}

fn alarms(sim: &Simulation) -> Vec<AlarmCause> {
    sim.engine().status().unwrap().alarms.into_iter().map(|alarm| alarm.cause).collect()
}

fn resume(sim: &Simulation) {
    let alarm = sim.engine().status().unwrap().alarms.remove(0);
    sim.engine().resume(alarm.id, Attribution::new("ops", "they are gone")).unwrap();
}

/// Registers objects of a class, and removes the first of them from the store behind the engine's back.
fn with_removed(
    sim: &Simulation,
    class: &str,
    objects: usize,
    removed: usize,
) -> Vec<(RegistrationId, String)> {
    let all: Vec<_> = (0..objects)
        .map(|number| {
            let key = format!("{class}/{number:03}/{}", sim.now().unix_ms());
            (sim.put(class, &key), key)
        })
        .collect();
    for (_, key) in &all[..removed] {
        sim.machine.store.remove(key.as_bytes());
    }
    all
}

#[test]
fn absence_is_doubted_from_nine_in_ten_of_a_hundred_objects_on() {
    // (class, objects, absent, alarm)
    let table = [
        ("upload", 99, 99, false),
        ("upload", 100, 100, true),
        ("upload", 100, 90, true),
        ("upload", 100, 89, false),
        ("upload", 400, 359, false),
        ("upload", 400, 360, true),
        ("client", 400, 400, false),
    ];
    for (class, objects, absent, is_doubted) in table {
        let sim = Simulation::new(CLASSES);
        with_removed(&sim, class, objects, absent);
        sim.pass(4 * HOUR);
        let ended = sim.class(class).ended;
        let what = format!("{absent} of {objects} in {class}");
        let present = (objects - absent) as u64;
        let counted = if is_doubted { 0 } else { absent as u64 };
        assert_eq!((ended.deleted, ended.absent), (present, counted), "{what}");
        assert_eq!(sim.class(class).live, objects as u64 - present - counted, "{what}");
        assert_eq!(alarms(&sim), if is_doubted { vec![cause()] } else { vec![] }, "{what}");
        sim.assert_sound();
    }
}

#[test]
fn class_with_absent_objects_waits_and_others_go_on() {
    let mut sim = Simulation::new(CLASSES);
    with_removed(&sim, "upload", 150, 150);
    sim.pass(4 * HOUR);
    sim.put("upload", "later");
    sim.put("other", "other");
    sim.lose_power();
    sim.pass(4 * HOUR);
    assert!(sim.has("later") && !sim.has("other"));
    let planned = sim.engine().plan(Timestamp::MAX).unwrap().map(|planned| planned.unwrap().action);
    assert!(planned.into_iter().all(|action| action == Action::Stopped(cause())));
    let status = sim.engine().status().unwrap();
    let needs = sim.engine().needs(&status).unwrap();
    assert!(needs[0].contains("150 of 150 objects of a batch are absent"), "{needs:?}");
    sim.assert_sound();
}

#[test]
fn objects_of_a_store_that_comes_back_are_deleted() {
    let sim = Simulation::new(CLASSES);
    let objects: Vec<_> = (0..120).map(|n| (sim.put("upload", &n.to_string()), n.to_string())).collect();
    let take = |key: &String| {
        let version = sim.machine.store.version(key.as_bytes());
        sim.machine.store.remove(key.as_bytes());
        version
    };
    let versions: Vec<_> = objects.iter().map(|(_, key)| take(key)).collect();
    sim.pass(4 * HOUR);
    assert_eq!(alarms(&sim), [cause()]);
    for ((_, key), version) in objects.iter().zip(versions) {
        sim.machine.store.put(key.as_bytes(), &version.unwrap());
    }
    resume(&sim);
    sim.pass(2 * HOUR);
    assert!(sim.machine.store.is_empty());
    for (id, key) in &objects {
        assert_eq!(sim.verdict(*id, key).method, Method::Deleted);
    }
    sim.assert_sound();
}

#[test]
fn accepted_absence_counts_for_a_day_and_survives_a_restart() {
    let mut sim = Simulation::new(CLASSES);
    let objects = with_removed(&sim, "upload", 120, 120);
    sim.pass(4 * HOUR);
    resume(&sim);
    sim.lose_power();
    sim.pass(2 * HOUR);
    for (id, key) in &objects {
        assert_eq!(sim.verdict(*id, key).method, Method::Absent);
    }
    with_removed(&sim, "upload", 120, 120);
    sim.pass(4 * HOUR);
    assert_eq!((sim.class("upload").ended.absent, alarms(&sim)), (240, vec![]));
    sim.pass(DAY);
    with_removed(&sim, "upload", 120, 120);
    sim.pass(4 * HOUR);
    assert_eq!((sim.class("upload").ended.absent, alarms(&sim)), (240, vec![cause()]));
    sim.assert_sound();
}

/// A batch that comes again after the alarm waits like the rest of its class.
#[test]
fn batch_out_during_the_alarm_waits_when_it_is_dropped() {
    let mut machine = sexton_tests::Machine::new();
    machine.options.classes = sexton::ClassSet::from_toml(CLASSES).unwrap();
    machine.options.batch_objects = 120;
    machine.options.shards = Some(1);
    let sim = Simulation::on(machine);
    for number in 0..240 {
        sim.put("upload", &format!("{number:03}"));
        if number == 119 {
            sim.machine.clock.advance(HOUR);
        }
    }
    sim.machine.clock.advance(4 * HOUR);
    let (mut first, second) =
        (sim.engine().next_batch().unwrap().unwrap(), sim.engine().next_batch().unwrap());
    let now = sim.now();
    first.answer_all(&sexton::store::Answer::Absent, now);
    sim.engine().complete(first).unwrap();
    assert_eq!(alarms(&sim), [cause()]);
    drop(second);
    sim.pass(HOUR);
    assert_eq!(sim.class("upload").live, 240);
    resume(&sim);
    sim.pass(2 * HOUR);
    assert_eq!((sim.class("upload").live, sim.machine.store.len()), (0, 0));
    sim.assert_sound();
}

/// An earlier attempt of the engine may have deleted them.
#[test]
fn absence_after_an_attempt_of_the_engine_is_believed() {
    let mut sim = Simulation::new(CLASSES);
    let objects: Vec<_> = (0..120).map(|n| (sim.put("upload", &n.to_string()), n.to_string())).collect();
    sim.machine.clock.advance(3 * HOUR);
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 120);
    drop(batch);
    for (_, key) in &objects {
        sim.machine.store.remove(key.as_bytes());
    }
    sim.lose_power();
    sim.enforce();
    assert_eq!(alarms(&sim), []);
    assert_eq!(sim.class("upload").ended.absent_after_intent, 120);
    sim.assert_sound();
}
