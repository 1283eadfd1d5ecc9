//! Threads that register, replace, enforce and check at the same time, with deletions that fail. The assertions hold
//! for every order of their steps.

use sexton::{ClassSet, Durability, Opener, Previous, Registration, RegistrationId, Worker, WorkerOptions};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::Method;
use sexton_tests::{FailureMode, HOUR, Machine};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const THREADS: u32 = 3;
const KEYS: u32 = 12;
const ROUNDS: u32 = 120;
const EVERY: u32 = 4;

/// Registers the keys of one thread and overwrites each of them in every fourth round. So some objects are deleted,
/// some fail and are carried, and some are replaced before, during or after that. Returns key and version of each
/// registration.
fn overwrite(
    machine: &Machine,
    engine: &sexton::Engine,
    thread: u32,
) -> Vec<(RegistrationId, Vec<u8>, Vec<u8>)> {
    let mut registered = Vec::new();
    for round in 0..ROUNDS {
        let keys: Vec<Vec<u8>> = (0..KEYS)
            .filter(|n| n % EVERY == round % EVERY)
            .map(|n| format!("{thread}/{n}").into_bytes())
            .collect();
        let version = round.to_be_bytes();
        for key in &keys {
            // A store that fails now and then causes carries, so that replacements meet carries in flight.
            machine.store.set_failure_mode(key, (round % 3 == 1).then_some(FailureMode::Fails));
            machine.store.put(key, &version);
        }
        let registration = |key| Registration::new("quick", key).version(&version);
        let registrations: Vec<Registration<'_>> = keys.iter().map(|key| registration(key)).collect();
        let answers = engine.register(&registrations, Durability::Synced).unwrap();
        for (answer, key) in answers.into_iter().zip(keys) {
            assert_ne!(answer.previous, Previous::Identical);
            registered.push((answer.id, key, version.to_vec()));
        }
        machine.clock.advance(Duration::from_millis(400));
        thread::sleep(Duration::from_millis(1));
    }
    registered
}

/// Some deletions fail meanwhile.
#[test]
fn concurrent_replacing_and_enforcing_ends_each_object_once() {
    let mut machine = Machine::new();
    let quick = "[class.quick]\nwithin = \"4s\"\nslot = \"1s\"\nlead = \"1s\"\n";
    machine.options.classes = ClassSet::from_toml(quick).unwrap();
    machine.options.shards = Some(2);
    let engine = Arc::new(machine.open().unwrap());
    let store: Arc<dyn sexton::store::Store> = machine.store.clone();
    let options = WorkerOptions::default().threads(2).idle(Duration::from_millis(1));
    let worker = Worker::start(&engine, &store, options).unwrap();
    let done = AtomicBool::new(false);
    let registered: Vec<_> = thread::scope(|scope| {
        let (machine, engine, done) = (&machine, &engine, &done);
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let report = engine.check().unwrap();
                assert!(report.is_sound(), "{:#?}", report.problems);
                engine.status().unwrap();
                engine.reclaim().unwrap();
            }
        });
        let threads: Vec<_> =
            (0..THREADS).map(|n| scope.spawn(move || overwrite(machine, engine, n))).collect();
        let all = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        done.store(true, Ordering::SeqCst);
        all
    });
    worker.stop().unwrap();
    // The store still refuses some objects, which are carried, and then deletes them.
    machine.clock.advance(HOUR);
    engine.enforce(&*machine.store).unwrap();
    for (_, key, _) in &registered {
        machine.store.set_failure_mode(key, None);
    }
    for _ in 0..3 {
        machine.clock.advance(2 * HOUR);
        engine.enforce(&*machine.store).unwrap();
    }
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    let status = engine.status().unwrap().classes["quick"];
    assert_eq!((status.live, status.ended.ended()), (0, u64::from(THREADS * KEYS * ROUNDS / EVERY)));
    assert!(status.ended.carried > 0, "nothing was ever carried");
    assert!(machine.store.is_empty(), "{} objects are left", machine.store.len());

    // The last version of each key was deleted, and no registration id was given twice.
    let policy = Policy::parse(engine.policy()).unwrap();
    let mut verifier = receipt::Verifier::new(&policy);
    let mut ends: BTreeMap<RegistrationId, Method> = BTreeMap::new();
    let last: BTreeMap<_, _> = registered.iter().map(|(id, key, _)| (key, id)).collect();
    for (id, key, version) in &registered {
        let text = engine.receipt(*id, Opener::Key(key)).unwrap();
        let verdict = verifier.verify(text.as_bytes(), engine.now()).unwrap();
        assert_eq!((&verdict.key, &verdict.version), (key, version));
        assert_eq!(ends.insert(*id, verdict.method), None, "{id} was given twice");
        if last[key] == id {
            assert_eq!(verdict.method, Method::Deleted);
        }
    }
    let replaced = ends.values().filter(|method| **method == Method::Replaced).count();
    assert!(replaced > 0, "nothing was ever replaced");
}

#[test]
fn failed_workers_stop_at_once_and_report_the_error() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let store: Arc<dyn sexton::store::Store> = machine.store.clone();
    let options = WorkerOptions::default().threads(3).idle(HOUR);
    let worker = Worker::start(&engine, &store, options).unwrap();
    worker.stop().unwrap();

    assert!(Worker::start(&engine, &store, options.threads(0)).is_err());
    engine.register(&[Registration::new("log-73h", b"a")], Durability::Synced).unwrap();
    machine.clock.advance(80 * HOUR);
    machine.faults.arm(0, sexton::testing::fault::InjectedOutcome::Lost);
    let worker = Worker::start(&engine, &store, options.threads(1)).unwrap();
    while !worker.has_failed() {
        thread::yield_now();
    }
    assert!(worker.stop().is_err());
    assert!(matches!(engine.status().unwrap().state, sexton::report::EngineState::Poisoned(_)));
    assert_eq!(engine.next_batch().err().unwrap().kind(), sexton::ErrorKind::Poisoned);
}
