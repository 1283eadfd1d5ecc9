//! Measures: what a monitor reads from an open engine at short intervals.

use crate::engine::Engine;
use crate::engine::status::{self, Status};
use crate::governance::progress;
use crate::platform::error::Result;
use crate::platform::kv::IndexUsage;
use crate::state::tally::{ClassTally, ReclaimTally};
use std::collections::BTreeMap;

/// Measures of an open engine as of one instant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measures {
    /// Status, without [`oldest_erasure`](field@Status::oldest_erasure) and [`failures`](field@Status::failures).
    pub status: Status,
    /// Tally by name of each class that had a batch since the engine was opened.
    pub tallies: BTreeMap<String, ClassTally>,
    /// Passes of [`Engine::reclaim`] since the engine was opened.
    pub reclaims: ReclaimTally,
    /// Standing holds past their review date.
    pub unreviewed_holds: u64,
    /// Erasures past their date. One whose objects have all ended counts until [`Engine::requests`] finds that.
    pub overdue_erasures: u64,
    /// Free space of the disk, bytes; `None` if the system does not tell.
    pub disk_free_bytes: Option<u64>,
    /// Free space below which registering is refused, bytes.
    pub disk_reserve_bytes: u64,
    /// Memory and disk space of the index; `None` if it is in memory, or cannot be measured.
    pub index: Option<IndexUsage>,
}

impl Engine {
    /// Returns what a monitor reads at short intervals.
    ///
    /// Looks at every page, and at the rows of pages that may be overdue. Unlike [`Engine::status`] it looks at no object of
    /// an erasure. It takes no lock of planning.
    ///
    /// # Errors
    /// `Io`, `Corrupt`.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// let measures = engine.measures()?;
    /// assert_eq!(measures.status.classes["log-73h"].live, 0);
    /// assert!(measures.index.is_some_and(|index| index.memtable_bytes > 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn measures(&self) -> Result<Measures> {
        let core = &self.core;
        let status = status::without_erasures(core, core.glance(), self.limits)?;
        let as_of = status.as_of;
        Ok(Measures {
            tallies: core.tally.classes(),
            reclaims: core.tally.reclaims(),
            unreviewed_holds: progress::unreviewed_holds(core, as_of),
            overdue_erasures: progress::overdue_erasures(core, as_of),
            disk_free_bytes: core.files.free_bytes().ok(),
            disk_reserve_bytes: core.limits.disk_reserve_bytes,
            index: core.kv.usage().ok().flatten(),
            status,
        })
    }
}
