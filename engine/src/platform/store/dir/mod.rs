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
//! * **Absent is absent from the root.** A root has a random id, in `.sexton-quarantine/root`, and the version of each file
//!   names it. In another root, in the mount point of a missing disk and below a mount that hides a folder of the root, the
//!   answer is [`Answer::Failed`].
//! * **No data folder of the engine is touched**, neither below the root nor above it.
//!
//! A store opens its root for each call and closes it afterwards. So the disk can be unmounted between batches, and the root
//! may be renamed, or mounted elsewhere, between openings.
//!
//! # Limits
//!
//! `Deleted` means that *this name* is gone. Other hard links keep the content of the file; the store logs a warning. A
//! process that has the file open also keeps the content, until it closes the file. Data written into the file in place
//! between its inspection and the unlink, within some microseconds, is deleted with it. Blocks on the medium are not
//! overwritten.
//!
//! While a file is inspected, its name is missing for a moment. Folders that become empty stay, until the host calls
//! [`Root::remove_empty_folder`]. A snapshot or an image of
//! the whole file system has the same ids, and is taken for the root. Mounts of one file system inside another are told apart
//! from Linux 5.8 on. On overlayfs with `xino=off`, whose files can have other device numbers than their folders, no file is
//! accepted.

mod delete;
mod disk;
mod filter;
mod identity;
mod label;
mod manifest;
mod overlap;
mod path;
mod quarantine;
mod recovery;
mod root;
mod root_id;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fd::AsFd;

pub use filter::Filter;
pub use identity::{FileId, Identified, Identity, Likeness};
pub use root::Root;
pub use root_id::RootId;
pub use walk::{Found, Kind, Obstacle};

use super::{Answer, Disposition, Store, SubBatch};
use disk::Disk;
use label::Label;
use quarantine::Quarantine;

/// Error of a directory store. The message says what failed and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DirError {
    /// The store cannot work with a key, a file or a root.
    #[error("{0}")]
    Invalid(Box<str>),
    /// Another store works in this root, in this or another process.
    #[error("{0}")]
    Locked(Box<str>),
    /// The file system refused or failed.
    #[error("{0}")]
    Io(Box<str>),
}

impl DirError {
    fn into_message(self) -> Box<str> {
        match self {
            Self::Invalid(why) | Self::Locked(why) | Self::Io(why) => why,
        }
    }
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
    /// Path of the root, absolute.
    path: PathBuf,
    id: RootId,
    /// Session that calls of `delete` share. It ends with the last of them.
    session: Mutex<Weak<Session>>,
    leftovers: Mutex<Vec<Leftover>>,
    /// Keys that a call of `delete` is working on. Without it, one call could report a file as absent that another call has
    /// moved into the quarantine for a moment.
    claimed: Mutex<HashSet<Box<[u8]>>>,
    disk: Disk,
}

/// Open descriptors of a store that works in its root. It holds the lock of the root.
struct Session {
    root: Root,
    quarantine: Quarantine,
}

/// Treatment of the label of a root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labelling {
    /// The root must have one.
    Existing,
    /// A root without one gets one.
    IfMissing,
    /// The root gets a new one.
    New,
}

impl Labelling {
    /// Returns the id of a root with this label; `None` if it is to get a new one.
    fn id(self, label: Label, root: &Path) -> Result<Option<RootId>, DirError> {
        let refused = |why: &str| {
            Err(DirError::Invalid(format!("the root `{}` {why}", root.display()).into_boxed_str()))
        };
        match (label, self) {
            (_, Self::New) | (Label::Missing, Self::IfMissing) => Ok(None),
            (Label::Of(id), _) => Ok(Some(id)),
            (Label::Missing, Self::Existing) => refused(
                "has no label of a store (`.sexton-quarantine/root`); mount the disk, or open the root for the first time",
            ),
            (Label::NotOurs, _) => refused(
                "has a label (`.sexton-quarantine/root`) that is damaged or was copied from another root; mount the disk, \
                 or adopt the folder as a new root",
            ),
        }
    }
}

impl DirStore {
    /// Opens the store on `root`, labels the root if it has no label, and puts back what a crash left in the quarantine.
    ///
    /// Label and files put back are durable when this returns. The root itself may be a symbolic link.
    ///
    /// Prefer [`reopen`](Self::reopen) for a root that was in use before.
    ///
    /// # Errors
    /// [`DirError::Locked`] if another store works in this root. [`DirError::Invalid`] if the root is or lies in a data
    /// folder of the engine, if its label was copied from another root, or if the file system cannot do what is needed.
    /// [`DirError::Io`] if it fails.
    pub fn open(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, Labelling::IfMissing)
    }

    /// Opens the store on a root that already has its label.
    ///
    /// This guards against a disk that is not mounted: the empty mount point has no label.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`DirError::Invalid`] if the label is missing.
    pub fn reopen(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, Labelling::Existing)
    }

    /// Opens the store on a root and gives the root a new id, whatever label it has.
    ///
    /// A store that was opened on the root before no longer works in it. Files that were registered in it are no longer
    /// deleted until they are registered again. Call it to take a root over, or to use the copy of a root as a root of its
    /// own.
    ///
    /// # Errors
    /// As [`open`](Self::open), except for the label.
    pub fn adopt(root: &Path) -> Result<Self, DirError> {
        Self::open_with(root, Labelling::New)
    }

    fn open_with(path: &Path, labelling: Labelling) -> Result<Self, DirError> {
        // The root is opened again for each call, whatever the working directory is then.
        let path = std::path::absolute(path).map_err(|error| {
            DirError::Io(format!("the root `{}` has no path: {error}; name a folder", path.display()).into())
        })?;
        let root = Root::open(&path)?;
        labelling.id(root.label(), &path)?;
        let disk = Disk::default();
        Quarantine::create(root.folder(), &disk)?;
        let quarantine = Quarantine::open(root.folder())?;
        // Read again under the lock: another store may have labelled the root meanwhile.
        let id = if let Some(id) = labelling.id(Label::read(quarantine.folder.as_fd())?, &path)? {
            id
        } else {
            let id = RootId::random()?;
            Label::write(quarantine.folder.as_fd(), id, &disk)?;
            id
        };
        quarantine.probe(&disk)?;
        quarantine.restore_reserve();
        let (session, leftovers, claimed) = (Mutex::default(), Mutex::default(), Mutex::default());
        let store = Self { path, id, session, leftovers, claimed, disk };
        store.recover(&Session { root, quarantine })?;
        Ok(store)
    }

    /// Returns the id of the root.
    pub fn id(&self) -> RootId {
        self.id
    }

    /// Opens the root for reading, and checks that it still is the root of this store.
    ///
    /// # Errors
    /// [`DirError::Invalid`] if another folder is at its path, for example the mount point of a missing disk.
    /// [`DirError::Io`].
    pub fn root(&self) -> Result<Root, DirError> {
        let root = Root::open(&self.path)?;
        if root.id() == Some(self.id) {
            return Ok(root);
        }
        Err(DirError::Invalid(
            format!(
                "the folder `{}` is no longer the root that this store was opened on; mount the disk again, or open the \
                 store again",
                self.path.display()
            )
            .into(),
        ))
    }

    /// Returns the version, size and modification time of the file under `key`; `None` if there is no such file.
    ///
    /// It opens the root for this one call. For many files, call [`Root::identify`] on one [`root`](Self::root).
    ///
    /// # Errors
    /// As [`root`](Self::root) and [`Root::identify`].
    pub fn identify(&self, key: &[u8], identity: Identity) -> Result<Option<Identified>, DirError> {
        self.root()?.identify(key, identity)
    }

    /// Returns the files in the quarantine that could not be put back, for the operator to inspect.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.leftovers.lock().clone()
    }

    /// Calls `work` in the session that other threads work in, or opens the root and begins one.
    ///
    /// The first to enter puts back what another process may have left in the quarantine since the last session.
    fn in_session<T>(&self, work: impl FnOnce(&Session) -> T) -> Result<T, DirError> {
        let session = self.enter()?;
        let result = work(&session);
        // Under the lock, so that no thread begins a session before this one has released the lock of the root.
        let _current = self.session.lock();
        drop(session);
        Ok(result)
    }

    fn enter(&self) -> Result<Arc<Session>, DirError> {
        let mut current = self.session.lock();
        if let Some(session) = current.upgrade() {
            return Ok(session);
        }
        let root = self.root()?;
        let quarantine = Quarantine::open(root.folder())?;
        let session = Arc::new(Session { root, quarantine });
        self.recover(&session)?;
        *current = Arc::downgrade(&session);
        Ok(session)
    }
}

impl std::fmt::Debug for DirStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirStore").field("path", &self.path).field("id", &self.id).finish_non_exhaustive()
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
        let all_failed = |why| vec![Answer::Failed(why); sub_batch.objects.len()];
        if let Some(why) = self.disk.poisoned() {
            return all_failed(why);
        }
        match self.in_session(|session| self.delete_sub_batch(session, sub_batch)) {
            // Only a test that simulates a crash gives no answers.
            Ok(answers) => answers.unwrap_or_default(),
            Err(error) => all_failed(error.into_message()),
        }
    }
}
