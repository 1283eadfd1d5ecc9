//! Memory and disk space of the index.

use super::{RocksKv, failed};
use crate::platform::error::{Error, Result};
use crate::platform::kv::IndexUsage;
use rocksdb::properties::{
    BLOCK_CACHE_USAGE, ESTIMATE_PENDING_COMPACTION_BYTES, ESTIMATE_TABLE_READERS_MEM, PropName,
    SIZE_ALL_MEM_TABLES,
};

impl RocksKv {
    /// Returns what the index uses.
    pub(super) fn measure(&self) -> Result<IndexUsage> {
        let mut usage = IndexUsage {
            // All column families share one cache.
            cache_bytes: self.property(BLOCK_CACHE_USAGE, "default")?,
            background_errors: self.background_errors()?,
            ..IndexUsage::default()
        };
        // Out of the lock: other threads create column families meanwhile.
        let names = self.names.lock().clone();
        for name in &names {
            usage.memtable_bytes += self.property(SIZE_ALL_MEM_TABLES, name)?;
            usage.reader_bytes += self.property(ESTIMATE_TABLE_READERS_MEM, name)?;
            usage.pending_compaction_bytes += self.property(ESTIMATE_PENDING_COMPACTION_BYTES, name)?;
        }
        self.add_files(&mut usage)?;
        Ok(usage)
    }

    /// Returns a property of a column family; 0 if it was dropped meanwhile.
    fn property(&self, property: &PropName, family: &str) -> Result<u64> {
        let Some(handle) = self.db.cf_handle(family) else { return Ok(0) };
        let value = self.db.property_int_value_cf(&handle, property).map_err(|e| failed("be measured", e))?;
        Ok(value.unwrap_or(0))
    }

    fn add_files(&self, usage: &mut IndexUsage) -> Result<()> {
        let cannot = |e| Error::io(format!("cannot read {}", self.path.display()), e);
        for entry in self.path.read_dir().map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            // A file that goes meanwhile uses nothing.
            let Ok(found) = entry.metadata() else { continue };
            match entry.path().extension().and_then(|ending| ending.to_str()) {
                Some("sst") => {
                    usage.table_files += 1;
                    usage.table_bytes += found.len();
                }
                Some("log") => usage.wal_bytes += found.len(),
                _ => {}
            }
        }
        Ok(())
    }
}
