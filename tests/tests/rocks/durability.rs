//! What an answer promises: a seq each, gapless, and what survives the end of the process and the loss of power.

use super::Bench;
use sexton::kv::rocks::{RocksKv, RocksOptions};
use sexton::kv::{Family, Kv, Order, WriteSet};
use sexton::{Durability, Earlier, Engine, Error, ErrorKind, Registration};
use sexton_proof::id::PageId;
use sexton_tests::hooked::Hooked;
use sexton_tests::{HOUR_MS, Machine};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

const QUICK: &str = "[class.quick]\nwithin = \"60s\"\nslot = \"1s\"\nlead = \"1s\"\n";

fn item<'a>(class: &'a str, key: &'a str) -> Registration<'a> {
    Registration { version: b"1", ..Registration::new(class, key.as_bytes()) }
}

#[test]
fn buffered_registrations_survive_the_end_of_the_process() {
    let bench = Bench::new(QUICK);
    let keys: Vec<String> = (0..3_000).map(|n| format!("object-{n}")).collect();
    let ids: Vec<_> = {
        let (engine, _) = bench.open();
        let register = |key| engine.register(&[item("quick", key)], Durability::Buffered).unwrap()[0].id;
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
fn four_threads_that_share_fsyncs_get_gapless_seqs_and_none_twice() {
    let bench = Bench::new(QUICK);
    let (engine, _) = bench.open();
    let register = |thread: usize| {
        let mut ids = Vec::new();
        for call in 0..150 {
            let keys: Vec<String> = (0..1 + call % 7).map(|n| format!("{thread}/{call}/{n}")).collect();
            let items: Vec<_> = keys.iter().map(|key| item("quick", key)).collect();
            ids.extend(engine.register(&items, Durability::Synced).unwrap().into_iter().map(|one| one.id));
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
fn a_synced_retry_of_a_buffered_registration_survives_the_loss_of_power() {
    let machine = Machine::new();
    let engine = machine.open().unwrap();
    let object = Registration { start_ms: Some(engine.now_ms()), ..item("upload-3h", "a") };
    engine.register(&[object], Durability::Buffered).unwrap();
    let again = engine.register(&[object], Durability::Synced).unwrap();
    assert_eq!(again[0].earlier, Earlier::Same);
    drop(engine);
    machine.kv.lose_power();
    let engine = machine.open().unwrap();
    assert_eq!(engine.find(b"a").unwrap(), Some(again[0].id));
}

/// Registers, replaces and enforces. What a failure left undone is done by doing it again.
fn history(machine: &Machine, engine: &Engine) -> sexton::Result<()> {
    let start_ms = Some(sexton_tests::NEW_YEAR_MS);
    let of = |key, version: &'static [u8]| Registration { version, start_ms, ..item("upload-3h", key) };
    engine.register(&["a", "b", "c", "d"].map(|key| of(key, b"1")), Durability::Synced)?;
    engine.register(&["e", "b", "f"].map(|key| of(key, b"2")), Durability::Synced)?;
    machine.clock.set(sexton_tests::NEW_YEAR_MS + 3 * HOUR_MS);
    engine.enforce(&*machine.store)?;
    Ok(())
}

/// How a reading goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// As a bad block or a busy controller makes it.
    Fails,
    /// As a mistake in the engine, or in what it links, would.
    Panics,
}

/// Lets one reading go wrong, after `nth` that do not, and sees that all ends well. Whether there were so many.
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
            (0, Wrong::Fails) => Err(Error::new(ErrorKind::Io, "injected fault: a reading failed")),
            (0, Wrong::Panics) => panic!("injected fault: a reading panicked"),
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
        // Again on the same engine, which may refuse; and once more after it was opened anew.
        let _ = history(&machine, &engine);
    }
    drop(engine);
    let engine = open();
    history(&machine, &engine).unwrap_or_else(|e| panic!("reading {nth} {wrong:?}: {e}"));
    machine.clock.advance(HOUR_MS);
    engine.enforce(&*machine.store).unwrap_or_else(|e| panic!("reading {nth} {wrong:?}: {e}"));
    assert!(machine.store.is_empty(), "reading {nth} {wrong:?}: {} objects are left", machine.store.len());
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "reading {nth} {wrong:?}: {:#?}", report.problems);
    assert_eq!(engine.status().unwrap().classes["upload-3h"].live, 0, "reading {nth} {wrong:?}");
    reached
}

#[test]
fn whatever_reading_fails_or_panics_once_nothing_is_lost_and_no_page_is_left_with_a_gap() {
    for wrong in [Wrong::Fails, Wrong::Panics] {
        // With one shard some readings come after a seq was given in the same call.
        for shards in [1, 4] {
            let readings = (0..).take_while(|nth| outlives(*nth, wrong, shards)).count();
            assert!(readings >= 15, "only {readings} readings");
            println!("{readings} readings went wrong, one by one");
        }
    }
}

#[test]
fn rows_put_in_one_set_with_range_deletions_by_many_threads_at_once_are_all_there() {
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
                        changes.delete_range(Family::Marks, &from[..]..&key(thread, 2 * set + 1, row + 1));
                        changes.put(Family::Marks, &key(thread, 2 * set, row), b"row");
                    }
                    kv.write(changes).unwrap();
                }
            });
        }
    });
    let mut found = 0;
    kv.scan(Family::Marks, &[][..]..&[0xff; 32], Order::Ascending, &mut |_, _| {
        found += 1;
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(found, THREADS * SETS * 3);
}
