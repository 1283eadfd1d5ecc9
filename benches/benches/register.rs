//! Durable registration: calls of 1,000 objects from two threads, each call with its own fsync.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should stop"
)]

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use sexton::class::Find;
use sexton_bench::{Ours, Workload};
use sexton_proof::leaf::Openings;
use std::time::Duration;

fn register(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("register");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (per_slot, objects) in [(10, 8_000), (1_000, 40_000), (100_000, 200_000)] {
        let work = Workload::new(objects, per_slot);
        group.throughput(Throughput::Elements(work.len() as u64));
        for find in [Find::None, Find::Key] {
            group.bench_function(format!("find-{}/{per_slot}-per-slot", find.name()), |bench| {
                let open = || {
                    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
                    (Ours::open(folder.path(), find, Openings::Operator).unwrap(), folder)
                };
                let register = |(ours, folder): (Ours, _)| {
                    ours.register(&work).unwrap();
                    (ours, folder)
                };
                bench.iter_batched(open, register, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, register);
criterion_main!(benches);
