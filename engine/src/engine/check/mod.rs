//! Full check: compares all stored data with each other.

mod evidence;
mod links;
mod log;
mod pages;

use crate::platform::error::Result;
use crate::state::core::Core;

/// Problems that a report lists. Further ones are only counted.
const PROBLEMS_LISTED: usize = 100;

/// Result of [`Engine::check`](crate::Engine::check).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Pages that have not settled.
    pub pages: u64,
    /// Live registrations. One that moved counts at its new place.
    pub rows: u64,
    /// Batches in the log.
    pub batches: u64,
    /// Tombstones in the files of these batches.
    pub tombstones: u64,
    /// Carries in the files of these batches.
    pub carries: u64,
    /// Entries of the log.
    pub leaves: u64,
    /// Number of problems.
    pub problems_found: u64,
    /// The first hundred problems, one message each.
    pub problems: Vec<String>,
}

impl Report {
    /// Returns `true` if no problem was found.
    pub fn is_sound(&self) -> bool {
        self.problems_found == 0
    }

    fn problem(&mut self, what: String) {
        self.problems_found += 1;
        if self.problems.len() < PROBLEMS_LISTED {
            self.problems.push(what);
        }
    }

    fn require(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.problem(otherwise());
        }
    }
}

/// Checks log, evidence, pages, marks, key index and counts. The locks of planner, publication and ledger are held
/// throughout, so other threads neither plan nor commit; they may register.
pub(crate) fn check(core: &Core) -> Result<Report> {
    let mut report = Report::default();
    let planner = core.batches.planner.lock_read();
    let published = core.transparency.published.lock();
    let ledger = core.transparency.ledger.lock_read();
    log::check_log(core, &ledger.log, &mut report)?;
    let mut named = links::Named::default();
    for class in core.classes.all() {
        pages::check_live(core, &class, &mut named, &mut report)?;
    }
    drop(named);
    pages::check_key_index(core, &mut report)?;
    pages::check_marks(core, &mut report)?;
    evidence::check_entries(core, ledger.log.size(), &mut report)?;
    pages::check_counts(core, &ledger, &mut report);
    drop(ledger);
    drop(published);
    drop(planner);
    Ok(report)
}
