//! What the engine is doing, for people and monitors: read from the index as of one instant.

use crate::core::Core;
use crate::error::Result;
use crate::index::PageState;
use crate::kv::{Family, Order};
use crate::schema::{self, Counts, Row};
use sexton_proof::id::{ClassId, PageId};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Whether the engine does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Running,
    /// The log here is not the one that was published: nothing is signed, registered or deleted.
    Forked(String),
    /// A write failed: nothing more is written until the engine is reopened.
    Poisoned(String),
}

/// The engine as of one instant.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether it does its work.
    pub state: State,
    /// The instant, Unix ms.
    pub as_of_ms: i64,
    /// The log's origin line.
    pub origin: String,
    /// Entries of the log.
    pub log_size: u64,
    /// Of those, the published ones.
    pub published_size: u64,
    /// Why the last publication failed, where it did.
    pub publish_error: Option<String>,
    /// Batches handed out and not yet committed.
    pub batches_in_flight: u64,
    /// By class name; versions of a class together.
    pub classes: BTreeMap<String, ClassStatus>,
}

/// One class as of one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStatus {
    /// Registrations that have not ended.
    pub live: u64,
    /// Of those, the ones whose slot has begun.
    pub due: u64,
    /// Of those, the ones whose ceiling has passed: late.
    pub overdue: u64,
    /// The earliest ceiling among the overdue.
    pub oldest_overdue_ms: Option<i64>,
    /// How the others ended.
    pub ended: Counts,
}

impl ClassStatus {
    /// Registrations ever made.
    pub fn registered(&self) -> u64 {
        self.live + self.ended.ended()
    }
}

/// Reads the status. It costs a look at every page, and at the rows of those that may be overdue.
pub(crate) fn status(core: &Core, now_ms: i64) -> Result<Status> {
    let (log_size, published_size, publish_error, counts) = {
        let ledger = core.ledger.lock();
        (ledger.log.size(), ledger.published, ledger.publish_error.clone(), ledger.counts.clone())
    };
    let mut by_class: BTreeMap<ClassId, ClassStatus> = BTreeMap::new();
    let mut suspects: Vec<PageId> = Vec::new();
    let now = u64::try_from(now_ms).unwrap_or(0);
    core.index.each_page(&mut |id, page| {
        if page.state == PageState::Reserved {
            return; // Its rows are still where they come from.
        }
        let class = by_class.entry(id.class).or_default();
        class.live += u64::from(page.rows);
        if id.slot <= now {
            class.due += u64::from(page.rows);
        }
        if page.earliest_ceiling_ms < now_ms {
            suspects.push(id);
        }
    });
    for page in suspects {
        count_overdue(core, page, now_ms, by_class.entry(page.class).or_default())?;
    }
    let mut classes: BTreeMap<String, ClassStatus> = BTreeMap::new();
    for class in core.classes.read().iter() {
        let mut one = by_class.remove(&class.id).unwrap_or_default();
        one.ended = counts.get(&class.id).copied().unwrap_or_default();
        classes.entry(class.definition.name.clone()).or_default().add(one);
    }
    let state = match (&core.forked, core.writer.poisoned()) {
        (Some(why), _) => State::Forked(why.clone()),
        (None, Some(why)) => State::Poisoned(why),
        (None, None) => State::Running,
    };
    Ok(Status {
        state,
        as_of_ms: now_ms,
        origin: core.origin.clone(),
        log_size,
        published_size,
        publish_error,
        batches_in_flight: core.in_flight.load(Ordering::SeqCst),
        classes,
    })
}

impl ClassStatus {
    fn add(&mut self, other: ClassStatus) {
        self.live += other.live;
        self.due += other.due;
        self.overdue += other.overdue;
        self.oldest_overdue_ms = match (self.oldest_overdue_ms, other.oldest_overdue_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.ended.add(other.ended);
    }
}

fn count_overdue(core: &Core, page: PageId, now_ms: i64, class: &mut ClassStatus) -> Result<()> {
    let range = schema::page_rows(page);
    let mut failure = None;
    core.kv.scan(Family::Rows(page.class), &range.start..&range.end, Order::Ascending, &mut |_, value| {
        match Row::decode(value) {
            Ok(row) if row.ceiling_ms < now_ms => {
                class.overdue += 1;
                let oldest = class.oldest_overdue_ms.map_or(row.ceiling_ms, |c| c.min(row.ceiling_ms));
                class.oldest_overdue_ms = Some(oldest);
                ControlFlow::Continue(())
            }
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failure.map_or(Ok(()), Err)
}
