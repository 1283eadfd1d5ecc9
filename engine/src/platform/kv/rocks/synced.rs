//! The mark beside the write-ahead log (WAL): the sequence number that the last fsync covered.
//!
//! RocksDB verifies the sizes of closed WAL files only. If the live file is missing, or ends early after a whole record,
//! RocksDB opens without the writes behind it. So each fsync of the WAL moves this mark, and opening compares.

use crate::platform::error::{Error, Result};
use crate::platform::files::disk::DiskFiles;
use crate::platform::files::{Access, Files};
use crate::platform::pool::Pool;
use parking_lot::Mutex;
use rustix::fs::Advice;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file in the folder of the index.
const NAME: &str = "SYNCED";
/// Bytes of a sequence number, and of its checksum.
const HALF: usize = size_of::<u64>();

/// Sequence number that the last fsync of the WAL covered, in a file.
pub(super) struct SyncedMark {
    path: PathBuf,
    file: File,
    sequence: Mutex<u64>,
}

impl SyncedMark {
    /// Reads the mark of the index in `folder`. `None` if there is no mark.
    ///
    /// # Errors
    /// `Corrupt` if the mark is damaged, or if there is one but no WAL file; `Io`.
    pub(super) fn read(folder: &Path) -> Result<Option<u64>> {
        let Some(bytes) = files(folder).read(NAME)? else { return Ok(None) };
        let sequence = bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)).unwrap_or_default();
        if bytes != encode(sequence) {
            return Err(Error::corrupt_index(format!("the file {} is damaged", folder.join(NAME).display())));
        }
        let cannot = |e| Error::io(format!("cannot read {}", folder.display()), e);
        match has_wal(folder).map_err(cannot)? {
            true => Ok(Some(sequence)),
            false => Err(lost(folder, "is missing")),
        }
    }

    /// Compares the mark that was read with the last sequence number that RocksDB recovered, all of it durable, and moves it
    /// there.
    ///
    /// # Errors
    /// `Corrupt` if writes before the mark are missing; `Full`, `Io`.
    pub(super) fn open(folder: &Path, read: Option<u64>, recovered: u64) -> Result<SyncedMark> {
        check(folder, read, recovered)?;
        if read != Some(recovered) {
            files(folder).replace(NAME, &encode(recovered), Access::Private)?;
        }
        let path = folder.join(NAME);
        let file = File::options().write(true).open(&path).map_err(|e| cannot_write(&path, e))?;
        Ok(SyncedMark { path, file, sequence: Mutex::new(recovered) })
    }

    /// Moves the mark to `sequence`, which an fsync has covered. A later mark stays.
    ///
    /// The mark survives the end of the process, and a power failure once a later fsync has flushed the cache of the disk.
    /// It is written in place, 16 bytes of one sector, and is never ahead of the WAL.
    pub(super) fn advance(&self, sequence: u64) -> Result<()> {
        let mut mark = self.sequence.lock();
        if sequence <= *mark {
            return Ok(());
        }
        self.file.write_all_at(&encode(sequence), 0).map_err(|e| cannot_write(&self.path, e))?;
        // Begins to write to the disk and does not wait. This is only advice, so its failure does not matter.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed);
        *mark = sequence;
        Ok(())
    }
}

/// Compares the mark that was read with the last sequence number that RocksDB recovered.
///
/// # Errors
/// `Corrupt` if writes before the mark are missing.
pub(super) fn check(folder: &Path, read: Option<u64>, recovered: u64) -> Result<()> {
    match read.and_then(|read| read.checked_sub(recovered)).filter(|n| *n > 0) {
        Some(missing) => Err(lost(folder, &format!("lacks the last {missing} durable changes"))),
        None => Ok(()),
    }
}

/// Gives a copy of an index its mark: all writes up to `sequence` are in it. A copy without WAL files gets none.
pub(super) fn mark_copy(folder: &Path, sequence: u64) -> Result<()> {
    match has_wal(folder).map_err(|e| Error::io(format!("cannot read {}", folder.display()), e))? {
        true => files(folder).replace(NAME, &encode(sequence), Access::Private),
        false => Ok(()),
    }
}

/// Returns `true` if the folder has a WAL file.
fn has_wal(folder: &Path) -> std::io::Result<bool> {
    for entry in folder.read_dir()? {
        if entry?.path().extension().is_some_and(|ending| ending == "log") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn files(folder: &Path) -> DiskFiles {
    DiskFiles::new(folder, Arc::new(Pool::none()))
}

fn encode(sequence: u64) -> [u8; 2 * HALF] {
    let mut bytes = [0; 2 * HALF];
    let (number, checksum) = bytes.split_at_mut(HALF);
    number.copy_from_slice(&sequence.to_be_bytes());
    checksum.copy_from_slice(&blake3::hash(number).as_bytes()[..HALF]);
    bytes
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("cannot write {}", path.display()), error)
}

fn lost(folder: &Path, what: &str) -> Error {
    Error::corrupt(format!(
        "the write-ahead log {}/*.log {what}; put its files back, or see Backups in docs/operations.md",
        folder.display()
    ))
}
