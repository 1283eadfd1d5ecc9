//! Listing of the entries below a root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::DirError;
use super::filter::{Entered, Filter};
use super::identity::{Place, Seen};
use super::path::{Folder, Outside, QUARANTINE, check_inside, failure_message, open_folder};
use super::quarantine::entries;
use super::root::Root;

/// Thing that [`Root::walk`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'a> {
    /// Path of a regular file that the filter takes, relative to the root. It can be longer than a key may be;
    /// [`identify`](Root::identify) then refuses it.
    File(&'a [u8]),
    /// Entry that is no object.
    Other {
        /// Path of the entry, relative to the root.
        path: &'a [u8],
        /// Kind of the entry.
        kind: Kind,
    },
    /// Folder that does not belong to the root or cannot be read. Nothing below it is visited.
    Skipped {
        /// Path of the folder, relative to the root.
        path: &'a [u8],
        /// Obstacle in short.
        obstacle: Obstacle,
        /// Reason, and what to do.
        why: Box<str>,
    },
}

/// Kind of an entry that is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Symbolic link. It is not followed.
    SymbolicLink,
    /// Socket.
    Socket,
    /// Named pipe.
    Fifo,
    /// Device, of blocks or characters.
    Device,
    /// Folder without any entry.
    EmptyFolder,
    /// Regular file that the filter does not take.
    ExcludedFile,
    /// Folder that the filter excludes. Nothing below it is visited.
    ExcludedFolder,
}

/// Obstacle for which a folder is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Obstacle {
    /// It lies on another file system or mount.
    FileSystem,
    /// It is or lies in a data folder of the engine.
    DataFolder,
    /// It cannot be read.
    Unreadable,
}

/// Folder of the path from the root to the present folder.
struct Level {
    /// Length of its path.
    path_bytes: usize,
    /// Metadata by which it is recognised on the way back.
    seen: Seen,
    /// State of the filter in it.
    entered: Entered,
    /// Names of the folders in it that were not entered yet.
    folders: Vec<Vec<u8>>,
}

/// Walk through the folders of a root.
struct Walk<'w, V> {
    place: Place,
    filter: &'w Filter,
    visit: V,
}

impl Root {
    /// Calls `visit` with every entry below the root that is no folder to enter, in no particular order.
    ///
    /// The root's own quarantine is omitted, and symbolic links are not followed. Files that appear or vanish during the
    /// walk may or may not be visited. The walk takes time linear in the number of entries, at any depth, and three
    /// descriptors.
    ///
    /// # Errors
    /// [`DirError::Io`] if the root itself cannot be read.
    pub fn walk(&self, filter: &Filter, visit: impl FnMut(Found<'_>)) -> Result<(), DirError> {
        let failed = |errno| DirError::Io(failure_message("reading the folder", b".", errno));
        let mut walk = Walk { place: self.place(), filter, visit };
        let mut here = open_folder(self.folder(), b".").map_err(failed)?;
        let seen = Seen::of(here.as_fd()).map_err(failed)?;
        let mut path = Vec::new();
        let mut levels = vec![walk.read_level(here.as_fd(), seen, filter.root(), &path).map_err(failed)?];
        while let Some(level) = levels.last_mut() {
            path.truncate(level.path_bytes);
            if let Some(name) = level.folders.pop() {
                path = joined(&path, &name);
                if let Some((folder, level)) = walk.enter(here.as_fd(), level.entered, &name, &path) {
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
                        walk.unreadable(&path, why);
                    }
                }
            }
        }
        Ok(())
    }

    /// Lists a single folder of the root, at `path` (empty: the root itself). Returns the names of the folders in it. `None`
    /// if the folder is missing, excluded or skipped, no longer a folder, or the root's own quarantine.
    ///
    /// Calls `opened` with the open folder before it is read, so that a caller can watch it first. Calls `visit` with every
    /// entry that is no folder. No component of the path is followed if it is a symbolic link.
    ///
    /// # Errors
    /// [`DirError::Io`] if the root itself cannot be read.
    pub fn read_folder(
        &self,
        path: &[u8],
        filter: &Filter,
        opened: impl FnOnce(BorrowedFd<'_>),
        visit: impl FnMut(Found<'_>),
    ) -> Result<Option<Vec<Vec<u8>>>, DirError> {
        let failed = |errno| DirError::Io(failure_message("reading the folder", b".", errno));
        let mut walk = Walk { place: self.place(), filter, visit };
        let mut here = open_folder(self.folder(), b".").map_err(failed)?;
        let mut entered = filter.root();
        let components = path.split(|&byte| byte == b'/').filter(|_| !path.is_empty());
        if components.clone().next() == Some(QUARANTINE.as_bytes()) {
            return Ok(None);
        }
        let mut path_bytes = 0;
        for component in components {
            path_bytes += component.len() + usize::from(path_bytes > 0);
            let above = path.get(..path_bytes).unwrap_or(path);
            let Some((folder, _, next)) = walk.open(here.as_fd(), entered, component, above) else {
                return Ok(None);
            };
            (here, entered) = (folder, next);
        }
        let seen = Seen::of(here.as_fd()).map_err(failed)?;
        opened(here.as_fd());
        match walk.read_level(here.as_fd(), seen, entered, path) {
            Ok(level) => Ok(Some(level.folders)),
            Err(errno) if path.is_empty() => Err(failed(errno)),
            Err(errno) => {
                walk.unreadable(path, failure_message("reading the folder", path, errno));
                Ok(None)
            }
        }
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

impl<V: FnMut(Found<'_>)> Walk<'_, V> {
    /// Opens and reads a folder of the root. `None` if it was excluded or skipped, or removed or replaced in the meantime.
    fn enter(
        &mut self,
        parent: BorrowedFd<'_>,
        above: Entered,
        name: &[u8],
        path: &[u8],
    ) -> Option<(OwnedFd, Level)> {
        let (folder, seen, entered) = self.open(parent, above, name, path)?;
        match self.read_level(folder.as_fd(), seen, entered, path) {
            Ok(level) => Some((folder, level)),
            Err(errno) => {
                self.unreadable(path, failure_message("reading the folder", path, errno));
                None
            }
        }
    }

    /// Opens a folder of the root. `None` if it was excluded or skipped, or removed or replaced in the meantime.
    fn open(
        &mut self,
        parent: BorrowedFd<'_>,
        above: Entered,
        name: &[u8],
        path: &[u8],
    ) -> Option<(OwnedFd, Seen, Entered)> {
        let Some(entered) = self.filter.enters(path, above) else {
            self.other(path, Kind::ExcludedFolder);
            return None;
        };
        let folder = match open_folder(parent, name) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR) => return None,
            Err(errno) => {
                self.unreadable(path, failure_message("reading the folder", path, errno));
                return None;
            }
        };
        let seen = match check_inside(folder.as_fd(), self.place) {
            Ok(seen) => seen,
            Err(outside) => {
                let obstacle = match outside {
                    Outside::FileSystem => Obstacle::FileSystem,
                    Outside::DataFolder => Obstacle::DataFolder,
                    Outside::Unknown(_) => Obstacle::Unreadable,
                };
                (self.visit)(Found::Skipped { path, obstacle, why: outside.error(path).into_message() });
                return None;
            }
        };
        Some((folder, seen, entered))
    }

    /// Reads a folder: visits what is no folder, and collects its folders.
    fn read_level(
        &mut self,
        folder: BorrowedFd<'_>,
        seen: Seen,
        entered: Entered,
        path: &[u8],
    ) -> Result<Level, Errno> {
        let mut level = Level { path_bytes: path.len(), seen, entered, folders: Vec::new() };
        let entries = entries(folder)?;
        if entries.is_empty() && !path.is_empty() {
            self.other(path, Kind::EmptyFolder);
        }
        for (name, kind) in entries {
            if path.is_empty() && name == QUARANTINE.as_bytes() {
                continue;
            }
            match kind {
                FileType::Directory => level.folders.push(name),
                // Some file systems do not tell the type in the listing.
                FileType::Unknown => match Seen::at(folder, &name) {
                    Ok(Some(seen)) if seen.kind == FileType::Directory => level.folders.push(name),
                    Ok(Some(seen)) => self.entry(&joined(path, &name), seen.kind, entered),
                    Ok(None) => {}
                    Err(errno) => {
                        let path = joined(path, &name);
                        self.unreadable(&path, failure_message("looking at", &path, errno));
                    }
                },
                kind => self.entry(&joined(path, &name), kind, entered),
            }
        }
        Ok(level)
    }

    /// Visits an entry that is no folder.
    fn entry(&mut self, path: &[u8], kind: FileType, entered: Entered) {
        match kind {
            FileType::RegularFile if self.filter.takes_in(path, entered) => (self.visit)(Found::File(path)),
            FileType::RegularFile => self.other(path, Kind::ExcludedFile),
            FileType::Symlink => self.other(path, Kind::SymbolicLink),
            FileType::Socket => self.other(path, Kind::Socket),
            FileType::Fifo => self.other(path, Kind::Fifo),
            _ => self.other(path, Kind::Device),
        }
    }

    fn other(&mut self, path: &[u8], kind: Kind) {
        (self.visit)(Found::Other { path, kind });
    }

    fn unreadable(&mut self, path: &[u8], why: Box<str>) {
        (self.visit)(Found::Skipped { path, obstacle: Obstacle::Unreadable, why });
    }
}

fn joined(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
