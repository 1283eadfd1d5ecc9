//! What proof costs: hashing tombstones, verifying receipts, making one.

use super::Group;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::{Spread, Target};
use crate::workload::scattered;
use crate::{CALL, CLASSES, Ours, Result, Workload, share, thread_time, timed};
use rustix::fs::{Advice, fadvise};
use sexton::{Durability, Find, Opener, RegistrationId};
use sexton_proof::file::{ChunkTree, root_of_parts};
use sexton_proof::leaf::Openings;
use sexton_proof::merkle::{leaf_hash, node_hash};
use sexton_proof::policy::Policy;
use sexton_proof::receipt::{Receipt, Verifier};
use sexton_proof::record::{FileKind, Header, Method, Reason, Tombstone};
use sexton_proof::tlog_proof::TlogProof;
use std::fs::{self, File};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

const BYTES: &str = "bytes/s";
const RATE: &str = "rate";
const MS: &str = "ms";
/// Receipts that are made one after the other, objects spread over everything that has ended.
const MADE: usize = 40;
/// The 1,024 records that a task of the engine hands on in one piece.
const PART_BYTES: usize = 1_024 * 64;

/// Hashing the records of a batch.
pub(super) const HASHING: Group = Group {
    pairings: || {
        let pair = |name, ours, what| Pairing::new(name, BYTES, Of(ours, RATE), Of("blake3", RATE), what);
        vec![
            pair(
                "hash/tombstones",
                "root",
                "the root of a file of 64-byte records, in the pieces it is made in, beside plain BLAKE3 of the whole",
            )
            .to_reach(Target::Ratio(0.8)),
            pair(
                "hash/tree",
                "tree",
                "all chunks and the nodes above them, as receipts need, beside the same",
            ),
        ]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let records = u32::try_from(setup.scaled(1_000_000, 5_000))?;
        let file = tombstones(records);
        let turns = (200 << 20) / file.len() * usize::from(setup.scale >= 0.1) + 1;
        let one = |name, hash: fn(&[u8]) -> Result<()>| {
            let file = &file;
            Contestant::new(name, move |_: &Path| {
                let took = timed(|| (0..turns).try_for_each(|_| hash(black_box(file))))?;
                Ok(Figures::from([(RATE, (file.len() * turns) as f64 / took.wall.as_secs_f64())]))
            })
        };
        let contestants = vec![
            one("root", |file| {
                black_box(root_of_parts(file.chunks(PART_BYTES)));
                Ok(())
            }),
            one("tree", |file| {
                black_box(ChunkTree::new(file)?);
                Ok(())
            }),
            one("blake3", |file| {
                black_box(blake3::hash(file));
                Ok(())
            }),
        ];
        Ok(play(setup, contestants, pairings))
    },
};

/// Verifying receipts.
pub(super) const VERIFYING: Group = Group {
    pairings: || {
        let pair = |name, ours, reference, what| {
            Pairing::new(name, "receipts/s per core", Of(ours, RATE), Of(reference, RATE), what)
        };
        vec![
            pair(
                "receipt/known-checkpoint",
                "another batch each time",
                "its hashes alone",
                "everything but the signature, beside the hashes that it takes",
            )
            .to_reach(Target::AtLeast(30_000.0)),
            pair(
                "receipt/known-leaf",
                "the same batch",
                "chunk and commitment alone",
                "chunk, record and opening, beside the hashes that they take",
            )
            .to_reach(Target::AtLeast(200_000.0)),
        ]
    },
    play: verify,
};

/// Making a receipt.
pub(super) const MAKING: Group = Group {
    pairings: || {
        vec![
            Pairing::new(
                "receipt/make",
                "ms",
                Of("ours", MS),
                Of("reading and hashing", MS),
                "opened by the key, among 10 M tombstones; beside reading a batch's files and hashing the one",
            )
            .to_reach(Target::Below(20.0)),
            Pairing::alone("receipt/make-slowest", "ms", Of("ours", "slowest"), "the slowest of 40"),
        ]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
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
                let at = usize::try_from(scattered((turn * MADE + n) as u64) % kept.len() as u64)?;
                let (id, key) = &kept[at];
                all.iter().try_for_each(|file| let_go(file))?;
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
                all.iter().try_for_each(|file| let_go(file))?;
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
        Ok(play(setup, contestants, pairings))
    },
};

/// A file of tombstones as a batch writes it.
fn tombstones(n: u32) -> Vec<u8> {
    let mut file = Header { kind: FileKind::Tombstones, batch: 1, n }.to_bytes().to_vec();
    for seq in 0..n {
        let commitment = *blake3::hash(&seq.to_be_bytes()).as_bytes();
        let time_ms = 1_767_225_600_000 + i64::from(seq);
        let (reason, method) = (Reason::Due, Method::Deleted);
        file.extend_from_slice(&Tombstone { page: 0, seq, commitment, time_ms, reason, method }.to_bytes());
    }
    file
}

/// What a host keeps: a registration, and its object's key.
type Kept = (RegistrationId, Vec<u8>);

/// An engine in which everything has ended, and of each call one registration with its key.
fn ended(folder: &Path, work: &Workload) -> Result<(Ours, Vec<Kept>)> {
    let ours = Ours::open(folder, Find::None, Openings::Operator)?;
    let kept = Mutex::new(Vec::new());
    share(work.calls, |call| {
        let items = work.registrations(call);
        let registered = ours.engine.register(&items, Durability::Buffered)?;
        let one = call * 7 % items.len();
        if let Ok(mut kept) = kept.lock() {
            kept.push((registered[one].id, items[one].key.to_vec()));
        }
        Ok(())
    })?;
    ours.wait_until_due(work);
    ours.enforce(work)?;
    Ok((ours, kept.into_inner().map_err(|_| "a thread panicked")?))
}

/// All files with an ending below a folder, in the order of their paths.
fn files_below(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path, ending)?);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Has the kernel forget what it keeps of a file in memory, so that it is read from the disk.
fn let_go(file: &Path) -> Result<()> {
    Ok(fadvise(File::open(file)?, 0, None, Advice::DontNeed)?)
}

/// Receipts of many batches, first one of each after the other, then those of one batch, by one thread.
fn verify(setup: &Setup, pairings: &[Pairing]) -> Result<Vec<Comparison>> {
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
    // In turn, so that no receipt is of the batch of the one before.
    let turns = (0..deepest).flat_map(|n| batches.iter().filter_map(move |batch| batch.get(n)));
    let one_of_each: Vec<&str> = turns.map(|(_, text)| text.as_str()).collect();
    let of_one: Vec<&str> = largest.iter().map(|(_, text)| text.as_str()).collect();
    let many = setup.scaled(200_000, 200);
    let contestants = vec![
        verifying("another batch each time", &policy, &one_of_each, many)?,
        verifying("the same batch", &policy, &of_one, many)?,
        hashing("its hashes alone", &one_of_each, many, true)?,
        hashing("chunk and commitment alone", &of_one, many, false)?,
    ];
    Ok(play(setup, contestants, pairings))
}

fn verifying<'a>(
    name: &'static str,
    policy: &'a Policy,
    receipts: &'a [&'a str],
    many: usize,
) -> Result<Contestant<'a>> {
    let mut verifier = Verifier::new(policy);
    verifier.verify(receipts.first().ok_or("no receipt")?.as_bytes())?;
    Ok(Contestant::new(name, move |_: &Path| {
        let took = thread_time(|| {
            for receipt in receipts.iter().cycle().take(many) {
                black_box(verifier.verify(receipt.as_bytes())?);
            }
            Ok(())
        })?;
        // Of a processor, not of the clock: the figure is per core.
        Ok(Figures::from([(RATE, many as f64 / took.as_secs_f64())]))
    }))
}

/// The hashes that verifying takes: of the leaf and the way up the log where the leaf is not known, and of the chunk, the
/// nodes above it and the commitment.
fn hashing<'a>(name: &'static str, receipts: &[&str], many: usize, leaf_too: bool) -> Result<Contestant<'a>> {
    let mut parts = Vec::new();
    for receipt in receipts {
        let file = TlogProof::parse(receipt.as_bytes())?;
        let extra = Receipt::decode_extra(&file.extra.ok_or("a receipt without its extra data")?)?;
        parts.push((file.hashes, extra));
    }
    Ok(Contestant::new(name, move |_: &Path| {
        let took = thread_time(|| {
            for (hashes, receipt) in parts.iter().cycle().take(many) {
                if leaf_too {
                    let leaf = leaf_hash(black_box(&receipt.batch_leaf));
                    black_box(hashes.iter().fold(leaf, |below, beside| node_hash(beside, &below)));
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
