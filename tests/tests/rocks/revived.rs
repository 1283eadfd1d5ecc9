//! Rows of settled pages that dropping files brings back. It also drops files that hold only range deletions, while a
//! lower file with the hidden rows stays. The tests provoke this, and the rows must be void.

use super::{Bench, FIRST_CLASS, long_key};
use sexton::testing::kv::rocks::RocksKv;
use sexton::testing::kv::{ColumnFamily, Kv, Order};
use sexton::{Durability, Engine, Registration};
use sexton_proof::time::Timestamp;
use std::ops::ControlFlow;
use std::time::Duration;

/// A quiet class whose objects live an hour in slots of a second, and a class with many writes.
const CLASSES: &str = "
[class.quiet]
within = \"1h\"
slot = \"1s\"
lead = \"1s\"

[class.torrent]
within = \"10d\"
find = \"none\"
";
const ROWS: ColumnFamily = ColumnFamily::Rows(FIRST_CLASS);
const SLOTS: u32 = 400;
const PER_SLOT: usize = 200;
const KEY_BYTES: usize = 160;

/// Beginning of 1970, which is before every slot.
const FIRST: Timestamp = Timestamp::from_unix_ms(0);

/// Returns the first row key of a slot.
fn first_of(slot: Timestamp) -> Vec<u8> {
    [&slot.to_be_bytes()[..], &[0; 8]].concat()
}

/// Returns the keys of the objects whose rows the raw index has before a slot. All pages before the slot are settled.
fn raw(kv: &RocksKv, slot: Timestamp) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    // A row ends with the key of its object, which has a fixed length here.
    let mut visit = |_: &[u8], row: &[u8]| {
        keys.push(row[row.len() - KEY_BYTES..].to_vec());
        ControlFlow::Continue(())
    };
    kv.scan(ROWS, &first_of(FIRST)..&first_of(slot), Order::Ascending, &mut visit).unwrap();
    keys
}

/// Registers all slots of the quiet class, so that its rows reach the lowest level long before they end.
fn fill(bench: &Bench, engine: &Engine) {
    let start = engine.now();
    for slot in 0..SLOTS {
        let keys: Vec<String> = (0..PER_SLOT).map(|n| long_key(&format!("{slot}-{n}"), KEY_BYTES)).collect();
        let store = |key: &'_ String| {
            bench.store.put(key.as_bytes(), b"1");
            key.clone().into_bytes()
        };
        let keys: Vec<Vec<u8>> = keys.iter().map(store).collect();
        let start = start.saturating_add(Duration::from_secs(slot.into()));
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new("quiet", key).version(b"1").start(start)).collect();
        engine.register(&registrations, Durability::Buffered).unwrap();
    }
}

/// Fills the WAL with writes of another class, so that the quiet class is flushed with little more than range
/// deletions.
fn flush(engine: &Engine, round: u32) {
    let keys: Vec<String> = (0..3_000).map(|n| long_key(&format!("{round}/{n}"), 320)).collect();
    let registrations: Vec<_> = keys.iter().map(|key| Registration::new("torrent", key.as_bytes())).collect();
    engine.register(&registrations, Durability::Buffered).unwrap();
}

/// Asserts that `live` registrations live and that no reader sees an object that ended.
fn assert_void(bench: &Bench, engine: &Engine, live: usize, ended: &[Vec<u8>]) {
    assert_eq!(engine.status().unwrap().classes["quiet"].live, live as u64);
    for key in ended {
        assert!(!bench.store.has(key));
        assert_eq!(engine.find(key).unwrap(), None);
    }
    let asked = bench.store.asked();
    assert!(engine.next_batch().unwrap().is_none(), "an ended object is handed out again");
    assert_eq!(bench.store.asked(), asked);
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// This holds for the running engine and for the reopened one.
#[test]
fn rows_revived_by_dropped_files_are_void() {
    let mut bench = Bench::new(CLASSES);
    bench.options.rocks.wal_bytes = 1 << 20;
    let (mut engine, mut kv) = bench.open();
    fill(&bench, &engine);
    let (mut events, mut came_back) = (0, 0);
    for slot in 0..SLOTS {
        bench.clock.set(engine.next_due().unwrap());
        engine.enforce(&*bench.store).unwrap();
        if slot % 2 == 1 {
            flush(&engine, slot);
        }
        // All pages before the next slot are settled, so the whole range may be reclaimed.
        let Some(next) = engine.next_due() else { break };
        let visible = raw(&kv, next).len();
        kv.reclaim(ROWS, &[(first_of(FIRST), first_of(next))]).unwrap();
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
        assert_eq!(raw(&kv, next).len(), ended.len(), "reopening removed the rows, so the case was not met");
        assert_void(&bench, &engine, live, &ended);
        // The engine's own `reclaim` hides the rows again.
        engine.reclaim().unwrap();
        assert_eq!(raw(&kv, next), Vec::<Vec<u8>>::new());
        if events == 4 {
            break;
        }
    }
    println!("{came_back} rows of settled pages came back in {events} events");
    assert!(came_back > 0, "no row came back, so the case was not met");
    end_all(&bench, &engine, &kv);
}

/// Ends all objects and reclaims until no row can come back.
fn end_all(bench: &Bench, engine: &Engine, kv: &RocksKv) {
    let mut last = engine.now();
    while engine.status().unwrap().classes["quiet"].live > 0 {
        last = engine.next_due().unwrap();
        bench.clock.set(last.saturating_add(Duration::from_secs(30)));
        engine.enforce(&*bench.store).unwrap();
    }
    assert!(bench.store.is_empty());
    bench.clock.advance(Duration::from_secs(60));
    let comes_back = (0..100).find(|round| {
        engine.reclaim().unwrap();
        flush(engine, 1_000_000 + round);
        kv.reclaim(ROWS, &[(first_of(FIRST), first_of(last))]).unwrap();
        raw(kv, last).is_empty()
    });
    assert!(comes_back.is_some(), "rows come back for ever");
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}
