//! Listing of the files below a root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::identity::Seen;
use super::path::{Folder, QUARANTINE, failure_message, open_folder, walk_to};
use super::quarantine::entries;
use super::{DirError, DirStore};

/// Thing that [`DirStore::walk`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'a> {
    /// Path of a regular file, relative to the root. It can be longer than a key may be;
    /// [`identify`](DirStore::identify) then refuses it.
    File(&'a [u8]),
    /// Folder that cannot be read. Nothing below it is visited.
    Skipped {
        /// Path of the folder, relative to the root.
        path: &'a [u8],
        /// Reason, and what to do.
        why: Box<str>,
    },
}

/// Folder of the path from the root to the present folder.
struct Level {
    /// Length of its path.
    path_bytes: usize,
    /// Device and inode, by which it is recognised on the way back.
    id: (u64, u64),
    /// Names of the folders in it that were not entered yet.
    folders: Vec<Vec<u8>>,
}

impl DirStore {
    /// Calls `visit` with every regular file below the root, and with every folder that is left out, in no particular
    /// order.
    ///
    /// Quarantines are omitted, and symbolic links are not followed. Files that appear or vanish during the walk may or may
    /// not be visited. The walk takes time linear in the number of entries, at any depth, and three descriptors.
    ///
    /// # Errors
    /// [`DirError::Io`] if the root itself cannot be read.
    pub fn walk(&self, mut visit: impl FnMut(Found<'_>)) -> Result<(), DirError> {
        let failed = |errno| DirError::Io(failure_message("reading the folder", b".", errno));
        let mut here = open_folder(self.root(), b".").map_err(failed)?;
        let mut path = Vec::new();
        let mut levels = vec![read_level(here.as_fd(), &path, &mut visit).map_err(failed)?];
        while let Some(level) = levels.last_mut() {
            path.truncate(level.path_bytes);
            if let Some(name) = level.folders.pop() {
                path = joined(&path, &name);
                if let Some((folder, level)) = enter(here.as_fd(), &name, &path, &mut visit) {
                    here = folder;
                    levels.push(level);
                }
                continue;
            }
            levels.pop();
            let Some(parent) = levels.last_mut() else { break };
            path.truncate(parent.path_bytes);
            match self.back_to(parent, here.as_fd(), &path) {
                Ok(folder) => here = folder,
                Err(why) => {
                    parent.folders.clear();
                    if let Some(why) = why {
                        visit(Found::Skipped { path: &path, why });
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns from a folder to its parent `level`, whose path is `path`. If the folder was moved meanwhile, goes there from
    /// the root again.
    ///
    /// # Errors
    /// The reason for which the parent cannot be read; `None` if it is gone.
    fn back_to(&self, level: &Level, from: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Option<Box<str>>> {
        if let Ok(parent) = open_folder(from, b"..")
            && id(parent.as_fd()).is_ok_and(|id| id == level.id)
        {
            return Ok(parent);
        }
        match walk_to(self.root(), path) {
            Ok(Folder::Open(folder)) => Ok(folder),
            Ok(Folder::Missing(_)) => Err(None),
            Err(why) => Err(Some(why)),
        }
    }
}

/// Opens and reads a folder. `None` if it was skipped, or removed or replaced in the meantime.
fn enter(
    parent: BorrowedFd<'_>,
    name: &[u8],
    path: &[u8],
    visit: &mut impl FnMut(Found<'_>),
) -> Option<(OwnedFd, Level)> {
    let entered = open_folder(parent, name).and_then(|folder| {
        let level = read_level(folder.as_fd(), path, visit)?;
        Ok((folder, level))
    });
    match entered {
        Ok(entered) => return Some(entered),
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(errno) => {
            visit(Found::Skipped { path, why: failure_message("reading the folder", path, errno) });
        }
    }
    None
}

/// Reads a folder: visits its files and collects its folders.
fn read_level(
    folder: BorrowedFd<'_>,
    path: &[u8],
    visit: &mut impl FnMut(Found<'_>),
) -> Result<Level, Errno> {
    let mut level = Level { path_bytes: path.len(), id: id(folder)?, folders: Vec::new() };
    for (name, kind) in entries(folder)? {
        if name == QUARANTINE.as_bytes() {
            continue;
        }
        match kind {
            FileType::RegularFile => visit(Found::File(&joined(path, &name))),
            FileType::Directory => level.folders.push(name),
            // Some file systems do not tell the type in the listing.
            FileType::Unknown => match Seen::at(folder, &name) {
                Ok(Some(seen)) if seen.regular => visit(Found::File(&joined(path, &name))),
                Ok(Some(seen)) if seen.folder => level.folders.push(name),
                Ok(_) => {}
                Err(errno) => {
                    let path = joined(path, &name);
                    visit(Found::Skipped { path: &path, why: failure_message("looking at", &path, errno) });
                }
            },
            _ => {}
        }
    }
    Ok(level)
}

fn id(folder: BorrowedFd<'_>) -> Result<(u64, u64), Errno> {
    fstat(folder).map(|stat| (stat.st_dev, stat.st_ino))
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
