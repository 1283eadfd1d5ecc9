//! Durable steps on a file system: a file is created under a temporary name, fsynced and renamed; then the folder is fsynced.

use super::Access;
use crate::platform::error::{Error, Result};
use rustix::fs::Advice;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Prefix of the names of files that are not finished.
pub(super) const TEMPORARY: &str = ".tmp-";

/// Size from which a file is dropped from the page cache once it is on the disk, bytes.
const LARGE_BYTES: u64 = 1 << 20;

/// Returns the temporary name of the file `target`.
///
/// It follows from that of the file, so that the next write removes what a crash left behind. A destroyed key must not survive
/// in a forgotten copy.
pub(super) fn temporary_path(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!("{TEMPORARY}{name}"))
}

/// Creates a new file. A file that a crash left at `path` is removed, because it may have another mode.
pub(super) fn create(path: &Path, access: Access) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mode = if access == Access::Private { 0o600 } else { 0o644 };
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// Makes the content of a file durable. `bytes` is its size.
pub(super) fn sync_file(file: &File, bytes: u64) -> io::Result<()> {
    file.sync_all()?;
    if bytes >= LARGE_BYTES {
        // Evidence is seldom read again, so the kernel can free its page cache at once. This is only advice, so its failure
        // does not matter.
        let _ = rustix::fs::fadvise(file, 0, None, Advice::DontNeed);
    }
    Ok(())
}

/// Renames a finished file. The caller syncs the folder.
#[expect(clippy::disallowed_methods, reason = "this is the durable replace that other code has to use")]
pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io(format!("cannot rename to {}", to.display()), e))
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| Error::io(format!("cannot fsync the folder {}", folder.display()), e))
}
