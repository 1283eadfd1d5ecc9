//! Page of a class in a shard, as the schedule knows it.

use crate::model::schema::{Arrivals, PageRecord};
use sexton_proof::id::PageId;
use sexton_proof::time::Timestamp;

/// Rows of a full page. Later registrations of the same slot and shard go to the next part.
pub(crate) const PAGE_ROWS_MAX: u32 = 65_536;

/// Stage in the life of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageState {
    /// Takes registrations.
    Open,
    /// Full or closed; waits for its slot.
    Closed,
    /// Belongs to a batch.
    InBatch,
    /// Reserved for rows that a batch carries. They are written by that batch's commit.
    Reserved,
}

/// Counts of a page, held in the wheel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Page {
    pub(crate) part: u16,
    pub(crate) rows: u32,
    pub(crate) state: PageState,
    pub(crate) arrivals: Arrivals,
    /// Lower bound of its rows' ceilings: by the slot's geometry, or as recorded. [`Timestamp::MAX`] if no row has one.
    pub(crate) earliest_ceiling: Timestamp,
    /// `true` if one of its registrations was replaced or moved.
    pub(crate) has_marks: bool,
    /// Number of its rows whose registration lives on in another page.
    pub(crate) moved: u32,
    /// Number of its rows that were registered at short notice: less than a slot before they fall due.
    pub(crate) short_notice: u32,
}

impl Page {
    /// Returns a page of `rows` of which none was marked.
    pub(crate) fn new(
        part: u16,
        rows: u32,
        state: PageState,
        arrivals: Arrivals,
        earliest_ceiling: Timestamp,
    ) -> Self {
        Page { part, rows, state, arrivals, earliest_ceiling, has_marks: false, moved: 0, short_notice: 0 }
    }

    /// Returns the record that is stored beside its rows.
    pub(crate) fn record(&self) -> PageRecord {
        PageRecord {
            arrivals: self.arrivals,
            earliest_ceiling: self.earliest_ceiling,
            short_notice: self.short_notice,
        }
    }

    /// Returns the number of live registrations in this page.
    pub(crate) fn live(&self) -> u32 {
        self.rows - self.moved
    }

    /// Returns the number of live registrations at short notice. A moved registration counts in its new page.
    pub(crate) fn live_at_short_notice(&self) -> u32 {
        self.short_notice.min(self.live())
    }

    /// Returns `true` if its registrations may be moved to other pages: no batch has it.
    pub(crate) fn is_movable(&self) -> bool {
        matches!(self.state, PageState::Open | PageState::Closed)
    }

    /// Returns `true` if a batch may take it.
    pub(crate) fn is_plannable(&self) -> bool {
        self.is_movable() && self.rows > 0
    }
}

/// Page that is due: a candidate for a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DuePage {
    pub(crate) page: PageId,
    pub(crate) rows: u32,
    /// Lower bound of its rows' ceilings; [`Timestamp::MAX`] if no row has one.
    pub(crate) earliest_ceiling: Timestamp,
    pub(crate) short_notice: u32,
}
