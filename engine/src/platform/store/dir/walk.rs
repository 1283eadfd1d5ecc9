//! Listing of the files below a root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::DirError;
use super::identity::{Place, Seen};
use super::path::{Folder, QUARANTINE, check_inside, failure_message, open_folder};
use super::quarantine::entries;
use super::root::Root;

/// Thing that [`Root::walk`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'a> {
    /// Path of a regular file, relative to the root. It can be longer than a key may be;
    /// [`identify`](Root::identify) then refuses it.
    File(&'a [u8]),
    /// Folder that cannot be read, or does not belong to the root: another file system or mount, or a data folder of the
    /// engine. Nothing below it is visited.
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
    /// Metadata by which it is recognised on the way back.
    seen: Seen,
    /// Names of the folders in it that were not entered yet.
    folders: Vec<Vec<u8>>,
}

impl Root {
    /// Calls `visit` with every regular file below the root, and with every folder that is left out, in no particular
    /// order.
    ///
    /// The root's own quarantine is omitted, and symbolic links are not followed. Files that appear or vanish during the
    /// walk may or may not be visited. The walk takes time linear in the number of entries, at any depth, and three
    /// descriptors.
    ///
    /// # Errors
    /// [`DirError::Io`] if the root itself cannot be read.
    pub fn walk(&self, mut visit: impl FnMut(Found<'_>)) -> Result<(), DirError> {
        let failed = |errno| DirError::Io(failure_message("reading the folder", b".", errno));
        let mut here = open_folder(self.folder(), b".").map_err(failed)?;
        let seen = Seen::of(here.as_fd()).map_err(failed)?;
        let mut path = Vec::new();
        let mut levels = vec![read_level(here.as_fd(), seen, &path, &mut visit).map_err(failed)?];
        while let Some(level) = levels.last_mut() {
            path.truncate(level.path_bytes);
            if let Some(name) = level.folders.pop() {
                path = joined(&path, &name);
                if let Some((folder, level)) = enter(here.as_fd(), self.place(), &name, &path, &mut visit) {
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
            && Seen::of(parent.as_fd())
                .is_ok_and(|seen| seen.same_folder(&level.seen) && seen.place == level.seen.place)
        {
            return Ok(parent);
        }
        match self.walk_to(path) {
            Ok(Folder::Open(folder)) => Ok(folder),
            Ok(Folder::Missing(_)) => Err(None),
            Err(error) => Err(Some(error.into_message())),
        }
    }
}

/// Opens and reads a folder of the root in `place`. `None` if it was skipped, or removed or replaced in the meantime.
fn enter(
    parent: BorrowedFd<'_>,
    place: Place,
    name: &[u8],
    path: &[u8],
    visit: &mut impl FnMut(Found<'_>),
) -> Option<(OwnedFd, Level)> {
    let unreadable = |errno| DirError::Io(failure_message("reading the folder", path, errno));
    let folder = match open_folder(parent, name) {
        Ok(folder) => Ok(folder),
        Err(Errno::NOENT | Errno::NOTDIR) => return None,
        Err(errno) => Err(unreadable(errno)),
    };
    let entered = folder.and_then(|folder| {
        let seen = check_inside(folder.as_fd(), place, path)?;
        let level = read_level(folder.as_fd(), seen, path, visit).map_err(unreadable)?;
        Ok((folder, level))
    });
    match entered {
        Ok(entered) => Some(entered),
        Err(error) => {
            visit(Found::Skipped { path, why: error.into_message() });
            None
        }
    }
}

/// Reads a folder: visits its files and collects its folders.
fn read_level(
    folder: BorrowedFd<'_>,
    seen: Seen,
    path: &[u8],
    visit: &mut impl FnMut(Found<'_>),
) -> Result<Level, Errno> {
    let mut level = Level { path_bytes: path.len(), seen, folders: Vec::new() };
    for (name, kind) in entries(folder)? {
        if path.is_empty() && name == QUARANTINE.as_bytes() {
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

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
