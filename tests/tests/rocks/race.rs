//! Reclaiming while other threads register and enforce. It never removes a live registration.

use super::{Bench, long_key};
use sexton::{Durability, Engine, Registration};
use sexton_proof::time::Timestamp;
use sexton_tests::host::Rng;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn reclaim_up_to_a_live_page_keeps_its_first_row() {
    // Each page has a single row, so every file ends with the first row of a page, and one of them with that of the
    // first live page. Dropping the files of a range must keep the end of the range.
    let mut bench = Bench::new("[class.quick]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\n");
    bench.options.shards = Some(1);
    bench.options.rocks.write_buffer_bytes = 64 << 10;
    bench.options.rocks.file_bytes = 16 << 10;
    let (engine, _) = bench.open();
    let start = engine.now();
    let keys: Vec<String> = (0..400).map(|n| long_key(&n.to_string(), 1_000)).collect();
    for (second, key) in (0..).zip(&keys) {
        bench.store.put(key.as_bytes(), b"1");
        let start = start.saturating_add(Duration::from_secs(second));
        let registration = Registration::new("quick", key.as_bytes()).version(b"1").start(start);
        engine.register(&[registration], Durability::Buffered).unwrap();
    }
    for (at, key) in keys.iter().enumerate() {
        bench.clock.set(engine.next_due().unwrap());
        engine.reclaim().unwrap();
        assert!(
            engine.find(key.as_bytes()).unwrap().is_some(),
            "{at} slots ended, and the next lost its first row"
        );
        engine.enforce(&*bench.store).unwrap();
        assert!(!bench.store.has(key.as_bytes()));
    }
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
}

/// Two classes, so that the writes of one flush the files of the other.
const CLASSES: &str = "
[class.quick]
within = \"60s\"
slot = \"1s\"
lead = \"1s\"

[class.other]
within = \"30s\"
slot = \"2s\"
lead = \"1s\"
find = \"none\"
";
const REGISTERING_THREADS: usize = 2;
const CALLS: u64 = 400;

/// Registers a few objects per call. Most of them are overdue, so their slot is the current second.
fn register(bench: &Bench, engine: &Engine, round: u64, thread: usize, done: &AtomicUsize) {
    let mut rng = Rng::new(round * 100 + thread as u64);
    for call in 0..CALLS {
        let class = if rng.below(3) == 0 { "other" } else { "quick" };
        let keys: Vec<String> = (0..1 + rng.below(8))
            .map(|n| {
                long_key(
                    &format!("{round}-{thread}-{call}-{n}"),
                    300 + usize::try_from(rng.below(600)).unwrap(),
                )
            })
            .collect();
        let ages: Vec<Duration> = keys.iter().map(|_| Duration::from_millis(rng.below(80_000))).collect();
        let overdue = rng.below(4) > 0;
        let start = |(key, age): (&'_ String, &Duration)| {
            bench.store.put(key.as_bytes(), b"1");
            let age = if overdue { Duration::from_secs(70) + *age } else { *age / 2 };
            (key.clone(), engine.now().saturating_sub(age))
        };
        let registrations: Vec<(String, Timestamp)> = keys.iter().zip(&ages).map(start).collect();
        let registrations: Vec<Registration<'_>> = registrations
            .iter()
            .map(|(key, start)| Registration::new(class, key.as_bytes()).version(b"1").start(*start))
            .collect();
        let durability = if rng.below(4) == 0 { Durability::Synced } else { Durability::Buffered };
        engine.register(&registrations, durability).unwrap();
        done.fetch_add(registrations.len(), Ordering::SeqCst);
    }
}

/// Runs all threads for one round. Returns the number of registrations and of reclaims.
fn round(bench: &Bench, engine: &Engine, number: u64) -> (usize, usize) {
    let (stop, registered, reclaimed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let running = || !stop.load(Ordering::SeqCst);
    thread::scope(|scope| {
        scope.spawn(|| {
            while running() {
                engine.reclaim().unwrap();
                reclaimed.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_micros(100));
            }
        });
        scope.spawn(|| {
            while running() {
                engine.enforce(&*bench.store).unwrap();
            }
        });
        scope.spawn(|| {
            while running() {
                bench.clock.advance(Duration::from_millis(500));
                thread::sleep(Duration::from_millis(3));
            }
        });
        let registered = &registered;
        let register = |thread| scope.spawn(move || register(bench, engine, number, thread, registered));
        let threads: Vec<_> = (0..REGISTERING_THREADS).map(register).collect();
        let ends: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        stop.store(true, Ordering::SeqCst);
        assert!(ends.into_iter().all(|end| end.is_ok()));
    });
    (registered.into_inner(), reclaimed.into_inner())
}

/// Other threads register overdue objects and enforce at the same time.
#[test]
fn concurrent_reclaim_keeps_every_live_registration() {
    let mut bench = Bench::new(CLASSES);
    bench.options.rocks.write_buffer_bytes = 64 << 10;
    bench.options.rocks.file_bytes = 16 << 10;
    bench.options.rocks.wal_bytes = 512 << 10;
    let (mut engine, mut kv) = bench.open();
    let (mut registered, mut reclaimed) = (0, 0);
    for number in 0..5 {
        let (more, times) = round(&bench, &engine, number);
        registered += more;
        reclaimed += times;
        let count = |engine: &Engine| {
            let classes = engine.status().unwrap().classes;
            classes.values().map(|class| class.registered).sum::<u64>()
        };
        assert_eq!(count(&engine), registered as u64);
        let report = engine.check().unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        // The files now have rows that reclaiming brought back, and live rows between them.
        drop((engine, kv));
        (engine, kv) = bench.open();
        assert_eq!(count(&engine), registered as u64);
    }
    drop(kv);
    bench.clock.advance(Duration::from_secs(120));
    engine.reclaim().unwrap();
    engine.enforce(&*bench.store).unwrap();
    assert!(bench.store.is_empty(), "{} objects were left without a registration", bench.store.len());
    let status = engine.status().unwrap();
    let deleted: u64 = status.classes.values().map(|class| class.ended.deleted).sum();
    assert_eq!(deleted, registered as u64);
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    println!(
        "{registered} registrations lived through {reclaimed} reclaimings, in {} batches",
        report.batches
    );
}
