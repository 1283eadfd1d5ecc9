//! Class and start of each file, and registration.

use super::Registered;
use super::tree::Copied;
use crate::output::{self, Failure};
use sexton::store::dir::{DirStore, Identity};
use sexton::{Durability, Engine, Registration};
use sexton_proof::id::printable;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Number of registrations in one call, which share an fsync.
const CALL: usize = 2_000;

/// Share of the files that one class gets, with the distribution of their starts.
struct Share {
    class: &'static str,
    /// Length of the past in which the starts lie, ms.
    past_ms: i64,
    /// Distance of possible starts from each other, ms.
    step_ms: i64,
}

/// Shares of the four classes. Uploads start at any time, collected logs on the hour, rotated logs on the day.
const SHARES: [Share; 4] = [
    Share { class: "upload-3h", past_ms: 2 * HOUR_MS, step_ms: 1 },
    Share { class: "log-73h", past_ms: DAY_MS, step_ms: HOUR_MS },
    Share { class: "data-30d", past_ms: 5 * DAY_MS, step_ms: 1 },
    Share { class: "log-6mo", past_ms: 30 * DAY_MS, step_ms: DAY_MS },
];

/// A file before its registration.
pub(super) struct Planned {
    pub(super) key: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) size_bytes: u64,
    pub(super) digest: [u8; 32],
    pub(super) class: &'static str,
    pub(super) start_ms: i64,
}

/// Returns the names of the classes, in the order of the report.
pub(super) fn classes() -> impl Iterator<Item = &'static str> {
    SHARES.iter().map(|share| share.class)
}

/// Spreads the files over the classes, a quarter each. Neighbours in the tree get adjacent starts, as files that arrive
/// together have.
pub(super) fn plan(copied: Vec<Copied>, store: &DirStore, now_ms: i64) -> Result<Vec<Planned>, Failure> {
    let total = copied.len();
    let bar = output::progress(total, "identifying files");
    let mut planned = Vec::with_capacity(total);
    for (at, Copied { key, digest }) in copied.into_iter().enumerate() {
        let found = store.identify(&key, Identity::Exact).map_err(|e| Failure::new(e.to_string()))?;
        let Some(found) = found else {
            return Err(Failure::new(format!("{} is missing from the copy", printable(&key))));
        };
        let (class, start_ms) = class_and_start(at, total, now_ms);
        let (version, size_bytes) = (found.version, found.size_bytes);
        planned.push(Planned { key, version, size_bytes, digest, class, start_ms });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(planned)
}

/// Returns class and start of file `at` of `total`.
fn class_and_start(at: usize, total: usize, now_ms: i64) -> (&'static str, i64) {
    let share_of = |at: usize| at * SHARES.len() / total.max(1);
    let number = share_of(at).min(SHARES.len() - 1);
    let [first, end] = [number, number + 1].map(|n| (n * total).div_ceil(SHARES.len()));
    let Some(share) = SHARES.get(number) else { return ("upload-3h", now_ms) };
    let along = i64::try_from(at - first).unwrap_or(0);
    let of = i64::try_from(end - first).unwrap_or(1).max(1);
    let since_ms = share.past_ms / of * along / share.step_ms * share.step_ms;
    (share.class, now_ms - share.past_ms + since_ms)
}

/// Registers all files.
pub(super) fn register(engine: &Engine, planned: Vec<Planned>) -> Result<Vec<Registered>, Failure> {
    let bar = output::progress(planned.len(), "registering");
    let mut ids = Vec::with_capacity(planned.len());
    for call in planned.chunks(CALL) {
        let registrations: Vec<Registration<'_>> = call.iter().map(registration).collect();
        let answers = engine.register(&registrations, Durability::Synced)?;
        ids.extend(answers.into_iter().map(|answer| answer.id));
        bar.inc(call.len() as u64);
    }
    bar.finish_and_clear();
    let mut registered: Vec<Registered> =
        planned.into_iter().zip(ids).map(|(planned, id)| Registered { planned, id }).collect();
    // Batches have the order of the ids, class by class. Receipts issued in this order read each batch once.
    registered.sort_unstable_by_key(|file| file.id);
    Ok(registered)
}

fn registration(file: &Planned) -> Registration<'_> {
    Registration {
        version: &file.version,
        start_ms: Some(file.start_ms),
        digest: &file.digest,
        size_bytes: file.size_bytes,
        ..Registration::new(file.class, &file.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_start_spreads_quarters_over_the_past() {
        let now_ms = 1_767_225_600_000;
        for total in [4, 5, 7, 200, 20_000] {
            let spread: Vec<_> = (0..total).map(|at| class_and_start(at, total, now_ms)).collect();
            for share in &SHARES {
                let of: Vec<i64> =
                    spread.iter().filter(|file| file.0 == share.class).map(|file| file.1).collect();
                assert!(of.len().abs_diff(total / 4) <= 1, "{total} {}", share.class);
                assert!(of.is_sorted());
                assert!(of.iter().all(|start| (now_ms - share.past_ms..now_ms).contains(start)), "{total}");
            }
        }
    }
}
