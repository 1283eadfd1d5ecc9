//! Tombstone file: its root beside plain BLAKE3 of the same bytes, and proofs of single records.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "criterion's macros; a benchmark that fails should stop"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sexton_bench::tombstone_file;
use sexton_proof::file::{ChunkTree, EvidenceFile, root};
use sexton_proof::record::FileKind;
use std::hint::black_box;
use std::time::Duration;

fn roots_and_proofs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tombstone_file");
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    for n in [100, 10_000, 100_000] {
        let file = tombstone_file(n);
        group.throughput(Throughput::Elements(n.into()));
        group.bench_function(format!("blake3/{n}"), |bench| bench.iter(|| blake3::hash(black_box(&file))));
        group.bench_function(format!("root/{n}"), |bench| bench.iter(|| root(black_box(&file))));
        group.bench_function(format!("tree/{n}"), |bench| bench.iter(|| ChunkTree::new(black_box(&file))));
        group.bench_function(format!("parse/{n}"), |bench| {
            bench.iter(|| EvidenceFile::parse(black_box(&file), FileKind::Tombstones).unwrap().header());
        });
        let tree = ChunkTree::new(&file).unwrap();
        let (record, expected) = (n / 2, tree.root());
        let proof = tree.prove(&file, record).unwrap();
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("prove/{n}"), |bench| {
            bench.iter(|| tree.prove(&file, black_box(record)));
        });
        group.bench_function(format!("verify/{n}"), |bench| {
            bench.iter(|| black_box(&proof).verify(n, &expected).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, roots_and_proofs);
criterion_main!(benches);
