//! The quarantine: the folder `.sexton-quarantine` in the root, to which files are moved before they are deleted.
//!
//! ```text
//! .sexton-quarantine/lock                    locked (flock) by the store that works in this root
//! .sexton-quarantine/root                    label of the root: its id
//! .sexton-quarantine/reserve/                a spare bay with 1 MiB of space, for deleting on a full disk
//! .sexton-quarantine/<batch>-<n>/            bay: the files of one round, named 0, 1, 2, …
//! .sexton-quarantine/<batch>-<n>/manifest    original paths of the files of the bay
//! ```
//!
//! The quarantine is inside the root because a rename cannot leave a file system. It stays when it is empty.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{
    AtFlags, Dir, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, fallocate, flock,
    mkdirat, openat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::disk::Disk;
use super::identity::Seen;
use super::path::{QUARANTINE, failure_message, open_folder};
use super::{DirError, manifest};

/// Name of the manifest in a bay.
pub(super) const MANIFEST: &[u8] = b"manifest";

const RESERVE: &str = "reserve";
/// Size of the file in the reserve: enough for the bays and manifests of many rounds.
const RESERVE_BYTES: u64 = 1 << 20;

/// Open quarantine of a root. It holds the lock.
pub(super) struct Quarantine {
    pub(super) folder: OwnedFd,
    lock: File,
    /// Number of the next bay.
    serial: AtomicU64,
    /// `true` if the reserve was spent and is to be restored.
    reserve_spent: AtomicBool,
}

/// Folder of the quarantine with the files of one round.
#[derive(Debug)]
pub(super) struct Bay {
    pub(super) name: String,
    pub(super) folder: OwnedFd,
}

impl Bay {
    /// Returns the path relative to the root, for messages.
    pub(super) fn path(&self) -> String {
        format!("{QUARANTINE}/{}", self.name)
    }
}

impl Quarantine {
    /// Creates the quarantine folder of `root` if it is missing. It is durable when this returns.
    pub(super) fn create(root: BorrowedFd<'_>, disk: &Disk) -> Result<(), DirError> {
        let name = QUARANTINE.as_bytes();
        match mkdirat(root, name, Mode::RWXU) {
            // Durable before any file is in it: a crash that loses the folder would lose its files.
            Ok(()) => disk.sync(root, b".").map_err(DirError::Io),
            Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(DirError::Io(failure_message("making the folder", name, errno))),
        }
    }

    /// Opens the quarantine of `root` and takes its lock.
    pub(super) fn open(root: BorrowedFd<'_>) -> Result<Self, DirError> {
        let failed =
            |errno| DirError::Io(failure_message("opening the folder", QUARANTINE.as_bytes(), errno));
        let folder = open_folder(root, QUARANTINE.as_bytes()).map_err(failed)?;
        let lock = Self::lock(folder.as_fd())?;
        let reserve_spent = AtomicBool::new(!has_reserve(folder.as_fd()));
        Ok(Self { folder, lock, serial: AtomicU64::new(0), reserve_spent })
    }

    /// Takes the lock, which a store holds while it works in the root.
    fn lock(folder: BorrowedFd<'_>) -> Result<File, DirError> {
        let lock = create_file(folder, b"lock", OFlags::RDWR)
            .map_err(|errno| DirError::Io(failure_message("opening", b".sexton-quarantine/lock", errno)))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(File::from(lock)),
            Err(Errno::WOULDBLOCK) => Err(DirError::Locked(
                format!("another store holds `{QUARANTINE}/lock` and works in this root; one at a time can: try again")
                    .into(),
            )),
            Err(errno) => Err(DirError::Io(failure_message("locking", b".sexton-quarantine/lock", errno))),
        }
    }

    /// Checks that the file system supports a rename that does not replace, and an fsync of a folder. The check runs at
    /// opening, before the first deletion.
    pub(super) fn probe(&self, disk: &Disk) -> Result<(), DirError> {
        let (from, to) = ("probe", "probed");
        for name in [from, to] {
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
        match create_file(self.folder.as_fd(), from.as_bytes(), OFlags::WRONLY) {
            Ok(_) => {}
            // A full disk must not prevent opening, because deleting frees space.
            Err(Errno::NOSPC | Errno::DQUOT) => return Ok(()),
            Err(errno) => {
                return Err(DirError::Io(failure_message("writing in", QUARANTINE.as_bytes(), errno)));
            }
        }
        let renamed = renameat_with(&self.folder, from, &self.folder, to, RenameFlags::NOREPLACE);
        for name in [from, to] {
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
        match renamed {
            Ok(()) => disk.sync(self.folder.as_fd(), QUARANTINE.as_bytes()).map_err(DirError::Io),
            Err(errno) => Err(DirError::Invalid(
                format!("this file system cannot rename without replacing ({errno}); use ext4, xfs, btrfs or tmpfs")
                    .into(),
            )),
        }
    }

    /// Creates a bay and its manifest of `keys`. Both are durable when this returns. A failure leaves nothing behind.
    ///
    /// A bay needs a few blocks and two inodes. If the disk has none, where deleting matters most, the reserve becomes the
    /// bay.
    pub(super) fn make_bay<'a, I>(&self, batch: u64, keys: I, disk: &Disk) -> Result<Bay, Box<str>>
    where
        I: ExactSizeIterator<Item = &'a [u8]>,
    {
        let manifest = manifest::encode(keys);
        let made = match self.try_bay(batch, &manifest) {
            Err(Errno::NOSPC | Errno::DQUOT) => self.spend_reserve(batch, &manifest),
            made => made,
        };
        let (bay, manifest) =
            made.map_err(|errno| failure_message("making a bay in", QUARANTINE.as_bytes(), errno))?;
        // From the inside out: the manifest, its name in the bay, and the bay's name in the quarantine. A crash before this
        // is done loses nothing, because no file was moved. A crash after it finds the manifest.
        let path = bay.path();
        let durable = disk
            .sync(manifest.as_fd(), path.as_bytes())
            .and_then(|()| disk.sync(bay.folder.as_fd(), path.as_bytes()))
            .and_then(|()| disk.sync(self.folder.as_fd(), QUARANTINE.as_bytes()));
        match durable {
            Ok(()) => Ok(bay),
            Err(why) => {
                self.remove_bay(&bay);
                Err(why)
            }
        }
    }

    /// Creates a bay and writes its manifest. Neither is durable yet.
    fn try_bay(&self, batch: u64, manifest: &[u8]) -> Result<(Bay, File), Errno> {
        let bay = self.new_bay(batch, |name| mkdirat(&self.folder, name, Mode::RWXU))?;
        self.fill_bay(bay, manifest)
    }

    /// Opens a bay that `make` creates under a new name.
    fn new_bay(&self, batch: u64, make: impl Fn(&str) -> Result<(), Errno>) -> Result<Bay, Errno> {
        loop {
            let name = format!("{batch}-{}", self.serial.fetch_add(1, Ordering::Relaxed));
            match make(&name) {
                Ok(()) => match self.open_bay(name.as_bytes()) {
                    Ok(folder) => return Ok(Bay { name, folder }),
                    Err(errno) => {
                        let _ = unlinkat(&self.folder, &name, AtFlags::REMOVEDIR);
                        return Err(errno);
                    }
                },
                // An earlier opening of this store left a bay of this name with leftovers.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Writes the manifest of a bay. It takes the place of what the reserve has in its file, which is cut to its length.
    fn fill_bay(&self, bay: Bay, manifest: &[u8]) -> Result<(Bay, File), Errno> {
        let written =
            create_file(bay.folder.as_fd(), MANIFEST, OFlags::WRONLY).map(File::from).and_then(|mut file| {
                file.write_all(manifest)
                    .and_then(|()| file.set_len(manifest.len() as u64))
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
                Ok(file)
            });
        match written {
            Ok(file) => Ok((bay, file)),
            Err(errno) => {
                self.remove_bay(&bay);
                Err(errno)
            }
        }
    }

    /// Removes a bay without files. If that fails, the next opening removes it.
    pub(super) fn remove_bay(&self, bay: &Bay) {
        let removed = match unlinkat(&bay.folder, MANIFEST, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => unlinkat(&self.folder, &bay.name, AtFlags::REMOVEDIR),
            Err(errno) => Err(errno),
        };
        if let Err(errno) = removed {
            tracing::warn!(bay = bay.name, %errno, "an empty bay stays in the quarantine until the store is reopened");
        }
    }

    /// Returns the names of all bays, in no particular order.
    pub(super) fn bays(&self) -> Result<Vec<String>, Errno> {
        let mut bays = Vec::new();
        for (name, kind) in entries(self.folder.as_fd())? {
            let is_folder = matches!(kind, FileType::Directory | FileType::Unknown);
            if is_folder && name != RESERVE.as_bytes() && self.open_bay(&name).is_ok() {
                match String::from_utf8(name) {
                    Ok(name) => bays.push(name),
                    Err(_) => tracing::warn!("a folder in the quarantine is none of ours; it stays"),
                }
            }
        }
        Ok(bays)
    }

    /// Opens the folder of a bay.
    pub(super) fn open_bay(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        open_folder(self.folder.as_fd(), name)
    }

    /// Makes the reserve a bay with this manifest, which needs no inode and no block. `ENOSPC` if there is no reserve.
    fn spend_reserve(&self, batch: u64, manifest: &[u8]) -> Result<(Bay, File), Errno> {
        self.reserve_spent.store(true, Ordering::Relaxed);
        let rename =
            |name: &str| renameat_with(&self.folder, RESERVE, &self.folder, name, RenameFlags::NOREPLACE);
        let bay = self.new_bay(batch, rename).map_err(|errno| match errno {
            Errno::NOENT => Errno::NOSPC,
            errno => errno,
        })?;
        tracing::warn!("the disk below the directory store is full: its reserve is used for deleting");
        self.fill_bay(bay, manifest)
    }

    /// Allocates the reserve, at opening and after it was spent. Without it everything works until the disk is full.
    pub(super) fn restore_reserve(&self) {
        if !self.reserve_spent.swap(false, Ordering::Relaxed) {
            return;
        }
        if let Err(errno) = self.allocate_reserve() {
            tracing::debug!(%errno, "the reserve could not be allocated; it is tried again after the next deletion");
            if let Ok(folder) = self.open_bay(RESERVE.as_bytes()) {
                self.remove_bay(&Bay { name: RESERVE.into(), folder });
            }
            self.reserve_spent.store(true, Ordering::Relaxed);
        }
    }

    /// Makes the spare bay, or completes it.
    fn allocate_reserve(&self) -> Result<(), Errno> {
        let make = || mkdirat(&self.folder, RESERVE, Mode::RWXU);
        match make() {
            Ok(()) => {}
            // The reserve of an earlier release is a file.
            Err(Errno::EXIST) if self.open_bay(RESERVE.as_bytes()).is_err() => {
                unlinkat(&self.folder, RESERVE, AtFlags::empty())?;
                make()?;
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let folder = self.open_bay(RESERVE.as_bytes())?;
        let file = create_file(folder.as_fd(), MANIFEST, OFlags::WRONLY)?;
        fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES)
    }
}

impl Drop for Quarantine {
    /// Releases the lock explicitly. A child that another thread has just forked holds a copy of the descriptor until it
    /// execs, and would keep the root locked that long.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Returns `true` if the quarantine has the reserve, and its space is allocated.
fn has_reserve(quarantine: BorrowedFd<'_>) -> bool {
    open_folder(quarantine, RESERVE.as_bytes())
        .and_then(|reserve| Seen::at(reserve.as_fd(), MANIFEST))
        .is_ok_and(|found| found.is_some_and(|manifest| manifest.size_bytes >= RESERVE_BYTES))
}

/// Creates a file in `folder` with mode 0600, or opens it, never through a symbolic link. `flags` has the access mode, and
/// `EXCL` if the file must not exist.
fn create_file(folder: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
}

/// Returns the names in a folder except `.` and `..`, with their types as far as the file system tells them.
pub(super) fn entries(folder: BorrowedFd<'_>) -> Result<Vec<(Vec<u8>, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push((name.to_vec(), entry.file_type()));
        }
    }
    Ok(found)
}
