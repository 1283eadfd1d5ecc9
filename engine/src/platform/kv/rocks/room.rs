//! Free space that a step of RocksDB needs. If it runs out half-way, some steps can be neither undone nor repeated.

use crate::platform::error::{Error, ErrorKind, Result};
use rustix::fs::statvfs;
use std::path::Path;

/// Free space for a new index and the files beside it, bytes.
pub(super) const INDEX_BYTES: u64 = 16 << 20;
/// Free space for the options of one column family, bytes. RocksDB writes those of all when one is created or dropped.
const OPTIONS_BYTES: u64 = 16 << 10;
/// Free inodes for either.
const INODES: u64 = 32;

/// Returns the free space for creating or dropping one of `families` column families, bytes.
pub(super) fn family_bytes(families: usize) -> u64 {
    (1 << 20) + OPTIONS_BYTES.saturating_mul(families as u64)
}

/// Refuses if the file system of `folder` has not enough room; `what` needs it.
///
/// # Errors
/// `Full` with the numbers; `Io`.
pub(super) fn check(folder: &Path, bytes: u64, what: &str) -> Result<()> {
    let space = statvfs(folder)
        .map_err(|e| Error::io(format!("cannot ask how full {} is", folder.display()), e.into()))?;
    let full = |free: u64, needed: u64, unit: &str| {
        let why = format!(
            "{what} needs {needed} {unit}, and the disk of {} has {free} free; free some, or add disk",
            folder.display()
        );
        Err(Error::new(ErrorKind::Full, why))
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < bytes {
        return full(free, bytes, "bytes");
    }
    // Some file systems have no fixed number of inodes and report 0.
    if space.f_files > 0 && space.f_favail < INODES {
        return full(space.f_favail, INODES, "inodes");
    }
    Ok(())
}
