//! Receipts: made by the engine, verified cold and verified warm.
//!
//! A warm verifier knows checkpoint and leaf from the receipt before, as it does within the receipts of one batch.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should stop"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sexton::testing::VirtualClock;
use sexton::{Durability, Engine, Opener, Options, Registration};
use sexton_bench::NullStore;
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{self, Verifier};
use sexton_proof::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

const REGISTERED: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const OBJECTS: usize = 1_000;

fn receipts(criterion: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clock = Arc::new(VirtualClock::new(REGISTERED));
    let options = Options::new("bench.example/log");
    let engine = Engine::open_with_clock(folder.path(), &options, clock.clone()).unwrap();
    let keys: Vec<String> = (0..OBJECTS).map(|n| format!("uploads/{n}.jpg")).collect();
    let registrations: Vec<_> =
        keys.iter().map(|key| Registration::new("data-30d", key.as_bytes())).collect();
    let registered = engine.register(&registrations, Durability::Synced).unwrap();
    clock.advance(Duration::from_hours(30 * 24));
    engine.enforce(&NullStore).unwrap();
    let make = |n: usize| engine.receipt(registered[n].id, Opener::Key(keys[n].as_bytes())).unwrap();
    let made: Vec<String> = (0..OBJECTS).map(make).collect();
    let policy = Policy::parse(engine.policy()).unwrap();

    let mut group = criterion.benchmark_group("receipt");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(1));
    let mut next = (0..OBJECTS).cycle();
    let mut next_index = || next.next().unwrap_or(0);
    group.bench_function("make", |bench| bench.iter(|| make(next_index())));
    group.bench_function("verify/cold", |bench| {
        bench.iter(|| receipt::verify(made[next_index()].as_bytes(), &policy, engine.now()).unwrap());
    });
    let mut verifier = Verifier::new(&policy);
    group.bench_function("verify/warm", |bench| {
        bench.iter(|| verifier.verify(made[next_index()].as_bytes(), engine.now()).unwrap());
    });
    group.finish();
}

criterion_group!(benches, receipts);
criterion_main!(benches);
