//! Sums of a batch: its counts and bounds, and the records of each page.

use super::fates::Fate;
use crate::model::schema::{Counts, Row};
use crate::state::batch::Batch;
use sexton_proof::id::{NO_CEILING, NO_FLOOR, SIZE_UNKNOWN};
use sexton_proof::record::{Cause, Method, Reason};

/// Sums of some rows of a batch.
#[derive(Clone, Copy, Default)]
pub(super) struct Summary {
    pub(super) counts: Counts,
    /// Latest floor of the rows that ended, Unix ms; `None` if none had one.
    pub(super) floor_max_ms: Option<i64>,
    /// Earliest ceiling of the rows that ended, Unix ms; `None` if none had one.
    pub(super) ceiling_min_ms: Option<i64>,
}

impl Summary {
    /// Adds a row.
    pub(super) fn add(&mut self, row: &Row<'_>, fate: Fate) {
        match fate {
            Fate::Ends { method, time_ms } => self.add_end(row, method, time_ms),
            Fate::Carried { cause, .. } => {
                self.counts.carried += 1;
                self.counts.held += u64::from(cause == Cause::Held);
            }
        }
    }

    /// Returns the sums of both.
    pub(super) fn plus(mut self, more: Summary) -> Summary {
        let ceilings = [self.ceiling_min_ms, more.ceiling_min_ms];
        self.counts.add(more.counts);
        Summary {
            counts: self.counts,
            floor_max_ms: self.floor_max_ms.max(more.floor_max_ms),
            ceiling_min_ms: ceilings.into_iter().flatten().min(),
        }
    }

    fn add_end(&mut self, row: &Row<'_>, method: Method, time_ms: i64) {
        if row.floor_ms != NO_FLOOR {
            self.floor_max_ms = self.floor_max_ms.max(Some(row.floor_ms));
        }
        if row.ceiling_ms != NO_CEILING {
            self.ceiling_min_ms = Some(self.ceiling_min_ms.map_or(row.ceiling_ms, |c| c.min(row.ceiling_ms)));
        }
        let counts = &mut self.counts;
        match method {
            Method::Deleted => {
                counts.deleted += 1;
                let known_bytes = if row.size_bytes == SIZE_UNKNOWN { 0 } else { row.size_bytes };
                counts.deleted_bytes = counts.deleted_bytes.saturating_add(known_bytes);
            }
            Method::Absent => counts.absent += 1,
            Method::AbsentAfterIntent => counts.absent_after_intent += 1,
            Method::Replaced => counts.replaced += 1,
            Method::Released => counts.released += 1,
            Method::Anonymised => counts.anonymised += 1,
        }
        // A replaced registration no longer promises anything about its own end.
        if method != Method::Replaced {
            counts.early += u64::from(time_ms < row.floor_ms);
            let late = match row.reason {
                Reason::Lifted => &mut counts.late_after_hold,
                _ => &mut counts.late,
            };
            *late += u64::from(time_ms > row.ceiling_ms);
        }
    }
}

/// Returns a number of rows as the formats store it. A batch has a few hundred thousand rows at most.
pub(super) fn row_count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns the number of tombstones and of carries of each page of a batch, and the instant at which the last outcome was
/// known, Unix ms.
pub(super) fn by_page(batch: &Batch, fates: &[Fate]) -> (Vec<(u32, u32)>, i64) {
    let mut pages = vec![(0, 0); batch.intent.pages.len()];
    let mut finished_ms = batch.intent.started_ms;
    for (planned, fate) in batch.rows.iter().zip(fates) {
        let (tombstones, carries) = &mut pages[planned.page as usize];
        match fate {
            Fate::Ends { .. } => *tombstones += 1,
            Fate::Carried { .. } => *carries += 1,
        }
        finished_ms = finished_ms.max(fate.time_ms());
    }
    (pages, finished_ms)
}
