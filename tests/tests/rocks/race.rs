//! Reclaiming while others register and enforce: no live registration ever goes along.

use super::{Bench, long_key};
use sexton::{Durability, Engine, Registration};
use sexton_tests::host::Dice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn reclaiming_up_to_a_live_page_never_takes_its_first_row_along() {
    // Pages of a single row each: every file ends with the first row of a page, and once its turn has come, of the
    // first page that lives. Dropping files "from here to there" must not take "there" along.
    let mut bench = Bench::new("[class.quick]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\n");
    bench.options.shards = Some(1);
    bench.options.rocks.write_buffer_bytes = 64 << 10;
    bench.options.rocks.file_bytes = 16 << 10;
    let (engine, _) = bench.open();
    let start_ms = engine.now_ms();
    let keys: Vec<String> = (0..400).map(|n| long_key(&n.to_string(), 1_000)).collect();
    for (second, key) in (0_i64..).zip(&keys) {
        bench.store.put(key.as_bytes(), b"1");
        let start_ms = Some(start_ms + second * 1_000);
        let item = Registration { version: b"1", start_ms, ..Registration::new("quick", key.as_bytes()) };
        engine.register(&[item], Durability::Buffered).unwrap();
    }
    for (at, key) in keys.iter().enumerate() {
        bench.clock.set(engine.next_due_ms().unwrap());
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

/// Two classes, so that files of one are flushed by the writes of the other.
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

/// Registers in calls of a few, most of them overdue already, so that their slot is the second that runs.
fn register(bench: &Bench, engine: &Engine, round: u64, thread: usize, done: &AtomicUsize) {
    let mut dice = Dice::new(round * 100 + thread as u64);
    for call in 0..CALLS {
        let class = if dice.below(3) == 0 { "other" } else { "quick" };
        let keys: Vec<String> = (0..1 + dice.below(8))
            .map(|n| {
                long_key(
                    &format!("{round}-{thread}-{call}-{n}"),
                    300 + usize::try_from(dice.below(600)).unwrap(),
                )
            })
            .collect();
        let ages: Vec<i64> = keys.iter().map(|_| i64::try_from(dice.below(80_000)).unwrap()).collect();
        let overdue = dice.below(4) > 0;
        let item = |(key, age): (&'_ String, &i64)| {
            bench.store.put(key.as_bytes(), b"1");
            let start_ms = Some(engine.now_ms() - if overdue { 70_000 + age } else { age / 2 });
            (key.clone(), start_ms)
        };
        let items: Vec<(String, Option<i64>)> = keys.iter().zip(&ages).map(item).collect();
        let items: Vec<Registration<'_>> = items
            .iter()
            .map(|(key, start_ms)| Registration {
                version: b"1",
                start_ms: *start_ms,
                ..Registration::new(class, key.as_bytes())
            })
            .collect();
        let durability = if dice.below(4) == 0 { Durability::Synced } else { Durability::Buffered };
        engine.register(&items, durability).unwrap();
        done.fetch_add(items.len(), Ordering::SeqCst);
    }
}

/// One round: everybody at once. Gives how many were registered and how often was reclaimed.
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
                bench.clock.advance(500);
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

#[test]
fn whoever_reclaims_while_others_register_overdue_objects_and_enforce_takes_no_live_registration_along() {
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
        // Rows that reclaiming brought back lie in the files just now, with the ones that live between them.
        drop((engine, kv));
        (engine, kv) = bench.open();
        assert_eq!(count(&engine), registered as u64);
    }
    drop(kv);
    bench.clock.advance(120_000);
    engine.reclaim().unwrap();
    engine.enforce(&*bench.store).unwrap();
    assert!(bench.store.is_empty(), "{} objects live on and nobody knows of them", bench.store.len());
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
