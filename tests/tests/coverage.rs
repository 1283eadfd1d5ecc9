//! The number of live objects that a selector covers, for every kind of selector and every state of an object.

use sexton::decision::HoldKind;
use sexton::{
    Attribution, Change, ClassSet, Durability, Engine, ErrorKind, HoldName, NewHold, Registration, Selector,
    Which,
};
use sexton_tests::{Machine, NEW_YEAR};
use std::time::Duration;

const CLASSES: &str = r#"
[class.plain]
within = "1d"
[class.blind]
within = "1d"
find = "none"
[class.soon]
within = "1h"
"#;

const HOUR: Duration = Duration::from_hours(1);

fn who() -> Attribution {
    Attribution::new("desk", "asked for")
}

fn register(engine: &Engine, class: &str, key: &[u8], subject: &[u8]) {
    let registration = Registration::new(class, key).subject(subject).version(b"1");
    engine.register(&[registration], Durability::Synced).unwrap();
}

fn count(engine: &Engine, selector: &Selector) -> u64 {
    engine.count_live(selector).unwrap()
}

/// Returns the numbers by keys, prefix, subject and class.
fn counts(engine: &Engine) -> [u64; 4] {
    let keys = [&b"a/1"[..], b"a/2", b"b/1", b"a/1", b"none"].map(<[u8]>::to_vec).to_vec();
    [
        count(engine, &Selector::keys(keys)),
        count(engine, &Selector::Prefix(b"a/".into())),
        count(engine, &Selector::Subject(b"anna".into())),
        count(engine, &Selector::Class("plain".into())),
    ]
}

#[test]
fn count_live_covers_each_selector_and_state() {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    let engine = machine.open().unwrap();
    assert_eq!(counts(&engine), [0; 4]);
    for (class, key, subject) in [
        ("plain", b"a/1", "anna"),
        ("plain", b"a/2", "ben"),
        ("blind", b"b/1", "anna"),
        ("soon", b"a/3", "anna"),
    ] {
        machine.store.put(key, b"1");
        register(&engine, class, key, subject.as_bytes());
    }
    assert_eq!(counts(&engine), [3, 3, 3, 2]);
    assert_eq!(count(&engine, &Selector::Everything), 4);

    // A registration that replaces another one, and one that moves, count once.
    register(&engine, "soon", b"a/1", b"anna");
    let longer = Change::Reschedule { of: Which::Key(b"a/2"), class: Some("soon"), start: None };
    engine.change(&[longer], Durability::Synced).unwrap().remove(0).unwrap();
    assert_eq!(counts(&engine)[..3], [3, 3, 3]);
    // The host deleted `a/3`, and a hold keeps `a/1`.
    engine.change(&[Change::Release { of: Which::Key(b"a/3") }], Durability::Synced).unwrap();
    let name = HoldName::new("case 7").unwrap();
    let key = Selector::keys([b"a/1"]);
    let review = NEW_YEAR.saturating_add(1_000 * HOUR);
    engine.place_hold(NewHold::new(name, key, HoldKind::Temporary, who(), review)).unwrap();
    assert_eq!(counts(&engine)[..3], [3, 2, 2]);

    machine.clock.advance(2 * HOUR);
    engine.enforce(&*machine.store).unwrap();
    // `a/2` ended, `a/1` is parked.
    assert_eq!(counts(&engine)[..3], [2, 1, 2]);
    machine.clock.advance(30 * HOUR);
    engine.enforce(&*machine.store).unwrap();
    assert_eq!(counts(&engine), [1, 1, 1, 0]);
    assert_eq!(count(&engine, &Selector::Everything), 1);
}

#[test]
fn count_live_of_objects_in_a_batch_counts_them() {
    let mut machine = Machine::new();
    machine.options.classes = ClassSet::from_toml(CLASSES).unwrap();
    let engine = machine.open().unwrap();
    register(&engine, "soon", b"a/1", b"anna");
    machine.clock.advance(2 * HOUR);
    let batch = engine.next_batch().unwrap().unwrap();
    assert_eq!(counts(&engine), [1, 1, 1, 0]);
    drop(batch);
}

#[test]
fn count_live_of_empty_selector_is_refused() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let refused = engine.count_live(&Selector::Prefix(Vec::new())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
}
