//! Scan of pages and shards for the objects of requests, and the scope of a scan.

use crate::model::class::Class;
use crate::model::request_rules::Sweep;
use crate::model::schema::{self, Arrivals, Mark, Row};
use crate::model::selector::Selector;
use crate::model::target::Target;
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::placement;
use crate::state::core::Core;
use crate::state::locator::{Candidates, RunLookup};
use crate::state::marks;
use crate::state::memtable::Fingerprint;
use crate::state::page::{Page, PageState};
use crate::state::shard::Shard;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Rows that may be left when a shard is finished under its lock.
const ROWS_UNDER_LOCK: u64 = 1 << 16;

/// Keys that are looked up together, and whose objects move in one write.
const KEYS_AT_ONCE: usize = 1_024;

/// Registration with its encoded row, and the key by which it was found.
type FoundByKey<'k> = (RegistrationId, Vec<u8>, &'k Arc<[u8]>);

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
        let mut pages = Vec::new();
        shard.each_page(&mut |id, page| {
            let in_scope = scope.get(&id.class).is_some_and(|marked_only| page.has_marks || !marked_only)
                && (!self.is_about_held || may_be_held(id, page, now));
            let seen = self.seen.get(&id).copied().unwrap_or(0);
            if in_scope && page.rows > seen {
                pages.push((id, page.rows - seen));
            }
        });
        pages.sort_unstable();
        pages
    }

    /// Scans the rest of a shard under its lock, and finishes the shard unless a batch has rows that the sweep waits for.
    ///
    /// If much is left, the pages go back to the list instead. Other threads wait for the shard's lock, so they must not
    /// wait for a long scan.
    pub(super) fn finish_shard(&mut self, core: &Core, number: usize, now: Timestamp) -> Result<()> {
        let scope = self.scope(core);
        let mut shard = core.schedule.lock(number);
        let waiting = self.waiting.len();
        self.waiting.retain(|page| {
            usize::from(page.shard) != number
                || shard.page_mut(*page).is_some_and(|found| !found.is_movable())
        });
        let is_waiting = |sweep: &Self| sweep.waiting.iter().any(|page| usize::from(page.shard) == number);
        if self.waiting.len() < waiting || !is_waiting(self) {
            // A batch is done that may have carried their objects.
            let again = self.keys_in_batches.remove(&number);
            self.keys.extend(again.map(|keys| (number, keys)));
        }
        let mut left = self.unscanned_pages(&shard, &scope, now);
        left.retain(|(page, _)| !self.waiting.contains(page));
        if left.iter().map(|(_, rows)| u64::from(*rows)).sum::<u64>() > ROWS_UNDER_LOCK {
            self.todo.extend(left.into_iter().map(|(page, _)| page));
            return Ok(());
        }
        for (page, _) in left {
            self.scan_page(core, &mut shard, page, u32::MAX, now)?;
        }
        if !is_waiting(self) && !self.keys.contains_key(&number) {
            self.shards.remove(&number);
        }
        Ok(())
    }

    /// Looks up some keys that requests name, at most `limit`, and moves their objects. Returns the number of keys; `None` if
    /// there is no key to look up.
    ///
    /// A request is about the objects that have one of its keys, as current or first key, when that key is looked up. So
    /// each lookup has locks of its own. The caller holds the planner's lock, so no rename takes an object from one shard to
    /// another during a lookup.
    pub(super) fn look_up_keys(&mut self, core: &Core, limit: u32, now: Timestamp) -> Result<Option<u32>> {
        let Some((&home, left)) = self.keys.iter_mut().next() else { return Ok(None) };
        let count = left.len().min(KEYS_AT_ONCE).min(usize::try_from(limit).unwrap_or(usize::MAX));
        let keys: Vec<_> = left.drain(..count).collect();
        if left.is_empty() {
            self.keys.remove(&home);
        }
        let located = core.schedule.locate_each(keys.iter().map(|key| &**key));
        // The runs are searched without a shard's lock, because that may read the disk.
        let runs = RunLookup::of(core, located.iter().map(|(_, fingerprint)| *fingerprint).collect())?;
        let keys: Vec<(Arc<[u8]>, Fingerprint)> =
            keys.into_iter().zip(located.into_iter().map(|(_, fingerprint)| fingerprint)).collect();
        // The entries of first keys lie in the shards of the rows, which may be any.
        for number in 0..core.schedule.shards() {
            self.move_by_key(core, &mut core.schedule.lock(number), &keys, runs.clone(), now)?;
        }
        Ok(Some(u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// Moves the objects of a shard that have one of the keys, in one write. `runs` is the lookup of the keys.
    fn move_by_key(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        keys: &[(Arc<[u8]>, Fingerprint)],
        runs: RunLookup,
        now: Timestamp,
    ) -> Result<()> {
        let candidates = Candidates::of(core, shard, runs)?;
        if candidates.is_empty() {
            return Ok(());
        }
        let mut found: Vec<FoundByKey<'_>> = Vec::new();
        for (key, fingerprint) in keys {
            candidates.each_named(core, shard, fingerprint, key, |id, row| {
                found.push((id, row.encode(), key));
                Ok(())
            })?;
        }
        let mut set = WriteSet::default();
        let staged = self.stage_moves_by_key(core, shard, &mut set, &found, now);
        placement::poison_on_gap(core, &set, staged)?;
        if !set.is_empty() {
            core.writer.write(set)?;
        }
        Ok(())
    }

    /// Stages the moves of objects with the keys by which they were found. An object may have been found by both its keys.
    fn stage_moves_by_key(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        found: &[FoundByKey<'_>],
        now: Timestamp,
    ) -> Result<()> {
        let number = usize::from(shard.number());
        // The value is `true` if the sweep waits for the object's batch.
        let mut staged: HashMap<RegistrationId, bool> = HashMap::new();
        for (id, bytes, key) in found {
            let waits = match staged.get(id) {
                Some(waits) => *waits,
                None => self.stage_move_of(core, shard, set, (*id, bytes), now)?,
            };
            staged.insert(*id, waits);
            if waits {
                // A rename after the batch may take the current key from the object, so both keys are looked up again.
                self.keys_in_batches.entry(number).or_default().push_back(Arc::clone(key));
                self.shards.insert(number);
            }
        }
        Ok(())
    }

    /// Stages the move of one object. Returns `true` if the sweep has to wait for a batch that has it.
    fn stage_move_of(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        (id, bytes): (RegistrationId, &[u8]),
        now: Timestamp,
    ) -> Result<bool> {
        let (class, row) = (core.classes.get(id.page.class)?, Row::decode(bytes)?);
        match shard.page_mut(id.page).map(|page| page.state) {
            Some(PageState::InBatch | PageState::Reserved)
                if self.active.iter().any(|active| active.may_concern(&class, &row)) =>
            {
                self.waiting.insert(id.page);
                Ok(true)
            }
            Some(PageState::Open | PageState::Closed) => {
                self.apply_requests(core, shard, set, id, Target::of(&class, id, row), now)?;
                Ok(false)
            }
            _ => Ok(false),
        }
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
        let replaced_only = self.is_by_key() && class.finds_by_key();
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

/// Returns `true` if a page may have objects whose slot came under a hold, or will have them when its batch is done.
fn may_be_held(id: PageId, page: &Page, now: Timestamp) -> bool {
    let has_come = id.slot_start() <= now || page.earliest_ceiling < now;
    page.arrivals != Arrivals::Single || has_come || !page.is_movable()
}

/// Reads rows of a page.
fn read_rows(core: &Core, rows: &Range<RegistrationId>) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let range = schema::row_key(rows.start).to_vec()..schema::row_key(rows.end).to_vec();
    kv::collect(&*core.kv, ColumnFamily::Rows(rows.start.page.class), &range, |key, value| {
        Ok((key.to_vec(), value.to_vec()))
    })
}
