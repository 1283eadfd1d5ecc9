//! The floor under the engine: the same rows in the same layout on the same RocksDB, and nothing else. No checks, no
//! classes, no wheel, no locks, no intent, no log; one keyed hash instead of a commitment, and one file fsync.

use crate::reference::rocks::{Db, options};
use crate::{CALL, CLASSES, OBJECT_BYTES, ROW_BYTES, ROW_HEAD_BYTES, Result, SLOT_MS, Workload, share};
use rocksdb::{ColumnFamilyDescriptor, ReadOptions, WriteBatch, WriteOptions};
use sexton::BATCH_PAGES_MAX;
use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Rows of a batch and of a page, as in the engine by default: a slot with more has several pages.
const BATCH_ROWS: usize = 65_536;

thread_local! {
    /// The records of a batch: memory that is used again, as the engine does.
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// RocksDB with one column family per class.
pub struct Bare {
    db: Db,
    folder: PathBuf,
    /// Whether each object has a second row under a random key, put and deleted with the first.
    finds: bool,
    /// Whether the pages of a batch are deleted as one range, for here all of them lie side by side.
    merges: bool,
}

/// Where the second rows lie.
const OBJECTS: &str = "objects";

impl Bare {
    /// A new one in `folder`, with the engine's default options.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(folder: &Path, finds: bool) -> Result<Self> {
        let (options, family) = options();
        let families = (0..CLASSES).map(|class| class.to_string()).chain(finds.then(|| OBJECTS.into()));
        let families = families.map(|name| ColumnFamilyDescriptor::new(name, family.clone()));
        let db = Db::open_cf_descriptors(&options, folder.join("index"), families)?;
        Ok(Bare { db, folder: folder.to_owned(), finds, merges: false })
    }

    /// The same, which deletes pages that lie side by side as one range, as the engine does.
    #[must_use]
    pub fn that_merges(self) -> Self {
        Bare { merges: true, ..self }
    }

    /// Registers everything: a write batch per call, then an fsync of the log.
    ///
    /// # Errors
    /// What RocksDB answers.
    pub fn register(&self, work: &Workload) -> Result<()> {
        share(work.calls, |call| {
            let (class, places) = work.call(call);
            let family = self.db.cf_handle(&class.to_string()).ok_or("no such family")?;
            let mut batch = WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + 32));
            let objects = self.db.cf_handle(OBJECTS).filter(|_| self.finds);
            for place in places {
                let (key, row) = (row_key(work, place), row(work, class, place));
                batch.put_cf(&family, key, row);
                if let Some(objects) = &objects {
                    batch.put_cf(objects, object_key(&row), key);
                }
            }
            self.write(batch, Writes::Rows)
        })
    }

    /// Enforces everything: per batch a scan, a file with its hash, fsynced, and an fsynced write; a keyed hash and a
    /// record of 64 bytes per row, a range deletion per page.
    ///
    /// # Errors
    /// What RocksDB or the file system answers, or where rows are missing.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        let pages_of_class = work.slots() * pages_of_slot(work);
        let pages_of_batch = (BATCH_ROWS / work.per_slot).clamp(1, BATCH_PAGES_MAX);
        let batches = pages_of_class.div_ceil(pages_of_batch);
        let enforced = AtomicUsize::new(0);
        share(batches * CLASSES, |piece| {
            let first = piece / CLASSES * pages_of_batch;
            let pages = first..(first + pages_of_batch).min(pages_of_class);
            enforced.fetch_add(self.enforce_batch(work, piece, pages)?, Ordering::Relaxed);
            Ok(())
        })?;
        match enforced.into_inner() {
            n if n == work.len() => Ok(()),
            n => Err(format!("{n} rows enforced of {}", work.len()).into()),
        }
    }

    fn enforce_batch(&self, work: &Workload, number: usize, pages: Range<usize>) -> Result<usize> {
        RECORDS.with_borrow_mut(|records| {
            records.clear();
            records.resize(64, 0);
            let batch = self.end_rows(work, number % CLASSES, pages, records)?;
            let mut file = File::create(self.folder.join(number.to_string()))?;
            file.write_all(records)?;
            file.sync_all()?;
            self.write(batch, Writes::Ends)?;
            Ok(records.len() / 64 - 1)
        })
    }

    /// The records of the rows of some pages, and what deletes them.
    fn end_rows(
        &self,
        work: &Workload,
        class: usize,
        pages: Range<usize>,
        records: &mut Vec<u8>,
    ) -> Result<WriteBatch> {
        let family = self.db.cf_handle(&class.to_string()).ok_or("no such family")?;
        let objects = self.db.cf_handle(OBJECTS).filter(|_| self.finds);
        let mut batch = WriteBatch::default();
        let mut options = ReadOptions::default();
        options.set_iterate_range(page_key(work, pages.start)..page_key(work, pages.end));
        let mut rows = self.db.raw_iterator_cf_opt(&family, options);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            let mut input = [0; 16 + ROW_BYTES];
            input[..16].copy_from_slice(key);
            input[16..].copy_from_slice(value);
            let mut record = [0; 64];
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
        // As the engine has it, and for its reasons.
        options.set_memtable_insert_hint_per_batch(what == Writes::Rows && !self.finds);
        self.db.write_opt(batch, &options)?;
        Ok(self.db.flush_wal(true)?)
    }
}

/// What a batch of writes has in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writes {
    Rows,
    Ends,
}

/// slot · shard · part · seq, numbered by the object's place in its slot: nobody waits for anybody.
fn row_key(work: &Workload, place: usize) -> [u8; 16] {
    let (slot, within) = (place / work.per_slot, place % work.per_slot);
    let mut key = page_key(work, slot * pages_of_slot(work) + within / BATCH_ROWS);
    let seq = u32::try_from(within % BATCH_ROWS).unwrap_or(u32::MAX);
    key[12..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// Sixteen bytes that are as good as random: those of the object's key behind its bucket.
fn object_key(row: &[u8]) -> &[u8] {
    &row[ROW_HEAD_BYTES + 12..][..16]
}

fn pages_of_slot(work: &Workload) -> usize {
    work.per_slot.div_ceil(BATCH_ROWS)
}

fn page_key(work: &Workload, page: usize) -> [u8; 16] {
    let (slot, part) = (page / pages_of_slot(work), page % pages_of_slot(work));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(slot as u64 * SLOT_MS.unsigned_abs()).to_be_bytes());
    key[10..12].copy_from_slice(&u16::try_from(part).unwrap_or(u16::MAX).to_be_bytes());
    key
}

fn row(work: &Workload, class: usize, place: usize) -> [u8; ROW_BYTES] {
    let mut row = [0; ROW_BYTES];
    row[2..10].copy_from_slice(&work.start_ms(place).to_be_bytes());
    row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, place));
    debug_assert_eq!(row.len() - ROW_HEAD_BYTES, OBJECT_BYTES);
    row
}
