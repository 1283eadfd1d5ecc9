//! Memtable of the key index: recent entries in memory, flushed as one sorted run.
//!
//! Writing one random key into the index costs three quarters of a registration. Writing a hundred thousand of them sorted
//! costs almost nothing.

use crate::model::schema::{self, FINGERPRINT_BYTES};
use crate::state::lock_order::Rank;
use crate::state::writer::{PoisoningGuard, PoisoningMutex, Writer};
use sexton_proof::id::RegistrationId;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Keyed hash of an object's key, by which the key index finds it.
pub(crate) type Fingerprint = [u8; FINGERPRINT_BYTES];

/// Entry of the key index: a registration whose key may have this fingerprint.
pub(crate) type Entry = (Fingerprint, RegistrationId);

/// Memtable of one shard.
#[derive(Default)]
pub(crate) struct Memtable {
    table: Table,
    /// Frozen table that is being flushed. Lookups read it until the flush is done.
    frozen: Option<Arc<Table>>,
    /// Number of freezes. It keeps the pending entries of the table and of the frozen one apart in the index.
    generation: u64,
}

impl Memtable {
    /// Restores the entries of an earlier opening, which are pending under generations up to `generation`.
    pub(crate) fn restore(&mut self, generation: u64, entries: impl Iterator<Item = Entry>) {
        self.generation = self.generation.max(generation);
        entries.for_each(|(fingerprint, id)| self.table.put(fingerprint, id));
    }

    /// Returns the generation under which new entries are pending in the index.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the number of entries and removals that are not frozen.
    pub(crate) fn len(&self) -> usize {
        self.table.found.len() + self.table.others.len() + self.table.removed.len()
    }

    /// Adds an entry.
    pub(crate) fn put(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        self.table.put(fingerprint, id);
    }

    /// Removes an entry. If a run has it, the removal is flushed as well.
    pub(crate) fn forget(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        self.table.forget(fingerprint, id);
    }

    /// Calls `visit` for each registration under a fingerprint, frozen entries included. Some may have been removed since.
    pub(crate) fn each(&self, fingerprint: &Fingerprint, visit: &mut impl FnMut(RegistrationId)) {
        self.table.each(fingerprint, visit);
        if let Some(frozen) = &self.frozen {
            frozen.each(fingerprint, visit);
        }
    }

    /// Freezes the table for a flush. Returns it with the generation of its pending entries.
    pub(crate) fn freeze(&mut self) -> (Arc<Table>, u64) {
        let frozen = Arc::new(std::mem::take(&mut self.table));
        self.frozen = Some(Arc::clone(&frozen));
        self.generation += 1;
        (frozen, self.generation - 1)
    }

    /// Drops the frozen table: its entries are in a run now.
    pub(crate) fn flushed(&mut self) {
        self.frozen = None;
    }
}

/// Coordinates flushing of all shards' memtables into one run.
pub(crate) struct FlushQueue {
    flushing: PoisoningMutex<()>,
    is_requested: AtomicBool,
    generation: AtomicU64,
}

impl FlushQueue {
    pub(crate) fn new(writer: &Arc<Writer>) -> Self {
        FlushQueue {
            flushing: PoisoningMutex::new(Rank::Flush, (), writer),
            is_requested: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        }
    }

    /// Requests a flush: a shard's memtable is full.
    pub(crate) fn request(&self) {
        self.is_requested.store(true, Ordering::SeqCst);
    }

    /// Returns the flush lock if a flush is requested. Take it before any shard lock.
    ///
    /// Returns `None` as well if another thread flushed while this one waited. Threads that find their memtable full
    /// meanwhile wait here too, so a memtable never grows beyond twice its limit.
    pub(crate) fn acquire(&self) -> Option<PoisoningGuard<'_, ()>> {
        if !self.is_requested.load(Ordering::SeqCst) {
            return None;
        }
        let guard = self.flushing.lock();
        self.is_requested.swap(false, Ordering::SeqCst).then_some(guard)
    }

    /// Clears requests that the flush under way serves, because all memtables are frozen. A shard that filled up again
    /// since then requests another flush with its next entry.
    pub(crate) fn clear(&self) {
        self.is_requested.store(false, Ordering::SeqCst);
    }

    /// Returns the number of runs written since opening.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Counts one more run. Every reader finds it by now, and the frozen tables still have its entries.
    pub(crate) fn bump_generation(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

/// Entries, and removals of entries that earlier runs have.
#[derive(Default)]
pub(crate) struct Table {
    found: HashMap<Fingerprint, RegistrationId, BuildHasherDefault<Folded>>,
    /// Further entries under a fingerprint that is in `found`.
    others: BTreeSet<Entry>,
    removed: BTreeSet<Entry>,
}

impl Table {
    fn put(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        if let Some(other) = self.found.insert(fingerprint, id).filter(|other| *other != id) {
            self.others.insert((fingerprint, other));
        }
    }

    fn forget(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        if self.found.get(&fingerprint) == Some(&id) {
            self.found.remove(&fingerprint);
        } else if !self.others.remove(&(fingerprint, id)) {
            self.removed.insert((fingerprint, id));
        }
    }

    fn each(&self, fingerprint: &Fingerprint, visit: &mut impl FnMut(RegistrationId)) {
        self.found.get(fingerprint).into_iter().for_each(|id| visit(*id));
        if !self.others.is_empty() {
            let from = (*fingerprint, schema::FIRST_ID);
            let others = self.others.range(from..).take_while(|(other, _)| other == fingerprint);
            others.for_each(|(_, id)| visit(*id));
        }
    }

    /// Copies all entries and removals in no order. The flag is `true` for an entry.
    pub(crate) fn copy_into(&self, all: &mut Vec<(Entry, bool)>) {
        all.extend(self.found.iter().map(|(fingerprint, id)| ((*fingerprint, *id), true)));
        all.extend(self.others.iter().map(|entry| (*entry, true)));
        all.extend(self.removed.iter().map(|entry| (*entry, false)));
    }
}

/// Hasher that takes a fingerprint's last bytes. A fingerprint is a hash under a secret already.
#[derive(Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.last_chunk().map_or(0, |last| u64::from_be_bytes(*last));
    }

    fn write_usize(&mut self, _length: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_proof::id::PageId;

    fn id(seq: u32) -> RegistrationId {
        RegistrationId { page: PageId { class: 1, slot: 2, shard: 0, part: 0 }, seq }
    }

    fn found(memtable: &Memtable, fingerprint: &Fingerprint) -> Vec<u32> {
        let mut seqs = Vec::new();
        memtable.each(fingerprint, &mut |id| seqs.push(id.seq));
        seqs.sort_unstable();
        seqs
    }

    fn sorted(table: &Table) -> Vec<(Entry, bool)> {
        let mut all = Vec::new();
        table.copy_into(&mut all);
        all.sort_unstable();
        all
    }

    #[test]
    fn entries_are_found_until_removed_or_flushed() {
        let (a, b) = ([1; 16], [2; 16]);
        let mut memtable = Memtable::default();
        memtable.put(a, id(1));
        memtable.put(a, id(2));
        memtable.put(b, id(3));
        assert_eq!((found(&memtable, &a), found(&memtable, &b)), (vec![1, 2], vec![3]));
        memtable.forget(a, id(1));
        let (frozen, generation) = memtable.freeze();
        assert_eq!((generation, memtable.generation(), memtable.len()), (0, 1, 0));
        assert_eq!(sorted(&frozen), [((a, id(2)), true), ((b, id(3)), true)]);
        memtable.put(a, id(4));
        memtable.forget(a, id(2));
        assert_eq!(found(&memtable, &a), [2, 4], "a frozen entry is still found");
        memtable.flushed();
        assert_eq!((found(&memtable, &a), found(&memtable, &b)), (vec![4], vec![]));
        assert_eq!(sorted(&memtable.freeze().0), [((a, id(2)), false), ((a, id(4)), true)]);
    }
}
