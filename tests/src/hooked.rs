//! An index whose readings a test can make fail, or do something else in between.

use sexton::Result;
use sexton::kv::{Family, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteSet};
use sexton_proof::id::ClassId;
use std::ops::Range;

/// Called at a reading of a family.
pub type Hook = dyn Fn(Family) -> Result<()> + Send + Sync;

/// An index with hooks.
pub struct Hooked<K> {
    /// Where everything is.
    pub inner: K,
    /// Called before each reading, which fails if it does.
    pub before: Box<Hook>,
    /// Called once a scan over many ranges has seen all it will.
    pub after: Box<Hook>,
}

impl<K: Kv> Kv for Hooked<K> {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>> {
        (self.before)(family)?;
        self.inner.get(family, key)
    }

    fn scan(&self, family: Family, range: Range<&[u8]>, order: Order, visit: &mut Visit<'_>) -> Result<()> {
        (self.before)(family)?;
        self.inner.scan(family, range, order, visit)
    }

    fn scan_each(&self, family: Family, ranges: &[Range<Vec<u8>>], visit: &mut VisitEach<'_>) -> Result<()> {
        (self.before)(family)?;
        self.inner.scan_each(family, ranges, visit)?;
        (self.after)(family)
    }

    fn write_run(&self, family: Family, keys: &mut Run<'_>) -> Result<()> {
        self.inner.write_run(family, keys)
    }

    fn drop_void(&self, family: Family, live: u64, is_void: IsVoid) -> Result<bool> {
        self.inner.drop_void(family, live, is_void)
    }

    fn write(&self, set: WriteSet) -> Result<()> {
        self.inner.write(set)
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }

    fn create_rows(&self, class: ClassId) -> Result<()> {
        self.inner.create_rows(class)
    }

    fn reclaim(&self, family: Family, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.inner.reclaim(family, ranges)
    }

    fn purge(&self, family: Family, range: &Range<Vec<u8>>) -> Result<()> {
        self.inner.purge(family, range)
    }

    fn finish_purge(&self) -> Result<()> {
        self.inner.finish_purge()
    }
}
