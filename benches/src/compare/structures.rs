//! Pieces of the engine alone, beside crates that do such a piece: the wheel, the log.

use super::Group;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::workload::scattered;
use crate::{Result, timed};
use sexton::Wheel;
use sexton_proof::merkle::{Frontier, leaf_hash};
use std::hint::black_box;
use std::path::Path;

const INSERT: &str = "insert";
const EXPIRE: &str = "expire";
const APPEND: &str = "append";
const SLOT_MS: u64 = 60_000;
/// Slots that objects fall due in: as many as the ring covers, but for the one that the wheel stands at.
const SLOTS: u64 = 1_000;
/// Bytes of a leaf: about what a batch of four pages has.
const LEAF_BYTES: usize = 900;
/// Leaves between two roots.
const ROOT_EVERY: usize = 4;
#[cfg(not(feature = "peers"))]
const NOT_BUILT: &str = "built without the feature peers (make bench-peers has it)";

/// The wheel.
pub(super) const WHEEL: Group = Group {
    pairings: || {
        let pair = |name, figure, reference, what| {
            Pairing::new(name, "objects/s", Of("ours", figure), Of(reference, figure), what)
        };
        let slots = "finding a slot and putting an object into its list, 1,000 slots in no order";
        let drain = "turning slot by slot and taking everything out";
        vec![
            pair("wheel/insert/hashed-wheel", INSERT, "hierarchical_hash_wheel_timer", slots),
            pair("wheel/expire/hashed-wheel", EXPIRE, "hierarchical_hash_wheel_timer", drain),
            pair("wheel/insert/delay-queue", INSERT, "tokio DelayQueue", slots),
            pair("wheel/expire/delay-queue", EXPIRE, "tokio DelayQueue", drain),
            pair("wheel/insert/heap", INSERT, "BinaryHeap", slots),
            pair("wheel/expire/heap", EXPIRE, "BinaryHeap", drain),
        ]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let objects = setup.scaled(5_000_000, 10_000);
        let slots: Vec<u64> = (0..objects as u64).map(|n| scattered(n) % SLOTS + 1).collect();
        let ours = Contestant::new("ours", |_: &Path| our_wheel(&slots));
        let mut contestants = vec![ours];
        contestants.extend(timers(&slots));
        Ok(play(setup, contestants, pairings))
    },
};

/// The log.
pub(super) const LOG: Group = Group {
    pairings: || {
        let what = "appending leaves of 900 bytes to an RFC 6962 log, a root after every fourth";
        vec![Pairing::new("log/append", "leaves/s", Of("ours", APPEND), Of("ct-merkle", APPEND), what)]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let count = setup.scaled(200_000, 2_000);
        let leaf = |n: usize| vec![u8::try_from(n % 251).unwrap_or(0); LEAF_BYTES];
        let leaves: Vec<Vec<u8>> = (0..count).map(leaf).collect();
        let ours = |_: &Path| appended(&leaves, our_log);
        Ok(play(setup, vec![Contestant::new("ours", ours), ct_merkle(&leaves)], pairings))
    },
};

/// Lists of objects in the wheel's slots. The engine keeps counts there, which is less work.
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
        for now_ms in (0..=SLOTS).map(|slot| slot * SLOT_MS) {
            wheel.turn(now_ms);
            while let Some(slot) = { wheel.due(now_ms).next().map(|(slot, _)| slot) } {
                for object in wheel.remove(slot).unwrap_or_default() {
                    black_box(object);
                    out += 1;
                }
            }
        }
        Ok(())
    })?;
    if out != slots.len() {
        return Err(format!("{out} objects came out of {}", slots.len()).into());
    }
    Ok(per_second(slots.len(), insert.wall.as_secs_f64(), expire.wall.as_secs_f64()))
}

fn per_second(objects: usize, insert: f64, expire: f64) -> Figures {
    Figures::from([(INSERT, objects as f64 / insert), (EXPIRE, objects as f64 / expire)])
}

/// The right edge, and complete subtrees handed out, here into a list.
fn our_log(leaves: &[Vec<u8>], every: usize) -> Result<[u8; 32]> {
    let (mut log, mut kept) = (Frontier::new(), Vec::new());
    let mut root = [0; 32];
    for (leaf, number) in leaves.iter().zip(1..) {
        log.push(leaf_hash(leaf), &mut |level, at, hash| kept.push((level, at, hash)));
        if number % every == 0 || number == leaves.len() {
            root = log.root();
        }
    }
    black_box(kept);
    Ok(root)
}

/// Appends leaves and gives a root after so many of them each.
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
    let one = |name, timer: fn(&[u64]) -> Result<Took>| {
        Contestant::new(name, move |_: &Path| {
            let took = timer(slots)?;
            Ok(per_second(slots.len(), took.insert.as_secs_f64(), took.expire.as_secs_f64()))
        })
    };
    vec![
        one("hierarchical_hash_wheel_timer", hashed_wheel),
        one("tokio DelayQueue", delay_queue),
        one("BinaryHeap", binary_heap),
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
    fn the_wheel_gives_everything_back() {
        let slots: Vec<u64> = (0..5_000).map(|n| scattered(n) % SLOTS + 1).collect();
        assert!(our_wheel(&slots).is_ok());
    }

    #[cfg(feature = "peers")]
    #[test]
    fn both_logs_have_one_root() {
        for n in [1, 2, 7, 64, 1_000] {
            let leaves: Vec<Vec<u8>> = (0..n).map(|n: usize| n.to_be_bytes().to_vec()).collect();
            let theirs = crate::reference::ct_log::append(&leaves, 3).unwrap();
            assert_eq!(our_log(&leaves, 3).unwrap(), theirs, "{n} leaves");
        }
    }
}
