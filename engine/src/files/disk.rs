//! Files in a folder: written to a temporary name, fsynced, renamed, the folder fsynced.

use super::{Access, Files, NewFile};
use crate::error::{Error, Result};
use crate::pool::Pool;
use parking_lot::Mutex;
use rustix::fs::Advice;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From this size on a file is not kept in memory once it is on the disk.
const LARGE_BYTES: usize = 1 << 20;

/// Files under a folder of a file system that keeps what was fsynced.
pub struct DiskFiles {
    root: PathBuf,
    pool: Arc<Pool>,
    /// Folders known to exist durably, so that they are made and fsynced once.
    folders: Mutex<HashSet<PathBuf>>,
}

impl DiskFiles {
    /// Files under `root`, which exists; the threads of `pool` share their fsyncs.
    pub fn new(root: impl Into<PathBuf>, pool: Arc<Pool>) -> Self {
        DiskFiles { root: root.into(), pool, folders: Mutex::default() }
    }

    fn make_folder(&self, folder: &Path, access: Access) -> Result<()> {
        if folder == self.root || self.folders.lock().contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.make_folder(parent, access)?;
        let mode = if access == Access::Private { 0o700 } else { 0o755 };
        match DirBuilder::new().mode(mode).create(folder) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::io(format!("cannot make the folder {}", folder.display()), e)),
        }
        sync_folder(parent)?;
        self.folders.lock().insert(folder.to_owned());
        Ok(())
    }

    /// Writes a file durably under a temporary name; gives that name and the final one.
    fn stage(&self, file: &NewFile<'_>) -> Result<(PathBuf, PathBuf)> {
        let target = self.root.join(&file.path);
        let folder = target.parent().unwrap_or(&self.root);
        self.make_folder(folder, file.access)?;
        // Named after the file, so that what a crash leaves behind is overwritten when the file is next written: a
        // key that was destroyed must not live on in a forgotten copy.
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".tmp-{name}"));
        self.write_temporary(&temporary, &file.parts, file.access)
            .map_err(|e| Error::io(format!("cannot write {}", temporary.display()), e))?;
        Ok((temporary, target))
    }

    fn write_temporary(&self, path: &Path, parts: &[&[u8]], access: Access) -> std::io::Result<()> {
        let mode = if access == Access::Private { 0o600 } else { 0o644 };
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
        parts.iter().try_for_each(|part| file.write_all(part))?;
        file.sync_all()?;
        if parts.iter().map(|part| part.len()).sum::<usize>() >= LARGE_BYTES {
            // Evidence is seldom read again: the memory that the kernel keeps it in goes back at once, to the next file or to
            // whom it serves better. Only advice, so it does not matter whether it is taken.
            let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the durable replace that others are sent to")]
fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io(format!("cannot rename to {}", to.display()), e))
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| Error::io(format!("cannot fsync the folder {}", folder.display()), e))
}

impl Files for DiskFiles {
    fn replace(&self, path: &str, bytes: &[u8], access: Access) -> Result<()> {
        self.replace_all(&[NewFile { path: path.to_owned(), parts: vec![bytes], access }])
    }

    /// Writes and fsyncs all files, then renames all, then fsyncs each folder once. Fsyncs run side by side: the file
    /// system takes them to the disk together.
    fn replace_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        let staged = self.pool.map(files.iter().collect(), |_, file| self.stage(file))?;
        for (temporary, target) in &staged {
            rename(temporary, target)?;
        }
        let folders: BTreeSet<&Path> = staged.iter().filter_map(|(_, target)| target.parent()).collect();
        self.pool.map(folders.into_iter().collect(), |_, folder| sync_folder(folder)).map(|_| ())
    }

    fn remove(&self, path: &str) -> Result<()> {
        let target = self.root.join(path);
        self.folders.lock().remove(&target);
        let removed = if target.is_dir() { fs::remove_dir_all(&target) } else { fs::remove_file(&target) };
        match removed {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("cannot remove {}", target.display()), e))
            }
            _ => Ok(()),
        }
    }

    fn free_bytes(&self) -> Result<u64> {
        let space = rustix::fs::statvfs(&self.root)
            .map_err(|e| Error::io(format!("cannot ask how full {} is", self.root.display()), e.into()))?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let target = self.root.join(path);
        match fs::read(&target) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(format!("cannot read {}", target.display()), e)),
        }
    }
}
