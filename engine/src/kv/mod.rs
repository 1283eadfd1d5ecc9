//! The seam to the ordered store that holds the index. It stays narrow, so that a second one is a page long and
//! every fault can be played on it: get, range scan over a snapshot, atomic write, sync.

use crate::error::Result;
use sexton_proof::id::ClassId;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

pub mod memory;
pub mod rocks;

/// A separate ordered key space of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Shape, counters, classes, intents, pages, holds, requests, alarms.
    Meta,
    /// Entries of the transparency log and the hashes of its complete subtrees.
    Log,
    /// One record per settled page.
    Settled,
    /// Registrations that were replaced or moved and whose row waits for its page to settle.
    Marks,
    /// From the keyed hash of an object's key to its registration.
    Locator,
    /// What is to go there and is in no run yet.
    Notes,
    /// The objects of each erasure and closing down.
    Items,
    /// Deletions that third parties are still to hear of.
    Feed,
    /// Ended objects by the keyed hash of their key, to recognise what comes back from a backup.
    Ended,
    /// The rows of one class version.
    Rows(ClassId),
}

/// The direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the first key of the range.
    Ascending,
    /// From the last key of the range.
    Descending,
}

/// What a scan calls for each entry; `Break` ends it.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// The same for one of many ranges, whose place comes first.
pub type VisitEach<'a> = dyn FnMut(usize, &[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Keys in ascending order, each with whether it is to be there or not.
pub type Run<'a> = dyn Iterator<Item = (RunKey, bool)> + 'a;

/// A key of [`Family::Locator`]: a prefix and a registration id.
pub type RunKey = [u8; LOCATOR_PREFIX + 20];

/// Whether nobody needs the entry of this key any more.
pub type IsVoid = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// Bytes that the keys of [`Family::Locator`] are looked for by: always whole, so that a filter can tell what is not
/// there.
pub const LOCATOR_PREFIX: usize = 16;

/// An ordered store of bytes.
pub trait Kv: Send + Sync {
    /// The value under `key`.
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Calls `visit` for the entries of `range`, over one consistent view.
    fn scan(&self, family: Family, range: Range<&[u8]>, order: Order, visit: &mut Visit<'_>) -> Result<()>;

    /// The same for each of `ranges`, which ascend and do not overlap, over one view of all of them; `visit` is told the
    /// place of the range. In [`Family::Locator`] all keys of a range begin with the same [`LOCATOR_PREFIX`] bytes.
    fn scan_each(&self, family: Family, ranges: &[Range<Vec<u8>>], visit: &mut VisitEach<'_>) -> Result<()>;

    /// Applies the whole set or nothing. After `Ok` it is visible to every reader and survives the end of the
    /// process; it survives the loss of power after the next [`Kv::sync`]. After `Err` it is unknown whether it
    /// was applied.
    fn write(&self, set: WriteSet) -> Result<()>;

    /// After `Ok` every earlier write survives the loss of power. After `Err` that is unknown.
    fn sync(&self) -> Result<()>;

    /// Adds or removes many keys without values, at least one, in ascending order, past the log of writes: each costs
    /// little. After `Ok` they are visible and survive the loss of power, which earlier writes may not; after `Err` it is
    /// unknown whether they do.
    fn write_run(&self, family: Family, keys: &mut Run<'_>) -> Result<()>;

    /// From now on entries of `family` for which `is_void` holds may vanish at any time, whenever it is convenient, and
    /// [`Kv::purge`] takes those of its range away, except what a merge writes that began earlier. Gives whether that is
    /// worth it: whether more than half are void, if `live` are not.
    fn drop_void(&self, family: Family, live: u64, is_void: IsVoid) -> Result<bool>;

    /// Makes room for the rows of a class version. Doing it again is fine.
    fn create_rows(&self, class: ClassId) -> Result<()>;

    /// Gives back the disk space of key ranges whose content is void for every reader. It may leave some of it,
    /// and it may bring back entries of these very ranges that a range deletion had hidden.
    fn reclaim(&self, family: Family, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()>;

    /// Clears its files of entries of `range` that were deleted or replaced before. Costs reading and writing what lies in
    /// the range, and what was written last. Several may be at it at once.
    fn purge(&self, family: Family, range: &Range<Vec<u8>>) -> Result<()>;

    /// After `Ok` nothing that was purged before is in any file, log of writes included. Costs writing all that was written
    /// last. `Busy` where somebody still needs an older file: then it may be there.
    fn finish_purge(&self) -> Result<()>;
}

/// Scans in ascending order with a visitor that can fail; the first failure ends the scan.
pub(crate) fn try_scan(
    kv: &dyn Kv,
    family: Family,
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

/// Collects what a range holds, stopping at the first failure.
pub(crate) fn collect<T>(
    kv: &dyn Kv,
    family: Family,
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

/// One change of a [`WriteSet`].
#[derive(Clone, Copy, Debug)]
pub enum Change<'a> {
    /// Set the value under a key.
    Put(&'a [u8], &'a [u8]),
    /// Remove a key.
    Delete(&'a [u8]),
    /// Remove every key from the first, included, to the second, excluded.
    DeleteRange(&'a [u8], &'a [u8]),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

#[derive(Clone, Copy, Debug)]
struct Op {
    family: Family,
    kind: Kind,
    begin: usize,
    middle: usize,
    end: usize,
}

/// Changes to be applied together. All bytes lie in one buffer: staging a row costs no allocation of its own.
#[derive(Clone, Debug, Default)]
pub struct WriteSet {
    bytes: Vec<u8>,
    ops: Vec<Op>,
    /// Values that grow as long as the set does.
    growing: Vec<(Family, Vec<u8>, Vec<u8>)>,
}

impl WriteSet {
    /// An empty set with room for `changes` of together `bytes`.
    pub fn with_capacity(changes: usize, bytes: usize) -> Self {
        WriteSet { bytes: Vec::with_capacity(bytes), ops: Vec::with_capacity(changes), growing: Vec::new() }
    }

    /// Stages setting `key` to `value`.
    pub fn put(&mut self, family: Family, key: &[u8], value: &[u8]) {
        self.stage(family, Kind::Put, key, |bytes| bytes.extend_from_slice(value));
    }

    /// Stages setting `key` to what `write` appends to the buffer.
    pub fn put_with(&mut self, family: Family, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.stage(family, Kind::Put, key, write);
    }

    /// Appends `more` to the value that was staged so under a key with the same first `prefix` bytes, or stages it under
    /// `key`. So one set can hold a list without its being put together beforehand.
    pub fn append(&mut self, family: Family, key: &[u8], prefix: usize, more: &[u8]) {
        let begun =
            self.growing.iter_mut().find(|(of, begun, _)| *of == family && begun[..prefix] == key[..prefix]);
        match begun {
            Some((_, _, value)) => value.extend_from_slice(more),
            None => self.growing.push((family, key.to_vec(), more.to_vec())),
        }
    }

    /// Stages removing `key`.
    pub fn delete(&mut self, family: Family, key: &[u8]) {
        self.stage(family, Kind::Delete, key, |_| ());
    }

    /// Stages removing all of `range`.
    pub fn delete_range(&mut self, family: Family, range: Range<&[u8]>) {
        self.stage(family, Kind::DeleteRange, range.start, |bytes| bytes.extend_from_slice(range.end));
    }

    /// How many changes are staged.
    pub fn len(&self) -> usize {
        self.ops.len() + self.growing.len()
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.growing.is_empty()
    }

    /// The changes in the order of staging, those that grew last.
    pub fn changes(&self) -> impl Iterator<Item = (Family, Change<'_>)> {
        let grown = self.growing.iter().map(|(family, key, value)| (*family, Change::Put(key, value)));
        let staged = self.ops.iter().map(|op| {
            let key = &self.bytes[op.begin..op.middle];
            let rest = &self.bytes[op.middle..op.end];
            let change = match op.kind {
                Kind::Put => Change::Put(key, rest),
                Kind::Delete => Change::Delete(key),
                Kind::DeleteRange => Change::DeleteRange(key, rest),
            };
            (op.family, change)
        });
        staged.chain(grown)
    }

    fn stage(&mut self, family: Family, kind: Kind, key: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        write(&mut self.bytes);
        self.ops.push(Op { family, kind, begin, middle, end: self.bytes.len() });
    }
}
