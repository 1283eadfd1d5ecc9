//! Worker threads that start and stop at any moment, and stores that misbehave.

use super::Bench;
use sexton::store::{Answer, Store, SubBatch};
use sexton::{ErrorKind, Worker, WorkerOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const QUICK: &str = "[class.quick]\nwithin = \"60s\"\nslot = \"1s\"\nlead = \"1s\"\n";

fn options(threads: usize) -> WorkerOptions {
    WorkerOptions::default().threads(threads).idle(Duration::from_millis(1))
}

#[test]
fn workers_stopped_at_any_moment_leave_no_batch_behind() {
    let bench = Bench::new(QUICK);
    let engine = Arc::new(bench.open().0);
    let store = Arc::clone(&bench.store) as Arc<dyn Store>;
    assert_eq!(Worker::start(&engine, &store, options(0)).err().map(|e| e.kind()), Some(ErrorKind::Invalid));
    let stop = AtomicBool::new(false);
    let calls = thread::scope(|scope| {
        let registering = scope.spawn(|| {
            let mut calls = 0;
            while !stop.load(Ordering::SeqCst) {
                bench.register(&engine, &[0, 1, 2, 3, 4].map(|n| format!("{calls}/{n}")));
                bench.clock.advance(Duration::from_millis(700));
                calls += 1;
            }
            calls
        });
        for turn in 0..20_u64 {
            let worker =
                Worker::start(&engine, &store, options(1 + usize::try_from(turn % 3).unwrap())).unwrap();
            thread::sleep(Duration::from_millis(turn * 5));
            assert!(!worker.has_failed());
            if turn % 4 == 3 {
                drop(worker);
            } else {
                worker.stop().unwrap();
            }
            assert_eq!(engine.status().unwrap().batches_in_flight, 0);
        }
        stop.store(true, Ordering::SeqCst);
        registering.join().unwrap()
    });
    bench.clock.advance(Duration::from_secs(60));
    let worker = Worker::start(&engine, &store, options(2)).unwrap();
    while engine.next_due().is_some() {
        assert!(!worker.has_failed());
        thread::sleep(Duration::from_millis(1));
    }
    worker.stop().unwrap();
    assert!(bench.store.is_empty());
    assert_eq!(engine.status().unwrap().classes["quick"].ended.deleted, calls * 5);
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    println!("{} registrations, 20 stops", calls * 5);
}

/// Store that deletes half of a sub-batch and then panics or returns too few answers.
struct Broken {
    inner: Arc<dyn Store>,
    panics: bool,
}

impl Store for Broken {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        let half = SubBatch { objects: &part.objects[..part.objects.len() / 2], ..*part };
        let answers = self.inner.delete(&half);
        assert!(!self.panics, "played");
        answers
    }
}

/// The reopened engine asks for the same objects.
#[test]
fn panicking_store_fails_its_worker_and_is_asked_again() {
    let bench = Bench::new(QUICK);
    let store = Arc::clone(&bench.store) as Arc<dyn Store>;
    let keys: Vec<String> = (0..100).map(|n| format!("object-{n}")).collect();
    let engine = Arc::new(bench.open().0);
    bench.register(&engine, &keys);
    bench.clock.advance(Duration::from_secs(60));
    let broken: Arc<dyn Store> = Arc::new(Broken { inner: Arc::clone(&store), panics: true });
    let worker = Worker::start(&engine, &broken, options(1)).unwrap();
    while !worker.has_failed() {
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(worker.stop().unwrap_err().kind(), ErrorKind::Internal);
    assert_eq!(bench.store.len(), 50);
    drop(engine);
    let (engine, _) = bench.open();
    engine.enforce(&*bench.store).unwrap();
    let ended = engine.status().unwrap().classes["quick"].ended;
    assert_eq!((ended.deleted, ended.absent_after_intent, ended.absent), (50, 50, 0));
    assert!(engine.check().unwrap().is_sound());
}

/// Every object is tried again.
#[test]
fn store_with_too_few_answers_ends_nothing() {
    let bench = Bench::new(QUICK);
    let (engine, _) = bench.open();
    let keys: Vec<String> = (0..100).map(|n| format!("object-{n}")).collect();
    bench.register(&engine, &keys);
    bench.clock.advance(Duration::from_secs(60));
    let store = Arc::clone(&bench.store) as Arc<dyn Store>;
    engine.enforce(&Broken { inner: store, panics: false }).unwrap();
    let quick = engine.status().unwrap().classes["quick"];
    assert_eq!((quick.live, quick.ended.ended(), quick.ended.carried), (100, 0, 100));
    bench.clock.advance(Duration::from_secs(2));
    engine.enforce(&*bench.store).unwrap();
    let ended = engine.status().unwrap().classes["quick"].ended;
    assert_eq!((ended.deleted, ended.absent_after_intent, ended.absent), (50, 50, 0));
    assert!(engine.check().unwrap().is_sound());
}
