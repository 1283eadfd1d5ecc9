//! Schedule: the in-memory wheels of all shards. They assign registrations to pages and find the pages that are due.
//!
//! The wheels hold counts of pages, never objects, and every opening rebuilds them from the rows. They are a hint; the rows
//! in the index are the truth.

use crate::model::schema::{FINGERPRINT_BYTES, PageRows, RegisteredTotals};
use crate::platform::error::Result;
use crate::state::lock_order::Rank;
use crate::state::memtable::FlushQueue;
use crate::state::page::{DuePage, Page, PageState};
use crate::state::shard::Shard;
use crate::state::writer::{PoisoningGuard, PoisoningMutex, ReadGuard, Writer};
use sexton_proof::blake3_many::{Messages, Mode};
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys that are hashed together, so that a large call needs little memory for it.
const LOCATED_AT_ONCE: usize = 1_024;

/// Shards of an engine.
pub(crate) struct Schedule {
    shards: Vec<PoisoningMutex<Shard>>,
    /// Coordinates flushing of all shards' memtables.
    pub(crate) flush_queue: FlushQueue,
    /// Key of the hash that assigns keys to shards.
    secret: [u8; 32],
}

impl Schedule {
    /// Returns a schedule of `shards` empty shards. A panic under a shard's lock poisons `writer`.
    pub(crate) fn new(shards: u16, secret: [u8; 32], writer: &Arc<Writer>) -> Self {
        Schedule {
            shards: (0..shards)
                .map(|number| PoisoningMutex::new(Rank::Shard(number), Shard::new(number), writer))
                .collect(),
            flush_queue: FlushQueue::new(writer),
            secret,
        }
    }

    /// Returns for each key its shard, and the fingerprint under which the key index has it.
    ///
    /// Both come from one hash under the engine's secret, so an outsider can neither aim at a shard nor recognise a key.
    pub(crate) fn locate_each<'k>(
        &self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> Vec<(usize, [u8; FINGERPRINT_BYTES])> {
        let located = |hash: [u8; 32]| {
            let (mut fingerprint, mut number) = ([0; FINGERPRINT_BYTES], [0; 4]);
            fingerprint.copy_from_slice(&hash[..FINGERPRINT_BYTES]);
            number.copy_from_slice(&hash[FINGERPRINT_BYTES..FINGERPRINT_BYTES + 4]);
            (u32::from_be_bytes(number) as usize % self.shards.len(), fingerprint)
        };
        let mut keys = keys.peekable();
        let (mut all, mut messages) = (Vec::new(), Messages::default());
        while keys.peek().is_some() {
            for key in keys.by_ref().take(LOCATED_AT_ONCE) {
                messages.push(|out| {
                    out.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_be_bytes());
                    out.extend_from_slice(key);
                });
            }
            all.extend(messages.hash_each(Mode::Keyed(&self.secret)).into_iter().map(located));
            messages.clear();
        }
        all
    }

    /// Returns the shard and the fingerprint of one key.
    pub(crate) fn locate(&self, key: &[u8]) -> (usize, [u8; FINGERPRINT_BYTES]) {
        self.locate_each(std::iter::once(key)).pop().unwrap_or_default()
    }

    /// Locks a shard.
    pub(crate) fn lock(&self, shard: usize) -> PoisoningGuard<'_, Shard> {
        self.shards[shard].lock()
    }

    /// Locks a shard for reading only.
    pub(crate) fn lock_read(&self, shard: usize) -> ReadGuard<'_, Shard> {
        self.shards[shard].lock_read()
    }

    /// Locks all shards, in ascending order.
    pub(crate) fn lock_all(&self) -> Vec<PoisoningGuard<'_, Shard>> {
        self.shards.iter().map(PoisoningMutex::lock).collect()
    }

    /// Returns the pages that may have replaced or moved registrations. A page that is not in the wheel is among them,
    /// because its marks are unknown.
    pub(crate) fn marked(&self, pages: impl Iterator<Item = PageId>) -> Vec<PageId> {
        let mut marked = Vec::new();
        self.visit(pages, |shard, page| {
            if shard.page_mut(page).is_none_or(|found| found.has_marks) {
                marked.push(page);
            }
        });
        marked
    }

    /// Calls `visit` for each page with its locked shard. The lock is kept from one page to the next of the same shard.
    fn visit(&self, pages: impl Iterator<Item = PageId>, mut visit: impl FnMut(&mut Shard, PageId)) {
        let mut locked: Option<PoisoningGuard<'_, Shard>> = None;
        for page in pages {
            // Released before the next lock is taken: the pages need not be in the order of the shards.
            let shard = match locked.take().filter(|shard| shard.number() == page.shard) {
                Some(shard) => locked.insert(shard),
                None => locked.insert(self.lock(page.shard.into())),
            };
            visit(shard, page);
        }
    }

    /// Returns the number of shards.
    pub(crate) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Returns the beginning of the earliest slot with a page.
    pub(crate) fn next_slot(&self) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.lock_read().next_slot()).min()
    }

    /// Returns the beginning of the earliest slot with a page that a batch may take.
    pub(crate) fn next_plannable_slot(&self) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.lock_read().next_plannable_slot()).min()
    }

    /// Calls `visit` for the due pages that `may_go` accepts: up to `limit` of each class and shard, earliest slots first.
    /// Visits all classes, or only `class` if it is given.
    pub(crate) fn each_due(
        &self,
        now: Timestamp,
        limit: usize,
        class: Option<ClassId>,
        may_go: &dyn Fn(&DuePage) -> bool,
        visit: &mut dyn FnMut(DuePage),
    ) {
        for shard in &self.shards {
            shard.lock().each_due(now, limit, class, may_go, visit);
        }
    }

    /// Assigns the pages to a batch, so that they take no more rows. Returns each with its number of rows.
    pub(crate) fn take(&self, pages: &[PageId]) -> Vec<PageRows> {
        let mut taken = Vec::with_capacity(pages.len());
        self.visit(pages.iter().copied(), |shard, page| {
            if let Some(found) = shard.page_mut(page) {
                found.state = PageState::InBatch;
                taken.push(PageRows { page, rows: found.rows });
            }
        });
        taken
    }

    /// Removes settled pages from the wheels.
    pub(crate) fn settle(&self, pages: &[PageRows]) {
        self.visit(pages.iter().map(|rows| rows.page), Shard::settle);
    }

    /// Turns reserved pages, whose rows are written now, into closed ones that wait for their slot.
    pub(crate) fn close(&self, pages: &[PageRows]) {
        self.visit(pages.iter().map(|rows| rows.page), |shard, page| {
            if let Some(found) = shard.page_mut(page) {
                found.state = PageState::Closed;
            }
        });
    }

    /// Forbids new pages of `class` that begin before `slot`. Returns those that exist, in ascending order.
    pub(crate) fn fence(&self, class: ClassId, slot: u64) -> Result<Vec<PageId>> {
        let mut pages = Vec::new();
        for shard in &self.shards {
            shard.lock().fence(class, slot, &mut |page| pages.push(page))?;
        }
        pages.sort_unstable();
        Ok(pages)
    }

    /// Allows new pages in slots that earlier calls of [`Schedule::fence`] forbade. No reclaim pass is under way.
    pub(crate) fn remove_fences(&self) {
        for shard in &self.shards {
            shard.lock().remove_fences();
        }
    }

    /// Returns the totals of all registrations ever made, by class.
    pub(crate) fn registered_totals(&self) -> BTreeMap<ClassId, RegisteredTotals> {
        let mut all: BTreeMap<ClassId, RegisteredTotals> = BTreeMap::new();
        for shard in &self.shards {
            for (class, totals) in shard.lock_read().registered_totals() {
                let total = all.entry(class).or_default();
                total.objects += totals.objects;
                total.bytes = total.bytes.saturating_add(totals.bytes);
            }
        }
        all
    }

    /// Calls `visit` for every page in the wheels.
    pub(crate) fn each_page(&self, visit: &mut dyn FnMut(PageId, &Page)) {
        for shard in &self.shards {
            shard.lock_read().each_page(visit);
        }
    }
}
