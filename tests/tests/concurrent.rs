//! Many threads at once: registering, replacing, failing, enforcing, checking. What the order was nobody knows; what
//! must hold whatever it was, does.

use sexton::{ClassSet, Durability, Earlier, Opener, Registration, RegistrationId, Worker, WorkerOptions};
use sexton_proof::policy::Policy;
use sexton_proof::receipt;
use sexton_proof::record::Method;
use sexton_tests::{HOUR_MS, Machine, Mood};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const THREADS: u32 = 3;
const KEYS: u32 = 12;
const ROUNDS: u32 = 120;
const EVERY: u32 = 4;

/// A thread's own keys, each overwritten and registered again in every fourth round, so that some are deleted, some
/// fail and are carried, and some are replaced before, while or after that. Gives what each registration was of.
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
            // A store that fails now and then makes carries, so that replacements meet them in flight.
            machine.store.set_mood(key, (round % 3 == 1).then_some(Mood::Fails));
            machine.store.put(key, &version);
        }
        let item = |key| Registration { version: &version, ..Registration::new("quick", key) };
        let items: Vec<Registration<'_>> = keys.iter().map(|key| item(key)).collect();
        let answers = engine.register(&items, Durability::Synced).unwrap();
        for (answer, key) in answers.into_iter().zip(keys) {
            assert_ne!(answer.earlier, Earlier::Same);
            registered.push((answer.id, key, version.to_vec()));
        }
        machine.clock.advance(400);
        thread::sleep(Duration::from_millis(1));
    }
    registered
}

#[test]
fn replacing_failing_and_enforcing_at_once_ends_every_registration_exactly_once() {
    let mut machine = Machine::new();
    let quick = "[class.quick]\nwithin = \"4s\"\nslot = \"1s\"\nlead = \"1s\"\n";
    machine.options.classes = ClassSet::from_toml(quick).unwrap();
    machine.options.shards = Some(2);
    let engine = Arc::new(machine.open().unwrap());
    let store: Arc<dyn sexton::store::Store> = machine.store.clone();
    let options = WorkerOptions { threads: 2, idle: Duration::from_millis(1) };
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
    // What the store still refuses to delete is carried; then it comes to its senses.
    machine.clock.advance(HOUR_MS);
    engine.enforce(&*machine.store).unwrap();
    for (_, key, _) in &registered {
        machine.store.set_mood(key, None);
    }
    for _ in 0..3 {
        machine.clock.advance(2 * HOUR_MS);
        engine.enforce(&*machine.store).unwrap();
    }
    let report = engine.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    let status = engine.status().unwrap().classes["quick"];
    assert_eq!((status.live, status.ended.ended()), (0, u64::from(THREADS * KEYS * ROUNDS / EVERY)));
    assert!(status.ended.carried > 0, "nothing was ever carried");
    assert!(machine.store.is_empty(), "{} objects are left", machine.store.len());

    // Of each key, the last version was deleted; each id was given once, and of no key were two deleted as the same.
    let policy = Policy::parse(engine.policy()).unwrap();
    let mut verifier = receipt::Verifier::new(&policy);
    let mut ends: BTreeMap<RegistrationId, Method> = BTreeMap::new();
    let last: BTreeMap<_, _> = registered.iter().map(|(id, key, _)| (key, id)).collect();
    for (id, key, version) in &registered {
        let verdict = verifier.verify(engine.receipt(*id, Opener::Key(key)).unwrap().as_bytes()).unwrap();
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
fn workers_stop_at_once_and_say_what_failed() {
    let machine = Machine::new();
    let engine = Arc::new(machine.open().unwrap());
    let store: Arc<dyn sexton::store::Store> = machine.store.clone();
    let options = WorkerOptions { threads: 3, idle: Duration::from_secs(3_600) };
    let worker = Worker::start(&engine, &store, options).unwrap();
    worker.stop().unwrap();

    assert!(Worker::start(&engine, &store, WorkerOptions { threads: 0, ..options }).is_err());
    engine.register(&[Registration::new("log-73h", b"a")], Durability::Synced).unwrap();
    machine.clock.advance(80 * HOUR_MS);
    machine.faults.arm(0, sexton::fault::Outcome::Lost);
    let worker = Worker::start(&engine, &store, WorkerOptions { threads: 1, ..options }).unwrap();
    while !worker.has_failed() {
        thread::yield_now();
    }
    assert!(worker.stop().is_err());
    assert!(matches!(engine.status().unwrap().state, sexton::State::Poisoned(_)));
    assert_eq!(engine.next_batch().err().unwrap().kind(), sexton::ErrorKind::Poisoned);
}
