//! A directory as a store: a key is the path of a file below the root.
//!
//! # Promises
//!
//! * **Only the registered file is deleted.** The store first renames a file into a quarantine folder in the root, where no
//!   other process can replace it. It inspects the file *there*, and unlinks it only if it is the registered file. It puts
//!   another file back, and never replaces anything.
//! * **Never through a symbolic link**, and never out of the root: each path is walked folder by folder.
//! * **Deleted is durable.** Every changed folder is fsynced before the answer [`Answer::Deleted`] or [`Answer::Absent`].
//! * **A crash loses nothing.** The next opening puts the files in the quarantine back. The engine still has the intent that
//!   moved them there, and hands it over again.
//!
//! # Limits
//!
//! `Deleted` means that *this name* is gone. Other hard links keep the content of the file; the store logs a warning. A
//! process that has the file open also keeps the content, until it closes the file. Data written into the file in place
//! between its inspection and the unlink, within some microseconds, is deleted with it. Blocks on the medium are not
//! overwritten.
//!
//! While a file is inspected, its name is missing for a moment. Folders that become empty stay.

mod delete;
mod disk;
mod identity;
mod manifest;
mod path;
mod quarantine;
mod recovery;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

pub use identity::{Identified, Identity};
pub use walk::Found;

use super::{Answer, Disposition, Store, SubBatch};
use disk::Disk;
use identity::Seen;
use path::{Folder, RelPath, failure_message, walk_to};
use quarantine::{Missing, Quarantine};

/// Error of a directory store. The message says what failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// The store cannot work with a key, a file or a root.
    #[error("{0}")]
    Invalid(Box<str>),
    /// Another store has this root open, in this or another process.
    #[error("{0}")]
    Locked(Box<str>),
    /// The file system refused or failed.
    #[error("{0}")]
    Io(Box<str>),
}

/// File in the quarantine that could not be put back.
///
/// The store deletes it when the engine asks for its key and version. A later opening puts it back once its path is free.
/// Otherwise the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Key under which the file was; `None` if the manifest of its bay is damaged.
    pub key: Option<Vec<u8>>,
    /// Path of the file, relative to the root.
    pub held_at: PathBuf,
    /// Reason for which it could not be put back.
    pub why: Box<str>,
    bay: String,
    name: String,
}

/// Store that deletes files below a directory. The [module documentation](self) states its promises.
///
/// Linux only. Needs a file system on which `renameat2` can refuse to replace a file (ext4, xfs, btrfs, tmpfs and most
/// others). Opening checks that.
pub struct DirStore {
    root: OwnedFd,
    /// Mount of the root, if the kernel tells it.
    mount: Option<u64>,
    quarantine: Quarantine,
    leftovers: Mutex<Vec<Leftover>>,
    /// Keys that a call of `delete` is working on. Without it, one call could report a file as absent that another call has
    /// moved into the quarantine for a moment.
    claimed: Mutex<HashSet<Box<[u8]>>>,
    disk: Disk,
}

impl DirStore {
    /// Opens the store on `root`, creates its quarantine folder if it is missing, and puts back what a crash left there.
    ///
    /// Files put back are durable when this returns. The root itself may be a symbolic link.
    ///
    /// Prefer [`reopen`](Self::reopen) for a root that was in use before.
    ///
    /// # Errors
    /// [`DirError::Locked`] if another store has this root open, [`DirError::Invalid`] if the file system cannot do what is
    /// needed, [`DirError::Io`] if it fails.
    pub fn open(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, Missing::Create)
    }

    /// Opens the store on a root that already has its quarantine folder.
    ///
    /// This guards against a disk that is not mounted. In the empty mount point every object would be absent, and tombstones
    /// would say so.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`DirError::Invalid`] if the quarantine folder is missing.
    pub fn reopen(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, Missing::Refuse)
    }

    fn open_with(root: &Path, missing: Missing) -> Result<Self, DirError> {
        let failed = |what: &dyn std::fmt::Display| {
            DirError::Io(
                format!("opening the root `{}` failed: {what}; name an existing folder", root.display())
                    .into(),
            )
        };
        let folder: OwnedFd = File::open(root).map_err(|error| failed(&error))?.into();
        let seen = Seen::at(folder.as_fd(), b".").map_err(|errno| failed(&errno))?;
        let disk = Disk::default();
        let quarantine = Quarantine::open(folder.as_fd(), missing, &disk)?;
        let store = Self {
            mount: seen.and_then(|seen| seen.mount),
            root: folder,
            quarantine,
            leftovers: Mutex::default(),
            claimed: Mutex::default(),
            disk,
        };
        store.recover()?;
        Ok(store)
    }

    /// Returns the version, size and modification time of the file under `key`; `None` if there is no such file.
    ///
    /// Call it when the file is complete; see [`Identity`].
    ///
    /// # Errors
    /// [`DirError::Invalid`] if the key is not a path inside the root, or names something that could not be deleted
    /// later. That is anything but a regular file, or a file on another file system. For [`Identity::InodeOnly`] it is
    /// also a file on a file system without birth times. [`DirError::Io`] if the file cannot be inspected.
    pub fn identify(&self, key: &[u8], identity: Identity) -> Result<Option<Identified>, DirError> {
        let path = RelPath::parse(key).map_err(DirError::Invalid)?;
        let invalid = |what: &str| Err(DirError::Invalid(format!("`{}` {what}", key.escape_ascii()).into()));
        let Folder::Open(folder) = walk_to(self.root(), path.parent).map_err(DirError::Io)? else {
            return Ok(None);
        };
        let Some(seen) = Seen::at(folder.as_fd(), path.name)
            .map_err(|errno| DirError::Io(failure_message("looking at", key, errno)))?
        else {
            return Ok(None);
        };
        if !seen.regular {
            return invalid("is not a regular file; only regular files can be registered");
        }
        if self.mount.is_some() && seen.mount != self.mount {
            return invalid(
                "lies on another file system mounted below the root; open a store of its own there",
            );
        }
        let Some(version) = seen.version(identity) else {
            return invalid("lies on a file system without birth times; register it with its exact identity");
        };
        Ok(Some(Identified { version: version.encode(), size: seen.size_bytes, modified: seen.modified() }))
    }

    /// Returns the files in the quarantine that could not be put back, for the operator to inspect.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.leftovers.lock().clone()
    }

    fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

impl std::fmt::Debug for DirStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirStore").field("leftovers", &self.leftovers.lock().len()).finish_non_exhaustive()
    }
}

impl Store for DirStore {
    fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
        if sub_batch.disposition == Disposition::Anonymise {
            let why = format!(
                "a folder deletes files and cannot anonymise class {}; use a store that can",
                sub_batch.class
            );
            return sub_batch.objects.iter().map(|_| Answer::Failed(why.as_str().into())).collect();
        }
        // Only a test that simulates a crash gives no answers.
        self.delete_sub_batch(sub_batch).unwrap_or_default()
    }
}
