//! Index whose reads a test can fail or interrupt.

use sexton::Result;
use sexton::testing::kv::{ColumnFamily, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteSet};
use sexton_proof::id::ClassId;
use std::ops::Range;

/// Function called when a column family is read.
pub type Hook = dyn Fn(ColumnFamily) -> Result<()> + Send + Sync;

/// Index that calls hooks around its reads.
pub struct Hooked<K> {
    /// The wrapped index.
    pub inner: K,
    /// Called before each read. The read fails if the hook fails.
    pub before: Box<Hook>,
    /// Called at the end of each scan over many ranges.
    pub after: Box<Hook>,
}

impl<K: Kv> Kv for Hooked<K> {
    fn get(&self, family: ColumnFamily, key: &[u8]) -> Result<Option<Vec<u8>>> {
        (self.before)(family)?;
        self.inner.get(family, key)
    }

    fn scan(
        &self,
        family: ColumnFamily,
        range: Range<&[u8]>,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        (self.before)(family)?;
        self.inner.scan(family, range, order, visit)
    }

    fn scan_each(
        &self,
        family: ColumnFamily,
        ranges: &[Range<Vec<u8>>],
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        (self.before)(family)?;
        self.inner.scan_each(family, ranges, visit)?;
        (self.after)(family)
    }

    fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()> {
        self.inner.write_run(family, keys)
    }

    fn drop_void(&self, family: ColumnFamily, live: u64, is_void: IsVoid) -> Result<bool> {
        self.inner.drop_void(family, live, is_void)
    }

    fn write(&self, set: WriteSet) -> Result<()> {
        self.inner.write(set)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn drop_rows_if_empty(&self, class: ClassId) -> Result<()> {
        self.inner.drop_rows_if_empty(class)
    }

    fn reclaim(&self, family: ColumnFamily, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.inner.reclaim(family, ranges)
    }

    fn purge(&self, family: ColumnFamily, range: &Range<Vec<u8>>) -> Result<()> {
        self.inner.purge(family, range)
    }

    fn finish_purge(&self) -> Result<()> {
        self.inner.finish_purge()
    }
}
