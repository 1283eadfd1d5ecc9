//! Seams that stall at a chosen point and report it, so that the parent knows where it kills the process.

use sexton::Result;
use sexton::testing::files::disk::DiskFiles;
use sexton::testing::files::{Access, Files, NewFile, Unfinished};
use sexton::testing::kv::rocks::RocksKv;
use sexton::testing::kv::{ColumnFamily, IsVoid, Kv, Order, Run, Visit, VisitEach, WriteOp, WriteSet};
use sexton_proof::id::ClassId;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Point at which the process stalls.
pub(crate) struct Stall {
    point: String,
    /// Passes of the point before the one that stalls.
    passes: AtomicI64,
    armed: AtomicBool,
}

impl Stall {
    pub(crate) fn new(point: &str, passes: i64) -> Arc<Self> {
        let armed = AtomicBool::new(false);
        Arc::new(Stall { point: point.to_owned(), passes: AtomicI64::new(passes), armed })
    }

    /// Arms the point. It is not armed during opening, so that each run gets further than the last one.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Passes a point. It never returns if this is the point to stall at.
    pub(crate) fn at(&self, point: &str) {
        let here = self.armed.load(Ordering::SeqCst) && self.point == point;
        if here && self.passes.fetch_sub(1, Ordering::SeqCst) == 0 {
            crate::say("stalled");
            loop {
                std::thread::park();
            }
        }
    }
}

pub(crate) struct StallingFiles(pub(crate) DiskFiles, pub(crate) Arc<Stall>);

/// Returns the kind of a file.
fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or(path, |(_, ending)| ending) {
        "tomb" => "tombstones",
        "head" => "head",
        "log/checkpoint" => "checkpoint",
        _ if path.starts_with("log/tile/") => "tile",
        _ => "other",
    }
}

impl Files for StallingFiles {
    fn replace(&self, path: &str, bytes: &[u8], access: Access) -> Result<()> {
        self.replace_all(&[NewFile { path: path.to_owned(), chunks: vec![bytes], access }])
    }

    fn replace_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        let Some(first) = files.first() else { return Ok(()) };
        let kind = kind_of(&first.path);
        self.1.at(&format!("before-{kind}"));
        if self.1.point == "among-tombstones" && kind == "tombstones" {
            // The batch has all its files except the last one, its openings.
            self.0.replace_all(&files[..files.len() - 1])?;
            self.1.at("among-tombstones");
        }
        self.0.replace_all(files)?;
        self.1.at(&format!("after-{kind}"));
        Ok(())
    }

    fn begin(&self, path: &str, access: Access) -> Result<Box<dyn Unfinished>> {
        self.0.begin(path, access)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.0.remove(path)
    }

    fn free_bytes(&self) -> Result<u64> {
        self.0.free_bytes()
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.0.read(path)
    }
}

pub(crate) struct StallingKv(pub(crate) RocksKv, pub(crate) Arc<Stall>);

/// Returns the step that a write belongs to.
fn kind(set: &WriteSet) -> &'static str {
    let puts = |wanted: &dyn Fn(ColumnFamily, &[u8]) -> bool| {
        set.ops().any(|(family, change)| matches!(change, WriteOp::Put(key, _) if wanted(family, key)))
    };
    match () {
        () if puts(&|family, _| family == ColumnFamily::Settled) => "commit",
        () if puts(&|family, key| family == ColumnFamily::Meta && key.starts_with(b"intent/")) => "intent",
        () if puts(&|family, _| matches!(family, ColumnFamily::Rows(_))) => "rows",
        () => "other",
    }
}

impl Kv for StallingKv {
    fn write(&self, set: WriteSet) -> Result<()> {
        let kind = kind(&set);
        self.1.at(&format!("before-{kind}"));
        self.0.write(set)?;
        self.1.at(&format!("after-{kind}"));
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.1.at("before-sync");
        self.0.sync()
    }

    fn get(&self, family: ColumnFamily, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.0.get(family, key)
    }

    fn scan(
        &self,
        family: ColumnFamily,
        range: Range<&[u8]>,
        order: Order,
        visit: &mut Visit<'_>,
    ) -> Result<()> {
        self.0.scan(family, range, order, visit)
    }

    fn scan_each(
        &self,
        family: ColumnFamily,
        ranges: &[Range<Vec<u8>>],
        visit: &mut VisitEach<'_>,
    ) -> Result<()> {
        self.0.scan_each(family, ranges, visit)
    }

    fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()> {
        self.1.at("before-run");
        self.0.write_run(family, keys)?;
        self.1.at("after-run");
        Ok(())
    }

    fn drop_void(&self, family: ColumnFamily, live: u64, is_void: IsVoid) -> Result<bool> {
        self.0.drop_void(family, live, is_void)
    }

    fn drop_rows_if_empty(&self, class: ClassId) -> Result<()> {
        self.0.drop_rows_if_empty(class)
    }

    fn reclaim(&self, family: ColumnFamily, ranges: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
        self.1.at("before-reclaim");
        self.0.reclaim(family, ranges)?;
        self.1.at("after-reclaim");
        Ok(())
    }

    fn purge(&self, family: ColumnFamily, range: &Range<Vec<u8>>) -> Result<()> {
        self.0.purge(family, range)
    }

    fn finish_purge(&self) -> Result<()> {
        self.0.finish_purge()
    }
}
