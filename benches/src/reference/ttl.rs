//! Expiry by a compaction filter of RocksDB: each row has an instant, and a compaction drops rows past it.
//!
//! Enforcing is a full compaction. It does less than the engine. There is no record that a row was dropped, or when.
//! In service a row is dropped when RocksDB compacts its file, which may never happen for a range without writes. The
//! store of the objects is not told. RocksDB's own `DBWithTTL` is the same filter with the wall clock.

use super::rocks::{self, Db, NO_FAMILY};
use crate::{CALL, CLASSES, ROW_BYTES, ROW_HEAD_BYTES, Result, Workload, in_parallel};
use rocksdb::compaction_filter::Decision;
use rocksdb::{BottommostLevelCompaction, CompactOptions, WriteBatch};
use sexton_proof::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const ROWS: &str = "rows";

/// RocksDB with the rows under their keys, in one column family with a filter.
pub struct Ttl {
    db: Db,
    /// Time that the filter compares with, Unix ms.
    now_ms: Arc<AtomicI64>,
}

impl Ttl {
    /// Opens a new database in `folder`.
    ///
    /// # Errors
    /// If RocksDB cannot open it.
    pub fn open(folder: &Path) -> Result<Self> {
        let now_ms = Arc::new(AtomicI64::new(i64::MIN));
        let (options, mut family) = rocks::options();
        let now = Arc::clone(&now_ms);
        family.set_compaction_filter("ttl", move |_, _, row| match row.get(2..10).map(TryInto::try_into) {
            Some(Ok(due)) if i64::from_be_bytes(due) <= now.load(Ordering::Relaxed) => Decision::Remove,
            _ => Decision::Keep,
        });
        let families = [rocksdb::ColumnFamilyDescriptor::new(ROWS, family)];
        let db = Db::open_cf_descriptors(&options, folder.join("ttl"), families)?;
        Ok(Ttl { db, now_ms })
    }

    /// Registers the workload by key: one write batch per call, then an fsync of the write-ahead log.
    ///
    /// # Errors
    /// Errors of RocksDB.
    pub fn register(&self, work: &Workload) -> Result<()> {
        in_parallel(work.calls, |call| {
            let (class, indexes) = work.call(call);
            let rows = self.db.cf_handle(ROWS).ok_or(NO_FAMILY)?;
            let mut batch = WriteBatch::with_capacity_bytes(CALL * (ROW_BYTES + 64));
            for index in indexes {
                let mut row = [0; ROW_BYTES];
                row[2..10].copy_from_slice(&work.start(index).to_be_bytes());
                row[ROW_HEAD_BYTES..].copy_from_slice(work.object(class, index));
                batch.put_cf(&rows, work.key(class, index).0, row);
            }
            rocks::write(&self.db, batch)?;
            Ok(self.db.flush_wal(true)?)
        })
    }

    /// Expires the workload: flushes, and compacts all files through the filter with two threads.
    ///
    /// # Errors
    /// Errors of RocksDB, or if a row is left.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        let latest = (0..work.len() / CLASSES).map(|index| work.start(index)).max();
        self.now_ms.store(latest.map_or(0, Timestamp::unix_ms), Ordering::Relaxed);
        let rows = self.db.cf_handle(ROWS).ok_or(NO_FAMILY)?;
        self.db.flush_cf(&rows)?;
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        self.db.compact_range_cf_opt(&rows, None::<&[u8]>, None::<&[u8]>, &options);
        let mut left = self.db.raw_iterator_cf(&rows);
        left.seek_to_first();
        if left.valid() {
            return Err("the compaction left an expired row".into());
        }
        Ok(left.status()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_expire_at_their_instant_and_not_before() {
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
