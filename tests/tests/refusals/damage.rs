//! Damaged indexes and failing reads. Each is an error or a problem of the full check, never a panic or a silent end.

use sexton::testing::kv::ColumnFamily;
use sexton::testing::kv::memory::Image;
use sexton::{Error, ErrorKind, Opener};
use sexton_proof::checked_text::{self, KEYRING_TITLE};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_tests::hooked::Hooked;
use sexton_tests::simulation::Simulation;
use sexton_tests::{DAY, Machine, NEW_YEAR};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const CLASSES: &str = "[class.upload]\nwithin = \"3h\"\nslot = \"10m\"\nlead = \"5m\"\n";

/// Closes the engine, damages its index, and returns the error of the next opening.
fn error_after(mut sim: Simulation, damage: impl FnOnce(&mut Image)) -> Error {
    let mut image = sim.machine.kv.image();
    sim.close();
    damage(&mut image);
    sim.machine.kv.restore(image);
    sim.machine.open().err().expect("the damage is accepted")
}

fn is_corrupt(error: &Error, words: &str) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn malformed_epoch_refuses_opening() {
    let error = error_after(Simulation::new(CLASSES), |image| {
        image.get_mut(&ColumnFamily::Meta).unwrap().insert(b"epoch".to_vec(), vec![1]);
    });
    is_corrupt(&error, "the number of openings is malformed");
}

#[test]
fn mark_of_an_unknown_shard_refuses_opening() {
    let page = PageId { class: 1, slot: 1_000, shard: 99, part: 0 };
    let key = RegistrationId { page, seq: 0 }.to_bytes().to_vec();
    let error = error_after(Simulation::new(CLASSES), |image| {
        image.entry(ColumnFamily::Marks).or_default().insert(key, vec![0]);
    });
    is_corrupt(&error, "is of a shard that does not exist");
}

#[test]
fn intent_with_an_unknown_shard_refuses_opening() {
    let sim = Simulation::new(CLASSES);
    sim.put("upload", "a");
    sim.machine.clock.advance(DAY);
    drop(sim.engine().next_batch().unwrap().expect("the object is due"));
    let error = error_after(sim, |image| {
        let meta = image.get_mut(&ColumnFamily::Meta).unwrap();
        let (_, intent) = meta.iter_mut().find(|(key, _)| key.starts_with(b"intent/")).unwrap();
        // Batch, class, instant and number of pages take 24 bytes. In a page, the shard follows class and slot.
        intent[36..38].copy_from_slice(&[0xff, 0xff]);
    });
    is_corrupt(&error, "is of a shard that does not exist");
}

#[test]
fn malformed_settled_key_is_reported_and_check_goes_on() {
    let mut sim = Simulation::new(CLASSES);
    sim.put("upload", "a");
    sim.pass(DAY);
    let mut image = sim.machine.kv.image();
    let settled = image.get_mut(&ColumnFamily::Settled).unwrap();
    let record = settled.values().next().expect("a page has settled").clone();
    settled.insert(vec![0], record.clone());
    settled.insert(vec![0xff; 16], record);
    sim.close();
    sim.machine.kv.restore(image);
    sim.reopen();
    let report = sim.engine().check().unwrap();
    assert_eq!(report.problems_found, 2, "{:?}", report.problems);
    assert_eq!(report.problems[0], "the key 00 of a settled page is malformed");
    assert!(report.problems[1].contains("no batch in the log says so"), "{:?}", report.problems);
}

/// A receipt of a live object needs its row. If that cannot be read, the object is not reported as unknown.
#[test]
fn receipt_with_a_failed_read_passes_the_error_on() {
    let mut machine = Machine::new();
    machine.options.classes = sexton::ClassSet::from_toml(CLASSES).unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&fails);
    let read = move |family: ColumnFamily| match family {
        ColumnFamily::Rows(_) if is_armed.load(Ordering::SeqCst) => Err(Error::new(ErrorKind::Io, "no disk")),
        _ => Ok(()),
    };
    let kv = Hooked { inner: machine.kv.clone(), before: Box::new(read), after: Box::new(|_| Ok(())) };
    let engine = machine.open_on(Arc::new(kv), 7).unwrap();
    let upload = sexton::Registration::new("upload", b"a").start(NEW_YEAR);
    let id = engine.register(&[upload], sexton::Durability::Synced).unwrap()[0].id;
    let refused = |id| engine.receipt(id, Opener::Key(b"a")).unwrap_err();
    let live = refused(id);
    assert_eq!(live.kind(), ErrorKind::NotFound);
    assert!(live.to_string().contains("has not ended: it is due from 2026-01-01T02:"), "{live}");
    fails.store(true, Ordering::SeqCst);
    assert_eq!(refused(id).kind(), ErrorKind::Io);
    let page = PageId { class: 9_999, ..id.page };
    let unknown = refused(RegistrationId { page, seq: 0 });
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
}

/// Returns the problems that the full check finds once `damage` has changed the files beside the index.
fn problems_after(sim: &Simulation, damage: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Vec<String> {
    let good = sim.machine.files.all();
    let mut files = good.clone();
    damage(&mut files);
    sim.machine.files.restore(files);
    let report = sim.engine().check().unwrap();
    sim.machine.files.restore(good);
    report.problems
}

/// Opens an engine with two batches of two and one deleted objects.
fn two_batches() -> Simulation {
    let sim = Simulation::new(CLASSES);
    for keys in [&["a", "b"][..], &["c"]] {
        for key in keys {
            sim.put("upload", key);
        }
        sim.pass(DAY);
    }
    assert_eq!(problems_after(&sim, |_| {}), [""; 0]);
    sim
}

#[test]
fn flipped_bit_of_evidence_is_found_by_the_check() {
    let sim = two_batches();
    let files = sim.machine.files.all();
    let evidence = files.iter().filter(|(path, _)| path.ends_with(".tomb") || path.ends_with(".open"));
    for (path, bytes) in evidence {
        for bit in 0..8 * bytes.len() {
            let flip = |files: &mut BTreeMap<String, Vec<u8>>| {
                files.get_mut(path).unwrap()[bit / 8] ^= 1 << (bit % 8);
            };
            let problems = problems_after(&sim, flip);
            assert!(
                problems.iter().any(|problem| problem.contains(path)),
                "bit {bit} of {path}: {problems:?}"
            );
        }
    }
}

#[test]
fn openings_missing_cut_or_exchanged_are_found_by_the_check() {
    let sim = two_batches();
    let (first, second) = ("openings/001.open", "openings/002.open");
    let missing = problems_after(&sim, |files| drop(files.remove(first)));
    assert_eq!(missing, ["openings/001.open is missing: no receipt can be made for batch 1"]);
    let cut = problems_after(&sim, |files| files.get_mut(first).unwrap().truncate(100));
    assert!(cut.len() == 1 && cut[0].starts_with("openings/001.open is damaged"), "{cut:?}");
    let exchanged = problems_after(&sim, |files| {
        let taken = files.insert(first.into(), files[second].clone()).unwrap();
        files.insert(second.into(), taken);
    });
    let expected = [
        "openings/001.open has 1 openings of batch 2, expected 2 of batch 1",
        "openings/002.open has 2 openings of batch 1, expected 1 of batch 2",
    ];
    assert_eq!(exchanged, expected);
}

/// Without the key of the month no opening can be unsealed. The check goes on as before.
#[test]
fn openings_are_checked_after_their_key_is_destroyed() {
    let mut sim = two_batches();
    sim.close();
    let mut files = sim.machine.files.all();
    let mut keyring = format!("{KEYRING_TITLE}\n");
    checked_text::append_check(&mut keyring);
    files.insert("keys/keyring".into(), keyring.into_bytes()).unwrap();
    sim.machine.files.restore(files);
    sim.reopen();
    assert_eq!(problems_after(&sim, |_| {}), [""; 0]);
    let damaged = problems_after(&sim, |files| files.get_mut("openings/001.open").unwrap()[70] ^= 1);
    assert!(damaged.len() == 1 && damaged[0].starts_with("openings/001.open is damaged"), "{damaged:?}");
}

/// A damaged opening is not reported as the key of another object.
#[test]
fn receipt_from_damaged_openings_is_corrupt() {
    let mut sim = Simulation::new(CLASSES);
    let id = sim.put("upload", "a");
    sim.pass(DAY);
    let good = sim.machine.files.all();
    let path = "openings/001.open";
    for bit in (0..8 * good[path].len()).step_by(5) {
        let mut files = good.clone();
        files.get_mut(path).unwrap()[bit / 8] ^= 1 << (bit % 8);
        sim.machine.files.restore(files);
        // The engine remembers the files of the batches that it read last.
        sim.reopen();
        match sim.engine().receipt(id, Opener::Key(b"a")) {
            // A bit of the check itself, or of the header, does not affect the opening.
            Ok(_) => assert!(bit / 8 < 64 || bit / 8 >= good[path].len() - 32, "bit {bit}"),
            Err(error) => is_corrupt(&error, path),
        }
    }
    sim.machine.files.restore(good);
    sim.reopen();
    assert_eq!(sim.engine().receipt(id, Opener::Key(b"b")).unwrap_err().kind(), ErrorKind::Invalid);
}
