//! Class and start of each file, and registration.

use super::Registered;
use super::tree::Copied;
use crate::output::{self, Failure};
use sexton::store::dir::{DirStore, Identity};
use sexton::{Durability, Engine, Registration};
use sexton_proof::id::printable;
use sexton_proof::time::{Timestamp, whole_ms};
use std::time::Duration;

/// Step of starts that may lie at any time: the resolution of an instant.
const ANY_TIME: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// Number of registrations in one call, which share an fsync.
const CALL: usize = 2_000;

/// Share of the files that one class gets, with the distribution of their starts.
struct Share {
    class: &'static str,
    /// Length of the past in which the starts lie.
    past: Duration,
    /// Distance of possible starts from each other.
    step: Duration,
}

/// Shares of the four classes. Uploads start at any time, collected logs on the hour, rotated logs on the day.
const SHARES: [Share; 4] = [
    Share { class: "upload-3h", past: Duration::from_hours(2), step: ANY_TIME },
    Share { class: "log-73h", past: DAY, step: HOUR },
    Share { class: "data-30d", past: Duration::from_hours(5 * 24), step: ANY_TIME },
    Share { class: "log-6mo", past: Duration::from_hours(30 * 24), step: DAY },
];

/// A file before its registration.
pub(super) struct Planned {
    pub(super) key: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) size_bytes: u64,
    pub(super) digest: [u8; 32],
    pub(super) class: &'static str,
    pub(super) start: Timestamp,
}

/// Returns the names of the classes, in the order of the report.
pub(super) fn classes() -> impl Iterator<Item = &'static str> {
    SHARES.iter().map(|share| share.class)
}

/// Spreads the files over the classes, a quarter each. Neighbours in the tree get adjacent starts, as files that arrive
/// together have.
pub(super) fn plan(copied: Vec<Copied>, store: &DirStore, now: Timestamp) -> Result<Vec<Planned>, Failure> {
    let total = copied.len();
    let bar = output::progress(total, "identifying files");
    let mut planned = Vec::with_capacity(total);
    for (at, Copied { key, digest }) in copied.into_iter().enumerate() {
        let found = store.identify(&key, Identity::Exact).map_err(|e| Failure::new(e.to_string()))?;
        let Some(found) = found else {
            return Err(Failure::new(format!("{} is missing from the copy", printable(&key))));
        };
        let (class, start) = class_and_start(at, total, now);
        let (version, size_bytes) = (found.version, found.size);
        planned.push(Planned { key, version, size_bytes, digest, class, start });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(planned)
}

/// Returns class and start of file `at` of `total`.
fn class_and_start(at: usize, total: usize, now: Timestamp) -> (&'static str, Timestamp) {
    let share_of = |at: usize| at * SHARES.len() / total.max(1);
    let number = share_of(at).min(SHARES.len() - 1);
    let [first, end] = [number, number + 1].map(|n| (n * total).div_ceil(SHARES.len()));
    let Some(share) = SHARES.get(number) else { return ("upload-3h", now) };
    let (along, of) = ((at - first) as u64, (end - first).max(1) as u64);
    let [past_ms, step_ms] = [share.past, share.step].map(whole_ms);
    let since = Duration::from_millis(past_ms / of * along / step_ms * step_ms);
    (share.class, now.saturating_sub(share.past).saturating_add(since))
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
    let registration = Registration::new(file.class, &file.key).start(file.start).size(file.size_bytes);
    registration.version(&file.version).digest(&file.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_and_start_spreads_quarters_over_the_past() {
        let now = Timestamp::from_unix_ms(1_767_225_600_000);
        for total in [4, 5, 7, 200, 20_000] {
            let spread: Vec<_> = (0..total).map(|at| class_and_start(at, total, now)).collect();
            for share in &SHARES {
                let of: Vec<Timestamp> =
                    spread.iter().filter(|file| file.0 == share.class).map(|file| file.1).collect();
                assert!(of.len().abs_diff(total / 4) <= 1, "{total} {}", share.class);
                assert!(of.is_sorted());
                assert!(
                    of.iter().all(|start| (now.saturating_sub(share.past)..now).contains(start)),
                    "{total}"
                );
            }
        }
    }
}
