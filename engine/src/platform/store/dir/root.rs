//! A root, opened for reading: its files, their versions, and the label by which it is recognised.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, unlinkat};
use rustix::io::Errno;

use super::DirError;
use super::identity::{FileVersion, Identified, Identity, Place, Seen};
use super::label::Label;
use super::overlap::{any_upwards, overlap};
use super::path::{Folder, QUARANTINE, RelPath, elsewhere, failure_message, open_folder, walk_to};
use super::root_id::RootId;
use crate::platform::data_folder::is_data_folder;

/// Root of a directory store, opened for reading. Opening it creates and changes nothing.
///
/// While it is open, its file system cannot be unmounted.
#[derive(Debug)]
pub struct Root {
    /// Path as it was named.
    path: PathBuf,
    folder: OwnedFd,
    place: Place,
    label: Label,
    /// Id in the versions of files: that of the root, or one that no store accepts.
    named: RootId,
}

impl Root {
    /// Opens a folder as a root, whether a store has labelled it or not. The path may be a symbolic link.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if the folder is a data folder of the engine or lies in one, seen through symbolic links and
    /// bind mounts too. [`DirError::Io`].
    pub fn open(path: &Path) -> Result<Self, DirError> {
        let failed = |what: &dyn std::fmt::Display| {
            DirError::Io(
                format!("opening the root `{}` failed: {what}; name an existing folder", path.display())
                    .into(),
            )
        };
        let folder: OwnedFd = File::open(path).map_err(|error| failed(&error))?.into();
        let seen = Seen::of(folder.as_fd()).map_err(|errno| failed(&errno))?;
        if seen.kind != FileType::Directory {
            return Err(failed(&Errno::NOTDIR));
        }
        if any_upwards(folder.as_fd(), |above, _| is_data_folder(above)).map_err(|errno| failed(&errno))? {
            return Err(DirError::Invalid(
                format!(
                    "the root `{}` is a data folder of Sexton or lies in one, whose files are no objects; name another \
                     folder",
                    path.display()
                )
                .into(),
            ));
        }
        let label = read_label(folder.as_fd(), seen.place)?;
        let named = match label {
            Label::Of(id) => id,
            Label::Missing | Label::NotOurs => RootId::random()?,
        };
        Ok(Self { path: path.to_path_buf(), folder, place: seen.place, label, named })
    }

    /// Returns the id of the root; `None` if no store has labelled it, or if its label is damaged or was copied from another
    /// root.
    pub fn id(&self) -> Option<RootId> {
        match self.label {
            Label::Of(id) => Some(id),
            Label::Missing | Label::NotOurs => None,
        }
    }

    /// Returns `true` if the root has a label, even if it is damaged or was copied from another root.
    pub fn is_labelled(&self) -> bool {
        self.label != Label::Missing
    }

    /// Returns the version, size and modification time of the file under `key`; `None` if there is no such file.
    ///
    /// Call it when the file is complete; see [`Identity`]. In a root without an id, a version is for trial only: no store
    /// deletes a file that was registered with it.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if the key is not a path inside the root, or names something that could not be deleted
    /// later. That is anything but a regular file, a file on another file system or mount, or a file in a data folder of
    /// the engine. For [`Identity::InodeOnly`] it is also a file on a file system without birth times. [`DirError::Io`] if
    /// the file cannot be inspected.
    pub fn identify(&self, key: &[u8], identity: Identity) -> Result<Option<Identified>, DirError> {
        let path = RelPath::parse(key).map_err(DirError::Invalid)?;
        let invalid = |what: &str| Err(DirError::Invalid(format!("`{}` {what}", key.escape_ascii()).into()));
        let Folder::Open(folder) = self.walk_to(path.parent)? else {
            return Ok(None);
        };
        let Some(seen) = Seen::at(folder.as_fd(), path.name)
            .map_err(|errno| DirError::Io(failure_message("looking at", key, errno)))?
        else {
            return Ok(None);
        };
        if seen.place != self.place {
            return Err(elsewhere(key));
        }
        if seen.kind != FileType::RegularFile {
            return invalid("is not a regular file; only regular files can be registered");
        }
        match seen.identified(identity, self.named) {
            Some(file) => Ok(Some(file)),
            None => invalid("lies on a file system without birth times; register it with its exact identity"),
        }
    }

    /// Returns `true` if a version is that of a file of this root. Versions of earlier releases name no root, and count for
    /// each.
    pub fn is_of(&self, version: &[u8]) -> bool {
        FileVersion::decode(version).is_ok_and(|version| version.is_of(self.named))
    }

    /// Removes the folder at `path` if it is empty, and returns `true` if it did. It follows no link and enters no mount. The
    /// removal is not fsynced: after a power failure the empty folder may be there again.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if the path is none inside the root, or crosses another file system or a data folder of the
    /// engine. [`DirError::Io`].
    pub fn remove_empty_folder(&self, path: &[u8]) -> Result<bool, DirError> {
        let folder = RelPath::parse(path).map_err(DirError::Invalid)?;
        let Folder::Open(parent) = self.walk_to(folder.parent)? else { return Ok(false) };
        match unlinkat(&parent, folder.name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            // It has entries, is gone, is no folder, or something is mounted on it.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::BUSY) => Ok(false),
            Err(errno) => Err(DirError::Io(failure_message("removing the folder", path, errno))),
        }
    }

    /// Refuses the root if it overlaps the data folder of an engine: neither may be inside the other.
    ///
    /// The folders themselves are compared, so links and bind mounts make no difference.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if they overlap. [`DirError::Io`] if a folder cannot be inspected.
    pub fn check_apart(&self, data_folder: &Path) -> Result<(), DirError> {
        let failed = |what: &dyn std::fmt::Display| {
            DirError::Io(
                format!(
                    "comparing the data folder `{}` with the root `{}` failed: {what}; name two existing folders",
                    data_folder.display(),
                    self.path.display()
                )
                .into(),
            )
        };
        let data = File::open(data_folder).map_err(|error| failed(&error))?;
        if !overlap(self.folder(), data.as_fd()).map_err(|errno| failed(&errno))? {
            return Ok(());
        }
        Err(DirError::Invalid(
            format!(
                "the data folder `{}` and the root `{}` overlap, so the files of the data folder would be registered and \
                 deleted; move one of them out of the other",
                data_folder.display(),
                self.path.display()
            )
            .into(),
        ))
    }

    /// Returns `true` if one of two roots is the other, or is inside it.
    ///
    /// The folders themselves are compared, so links and bind mounts make no difference.
    ///
    /// # Errors
    /// [`DirError::Io`] if a folder cannot be inspected.
    pub fn overlaps(&self, other: &Root) -> Result<bool, DirError> {
        overlap(self.folder(), other.folder()).map_err(|errno| {
            DirError::Io(
                format!(
                    "comparing the roots `{}` and `{}` failed: {errno}; name two existing folders",
                    self.path.display(),
                    other.path.display()
                )
                .into(),
            )
        })
    }

    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    pub(super) fn label(&self) -> Label {
        self.label
    }

    /// Walks to a folder of the root.
    pub(super) fn walk_to(&self, path: &[u8]) -> Result<Folder, DirError> {
        walk_to(self.folder(), self.place, path)
    }
}

/// Reads the label of a root.
fn read_label(root: BorrowedFd<'_>, place: Place) -> Result<Label, DirError> {
    let failed = |errno| DirError::Io(failure_message("opening the folder", QUARANTINE.as_bytes(), errno));
    let quarantine = match open_folder(root, QUARANTINE.as_bytes()) {
        Ok(folder) => folder,
        Err(Errno::NOENT) => return Ok(Label::Missing),
        Err(errno) => return Err(failed(errno)),
    };
    if Seen::of(quarantine.as_fd()).map_err(failed)?.place != place {
        return Err(elsewhere(QUARANTINE.as_bytes()));
    }
    Label::read(quarantine.as_fd())
}
