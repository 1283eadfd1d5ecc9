//! The seam to the ordered store of bytes that holds the index.
//!
//! [`Kv`] has thirteen methods. Five are those of any ordered store: get, two scans, atomic write and sync. The other eight
//! let an index on disk write sorted runs, free the space of void entries and column families, be copied, and say what it uses. An
//! implementation that keeps nothing on disk needs little for them, as [`memory`] shows. `docs/layout.md` draws the keys and values.

use crate::platform::error::{Error, Result};
use sexton_proof::id::ClassId;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::Arc;

pub mod memory;
pub mod rocks;
mod write_set;

pub use write_set::{WriteOp, WriteSet};

/// Separate ordered key space of the index.
///
/// Two names on disk differ from those here: `notes` is [`ColumnFamily::Pending`], and `items` is
/// [`ColumnFamily::RequestObjects`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColumnFamily {
    /// Shape, numbers, classes, intents, pages, holds, requests and alarms.
    Meta,
    /// Entries of the transparency log, and the hashes of its complete subtrees.
    Log,
    /// Records of settled pages.
    Settled,
    /// Marks of registrations that were replaced or moved, and whose row stays until its page settles.
    Marks,
    /// Runs of the key index: from the keyed hash of an object's key to its registration.
    Locator,
    /// Entries of the key index that are in no run yet.
    Pending,
    /// Objects of each erasure.
    RequestObjects,
    /// Deletions that third parties are still to be told of.
    Feed,
    /// Ended objects by the keyed hash of their key, to recognise copies restored from a backup.
    Ended,
    /// Rows of one class version. The column family exists from its first row on.
    Rows(ClassId),
}

impl ColumnFamily {
    /// All column families except those of class versions.
    pub(crate) const FIXED: [ColumnFamily; 9] = [
        ColumnFamily::Meta,
        ColumnFamily::Log,
        ColumnFamily::Settled,
        ColumnFamily::Marks,
        ColumnFamily::Locator,
        ColumnFamily::Pending,
        ColumnFamily::RequestObjects,
        ColumnFamily::Feed,
        ColumnFamily::Ended,
    ];

    /// Prefix of the names of the column families of class versions.
    pub(crate) const ROWS_PREFIX: &str = "class-";

    /// Returns the name on disk. It never changes, even if the Rust name does.
    pub(crate) fn name(self) -> String {
        match self {
            ColumnFamily::Meta => "meta".into(),
            ColumnFamily::Log => "log".into(),
            ColumnFamily::Settled => "settled".into(),
            ColumnFamily::Marks => "marks".into(),
            ColumnFamily::Locator => "locator".into(),
            ColumnFamily::Pending => "notes".into(),
            ColumnFamily::RequestObjects => "items".into(),
            ColumnFamily::Feed => "feed".into(),
            ColumnFamily::Ended => "ended".into(),
            ColumnFamily::Rows(class) => format!("{}{class}", Self::ROWS_PREFIX),
        }
    }
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the first key of the range.
    Ascending,
    /// From the last key of the range.
    Descending,
}

/// Visitor of a scan: called with key and value of each entry. `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Visitor of a scan of several ranges: called with the index of the range, and key and value of each entry. `Break` ends
/// the scan.
pub type VisitEach<'a> = dyn FnMut(usize, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Sorted run: keys in ascending order. `true` adds a key, `false` removes it.
pub type Run<'a> = dyn Iterator<Item = (RunKey, bool)> + 'a;

/// Key of [`ColumnFamily::Locator`]: a prefix and a registration id.
pub type RunKey = [u8; LOCATOR_PREFIX + 20];

/// Predicate on keys: `true` if no reader needs the entry of this key.
pub type IsVoid = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Bytes of a key of [`ColumnFamily::Locator`] by which it is looked up. A lookup always has all of them, so that a filter
/// can tell which keys do not exist.
pub const LOCATOR_PREFIX: usize = 16;

/// Ordered store of bytes.
///
/// All methods may be called by several threads at once.
pub trait Kv: Send + Sync {
    /// Returns the value of `key`; `None` if the key does not exist.
    fn get(&self, family: ColumnFamily, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Calls `visit` for the entries of `range`, over one consistent view.
    fn scan(
        &self,
        family: ColumnFamily,
        range: Range<&[u8]>,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<()>;

    /// Calls `visit` for the entries of several ranges in ascending order, over one consistent view of all of them.
    ///
    /// The ranges ascend and do not overlap. In [`ColumnFamily::Locator`], all keys of a range begin with the same
    /// [`LOCATOR_PREFIX`] bytes.
    fn scan_each(
        &self,
        family: ColumnFamily,
        ranges: &[Range<Vec<u8>>],
        visit: &mut VisitEach<'_>,
    ) -> Result<()>;

    /// Applies the whole set or nothing.
    ///
    /// After `Ok`, every reader sees it, and it survives the end of the process. It survives a power failure after the next
    /// [`Kv::sync`]. After `Err`, the caller cannot know if it was applied.
    fn write(&self, set: WriteSet) -> Result<()>;

    /// Makes all earlier writes durable.
    ///
    /// After `Ok`, they survive a power failure. After `Err`, the caller cannot know.
    fn sync(&self) -> Result<()>;

    /// Adds or removes the keys of a run, at least one, without values. Bypasses the write-ahead log (WAL), so a key costs
    /// little.
    ///
    /// After `Ok`, every reader sees the run and it survives a power failure. Earlier writes may not. After `Err`, the caller
    /// cannot know if it was applied.
    fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()>;

    /// Allows the store to drop the entries of `family` for which `is_void` returns `true`, at any later time.
    ///
    /// [`Kv::purge`] then removes those in its range, except what an earlier compaction is still writing. Returns `true` if
    /// a purge is worth its cost: more than half of the entries are void, given `live` entries that are not.
    fn drop_void(&self, family: ColumnFamily, live: u64, is_void: IsVoid) -> Result<bool>;

    /// Frees what the column family of a class version costs, if it has no entry. Its next entry creates it again.
    fn drop_rows_if_empty(&self, class: ClassId) -> Result<()>;

    /// Frees the disk space of key ranges whose content is void for every reader.
    ///
    /// It may leave some of the space. It may bring back entries of these ranges that a range deletion had hidden.
    fn reclaim(&self, family: ColumnFamily, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()>;

    /// Removes from the files the entries that were deleted or replaced in `range` before.
    ///
    /// Costs reading and writing the content of the range, and a flush. Several threads may purge at once.
    fn purge(&self, family: ColumnFamily, range: &Range<Vec<u8>>) -> Result<()>;

    /// Waits until no file, WAL files included, contains an entry that was purged before. Costs a flush of all column
    /// families.
    ///
    /// # Errors
    /// `Busy` if a reader still needs an older file. Purged entries may then still be in it.
    fn finish_purge(&self) -> Result<()>;

    /// Copies the index as it is at one instant into a new folder on its file system. `meanwhile` runs in that instant: it
    /// reads what the copy has.
    ///
    /// # Errors
    /// `Invalid` if the index keeps nothing on disk; `Full`, `Io`. After `Err` the folder may be there in part.
    fn copy_to(&self, _folder: &Path, _meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        Err(Error::invalid("an index in memory has no files that could be copied"))
    }

    /// Returns what the index uses; `None` if it keeps nothing on disk.
    fn usage(&self) -> Result<Option<IndexUsage>> {
        Ok(None)
    }
}

/// Memory and disk space of an index on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexUsage {
    /// Memory of the memtables, bytes.
    pub memtable_bytes: u64,
    /// Memory of the block cache, bytes.
    pub cache_bytes: u64,
    /// Memory of open table files beside the block cache, bytes.
    pub reader_bytes: u64,
    /// Table files in the folder.
    pub table_files: u64,
    /// Size of the table files, bytes.
    pub table_bytes: u64,
    /// Size of the write-ahead log (WAL), bytes.
    pub wal_bytes: u64,
    /// Bytes that compactions have yet to rewrite, as RocksDB estimates it.
    pub pending_compaction_bytes: u64,
    /// Flushes and compactions that failed since the opening.
    pub background_errors: u64,
}

/// Scans in ascending order with a visitor that can fail. The first failure ends the scan and is returned.
pub(crate) fn try_scan(
    kv: &dyn Kv,
    family: ColumnFamily,
    range: &Range<Vec<u8>>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut result = Ok(());
    kv.scan(family, &range.start..&range.end, Order::Ascending, &mut |key, value| match visit(key, value) {
        Ok(next) => next,
        Err(error) => {
            result = Err(error);
            ControlFlow::Break(())
        }
    })?;
    result
}

/// Scans several ranges as [`Kv::scan_each`] does, with a visitor that can fail. The first failure ends the scan and is
/// returned.
pub(crate) fn try_scan_each(
    kv: &dyn Kv,
    family: ColumnFamily,
    ranges: &[Range<Vec<u8>>],
    mut visit: impl FnMut(usize, &[u8], &[u8]) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut result = Ok(());
    kv.scan_each(family, ranges, &mut |index, key, value| match visit(index, key, value) {
        Ok(next) => next,
        Err(error) => {
            result = Err(error);
            ControlFlow::Break(())
        }
    })?;
    result
}

/// Collects the entries of a range, as `read` decodes them. Stops at the first failure.
pub(crate) fn collect<T>(
    kv: &dyn Kv,
    family: ColumnFamily,
    range: &Range<Vec<u8>>,
    mut read: impl FnMut(&[u8], &[u8]) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    try_scan(kv, family, range, |key, value| {
        all.push(read(key, value)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}
