//! Tally: what happened since the engine was opened, for monitors. Nothing decides by it, and it is not stored.

use crate::model::outcomes::{Distribution, Outcomes};
use parking_lot::Mutex;
use sexton_proof::time::{Timestamp, whole_ms};
use std::collections::BTreeMap;
use std::time::Duration;

/// Tally of the batches of a class since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassTally {
    /// Outcomes of the committed batches, including those that the opening committed.
    pub outcomes: Outcomes,
    /// Times that batches took, from the planning to the commit.
    pub batches: Distribution,
}

/// Passes of [`Engine::reclaim`](crate::Engine::reclaim) since the engine was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReclaimTally {
    /// Passes that succeeded.
    pub done: u64,
    /// Passes that failed.
    pub failed: u64,
    /// Instant of the last pass that succeeded.
    pub last_done: Option<Timestamp>,
}

/// Tally of an open engine. Its locks are leaf locks.
#[derive(Default)]
pub(crate) struct Tally {
    classes: Mutex<BTreeMap<String, ClassTally>>,
    reclaims: Mutex<ReclaimTally>,
}

impl Tally {
    /// Adds the outcomes of a committed batch of `class`.
    pub(crate) fn add_outcomes(&self, class: &str, outcomes: &Outcomes) {
        self.with_class(class, |tally| tally.outcomes.merge(outcomes));
    }

    /// Adds the time that a batch of `class` took.
    pub(crate) fn add_batch(&self, class: &str, took: Duration) {
        self.with_class(class, |tally| tally.batches.add(whole_ms(took)));
    }

    /// Adds a reclaim pass; `done` is the instant of its success.
    pub(crate) fn add_reclaim(&self, done: Option<Timestamp>) {
        let mut tally = self.reclaims.lock();
        match done {
            Some(_) => (tally.done, tally.last_done) = (tally.done + 1, done),
            None => tally.failed += 1,
        }
    }

    /// Returns a copy of the tally of each class that had a batch.
    pub(crate) fn classes(&self) -> BTreeMap<String, ClassTally> {
        self.classes.lock().clone()
    }

    /// Returns a copy of the tally of reclaim passes.
    pub(crate) fn reclaims(&self) -> ReclaimTally {
        *self.reclaims.lock()
    }

    fn with_class(&self, class: &str, change: impl FnOnce(&mut ClassTally)) {
        let mut classes = self.classes.lock();
        if let Some(tally) = classes.get_mut(class) {
            change(tally);
        } else {
            change(classes.entry(class.to_owned()).or_default());
        }
    }
}
