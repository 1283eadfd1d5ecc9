//! The index on disk: RocksDB. The only file that names it.

use super::{Change, Family, IsVoid, Kv, LOCATOR_PREFIX, Order, Run, Visit, VisitEach, WriteSet};
use crate::error::{Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use rocksdb::compaction_filter::{CompactionFilter, Decision};
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use rocksdb::properties::{BACKGROUND_ERRORS, ESTIMATE_NUM_KEYS};
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DBWithThreadMode, FlushOptions, IngestExternalFileOptions, MultiThreaded, Options, ReadOptions,
    SliceTransform, SstFileWriter, WriteBatch, WriteOptions,
};
use sexton_proof::id::ClassId;
use std::collections::BTreeSet;
use std::ffi::{CStr, OsString};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

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
    path: PathBuf,
    /// The names of all families.
    names: Mutex<Vec<String>>,
    families: Options,
    locator: Options,
    /// What compactions of the locator leave out.
    void: Arc<RwLock<Option<IsVoid>>>,
    /// Numbers the files of runs.
    runs: AtomicU64,
}

/// Ending of a file with a run that is not part of the index yet.
const RUN: &str = "run";
/// How often, and how far apart, it is looked whether files that were merged are gone.
const DELETION_LOOKS: u32 = 3_000;
const DELETION_LOOK: Duration = Duration::from_millis(10);
/// After how many looks what keeps files is moved on.
const LOOKS_PER_FLUSH: u32 = 100;
/// What is written, to the family in which nothing is kept, so that there is something to flush.
const MARK: &[u8] = b"mark";
/// Void entries that are left alone, however few live.
const VOID_MIN: u64 = 1 << 12;

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

/// Removes runs that a crash kept from becoming part of the index.
fn drop_left_over_runs(path: &Path) -> Result<()> {
    let cannot = |e| Error::io(format!("cannot clear {} of runs left over", path.display()), e);
    for entry in path.read_dir().map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if file.extension().is_some_and(|ending| ending == RUN) {
            fs::remove_file(&file).map_err(cannot)?;
        }
    }
    Ok(())
}

/// The families beside those of the classes.
const FIXED: [Family; 9] = [
    Family::Meta,
    Family::Log,
    Family::Settled,
    Family::Marks,
    Family::Locator,
    Family::Notes,
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
        Family::Notes => "notes".into(),
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
    // One flushes; three merge: two of them what `reclaim` asks for, which does not keep others from what they need.
    db.set_max_background_jobs(4);
    // The locator is one family and can be most of what `reclaim` has merged: two threads share its keys.
    db.set_max_subcompactions(2);
    db
}

fn table_options(cache: &Cache) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    table
}

fn family_options(options: &RocksOptions, cache: &Cache) -> Options {
    let mut family = Options::default();
    family.set_block_based_table_factory(&table_options(cache));
    family.set_compression_type(DBCompressionType::Lz4);
    family.set_write_buffer_size(options.write_buffer_bytes);
    family.set_max_write_buffer_number(3);
    // The first sorted level as large as level 0 when it is compacted: four buffers, as RocksDB's own defaults have it.
    family.set_max_bytes_for_level_base((options.write_buffer_bytes as u64).saturating_mul(4));
    family.set_target_file_size_base(options.file_bytes);
    family
}

/// The locator is asked for keys that were never seen more than for any other, so filters over what it is asked by answer
/// before anything is sought. Its keys are hashes, which nothing compresses.
fn locator_options(
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
    // A filter is cached as a whole. One that is larger than a part of the cache, of which there are up to 64, is read
    // again each time.
    family.set_target_file_size_base(options.file_bytes.min(8 << 20));
    family.set_compaction_filter_factory(VoidFilters(Arc::clone(void)));
    family
}

/// Gives each thread of a compaction the question of the moment, so that it need not be looked up, under a lock that all
/// share, for every entry. What was void once stays so: an older question only leaves more. Several threads may be in
/// `create` at once, so it changes nothing.
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

impl RocksKv {
    /// Opens the index in `path`, creating it where nothing is there.
    ///
    /// # Errors
    /// `Busy` where another process has it open, `Corrupt` where its files contradict themselves, `Io` otherwise.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self> {
        let database = database_options(options);
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let families = family_options(options, &cache);
        let void = Arc::default();
        let locator = locator_options(options, &families, &cache, &void);
        let mut names: Vec<String> = FIXED.into_iter().map(name).collect();
        names.push("default".into());
        if path.join("CURRENT").exists() {
            let there = Db::list_cf(&database, path)
                .map_err(|e| failed(&format!("be read in {}", path.display()), e))?;
            names.extend(there.into_iter().filter(|n| n.starts_with("class-")));
        } else if holds_data(path) {
            // RocksDB would begin anew here and clear away what it does not know.
            return Err(Error::corrupt(format!(
                "the index in {} lacks its file CURRENT; put it back, or see Backups in docs/operations.md",
                path.display()
            )));
        }
        let options_of = |family: &str| if family == name(Family::Locator) { &locator } else { &families };
        let descriptors =
            names.iter().map(|name| ColumnFamilyDescriptor::new(name, options_of(name).clone()));
        let db = Db::open_cf_descriptors(&database, path, descriptors)
            .map_err(|e| failed(&format!("be opened in {}", path.display()), e))?;
        drop_left_over_runs(path)?;
        let (path, names) = (path.to_owned(), Mutex::new(names));
        Ok(RocksKv { db, path, names, families, locator, void, runs: AtomicU64::new(0) })
    }

    /// The names of its files with this ending.
    fn files_with(&self, ending: &str) -> Result<BTreeSet<OsString>> {
        let cannot = |e| Error::io(format!("cannot read {}", self.path.display()), e);
        let entries = self.path.read_dir().map_err(cannot)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(cannot));
        names
            .filter(|name| name.as_ref().map_or(true, |n| Path::new(n).extension() == Some(ending.as_ref())))
            .collect()
    }

    /// How often flushing or merging has failed. Nothing else tells of a merge that did: its call returns nothing.
    fn background_errors(&self) -> Result<u64> {
        let errors = self.db.property_int_value(BACKGROUND_ERRORS).map_err(|e| failed("be asked", e))?;
        Ok(errors.unwrap_or(0))
    }

    /// Writes out whatever the index has in memory, and begins a new log of writes. The mark sees to that where there is
    /// nothing to write out, for a log is only ended by a flush; and it comes last, so that no other flush of ours is
    /// under way meanwhile.
    fn flush_all(&self) -> Result<()> {
        let names = self.names.lock().clone();
        let families: Vec<_> = names.iter().filter_map(|name| self.db.cf_handle(name)).collect();
        let families: Vec<_> = families.iter().collect();
        let flushed = self
            .db
            .flush_cfs_opt(&families, &FlushOptions::default())
            .and_then(|()| self.db.delete(MARK))
            .and_then(|()| self.db.flush());
        flushed.map_err(|e| failed("be flushed", e))
    }

    /// The names of the tables that are part of it.
    fn live_tables(&self) -> Result<BTreeSet<OsString>> {
        let live = self.db.live_files().map_err(|e| failed("be listed", e))?;
        Ok(live.into_iter().map(|file| file.name.trim_start_matches('/').into()).collect())
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
        // A range may go over many prefixes.
        options.set_total_order_seek(true);
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

    fn scan_each(&self, family: Family, ranges: &[Range<Vec<u8>>], visit: &mut VisitEach<'_>) -> Result<()> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(()) };
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(&first.start[..]);
        options.set_iterate_upper_bound(&last.end[..]);
        let by_prefix = family == Family::Locator;
        options.set_total_order_seek(!by_prefix);
        options.set_prefix_same_as_start(by_prefix);
        let mut entries = self.db.raw_iterator_cf_opt(&self.family(family)?, options);
        for (at, range) in ranges.iter().enumerate() {
            // Where ranges lie side by side the cursor stands at the next one already.
            if by_prefix || entries.key().is_none_or(|key| key < &range.start[..]) {
                entries.seek(&range.start);
            }
            while let Some((key, value)) = entries.item().filter(|(key, _)| *key < &range.end[..]) {
                if visit(at, key, value).is_break() {
                    return Ok(());
                }
                entries.next();
            }
            entries.status().map_err(|e| failed("be scanned", e))?;
        }
        Ok(())
    }

    fn write(&self, set: WriteSet) -> Result<()> {
        let mut batch = WriteBatch::default();
        let mut current: Option<(Family, Arc<BoundColumnFamily<'_>>)> = None;
        let mut deletes_ranges = false;
        for (family, change) in set.changes() {
            let handle = match &current {
                Some((named, handle)) if *named == family => handle,
                _ => &current.insert((family, self.family(family)?)).1,
            };
            match change {
                Change::Put(key, value) => batch.put_cf(handle, key, value),
                Change::Delete(key) => batch.delete_cf(handle, key),
                Change::DeleteRange(from, to) => {
                    deletes_ranges = true;
                    batch.delete_range_cf(handle, from, to);
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        // A set's rows lie close together and ascend: each is sought from where the last one went. Never where ranges are
        // deleted too: RocksDB 11.8 takes the place of a range deletion, which lies in another list, for that of a row (as
        // in its issue 5118), and the row is lost.
        options.set_memtable_insert_hint_per_batch(!deletes_ranges);
        self.db.write_opt(batch, &options).map_err(|e| failed("be written", e))
    }

    fn sync(&self) -> Result<()> {
        self.db.flush_wal(true).map_err(|e| failed("be synced", e))
    }

    fn write_run(&self, family: Family, keys: &mut Run<'_>) -> Result<()> {
        let options = if family == Family::Locator { &self.locator } else { &self.families };
        let file = self.path.join(format!("{}.{RUN}", self.runs.fetch_add(1, Ordering::Relaxed)));
        let mut writer = SstFileWriter::create(options);
        let written = writer.open(&file).and_then(|()| {
            for (key, is_there) in keys {
                if is_there { writer.put(key, [])? } else { writer.delete(key)? }
            }
            // Fsynced with this.
            writer.finish()
        });
        written.map_err(|e| failed("write a run", e))?;
        let mut ingestion = IngestExternalFileOptions::default();
        ingestion.set_move_files(true);
        self.db
            .ingest_external_file_cf_opts(&self.family(family)?, &ingestion, vec![file])
            .map_err(|e| failed("take a run in", e))
    }

    fn drop_void(&self, family: Family, live: u64, is_void: IsVoid) -> Result<bool> {
        *self.void.write() = Some(is_void);
        let handle = self.family(family)?;
        let all = self
            .db
            .property_int_value_cf(&handle, ESTIMATE_NUM_KEYS)
            .map_err(|e| failed("be sized up", e))?;
        Ok(all.unwrap_or(0) > live.saturating_mul(2).max(live.saturating_add(VOID_MIN)))
    }

    fn create_rows(&self, class: ClassId) -> Result<()> {
        let name = name(Family::Rows(class));
        if self.db.cf_handle(&name).is_some() {
            return Ok(());
        }
        self.db
            .create_cf(&name, &self.families)
            .map_err(|e| failed(&format!("create the family {name}"), e))?;
        self.names.lock().push(name);
        Ok(())
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

    fn purge(&self, family: Family, range: &Range<Vec<u8>>) -> Result<()> {
        let (family, errors) = (self.family(family)?, self.background_errors()?);
        self.db.flush_cf_opt(&family, &FlushOptions::default()).map_err(|e| failed("be flushed", e))?;
        self.db.compact_range_cf(&family, Some(&range.start), Some(&range.end));
        if self.background_errors()? == errors {
            return Ok(());
        }
        let why = "the index could not merge some of its files, so what ended may still be in them; index/LOG says why, \
                   and the next call tries again";
        Err(Error::new(ErrorKind::Io, why))
    }

    fn finish_purge(&self) -> Result<()> {
        let logs = self.files_with("log")?;
        self.flush_all()?;
        let tables: BTreeSet<OsString> =
            self.files_with("sst")?.difference(&self.live_tables()?).cloned().collect();
        for look in 1..=DELETION_LOOKS {
            let live = self.live_tables()?;
            let mut replaced = tables.difference(&live);
            let (logs_now, tables_now) = (self.files_with("log")?, self.files_with("sst")?);
            if logs_now.is_disjoint(&logs) && !replaced.any(|table| tables_now.contains(table)) {
                return Ok(());
            }
            thread::sleep(DELETION_LOOK);
            if look % LOOKS_PER_FLUSH == 0 {
                // Two things wait for the next flush, which in a quiet index never comes. A family that another one's flush
                // met while it was being flushed itself holds on to a log in which it has nothing any more (RocksDB's
                // `SwitchMemtable` moves on what is empty). And a table that a single read needed last is not deleted by
                // it (`CleanupSuperVersion`).
                self.flush_all()?;
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "the index is cleared, but some of its older files are still in use; try again later",
        ))
    }
}
