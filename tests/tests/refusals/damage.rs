//! Damaged indexes and failing reads. Each is an error or a problem of the full check, never a panic or a silent end.

use sexton::testing::kv::ColumnFamily;
use sexton::testing::kv::memory::Image;
use sexton::{Error, ErrorKind, Opener};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_tests::hooked::Hooked;
use sexton_tests::simulation::Simulation;
use sexton_tests::{DAY, Machine, NEW_YEAR};
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
