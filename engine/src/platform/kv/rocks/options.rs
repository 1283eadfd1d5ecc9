//! Options of RocksDB: what it may use, how it recovers, and how it lays out each column family.

use crate::platform::error::{Error, Result};
use crate::platform::kv::{IsVoid, LOCATOR_PREFIX};
use parking_lot::RwLock;
use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::{BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options, SliceTransform};
use std::ffi::CStr;
use std::sync::Arc;

/// Caps of what RocksDB uses, in bytes or files.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RocksOptions {
    /// Block cache of all column families, bytes: uncompressed blocks, indexes and filters.
    pub cache_bytes: usize,
    /// Memtable of a column family, bytes. A column family has at most three memtables at once.
    pub write_buffer_bytes: usize,
    /// All files of the write-ahead log (WAL), bytes. Beyond it, the column family that needs the oldest file is flushed.
    pub wal_bytes: u64,
    /// Target size of a table file, bytes.
    pub file_bytes: u64,
    /// Number of open files.
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

pub(super) fn database_options(options: &RocksOptions) -> Result<Options> {
    // Without it, a new file of the WAL takes up to 70 MB at once. On a disk that is nearly full that is all the space that
    // deleting needs.
    let mut db = Options::default()
        .get_options_from_string("allow_fallocate=false")
        .map_err(|e| Error::internal(format!("RocksDB knows no option allow_fallocate: {e}")))?;
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    // The default, PointInTime, stops at a corrupt record in the middle of the WAL and silently discards synced commits
    // behind it. Only an unfinished tail may be dropped. Anything else is refused.
    db.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    db.set_track_and_verify_wals_in_manifest(true);
    db.set_max_total_wal_size(options.wal_bytes);
    db.set_max_open_files(options.open_files);
    db.set_keep_log_file_num(5);
    // `limits.rs` counts these threads. More would hardly help, because few files are opened before they are needed.
    db.set_max_file_opening_threads(4);
    // One job flushes and three compact. `reclaim` uses two of them, so that other compactions still make progress.
    db.set_max_background_jobs(4);
    // The locator is one column family and can be most of what `reclaim` has compacted. Two threads share its keys.
    db.set_max_subcompactions(2);
    Ok(db)
}

fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    table
}

pub(super) fn family_options(options: &RocksOptions, cache: &Cache) -> Options {
    let mut family = Options::default();
    family.set_block_based_table_factory(&table_options(cache));
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_write_buffer_size(options.write_buffer_bytes);
    family.set_max_write_buffer_number(3);
    // The first sorted level is as large as level 0 when it is compacted: four memtables, as in RocksDB's defaults.
    family.set_max_bytes_for_level_base((options.write_buffer_bytes as u64).saturating_mul(4));
    family.set_target_file_size_base(options.file_bytes);
    family
}

/// Returns the options of the locator.
///
/// Most of its lookups are for keys that do not exist. Filters over the lookup prefix answer them before any seek. Its keys
/// are hashes, which do not compress.
pub(super) fn locator_options(
    options: &RocksOptions,
    families: &Options,
    cache: &Cache,
    void: &Arc<RwLock<Option<IsVoid>>>,
) -> Options {
    let mut family = families.clone();
    let mut table = table_options(cache);
    table.set_whole_key_filtering(false);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    family.set_block_based_table_factory(&table);
    family.set_prefix_extractor(SliceTransform::create_fixed_prefix(LOCATOR_PREFIX));
    family.set_compression_type(DBCompressionType::None);
    // A filter is cached as a whole. One that is larger than a shard of the cache (there are up to 64) would be read again
    // each time.
    family.set_target_file_size_base(options.file_bytes.min(8 << 20));
    family.set_compaction_filter_factory(VoidFilters(Arc::clone(void)));
    family
}

/// Factory of compaction filters that drop void entries.
///
/// Each compaction thread gets a copy of the present predicate, so that it takes no shared lock for every entry. A void
/// entry stays void, so an older predicate only drops fewer entries. Several threads may be in `create` at once, so it
/// changes nothing.
struct VoidFilters(Arc<RwLock<Option<IsVoid>>>);

struct VoidFilter(Option<IsVoid>);

const VOID_FILTER: &CStr = c"void";

impl CompactionFilterFactory for VoidFilters {
    type Filter = VoidFilter;

    fn create(&mut self, _context: CompactionFilterContext) -> VoidFilter {
        VoidFilter(self.0.read().clone())
    }

    fn name(&self) -> &CStr {
        VOID_FILTER
    }
}

impl CompactionFilter for VoidFilter {
    fn filter(&mut self, _level: u32, key: &[u8], _value: &[u8]) -> Decision {
        match &self.0 {
            Some(is_void) if is_void(key) => Decision::Remove,
            _ => Decision::Keep,
        }
    }

    fn name(&self) -> &CStr {
        VOID_FILTER
    }
}
