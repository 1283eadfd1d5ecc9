//! Baseline: the rows of the engine in the layout of the engine, on the same RocksDB, without the engine's own work.
//!
//! It has no checks, classes, wheel, locks, intent or log. A keyed hash stands in for the commitment, and a batch syncs
//! one file. The ratio to it is the cost of the engine's own work. It is no bound: it could be made faster.

use super::rocks::{self, Db, NO_FAMILY};
use crate::{
    CALL, CLASSES, OBJECT_BYTES, ROW_BYTES, ROW_HEAD_BYTES, Result, SLOT, Workload, expect_count, in_parallel,
};
use rocksdb::{ColumnFamilyDescriptor, ReadOptions, WriteBatch, WriteOptions};
use sexton::limits::BATCH_PAGES_MAX;
use sexton_proof::time::whole_ms;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Greatest number of rows of a batch and of a page: the engine's default. A slot with more rows has several pages.
const BATCH_ROWS: usize = 65_536;
/// Column family of the second rows.
const OBJECTS: &str = "objects";
/// Bytes of a record of a row that ended.
const RECORD_BYTES: usize = 64;

thread_local! {
    /// Records of a batch. The memory is reused, as in the engine.
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Rows that an object has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Row in its page.
    One,
    /// Row in its page, and a second row under a random key that is put and deleted with the first.
    Two,
}

/// RocksDB with one column family per class.
pub struct Baseline {
    db: Db,
    folder: PathBuf,
    rows: Rows,
    /// `true` if the pages of a batch are deleted as one range. All of them are adjacent.
    merges: bool,
}

impl Baseline {
    /// Opens a new database in `folder`, with the engine's default options.
    ///
    /// # Errors
    /// If RocksDB cannot open it.
    pub fn open(folder: &Path, rows: Rows) -> Result<Self> {
        let (options, family) = rocks::options();
        let objects = (rows == Rows::Two).then(|| OBJECTS.into());
        let families = (0..CLASSES).map(|class| class.to_string()).chain(objects);
        let families = families.map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
        let db = Db::open_cf_descriptors(&options, folder.join("index"), families)?;
        Ok(Baseline { db, folder: folder.to_owned(), rows, merges: false })
    }

    /// Deletes adjacent pages as one range, as the engine does.
    #[must_use]
    pub fn with_merged_ranges(self) -> Self {
        Baseline { merges: true, ..self }
    }

    /// Registers the workload: a write batch per call, then an fsync of the write-ahead log.
    ///
    /// # Errors
    /// Errors of RocksDB.
    pub fn register(&self, work: &Workload) -> Result<()> {
        in_parallel(work.calls, |call| {
            let (class, indexes) = work.call(call);
            let family = self.db.cf_handle(&class.to_string()).ok_or(NO_FAMILY)?;
            let mut batch = WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + 32));
            let objects = self.db.cf_handle(OBJECTS).filter(|_| self.rows == Rows::Two);
            for index in indexes {
                let (key, row) = (row_key(work, index), row(work, class, index));
                batch.put_cf(&family, key, row);
                if let Some(objects) = &objects {
                    batch.put_cf(objects, object_key(&row), key);
                }
            }
            self.write(batch, Writes::Rows)
        })
    }

    /// Enforces the workload, batch by batch.
    ///
    /// A batch is a scan, a keyed hash and a record of 64 bytes per row, a synced file, and a synced write with the hash
    /// of the file and a range deletion per page.
    ///
    /// # Errors
    /// Errors of RocksDB or of the file system, or if rows are missing.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        let pages_of_class = work.slots() * pages_of_slot(work);
        let pages_of_batch = (BATCH_ROWS / work.per_slot).clamp(1, BATCH_PAGES_MAX);
        let batches = pages_of_class.div_ceil(pages_of_batch);
        let enforced = AtomicUsize::new(0);
        in_parallel(batches * CLASSES, |piece| {
            let first = piece / CLASSES * pages_of_batch;
            let pages = first..(first + pages_of_batch).min(pages_of_class);
            enforced.fetch_add(self.enforce_batch(work, piece, pages)?, Ordering::Relaxed);
            Ok(())
        })?;
        expect_count("rows", enforced.into_inner(), work.len())
    }

    fn enforce_batch(&self, work: &Workload, number: usize, pages: Range<usize>) -> Result<usize> {
        RECORDS.with_borrow_mut(|records| {
            records.clear();
            // A header of the same size as a record.
            records.resize(RECORD_BYTES, 0);
            let batch = self.end_rows(work, number % CLASSES, pages, records)?;
            let mut file = File::create(self.folder.join(number.to_string()))?;
            file.write_all(records)?;
            file.sync_all()?;
            self.write(batch, Writes::Ends)?;
            Ok(records.len() / RECORD_BYTES - 1)
        })
    }

    /// Appends a record of each row of the pages, and returns the write batch that deletes the rows.
    fn end_rows(
        &self,
        work: &Workload,
        class: usize,
        pages: Range<usize>,
        records: &mut Vec<u8>,
    ) -> Result<WriteBatch> {
        let family = self.db.cf_handle(&class.to_string()).ok_or(NO_FAMILY)?;
        let objects = self.db.cf_handle(OBJECTS).filter(|_| self.rows == Rows::Two);
        let mut batch = WriteBatch::default();
        let mut options = ReadOptions::default();
        options.set_iterate_range(page_key(work, pages.start)..page_key(work, pages.end));
        let mut rows = self.db.raw_iterator_cf_opt(&family, options);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            let mut input = [0; 16 + ROW_BYTES];
            input[..16].copy_from_slice(key);
            input[16..].copy_from_slice(value);
            let mut record = [0; RECORD_BYTES];
            record[8..40].copy_from_slice(blake3::keyed_hash(&[7; 32], &input).as_bytes());
            record[..8].copy_from_slice(&key[8..]);
            records.extend_from_slice(&record);
            if let Some(objects) = &objects {
                batch.delete_cf(&family, key);
                batch.delete_cf(objects, object_key(value));
            }
            rows.next();
        }
        rows.status()?;
        if objects.is_none() {
            let step = if self.merges { pages.len().max(1) } else { 1 };
            for first in pages.step_by(step) {
                batch.delete_range_cf(&family, page_key(work, first), page_key(work, first + step));
            }
        }
        batch.put_cf(&family, [0xff; 16], blake3::hash(records).as_bytes());
        Ok(batch)
    }

    fn write(&self, batch: WriteBatch, what: Writes) -> Result<()> {
        let mut options = WriteOptions::default();
        options.set_sync(false);
        // The engine sets the hint in the same way: rows of a page arrive in ascending order.
        options.set_memtable_insert_hint_per_batch(what == Writes::Rows && self.rows == Rows::One);
        self.db.write_opt(batch, &options)?;
        Ok(self.db.flush_wal(true)?)
    }
}

/// Content of a write batch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Rows,
    Ends,
}

/// Key of a row: slot, shard, part, seq. The seq follows from the index of the object, so that threads need no lock.
fn row_key(work: &Workload, index: usize) -> [u8; 16] {
    let (slot, within) = (index / work.per_slot, index % work.per_slot);
    let mut key = page_key(work, slot * pages_of_slot(work) + within / BATCH_ROWS);
    let seq = u32::try_from(within % BATCH_ROWS).unwrap_or(u32::MAX);
    key[12..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Key of the second row: the 16 pseudo-random bytes of the object's key that follow the name of its bucket.
fn object_key(row: &[u8]) -> &[u8] {
    &row[ROW_HEAD_BYTES + 12..][..16]
}

fn pages_of_slot(work: &Workload) -> usize {
    work.per_slot.div_ceil(BATCH_ROWS)
}

fn page_key(work: &Workload, page: usize) -> [u8; 16] {
    let (slot, part) = (page / pages_of_slot(work), page % pages_of_slot(work));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(slot as u64 * whole_ms(SLOT)).to_be_bytes());
    key[10..12].copy_from_slice(&u16::try_from(part).unwrap_or(u16::MAX).to_be_bytes());
    key
}

fn row(work: &Workload, class: usize, index: usize) -> [u8; ROW_BYTES] {
    let mut row = [0; ROW_BYTES];
    row[2..10].copy_from_slice(&work.start(index).to_be_bytes());
    row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, index));
    debug_assert_eq!(row.len() - ROW_HEAD_BYTES, OBJECT_BYTES);
    row
}
