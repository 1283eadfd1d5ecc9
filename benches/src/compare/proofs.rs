//! Cost of proof: hashing tombstones, verifying receipts, making a receipt.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::statistics::{Spread, Target};
use crate::workload::split_mix;
use crate::{CALL, CLASSES, Ours, Result, Workload, in_parallel, thread_cpu, timed, tombstone_file};
use rustix::fs::{Advice, fadvise};
use sexton::class::Find;
use sexton::{Durability, Opener, RegistrationId};
use sexton_proof::file::{ChunkTree, root_of_parts};
use sexton_proof::leaf::Openings;
use sexton_proof::merkle::{leaf_hash, node_hash};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Receipt, Verifier};
use sexton_proof::time::Timestamp;
use sexton_proof::tlog_proof::TlogProof;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const BYTES: &str = "bytes/s";
const RATE: &str = "rate";
const MS: &str = "ms";
/// Number of receipts that a round makes, of objects spread over all batches.
const MADE: usize = 40;
/// Bytes that a task of the engine hands on in one piece: 1,024 records.
const PIECE_BYTES: usize = 1_024 * 64;

/// Comparisons of hashing the records of a batch.
pub(super) const HASHING: Group = Group {
    comparisons: || {
        let pair = |name, ours, what| {
            Comparison::new(name, BYTES, FigureOf(ours, RATE), FigureOf("blake3", RATE), what)
        };
        vec![
            pair(
                "hash/tombstones",
                "root",
                "root of a file of 64-byte records, hashed in the engine's pieces, beside plain BLAKE3 of the whole file",
            )
            .with_target(Target::Ratio(0.8)),
            pair(
                "hash/tree",
                "tree",
                "all chunks and the nodes above them, as receipts need, beside plain BLAKE3 of the whole file",
            ),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let records = u32::try_from(setup.scaled(1_000_000, 5_000))?;
        let file = tombstone_file(records);
        let turns = (200 << 20) / file.len() * usize::from(setup.scale >= 0.1) + 1;
        let contestant = |name, hash: fn(&[u8]) -> Result<()>| {
            let file = &file;
            Contestant::new(name, move |_: &Path| {
                let took = timed(|| (0..turns).try_for_each(|_| hash(black_box(file))))?;
                Ok(Figures::from([(RATE, (file.len() * turns) as f64 / took.wall.as_secs_f64())]))
            })
        };
        let contestants = vec![
            contestant("root", |file| {
                black_box(root_of_parts(file.chunks(PIECE_BYTES)));
                Ok(())
            }),
            contestant("tree", |file| {
                black_box(ChunkTree::new(file)?);
                Ok(())
            }),
            contestant("blake3", |file| {
                black_box(blake3::hash(file));
                Ok(())
            }),
        ];
        Ok(run_contest(setup, contestants, comparisons))
    },
};

/// Comparisons of verifying receipts.
pub(super) const VERIFYING: Group = Group {
    comparisons: || {
        let pair = |name, ours, reference, what| {
            Comparison::new(
                name,
                "receipts/s per core",
                FigureOf(ours, RATE),
                FigureOf(reference, RATE),
                what,
            )
        };
        vec![
            pair(
                "receipt/known-checkpoint",
                "another batch each time",
                "its hashes alone",
                "everything except the signature, beside the hashes that it needs",
            )
            .with_target(Target::AtLeast(30_000.0)),
            pair(
                "receipt/known-leaf",
                "the same batch",
                "chunk and commitment alone",
                "chunk, record and opening, beside the hashes that they need",
            )
            .with_target(Target::AtLeast(200_000.0)),
        ]
    },
    run: verify,
};

/// Comparisons of making a receipt.
pub(super) const MAKING: Group = Group {
    comparisons: || {
        vec![
            Comparison::new(
                "receipt/make",
                "ms",
                FigureOf("ours", MS),
                FigureOf("reading and hashing", MS),
                "opened by key, among 10 M tombstones, beside reading a batch's two files and hashing its tombstones",
            )
            .with_target(Target::Below(20.0)),
            Comparison::alone("receipt/make-slowest", "ms", FigureOf("ours", "slowest"), "the slowest of 40"),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let work = Workload::new(setup.scaled(10_000_000, CALL * CLASSES), 100_000);
        let folder = tempfile::tempdir_in(&setup.dir)?;
        let (ours, kept) = ended(folder.path(), &work)?;
        let tombstones = files_below(&folder.path().join("tombstones"), "tomb")?;
        let openings = files_below(&folder.path().join("openings"), "open")?;
        let all: Vec<&PathBuf> = tombstones.iter().chain(&openings).collect();
        let mut turn = 0;
        let make = |_: &Path| {
            turn += 1;
            let mut took = Vec::new();
            for n in 0..MADE {
                let index = usize::try_from(split_mix((turn * MADE + n) as u64) % kept.len() as u64)?;
                let (id, key) = &kept[index];
                all.iter().try_for_each(|file| evict(file))?;
                let made = timed(|| {
                    ours.engine.receipt(*id, Opener::Key(key))?;
                    Ok(())
                })?;
                took.push(made.wall.as_secs_f64() * 1e3);
            }
            let spread = Spread::of(&took).ok_or("no receipt was made")?;
            Ok(Figures::from([(MS, spread.median), ("slowest", spread.most)]))
        };
        let mut next = 0;
        let read = |_: &Path| {
            let mut took = Vec::new();
            for _ in 0..MADE {
                next += 1;
                let batch = next * 7 % tombstones.len();
                all.iter().try_for_each(|file| evict(file))?;
                let read = timed(|| {
                    black_box(fs::read(&openings[batch])?);
                    black_box(blake3::hash(&fs::read(&tombstones[batch])?));
                    Ok(())
                })?;
                took.push(read.wall.as_secs_f64() * 1e3);
            }
            Ok(Figures::from([(MS, Spread::of(&took).ok_or("no file was read")?.median)]))
        };
        let contestants = vec![Contestant::new("ours", make), Contestant::new("reading and hashing", read)];
        Ok(run_contest(setup, contestants, comparisons))
    },
};

/// Registration and key of an object, as a host keeps them to ask for a receipt.
type Kept = (RegistrationId, Vec<u8>);

/// Registers and enforces the workload in a new engine. Returns the engine, and one object of each call.
fn ended(folder: &Path, work: &Workload) -> Result<(Ours, Vec<Kept>)> {
    let ours = Ours::open(folder, Find::None, Openings::Operator)?;
    let kept = Mutex::new(Vec::new());
    in_parallel(work.calls, |call| {
        let registrations = work.registrations(call);
        let registered = ours.engine.register(&registrations, Durability::Buffered)?;
        let index = call * 7 % registrations.len();
        if let Ok(mut kept) = kept.lock() {
            kept.push((registered[index].id, registrations[index].key.to_vec()));
        }
        Ok(())
    })?;
    ours.advance_until_due(work);
    ours.enforce(work)?;
    Ok((ours, kept.into_inner().map_err(|_| "a thread panicked")?))
}

/// All files below a folder with this extension, sorted by path.
fn files_below(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Evicts a file from the page cache, so that it is read from the disk.
fn evict(file: &Path) -> Result<()> {
    Ok(fadvise(File::open(file)?, 0, None, Advice::DontNeed)?)
}

/// Measures verification by one thread: of receipts of changing batches, and of receipts of one batch.
fn verify(setup: &Setup, comparisons: &[Comparison]) -> Result<Vec<ComparisonResult>> {
    let work = Workload::new(setup.scaled(4_000_000, 4 * CALL * CLASSES), 100_000);
    let folder = tempfile::tempdir_in(&setup.dir)?;
    let (ours, kept) = ended(folder.path(), &work)?;
    let policy = Policy::parse(ours.engine.policy())?;
    let mut receipts = Vec::new();
    for (id, key) in &kept {
        let text = ours.engine.receipt(*id, Opener::Key(key))?;
        let leaf = TlogProof::parse(text.as_bytes())?.index;
        receipts.push((leaf, text));
    }
    receipts.sort_unstable_by_key(|(leaf, _)| *leaf);
    let batches: Vec<&[(u64, String)]> = receipts.chunk_by(|a, b| a.0 == b.0).collect();
    let largest = batches.iter().max_by_key(|batch| batch.len()).ok_or("no batch")?;
    let deepest = batches.iter().map(|batch| batch.len()).max().unwrap_or(0);
    // The batches take turns, so that no receipt has the batch of the receipt before.
    let turns = (0..deepest).flat_map(|n| batches.iter().filter_map(move |batch| batch.get(n)));
    let one_of_each: Vec<&str> = turns.map(|(_, text)| text.as_str()).collect();
    let of_one: Vec<&str> = largest.iter().map(|(_, text)| text.as_str()).collect();
    let many = setup.scaled(200_000, 200);
    let contestants = vec![
        verifying("another batch each time", &policy, &one_of_each, many)?,
        verifying("the same batch", &policy, &of_one, many)?,
        hashing("its hashes alone", &one_of_each, many, Hashes::LeafAndChunk)?,
        hashing("chunk and commitment alone", &of_one, many, Hashes::Chunk)?,
    ];
    Ok(run_contest(setup, contestants, comparisons))
}

fn verifying<'a>(
    name: &'static str,
    policy: &'a Policy,
    receipts: &'a [&'a str],
    many: usize,
) -> Result<Contestant<'a>> {
    let mut verifier = Verifier::new(policy);
    verifier.verify(receipts.first().ok_or("no receipt")?.as_bytes(), Timestamp::MAX)?;
    Ok(Contestant::new(name, move |_: &Path| {
        let took = thread_cpu(|| {
            for receipt in receipts.iter().cycle().take(many) {
                black_box(verifier.verify(receipt.as_bytes(), Timestamp::MAX)?);
            }
            Ok(())
        })?;
        // CPU time, because the figure is per core.
        Ok(Figures::from([(RATE, many as f64 / took.as_secs_f64())]))
    }))
}

/// Hashes that verifying a receipt needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hashes {
    /// Chunk, nodes above it, commitment.
    Chunk,
    /// Leaf and path up the log, and those of the chunk.
    LeafAndChunk,
}

fn hashing<'a>(name: &'static str, receipts: &[&str], many: usize, wanted: Hashes) -> Result<Contestant<'a>> {
    let mut parsed = Vec::new();
    for receipt in receipts {
        let file = TlogProof::parse(receipt.as_bytes())?;
        let extra = Receipt::decode_extra(&file.extra.ok_or("a receipt without its extra data")?)?;
        parsed.push((file.hashes, extra));
    }
    Ok(Contestant::new(name, move |_: &Path| {
        let took = thread_cpu(|| {
            for (hashes, receipt) in parsed.iter().cycle().take(many) {
                if wanted == Hashes::LeafAndChunk {
                    let leaf = leaf_hash(black_box(&receipt.batch_leaf));
                    black_box(hashes.iter().fold(leaf, |below, sibling| node_hash(sibling, &below)));
                }
                let proof = &receipt.proof;
                black_box(blake3::hash(black_box(&proof.chunk)));
                for pair in &proof.siblings {
                    black_box(blake3::hash(black_box(&[*pair, *pair].concat())));
                }
                black_box(blake3::hash(black_box(&receipt.opening.encode())));
            }
            Ok(())
        })?;
        Ok(Figures::from([(RATE, many as f64 / took.as_secs_f64())]))
    }))
}
