//! Naive layout: a row that finds due objects, and a second row under a random key that has the object.
//!
//! RocksDB, bytes and fsyncs are those of the other references. Column family `due` has the key (class, slot, id) and
//! no value. Column family `objects` has the row under the id. If the host keeps the id, it is random. If objects are
//! found by key, the id is the hash of the key: a repeated key finds its row. Replacing it has to read the old row.

use super::rocks::{self, Db, NO_FAMILY};
use crate::{CALL, CLASSES, KEY_BYTES, ROW_BYTES, ROW_HEAD_BYTES, Result, SLOT, Workload, in_parallel};
use rocksdb::{BoundColumnFamily, ColumnFamilyDescriptor, WriteBatch};
use sexton_proof::time::whole_ms;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

type ColumnFamily<'a> = Arc<BoundColumnFamily<'a>>;

const DUE: &str = "due";
const OBJECTS: &str = "objects";
/// Bytes of a key in `due`: class, slot, id.
pub(super) const DUE_KEY_BYTES: usize = 1 + 8 + ID_BYTES;
const ID_BYTES: usize = 16;
/// Number of locks. Four were faster than one.
const LOCKS: usize = 4;

/// RocksDB with the two column families.
pub struct Naive {
    pub(super) db: Db,
    /// Locks by key. The rows of a key are replaced under its lock: two concurrent calls cannot both replace them.
    locks: [Mutex<()>; LOCKS],
}

impl Naive {
    /// Opens a new database in `folder`.
    ///
    /// # Errors
    /// If RocksDB cannot open it.
    pub fn open(folder: &Path) -> Result<Self> {
        let (options, family) = rocks::options();
        let families = [DUE, OBJECTS].map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
        let db = Db::open_cf_descriptors(&options, folder.join("naive"), families)?;
        Ok(Naive { db, locks: [(); LOCKS].map(Mutex::new) })
    }

    /// Registers the workload under random ids: a write batch of two rows per object for each call, then an fsync of the
    /// write-ahead log.
    ///
    /// # Errors
    /// Errors of RocksDB.
    pub fn register(&self, work: &Workload) -> Result<()> {
        in_parallel(work.calls, |call| {
            let (class, indexes) = work.call(call);
            let (due, objects) = self.families()?;
            let mut batch = batch();
            for index in indexes {
                let id = random_id(class, index);
                batch.put_cf(&due, due_key(class, slot(work, index), &id), []);
                batch.put_cf(&objects, id, row(work, class, index));
            }
            self.write(batch)?;
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Registers the workload so that objects are found by key. A repeated key replaces the earlier object.
    ///
    /// # Errors
    /// Errors of RocksDB.
    pub fn register_by_key(&self, work: &Workload) -> Result<()> {
        in_parallel(work.calls, |call| {
            let (class, indexes) = work.call(call);
            let mut by_lock: [Vec<([u8; ID_BYTES], usize)>; LOCKS] = Default::default();
            for index in indexes {
                let id = id_of_key(work.key(class, index).0);
                by_lock[usize::from(id[0]) % LOCKS].push((id, index));
            }
            for (lock, objects) in self.locks.iter().zip(&by_lock) {
                let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                self.replace(work, class, objects)?;
            }
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Writes objects, each an id and an index, and replaces the rows of their ids. The caller holds their lock.
    fn replace(&self, work: &Workload, class: usize, new: &[([u8; ID_BYTES], usize)]) -> Result<()> {
        let (due, objects) = self.families()?;
        let earlier = self.db.batched_multi_get_cf(&objects, new.iter().map(|(id, _)| id), false);
        let mut batch = batch();
        for ((id, index), earlier) in new.iter().zip(earlier) {
            if let Some(earlier) = earlier? {
                batch.delete_cf(&due, due_key(class, earlier_slot(&earlier)?, id));
            }
            batch.put_cf(&due, due_key(class, slot(work, *index), id), []);
            batch.put_cf(&objects, id, row(work, class, *index));
        }
        self.write(batch)
    }

    /// Counts the rows of `due` and of `objects`.
    ///
    /// # Errors
    /// Errors of RocksDB.
    pub fn rows(&self) -> Result<(usize, usize)> {
        let (due, objects) = self.families()?;
        let count = |family: &ColumnFamily<'_>| -> Result<usize> {
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

    pub(super) fn families(&self) -> Result<(ColumnFamily<'_>, ColumnFamily<'_>)> {
        let family = |name| self.db.cf_handle(name).ok_or(NO_FAMILY);
        Ok((family(DUE)?, family(OBJECTS)?))
    }

    pub(super) fn write(&self, batch: WriteBatch) -> Result<()> {
        rocks::write(&self.db, batch)
    }
}

fn batch() -> WriteBatch {
    WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + DUE_KEY_BYTES + ID_BYTES + 16))
}

/// Pseudo-random id, identical in every run.
fn random_id(class: usize, index: usize) -> [u8; ID_BYTES] {
    let number = (index * CLASSES + class) as u64 * 2;
    let mut id = [0; ID_BYTES];
    id[..8].copy_from_slice(&crate::workload::split_mix(number).to_be_bytes());
    id[8..].copy_from_slice(&crate::workload::split_mix(number + 1).to_be_bytes());
    id
}

fn id_of_key(key: &[u8]) -> [u8; ID_BYTES] {
    debug_assert_eq!(key.len(), KEY_BYTES);
    let mut id = [0; ID_BYTES];
    id.copy_from_slice(&blake3::keyed_hash(&[9; 32], key).as_bytes()[..ID_BYTES]);
    id
}

fn slot(work: &Workload, index: usize) -> u64 {
    (index / work.per_slot) as u64 * whole_ms(SLOT)
}

/// Row of an object. It has the slot, which replacing the object needs to delete the row of `due`.
fn row(work: &Workload, class: usize, index: usize) -> [u8; ROW_BYTES] {
    let mut row = [0; ROW_BYTES];
    row[2..10].copy_from_slice(&work.start(index).to_be_bytes());
    row[10..18].copy_from_slice(&slot(work, index).to_be_bytes());
    row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, index));
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
    fn repeated_key_replaces_only_if_found_by_key() {
        let work = Workload::with_repeated_keys(80_000, 1_000);
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
