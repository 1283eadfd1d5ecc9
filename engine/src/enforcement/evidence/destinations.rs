//! Destinations of carried rows: the pages that are reserved for what a batch parks.

use super::fates::{Fate, Fates};
use super::summary::row_count;
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

/// Span after which a held row comes into a batch again. Lifting the hold moves it at once. If that fails, this span
/// limits the delay.
const HELD: Duration = Duration::from_hours(30 * 24);
/// Span after which a row under a lifted hold, or with a start in doubt, comes into a batch again. The sweep usually corrects
/// its promise earlier. If the sweep fails, this span limits the delay.
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

    /// Returns the record of the page.
    pub(super) fn record(&self) -> PageRecord {
        PageRecord { arrivals: self.arrivals, earliest_ceiling: self.earliest_ceiling, short_notice: 0 }
    }
}

/// Reserves pages for the rows of a batch that are parked. Returns them in ascending order of their ids.
///
/// A reserved page takes no other rows and enters no batch until the commit has written its rows. A crash before the
/// intent names the page loses nothing, because no row and no file names it either.
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

/// Returns the kind of page that takes rows parked for this cause.
fn arrivals(cause: Cause) -> Arrivals {
    if cause == Cause::Held { Arrivals::Held } else { Arrivals::Carried }
}

/// Groups the parked rows by slot and shard, and held rows apart from the others.
///
/// All delays count from the last outcome of the batch. So even a slow batch makes few groups: one for each number of
/// attempts and shard. Rows before their floor or their start need a clock that was wrong; they go to their own slots. Few groups keep the leaf of a later batch short, because it names every page.
fn parked_groups(batch: &Batch, fates: &Fates) -> BTreeMap<(u64, u16, Arrivals), Vec<usize>> {
    let last = fates.of.iter().map(|fate| fate.time()).max().unwrap_or(batch.intent.started);
    let mut groups = BTreeMap::new();
    for (index, (planned, fate)) in batch.rows.iter().zip(&fates.of).enumerate() {
        let Fate::Carried { cause, .. } = *fate else { continue };
        if fates.to.contains_key(&index) {
            continue;
        }
        let slot = match (cause, planned.plan) {
            (Cause::Floor, _) => match batch.class.slot(batch.row(planned).bounds(), last) {
                slot if slot > floor_to_second(last) => slot,
                _ => floor_to_second(last.saturating_add(RESTART)),
            },
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

/// Delays after which a failed deletion is tried again.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Delays from one second, doubled each time, up to an hour.
    const DEFAULT: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_hours(1) };

    /// Returns the slot of the next attempt after `attempts` that failed, the last of them at `now`. A slot begins at a
    /// whole second.
    fn slot(self, attempts: u8, now: Timestamp) -> u64 {
        let doubled = self.first.saturating_mul(1 << attempts.saturating_sub(1).min(30));
        let at = now.saturating_add(doubled.min(self.max));
        u64::try_from(at.unix_ms()).unwrap_or(0).div_ceil(1_000) * 1_000
    }
}

/// Returns the earliest ceiling of some rows of a batch; [`Timestamp::MAX`] if none has one.
fn earliest_ceiling(batch: &Batch, rows: &[usize]) -> Timestamp {
    let ceilings = rows.iter().filter_map(|&index| batch.row(&batch.rows[index]).ceiling);
    ceilings.min().unwrap_or(Timestamp::MAX)
}
