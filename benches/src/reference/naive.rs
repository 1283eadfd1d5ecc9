//! The layout that one would begin with: a row to find what is due, and a second row under a random key to find the
//! object. Same RocksDB, same bytes, same fsyncs as everybody here.
//!
//! `due` holds (class, slot, id) with nothing behind it; `objects` holds the row under the id. Where the host keeps
//! what registration gave it, the id is drawn at random. Where objects are found by key, it is the key's hash: then the
//! same key finds its row, and registering it again replaces, for which the old row has to be read.

use super::rocks::{Db, options};
use crate::{CALL, CLASSES, KEY_BYTES, ROW_BYTES, ROW_HEAD_BYTES, Result, SLOT_MS, Workload, share};
use rocksdb::{BoundColumnFamily, ColumnFamilyDescriptor, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

type Family<'a> = Arc<BoundColumnFamily<'a>>;

const DUE: &str = "due";
const OBJECTS: &str = "objects";
/// class · slot · id.
pub(super) const DUE_KEY_BYTES: usize = 1 + 8 + ID_BYTES;
const ID_BYTES: usize = 16;
/// With four it was faster than with one, whatever the engine has.
const LOCKS: usize = 4;

/// Its two column families in a RocksDB with the options of the others.
pub struct Naive {
    pub(super) db: Db,
    /// Rows of one key are changed under its lock, so that two calls cannot both replace it.
    locks: [Mutex<()>; LOCKS],
}

impl Naive {
    /// A new one in `folder`.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(folder: &Path) -> Result<Self> {
        let (options, family) = options();
        let families = [DUE, OBJECTS].map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
        let db = Db::open_cf_descriptors(&options, folder.join("naive"), families)?;
        Ok(Naive { db, locks: [(); LOCKS].map(Mutex::new) })
    }

    /// Registers everything under ids drawn at random: two rows each in a write batch per call, then an fsync of the log.
    ///
    /// # Errors
    /// What RocksDB answers.
    pub fn register(&self, work: &Workload) -> Result<()> {
        share(work.calls, |call| {
            let (class, places) = work.call(call);
            let (due, objects) = self.families()?;
            let mut batch = batch();
            for place in places {
                let id = random_id(class, place);
                batch.put_cf(&due, due_key(class, slot(work, place), &id), []);
                batch.put_cf(&objects, id, row(work, class, place));
            }
            self.write(batch)?;
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Registers everything so that it is found by key, and what comes again replaces what was there.
    ///
    /// # Errors
    /// What RocksDB answers.
    pub fn register_by_key(&self, work: &Workload) -> Result<()> {
        share(work.calls, |call| {
            let (class, places) = work.call(call);
            let mut by_lock: [Vec<([u8; ID_BYTES], usize)>; LOCKS] = Default::default();
            for place in places {
                let id = id_of_key(work.key(class, place).0);
                by_lock[usize::from(id[0]) % LOCKS].push((id, place));
            }
            for (lock, items) in self.locks.iter().zip(&by_lock) {
                let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                self.replace(work, class, items)?;
            }
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Writes objects of one lock in the place of what is there under their keys.
    fn replace(&self, work: &Workload, class: usize, items: &[([u8; ID_BYTES], usize)]) -> Result<()> {
        let (due, objects) = self.families()?;
        let earlier = self.db.batched_multi_get_cf(&objects, items.iter().map(|(id, _)| id), false);
        let mut batch = batch();
        for ((id, place), earlier) in items.iter().zip(earlier) {
            if let Some(earlier) = earlier? {
                batch.delete_cf(&due, due_key(class, earlier_slot(&earlier)?, id));
            }
            batch.put_cf(&due, due_key(class, slot(work, *place), id), []);
            batch.put_cf(&objects, id, row(work, class, *place));
        }
        self.write(batch)
    }

    /// How many rows there are to find what is due, and how many objects.
    ///
    /// # Errors
    /// What RocksDB answers.
    pub fn rows(&self) -> Result<(usize, usize)> {
        let (due, objects) = self.families()?;
        let count = |family: &Family<'_>| -> Result<usize> {
            let mut rows = self.db.raw_iterator_cf(family);
            rows.seek_to_first();
            let mut n = 0;
            while rows.valid() {
                n += 1;
                rows.next();
            }
            rows.status()?;
            Ok(n)
        };
        Ok((count(&due)?, count(&objects)?))
    }

    pub(super) fn families(&self) -> Result<(Family<'_>, Family<'_>)> {
        let family = |name| self.db.cf_handle(name).ok_or("no such family");
        Ok((family(DUE)?, family(OBJECTS)?))
    }

    pub(super) fn write(&self, batch: WriteBatch) -> Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(false);
        Ok(self.db.write_opt(batch, &options)?)
    }
}

fn batch() -> WriteBatch {
    WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + DUE_KEY_BYTES + ID_BYTES + 16))
}

/// As good as drawn at random, and the same in every run.
fn random_id(class: usize, place: usize) -> [u8; ID_BYTES] {
    let number = (place * CLASSES + class) as u64 * 2;
    let mut id = [0; ID_BYTES];
    id[..8].copy_from_slice(&crate::workload::scattered(number).to_be_bytes());
    id[8..].copy_from_slice(&crate::workload::scattered(number + 1).to_be_bytes());
    id
}

fn id_of_key(key: &[u8]) -> [u8; ID_BYTES] {
    debug_assert_eq!(key.len(), KEY_BYTES);
    let mut id = [0; ID_BYTES];
    id.copy_from_slice(&blake3::keyed_hash(&[9; 32], key).as_bytes()[..ID_BYTES]);
    id
}

fn slot(work: &Workload, place: usize) -> u64 {
    (place / work.per_slot) as u64 * SLOT_MS.unsigned_abs()
}

/// The slot stands in the row, where it is found again when the object is replaced.
fn row(work: &Workload, class: usize, place: usize) -> [u8; ROW_BYTES] {
    let mut row = [0; ROW_BYTES];
    row[2..10].copy_from_slice(&work.start_ms(place).to_be_bytes());
    row[10..18].copy_from_slice(&slot(work, place).to_be_bytes());
    row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, place));
    row
}

fn earlier_slot(row: &[u8]) -> Result<u64> {
    let bytes = row.get(10..18).ok_or("a row is too short")?;
    Ok(u64::from_be_bytes(bytes.try_into()?))
}

pub(super) fn due_key(class: usize, slot: u64, id: &[u8]) -> [u8; DUE_KEY_BYTES] {
    let mut key = [0; DUE_KEY_BYTES];
    key[0] = u8::try_from(class).unwrap_or(u8::MAX);
    key[1..9].copy_from_slice(&slot.to_be_bytes());
    key[9..].copy_from_slice(id);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_by_key_replaces_and_what_has_an_id_of_its_own_does_not() {
        let work = Workload::again(80_000, 1_000);
        let folder = tempfile::tempdir().unwrap();
        let naive = Naive::open(folder.path()).unwrap();
        naive.register_by_key(&work).unwrap();
        let live = work.len() - CLASSES * 1_200;
        assert_eq!(naive.rows().unwrap(), (live, live));

        let other = tempfile::tempdir().unwrap();
        let naive = Naive::open(other.path()).unwrap();
        naive.register(&work).unwrap();
        assert_eq!(naive.rows().unwrap(), (work.len(), work.len()));
    }
}
