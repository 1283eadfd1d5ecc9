//! A directory as a store: a key is the path of a file below the root.
//!
//! # What it promises
//!
//! * **Only the file registered goes.** A file is first taken from its place by a rename into a quarantine folder in
//!   the root, looked at *there*, where nobody can swap it any more, and unlinked only if it is the file registered.
//!   Another file is put back, without ever replacing anything.
//! * **Never through a symbolic link**, and never out of the root: the way down is walked folder by folder.
//! * **Deleted is durable.** Every folder touched is fsynced before [`Answer::Deleted`] or [`Answer::Absent`] is given.
//! * **A crash loses nothing.** What stood in the quarantine is put back at the next opening; the intent that took
//!   it there stands in the engine and is handed over again.
//!
//! # What it does not promise
//!
//! `Deleted` means that *this name* is gone. Other hard links to the file keep its content (that is logged), and so
//! does a process that has it open, until it closes it. What is written into the file in place between the look
//! and the unlink, some microseconds, goes with it. Blocks on the medium are not overwritten.
//!
//! While a file is looked at, its name is missing for a moment. Folders that become empty stay.

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

use super::{Answer, Disposition, Store, SubBatch};
use disk::Disk;
use identity::Seen;
use path::{Folder, RelPath, sentence, walk_to};
use quarantine::Quarantine;

/// Why a directory store could not do what it was asked for, in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// A key, a file or a root that a directory store cannot work with.
    #[error("{0}")]
    Invalid(Box<str>),
    /// Another store, here or in another process, works on this root.
    #[error("{0}")]
    Locked(Box<str>),
    /// The file system refused or failed.
    #[error("{0}")]
    Io(Box<str>),
}

/// A file that stands in the quarantine and could not be put back.
///
/// It is deleted when the engine asks for its key with its version, and put back at a later opening once its place is
/// free. Otherwise a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it belongs; `None` if the list of the bay is damaged and nobody knows.
    pub key: Option<Vec<u8>>,
    /// Where it is, seen from the root.
    pub held_at: PathBuf,
    /// Why it could not be put back.
    pub why: Box<str>,
    bay: String,
    name: String,
}

/// A store that deletes files below a directory. See the [module documentation](self) for its promises.
///
/// Linux only; needs a file system with `renameat2` without replacing (ext4, xfs, btrfs, tmpfs and most others),
/// which is found out when it is opened.
pub struct DirStore {
    root: OwnedFd,
    /// The mount of the root, where the kernel says so.
    mount: Option<u64>,
    quarantine: Quarantine,
    leftovers: Mutex<Vec<Leftover>>,
    /// Keys that a call of `delete` works on just now. Without it, one call could report as absent what another has
    /// taken into the quarantine for a moment.
    in_hand: Mutex<HashSet<Box<[u8]>>>,
    disk: Disk,
}

impl DirStore {
    /// Opens the store on `root`, makes its quarantine folder if it is missing, and puts back what a crash left there.
    ///
    /// What has been put back is durable in its place when this returns. The root itself may be a symbolic link.
    ///
    /// On a root that has been in use before, prefer [`reopen`](Self::reopen).
    ///
    /// # Errors
    /// [`DirError::Locked`] if another store works on this root, [`DirError::Invalid`] if the file system cannot do
    /// what is needed, [`DirError::Io`] if it fails.
    pub fn open(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, true)
    }

    /// Opens the store on a root that must already have its quarantine folder.
    ///
    /// This guards against the disk that is not mounted: in the empty mount point every object would be absent, and a
    /// tombstone would say so.
    ///
    /// # Errors
    /// Like [`open`](Self::open), and [`DirError::Invalid`] if the quarantine folder is missing.
    pub fn reopen(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, false)
    }

    fn open_with(root: &Path, create: bool) -> Result<Self, DirError> {
        let in_words = |what: &dyn std::fmt::Display| {
            DirError::Io(
                format!("opening the root `{}` failed: {what}; name an existing folder", root.display())
                    .into(),
            )
        };
        let folder: OwnedFd = File::open(root).map_err(|error| in_words(&error))?.into();
        let seen = Seen::at(folder.as_fd(), b".").map_err(|errno| in_words(&errno))?;
        let disk = Disk::default();
        let quarantine = Quarantine::open(folder.as_fd(), create, &disk)?;
        let store = Self {
            mount: seen.and_then(|seen| seen.mount),
            root: folder,
            quarantine,
            leftovers: Mutex::default(),
            in_hand: Mutex::default(),
            disk,
        };
        store.recover()?;
        Ok(store)
    }

    /// Looks at the file under `key` and says how it will be recognised; `None` if there is none.
    ///
    /// To be called when the file is complete: see [`Identity`].
    ///
    /// # Errors
    /// [`DirError::Invalid`] if the key is not a path inside the root, or names something that could not be deleted
    /// later: not a regular file, a file on another file system, or, for [`Identity::InodeOnly`], on a file system
    /// without birth times. [`DirError::Io`] if looking fails.
    pub fn identify(&self, key: &[u8], identity: Identity) -> Result<Option<Identified>, DirError> {
        let path = RelPath::parse(key).map_err(DirError::Invalid)?;
        let invalid = |what: &str| Err(DirError::Invalid(format!("`{}` {what}", key.escape_ascii()).into()));
        let Folder::Open(folder) = walk_to(self.root(), path.parent).map_err(DirError::Io)? else {
            return Ok(None);
        };
        let Some(seen) = Seen::at(folder.as_fd(), path.name)
            .map_err(|errno| DirError::Io(sentence("looking at", key, errno)))?
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
        Ok(Some(Identified {
            version: version.encode(),
            size_bytes: seen.size_bytes,
            modified_ms: seen.modified_ms(),
        }))
    }

    /// What stands in the quarantine and could not be put back, for a person to look at.
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
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        if part.disposition == Disposition::Anonymise {
            let why = format!(
                "a folder deletes files and cannot anonymise class {}; use a store that can",
                part.class
            );
            return part.objects.iter().map(|_| Answer::Failed(why.as_str().into())).collect();
        }
        // Only a test that plays a crash gives no answers; no answers count as failed.
        self.delete_part(part).unwrap_or_default()
    }
}
