//! Destinations of carried rows: the pages that are reserved for what a batch parks.

use super::fates::{Fate, Fates};
use super::summary::row_count;
use crate::enforcement::planner::Backoff;
use crate::model::class::floor_to_second;
use crate::model::schema::{Arrivals, PageRecord, PageRows};
use crate::platform::error::Result;
use crate::state::batch::{Batch, Planned};
use crate::state::core::Core;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::Cause;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Span after which a held row comes into a batch again. Lifting the hold moves it at once. Should that ever fail, this
/// bounds how long the object is forgotten.
const HELD: Duration = Duration::from_hours(30 * 24);
/// Span after which a row comes into a batch again that waits for a lifted hold to restart its clock. The sweep
/// restarts it. Should that ever fail, this bounds how long the object is forgotten.
const RESTART: Duration = Duration::from_mins(1);

/// Page that carried rows go to, with the indices of those rows in the batch.
pub(super) struct Destination {
    pub(super) page: PageRows,
    rows: Vec<usize>,
    arrivals: Arrivals,
    earliest_ceiling: Timestamp,
}

impl Destination {
    /// Yields the index of each row in the batch, with its registration id from now on.
    pub(super) fn registrations(&self) -> impl Iterator<Item = (usize, RegistrationId)> {
        let page = self.page.page;
        (0_u32..).zip(&self.rows).map(move |(seq, index)| (*index, RegistrationId { page, seq }))
    }

    /// Record of the page.
    pub(super) fn record(&self) -> PageRecord {
        PageRecord { arrivals: self.arrivals, earliest_ceiling: self.earliest_ceiling, short_notice: 0 }
    }
}

/// Reserves pages for the rows of a batch that are parked. Returns them in ascending order of their ids.
///
/// A reserved page takes no other rows and enters no batch until the commit has written its rows. A crash before the
/// intent names it loses nothing: no row and no file names the page either.
pub(super) fn reserve(core: &Core, batch: &Batch, fates: &Fates) -> Result<Vec<Destination>> {
    let mut destinations = Vec::new();
    for ((slot, shard, arrivals), rows) in parked_groups(batch, fates) {
        let earliest_ceiling = earliest_ceiling(batch, &rows);
        let n = row_count(rows.len());
        let mut locked = core.schedule.lock(shard.into());
        let page = locked.reserve(&*core.kv, &batch.class, slot, n, arrivals, earliest_ceiling)?;
        drop(locked);
        let page = PageRows { page, rows: n };
        destinations.push(Destination { page, rows, arrivals, earliest_ceiling });
    }
    destinations.sort_by_key(|destination| destination.page.page);
    Ok(destinations)
}

/// Returns the destinations that fates read back from files imply. `None` if the intent reserved other pages.
pub(super) fn read_back(batch: &Batch, fates: &Fates) -> Option<Vec<Destination>> {
    let mut parked: BTreeMap<PageId, (Arrivals, Vec<usize>)> = BTreeMap::new();
    for (index, fate) in fates.of.iter().enumerate() {
        if let (Fate::Carried { cause, .. }, Some(to)) = (*fate, fates.to.get(&index))
            && !is_move(cause)
        {
            parked.entry(to.page).or_insert_with(|| (arrivals(cause), Vec::new())).1.push(index);
        }
    }
    let reserved = batch.intent.to.iter().map(|to| (to.page, to.rows));
    if !parked.iter().map(|(page, (_, rows))| (*page, row_count(rows.len()))).eq(reserved) {
        return None;
    }
    let destination = |(page, (arrivals, rows)): (PageId, (Arrivals, Vec<usize>))| {
        let earliest_ceiling = earliest_ceiling(batch, &rows);
        let page = PageRows { page, rows: row_count(rows.len()) };
        Destination { page, rows, arrivals, earliest_ceiling }
    };
    Some(parked.into_iter().map(destination).collect())
}

/// Returns `true` if a carry of this cause is of a registration that moved before its page settled. Otherwise the batch
/// parked the row.
fn is_move(cause: Cause) -> bool {
    match cause {
        Cause::Failed | Cause::Refused | Cause::Changed | Cause::Floor | Cause::Held => false,
        Cause::Started
        | Cause::Tightened
        | Cause::Loosened
        | Cause::Erasure
        | Cause::Closed
        | Cause::Lifted
        | Cause::Released => true,
    }
}

/// Kind of page that takes rows parked for this cause.
fn arrivals(cause: Cause) -> Arrivals {
    if cause == Cause::Held { Arrivals::Held } else { Arrivals::Carried }
}

/// Groups the parked rows by slot and shard, and held rows apart from the others.
///
/// All delays count from the last outcome of the batch. So there are few groups however long the batch took: one for each
/// number of attempts and shard. That matters because the leaf of a later batch names every page.
fn parked_groups(batch: &Batch, fates: &Fates) -> BTreeMap<(u64, u16, Arrivals), Vec<usize>> {
    let before_floor = batch.rows.iter().zip(&fates.of).filter_map(|(row, fate)| match fate {
        Fate::Carried { cause: Cause::Floor, .. } => Some(batch.row(row)),
        _ => None,
    });
    let last = fates.of.iter().map(|fate| fate.time()).max().unwrap_or(batch.intent.started);
    let after_floors = before_floor.map(|row| batch.class.slot(row.bounds(), last)).max().unwrap_or(0);
    let mut groups = BTreeMap::new();
    for (index, (planned, fate)) in batch.rows.iter().zip(&fates.of).enumerate() {
        let Fate::Carried { cause, .. } = *fate else { continue };
        if fates.to.contains_key(&index) {
            continue;
        }
        let slot = match (cause, planned.plan) {
            (Cause::Floor, _) => after_floors,
            (Cause::Held, Planned::Held { standing: true }) => floor_to_second(last.saturating_add(HELD)),
            (Cause::Held, _) => floor_to_second(last.saturating_add(RESTART)),
            _ => {
                let attempts = batch.row(planned).attempts.saturating_add(1);
                Backoff::DEFAULT.slot(attempts, last)
            }
        };
        let group = (slot, batch.page(planned).shard, arrivals(cause));
        groups.entry(group).or_insert_with(Vec::new).push(index);
    }
    groups
}

/// Returns the earliest ceiling of some rows of a batch; [`Timestamp::MAX`] if none has one.
fn earliest_ceiling(batch: &Batch, rows: &[usize]) -> Timestamp {
    let ceilings = rows.iter().filter_map(|&index| batch.row(&batch.rows[index]).ceiling);
    ceilings.min().unwrap_or(Timestamp::MAX)
}
