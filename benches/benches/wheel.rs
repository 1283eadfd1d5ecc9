//! Wheel alone: counting objects in slots, and removing the due slots.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sexton::testing::Wheel;
use std::hint::black_box;
use std::time::Duration;

const SLOT_MS: u64 = 60_000;
const OBJECTS: u64 = 10_000;

/// Slots of the objects, pseudo-random among the next `slots` slots.
fn instants(slots: u64) -> impl Iterator<Item = u64> {
    (0..OBJECTS).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % slots * SLOT_MS)
}

fn filled(slots: u64) -> Wheel<u64> {
    let mut wheel = Wheel::new(SLOT_MS, 0);
    instants(slots).for_each(|slot| *wheel.entry(slot, || 0) += 1);
    wheel
}

fn wheel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wheel");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(OBJECTS));
    for (name, slots) in [("ring", 1_000), ("overflow", 100_000)] {
        group.bench_function(format!("entry/{name}"), |bench| bench.iter(|| filled(black_box(slots))));
        group.bench_function(format!("due+remove/{name}"), |bench| {
            let drain = |mut wheel: Wheel<u64>| {
                let mut objects = 0;
                for now in (0..slots).map(|slot| slot * SLOT_MS) {
                    wheel.turn(now);
                    while let Some(slot) = { wheel.due(now).next().map(|(slot, _)| slot) } {
                        objects += wheel.remove(slot).unwrap_or(0);
                    }
                }
                assert_eq!(objects, OBJECTS);
            };
            bench.iter_batched(|| filled(slots), drain, BatchSize::LargeInput);
        });
    }
    group.finish();
}

criterion_group!(benches, wheel);
criterion_main!(benches);
