//! What a batch adds up to.

use super::fates::Fate;
use crate::plan::Batch;
use crate::schema::{self, Counts};
use sexton_proof::id::{NO_CEILING, NO_FLOOR, SIZE_UNKNOWN};
use sexton_proof::record::{Cause, Method, Reason};

pub(super) struct Summary {
    pub(super) counts: Counts,
    pub(super) pages: Vec<(u32, u32)>,
    pub(super) floor_max_ms: Option<i64>,
    pub(super) ceiling_min_ms: Option<i64>,
    pub(super) finished_ms: i64,
}

impl Summary {
    pub(super) fn of(batch: &Batch, fates: &[Fate]) -> Self {
        let mut all = Summary {
            counts: Counts::default(),
            pages: vec![(0, 0); batch.intent.pages.len()],
            floor_max_ms: None,
            ceiling_min_ms: None,
            finished_ms: batch.intent.started_ms,
        };
        for (planned, fate) in batch.rows.iter().zip(fates) {
            let page = &mut all.pages[planned.page as usize];
            let time_ms = match *fate {
                Fate::Ends { method, time_ms } => {
                    page.0 += 1;
                    let row = batch.row(planned);
                    all.end(&row, method, time_ms);
                    time_ms
                }
                Fate::LivesOn { time_ms, cause, .. } => {
                    page.1 += 1;
                    all.counts.carried += 1;
                    all.counts.held += u64::from(cause == Cause::Held);
                    time_ms
                }
            };
            all.finished_ms = all.finished_ms.max(time_ms);
        }
        all
    }

    fn end(&mut self, row: &schema::Row<'_>, method: Method, time_ms: i64) {
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
        // A replaced registration promised nothing about its own end any more.
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
