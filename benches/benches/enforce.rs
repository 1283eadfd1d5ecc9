//! Enforcing over a store that answers at once, with two threads. Every object is due and ends with a tombstone in the
//! published log.

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

fn enforce(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("enforce");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for (per_slot, objects) in [(10, 8_000), (1_000, 40_000), (100_000, 200_000)] {
        let work = Workload::new(objects, per_slot);
        group.throughput(Throughput::Elements(work.len() as u64));
        for (name, openings) in [("operator", Openings::Operator), ("ticket", Openings::Ticket)] {
            group.bench_function(format!("{name}/{per_slot}-per-slot"), |bench| {
                let register = || {
                    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
                    let ours = Ours::open(folder.path(), Find::None, openings).unwrap();
                    ours.register(&work).unwrap();
                    ours.advance_until_due(&work);
                    (ours, folder)
                };
                let enforce = |(ours, folder): (Ours, _)| {
                    ours.enforce(&work).unwrap();
                    (ours, folder)
                };
                bench.iter_batched(register, enforce, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, enforce);
criterion_main!(benches);
