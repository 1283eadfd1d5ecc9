//! A new folder that gets its name once it is whole.

use super::durable::sync_folder;
use super::transfer::remove_tree;
use crate::platform::error::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Folder under a temporary name, beside the place that it is for. Dropping it removes it.
pub(crate) struct NewFolder {
    temporary: PathBuf,
    target: PathBuf,
    is_finished: bool,
}

impl NewFolder {
    /// Makes a private folder that is to be `target`. Its parent must exist. What `is_leftover` recognises under the temporary
    /// name is removed.
    ///
    /// # Errors
    /// `Invalid` if something is at `target`, or `target` lies in a folder of `outside`, or something else has the temporary name; `Full`,
    /// `Io`.
    pub(crate) fn begin(
        target: &Path,
        outside: &[PathBuf],
        is_leftover: impl FnOnce(&Path) -> bool,
    ) -> Result<NewFolder> {
        let name = target.file_name().ok_or_else(|| {
            Error::invalid(format!("{} names no new folder; give its path", target.display()))
        })?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let cannot_find = |e| Error::io(format!("cannot find the folder {}", parent.display()), e);
        let parent = fs::canonicalize(parent).map_err(cannot_find)?;
        let is_above = |outside: &&PathBuf| {
            parent.starts_with(fs::canonicalize(outside).unwrap_or_else(|_| outside.to_path_buf()))
        };
        if let Some(outside) = outside.iter().find(is_above) {
            return Err(Error::invalid(format!(
                "{} lies in {}; choose a place outside it",
                target.display(),
                outside.display()
            )));
        }
        let target = parent.join(name);
        check_free(&target)?;
        let temporary = parent.join(format!(".tmp-{}", name.to_string_lossy()));
        clear(&temporary, is_leftover)?;
        let made = DirBuilder::new().mode(0o700).create(&temporary);
        made.map_err(|e| Error::io(format!("cannot make the folder {}", temporary.display()), e))?;
        Ok(NewFolder { temporary, target, is_finished: false })
    }

    /// Returns the path until the folder is finished.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name. After `Ok` it survives a power failure, if the files in it do.
    ///
    /// # Errors
    /// `Invalid` if something has taken the name meanwhile; `Io`.
    pub(crate) fn finish(mut self) -> Result<()> {
        sync_folder(&self.temporary)?;
        let (from, to) = (&self.temporary, &self.target);
        let renamed = match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // The file system has no such rename. A folder never replaces a file, nor a folder that is not empty.
            Err(Errno::INVAL | Errno::NOSYS) => check_free(to)
                .and_then(|()| rustix::fs::rename(from, to).map_err(|errno| cannot_name(to, errno.into()))),
            Err(Errno::EXIST) => check_free(to),
            renamed => renamed.map_err(|errno| cannot_name(to, errno.into())),
        };
        renamed?;
        self.is_finished = true;
        self.target.parent().map_or(Ok(()), sync_folder)
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = remove_tree(&self.temporary)
        {
            tracing::warn!(%error, "an unfinished folder is left behind");
        }
    }
}

fn cannot_name(target: &Path, error: io::Error) -> Error {
    Error::io(format!("cannot rename a finished folder to {}", target.display()), error)
}

/// Refuses a path that something has.
fn check_free(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(Error::invalid(format!("{} exists already; nothing is overwritten", path.display()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(format!("cannot look at {}", path.display()), e)),
    }
}

/// Removes what a crash left under the temporary name.
fn clear(temporary: &Path, is_leftover: impl FnOnce(&Path) -> bool) -> Result<()> {
    if check_free(temporary).is_ok() || fs::remove_dir(temporary).is_ok() {
        return Ok(());
    }
    if is_leftover(temporary) {
        return remove_tree(temporary);
    }
    Err(Error::invalid(format!(
        "{} exists, and is no unfinished copy or is being made; look at it, and remove it",
        temporary.display()
    )))
}
