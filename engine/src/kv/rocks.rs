//! The index on disk: RocksDB. The only file that names it.

use super::{Change, Family, Kv, Order, Visit, WriteSet};
use crate::error::{Error, ErrorKind, Result};
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DBWithThreadMode, MultiThreaded, Options, ReadOptions, WriteBatch, WriteOptions,
};
use sexton_proof::id::ClassId;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

type Db = DBWithThreadMode<MultiThreaded>;

/// What RocksDB may use. Every value is a cap, in bytes or files.
#[derive(Clone, Debug)]
pub struct RocksOptions {
    /// Uncompressed blocks, indexes and filters kept in memory, all families together.
    pub cache_bytes: usize,
    /// Rows buffered in memory before they go to a file, per family; at most three such buffers are alive at once.
    pub write_buffer_bytes: usize,
    /// All write-ahead logs together; beyond it the family that holds the oldest is flushed.
    pub wal_bytes: u64,
    /// Target size of a table file.
    pub file_bytes: u64,
    /// Open file handles.
    pub open_files: i32,
}

impl Default for RocksOptions {
    fn default() -> Self {
        RocksOptions {
            cache_bytes: 128 << 20,
            write_buffer_bytes: 64 << 20,
            wal_bytes: 512 << 20,
            file_bytes: 64 << 20,
            open_files: 1_000,
        }
    }
}

/// The index in a RocksDB folder, which one process at a time may open.
pub struct RocksKv {
    db: Db,
    families: Options,
}

fn failed(what: &str, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupt,
        rocksdb::ErrorKind::Busy | rocksdb::ErrorKind::TryAgain => ErrorKind::Busy,
        _ if error.as_ref().contains("No space left") => ErrorKind::Full,
        // Another process, or this one, has the folder open.
        _ if error.as_ref().contains("/LOCK: ") => ErrorKind::Busy,
        _ => ErrorKind::Io,
    };
    Error::with_source(kind, format!("the index could not {what}"), error)
}

/// Whether tables or logs of writes lie in a folder.
fn holds_data(path: &Path) -> bool {
    let data = |name: &Path| name.extension().is_some_and(|ending| ending == "sst" || ending == "log");
    path.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| data(&entry.path())))
}

/// The families beside those of the classes.
const FIXED: [Family; 8] = [
    Family::Meta,
    Family::Log,
    Family::Settled,
    Family::Marks,
    Family::Locator,
    Family::Items,
    Family::Feed,
    Family::Ended,
];

fn name(family: Family) -> String {
    match family {
        Family::Meta => "meta".into(),
        Family::Log => "log".into(),
        Family::Settled => "settled".into(),
        Family::Marks => "marks".into(),
        Family::Locator => "locator".into(),
        Family::Items => "items".into(),
        Family::Feed => "feed".into(),
        Family::Ended => "ended".into(),
        Family::Rows(class) => format!("class-{class}"),
    }
}

/// A key before `to` with none of ours between them; `None` where nothing comes before. DeleteFilesInRange takes the
/// end of its range along: given the first row of a page that lives, it drops the file that this row is the last of.
fn last_before(to: &[u8]) -> Option<Vec<u8>> {
    let (last, head) = to.split_last()?;
    let mut before = head.to_vec();
    if let Some(smaller) = last.checked_sub(1) {
        before.push(smaller);
        before.extend_from_slice(&[0xff; 32]);
    }
    Some(before)
}

fn database_options(options: &RocksOptions) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    // The default, PointInTime, stops at a corrupt record in the middle of a log and silently discards synced
    // commits behind it. Only an unfinished tail may be dropped; anything else is refused and a person told.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_max_total_wal_size(options.wal_bytes);
    db.set_max_open_files(options.open_files);
    db.set_keep_log_file_num(5);
    db.set_max_background_jobs(2);
    db
}

fn family_options(options: &RocksOptions) -> Options {
    let mut family = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&Cache::new_lru_cache(options.cache_bytes));
    table.set_cache_index_and_filter_blocks(true);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    family.set_block_based_table_factory(&table);
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_write_buffer_size(options.write_buffer_bytes);
    family.set_max_write_buffer_number(3);
    // The first sorted level as large as level 0 when it is compacted: four buffers, as RocksDB's own defaults have it.
    family.set_max_bytes_for_level_base(4 * options.write_buffer_bytes as u64);
    family.set_target_file_size_base(options.file_bytes);
    family
}

impl RocksKv {
    /// Opens the index in `path`, creating it where nothing is there.
    ///
    /// # Errors
    /// `Busy` where another process has it open, `Corrupt` where its files contradict themselves, `Io` otherwise.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self> {
        let database = database_options(options);
        let families = family_options(options);
        let mut names: Vec<String> = FIXED.into_iter().map(name).collect();
        names.push("default".into());
        if path.join("CURRENT").exists() {
            let there = Db::list_cf(&database, path)
                .map_err(|e| failed(&format!("be read in {}", path.display()), e))?;
            names.extend(there.into_iter().filter(|n| n.starts_with("class-")));
        } else if holds_data(path) {
            // RocksDB would begin anew here and clear away what it does not know.
            return Err(Error::corrupt(format!(
                "the index in {} lacks its file CURRENT; put it back or restore a backup",
                path.display()
            )));
        }
        let descriptors = names.into_iter().map(|name| ColumnFamilyDescriptor::new(name, families.clone()));
        let db = Db::open_cf_descriptors(&database, path, descriptors)
            .map_err(|e| failed(&format!("be opened in {}", path.display()), e))?;
        Ok(RocksKv { db, families })
    }

    fn family(&self, family: Family) -> Result<Arc<BoundColumnFamily<'_>>> {
        let name = name(family);
        self.db.cf_handle(&name).ok_or_else(|| Error::corrupt(format!("the index has no family {name}")))
    }
}

impl Kv for RocksKv {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.db.get_cf(&self.family(family)?, key).map_err(|e| failed("be read", e))
    }

    fn scan(&self, family: Family, range: Range<&[u8]>, order: Order, visit: &mut Visit<'_>) -> Result<()> {
        if range.start >= range.end {
            return Ok(());
        }
        let mut options = ReadOptions::default();
        // Both bounds: without them a seek walks over the delete markers of its neighbours.
        options.set_iterate_lower_bound(range.start);
        options.set_iterate_upper_bound(range.end);
        let mut entries = self.db.raw_iterator_cf_opt(&self.family(family)?, options);
        match order {
            Order::Ascending => entries.seek_to_first(),
            Order::Descending => entries.seek_to_last(),
        }
        while let Some((key, value)) = entries.item() {
            if visit(key, value).is_break() {
                return Ok(());
            }
            match order {
                Order::Ascending => entries.next(),
                Order::Descending => entries.prev(),
            }
        }
        entries.status().map_err(|e| failed("be scanned", e))
    }

    fn write(&self, set: WriteSet) -> Result<()> {
        let mut batch = WriteBatch::default();
        let mut current: Option<(Family, Arc<BoundColumnFamily<'_>>)> = None;
        for (family, change) in set.changes() {
            let handle = match &current {
                Some((named, handle)) if *named == family => handle,
                _ => &current.insert((family, self.family(family)?)).1,
            };
            match change {
                Change::Put(key, value) => batch.put_cf(handle, key, value),
                Change::Delete(key) => batch.delete_cf(handle, key),
                Change::DeleteRange(from, to) => batch.delete_range_cf(handle, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        self.db.write_opt(batch, &options).map_err(|e| failed("be written", e))
    }

    fn sync(&self) -> Result<()> {
        self.db.flush_wal(true).map_err(|e| failed("be synced", e))
    }

    fn create_rows(&self, class: ClassId) -> Result<()> {
        let name = name(Family::Rows(class));
        if self.db.cf_handle(&name).is_some() {
            return Ok(());
        }
        self.db.create_cf(&name, &self.families).map_err(|e| failed(&format!("create the family {name}"), e))
    }

    fn reclaim(&self, family: Family, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let handle = self.family(family)?;
        for (from, to) in ranges {
            let Some(last) = last_before(to).filter(|last| from <= last) else { continue };
            self.db
                .delete_file_in_range_cf(&handle, from, &last)
                .map_err(|e| failed("drop the files of settled pages", e))?;
        }
        Ok(())
    }
}
