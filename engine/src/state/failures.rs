//! Failures: objects that the store did not delete when it was last asked, with its reasons.
//!
//! Reasons of a store may name keys. So they stay in memory, for operators that may read keys, and out of the program log. An
//! entry goes when its object ends or lives on for another cause.

use parking_lot::Mutex;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;

/// Limit on the kept failures. The newest stay.
pub(crate) const FAILURES_MAX: usize = 100;

/// Object that the store did not delete when it was last asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// Present registration id.
    pub id: RegistrationId,
    /// Name of its class.
    pub class: String,
    /// Key under which the store was asked for it.
    pub key: Vec<u8>,
    /// Kind of the failure: failed, refused or changed.
    pub cause: Cause,
    /// Reason in the words of the store, or of the engine.
    pub why: String,
    /// Instant of the answer.
    pub at: Timestamp,
}

/// Newest failures since the engine was opened, by id. Its lock is a leaf lock.
#[derive(Default)]
pub(crate) struct Failures(Mutex<BTreeMap<RegistrationId, Failure>>);

impl Failures {
    /// Adds a failure, in place of an earlier one of the object.
    pub(crate) fn add(&self, failure: Failure) {
        let mut failures = self.0.lock();
        failures.insert(failure.id, failure);
        if failures.len() > FAILURES_MAX
            && let Some(oldest) = failures.values().min_by_key(|failure| failure.at).map(|oldest| oldest.id)
        {
            failures.remove(&oldest);
        }
    }

    /// Follows the rows of a committed batch: each with its id before, and its id from now on if it failed.
    pub(crate) fn follow(&self, rows: impl Iterator<Item = (RegistrationId, Option<RegistrationId>)>) {
        let mut failures = self.0.lock();
        if failures.is_empty() {
            return;
        }
        for (before, after) in rows {
            if let (Some(failure), Some(id)) = (failures.remove(&before), after) {
                failures.insert(id, Failure { id, ..failure });
            }
        }
    }

    /// Returns the failures, the newest first.
    pub(crate) fn newest_first(&self) -> Vec<Failure> {
        let mut failures: Vec<Failure> = self.0.lock().values().cloned().collect();
        failures.sort_by_key(|failure| (std::cmp::Reverse(failure.at), failure.id));
        failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_proof::id::PageId;

    fn id(seq: u32) -> RegistrationId {
        let page = PageId { class: 1, slot: 0, shard: 0, part: 0 };
        RegistrationId { page, seq }
    }

    fn failure(seq: u32, at: i64) -> Failure {
        let (class, key, why) = ("c".into(), vec![1], "why".into());
        Failure { id: id(seq), class, key, cause: Cause::Failed, why, at: Timestamp::from_unix_ms(at) }
    }

    #[test]
    fn failures_beyond_the_limit_drop_the_oldest() {
        let failures = Failures::default();
        for seq in 0..150 {
            failures.add(failure(seq, i64::from(seq)));
        }
        let kept: Vec<u32> = failures.newest_first().iter().map(|failure| failure.id.seq).collect();
        assert_eq!(kept, (50..150).rev().collect::<Vec<u32>>());
    }

    #[test]
    fn failures_follow_carried_objects_and_forget_ended_ones() {
        let failures = Failures::default();
        (0..3).for_each(|seq| failures.add(failure(seq, 0)));
        failures.follow([(id(0), None), (id(1), Some(id(9))), (id(7), Some(id(8)))].into_iter());
        let kept: Vec<u32> = failures.newest_first().iter().map(|failure| failure.id.seq).collect();
        assert_eq!(kept, [2, 9]);
    }
}
