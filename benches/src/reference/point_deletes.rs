//! Enforcing over the naive layout: scan the due rows, delete each row by its key.
//!
//! There is no commitment, record, file or log. A write batch has two delete markers per object and is followed by one
//! fsync of the write-ahead log. Two threads work. The rows are read, because deleting an object needs its key.

use super::naive::{Naive, due_key};
use super::rocks::Db;
use crate::{CALL, CLASSES, Result, SLOT, Workload, expect_count, in_parallel};
use rocksdb::{ReadOptions, WriteBatch};
use sexton_proof::time::whole_ms;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Number of objects of a batch.
const BATCH: usize = 10 * CALL;

/// Enforces the workload slot by slot, each class from its first slot to its last.
///
/// # Errors
/// Errors of RocksDB, or if rows are missing.
pub fn enforce(naive: &Naive, work: &Workload) -> Result<()> {
    // A piece of work has about a batch: one full slot, or many small ones.
    let slots_of_piece = BATCH.div_ceil(work.per_slot);
    let pieces = work.slots().div_ceil(slots_of_piece);
    let enforced = AtomicUsize::new(0);
    in_parallel(pieces * CLASSES, |piece| {
        let (class, first) = (piece % CLASSES, piece / CLASSES * slots_of_piece);
        let end = (first + slots_of_piece).min(work.slots());
        enforced.fetch_add(enforce_slots(naive, class, first, end)?, Ordering::Relaxed);
        Ok(())
    })?;
    expect_count("rows", enforced.into_inner(), work.len())
}

/// Deletes the objects of the slots `first..end`, batch by batch, and returns their number.
fn enforce_slots(naive: &Naive, class: usize, first: usize, end: usize) -> Result<usize> {
    let (due, objects) = naive.families()?;
    let at = |slot: usize| due_key(class, slot as u64 * whole_ms(SLOT), &[0; 16]);
    let mut options = ReadOptions::default();
    // Both bounds are set: without a lower bound, the seek walks over all delete markers of earlier slots.
    options.set_iterate_range(at(first)..at(end));
    let mut rows = naive.db.raw_iterator_cf_opt(&due, options);
    rows.seek_to_first();
    let mut deleted = 0;
    while rows.valid() {
        let keys = next_keys(&mut rows);
        let ids = keys.iter().map(|key| &key[9..]);
        for object in naive.db.batched_multi_get_cf(&objects, ids, false) {
            black_box(object?.ok_or("a due object has no row")?.len());
        }
        let mut batch = WriteBatch::default();
        for key in &keys {
            batch.delete_cf(&due, key);
            batch.delete_cf(&objects, &key[9..]);
        }
        naive.write(batch)?;
        naive.db.flush_wal(true)?;
        deleted += keys.len();
    }
    rows.status()?;
    Ok(deleted)
}

/// Keys of the next batch.
fn next_keys(rows: &mut rocksdb::DBRawIteratorWithThreadMode<'_, Db>) -> Vec<Vec<u8>> {
    let mut keys = Vec::with_capacity(BATCH);
    while let Some(key) = rows.key().filter(|_| keys.len() < BATCH) {
        keys.push(key.to_vec());
        rows.next();
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_deleted_at_every_fill() {
        for per_slot in [7, 1_000, 100_000] {
            let work = Workload::new(8_000, per_slot);
            let folder = tempfile::tempdir().unwrap();
            let naive = Naive::open(folder.path()).unwrap();
            naive.register(&work).unwrap();
            enforce(&naive, &work).unwrap();
            assert_eq!(naive.rows().unwrap(), (0, 0), "{per_slot} per slot");
        }
    }
}
