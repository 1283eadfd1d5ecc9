//! Sums of a batch: its counts and bounds, and the records of each page.

use super::fates::Fate;
use crate::model::outcomes::Outcomes;
use crate::model::schema::{Counts, Row};
use crate::state::batch::Batch;
use sexton_proof::record::{self, Cause, Method, Reason};
use sexton_proof::time::{Timestamp, whole_ms};

/// Sums of some rows of a batch.
#[derive(Clone, Copy, Default)]
pub(super) struct Summary {
    pub(super) counts: Counts,
    pub(super) outcomes: Outcomes,
    /// Latest floor of the rows that ended in bounds; `None` if none had one.
    pub(super) floor_max: Option<Timestamp>,
    /// Earliest ceiling of the rows that ended in bounds; `None` if none had one.
    pub(super) ceiling_min: Option<Timestamp>,
}

impl Summary {
    /// Adds a row. Returns `true` if it ends by a deletion in bounds.
    pub(super) fn add(&mut self, row: &Row<'_>, fate: Fate) -> bool {
        match fate {
            Fate::Ends { method, time } => self.add_end(row, method, time),
            Fate::Carried { cause, .. } => {
                self.counts.carried += 1;
                self.counts.held += u64::from(cause == Cause::Held);
                match cause {
                    Cause::Failed => self.outcomes.failed += 1,
                    Cause::Refused => self.outcomes.refused += 1,
                    Cause::Changed => self.outcomes.changed += 1,
                    _ => {}
                }
                false
            }
        }
    }

    /// Returns the sums of both.
    pub(super) fn plus(mut self, more: Summary) -> Summary {
        let ceilings = [self.ceiling_min, more.ceiling_min];
        self.counts.add(more.counts);
        self.outcomes.merge(&more.outcomes);
        Summary {
            counts: self.counts,
            outcomes: self.outcomes,
            floor_max: self.floor_max.max(more.floor_max),
            ceiling_min: ceilings.into_iter().flatten().min(),
        }
    }

    fn add_end(&mut self, row: &Row<'_>, method: Method, time: Timestamp) -> bool {
        let is_in_bounds = record::in_bounds(method, time, row.floor, row.ceiling);
        if is_in_bounds {
            // `None` sorts before every instant, so it never wins this maximum. It would win the minimum.
            self.floor_max = self.floor_max.max(row.floor);
            self.ceiling_min = [self.ceiling_min, row.ceiling].into_iter().flatten().min();
        }
        self.count_end(row, method, time);
        is_in_bounds
    }

    fn count_end(&mut self, row: &Row<'_>, method: Method, time: Timestamp) {
        let counts = &mut self.counts;
        match method {
            Method::Deleted => {
                counts.deleted += 1;
                counts.deleted_bytes = counts.deleted_bytes.saturating_add(row.size.unwrap_or(0));
            }
            Method::Absent => counts.absent += 1,
            Method::AbsentAfterIntent => counts.absent_after_intent += 1,
            Method::Replaced => counts.replaced += 1,
            Method::Released => counts.released += 1,
            Method::Anonymised => counts.anonymised += 1,
            Method::Requested => counts.requested += 1,
        }
        // A replaced registration no longer promises anything about its own end.
        if method != Method::Replaced {
            counts.early += u64::from(row.floor.is_some_and(|floor| time < floor));
            let Some(ceiling) = row.ceiling else { return };
            let late = u64::from(time > ceiling);
            if row.end_reason() == Reason::Lifted {
                counts.late_after_hold += late;
            } else {
                counts.late += late;
                self.outcomes.lateness.add(whole_ms(time.since(ceiling)));
            }
        }
    }
}

/// Returns a number of rows as the formats store it. A batch has a few hundred thousand rows at most.
pub(super) fn row_count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns the number of tombstones and of carries of each page of a batch, and the instant at which the last outcome was
/// known.
pub(super) fn by_page(batch: &Batch, fates: &[Fate]) -> (Vec<(u32, u32)>, Timestamp) {
    let mut pages = vec![(0, 0); batch.intent.pages.len()];
    let mut finished = batch.intent.started;
    for (planned, fate) in batch.rows.iter().zip(fates) {
        let (tombstones, carries) = &mut pages[planned.page as usize];
        match fate {
            Fate::Ends { .. } => *tombstones += 1,
            Fate::Carried { .. } => *carries += 1,
        }
        finished = finished.max(fate.time());
    }
    (pages, finished)
}
