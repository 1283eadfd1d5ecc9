//! Dropping files brings rows of settled pages back (design §4): it also drops files that hold nothing but range
//! deletions, while a file below with the rows they hid stays. Here that is provoked, and the rows must be void.

use super::{Bench, FIRST_CLASS, long_key};
use sexton::kv::rocks::RocksKv;
use sexton::kv::{Family, Kv, Order};
use sexton::{Durability, Engine, Registration};
use std::ops::ControlFlow;

/// The quiet class, an hour to live in slots of a second, and another one that writes much.
const CLASSES: &str = "
[class.quiet]
within = \"1h\"
slot = \"1s\"
lead = \"1s\"

[class.torrent]
within = \"10d\"
find = \"none\"
";
const ROWS: Family = Family::Rows(FIRST_CLASS);
const SLOTS: i64 = 400;
const PER_SLOT: usize = 200;
const KEY_BYTES: usize = 160;

/// The first row key of a slot.
fn first_of(slot: i64) -> Vec<u8> {
    [&slot.to_be_bytes()[..], &[0; 8]].concat()
}

/// The keys of the objects whose rows a reader of the raw index sees before a slot, all of whose pages are settled.
fn raw(kv: &RocksKv, slot: i64) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    // A row ends with its object's key, here of a fixed length.
    let mut visit = |_: &[u8], row: &[u8]| {
        keys.push(row[row.len() - KEY_BYTES..].to_vec());
        ControlFlow::Continue(())
    };
    kv.scan(ROWS, &first_of(0)..&first_of(slot), Order::Ascending, &mut visit).unwrap();
    keys
}

/// Registers all slots of the quiet class at once: its rows reach the lowest level long before they end.
fn fill(bench: &Bench, engine: &Engine) {
    let start_ms = engine.now_ms();
    for slot in 0..SLOTS {
        let keys: Vec<String> = (0..PER_SLOT).map(|n| long_key(&format!("{slot}-{n}"), KEY_BYTES)).collect();
        let item = |key: &'_ String| {
            bench.store.put(key.as_bytes(), b"1");
            key.clone().into_bytes()
        };
        let keys: Vec<Vec<u8>> = keys.iter().map(item).collect();
        let start_ms = Some(start_ms + slot * 1_000);
        let items: Vec<Registration<'_>> = keys
            .iter()
            .map(|key| Registration { version: b"1", start_ms, ..Registration::new("quiet", key) })
            .collect();
        engine.register(&items, Durability::Buffered).unwrap();
    }
}

/// Writes of another class: the log of writes is full, so the quiet class is flushed with little more in its buffer
/// than range deletions.
fn flush(engine: &Engine, round: i64) {
    let keys: Vec<String> = (0..3_000).map(|n| long_key(&format!("{round}/{n}"), 320)).collect();
    let items: Vec<_> = keys.iter().map(|key| Registration::new("torrent", key.as_bytes())).collect();
    engine.register(&items, Durability::Buffered).unwrap();
}

/// `live` registrations live, and nobody sees any of the objects that ended.
fn assert_void(bench: &Bench, engine: &Engine, live: usize, ended: &[Vec<u8>]) {
    assert_eq!(engine.status().unwrap().classes["quiet"].live, live as u64);
    for key in ended {
        assert!(!bench.store.has(key));
        assert_eq!(engine.find(key).unwrap(), None);
    }
    let asked = bench.store.asked();
    assert!(engine.next_batch().unwrap().is_none(), "something that has ended is handed out again");
    assert_eq!(bench.store.asked(), asked);
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

#[test]
fn rows_that_come_back_when_files_are_dropped_are_void_for_the_running_and_for_the_reopened_engine() {
    let mut bench = Bench::new(CLASSES);
    bench.options.rocks.wal_bytes = 1 << 20;
    let (mut engine, mut kv) = bench.open();
    fill(&bench, &engine);
    let (mut events, mut came_back) = (0, 0);
    for slot in 0..SLOTS {
        bench.clock.set(engine.next_due_ms().unwrap());
        engine.enforce(&*bench.store).unwrap();
        if slot % 2 == 1 {
            flush(&engine, slot);
        }
        // Everything before the next slot is settled: a wide range, as the seam allows it.
        let Some(next) = engine.next_due_ms() else { break };
        let visible = raw(&kv, next).len();
        kv.reclaim(ROWS, &[(first_of(0), first_of(next))]).unwrap();
        let ended = raw(&kv, next);
        if ended.len() <= visible {
            continue;
        }
        events += 1;
        came_back += ended.len() - visible;
        let live = PER_SLOT * usize::try_from(SLOTS - slot - 1).unwrap();
        assert_void(&bench, &engine, live, &ended);
        drop((engine, kv));
        (engine, kv) = bench.open();
        assert_eq!(raw(&kv, next).len(), ended.len(), "the rows went away by reopening: the case is not met");
        assert_void(&bench, &engine, live, &ended);
        // The engine's own reclaiming hides them again.
        engine.reclaim().unwrap();
        assert_eq!(raw(&kv, next), Vec::<Vec<u8>>::new());
        if events == 4 {
            break;
        }
    }
    println!("{came_back} rows of settled pages came back in {events} events");
    assert!(came_back > 0, "the case was not provoked");
    end_all(&bench, &engine, &kv);
}

/// Once all has ended and RocksDB has compacted, there is nothing left that could come back.
fn end_all(bench: &Bench, engine: &Engine, kv: &RocksKv) {
    let mut last = engine.now_ms();
    while engine.status().unwrap().classes["quiet"].live > 0 {
        last = engine.next_due_ms().unwrap();
        bench.clock.set(last + 30_000);
        engine.enforce(&*bench.store).unwrap();
    }
    assert!(bench.store.is_empty());
    bench.clock.advance(60_000);
    let comes_back = (0..100).find(|round| {
        engine.reclaim().unwrap();
        flush(engine, 1_000_000 + round);
        kv.reclaim(ROWS, &[(first_of(0), first_of(last))]).unwrap();
        raw(kv, last).is_empty()
    });
    assert!(comes_back.is_some(), "rows come back for ever");
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}
