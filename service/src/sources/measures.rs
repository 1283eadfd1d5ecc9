//! Measures of a source, for monitors. Nothing decides by them, and they count from the start of the source.

use super::report::SourceState;
use sexton::Timestamp;
use sexton::store::Answer;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Measures of a source as of one instant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceMeasures {
    /// Name of the source.
    pub name: String,
    /// State in a word.
    pub state: SourceState,
    /// Files by result, as of the last full scan and the files found since.
    pub files: [(&'static str, u64); 4],
    /// Folders that are watched.
    pub watched: u64,
    /// End of the last full scan.
    pub last_scan: Option<Timestamp>,
    /// Time that it took.
    pub scan_took: Option<Duration>,
    /// Time since its end, or since the start of the source if there was none. `None` while the source does not work.
    pub scan_age: Option<Duration>,
    /// Time between two full scans, as configured.
    pub rescan: Duration,
    /// Age of the oldest file that waits for its registration although it is complete.
    pub intake_lag: Duration,
    /// Counts of its work.
    pub counts: SourceCounts,
}

/// Counts of the work of a source.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SourceCounts {
    /// Times at which events of files were lost.
    pub overflows: u64,
    /// Objects that wait for the limit of deletions.
    pub limited: u64,
    /// Failures by kind.
    pub failures: [(&'static str, u64); 6],
}

/// Counters of a source, which its threads share.
#[derive(Debug, Default)]
pub(super) struct Tally {
    overflows: AtomicU64,
    limited: AtomicU64,
    failed: AtomicU64,
    refused: AtomicU64,
    changed: AtomicU64,
    put_off: AtomicU64,
    not_working: AtomicU64,
    not_registered: AtomicU64,
}

/// Objects that wait for the limit of deletions. Dropping it ends the wait.
pub(super) struct Waiting<'t>(&'t Tally, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.limited.fetch_sub(self.1, Ordering::Relaxed);
    }
}

impl Tally {
    /// Counts events that were lost.
    pub(super) fn add_overflow(&self) {
        self.overflows.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an attempt to register that the engine refused.
    pub(super) fn add_not_registered(&self) {
        self.not_registered.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts objects that were not deleted because the source does not work.
    pub(super) fn add_not_working(&self, objects: usize) {
        self.not_working.fetch_add(objects as u64, Ordering::Relaxed);
    }

    /// Counts objects that were put off because of the limit of deletions.
    pub(super) fn add_put_off(&self, objects: usize) {
        self.put_off.fetch_add(objects as u64, Ordering::Relaxed);
    }

    /// Counts the failures among the answers of the store.
    pub(super) fn add_answers(&self, answers: &[Answer]) {
        for answer in answers {
            match answer {
                Answer::Failed(_) => self.failed.fetch_add(1, Ordering::Relaxed),
                Answer::Refused(_) => self.refused.fetch_add(1, Ordering::Relaxed),
                Answer::Changed => self.changed.fetch_add(1, Ordering::Relaxed),
                _ => continue,
            };
        }
    }

    /// Counts objects as waiting for the limit of deletions.
    pub(super) fn wait(&self, objects: usize) -> Waiting<'_> {
        let objects = objects as u64;
        self.limited.fetch_add(objects, Ordering::Relaxed);
        Waiting(self, objects)
    }

    pub(super) fn counts(&self) -> SourceCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SourceCounts {
            overflows: of(&self.overflows),
            limited: of(&self.limited),
            failures: [
                ("failed", of(&self.failed)),
                ("refused", of(&self.refused)),
                ("changed", of(&self.changed)),
                ("put_off", of(&self.put_off)),
                ("not_working", of(&self.not_working)),
                ("not_registered", of(&self.not_registered)),
            ],
        }
    }
}
