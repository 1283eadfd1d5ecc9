//! Scan of pages and shards for the objects of requests, and the scope of a scan.

use crate::model::class::Class;
use crate::model::hold::HoldKind;
use crate::model::request_rules::Sweep;
use crate::model::schema::{self, Arrivals, Mark, Row};
use crate::model::selector::Selector;
use crate::model::target::Target;
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::placement;
use crate::state::core::Core;
use crate::state::locator::KeyLookup;
use crate::state::marks;
use crate::state::page::{Page, PageState};
use crate::state::shard::Shard;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Range;

/// Rows that may be left when a shard is finished under its lock.
const ROWS_UNDER_LOCK: u64 = 1 << 16;

/// Result of scanning a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// The limit was reached before the end of the page.
    Part,
    /// The page is scanned, or skipped. `rows` counts what was read, at least 1.
    All { rows: u32 },
}

/// Classes that a sweep scans. The value is `true` if it scans only the pages of the class that have marks.
pub(super) type Scope = BTreeMap<ClassId, bool>;

impl Sweep {
    /// Returns `true` if all requests are about keys.
    pub(super) fn is_by_key(&self) -> bool {
        self.active.iter().all(|active| active.keys.is_some())
    }

    /// Returns the classes whose rows are scanned.
    ///
    /// If all requests are about keys, the key index finds the live objects of classes that find by key. Of such a class
    /// only pages with marks are scanned, for the registrations that newer ones replaced.
    pub(super) fn scope(&self, core: &Core) -> Scope {
        let is_by_key = self.is_by_key();
        let is_concerned = |class: &Class| {
            let name = &class.definition.name;
            self.active.iter().any(|active| match (&active.request.selector, &active.newest) {
                (_, Some(newest)) => *name == newest.definition.name && class.id < newest.id,
                (Selector::Class(selected), None) => name == selected,
                _ => true,
            })
        };
        let classes = core.classes.read();
        let concerned = classes.iter().filter(|class| is_concerned(class));
        concerned.map(|class| (class.id, is_by_key && class.finds_by_key())).collect()
    }

    /// Returns the pages of a shard that are in scope and have unscanned rows, with the number of these rows. The pages
    /// ascend.
    pub(super) fn unscanned_pages(&self, shard: &Shard, scope: &Scope, now: Timestamp) -> Vec<(PageId, u32)> {
        let is_about_parked = self.is_about_parked();
        let mut pages = Vec::new();
        shard.each_page(&mut |id, page| {
            let in_scope = scope.get(&id.class).is_some_and(|marked_only| page.has_marks || !marked_only)
                && (!is_about_parked || may_be_parked(page, now));
            let seen = self.seen.get(&id).copied().unwrap_or(0);
            if in_scope && page.rows > seen {
                pages.push((id, page.rows - seen));
            }
        });
        pages.sort_unstable();
        pages
    }

    /// Returns `true` if the sweep looks only for objects that a hold kept past their due slot. That is so if all its
    /// requests are lifted temporary holds.
    fn is_about_parked(&self) -> bool {
        self.active
            .iter()
            .all(|active| active.lifted.as_ref().is_some_and(|hold| hold.terms.kind == HoldKind::Temporary))
    }

    /// Scans the rest of a shard under its lock, and finishes the shard unless a batch has rows that the sweep waits for.
    ///
    /// If much is left, the pages go back to the list instead. Other threads wait for the shard's lock, so they must not
    /// wait for a long scan.
    pub(super) fn finish_shard(&mut self, core: &Core, number: usize, now: Timestamp) -> Result<()> {
        let scope = self.scope(core);
        let mut shard = core.schedule.lock(number);
        self.waiting.retain(|page| {
            usize::from(page.shard) != number
                || shard.page_mut(*page).is_some_and(|found| !found.is_movable())
        });
        let mut left = self.unscanned_pages(&shard, &scope, now);
        left.retain(|(page, _)| !self.waiting.contains(page));
        if left.iter().map(|(_, rows)| u64::from(*rows)).sum::<u64>() > ROWS_UNDER_LOCK {
            self.todo.extend(left.into_iter().map(|(page, _)| page));
            return Ok(());
        }
        for (page, _) in left {
            self.scan_page(core, &mut shard, page, u32::MAX, now)?;
        }
        self.find_by_key(core, &mut shard, now)?;
        if !self.waiting.iter().any(|page| usize::from(page.shard) == number) {
            self.shards.remove(&number);
        }
        Ok(())
    }

    /// Finds the objects of a shard that requests name by key, and moves them.
    fn find_by_key(&mut self, core: &Core, shard: &mut Shard, now: Timestamp) -> Result<()> {
        let mut set = WriteSet::default();
        let staged = self.stage_moves_by_key(core, shard, &mut set, now);
        placement::poison_on_gap(core, &set, staged)?;
        if !set.is_empty() {
            core.writer.write(set)?;
        }
        Ok(())
    }

    fn stage_moves_by_key(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        now: Timestamp,
    ) -> Result<()> {
        for key in self.keys.get(&usize::from(shard.number())).cloned().unwrap_or_default() {
            let encoded = |id: RegistrationId, row: &Row<'_>| {
                let mut bytes = Vec::new();
                row.encode_into(&mut bytes);
                Ok((id, bytes))
            };
            // The lookup runs under the shard's lock: without it, other threads could register the key meanwhile.
            let Some((id, bytes)) = KeyLookup::of(core, &key)?.live(core, shard, encoded)? else { continue };
            let (class, row) = (core.classes.get(id.page.class)?, Row::decode(&bytes)?);
            match shard.page_mut(id.page).map(|page| page.state) {
                Some(PageState::InBatch | PageState::Reserved)
                    if self.active.iter().any(|active| active.may_concern(&class, &row)) =>
                {
                    self.waiting.insert(id.page);
                }
                Some(PageState::Open | PageState::Closed) => {
                    self.apply_requests(core, shard, set, id, Target::of(&class, id, row), now)?;
                    if let Some(keys) = self.keys.get_mut(&usize::from(shard.number())) {
                        keys.remove(&key);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Scans the rows of a page that were not scanned, at most `limit`, and moves the objects of requests.
    ///
    /// The caller holds the shard's lock from before the rows are read until the moves are written, so no other thread
    /// changes them in between.
    pub(super) fn scan_page(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        page: PageId,
        limit: u32,
        now: Timestamp,
    ) -> Result<Scanned> {
        let skipped = Scanned::All { rows: 1 };
        let Some(found) = shard.page_mut(page).copied() else { return Ok(skipped) };
        if found.state == PageState::Reserved {
            // A commit is about to write its rows, and has their old pages.
            self.waiting.insert(page);
            return Ok(skipped);
        }
        let from = self.seen.get(&page).copied().unwrap_or(0);
        let until = found.rows.min(from.saturating_add(limit));
        let mut set = WriteSet::default();
        let rows = RegistrationId { page, seq: from }..RegistrationId { page, seq: until };
        let staged = self.stage_moves_of_page(core, shard, &found, &rows, &mut set, now);
        let scanned = Scanned::All { rows: until.saturating_sub(from).max(1) };
        if !placement::poison_on_gap(core, &set, staged)? {
            return Ok(scanned);
        }
        if !set.is_empty() {
            // The write that finishes the sweep makes this one durable as well. A crash before that loses nothing,
            // because the request still waits and is swept again.
            core.writer.write(set)?;
        }
        if until < found.rows {
            self.seen.insert(page, until);
            return Ok(Scanned::Part);
        }
        // This scan may have put rows of its own behind the scanned ones.
        let own = self.own.remove(&page).unwrap_or_default();
        let mut seen = found.rows;
        while own.contains(&seen) {
            seen += 1;
        }
        self.seen.insert(page, seen);
        Ok(scanned)
    }

    /// Stages the moves of these rows of a page. Returns `false` if the sweep has to wait for the page's batch.
    fn stage_moves_of_page(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        found: &Page,
        rows: &Range<RegistrationId>,
        set: &mut WriteSet,
        now: Timestamp,
    ) -> Result<bool> {
        let page = rows.start.page;
        let class = core.classes.get(page.class)?;
        let marks = if found.has_marks { marks::of_rows(&*core.kv, rows)? } else { BTreeMap::new() };
        let own = self.own.get(&page).cloned().unwrap_or_default();
        // If all requests are about keys, the key index finds what lives. Only replaced registrations are left to the scan.
        let replaced_only = !self.keys.is_empty() && class.finds_by_key();
        for (key, value) in read_rows(core, rows)? {
            let id = schema::parse_row_key(page.class, &key)?;
            if own.contains(&id.seq) || replaced_only && !marks.contains_key(&id) {
                continue;
            }
            let target = Target::of(&class, id, Row::decode(&value)?);
            match marks.get(&id) {
                // The batch may carry the row, also one that was replaced meanwhile: a replaced row that is parked has to
                // be found when it is back.
                None | Some(Mark::Replaced) if found.state == PageState::InBatch => {
                    if self.active.iter().any(|active| active.may_concern(&class, &target.row)) {
                        self.waiting.insert(page);
                        return Ok(false);
                    }
                }
                None => self.apply_requests(core, shard, set, id, target, now)?,
                Some(Mark::Replaced) => self.expedite_replaced(core, shard, set, id, &target, now)?,
                Some(Mark::Moved { .. }) => {}
            }
        }
        Ok(true)
    }
}

/// Returns `true` if a page may have objects that a hold kept past their due slot, or will have them when its batch is
/// done.
fn may_be_parked(page: &Page, now: Timestamp) -> bool {
    page.arrivals == Arrivals::Held || page.earliest_ceiling < now || !page.is_movable()
}

/// Reads rows of a page.
fn read_rows(core: &Core, rows: &Range<RegistrationId>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let range = schema::row_key(rows.start).to_vec()..schema::row_key(rows.end).to_vec();
    kv::collect(&*core.kv, ColumnFamily::Rows(rows.start.page.class), &range, |key, value| {
        Ok((key.to_vec(), value.to_vec()))
    })
}
