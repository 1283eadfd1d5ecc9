//! Lookup by key on real files, across runs, reopenings and merges.

use super::Bench;
use sexton::testing::kv::rocks::RocksKv;
use sexton::testing::kv::{ColumnFamily, Kv, Order};
use sexton::{Durability, Engine, Previous, Registration};
use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::time::Duration;

const CLASSES: &str = "
[class.quick]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"

[class.slow]
within = \"30d\"
";
const KEYS: usize = 9_000;
const CALL: usize = 300;

fn entries(kv: &RocksKv) -> usize {
    let mut n = 0;
    kv.scan(ColumnFamily::Locator, &[]..&[0xff; 40], Order::Ascending, &mut |_, _| {
        n += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    n
}

/// Registers keys of `class` and asserts for each of them if it was live already.
fn register(bench: &Bench, engine: &Engine, class: &str, keys: &[String], version: &[u8], is_new: bool) {
    for keys in keys.chunks(CALL) {
        let store = |key: &'_ String| {
            bench.store.put(key.as_bytes(), version);
            key.clone()
        };
        let keys: Vec<String> = keys.iter().map(store).collect();
        let registrations: Vec<Registration<'_>> =
            keys.iter().map(|key| Registration::new(class, key.as_bytes()).version(version)).collect();
        for answer in engine.register(&registrations, Durability::Buffered).unwrap() {
            assert_eq!(answer.previous == Previous::None, is_new, "{:?}", answer.previous);
        }
    }
}

/// Merging drops the entries of objects that ended.
#[test]
fn every_key_is_found_across_runs_and_reopenings() {
    let bench = Bench::new(CLASSES);
    let keys = |name: &str, n| -> Vec<String> { (0..n).map(|n| format!("{name}/{n}")).collect() };
    let (stay, go) = (keys("stay", KEYS), keys("go", 2 * KEYS));
    let (engine, kv) = bench.open();
    register(&bench, &engine, "slow", &stay[..KEYS / 2], b"1", true);
    register(&bench, &engine, "quick", &go, b"1", true);
    register(&bench, &engine, "slow", &stay[KEYS / 2..], b"1", true);
    drop((engine, kv));

    let (engine, kv) = bench.open();
    assert!(entries(&kv) > KEYS, "no runs were written");
    // Registers some keys again, from every run and from the memtable that opening restored.
    let again: Vec<String> = stay.iter().step_by(7).cloned().collect();
    register(&bench, &engine, "slow", &again, b"2", false);
    bench.clock.advance(Duration::from_secs(120));
    assert_eq!(engine.enforce(&*bench.store).unwrap().objects, 2 * KEYS as u64);
    let before = entries(&kv);
    engine.reclaim().unwrap();
    let after = entries(&kv);
    assert!(after <= before - KEYS * 3 / 2, "{before} entries, {after} without those of ended objects");
    drop((engine, kv));

    File::create(bench.folder.path().join("index/7.run")).unwrap().write_all(b"half a run").unwrap();
    let (engine, _kv) = bench.open();
    assert!(!bench.folder.path().join("index/7.run").exists(), "a run of a crashed flush stays");
    for key in &stay {
        assert!(engine.find(key.as_bytes()).unwrap().is_some(), "{key} is not found");
    }
    assert!(go.iter().all(|key| engine.find(key.as_bytes()).unwrap().is_none()));
    register(&bench, &engine, "slow", &stay, b"3", false);
    register(&bench, &engine, "slow", &go, b"3", true);
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}
