//! What finds the keys that were registered last, in memory until it is written out as one sorted run. A random key put
//! into the index by itself costs three quarters of a registration; a hundred thousand of them, sorted, next to nothing.

use crate::schema::{self, FINGERPRINT_BYTES};
use crate::writer::{PoisoningGuard, PoisoningMutex, Writer};
use sexton_proof::id::RegistrationId;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What an object's key is looked for by.
pub(crate) type Fingerprint = [u8; FINGERPRINT_BYTES];

/// One entry: a registration that may be that of a key with this fingerprint.
pub(crate) type Entry = (Fingerprint, RegistrationId);

/// What finds the keys of a shard that were registered last.
#[derive(Default)]
pub(crate) struct Recent {
    table: Table,
    /// What is being written out just now. It is looked at until that is done.
    aside: Option<Arc<Table>>,
    /// How often something was set aside: tells apart what the index keeps of both.
    generation: u64,
}

impl Recent {
    /// Goes on after what an earlier opening had: `entries` under generations up to this one.
    pub(crate) fn restore(&mut self, generation: u64, entries: impl Iterator<Item = Entry>) {
        self.generation = self.generation.max(generation);
        entries.for_each(|(fingerprint, id)| self.table.put(fingerprint, id));
    }

    /// Under which generation the index keeps what is put now.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// How many entries wait to be written out.
    pub(crate) fn len(&self) -> usize {
        self.table.found.len() + self.table.others.len() + self.table.gone.len()
    }

    pub(crate) fn put(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        self.table.put(fingerprint, id);
    }

    /// From here on this entry need not be found any more.
    pub(crate) fn forget(&mut self, fingerprint: Fingerprint, id: RegistrationId) {
        self.table.forget(fingerprint, id);
    }

    /// Calls `visit` for each registration under a fingerprint. It may be one that was forgotten.
    pub(crate) fn each(&self, fingerprint: &Fingerprint, visit: &mut impl FnMut(RegistrationId)) {
        self.table.each(fingerprint, visit);
        if let Some(aside) = &self.aside {
            aside.each(fingerprint, visit);
        }
    }

    /// Sets aside what is to be written out, with the generation the index keeps it under.
    pub(crate) fn set_aside(&mut self) -> (Arc<Table>, u64) {
        let aside = Arc::new(std::mem::take(&mut self.table));
        self.aside = Some(Arc::clone(&aside));
        self.generation += 1;
        (aside, self.generation - 1)
    }

    /// What was set aside is found in the index from here on.
    pub(crate) fn written_out(&mut self) {
        self.aside = None;
    }
}

/// The writing out of what the shards have in memory, one run at a time for all of them.
pub(crate) struct WritingOut {
    one: PoisoningMutex<()>,
    is_due: AtomicBool,
    runs: AtomicU64,
}

impl WritingOut {
    pub(crate) fn new(writer: &Arc<Writer>) -> Self {
        WritingOut {
            one: PoisoningMutex::new((), writer),
            is_due: AtomicBool::new(false),
            runs: AtomicU64::new(0),
        }
    }

    /// A shard has as much in memory as may be.
    pub(crate) fn ask(&self) {
        self.is_due.store(true, Ordering::SeqCst);
    }

    /// Whoever was asked to write out, for as long as it does, from before it takes a shard's lock. `None` where nobody was.
    /// What was asked for may have been done by the one before. Who is asked meanwhile waits here, so that there is never
    /// more than twice as much.
    pub(crate) fn begin(&self) -> Option<PoisoningGuard<'_, ()>> {
        if !self.is_due.load(Ordering::SeqCst) {
            return None;
        }
        let one = self.one.lock();
        self.is_due.swap(false, Ordering::SeqCst).then_some(one)
    }

    /// What was in memory is set aside, and so is what was asked for until now. A shard that was full again since then asks
    /// with the next entry that it gets.
    pub(crate) fn taken(&self) {
        self.is_due.store(false, Ordering::SeqCst);
    }

    /// How many runs were written since opening.
    pub(crate) fn runs(&self) -> u64 {
        self.runs.load(Ordering::SeqCst)
    }

    /// One more run is found by every reader, and memory still has what is in it.
    pub(crate) fn count_run(&self) {
        self.runs.fetch_add(1, Ordering::SeqCst);
    }
}

/// Entries, and entries of earlier runs that need not be found any more.
#[derive(Default)]
pub(crate) struct Table {
    found: HashMap<Fingerprint, RegistrationId, BuildHasherDefault<Folded>>,
    /// Further entries under a fingerprint that has one already.
    others: BTreeSet<Entry>,
    gone: BTreeSet<Entry>,
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
            self.gone.insert((fingerprint, id));
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

    /// Copies all entries, in no order, each with whether it is to be found.
    pub(crate) fn copy_into(&self, all: &mut Vec<(Entry, bool)>) {
        all.extend(self.found.iter().map(|(fingerprint, id)| ((*fingerprint, *id), true)));
        all.extend(self.others.iter().map(|entry| (*entry, true)));
        all.extend(self.gone.iter().map(|entry| (*entry, false)));
    }
}

/// A fingerprint is a hash under a secret already: its last bytes are as good as any other hash of it.
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

    fn found(recent: &Recent, fingerprint: &Fingerprint) -> Vec<u32> {
        let mut seqs = Vec::new();
        recent.each(fingerprint, &mut |id| seqs.push(id.seq));
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
    fn every_entry_is_found_until_it_is_forgotten_or_written_out() {
        let (a, b) = ([1; 16], [2; 16]);
        let mut recent = Recent::default();
        recent.put(a, id(1));
        recent.put(a, id(2));
        recent.put(b, id(3));
        assert_eq!((found(&recent, &a), found(&recent, &b)), (vec![1, 2], vec![3]));
        recent.forget(a, id(1));
        let (aside, generation) = recent.set_aside();
        assert_eq!((generation, recent.generation(), recent.len()), (0, 1, 0));
        assert_eq!(sorted(&aside), [((a, id(2)), true), ((b, id(3)), true)]);
        recent.put(a, id(4));
        recent.forget(a, id(2));
        assert_eq!(found(&recent, &a), [2, 4], "what is being written out is a hint still");
        recent.written_out();
        assert_eq!((found(&recent, &a), found(&recent, &b)), (vec![4], vec![]));
        assert_eq!(sorted(&recent.set_aside().0), [((a, id(2)), false), ((a, id(4)), true)]);
    }
}
