//! Promises of an answer: gapless seqs, and durability after the end of the process and after a power loss.

use super::Bench;
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use sexton::testing::kv::{ColumnFamily, Kv, Order, WriteSet};
use sexton::{Durability, Engine, Error, ErrorKind, Previous, Registration};
use sexton_proof::id::PageId;
use sexton_tests::hooked::Hooked;
use sexton_tests::{HOUR, Machine, NEW_YEAR};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

const QUICK: &str = "[class.quick]\nwithin = \"60s\"\nslot = \"1s\"\nlead = \"1s\"\n";

fn registration<'a>(class: &'a str, key: &'a str) -> Registration<'a> {
    Registration::new(class, key.as_bytes()).version(b"1")
}

#[test]
fn buffered_registrations_survive_the_end_of_the_process() {
    let bench = Bench::new(QUICK);
    let keys: Vec<String> = (0..3_000).map(|n| format!("object-{n}")).collect();
    let ids: Vec<_> = {
        let (engine, _) = bench.open();
        let register =
            |key| engine.register(&[registration("quick", key)], Durability::Buffered).unwrap()[0].id;
        keys.iter().map(|key| register(key)).collect()
    };
    let (engine, _) = bench.open();
    assert_eq!(engine.status().unwrap().classes["quick"].live, 3_000);
    for (key, id) in keys.iter().zip(ids) {
        assert_eq!(engine.find(key.as_bytes()).unwrap(), Some(id));
    }
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn threads_that_share_fsyncs_get_gapless_unique_seqs() {
    let bench = Bench::new(QUICK);
    let (engine, _) = bench.open();
    let register = |thread: usize| {
        let mut ids = Vec::new();
        for call in 0..150 {
            let keys: Vec<String> = (0..1 + call % 7).map(|n| format!("{thread}/{call}/{n}")).collect();
            let registrations: Vec<_> = keys.iter().map(|key| registration("quick", key)).collect();
            ids.extend(
                engine
                    .register(&registrations, Durability::Synced)
                    .unwrap()
                    .into_iter()
                    .map(|registered| registered.id),
            );
        }
        ids
    };
    let ids: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || register(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut pages: BTreeMap<PageId, BTreeSet<u32>> = BTreeMap::new();
    for id in &ids {
        assert!(pages.entry(id.page).or_default().insert(id.seq), "{id} was given twice");
    }
    for (page, seqs) in &pages {
        assert_eq!(seqs.last().map(|last| *last as usize + 1), Some(seqs.len()), "{page} has a gap");
    }
    assert_eq!(pages.values().map(BTreeSet::len).sum::<usize>(), ids.len());
    assert!(engine.check().unwrap().is_sound());
}

#[test]
fn synced_retry_of_a_buffered_registration_is_durable() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let object = registration("upload-3h", "a").start(engine.now());
    engine.register(&[object], Durability::Buffered).unwrap();
    let again = engine.register(&[object], Durability::Synced).unwrap();
    assert_eq!(again[0].previous, Previous::Identical);
    drop(engine);
    machine.kv.lose_power();
    let engine = machine.open().unwrap();
    assert_eq!(engine.find(b"a").unwrap(), Some(again[0].id));
}

/// Registers, replaces and enforces. Safe to repeat after a failure.
fn history(machine: &Machine, engine: &Engine) -> sexton::Result<()> {
    let of = |key, version: &'static [u8]| registration("upload-3h", key).version(version).start(NEW_YEAR);
    engine.register(&["a", "b", "c", "d"].map(|key| of(key, b"1")), Durability::Synced)?;
    engine.register(&["e", "b", "f"].map(|key| of(key, b"2")), Durability::Synced)?;
    machine.clock.set(NEW_YEAR.saturating_add(3 * HOUR));
    engine.enforce(&*machine.store)?;
    Ok(())
}

/// Kind of a fault in a read.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Error, as of a bad block or a busy controller.
    Fails,
    /// Panic, as of a defect in the engine or in a library.
    Panics,
}

/// Injects a fault into the read after `nth` others and asserts that every object still ends well. Returns `true` if
/// the history has that many reads.
fn outlives(nth: i64, wrong: Wrong, shards: u16) -> bool {
    let mut machine = Machine::new();
    machine.options.shards = Some(shards);
    for (key, version) in [("a", "1"), ("b", "2"), ("c", "1"), ("d", "1"), ("e", "2"), ("f", "2")] {
        machine.store.put(key.as_bytes(), version.as_bytes());
    }
    let left = Arc::new(AtomicI64::new(i64::MAX));
    let open = || {
        let left = Arc::clone(&left);
        let read = move |_| match (left.fetch_sub(1, Ordering::SeqCst), wrong) {
            (0, Wrong::Fails) => Err(Error::new(ErrorKind::Io, "injected fault: a read failed")),
            (0, Wrong::Panics) => panic!("injected fault: a read panicked"),
            _ => Ok(()),
        };
        let inner = machine.kv.clone();
        let kv = Arc::new(Hooked { inner, before: Box::new(read), after: Box::new(|_| Ok(())) });
        machine.open_on(kv, 7).unwrap()
    };
    let engine = open();
    left.store(nth, Ordering::SeqCst);
    let first = catch_unwind(AssertUnwindSafe(|| history(&machine, &engine)));
    let reached = left.swap(i64::MAX, Ordering::SeqCst) < 0;
    if !matches!(first, Ok(Ok(()))) {
        // The history is repeated on this engine, which may refuse it, and then on a reopened one.
        let _ = history(&machine, &engine);
    }
    drop(engine);
    let engine = open();
    history(&machine, &engine).unwrap_or_else(|e| panic!("read {nth} {wrong:?}: {e}"));
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap_or_else(|e| panic!("read {nth} {wrong:?}: {e}"));
    assert!(machine.store.is_empty(), "read {nth} {wrong:?}: {} objects are left", machine.store.len());
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "read {nth} {wrong:?}: {:#?}", report.problems);
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0, "read {nth} {wrong:?}");
    reached
}

/// No page is left with a gap in its seqs.
#[test]
fn any_failed_or_panicking_read_loses_no_row() {
    for wrong in [Wrong::Fails, Wrong::Panics] {
        // With one shard some reads follow the assignment of a seq in the same call.
        for shards in [1, 4] {
            let reads = (0..).take_while(|nth| outlives(*nth, wrong, shards)).count();
            assert!(reads >= 15, "only {reads} reads");
            println!("{reads} reads failed, each in a run of its own");
        }
    }
}

/// Many threads write such sets at the same time.
#[test]
fn rows_written_beside_range_deletions_are_all_kept() {
    const THREADS: u64 = 4;
    const SETS: u64 = 300;
    let folder = tempfile::tempdir().unwrap();
    let kv = RocksKv::open(folder.path(), &RocksOptions::default()).unwrap();
    let key = |thread: u64, set: u64, row: u64| {
        [thread.to_be_bytes(), (2 * set).to_be_bytes(), row.to_be_bytes()].concat()
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (kv, key) = (&kv, &key);
            scope.spawn(move || {
                for set in 0..SETS {
                    let mut changes = WriteSet::default();
                    for row in 0..3 {
                        let from = key(thread, 2 * set + 1, row);
                        changes
                            .delete_range(ColumnFamily::Marks, &from[..]..&key(thread, 2 * set + 1, row + 1));
                        changes.put(ColumnFamily::Marks, &key(thread, 2 * set, row), b"row");
                    }
                    kv.write(changes).unwrap();
                }
            });
        }
    });
    let mut found = 0;
    kv.scan(ColumnFamily::Marks, &[][..]..&[0xff; 32], Order::Ascending, &mut |_, _| {
        found += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found, THREADS * SETS * 3);
}
