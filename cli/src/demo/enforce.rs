//! Enforcing: the clock is wound to the next slot, what is due there is deleted, and so on.

use crate::output::{self, Failure};
use sexton::store::Store;
use sexton::{Engine, FastForwardClock};

/// What enforcing everything took.
pub(super) struct Enforced {
    pub(super) batches: u64,
    /// How often the clock was wound.
    pub(super) winds: u64,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

/// Enforces until nothing is left.
///
/// The clock is only ever wound to where the next slot begins, and only when nothing is due before it. So it shows
/// the true time at which every object would have gone, and nothing comes late because of the winding.
pub(super) fn all(
    engine: &Engine,
    store: &dyn Store,
    clock: &FastForwardClock,
    total: usize,
) -> Result<Enforced, Failure> {
    let mut done = Enforced { batches: 0, winds: 0, from_ms: engine.now_ms(), to_ms: 0 };
    // Objects that cannot be deleted come again for ever. One a batch is the most that honest work needs; with some
    // room for retries what is left then is told as not deleted.
    let rounds_max = total as u64 * 2 + 1_000;
    let bar = output::progress(total, "enforcing");
    while let Some(next_ms) = engine.next_due_ms() {
        if done.winds == rounds_max {
            break;
        }
        clock.wind_to(next_ms);
        done.winds += 1;
        let enforced = engine.enforce(store)?;
        done.batches += enforced.batches;
        bar.inc(enforced.objects);
    }
    bar.finish_and_clear();
    done.to_ms = engine.now_ms();
    Ok(done)
}
