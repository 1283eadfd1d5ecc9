//! The plan of faults that the in-memory index and the in-memory files share, so that one number names one write of
//! a whole history.

use parking_lot::Mutex;
use std::sync::Arc;

/// How a write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It happens.
    Done,
    /// It does not happen, and says so.
    Lost,
    /// It happens, durably, and yet says that it failed.
    DoneButError,
}

/// Counts writes and decides how each goes. Clones share the count.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Default)]
struct Plan {
    writes: u64,
    fault: Option<(u64, Outcome)>,
}

impl Faults {
    /// Nothing fails.
    pub fn none() -> Self {
        Faults::default()
    }

    /// From here on the write number `nth` (counted from 0, from now) goes as `outcome`; all others are done.
    pub fn arm(&self, nth: u64, outcome: Outcome) {
        let mut plan = self.0.lock();
        plan.writes = 0;
        plan.fault = Some((nth, outcome));
    }

    /// Nothing fails from here on.
    pub fn disarm(&self) {
        self.0.lock().fault = None;
    }

    /// Writes since the plan was armed, or since the beginning.
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    pub(crate) fn next(&self) -> Outcome {
        let mut plan = self.0.lock();
        let number = plan.writes;
        plan.writes += 1;
        match plan.fault {
            Some((nth, outcome)) if nth == number => outcome,
            _ => Outcome::Done,
        }
    }
}
