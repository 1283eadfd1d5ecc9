//! The index on disk: RocksDB. Only this folder names it.

mod copy;
mod limits;
mod options;
mod room;
mod synced;
mod usage;

pub use self::options::RocksOptions;

use self::options::{database_options, family_options, locator_options};
use self::synced::SyncedMark;
use super::{ColumnFamily, IndexUsage, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteOp, WriteSet};
use crate::platform::error::{Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};
use rocksdb::properties::{BACKGROUND_ERRORS, ESTIMATE_NUM_KEYS};
use rocksdb::{
    BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBWithThreadMode, FlushOptions,
    IngestExternalFileOptions, MultiThreaded, Options, ReadOptions, SstFileWriter, WriteBatch, WriteOptions,
};
use sexton_proof::id::ClassId;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

type Db = DBWithThreadMode<MultiThreaded>;
type Handle<'a> = Arc<BoundColumnFamily<'a>>;

/// Purpose for which an index is opened.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Change,
    Reading,
}

/// Index in a RocksDB folder. One process at a time may open it.
pub struct RocksKv {
    db: Db,
    path: PathBuf,
    /// `None` if the index is open for reading only.
    synced: Option<SyncedMark>,
    /// Names of all column families. The lock is held while one is created or dropped.
    names: Mutex<Vec<String>>,
    /// Held shared by each write. Held exclusively while a column family is dropped, so that no write to it is lost, and while
    /// the index is copied.
    writes: RwLock<()>,
    families: Options,
    locator: Options,
    /// Predicate of the entries that compactions of the locator drop.
    void: Arc<RwLock<Option<IsVoid>>>,
    /// Number of the next file with a run.
    runs: AtomicU64,
}

/// Ending of a file with a run that is not yet part of the index.
const RUN: &str = "run";
/// Number of checks if compacted files are gone, and the time between two checks.
const DELETION_CHECKS: u32 = 3_000;
const DELETION_CHECK: Duration = Duration::from_millis(10);
/// Number of checks after which another flush is made.
const CHECKS_PER_FLUSH: u32 = 100;
/// Key that is deleted in the column family `default`, which holds nothing, so that there is something to flush.
const FLUSH_KEY: &[u8] = b"mark";
/// Number of void entries that are not worth a purge, however few entries are live.
const VOID_MIN: u64 = 1 << 12;

/// Creates the error of a failed call of RocksDB; `what` is the verb phrase of the message.
fn failed(what: &str, error: rocksdb::Error) -> Error {
    let kind = match error.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corrupt,
        rocksdb::ErrorKind::Busy | rocksdb::ErrorKind::TryAgain => ErrorKind::Busy,
        _ if error.as_ref().contains("No space left") => ErrorKind::Full,
        // This or another process has the folder open.
        _ if error.as_ref().contains("/LOCK: ") => ErrorKind::Busy,
        _ => ErrorKind::Io,
    };
    Error::with_source(kind, format!("the index could not {what}"), error)
}

/// Returns `true` if a folder contains table files or WAL files.
fn holds_data(path: &Path) -> bool {
    let data = |name: &Path| name.extension().is_some_and(|ending| ending == "sst" || ending == "log");
    path.read_dir().is_ok_and(|entries| entries.flatten().any(|entry| data(&entry.path())))
}

/// Removes files with runs that a crash kept from becoming part of the index.
fn remove_leftover_runs(path: &Path) -> Result<()> {
    let cannot = |e| Error::io(format!("cannot clear {} of runs left over", path.display()), e);
    for entry in path.read_dir().map_err(cannot)? {
        let file = entry.map_err(cannot)?.path();
        if file.extension().is_some_and(|ending| ending == RUN) {
            fs::remove_file(&file).map_err(cannot)?;
        }
    }
    Ok(())
}

/// Returns a key before `to` with no key of the index between both; `None` if no key is before `to`.
///
/// `DeleteFilesInRange` includes the end of its range. Given the first row of a live page, it would drop the file whose last
/// row this is.
fn last_before(to: &[u8]) -> Option<Vec<u8>> {
    let (last, head) = to.split_last()?;
    let mut before = head.to_vec();
    if let Some(smaller) = last.checked_sub(1) {
        before.push(smaller);
        before.extend_from_slice(&[0xff; 32]);
    }
    Some(before)
}

impl RocksKv {
    /// Opens the index in the folder `path`, and creates it if the folder holds none.
    ///
    /// # Errors
    /// `Busy` if another process has it open; `Corrupt` if its files contradict each other or its WAL lacks durable writes;
    /// `Full` if the disk has no room for a new index; `Io`, also if this process gets too few threads or too little address
    /// space.
    pub fn open(path: &Path, options: &RocksOptions) -> Result<Self> {
        RocksKv::open_for(path, options, Use::Change)
    }

    /// Opens the index in the folder `path` for reading. It changes no file, and every write fails.
    ///
    /// # Errors
    /// `Corrupt` if its files contradict each other or its WAL lacks durable writes; `Io`, also if this process gets too few
    /// threads or too little address space.
    pub fn open_read_only(path: &Path, options: &RocksOptions) -> Result<Self> {
        RocksKv::open_for(path, options, Use::Reading)
    }

    fn open_for(path: &Path, options: &RocksOptions, purpose: Use) -> Result<Self> {
        limits::check(options)?;
        let synced = SyncedMark::read(path)?;
        let database = database_options(options)?;
        let cache = Cache::new_lru_cache(options.cache_bytes);
        let families = family_options(options, &cache);
        let void = Arc::default();
        let locator = locator_options(options, &families, &cache, &void);
        let mut names: Vec<String> = ColumnFamily::FIXED.into_iter().map(ColumnFamily::name).collect();
        names.push("default".into());
        if path.join("CURRENT").exists() {
            let there = Db::list_cf(&database, path)
                .map_err(|e| failed(&format!("be read in {}", path.display()), e))?;
            names.extend(there.into_iter().filter(|n| n.starts_with(ColumnFamily::ROWS_PREFIX)));
        } else if purpose == Use::Reading || holds_data(path) {
            // RocksDB would create a new index here and delete the files that it does not know.
            return Err(Error::corrupt(format!(
                "the index in {} lacks its file CURRENT; put it back, or see Backups in docs/operations.md",
                path.display()
            )));
        } else {
            let cannot = |e| Error::io(format!("cannot make the folder {}", path.display()), e);
            fs::create_dir_all(path).map_err(cannot)?;
            room::check(path, room::INDEX_BYTES, "a new data folder")?;
        }
        let locator_name = ColumnFamily::Locator.name();
        let options_of = |family: &str| if family == locator_name { &locator } else { &families };
        let descriptors =
            names.iter().map(|name| ColumnFamilyDescriptor::new(name, options_of(name).clone()));
        let db = match purpose {
            Use::Change => Db::open_cf_descriptors(&database, path, descriptors),
            Use::Reading => Db::open_cf_descriptors_read_only(&database, path, descriptors, false),
        };
        let db = db.map_err(|e| failed(&format!("be opened in {}", path.display()), e))?;
        let recovered = db.latest_sequence_number();
        let synced = match purpose {
            Use::Change => Some(SyncedMark::open(path, synced, recovered)?),
            Use::Reading => synced::check(path, synced, recovered).map(|()| None)?,
        };
        if purpose == Use::Change {
            remove_leftover_runs(path)?;
        }
        let (path, names) = (path.to_owned(), Mutex::new(names));
        let (writes, runs) = (RwLock::new(()), AtomicU64::new(0));
        Ok(RocksKv { db, path, synced, names, writes, families, locator, void, runs })
    }

    /// Returns the names of the index's files with this ending.
    fn files_with(&self, ending: &str) -> Result<BTreeSet<OsString>> {
        let cannot = |e| Error::io(format!("cannot read {}", self.path.display()), e);
        let entries = self.path.read_dir().map_err(cannot)?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(cannot));
        names
            .filter(|name| name.as_ref().map_or(true, |n| Path::new(n).extension() == Some(ending.as_ref())))
            .collect()
    }

    /// Returns the number of failed flushes and compactions. The call for a compaction returns no error of its own.
    fn background_errors(&self) -> Result<u64> {
        let errors = self.db.property_int_value(BACKGROUND_ERRORS).map_err(|e| failed("be asked", e))?;
        Ok(errors.unwrap_or(0))
    }

    /// Flushes all memtables and begins a new WAL file.
    ///
    /// Only a flush ends a WAL file, so [`FLUSH_KEY`] makes sure that there is something to flush. It comes last, so that no
    /// other flush of this call is under way.
    fn flush_all(&self) -> Result<()> {
        let names = self.names.lock().clone();
        let families: Vec<_> = names.iter().filter_map(|name| self.db.cf_handle(name)).collect();
        let families: Vec<_> = families.iter().collect();
        let flushed = self
            .db
            .flush_cfs_opt(&families, &FlushOptions::default())
            .and_then(|()| self.db.delete(FLUSH_KEY))
            .and_then(|()| self.db.flush());
        flushed.map_err(|e| failed("be flushed", e))
    }

    /// Returns the names of the table files that are part of the index.
    fn live_tables(&self) -> Result<BTreeSet<OsString>> {
        let live = self.db.live_files().map_err(|e| failed("be listed", e))?;
        Ok(live.into_iter().map(|file| file.name.trim_start_matches('/').into()).collect())
    }

    /// Returns the handle of a column family. `None` for a class version without rows.
    fn family(&self, family: ColumnFamily) -> Result<Option<Handle<'_>>> {
        let name = family.name();
        match self.db.cf_handle(&name) {
            None if !matches!(family, ColumnFamily::Rows(_)) => {
                Err(Error::corrupt(format!("the index has no column family {name}")))
            }
            handle => Ok(handle),
        }
    }

    /// Returns the handle of a column family, and creates that of a class version if it is missing.
    fn family_to_fill(&self, family: ColumnFamily) -> Result<Handle<'_>> {
        if let Some(handle) = self.family(family)? {
            return Ok(handle);
        }
        let name = family.name();
        let mut names = self.names.lock();
        if self.db.cf_handle(&name).is_none() {
            // RocksDB cannot undo a creation that fails half-way for want of space, nor repeat it.
            room::check(&self.path, room::family_bytes(names.len()), "a column family of the index")?;
            self.db
                .create_cf(&name, &self.families)
                .map_err(|e| failed(&format!("create the column family {name}"), e))?;
            names.push(name.clone());
        }
        self.db
            .cf_handle(&name)
            .ok_or_else(|| Error::corrupt(format!("the index has no column family {name}")))
    }
}

impl Kv for RocksKv {
    fn get(&self, family: ColumnFamily, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(handle) = self.family(family)? else { return Ok(None) };
        self.db.get_cf(&handle, key).map_err(|e| failed("be read", e))
    }

    fn scan(
        &self,
        family: ColumnFamily,
        range: Range<&[u8]>,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        if range.start >= range.end {
            return Ok(());
        }
        let Some(handle) = self.family(family)? else { return Ok(()) };
        let mut options = ReadOptions::default();
        // Without both bounds, a seek would walk over the delete markers of neighbouring ranges.
        options.set_iterate_lower_bound(range.start);
        options.set_iterate_upper_bound(range.end);
        // A range may span many prefixes.
        options.set_total_order_seek(true);
        let mut entries = self.db.raw_iterator_cf_opt(&handle, options);
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

    fn scan_each(
        &self,
        family: ColumnFamily,
        ranges: &[Range<Vec<u8>>],
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(()) };
        let Some(handle) = self.family(family)? else { return Ok(()) };
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(&first.start[..]);
        options.set_iterate_upper_bound(&last.end[..]);
        let by_prefix = family == ColumnFamily::Locator;
        options.set_total_order_seek(!by_prefix);
        options.set_prefix_same_as_start(by_prefix);
        let mut entries = self.db.raw_iterator_cf_opt(&handle, options);
        for (at, range) in ranges.iter().enumerate() {
            // If ranges are adjacent, the cursor is already at the next one.
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
        let _writes = self.writes.read();
        let mut batch = WriteBatch::default();
        let mut current: Option<(ColumnFamily, Handle<'_>)> = None;
        let mut deletes_ranges = false;
        for (family, op) in set.ops() {
            let handle = match &current {
                Some((named, handle)) if *named == family => handle,
                _ => {
                    let handle = match op {
                        WriteOp::Put(..) => self.family_to_fill(family)?,
                        // Without a column family there is nothing to delete.
                        _ => match self.family(family)? {
                            Some(handle) => handle,
                            None => continue,
                        },
                    };
                    &current.insert((family, handle)).1
                }
            };
            match op {
                WriteOp::Put(key, value) => batch.put_cf(handle, key, value),
                WriteOp::Delete(key) => batch.delete_cf(handle, key),
                WriteOp::DeleteRange(from, to) => {
                    deletes_ranges = true;
                    batch.delete_range_cf(handle, from, to);
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(false);
        // The rows of a set ascend and are close together, so each is sought from the position of the last one. Range
        // deletions exclude this. RocksDB 11.8 takes the position of a range deletion, which is in another list, for
        // that of a row. The row is then lost, as in its issue 5118.
        options.set_memtable_insert_hint_per_batch(!deletes_ranges);
        self.db.write_opt(batch, &options).map_err(|e| failed("be written", e))
    }

    fn sync(&self) -> Result<()> {
        let written = self.db.latest_sequence_number();
        self.db.flush_wal(true).map_err(|e| failed("be synced", e))?;
        match &self.synced {
            Some(synced) => synced.advance(written),
            None => Err(Error::internal("an index that is open for reading only was written")),
        }
    }

    fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()> {
        let options = if family == ColumnFamily::Locator { &self.locator } else { &self.families };
        let file = self.path.join(format!("{}.{RUN}", self.runs.fetch_add(1, Ordering::Relaxed)));
        let mut writer = SstFileWriter::create(options);
        let written = writer.open(&file).and_then(|()| {
            for (key, is_there) in keys {
                if is_there { writer.put(key, [])? } else { writer.delete(key)? }
            }
            // This fsyncs the file.
            writer.finish()
        });
        written.map_err(|e| failed("write a run", e))?;
        // A copy of the index has either the run or the entries that it replaces.
        let _writes = self.writes.read();
        let mut ingestion = IngestExternalFileOptions::default();
        ingestion.set_move_files(true);
        self.db
            .ingest_external_file_cf_opts(&self.family_to_fill(family)?, &ingestion, vec![file])
            .map_err(|e| failed("ingest a run", e))
    }

    fn drop_void(&self, family: ColumnFamily, live: u64, is_void: IsVoid) -> Result<bool> {
        *self.void.write() = Some(is_void);
        let Some(handle) = self.family(family)? else { return Ok(false) };
        let all = self
            .db
            .property_int_value_cf(&handle, ESTIMATE_NUM_KEYS)
            .map_err(|e| failed("be measured", e))?;
        Ok(all.unwrap_or(0) > live.saturating_mul(2).max(live.saturating_add(VOID_MIN)))
    }

    fn drop_rows_if_empty(&self, class: ClassId) -> Result<()> {
        let name = ColumnFamily::Rows(class).name();
        let _writes = self.writes.write();
        let Some(handle) = self.db.cf_handle(&name) else { return Ok(()) };
        let mut entries = self.db.raw_iterator_cf(&handle);
        entries.seek_to_first();
        entries.status().map_err(|e| failed("be scanned", e))?;
        let mut names = self.names.lock();
        // For want of space a drop can fail half-way, as a creation can. A later call finds more space.
        if entries.valid() || room::check(&self.path, room::family_bytes(names.len()), "dropping").is_err() {
            return Ok(());
        }
        drop((entries, handle));
        // The last writes to the column family go with it. This one has a higher sequence number and stays, so that
        // recovery never finds less than the mark says.
        self.db.delete(FLUSH_KEY).map_err(|e| failed("be written", e))?;
        self.sync()?;
        names.retain(|other| *other != name);
        self.db.drop_cf(&name).map_err(|e| failed(&format!("drop the column family {name}"), e))
    }

    fn reclaim(&self, family: ColumnFamily, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        let Some(handle) = self.family(family)? else { return Ok(()) };
        for (from, to) in ranges {
            let Some(last) = last_before(to).filter(|last| from <= last) else { continue };
            self.db
                .delete_file_in_range_cf(&handle, from, &last)
                .map_err(|e| failed("drop the files of settled pages", e))?;
        }
        Ok(())
    }

    fn purge(&self, family: ColumnFamily, range: &Range<Vec<u8>>) -> Result<()> {
        let (Some(family), errors) = (self.family(family)?, self.background_errors()?) else { return Ok(()) };
        self.db.flush_cf_opt(&family, &FlushOptions::default()).map_err(|e| failed("be flushed", e))?;
        self.db.compact_range_cf(&family, Some(&range.start), Some(&range.end));
        if self.background_errors()? == errors {
            return Ok(());
        }
        let why = "the index could not compact some of its files, so rows of ended objects may still be in them; \
                   index/LOG says why, and the next call tries again";
        Err(Error::new(ErrorKind::Io, why))
    }

    fn finish_purge(&self) -> Result<()> {
        let logs = self.files_with("log")?;
        self.flush_all()?;
        let tables: BTreeSet<OsString> =
            self.files_with("sst")?.difference(&self.live_tables()?).cloned().collect();
        for check in 1..=DELETION_CHECKS {
            let live = self.live_tables()?;
            let mut replaced = tables.difference(&live);
            let (logs_now, tables_now) = (self.files_with("log")?, self.files_with("sst")?);
            if logs_now.is_disjoint(&logs) && !replaced.any(|table| tables_now.contains(table)) {
                return Ok(());
            }
            thread::sleep(DELETION_CHECK);
            if check % CHECKS_PER_FLUSH == 0 {
                // Two things wait for the next flush, which never comes in an idle index. One is a WAL file. A column
                // family that was being flushed when another flush reached it keeps the file, although it has nothing
                // left there (`SwitchMemtable` advances only empty ones). The other is a table file whose last user was
                // a single read, which does not delete it (`CleanupSuperVersion`).
                self.flush_all()?;
            }
        }
        Err(Error::new(
            ErrorKind::Busy,
            "the index is cleared, but some of its older files are still in use; try again later",
        ))
    }

    fn copy_to(&self, folder: &Path, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.copy(folder, meanwhile)
    }

    fn usage(&self) -> Result<Option<IndexUsage>> {
        self.measure().map(Some)
    }
}
