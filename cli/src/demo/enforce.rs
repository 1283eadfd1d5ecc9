//! Enforcement on an accelerated clock, from slot to slot.

use crate::output::{self, Failure};
use sexton::Engine;
use sexton::store::Store;
use sexton::testing::FastForwardClock;
use sexton_proof::time::Timestamp;

/// Batches and clock steps of the enforcement of all files.
pub(super) struct Enforced {
    pub(super) batches: u64,
    /// Number of clock steps.
    pub(super) steps: u64,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Enforces until no object is left.
///
/// The clock steps only to the beginning of the next slot, and only if nothing is due before it. So it shows the true
/// time at which each object would be deleted, and no object is late because of a step.
pub(super) fn all(
    engine: &Engine,
    store: &dyn Store,
    clock: &FastForwardClock,
    total: usize,
) -> Result<Enforced, Failure> {
    let now = engine.now();
    let mut done = Enforced { batches: 0, steps: 0, from: now, to: now };
    // An object that cannot be deleted is retried for ever. Correct work needs at most one batch per object. This bound
    // leaves room for retries, and what is left then is reported as not deleted.
    let steps_max = total as u64 * 2 + 1_000;
    let bar = output::progress(total, "enforcing");
    while let Some(next) = engine.next_due() {
        if done.steps == steps_max {
            break;
        }
        clock.advance_to(next);
        done.steps += 1;
        let enforced = engine.enforce(store)?;
        done.batches += enforced.batches;
        bar.inc(enforced.objects);
    }
    bar.finish_and_clear();
    done.to = engine.now();
    Ok(done)
}
