//! Expiry as RocksDB users do it: an instant in the row, and a compaction filter that lets go of what is past it.
//!
//! Enforcing is a compaction of everything. It does less: nothing says that anything went, or when; in service it
//! happens whenever RocksDB happens to merge a file, which for a quiet range is never; and the store that holds the
//! objects never hears of it. RocksDB's own `DBWithTTL` is the same filter with the wall clock.

use super::rocks::{Db, options};
use crate::{CALL, CLASSES, ROW_BYTES, ROW_HEAD_BYTES, Result, Workload, share};
use rocksdb::compaction_filter::Decision;
use rocksdb::{BottommostLevelCompaction, CompactOptions, WriteBatch, WriteOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const ROWS: &str = "rows";

/// Rows under their keys, in one column family with a filter.
pub struct Ttl {
    db: Db,
    /// What the filter takes for now.
    now_ms: Arc<AtomicI64>,
}

impl Ttl {
    /// A new one in `folder`.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(folder: &Path) -> Result<Self> {
        let now_ms = Arc::new(AtomicI64::new(i64::MIN));
        let (options, mut family) = options();
        let now = Arc::clone(&now_ms);
        family.set_compaction_filter("ttl", move |_, _, row| match row.get(2..10).map(TryInto::try_into) {
            Some(Ok(due)) if i64::from_be_bytes(due) <= now.load(Ordering::Relaxed) => Decision::Remove,
            _ => Decision::Keep,
        });
        let families = [rocksdb::ColumnFamilyDescriptor::new(ROWS, family)];
        let db = Db::open_cf_descriptors(&options, folder.join("ttl"), families)?;
        Ok(Ttl { db, now_ms })
    }

    /// Registers everything under its key: one write batch per call, then an fsync of the log.
    ///
    /// # Errors
    /// What RocksDB answers.
    pub fn register(&self, work: &Workload) -> Result<()> {
        share(work.calls, |call| {
            let (class, places) = work.call(call);
            let rows = self.db.cf_handle(ROWS).ok_or("no such family")?;
            let mut batch = WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + 64));
            for place in places {
                let mut row = [0; ROW_BYTES];
                row[2..10].copy_from_slice(&work.start_ms(place).to_be_bytes());
                row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, place));
                batch.put_cf(&rows, work.key(class, place).0, row);
            }
            let mut options = WriteOptions::default();
            options.set_sync(false);
            self.db.write_opt(batch, &options)?;
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Lets everything expire: flushes, and merges all files through the filter with two threads.
    ///
    /// # Errors
    /// What RocksDB answers, or where a row is left.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        let latest = (0..work.len() / CLASSES).map(|place| work.start_ms(place)).max().unwrap_or(0);
        self.now_ms.store(latest, Ordering::Relaxed);
        let rows = self.db.cf_handle(ROWS).ok_or("no such family")?;
        self.db.flush_cf(&rows)?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(&rows, None::<&[u8]>, None::<&[u8]>, &options);
        let mut left = self.db.raw_iterator_cf(&rows);
        left.seek_to_first();
        if left.valid() {
            return Err("the compaction left a row that was past its time".into());
        }
        Ok(left.status()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_go_when_their_time_has_come_and_not_before() {
        let work = Workload::new(8_000, 1_000);
        let folder = tempfile::tempdir().unwrap();
        let ttl = Ttl::open(folder.path()).unwrap();
        ttl.register(&work).unwrap();
        let rows = ttl.db.cf_handle(ROWS).unwrap();
        ttl.db.flush_cf(&rows).unwrap();
        ttl.db.compact_range_cf(&rows, None::<&[u8]>, None::<&[u8]>);
        let mut first = ttl.db.raw_iterator_cf(&rows);
        first.seek_to_first();
        assert!(first.valid());
        ttl.enforce(&work).unwrap();
    }
}
