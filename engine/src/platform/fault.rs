//! Injected faults: a plan that the in-memory index and the in-memory files share.
//!
//! Both count their writes together, so that one number names one write of a whole history.

use parking_lot::Mutex;
use std::sync::Arc;

/// Outcome that a fault injects into a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectedOutcome {
    /// The write happens and succeeds.
    Done,
    /// The write does not happen, and returns an error.
    Lost,
    /// The write happens durably, and still returns an error.
    DoneButError,
}

/// Counter of writes that decides the outcome of each. Clones share the count.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Counter>>);

#[derive(Default)]
struct Counter {
    writes: u64,
    /// Number of the write that does not simply succeed, and its outcome.
    armed: Option<(u64, InjectedOutcome)>,
}

impl Faults {
    /// Creates a counter without faults.
    pub fn none() -> Self {
        Faults::default()
    }

    /// Restarts the count at 0 and gives write number `nth` the outcome `outcome`. All other writes succeed.
    pub fn arm(&self, nth: u64, outcome: InjectedOutcome) {
        let mut counter = self.0.lock();
        counter.writes = 0;
        counter.armed = Some((nth, outcome));
    }

    /// Removes the fault. All later writes succeed.
    pub fn disarm(&self) {
        self.0.lock().armed = None;
    }

    /// Returns the number of writes since the last call of [`Faults::arm`], or since the beginning.
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// Counts a write and returns its outcome.
    pub(crate) fn next(&self) -> InjectedOutcome {
        let mut counter = self.0.lock();
        let number = counter.writes;
        counter.writes += 1;
        match counter.armed {
            Some((nth, outcome)) if nth == number => outcome,
            _ => InjectedOutcome::Done,
        }
    }
}
