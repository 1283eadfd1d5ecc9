//! The quarantine: the folder `.sexton-quarantine` in the root, where files stand between being taken from their
//! place and being deleted.
//!
//! ```text
//! .sexton-quarantine/lock            held (flock) by the one store that works on this root
//! .sexton-quarantine/reserve         space that deleting may use when the disk is full
//! .sexton-quarantine/<batch>-<n>/    a bay: the files of one round, named 0, 1, 2, …
//! .sexton-quarantine/<batch>-<n>/manifest
//! ```
//!
//! The quarantine lies inside the root because a rename does not leave a file system. It stays there when it is empty.

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
use super::path::{open_folder, sentence};
use super::{DirError, manifest};

/// The name of the quarantine in the root.
pub(super) const QUARANTINE: &str = ".sexton-quarantine";
/// The name of the list in a bay.
pub(super) const MANIFEST: &[u8] = b"manifest";

const RESERVE: &str = "reserve";
/// Enough for the folders and lists of a good many rounds.
const RESERVE_BYTES: u64 = 1 << 20;

/// The open quarantine of a root; holds the lock.
pub(super) struct Quarantine {
    pub(super) folder: OwnedFd,
    lock: File,
    serial: AtomicU64,
    /// Whether the reserve has been given away and should be set aside again.
    reserve_spent: AtomicBool,
}

/// A folder of the quarantine that holds the files of one round.
#[derive(Debug)]
pub(super) struct Bay {
    pub(super) name: String,
    pub(super) folder: OwnedFd,
}

impl Bay {
    /// The path from the root, for messages.
    pub(super) fn path(&self) -> String {
        format!("{QUARANTINE}/{}", self.name)
    }
}

impl Quarantine {
    /// Opens the quarantine of `root` and takes its lock. Without `create` a missing quarantine is an error.
    pub(super) fn open(root: BorrowedFd<'_>, create: bool, disk: &Disk) -> Result<Self, DirError> {
        let name = QUARANTINE.as_bytes();
        if create {
            match mkdirat(root, name, Mode::RWXU) {
                // Before anything is in it: a folder that a crash takes away would take its files along.
                Ok(()) => disk.sync(root, b".").map_err(DirError::Io)?,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(DirError::Io(sentence("making the folder", name, errno))),
            }
        }
        let folder = open_folder(root, name).map_err(|errno| match errno {
            Errno::NOENT => DirError::Invalid(
                format!("`{QUARANTINE}` is missing in the root; mount the disk, or open the root for the first time")
                    .into(),
            ),
            errno => DirError::Io(sentence("opening the folder", name, errno)),
        })?;
        let lock = Self::lock(folder.as_fd())?;
        let this = Self { folder, lock, serial: AtomicU64::new(0), reserve_spent: AtomicBool::new(true) };
        this.probe(disk)?;
        this.set_reserve_aside();
        Ok(this)
    }

    fn lock(folder: BorrowedFd<'_>) -> Result<File, DirError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(folder, "lock", flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| DirError::Io(sentence("opening", b".sexton-quarantine/lock", errno)))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(File::from(lock)),
            Err(Errno::WOULDBLOCK) => Err(DirError::Locked(
                format!("another store holds `{QUARANTINE}/lock`; close it first: one root has one store")
                    .into(),
            )),
            Err(errno) => Err(DirError::Io(sentence("locking", b".sexton-quarantine/lock", errno))),
        }
    }

    /// Finds out now, and not at the first deletion, whether this file system can do what is needed: rename without
    /// replacing, and fsync of a folder.
    fn probe(&self, disk: &Disk) -> Result<(), DirError> {
        let (from, to) = ("probe", "probed");
        for name in [from, to] {
            let _ = unlinkat(&self.folder, name, AtFlags::empty());
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(&self.folder, from, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => {}
            // A full disk must not keep the store from opening: deleting is what makes room.
            Err(Errno::NOSPC | Errno::DQUOT) => return Ok(()),
            Err(errno) => return Err(DirError::Io(sentence("writing in", QUARANTINE.as_bytes(), errno))),
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

    /// Makes a bay and its manifest of `keys`, durable when this returns. On failure nothing is left behind.
    ///
    /// A full disk is when deleting matters most, and a bay needs a few blocks: then the reserve is given away.
    pub(super) fn make_bay<'a, I>(&self, batch: u64, keys: I, disk: &Disk) -> Result<Bay, Box<str>>
    where
        I: ExactSizeIterator<Item = &'a [u8]>,
    {
        let list = manifest::encode(keys);
        let made = match self.try_bay(batch, &list) {
            Err(Errno::NOSPC | Errno::DQUOT) if self.give_reserve_away() => self.try_bay(batch, &list),
            made => made,
        };
        let (bay, list) = made.map_err(|errno| sentence("making a bay in", QUARANTINE.as_bytes(), errno))?;
        // All three, from the inside out: the list, its name in the bay, the bay's name in the quarantine. A crash
        // before this is done loses nothing, since no file has been moved; a crash after it finds the list.
        let path = bay.path();
        let durable = disk
            .sync(list.as_fd(), path.as_bytes())
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

    fn try_bay(&self, batch: u64, list: &[u8]) -> Result<(Bay, File), Errno> {
        let (name, folder) = loop {
            let name = format!("{batch}-{}", self.serial.fetch_add(1, Ordering::Relaxed));
            match mkdirat(&self.folder, &name, Mode::RWXU) {
                Ok(()) => match open_folder(self.folder.as_fd(), name.as_bytes()) {
                    Ok(folder) => break (name, folder),
                    Err(errno) => {
                        let _ = unlinkat(&self.folder, &name, AtFlags::REMOVEDIR);
                        return Err(errno);
                    }
                },
                // A bay with leftovers from an earlier life of this store: next number.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        };
        let bay = Bay { name, folder };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let written = openat(&bay.folder, MANIFEST, flags, Mode::RUSR | Mode::WUSR).and_then(|file| {
            let mut file = File::from(file);
            file.write_all(list).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
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

    /// Takes away a bay that holds no file any more. What cannot be removed is found at the next opening.
    pub(super) fn remove_bay(&self, bay: &Bay) {
        let removed = match unlinkat(&bay.folder, MANIFEST, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => unlinkat(&self.folder, &bay.name, AtFlags::REMOVEDIR),
            Err(errno) => Err(errno),
        };
        if let Err(errno) = removed {
            let why = sentence("removing the bay", bay.path().as_bytes(), errno);
            tracing::warn!(%why, "an empty bay stays in the quarantine until the store is reopened");
        }
    }

    /// The names of the bays that are there, in no order.
    pub(super) fn bays(&self) -> Result<Vec<String>, Errno> {
        let mut bays = Vec::new();
        for (name, kind) in entries(self.folder.as_fd())? {
            if matches!(kind, FileType::Directory | FileType::Unknown) && self.open_bay(&name).is_ok() {
                match String::from_utf8(name) {
                    Ok(name) => bays.push(name),
                    Err(error) => {
                        let name = error.as_bytes().escape_ascii().to_string();
                        tracing::warn!(name, "a folder in the quarantine is none of ours; it stays");
                    }
                }
            }
        }
        Ok(bays)
    }

    /// Opens the folder of a bay.
    pub(super) fn open_bay(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        open_folder(self.folder.as_fd(), name)
    }

    /// Lets go of the reserve; `false` if there was none.
    fn give_reserve_away(&self) -> bool {
        self.reserve_spent.store(true, Ordering::Relaxed);
        let given = unlinkat(&self.folder, RESERVE, AtFlags::empty()).is_ok();
        if given {
            tracing::warn!("the disk below the directory store is full: its reserve is used for deleting");
        }
        given
    }

    /// Sets the reserve aside, at opening and again after it was used. Without it everything still works, until the
    /// disk is full.
    pub(super) fn set_reserve_aside(&self) {
        if !self.reserve_spent.swap(false, Ordering::Relaxed) {
            return;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let set = openat(&self.folder, RESERVE, flags, Mode::RUSR | Mode::WUSR)
            .and_then(|file| fallocate(file, FallocateFlags::empty(), 0, RESERVE_BYTES));
        if let Err(errno) = set {
            tracing::debug!(%errno, "no reserve could be set aside; it is tried again after the next deletion");
            let _ = unlinkat(&self.folder, RESERVE, AtFlags::empty());
            self.reserve_spent.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Quarantine {
    /// Lets go of the lock, not only of the descriptor: a child that another thread has just forked holds a copy of
    /// it until it execs, and would keep the root locked that long.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

/// The names in a folder with what they are, as far as the file system says so, without `.` and `..`.
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
