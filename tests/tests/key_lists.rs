//! Erasures and holds of more keys than are looked up at once.

use sexton::decision::{HoldKind, RequestState};
use sexton::limits::BreakerLimits;
use sexton::{
    Attribution, ClassSet, Durability, Engine, Erasure, HoldName, NewHold, Opener, Registration, Selector,
};
use sexton_tests::Machine;
use std::time::Duration;

const CLASSES: &str = "
[class.plain]
within = '30d'
[class.blind]
within = '30d'
find = 'none'
";
const OBJECTS: usize = 2_500;
const HELD: usize = 700;

fn who() -> Attribution {
    Attribution::new("desk", "asked for")
}

fn key(number: usize) -> String {
    format!("object-{number:05}")
}

/// Returns a machine and an engine with [`OBJECTS`] objects, every tenth in a class that does not find by key.
fn registered(sweep_rows: u32) -> (Machine, Engine) {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    machine.options.sweep_rows = sweep_rows;
    machine.options.breaker = Some(BreakerLimits { objects: u64::MAX, ..BreakerLimits::default() });
    let engine = machine.open().unwrap();
    for number in 0..OBJECTS {
        let (key, class) = (key(number), if number.is_multiple_of(10) { "blind" } else { "plain" });
        machine.store.put(key.as_bytes(), b"1");
        let registration = Registration::new(class, key.as_bytes()).version(b"1");
        engine.register(&[registration], Durability::Buffered).unwrap();
    }
    (machine, engine)
}

#[test]
fn erasures_of_many_keys_end_and_count_each_object_once() {
    for sweep_rows in [100, 1 << 20] {
        let (machine, engine) = registered(sweep_rows);
        let held = Selector::keys((0..HELD).map(key));
        assert_eq!(engine.count_live(&held).unwrap(), HELD as u64);
        let name = HoldName::new("case 7").unwrap();
        let review = engine.now().saturating_add(Duration::from_hours(9_000));
        engine.place_hold(NewHold::new(name.clone(), held, HoldKind::Temporary, who(), review)).unwrap();

        // Keys of the first half are in both requests. Others name no object.
        for keys in [0..OBJECTS / 2, 0..2 * OBJECTS] {
            let keys = Selector::keys(keys.rev().map(key));
            engine.erase(Erasure::new(keys, engine.now(), who())).unwrap();
        }
        engine.enforce(&*machine.store).unwrap();
        assert_eq!(machine.store.len(), HELD, "{sweep_rows}");

        engine.lift_hold(&name, who(), Duration::ZERO).unwrap();
        machine.clock.advance(Duration::from_hours(1));
        engine.enforce(&*machine.store).unwrap();
        assert_eq!(machine.store.len(), 0, "{sweep_rows}");
        let requests = engine.requests().unwrap();
        let counts: Vec<_> = requests.iter().map(|request| (request.state, request.objects)).collect();
        let (half, all) = ((OBJECTS / 2) as u64, OBJECTS as u64);
        assert_eq!(counts[..2], [(RequestState::Finished, half), (RequestState::Finished, all)]);
        for object in engine.erasure_objects(2).unwrap().iter().step_by(97) {
            engine.receipt(object.id, Opener::Key(&object.key)).unwrap();
        }
        assert!(engine.check().unwrap().is_sound());
    }
}

/// A batch has the objects while their keys are looked up. The store fails, so the batch carries them.
#[test]
fn keys_of_objects_in_a_batch_are_looked_up_again() {
    let (machine, engine) = registered(1 << 20);
    machine.clock.advance(Duration::from_hours(30 * 24));
    let batch = engine.next_batch().unwrap().unwrap();
    engine.erase(Erasure::new(Selector::keys((0..OBJECTS).map(key)), engine.now(), who())).unwrap();
    while let Some(other) = engine.next_batch().unwrap() {
        engine.complete(other).unwrap();
    }
    // None of it has an answer, so all of it counts as failed.
    engine.complete(batch).unwrap();
    machine.clock.advance(Duration::from_hours(1));
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(machine.store.len(), 0);
    let request = &engine.requests().unwrap()[0];
    assert_eq!((request.state, request.objects), (RequestState::Finished, OBJECTS as u64));
}
