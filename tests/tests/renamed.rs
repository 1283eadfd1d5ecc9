//! Renamed objects. Each stays one object: it goes at its new key, holds and erasures find it by either key, and its receipt
//! names the first.

use sexton::decision::HoldKind;
use sexton::store::Answer;
use sexton::{
    Change, Changed, Durability, ErrorKind, Previous, Registration, RegistrationId, Result, Selector, Which,
};
use sexton_proof::record::{Method, Reason};
use sexton_tests::simulation::{Simulation, key, subject};
use sexton_tests::{DAY, HOUR, MINUTE};
use std::time::Duration;

const CLASSES: &str = r#"
[class.upload]
within = "3h"
remember = "90d"
feed = true

[class.kept]
keep = "10d"
within = "20d"

[class.blind]
within = "3h"
find = "none"

[class.other]
within = "3h"
"#;

fn simulation() -> Simulation {
    Simulation::new(CLASSES)
}

/// Renames the stored object and states it.
fn rename(sim: &Simulation, from: &str, to: &str) -> Result<Changed> {
    stored(sim, from, to);
    state(sim, &[(from, to)]).remove(0)
}

/// Renames the stored object only.
fn stored(sim: &Simulation, from: &str, to: &str) {
    let version = sim.machine.store.version(from.as_bytes()).unwrap();
    sim.machine.store.remove(from.as_bytes());
    sim.machine.store.put(to.as_bytes(), &version);
}

fn state(sim: &Simulation, renames: &[(&str, &str)]) -> Vec<Result<Changed>> {
    let changes: Vec<Change<'_>> = renames
        .iter()
        .map(|(from, to)| Change::Rename { of: Which::Key(from.as_bytes()), to: to.as_bytes() })
        .collect();
    sim.engine().change(&changes, Durability::Synced).unwrap()
}

fn find(sim: &Simulation, key: &str) -> Option<RegistrationId> {
    sim.engine().find(key.as_bytes()).unwrap()
}

fn kinds(answers: Vec<Result<Changed>>) -> Vec<Option<ErrorKind>> {
    answers.into_iter().map(|answer| answer.err().map(|error| error.kind())).collect()
}

#[test]
fn renamed_object_goes_at_its_new_key_with_a_receipt_by_its_first() {
    // Keys of all pairs of shards, and both ways to the next opening.
    for reopen in [false, true] {
        let mut sim = simulation();
        let names: Vec<(String, String)> =
            (0..24).map(|n| (format!("a/{n}"), format!("b/{}", n * 7))).collect();
        let ids: Vec<RegistrationId> = names.iter().map(|(first, _)| sim.put("upload", first)).collect();
        for (first, new) in &names {
            rename(&sim, first, new).unwrap();
            assert_eq!((find(&sim, first).is_some(), find(&sim, new).is_some()), (false, true));
        }
        sim.assert_sound();
        if reopen {
            sim.lose_power();
            assert!(names.iter().all(|(_, new)| find(&sim, new).is_some()));
        }
        sim.pass(DAY);
        for ((first, new), id) in names.iter().zip(ids) {
            assert!(!sim.has(new), "{new}");
            let verdict = sim.verdict(id, first);
            assert_eq!((verdict.method, verdict.reason), (Method::Deleted, Reason::Due));
        }
        let feed = sim.engine().feed(0, 100).unwrap();
        assert!(
            feed.iter().all(|entry| entry.key.starts_with(b"a/")),
            "the feed has the keys of the receipts"
        );
        sim.assert_sound();
        sim.engine().reclaim().unwrap();
        sim.assert_forgotten(b"b/7");
    }
}

fn selectors() -> Vec<(&'static str, Selector)> {
    vec![
        ("first key", key("a/1")),
        ("new key", key("b/1")),
        ("both keys", Selector::keys([b"a/1", b"b/1"])),
        ("prefix of the first key", Selector::Prefix(b"a/".into())),
        ("prefix of the new key", Selector::Prefix(b"b/".into())),
        ("subject", subject("anna")),
        ("class", Selector::Class("upload".into())),
        ("everything", Selector::Everything),
    ]
}

/// Instant of the hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placed {
    Before,
    After,
    /// Before the rename, and the object is parked then.
    Parked,
}

#[test]
fn hold_by_any_selector_keeps_a_renamed_object_until_the_lift() {
    for kind in [HoldKind::Temporary, HoldKind::Event] {
        for (name, selector) in selectors() {
            for placed in [Placed::Before, Placed::After, Placed::Parked] {
                let what = format!("{kind:?} by {name}, placed {placed:?}");
                let mut sim = simulation();
                let id = sim.put_of("upload", "a/1", "anna", None);
                if placed != Placed::After {
                    sim.hold_of("case", selector.clone(), kind);
                }
                // A hold on the new key alone does not cover the object before it is renamed.
                let covers_before = !name.contains("new key");
                if placed == Placed::Parked && covers_before {
                    sim.pass(DAY);
                    assert_eq!(sim.class("upload").held, 1, "{what}");
                }
                rename(&sim, "a/1", "b/1").unwrap();
                if placed == Placed::After {
                    sim.hold_of("case", selector.clone(), kind);
                }
                assert_eq!(sim.engine().count_live(&selector).unwrap(), 1, "{what}");
                sim.reopen();
                sim.pass(DAY);
                assert!(sim.has("b/1"), "{what}");
                assert_eq!(sim.class("upload").held, 1, "{what}");
                sim.lift("case", Duration::ZERO);
                sim.pass(DAY);
                assert!(!sim.has("b/1"), "{what}");
                assert_eq!(sim.verdict(id, "a/1").method, Method::Deleted, "{what}");
                sim.assert_sound();
            }
        }
    }
}

/// Selectors of erasures that cover an object by one of its keys, or by its subject.
fn erasures(first: &str, new: &str) -> Vec<(&'static str, Vec<Vec<u8>>)> {
    vec![
        ("first key", vec![first.into()]),
        ("new key", vec![new.into()]),
        ("both keys", vec![first.into(), new.into()]),
        ("subject", vec![]),
    ]
}

fn erasure(keys: Vec<Vec<u8>>) -> Selector {
    if keys.is_empty() { subject("anna") } else { Selector::keys(keys) }
}

#[test]
fn erasure_by_either_key_finds_a_renamed_object_once() {
    for (name, keys) in erasures("a", "b") {
        for class in ["upload", "blind"] {
            let mut sim = simulation();
            let id = sim.put_of(class, "a", "anna", None);
            stored(&sim, "a", "b");
            sim.change(Change::Rename { of: Which::Id(id), to: b"b" }).unwrap();
            sim.reopen();
            let request = sim.erase(erasure(keys.clone()));
            sim.pass(MINUTE);
            assert!(!sim.has("b"), "{class} by {name}");
            let objects = sim.engine().erasure_objects(request).unwrap();
            let listed: Vec<&[u8]> = objects.iter().map(|object| &*object.key).collect();
            assert_eq!(listed, [b"a"], "{class} by {name}");
            assert_eq!(sim.receipt(id, "a").2, Reason::Erasure);
            sim.assert_sound();
        }
    }
}

/// The list is looked up in several parts, and every object is found in two of them.
#[test]
fn erasure_by_long_list_finds_each_renamed_object_once() {
    let sim = simulation();
    let names: Vec<(String, String)> = (0..700).map(|n| (format!("a/{n}"), format!("b/{}", n * 7))).collect();
    for (first, new) in &names {
        sim.put("upload", first);
        stored(&sim, first, new);
    }
    let renames: Vec<(&str, &str)> = names.iter().map(|(first, new)| (&**first, &**new)).collect();
    assert!(state(&sim, &renames).iter().all(Result::is_ok));
    let selector = Selector::keys(names.iter().flat_map(|(first, new)| [first, new]));
    assert_eq!(sim.engine().count_live(&selector).unwrap(), 700);
    let firsts = Selector::keys(names.iter().map(|(first, _)| first));
    assert_eq!(sim.engine().count_live(&firsts).unwrap(), 700);
    let request = sim.erase(selector);
    sim.pass(MINUTE);
    assert!(names.iter().all(|(_, new)| !sim.has(new)));
    assert_eq!(sim.engine().request(request).unwrap().objects, 700);
    assert_eq!(sim.engine().erasure_objects(request).unwrap().len(), 700);
    sim.assert_sound();
}

/// More keys than a set of holds indexes one by one.
#[test]
fn hold_by_long_list_forbids_the_rename_that_would_leave_it() {
    let sim = simulation();
    sim.put("upload", "a");
    rename(&sim, "a", "b").unwrap();
    let others = (0..2_000).map(|n| format!("z/{n}"));
    sim.hold("case", Selector::keys(others.chain(["b".to_owned()])));
    assert_eq!(kinds(state(&sim, &[("b", "c")])), [Some(ErrorKind::Held)]);
    sim.pass(DAY);
    assert!(sim.has("b"));
    sim.assert_sound();
}

#[test]
fn swapped_objects_keep_their_terms_in_one_call() {
    let mut sim = simulation();
    let a = sim.put("upload", "a");
    let b = sim.put("kept", "b");
    let versions = ["a", "b"].map(|key| sim.machine.store.version(key.as_bytes()).unwrap());
    sim.machine.store.put(b"a", &versions[1]);
    sim.machine.store.put(b"b", &versions[0]);
    assert!(state(&sim, &[("a", "b"), ("b", "a")]).iter().all(Result::is_ok));
    sim.lose_power();
    assert!(sim.engine().live(b"b").unwrap().is_some_and(|live| live.version == versions[0]));
    sim.pass(DAY);
    assert_eq!((sim.has("a"), sim.has("b")), (true, false));
    assert_eq!(sim.receipt(a, "a").1, Method::Deleted);
    sim.pass(20 * DAY);
    assert!(!sim.has("a"));
    assert_eq!(sim.receipt(b, "b").1, Method::Deleted);
    sim.assert_sound();
}

#[test]
fn rotated_objects_are_renamed_in_any_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let sim = simulation();
        let ids = ["log", "log.1", "log.2"].map(|name| sim.put("upload", name));
        let renames = [("log", "log.1"), ("log.1", "log.2"), ("log.2", "log.3")];
        for (from, to) in renames.into_iter().rev() {
            stored(&sim, from, to);
        }
        let answers = state(&sim, &order.map(|at| renames[at]));
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(find(&sim, "log"), None);
        let new = sim.put("upload", "log");
        sim.pass(DAY);
        for (id, first) in ids.into_iter().chain([new]).zip(["log", "log.1", "log.2", "log"]) {
            assert_eq!(sim.receipt(id, first).1, Method::Deleted, "{first}");
        }
        sim.assert_sound();
    }
}

#[test]
fn first_key_registered_again_is_another_object() {
    let sim = simulation();
    let first = sim.put("upload", "a");
    rename(&sim, "a", "b").unwrap();
    sim.pass(HOUR);
    sim.hold("case", key("a"));
    let second = sim.put("upload", "a");
    assert_ne!(find(&sim, "a"), find(&sim, "b"));
    assert_eq!(sim.engine().count_live(&key("a")).unwrap(), 2);
    sim.pass(DAY);
    assert!(sim.has("a") && sim.has("b"), "the hold covers both");
    sim.lift("case", Duration::ZERO);
    sim.pass(DAY);
    for id in [first, second] {
        assert_eq!(sim.receipt(id, "a").1, Method::Deleted);
    }
    sim.assert_sound();
}

#[test]
fn new_key_registered_again_repeats_or_replaces() {
    let sim = simulation();
    let id = sim.put("upload", "a");
    let version = sim.machine.store.version(b"a").unwrap();
    let now = rename(&sim, "a", "b").unwrap().id;
    let again = Registration::new("upload", b"b").version(&version);
    let answer = sim.engine().register(&[again], Durability::Synced).unwrap().remove(0);
    assert_eq!((answer.id, answer.previous), (now, Previous::Identical));
    let other = Registration::new("upload", b"b").version(b"other");
    let answer = sim.engine().register(&[other], Durability::Synced).unwrap().remove(0);
    assert_eq!(answer.previous, Previous::Replaced(now));
    sim.pass(DAY);
    assert_eq!(sim.receipt(id, "a").1, Method::Replaced);
    sim.assert_sound();
}

/// Without a version, an object that is registered again may be the renamed one.
#[test]
fn new_key_registered_again_does_not_leave_a_hold_on_the_first() {
    for selector in [key("a/1"), Selector::Prefix(b"a/".into())] {
        let sim = simulation();
        sim.put("upload", "a/1");
        rename(&sim, "a/1", "b/1").unwrap();
        sim.hold("case", selector);
        let again = Registration::new("upload", b"b/1");
        let answer = sim.engine().register(&[again], Durability::Synced);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Held);
        sim.pass(DAY);
        assert!(sim.has("b/1"));
        sim.assert_sound();
    }
}

#[test]
fn rename_that_leaves_a_hold_is_refused_with_those_onto_its_key() {
    let sim = simulation();
    sim.put("upload", "a");
    rename(&sim, "a", "b").unwrap();
    sim.put("upload", "x");
    sim.hold("case", key("b"));
    // Neither `a` nor `c` would be covered.
    let held = Some(ErrorKind::Held);
    assert_eq!(kinds(state(&sim, &[("b", "c")])), [held]);
    assert_eq!(kinds(state(&sim, &[("x", "b"), ("b", "c")])), [held, held]);
    assert_eq!(kinds(state(&sim, &[("b", "c"), ("x", "b")])), [held, held]);
    assert!(find(&sim, "b").is_some() && find(&sim, "x").is_some());
    // Back to the first key is away from the hold as well.
    assert_eq!(kinds(state(&sim, &[("b", "a")])), [held]);
    sim.lift("case", Duration::ZERO);
    sim.enforce();
    assert_eq!(kinds(state(&sim, &[("b", "a")])), [None]);
    sim.assert_sound();
}

#[test]
fn rename_onto_a_live_key_replaces_its_object_within_its_holds() {
    let sim = simulation();
    let a = sim.put("upload", "a");
    let b = sim.put("upload", "b");
    rename(&sim, "a", "b").unwrap();
    sim.pass(DAY);
    assert_eq!(sim.receipt(a, "a").1, Method::Deleted);
    assert_eq!(sim.receipt(b, "b").1, Method::Replaced);

    // The host registered the new key before it stated the rename, so both are one object.
    let sim = simulation();
    let registration = |class, key| Registration::new(class, key).version(b"v");
    sim.machine.store.put(b"b", b"v");
    let both = [registration("upload", &b"a"[..]), registration("other", b"b")];
    sim.engine().register(&both, Durability::Synced).unwrap();
    sim.hold("case", Selector::Class("other".into()));
    assert_eq!(kinds(state(&sim, &[("a", "b")])), [Some(ErrorKind::Held)]);
    sim.lift("case", Duration::ZERO);
    sim.enforce();
    assert_eq!(kinds(state(&sim, &[("a", "b")])), [None]);
    sim.assert_sound();
}

#[test]
fn wrong_renames_are_refused_and_change_nothing() {
    let sim = simulation();
    let a = sim.put("upload", "a");
    sim.put("upload", "b");
    let long = "x".repeat(2_049);
    let invalid = Some(ErrorKind::Invalid);
    assert_eq!(kinds(state(&sim, &[("a", ""), ("b", &long)])), [invalid, invalid]);
    assert_eq!(kinds(state(&sim, &[("none", "c")])), [Some(ErrorKind::NotFound)]);
    let twice = [("a", "c"), ("a", "d")];
    assert_eq!(kinds(state(&sim, &twice)), [None, invalid]);
    assert_eq!(kinds(state(&sim, &[("c", "e"), ("b", "e")])), [None, invalid]);
    sim.change(Change::Release { of: Which::Id(a) }).unwrap();
    assert_eq!(kinds(state(&sim, &[("e", "f")])), [Some(ErrorKind::TooLate)]);
    sim.pass(DAY);
    let answer = sim.change(Change::Rename { of: Which::Id(a), to: b"g" });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::TooLate);
    sim.assert_sound();
}

#[test]
fn repeated_rename_is_answered_as_applied() {
    let sim = simulation();
    let id = sim.put("upload", "a");
    let changed = rename(&sim, "a", "b").unwrap();
    for of in [Which::Key(b"a"), Which::Key(b"b"), Which::Id(id)] {
        assert_eq!(sim.change(Change::Rename { of, to: b"b" }).unwrap(), changed);
    }
    rename(&sim, "b", "a").unwrap();
    sim.pass(DAY);
    assert_eq!(sim.receipt(id, "a").1, Method::Deleted);
    sim.assert_sound();
}

#[test]
fn object_in_a_batch_is_not_renamed_and_a_carried_one_is() {
    let mut sim = simulation();
    let id = sim.put("upload", "a");
    sim.machine.clock.advance(DAY);
    let mut batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(kinds(state(&sim, &[("a", "b")])), [Some(ErrorKind::TooLate)]);
    batch.answer_all(&Answer::Failed("busy".into()), sim.now());
    sim.engine().complete(batch).unwrap();
    stored(&sim, "a", "b");
    sim.change(Change::Rename { of: Which::Id(id), to: b"b" }).unwrap();
    // The intent of the next batch survives a crash, and the object is handed over at its new key again.
    sim.machine.clock.advance(HOUR);
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.objects().map(|object| object.key.to_vec()).collect::<Vec<_>>(), [b"b"]);
    std::mem::forget(batch);
    sim.reopen();
    let batch = sim.engine().next_batch().unwrap().unwrap();
    assert_eq!(batch.attempt(), 2);
    assert_eq!(batch.objects().map(|object| object.key.to_vec()).collect::<Vec<_>>(), [b"b"]);
    drop(batch);
    sim.enforce();
    assert!(!sim.has("b"));
    assert_eq!(sim.receipt(id, "a").1, Method::Deleted);
    sim.assert_sound();
}

/// The sweep waits for the batch of one shard while others are finished. The batch carries the object, and the rename takes
/// it into one of those.
#[test]
fn object_renamed_during_a_sweep_is_found_by_it_once() {
    for n in 0..8 {
        let (first, new) = (format!("a{n}"), format!("b{n}"));
        // Nothing has the new key when the sweep looks for it, so it does not wait.
        for (name, keys) in erasures(&first, &new).into_iter().filter(|(name, _)| *name != "new key") {
            let sim = simulation();
            let id = sim.put_of("upload", &first, "anna", None);
            sim.machine.clock.advance(4 * HOUR);
            let mut batch = sim.engine().next_batch().unwrap().unwrap();
            let request = sim.erase(erasure(keys));
            assert!(sim.engine().next_batch().unwrap().is_none());
            batch.answer_all(&Answer::Failed("busy".into()), sim.now());
            sim.engine().complete(batch).unwrap();
            rename(&sim, &first, &new).unwrap();
            sim.pass(HOUR);
            let objects = sim.engine().erasure_objects(request).unwrap();
            let listed: Vec<&[u8]> = objects.iter().map(|object| &*object.key).collect();
            assert_eq!(listed, [first.as_bytes()], "{name}, {n}");
            assert_eq!(sim.receipt(id, &first).2, Reason::Erasure, "{name}, {n}");
            sim.assert_sound();
        }
    }
}

#[test]
fn either_key_of_an_ended_object_is_remembered() {
    let sim = simulation();
    sim.put("upload", "a");
    rename(&sim, "a", "b").unwrap();
    sim.pass(DAY);
    for key in ["a", "b"] {
        let history = sim.engine().ended(key.as_bytes()).unwrap();
        assert!(matches!(history, sexton::report::KeyHistory::Ended(_)), "{key}: {history:?}");
    }
}

#[test]
fn plan_shows_both_keys_of_a_renamed_object() {
    let sim = simulation();
    sim.put("upload", "a");
    rename(&sim, "a", "b").unwrap();
    let planned = sim.engine().plan(sim.now().saturating_add(DAY)).unwrap().next().unwrap().unwrap();
    assert_eq!((&*planned.key, planned.first_key.as_deref()), (&b"b"[..], Some(&b"a"[..])));
}
