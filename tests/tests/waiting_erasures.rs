//! Erasures that wait: no repeated registration takes an object out of one, and none is missed by its sweep.

use sexton::store::Answer;
use sexton::{Change, Durability, ErrorKind, Previous, Registration, Result, Which};
use sexton_proof::record::{Method, Reason};
use sexton_proof::time::Timestamp;
use sexton_tests::simulation::{Simulation, subject};
use sexton_tests::{DAY, HOUR, Machine, NEW_YEAR};
use std::time::Duration;

const CLASSES: &str = r#"
[class.plain]
within = "20d"
slot = "1s"
lead = "1s"

[class.longer]
within = "30d"
slot = "1s"
lead = "1s"

[class.floored]
keep = "10d"
within = "20d"
slot = "1s"
lead = "1s"

[class.blind]
within = "20d"
slot = "1s"
lead = "1s"
find = "none"
"#;

/// Class, version and subject of a registration of the object `a`.
type Said = (&'static str, &'static str, &'static str);

const FIRST: Said = ("plain", "v1", "anna");

fn register(sim: &Simulation, (class, version, subject): Said) -> Result<Previous> {
    sim.machine.store.put(b"a", version.as_bytes());
    let said = Registration::new(class, b"a").version(version.as_bytes()).subject(subject.as_bytes());
    sim.engine().register(&[said], Durability::Synced).map(|answers| answers[0].previous)
}

/// Requests the erasure of anna's objects.
fn erase(sim: &Simulation, cancellable: Duration) -> u32 {
    sim.engine().erase(sim.erasure(subject("anna")).cancellable(cancellable)).unwrap().number
}

/// Ways to register the object again, and `true` if the call is refused while an erasure of its subject waits.
const WAYS: [(&str, Said, bool); 10] = [
    ("identical", FIRST, false),
    ("identical, no subject", ("plain", "v1", ""), false),
    ("other subject", ("plain", "v1", "ben"), true),
    ("other class", ("longer", "v1", "anna"), false),
    ("other class, no subject", ("longer", "v1", ""), true),
    ("other class and subject", ("longer", "v1", "ben"), true),
    ("no version", ("plain", "", "anna"), false),
    ("no version, no subject", ("plain", "", ""), true),
    ("no version, other subject", ("plain", "", "ben"), true),
    ("other version", ("plain", "v2", "anna"), false),
];

#[test]
fn object_stays_in_a_waiting_erasure_however_it_is_registered_again() {
    for cancellable in [Duration::ZERO, DAY] {
        for (way, said, is_refused) in WAYS {
            let what = format!("{way}, cancellable for {cancellable:?}");
            let mut sim = Simulation::new(CLASSES);
            register(&sim, FIRST).unwrap();
            let number = erase(&sim, cancellable);
            let refused = register(&sim, said).err();
            assert_eq!(
                refused.as_ref().map(|error| error.kind()),
                is_refused.then_some(ErrorKind::Held),
                "{what}"
            );
            if let Some(error) = refused {
                assert!(error.message().contains(&format!("erasure {number} ")), "{what}: {error}");
                sim.machine.store.put(b"a", b"v1");
            }
            sim.lose_power();
            sim.pass(cancellable + Duration::from_secs(1));
            assert!(!sim.has("a"), "{what}: not erased");
            assert_eq!(sim.class("plain").live + sim.class("longer").live, 0, "{what}");
            sim.assert_sound();
        }
    }
}

/// The engine cannot tell whose data another version has, so the host's word counts.
#[test]
fn another_version_of_another_subject_is_not_erased() {
    let sim = Simulation::new(CLASSES);
    register(&sim, FIRST).unwrap();
    let first = sim.engine().find(b"a").unwrap().unwrap();
    erase(&sim, DAY);
    assert!(matches!(register(&sim, ("plain", "v2", "ben")).unwrap(), Previous::Replaced(_)));
    sim.pass(2 * DAY);
    assert!(sim.has("a"));
    let ended = sim.receipt(first, "a");
    assert_eq!((ended.1, ended.2), (Method::Replaced, Reason::Erasure), "the row with anna's name");
    sim.assert_sound();
}

#[test]
fn registration_in_a_blind_class_leaves_the_first_in_the_erasure() {
    let sim = Simulation::new(CLASSES);
    register(&sim, FIRST).unwrap();
    let first = sim.engine().find(b"a").unwrap().unwrap();
    erase(&sim, DAY);
    assert_eq!(register(&sim, ("blind", "v1", "ben")).unwrap(), Previous::None);
    sim.pass(2 * DAY);
    assert_eq!(sim.receipt(first, "a").2, Reason::Erasure);
    sim.assert_sound();
}

#[test]
fn subject_changes_freely_once_no_erasure_waits() {
    let other = ("floored", "v1", "ben");
    let sim = Simulation::new(CLASSES);
    register(&sim, ("floored", "v1", "anna")).unwrap();
    let number = erase(&sim, DAY);
    sim.engine().cancel_erasure(number).unwrap();
    assert_eq!(register(&sim, other).unwrap(), Previous::Identical);
    sim.pass(2 * DAY);
    assert!(sim.has("a"), "the erasure was cancelled");

    let sim = Simulation::new(CLASSES);
    register(&sim, ("floored", "v1", "anna")).unwrap();
    let id = sim.engine().find(b"a").unwrap().unwrap();
    let number = erase(&sim, Duration::ZERO);
    sim.enforce();
    assert_eq!(register(&sim, other).unwrap(), Previous::Identical);
    let objects = sim.engine().erasure_objects(number).unwrap();
    assert_eq!(objects.len(), 1, "what an erasure has found stays in it");
    sim.pass(10 * DAY + Duration::from_secs(1));
    assert_eq!(sim.receipt(id, "a").2, Reason::Erasure);
    sim.assert_sound();
}

/// The host registered the renamed object under its new key before it stated the rename. A change of content gave the first
/// registration another version meanwhile.
#[test]
fn rename_does_not_take_an_object_out_of_a_waiting_erasure() {
    for (subject, content, is_refused) in
        [("ben", "v1", true), ("", "v1", true), ("anna", "v1", false), ("ben", "v2", true)]
    {
        let sim = Simulation::new(CLASSES);
        let old = Registration::new("plain", b"old").version(b"v1").subject(subject.as_bytes());
        sim.engine().register(&[old], Durability::Synced).unwrap();
        let of = Which::Key(b"old");
        sim.change(Change::Content { of, version: content.as_bytes(), size: None, start: None }).unwrap();
        register(&sim, FIRST).unwrap();
        let number = erase(&sim, DAY);
        let refused = sim.change(Change::Rename { of, to: b"a" }).err();
        assert_eq!(refused.as_ref().map(|error| error.kind()), is_refused.then_some(ErrorKind::Held));
        if let Some(error) = refused {
            assert!(error.message().contains(&format!("erasure {number} ")), "{error}");
        }
        sim.pass(2 * DAY);
        assert!(!sim.has("a"), "the object of {subject:?} escaped the erasure");
        sim.assert_sound();
    }
}

/// The sweep has scanned the object and waits for a batch with another of anna's objects.
#[test]
fn subject_adopted_during_the_sweep_of_its_erasure_is_found() {
    let mut machine = Machine::new();
    machine.options.classes = sexton::ClassSet::from_toml(CLASSES).unwrap();
    machine.options.shards = Some(1);
    let sim = Simulation::on(machine);
    let earlier: Timestamp = NEW_YEAR.saturating_sub(20 * DAY).saturating_add(HOUR);
    sim.put_of("plain", "b", "anna", Some(earlier));
    register(&sim, ("plain", "v1", "")).unwrap();
    let first = sim.engine().find(b"a").unwrap().unwrap();
    sim.machine.clock.advance(HOUR);
    let mut batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.len(), 1);
    erase(&sim, Duration::ZERO);
    assert!(sim.engine().next_batch().unwrap().is_none());
    assert_eq!(register(&sim, FIRST).unwrap(), Previous::Identical);
    batch.answer(0, Answer::Deleted, sim.now()).unwrap();
    sim.engine().complete(batch).unwrap();
    sim.pass(Duration::from_secs(1));
    assert!(!sim.has("a"), "anna's object escaped the erasure");
    assert_eq!(sim.receipt(first, "a").2, Reason::Erasure);
    sim.assert_sound();
}
