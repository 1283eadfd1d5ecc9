//! Faults at every write of a history of deletions. The history has each kind of commit: deleted, replaced and absent
//! objects, failures that are carried, and a carried object that ends.

use sexton::testing::fault::InjectedOutcome;
use sexton::{Durability, Engine, Opener, Registration, RegistrationId, Result};
use sexton_proof::leaf::Leaf;
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::FileKind;
use sexton_tests::{FailureMode, HOUR, Machine, NEW_YEAR};
use std::collections::BTreeMap;
use std::time::Duration;

const KEYS: [&str; 6] = ["plain-1", "plain-2", "stubborn", "gone", "overwritten", "late"];

/// Registers all objects. Safe to repeat, as a host without an answer does.
fn register(machine: &Machine, engine: &Engine) -> Result<()> {
    for key in KEYS {
        if key != "gone" && !machine.store.deleted().iter().any(|k| k == key.as_bytes()) {
            machine.store.put(key.as_bytes(), if key == "overwritten" { b"2" } else { b"1" });
        }
    }
    machine.store.set_failure_mode(b"stubborn", Some(FailureMode::Fails));
    let registration = |key: &'static str, version: &'static [u8]| {
        Registration::new("upload-3h", key.as_bytes()).version(version).start(NEW_YEAR)
    };
    let first: Vec<Registration<'_>> = KEYS.map(|key| registration(key, b"1")).to_vec();
    engine.register(&first, Durability::Synced)?;
    engine.register(&[registration("overwritten", b"2")], Durability::Synced)?;
    Ok(())
}

fn enforce(machine: &Machine, engine: &Engine) -> Result<()> {
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
    engine.enforce(&*machine.store)?;
    machine.store.set_failure_mode(b"stubborn", None);
    machine.clock.advance(Duration::from_secs(2));
    engine.enforce(&*machine.store)?;
    Ok(())
}

/// Reads the number of tombstones of each settled registration from the public files alone. Asserts that no
/// registration was carried twice, and none both carried and ended.
pub(crate) fn records(machine: &Machine) -> BTreeMap<RegistrationId, u32> {
    let files = machine.files.all();
    let mut ends = BTreeMap::new();
    let mut carried = BTreeMap::new();
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with("log/tile/entries/")) {
        // The widest bundle holds all entries. Narrower ones repeat its beginning.
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
        receipt::verify(text.as_bytes(), &policy, engine.now()).unwrap_or_else(|e| panic!("{what}: {e}"));
    }
}

/// Returns the number of writes of the history without a fault.
fn writes() -> u64 {
    let machine = Machine::new();
    machine.faults.arm(u64::MAX, InjectedOutcome::Done);
    let engine = machine.open().unwrap();
    register(&machine, &engine).unwrap();
    enforce(&machine, &engine).unwrap();
    check_end_state(&machine, &engine, "without a fault");
    machine.faults.writes()
}

#[test]
fn any_failed_write_still_ends_every_object_exactly_once() {
    let writes = writes();
    assert!(writes > 30, "the history has only {writes} writes");
    for nth in 0..writes {
        for outcome in [InjectedOutcome::Lost, InjectedOutcome::DoneButError] {
            for power_lost in [false, true] {
                let what = format!("write {nth} {outcome:?}, power lost: {power_lost}");
                let machine = Machine::new();
                machine.faults.arm(nth, outcome);
                // The first run ends at the fault.
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

/// Continues as a host does after a crash: repeats the calls without an answer and lets time pass.
fn finish(machine: &Machine, engine: &Engine) {
    let status = engine.status().unwrap().classes["upload-3h"];
    if status.registered < 7 {
        // An equal registration is a safe retry. The other objects are registered now.
        register(machine, engine).unwrap();
    }
    enforce(machine, engine).unwrap();
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
}

/// The engine then neither signs nor deletes.
#[test]
fn older_index_beside_a_newer_checkpoint_opens_as_forked() {
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
    // Either the newer head or the newer checkpoint is enough to notice the older index.
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
        assert!(matches!(engine.status().unwrap().state, sexton::report::EngineState::Forked(_)));
        let registration = Registration::new("log-73h", b"new");
        assert_eq!(
            engine.register(&[registration], Durability::Synced).unwrap_err().kind(),
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
fn evidence_with_two_exchanged_carries_is_not_committed() {
    let keys: Vec<String> = (0..9).map(|n| format!("stubborn-{n}")).collect();
    let interrupted = |nth| {
        let machine = Machine::new();
        for key in &keys {
            machine.store.put(key.as_bytes(), b"1");
            machine.store.set_failure_mode(key.as_bytes(), Some(FailureMode::Fails));
        }
        let registration = |key| Registration::new("upload-3h", key).version(b"1").start(NEW_YEAR);
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| registration(key.as_bytes())).collect();
        machine.faults.arm(nth, InjectedOutcome::Lost);
        let _ = machine.open().and_then(|engine| {
            engine.register(&registrations, Durability::Synced)?;
            machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR - Duration::from_secs(30)));
            engine.enforce(&*machine.store)
        });
        machine.faults.disarm();
        machine
    };
    // The commit is the first write whose loss leaves the files in place and the log with its four classes only.
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
    keys.iter().for_each(|key| machine.store.set_failure_mode(key.as_bytes(), None));
    engine.enforce(&*machine.store).unwrap();
    assert!(machine.store.is_empty() && engine.check().unwrap().is_sound());
}
