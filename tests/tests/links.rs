//! Links in rows: each registration names the one that it continues, and the one that it took the place of.

use sexton::store::Answer;
use sexton::testing::StoredLinks;
use sexton::testing::kv::ColumnFamily;
use sexton::{
    Attribution, Change, ClassSet, Durability, Previous, Registered, Registration, RegistrationId, Which,
};
use sexton_proof::record::Cause;
use sexton_tests::simulation::{Simulation, key};
use sexton_tests::{HOUR, NEW_YEAR};

const CLASSES: &str = r#"
[class.upload]
within = "3h"
slot = "10m"
lead = "5m"

[class.kept]
keep = "2h"
within = "10h"
slot = "1s"
lead = "1s"
"#;

const FRESH: StoredLinks = StoredLinks { continues: None, replaces: None, held: 0, is_moved: false };

fn continues(cause: Cause, source: RegistrationId) -> StoredLinks {
    StoredLinks { continues: Some((cause, source)), ..FRESH }
}

fn replaces(id: RegistrationId) -> StoredLinks {
    StoredLinks { replaces: Some(id), ..FRESH }
}

/// Registers versions of the object `a` with a subject, in one call.
fn register(sim: &Simulation, said: &[(&str, &str)]) -> Vec<Registered> {
    let call: Vec<Registration<'_>> = said
        .iter()
        .map(|(version, subject)| {
            Registration::new("kept", b"a").version(version.as_bytes()).subject(subject.as_bytes())
        })
        .collect();
    sim.engine().register(&call, Durability::Synced).unwrap()
}

/// Renames objects in one call.
fn rename(sim: &Simulation, renames: &[(&str, &str)]) -> Vec<RegistrationId> {
    let changes: Vec<Change<'_>> = renames
        .iter()
        .map(|(from, to)| Change::Rename { of: Which::Key(from.as_bytes()), to: to.as_bytes() })
        .collect();
    let answers = sim.engine().change(&changes, Durability::Synced).unwrap();
    answers.into_iter().map(|answer| answer.unwrap().id).collect()
}

#[test]
fn objects_that_exchange_names_replace_nothing() {
    let sim = Simulation::new(CLASSES);
    let (a, b) = (sim.put("upload", "a"), sim.put("kept", "b"));
    let now = rename(&sim, &[("a", "b"), ("b", "a")]);
    let links = sim.links();
    assert_eq!(links[&now[0]], continues(Cause::Tightened, a));
    assert_eq!(links[&now[1]], continues(Cause::Tightened, b));
    for left in [a, b] {
        assert_eq!(links[&left], StoredLinks { is_moved: true, ..FRESH });
    }
    sim.assert_sound();
}

#[test]
fn rename_onto_an_occupied_key_links_both() {
    let sim = Simulation::new(CLASSES);
    let (a, b) = (sim.put("upload", "a"), sim.put("upload", "b"));
    let now = rename(&sim, &[("a", "b")]).remove(0);
    assert_eq!(sim.links()[&now], StoredLinks { replaces: Some(b), ..continues(Cause::Tightened, a) });
    // The next name is onto a free key, and inherits neither link.
    let next = rename(&sim, &[("b", "c")]).remove(0);
    assert_eq!(sim.links()[&next], continues(Cause::Tightened, now));
    let left = StoredLinks { replaces: Some(b), is_moved: true, ..continues(Cause::Tightened, a) };
    assert_eq!(sim.links()[&now], left);
    sim.assert_sound();
}

/// The second member replaces the first, and later members move its row twice with other subjects.
#[test]
fn key_that_comes_again_in_one_call_has_all_links() {
    let sim = Simulation::new(CLASSES);
    let call = [("v1", "anna"), ("v2", "anna"), ("v2", "bert"), ("v2", "carl")];
    let answers = register(&sim, &call);
    let [first, second, third, fourth] = [0, 1, 2, 3].map(|at: usize| answers[at].id);
    assert_eq!(answers[1].previous, Previous::Replaced(first));
    let links = sim.links();
    assert_eq!(links[&first], FRESH);
    assert_eq!(links[&second], StoredLinks { is_moved: true, ..replaces(first) });
    assert_eq!(links[&third], StoredLinks { is_moved: true, ..continues(Cause::Tightened, second) });
    assert_eq!(links[&fourth], continues(Cause::Tightened, third));
    sim.assert_sound();
}

#[test]
fn row_in_a_batch_with_another_subject_is_replaced_only() {
    let sim = Simulation::new(CLASSES);
    sim.machine.store.put(b"a", b"v1");
    let first = register(&sim, &[("v1", "")])[0].id;
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    let mut batch = sim.engine().next_batch().unwrap().unwrap();
    let answers = register(&sim, &[("v1", "anna"), ("v1", "bert")]);
    assert_eq!(answers[0].previous, Previous::TooLate(first));
    let links = sim.links();
    assert_eq!(links[&answers[0].id], StoredLinks { is_moved: true, ..replaces(first) });
    assert_eq!(links[&answers[1].id], continues(Cause::Tightened, answers[0].id));
    batch.answer(0, Answer::Failed("busy".into()), sim.now()).unwrap();
    sim.engine().complete(batch).unwrap();
    // The row of the batch was carried, and names only the row that it continues.
    let carried: Vec<StoredLinks> =
        sim.links().into_iter().filter(|(id, _)| !links.contains_key(id)).map(|(_, links)| links).collect();
    assert_eq!(carried, [continues(Cause::Failed, first)]);
    sim.assert_sound();
}

#[test]
fn held_row_replaced_in_flight_replaces_nothing() {
    let sim = Simulation::new(CLASSES);
    let first = sim.put("kept", "a");
    sim.hold("case", key("a"));
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    let batch = sim.engine().next_batch().unwrap().unwrap();
    let second = register(&sim, &[("v2", "")])[0].id;
    sim.engine().complete(batch).unwrap();
    let mut links = sim.links();
    assert_eq!(links.remove(&second), Some(replaces(first)));
    let held = StoredLinks { held: 1, ..continues(Cause::Held, first) };
    assert_eq!(links.into_values().collect::<Vec<_>>(), [held]);
    sim.assert_sound();
}

/// The stored row says that only lifted holds covered it when it was parked.
#[test]
fn row_parked_after_a_lift_says_so_when_it_moves() {
    let mut sim = Simulation::new(CLASSES);
    let first = sim.put("kept", "a");
    sim.hold("case", key("a"));
    sim.machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    sim.enforce();
    let parked = sim.engine().find(b"a").unwrap().expect("the hold keeps it");
    assert_eq!(sim.links()[&parked], StoredLinks { held: 1, ..continues(Cause::Held, first) });
    let mut image = sim.machine.kv.image();
    let rows = image.get_mut(&ColumnFamily::Rows(parked.page.class)).unwrap();
    let value = rows.get_mut(&parked.to_bytes()[4..]).unwrap();
    let source = value.windows(20).position(|bytes| bytes == first.to_bytes()).unwrap();
    // The byte that says which links there are, before cause and source.
    value[source - 2] |= 4;
    sim.close();
    sim.machine.kv.restore(image);
    sim.reopen();
    assert_eq!(sim.links()[&parked], StoredLinks { held: 2, ..continues(Cause::Held, first) });
    let renamed = rename(&sim, &[("a", "b")]).remove(0);
    assert_eq!(sim.links()[&renamed], StoredLinks { held: 2, ..continues(Cause::Tightened, parked) });
    sim.erase(key("b"));
    sim.enforce();
    let erased = sim.engine().find(b"b").unwrap().expect("the hold keeps it");
    assert_eq!(sim.links()[&erased], StoredLinks { held: 2, ..continues(Cause::Erasure, renamed) });
    sim.assert_sound();
}

#[test]
fn looser_terms_with_an_erasure_count_as_loosened() {
    for is_looser in [false, true] {
        let sim = Simulation::new(CLASSES);
        let first = sim.put("kept", "a");
        let within = if is_looser { "20h" } else { "9h" };
        let terms = CLASSES.replace("within = \"10h\"", &format!("within = \"{within}\""));
        sim.engine().define_classes(&ClassSet::from_toml(&terms).unwrap()).unwrap();
        sim.engine().apply_class("kept", Attribution::new("board", "new terms")).unwrap();
        sim.erase(key("a"));
        sim.enforce();
        let now = sim.engine().find(b"a").unwrap().expect("the floor keeps it");
        let cause = if is_looser { Cause::Loosened } else { Cause::Erasure };
        assert_eq!(sim.links()[&now], continues(cause, first), "{within}");
        sim.assert_sound();
    }
}

/// A link to another source than the mark says, and two links to one source.
#[test]
fn check_finds_links_that_are_wrong() {
    let mut sim = Simulation::new(CLASSES);
    let (a, b) = (sim.put("kept", "a"), sim.put("kept", "b"));
    let now = rename(&sim, &[("a", "c"), ("b", "d")]);
    sim.assert_sound();
    let mut image = sim.machine.kv.image();
    let rows = image.get_mut(&ColumnFamily::Rows(now[0].page.class)).unwrap();
    let value = rows.get_mut(&now[0].to_bytes()[4..]).unwrap();
    let source = value.windows(20).position(|bytes| bytes == a.to_bytes()).unwrap();
    value[source..source + 20].copy_from_slice(&b.to_bytes());
    sim.close();
    sim.machine.kv.restore(image);
    sim.reopen();
    let problems = sim.engine().check().unwrap().problems;
    let has = |words: &str| problems.iter().any(|problem| problem.contains(words));
    assert!(
        has(&format!("{} continues {b} (tightened), whose mark does not say so", now[0])),
        "{problems:?}"
    );
    assert!(has("which another one continues as well"), "{problems:?}");
}
