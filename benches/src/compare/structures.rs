//! Data structures of the engine alone, beside crates that do the same: the wheel, the log.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::workload::split_mix;
use crate::{Result, timed};
use sexton::testing::Wheel;
use sexton_proof::merkle::{Frontier, leaf_hash};
use std::hint::black_box;
use std::path::Path;

const INSERT: &str = "insert";
const EXPIRE: &str = "expire";
const APPEND: &str = "append";
const SLOT_MS: u64 = 60_000;
/// Number of slots that objects fall due in. All of them lie in the wheel's ring.
const SLOTS: u64 = 1_000;
/// Bytes of a leaf: about those of a batch of four pages.
const LEAF_BYTES: usize = 900;
/// Number of leaves between two roots.
const ROOT_EVERY: usize = 4;
#[cfg(not(feature = "peers"))]
const NOT_BUILT: &str = "built without the feature peers, which make bench-peers enables";

/// Comparisons of the wheel with other timers.
pub(super) const WHEEL: Group = Group {
    comparisons: || {
        let pair = |name, figure, reference, what| {
            Comparison::new(name, "objects/s", FigureOf("ours", figure), FigureOf(reference, figure), what)
        };
        let slots = "finding a slot and adding an object to its list, 1,000 slots in random order";
        let drain = "advancing slot by slot and removing all objects";
        vec![
            pair("wheel/insert/hashed-wheel", INSERT, "hierarchical_hash_wheel_timer", slots),
            pair("wheel/expire/hashed-wheel", EXPIRE, "hierarchical_hash_wheel_timer", drain),
            pair("wheel/insert/delay-queue", INSERT, "tokio DelayQueue", slots),
            pair("wheel/expire/delay-queue", EXPIRE, "tokio DelayQueue", drain),
            pair("wheel/insert/heap", INSERT, "BinaryHeap", slots),
            pair("wheel/expire/heap", EXPIRE, "BinaryHeap", drain),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let objects = setup.scaled(5_000_000, 10_000);
        let slots: Vec<u64> = (0..objects as u64).map(|n| split_mix(n) % SLOTS + 1).collect();
        let ours = Contestant::new("ours", |_: &Path| our_wheel(&slots));
        let mut contestants = vec![ours];
        contestants.extend(timers(&slots));
        Ok(run_contest(setup, contestants, comparisons))
    },
};

/// Comparison of the log with another one.
pub(super) const LOG: Group = Group {
    comparisons: || {
        let what = "appending leaves of 900 bytes to an RFC 6962 log, a root after every fourth";
        vec![Comparison::new(
            "log/append",
            "leaves/s",
            FigureOf("ours", APPEND),
            FigureOf("ct-merkle", APPEND),
            what,
        )]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let count = setup.scaled(200_000, 2_000);
        let leaf = |n: usize| vec![u8::try_from(n % 251).unwrap_or(0); LEAF_BYTES];
        let leaves: Vec<Vec<u8>> = (0..count).map(leaf).collect();
        let ours = |_: &Path| appended(&leaves, our_log);
        Ok(run_contest(setup, vec![Contestant::new("ours", ours), ct_merkle(&leaves)], comparisons))
    },
};

/// Measures the wheel with a list of objects in each slot. The engine has a count in each, which is less work.
fn our_wheel(slots: &[u64]) -> Result<Figures> {
    let mut wheel: Wheel<Vec<usize>> = Wheel::new(SLOT_MS, 0);
    let insert = timed(|| {
        for (object, slot) in slots.iter().enumerate() {
            wheel.entry(slot * SLOT_MS, Vec::new).push(object);
        }
        Ok(())
    })?;
    let mut out = 0;
    let expire = timed(|| {
        for now in (0..=SLOTS).map(|slot| slot * SLOT_MS) {
            wheel.turn(now);
            while let Some(slot) = { wheel.due(now).next().map(|(slot, _)| slot) } {
                for object in wheel.remove(slot).unwrap_or_default() {
                    black_box(object);
                    out += 1;
                }
            }
        }
        Ok(())
    })?;
    if out != slots.len() {
        return Err(format!("{out} objects expired, {} expected", slots.len()).into());
    }
    Ok(per_second(slots.len(), insert.wall.as_secs_f64(), expire.wall.as_secs_f64()))
}

fn per_second(objects: usize, insert: f64, expire: f64) -> Figures {
    Figures::from([(INSERT, objects as f64 / insert), (EXPIRE, objects as f64 / expire)])
}

/// Appends to our log, which hands out complete subtrees, here into a list. Returns the last root.
fn our_log(leaves: &[Vec<u8>], every: usize) -> Result<[u8; 32]> {
    let (mut log, mut kept) = (Frontier::new(), Vec::new());
    let mut root = [0; 32];
    for (leaf, number) in leaves.iter().zip(1..) {
        log.push(leaf_hash(leaf), &mut |level, index, hash| kept.push((level, index, hash)));
        if number % every == 0 || number == leaves.len() {
            root = log.root();
        }
    }
    black_box(kept);
    Ok(root)
}

/// Function that appends leaves and computes a root after every so many of them.
type Append = fn(&[Vec<u8>], usize) -> Result<[u8; 32]>;

fn appended(leaves: &[Vec<u8>], append: Append) -> Result<Figures> {
    let took = timed(|| {
        black_box(append(leaves, ROOT_EVERY)?);
        Ok(())
    })?;
    Ok(Figures::from([(APPEND, leaves.len() as f64 / took.wall.as_secs_f64())]))
}

#[cfg(feature = "peers")]
fn timers(slots: &[u64]) -> Vec<Contestant<'_>> {
    use crate::reference::timers::{Took, binary_heap, delay_queue, hashed_wheel};
    let contestant = |name, timer: fn(&[u64]) -> Result<Took>| {
        Contestant::new(name, move |_: &Path| {
            let took = timer(slots)?;
            Ok(per_second(slots.len(), took.insert.as_secs_f64(), took.expire.as_secs_f64()))
        })
    };
    vec![
        contestant("hierarchical_hash_wheel_timer", hashed_wheel),
        contestant("tokio DelayQueue", delay_queue),
        contestant("BinaryHeap", binary_heap),
    ]
}

#[cfg(not(feature = "peers"))]
fn timers(_: &[u64]) -> Vec<Contestant<'_>> {
    let names = ["hierarchical_hash_wheel_timer", "tokio DelayQueue", "BinaryHeap"];
    names.map(|name| Contestant::absent(name, NOT_BUILT)).into()
}

#[cfg(feature = "peers")]
fn ct_merkle(leaves: &[Vec<u8>]) -> Contestant<'_> {
    Contestant::new("ct-merkle", |_: &Path| appended(leaves, crate::reference::ct_log::append))
}

#[cfg(not(feature = "peers"))]
fn ct_merkle(_: &[Vec<u8>]) -> Contestant<'_> {
    Contestant::absent("ct-merkle", NOT_BUILT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wheel_returns_every_object() {
        let slots: Vec<u64> = (0..5_000).map(|n| split_mix(n) % SLOTS + 1).collect();
        assert!(our_wheel(&slots).is_ok());
    }

    #[cfg(feature = "peers")]
    #[test]
    fn both_logs_have_the_same_root() {
        for n in [1, 2, 7, 64, 1_000] {
            let leaves: Vec<Vec<u8>> = (0..n).map(|n: usize| n.to_be_bytes().to_vec()).collect();
            let theirs = crate::reference::ct_log::append(&leaves, 3).unwrap();
            assert_eq!(our_log(&leaves, 3).unwrap(), theirs, "{n} leaves");
        }
    }
}
