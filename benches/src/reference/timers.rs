//! Timers of others, for the wheel alone: each takes objects that fall due in one of some slots, and gives them back in
//! the order of their time.
//!
//! They do more and less. `hierarchical_hash_wheel_timer` moves each entry down its wheels, and ticks one unit after the
//! other; entries cannot be asked for by slot. tokio's `DelayQueue` can cancel and reset each single entry, for which it
//! keeps a slab of them, and wakes whoever waits. Our wheel finds a slot and no single object: what lives in a slot is
//! its caller's, a count in the engine and a list here, so that everybody gives back the same.

use crate::Result;
use hierarchical_hash_wheel_timer::wheels::quad_wheel::{QuadWheelWithOverflow, no_prune};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::hint::black_box;
use std::time::Duration;
use tokio_util::time::DelayQueue;

/// How long both halves took, for so many objects: putting them in, and taking all of them out.
#[derive(Clone, Copy, Debug)]
pub struct Took {
    /// Putting in.
    pub insert: Duration,
    /// Taking out.
    pub expire: Duration,
}

/// The hierarchical wheel, one tick for a slot.
///
/// # Errors
/// Where it refuses an entry or loses one.
pub fn hashed_wheel(slots: &[u64]) -> Result<Took> {
    let mut wheel = QuadWheelWithOverflow::new(no_prune);
    let insert = crate::timed(|| {
        for (object, slot) in slots.iter().enumerate() {
            let refused = |_| "the hierarchical wheel refuses an entry";
            wheel.insert_with_delay(object, Duration::from_millis(*slot)).map_err(refused)?;
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

/// tokio's queue, under a clock that its runtime moves by itself, so that nobody waits.
///
/// # Errors
/// Where it loses an entry.
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

/// The standard library's heap, what one would begin with.
///
/// # Errors
/// Where it loses an entry.
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
        false => Err(format!("{out} objects came out of {}", slots.len()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_them_give_everything_back() {
        let slots: Vec<u64> = (0..5_000).map(|n| n * 7_919 % 1_000 + 1).collect();
        for timer in [hashed_wheel, delay_queue, binary_heap] {
            timer(&slots).unwrap();
        }
    }
}
