//! Transfer of finished files into another folder: as hard links on the same file system, otherwise as copies.
//!
//! Only files that are never written again may be linked. The engine replaces its files by renaming new ones over them, so a
//! link keeps the content that it had.

use super::Access;
use super::durable::{TEMPORARY, sync_folder};
use crate::platform::error::{Error, Result};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Cost of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) linked_files: u64,
    pub(crate) copied_files: u64,
    pub(crate) copied_bytes: u64,
}

/// Transfers a folder with all its finished files into the new folder `to`. No-op if there is no folder `from`.
///
/// After `Ok`, the files survive a power failure. A file that appears meanwhile may be left out.
pub(crate) fn tree(from: &Path, to: &Path, access: Access, cost: &mut Cost) -> Result<()> {
    let cannot = |e| Error::io(format!("cannot read {}", from.display()), e);
    let entries = match fs::read_dir(from) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(cannot)?,
    };
    make_folder(to, access)?;
    for entry in entries {
        let entry = entry.map_err(cannot)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(cannot)?.is_dir() {
            tree(&source, &target, access, cost)?;
        } else if !entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            file(&source, &target, cost)?;
        }
    }
    sync_folder(to)
}

/// Transfers a file. The caller syncs the folder.
fn file(from: &Path, to: &Path, cost: &mut Cost) -> Result<()> {
    match rustix::fs::link(from, to) {
        Ok(()) => {
            cost.linked_files += 1;
            return Ok(());
        }
        // Another file system, one without hard links, or too many links.
        Err(Errno::XDEV | Errno::PERM | Errno::MLINK | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        Err(errno) => return Err(cannot_transfer(from, to, errno.into())),
    }
    let copied = fs::copy(from, to).and_then(|bytes| File::open(to)?.sync_all().map(|()| bytes));
    cost.copied_bytes += copied.map_err(|e| cannot_transfer(from, to, e))?;
    cost.copied_files += 1;
    Ok(())
}

fn cannot_transfer(from: &Path, to: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot copy {} to {}", from.display(), to.display()), error)
}

fn make_folder(folder: &Path, access: Access) -> Result<()> {
    let mode = if access == Access::Private { 0o700 } else { 0o755 };
    let made = DirBuilder::new().mode(mode).create(folder);
    made.map_err(|e| Error::io(format!("cannot make the folder {}", folder.display()), e))
}

/// Removes a folder with its content. No-op if there is none.
pub(crate) fn remove_tree(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io(format!("cannot remove {}", folder.display()), e))
        }
        _ => Ok(()),
    }
}
