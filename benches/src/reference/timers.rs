//! Timers of other crates, to compare with the wheel. Each takes objects with a slot and returns them in order of time.
//!
//! Their work differs. `hierarchical_hash_wheel_timer` moves entries down its wheels, one tick after the other, and has
//! no lookup by slot. tokio's `DelayQueue` can cancel and reset each entry, keeps a slab for it, and wakes waiting
//! tasks. Our wheel finds a slot, not an object. A slot has a count in the engine, and a list of objects here.

use crate::Result;
use hierarchical_hash_wheel_timer::wheels::quad_wheel::{QuadWheelWithOverflow, no_prune};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::hint::black_box;
use std::time::Duration;
use tokio_util::time::DelayQueue;

/// Elapsed times of a timer.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Time to insert all objects.
    pub insert: Duration,
    /// Time to expire all objects.
    pub expire: Duration,
}

/// Measures the hierarchical wheel, with one tick per slot.
///
/// # Errors
/// If it rejects an entry or loses one.
pub fn hashed_wheel(slots: &[u64]) -> Result<Took> {
    let mut wheel = QuadWheelWithOverflow::new(no_prune);
    let insert = crate::timed(|| {
        for (object, slot) in slots.iter().enumerate() {
            let rejected = |_| "the hierarchical wheel rejects an entry";
            wheel.insert_with_delay(object, Duration::from_millis(*slot)).map_err(rejected)?;
        }
        Ok(())
    })?;
    let last = slots.iter().max().copied().unwrap_or(0);
    let expire = crate::timed(|| {
        let mut out = 0;
        for _ in 0..last {
            for entry in wheel.tick() {
                black_box(entry);
                out += 1;
            }
        }
        all_out(out, slots)
    })?;
    Ok(Took { insert: insert.wall, expire: expire.wall })
}

/// Measures tokio's queue under a paused clock, which the runtime advances without waiting.
///
/// # Errors
/// If it loses an entry.
pub fn delay_queue(slots: &[u64]) -> Result<Took> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let _entered = runtime.enter();
    let mut queue = DelayQueue::with_capacity(slots.len());
    let insert = crate::timed(|| {
        for (object, slot) in slots.iter().enumerate() {
            queue.insert(object, Duration::from_millis(*slot));
        }
        Ok(())
    })?;
    let expire = crate::timed(|| {
        let drain = async {
            let mut out = 0;
            while let Some(entry) = poll_fn(|context| queue.poll_expired(context)).await {
                black_box(entry.into_inner());
                out += 1;
            }
            out
        };
        all_out(runtime.block_on(drain), slots)
    })?;
    Ok(Took { insert: insert.wall, expire: expire.wall })
}

/// Measures the heap of the standard library.
///
/// # Errors
/// If it loses an entry.
pub fn binary_heap(slots: &[u64]) -> Result<Took> {
    let mut heap = BinaryHeap::with_capacity(slots.len());
    let insert = crate::timed(|| {
        for (object, slot) in slots.iter().enumerate() {
            heap.push(Reverse((*slot, object)));
        }
        Ok(())
    })?;
    let expire = crate::timed(|| {
        let mut out = 0;
        while let Some(entry) = heap.pop() {
            black_box(entry);
            out += 1;
        }
        all_out(out, slots)
    })?;
    Ok(Took { insert: insert.wall, expire: expire.wall })
}

fn all_out(out: usize, slots: &[u64]) -> Result<()> {
    match out == slots.len() {
        true => Ok(()),
        false => Err(format!("{out} objects expired, {} expected", slots.len()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_timer_returns_every_object() {
        let slots: Vec<u64> = (0..5_000).map(|n| n * 7_919 % 1_000 + 1).collect();
        for timer in [hashed_wheel, delay_queue, binary_heap] {
            timer(&slots).unwrap();
        }
    }
}
