//! Every write of a whole history × {lost, done but reported as failed} × {process ends, power is lost} → reopen →
//! full check → go on. The history holds everything that commits: fresh deletions, replaced and absent objects,
//! failures that are carried, a carried object that ends.

use sexton::fault::Outcome;
use sexton::{Durability, Engine, Opener, Registration, RegistrationId, Result};
use sexton_proof::leaf::Leaf;
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::FileKind;
use sexton_tests::{HOUR_MS, Machine, Mood, NEW_YEAR_MS};
use std::collections::BTreeMap;

const KEYS: [&str; 6] = ["plain-1", "plain-2", "stubborn", "gone", "overwritten", "late"];

/// Registers everything; safe to repeat, as a host that got no answer would.
fn register(machine: &Machine, engine: &Engine) -> Result<()> {
    for key in KEYS {
        if key != "gone" && !machine.store.deleted().iter().any(|k| k == key.as_bytes()) {
            machine.store.put(key.as_bytes(), if key == "overwritten" { b"2" } else { b"1" });
        }
    }
    machine.store.set_mood(b"stubborn", Some(Mood::Fails));
    let item = |key: &'static str, version: &'static [u8]| Registration {
        version,
        start_ms: Some(NEW_YEAR_MS),
        ..Registration::new("upload-3h", key.as_bytes())
    };
    let first: Vec<Registration<'_>> = KEYS.map(|key| item(key, b"1")).to_vec();
    engine.register(&first, Durability::Synced)?;
    engine.register(&[item("overwritten", b"2")], Durability::Synced)?;
    Ok(())
}

fn enforce(machine: &Machine, engine: &Engine) -> Result<()> {
    machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
    engine.enforce(&*machine.store)?;
    machine.store.set_mood(b"stubborn", None);
    machine.clock.advance(2_000);
    engine.enforce(&*machine.store)?;
    Ok(())
}

/// Where each registration that was ever settled ended, read from the public files alone: (page, seq) → its final
/// tombstones. A carry is followed to where it went.
pub(crate) fn records(machine: &Machine) -> BTreeMap<RegistrationId, u32> {
    let files = machine.files.all();
    let mut ends = BTreeMap::new();
    let mut carried = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("log/tile/entries/")) {
        // The widest bundle holds all entries; narrower ones repeat its beginning.
        let widest = files.keys().filter(|p| p.starts_with("log/tile/entries/000")).max_by_key(|p| width(p));
        if Some(path) != widest {
            continue;
        }
        for entry in sexton_proof::tile::parse_bundle(bytes).unwrap() {
            let Leaf::Batch(leaf) = Leaf::parse(entry).unwrap() else { continue };
            let id = |ordinal: u32, seq| RegistrationId { page: leaf.page_id(ordinal).unwrap(), seq };
            let base = format!("tombstones/{}", sexton_proof::id::batch_path(leaf.batch));
            let tombstones = &files[&format!("{base}.tomb")];
            let parsed = sexton_proof::file::EvidenceFile::parse(tombstones, FileKind::Tombstones).unwrap();
            for tombstone in parsed.tombstones() {
                *ends.entry(id(tombstone.page, tombstone.seq)).or_insert(0) += 1;
            }
            if leaf.carries.is_some() {
                let bytes = &files[&format!("{base}.carry")];
                let parsed = sexton_proof::file::EvidenceFile::parse(bytes, FileKind::Carries).unwrap();
                for carry in parsed.carries() {
                    assert_eq!(carried.insert(id(carry.page, carry.seq), carry.to), None, "carried twice");
                }
            }
        }
    }
    for id in carried.keys() {
        assert!(!ends.contains_key(id), "{id} was carried and has a tombstone");
    }
    ends
}

fn width(path: &str) -> u32 {
    path.rsplit_once(".p/").map_or(256, |(_, width)| width.parse().unwrap())
}

fn check_end_state(machine: &Machine, engine: &Engine, what: &str) {
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{what}: {:#?}", report.problems);
    assert!(machine.store.is_empty(), "{what}: {} objects are left", machine.store.len());
    for key in KEYS {
        let times = machine.store.deleted().iter().filter(|k| *k == key.as_bytes()).count();
        assert_eq!(times, usize::from(key != "gone"), "{what}: {key} was deleted {times} times");
    }
    let status = engine.status().unwrap().classes["upload-3h"];
    assert_eq!((status.live, status.ended.early), (0, 0), "{what}");
    let ends = records(machine);
    assert_eq!(ends.len() as u64, status.ended.ended(), "{what}");
    let policy = Policy::parse(engine.policy()).unwrap();
    for (id, count) in ends {
        assert_eq!(count, 1, "{what}: {id} has {count} tombstones");
        let opened = KEYS.iter().find_map(|key| engine.receipt(id, Opener::Key(key.as_bytes())).ok());
        let text = opened.unwrap_or_else(|| panic!("{what}: no receipt for {id}"));
        receipt::verify(text.as_bytes(), &policy).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

/// How many writes the history takes without a fault.
fn writes() -> u64 {
    let machine = Machine::new();
    machine.faults.arm(u64::MAX, Outcome::Done);
    let engine = machine.open().unwrap();
    register(&machine, &engine).unwrap();
    enforce(&machine, &engine).unwrap();
    check_end_state(&machine, &engine, "without a fault");
    machine.faults.writes()
}

#[test]
fn whatever_write_fails_in_whatever_way_the_reopened_engine_ends_everything_exactly_once() {
    let writes = writes();
    assert!(writes > 30, "the history has only {writes} writes");
    for nth in 0..writes {
        for outcome in [Outcome::Lost, Outcome::DoneButError] {
            for power_lost in [false, true] {
                let what = format!("write {nth} {outcome:?}, power lost: {power_lost}");
                let machine = Machine::new();
                machine.faults.arm(nth, outcome);
                // The first run goes as far as it gets.
                let _ = machine
                    .open()
                    .and_then(|engine| register(&machine, &engine).and_then(|()| enforce(&machine, &engine)));
                machine.faults.disarm();
                if power_lost {
                    machine.kv.lose_power();
                }
                let engine = machine.open().unwrap_or_else(|e| panic!("{what}: {e}"));
                let report = engine.check().unwrap();
                assert!(report.is_sound(), "{what}: {:#?}", report.problems);
                finish(&machine, &engine);
                check_end_state(&machine, &engine, &what);
            }
        }
    }
}

/// What the host does after the crash: repeats what it got no answer for, and lets time pass.
fn finish(machine: &Machine, engine: &Engine) {
    let status = engine.status().unwrap().classes["upload-3h"];
    if status.registered < 7 {
        // Of what is there the same again is a safe retry; what is not there is registered now.
        register(machine, engine).unwrap();
    }
    enforce(machine, engine).unwrap();
    machine.clock.advance(HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
}

#[test]
fn a_restored_older_index_beside_a_newer_published_checkpoint_signs_and_deletes_nothing() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    register(&machine, &engine).unwrap();
    drop(engine);
    let old = machine.kv.image();
    let old_files = machine.files.all();
    let engine = machine.open().unwrap();
    enforce(&machine, &engine).unwrap();
    drop(engine);

    let newest = machine.files.all();
    // With the newer head and checkpoint beside it, and with either alone: one of them is enough.
    for restored_too in [None, Some("head"), Some("log/checkpoint")] {
        machine.kv.restore(old.clone());
        let mut files = newest.clone();
        if let Some(path) = restored_too {
            files.insert(path.into(), old_files[path].clone());
        }
        machine.files.restore(files);
        machine.store.put(b"plain-1", b"1");
        let before = machine.files.all();
        let engine = machine.open().unwrap();
        assert!(matches!(engine.status().unwrap().state, sexton::State::Forked(_)));
        let item = Registration::new("log-73h", b"new");
        assert_eq!(
            engine.register(&[item], Durability::Synced).unwrap_err().kind(),
            sexton::ErrorKind::Forked
        );
        assert_eq!(engine.enforce(&*machine.store).unwrap_err().kind(), sexton::ErrorKind::Forked);
        assert!(machine.store.has(b"plain-1"));
        assert_eq!(machine.files.all(), before);
        assert_eq!(machine.kv.image(), old);
        machine.files.restore(newest.clone());
    }
}

#[test]
fn evidence_in_which_two_carried_objects_were_exchanged_is_not_taken_up() {
    let keys: Vec<String> = (0..9).map(|n| format!("stubborn-{n}")).collect();
    let interrupted = |nth| {
        let machine = Machine::new();
        for key in &keys {
            machine.store.put(key.as_bytes(), b"1");
            machine.store.set_mood(key.as_bytes(), Some(Mood::Fails));
        }
        let item = |key| Registration {
            version: b"1",
            start_ms: Some(NEW_YEAR_MS),
            ..Registration::new("upload-3h", key)
        };
        let items: Vec<Registration<'_>> = keys.iter().map(|key| item(key.as_bytes())).collect();
        machine.faults.arm(nth, Outcome::Lost);
        let _ = machine.open().and_then(|engine| {
            engine.register(&items, Durability::Synced)?;
            machine.clock.set(NEW_YEAR_MS + 3 * HOUR_MS - 30_000);
            engine.enforce(&*machine.store)
        });
        machine.faults.disarm();
        machine
    };
    // The first write without which the files are there and the log has no more than its four classes is the commit.
    let commit_is_lost = |machine: &Machine| {
        let files = machine.files.all();
        files.keys().any(|path| path.ends_with(".open")) && !files.contains_key("log/tile/entries/000.p/5")
    };
    let machine = (0..1_000).map(interrupted).find(commit_is_lost).unwrap();

    let mut files = machine.files.all();
    let (_, carries) = files.iter_mut().find(|(path, _)| path.ends_with(".carry")).unwrap();
    let (records, _) = carries[64..].as_chunks_mut::<128>();
    let (page, seq) = (64..80, 80..84);
    let pairs = (1..records.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
    let (a, b) =
        pairs.into_iter().find(|(a, b)| records[*a][page.clone()] == records[*b][page.clone()]).unwrap();
    let (first, rest) = records.split_at_mut(b);
    first[a][seq.clone()].swap_with_slice(&mut rest[0][seq]);
    machine.files.restore(files);

    let engine = machine.open().unwrap();
    assert_eq!(engine.next_batch().unwrap().unwrap().attempt(), 2);
    keys.iter().for_each(|key| machine.store.set_mood(key.as_bytes(), None));
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty() && engine.check().unwrap().is_sound());
}
