//! Files in a folder.

use super::durable::{create, rename, sync_file, sync_folder, temporary_path};
use super::streamed::StreamedFile;
use super::{Access, Files, NewFile, Unfinished};
use crate::platform::error::{Error, Result};
use crate::platform::pool::Pool;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, DirBuilder};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files below a folder. The file system has to keep what was fsynced.
pub struct DiskFiles {
    root: PathBuf,
    pool: Arc<Pool>,
    /// Folders known to exist durably. Each is created and fsynced once.
    folders: Mutex<HashSet<PathBuf>>,
}

impl DiskFiles {
    /// Opens the files below the folder `root`, which has to exist. The threads of `pool` share the fsyncs.
    pub fn new(root: impl Into<PathBuf>, pool: Arc<Pool>) -> Self {
        DiskFiles { root: root.into(), pool, folders: Mutex::default() }
    }

    /// Creates a folder and its parents durably.
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

    /// Makes `path` a hard link to a finished file. Returns `false` if the file system cannot, or if there is no such file.
    ///
    /// After `Ok(true)` the link survives a power failure.
    pub(crate) fn link(&self, from: &Path, path: &str) -> Result<bool> {
        let target = self.root.join(path);
        let folder = target.parent().unwrap_or(&self.root);
        self.make_folder(folder, Access::Public)?;
        match fs::hard_link(from, &target) {
            Ok(()) => sync_folder(folder).map(|()| true),
            Err(_) => Ok(false),
        }
    }

    /// Writes a file durably under a temporary name. Returns the temporary path and the final one.
    fn write_beside(&self, file: &NewFile<'_>) -> Result<(PathBuf, PathBuf)> {
        let target = self.root.join(&file.path);
        let folder = target.parent().unwrap_or(&self.root);
        self.make_folder(folder, file.access)?;
        let temporary = temporary_path(&target);
        write_temporary(&temporary, &file.chunks, file.access)
            .map_err(|e| Error::io(format!("cannot write {}", temporary.display()), e))?;
        Ok((temporary, target))
    }
}

fn write_temporary(path: &Path, chunks: &[&[u8]], access: Access) -> std::io::Result<()> {
    let mut file = create(path, access)?;
    chunks.iter().try_for_each(|chunk| file.write_all(chunk))?;
    sync_file(&file, chunks.iter().map(|chunk| chunk.len() as u64).sum())
}

impl Files for DiskFiles {
    fn replace(&self, path: &str, bytes: &[u8], access: Access) -> Result<()> {
        self.replace_all(&[NewFile { path: path.to_owned(), chunks: vec![bytes], access }])
    }

    /// Writes and fsyncs all files, then renames all, then fsyncs each folder once.
    ///
    /// The fsyncs run concurrently, so that the file system can combine them.
    fn replace_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        let written = self.pool.map(files.iter().collect(), |_, file| self.write_beside(file))?;
        for (temporary, target) in &written {
            rename(temporary, target)?;
        }
        let folders: BTreeSet<&Path> = written.iter().filter_map(|(_, target)| target.parent()).collect();
        self.pool.map(folders.into_iter().collect(), |_, folder| sync_folder(folder)).map(|_| ())
    }

    fn begin(&self, path: &str, access: Access) -> Result<Box<dyn Unfinished>> {
        let target = self.root.join(path);
        self.make_folder(target.parent().unwrap_or(&self.root), access)?;
        Ok(Box::new(StreamedFile::begin(target, access)?))
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
