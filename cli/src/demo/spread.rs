//! Which class each file falls under and when its promise began.

use super::Registered;
use super::tree::Copied;
use crate::output::{self, Failure};
use sexton::store::dir::{DirStore, Identity};
use sexton::{Durability, Engine, Registration};
use sexton_proof::id::printable;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Registrations in one call, and so in one fsync.
const CALL: usize = 2_000;

/// A share of the files, and how their starts are spread.
struct Share {
    class: &'static str,
    /// The starts lie in the last so many ms,
    past_ms: i64,
    /// at whole multiples of this from the beginning of that time.
    step_ms: i64,
}

/// Uploads come whenever they come; collected logs come with the hour, rotated server logs with the day.
const SHARES: [Share; 4] = [
    Share { class: "upload-3h", past_ms: 2 * HOUR_MS, step_ms: 1 },
    Share { class: "log-73h", past_ms: DAY_MS, step_ms: HOUR_MS },
    Share { class: "data-30d", past_ms: 5 * DAY_MS, step_ms: 1 },
    Share { class: "log-6mo", past_ms: 30 * DAY_MS, step_ms: DAY_MS },
];

/// A file to be registered.
pub(super) struct Planned {
    pub(super) key: Vec<u8>,
    pub(super) version: Vec<u8>,
    pub(super) size_bytes: u64,
    pub(super) digest: [u8; 32],
    pub(super) class: &'static str,
    pub(super) start_ms: i64,
}

/// The names of the classes, in the order in which they are told.
pub(super) fn classes() -> impl Iterator<Item = &'static str> {
    SHARES.iter().map(|share| share.class)
}

/// Spreads the files over the classes, a quarter each: neighbours in the tree stay neighbours in time, as files that
/// came together do.
pub(super) fn plan(copied: Vec<Copied>, store: &DirStore, now_ms: i64) -> Result<Vec<Planned>, Failure> {
    let total = copied.len();
    let bar = output::progress(total, "identifying files");
    let mut planned = Vec::with_capacity(total);
    for (at, Copied { key, digest }) in copied.into_iter().enumerate() {
        let found = store.identify(&key, Identity::Exact).map_err(|e| Failure::new(e.to_string()))?;
        let Some(found) = found else {
            return Err(Failure::new(format!("{} has vanished from the copy", printable(&key))));
        };
        let (class, start_ms) = place(at, total, now_ms);
        let (version, size_bytes) = (found.version, found.size_bytes);
        planned.push(Planned { key, version, size_bytes, digest, class, start_ms });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(planned)
}

/// Class and start of file `at` of `total`.
fn place(at: usize, total: usize, now_ms: i64) -> (&'static str, i64) {
    let share_of = |at: usize| at * SHARES.len() / total.max(1);
    let number = share_of(at).min(SHARES.len() - 1);
    let [first, end] = [number, number + 1].map(|n| (n * total).div_ceil(SHARES.len()));
    let Some(share) = SHARES.get(number) else { return ("upload-3h", now_ms) };
    let along = i64::try_from(at - first).unwrap_or(0);
    let of = i64::try_from(end - first).unwrap_or(1).max(1);
    let since_ms = share.past_ms / of * along / share.step_ms * share.step_ms;
    (share.class, now_ms - share.past_ms + since_ms)
}

/// Registers all of them.
pub(super) fn register(engine: &Engine, planned: Vec<Planned>) -> Result<Vec<Registered>, Failure> {
    let bar = output::progress(planned.len(), "registering");
    let mut ids = Vec::with_capacity(planned.len());
    for call in planned.chunks(CALL) {
        let items: Vec<Registration<'_>> = call.iter().map(registration).collect();
        let answers = engine.register(&items, Durability::Synced)?;
        ids.extend(answers.into_iter().map(|answer| answer.id));
        bar.inc(call.len() as u64);
    }
    bar.finish_and_clear();
    let mut registered: Vec<Registered> =
        planned.into_iter().zip(ids).map(|(planned, id)| Registered { planned, id }).collect();
    // The order of the ids is the order of the batches, class by class: whoever asks for receipts in that order has
    // each batch read once.
    registered.sort_unstable_by_key(|one| one.id);
    Ok(registered)
}

fn registration(one: &Planned) -> Registration<'_> {
    Registration {
        version: &one.version,
        start_ms: Some(one.start_ms),
        digest: &one.digest,
        size_bytes: one.size_bytes,
        ..Registration::new(one.class, &one.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_gets_its_quarter_and_every_start_lies_in_its_past() {
        let now_ms = 1_767_225_600_000;
        for total in [4, 5, 7, 200, 20_000] {
            let places: Vec<_> = (0..total).map(|at| place(at, total, now_ms)).collect();
            for share in &SHARES {
                let of: Vec<i64> = places.iter().filter(|p| p.0 == share.class).map(|p| p.1).collect();
                assert!(of.len().abs_diff(total / 4) <= 1, "{total} {}", share.class);
                assert!(of.is_sorted());
                assert!(of.iter().all(|start| (now_ms - share.past_ms..now_ms).contains(start)), "{total}");
            }
        }
    }
}
