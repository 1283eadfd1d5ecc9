//! Copy of an open index: a checkpoint of RocksDB, whose table files are hard links.

use super::{RocksKv, failed, synced};
use crate::platform::error::Result;
use rocksdb::checkpoint::Checkpoint;
use std::path::Path;

impl RocksKv {
    /// Copies the index as it is at one instant into a new folder on its file system, and calls `meanwhile` in that instant.
    ///
    /// RocksDB lists the table files first and the WAL later. A run, or a column family, that appeared in between would be
    /// missing under writes that rely on it. So no thread writes meanwhile. Most of the flush comes before.
    pub(super) fn copy(&self, folder: &Path, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        self.flush_all()?;
        let _no_writes = self.writes.write();
        self.db.flush_wal(true).map_err(|e| failed("be synced", e))?;
        let written = self.db.latest_sequence_number();
        let copied = Checkpoint::new(&self.db).and_then(|checkpoint| checkpoint.create_checkpoint(folder));
        copied.map_err(|e| failed(&format!("be copied to {}", folder.display()), e))?;
        synced::mark_copy(folder, written)?;
        meanwhile()
    }
}
