//! Return of files from the quarantine that are not deleted.
//!
//! They are put back at once or when the store next works in the root, or stay as leftovers.

use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::{self, Errno};

use super::identity::{FileVersion, Seen};
use super::path::{Folder, QUARANTINE, RelPath, failure_message};
use super::quarantine::{Bay, MANIFEST, entries};
use super::{Answer, DirError, DirStore, Leftover, Session, manifest};

/// Limit of the size of a manifest, bytes. A round has far fewer files than this divided by the longest key.
const MANIFEST_BYTES_MAX: usize = 64 << 20;

impl DirStore {
    /// Puts back the files that a crash or an earlier deletion left in the quarantine.
    ///
    /// A crash at any point lets it run again: a file is in the bay or at its path, never in neither. The manifest stays until
    /// every file put back is durable.
    pub(super) fn recover(&self, session: &Session) -> Result<(), DirError> {
        let unreadable = |path: &str, errno| DirError::Io(failure_message("reading", path.as_bytes(), errno));
        let quarantine = &session.quarantine;
        let before = mem::take(&mut *self.leftovers.lock());
        let bays = quarantine.bays().map_err(|errno| unreadable(QUARANTINE, errno))?;
        for name in &bays {
            let folder = quarantine.open_bay(name.as_bytes()).map_err(|errno| unreadable(name, errno))?;
            self.clear_bay(session, &Bay { name: name.clone(), folder })?;
        }
        for held in self.leftovers.lock().iter().filter(|held| !before.contains(held)) {
            tracing::warn!(bay = held.bay, "a file stays in the quarantine; see the leftovers of the store");
        }
        if bays.is_empty() {
            return Ok(());
        }
        self.disk.sync(quarantine.folder.as_fd(), QUARANTINE.as_bytes()).map_err(DirError::Io)
    }

    /// Puts back the files of a bay, as far as possible, and removes the bay if it is empty.
    fn clear_bay(&self, session: &Session, bay: &Bay) -> Result<(), DirError> {
        let unreadable = |errno| DirError::Io(failure_message("reading", bay.path().as_bytes(), errno));
        let mut held = entries(bay.folder.as_fd()).map_err(unreadable)?;
        held.retain(|(name, _)| name != MANIFEST);
        if held.is_empty() {
            // The crash came before the first rename, perhaps while the manifest was written, or after the last unlink. This
            // makes the unlinks durable, because answers `Absent` may soon depend on them.
            self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()).map_err(DirError::Io)?;
            session.quarantine.remove_bay(bay);
            return Ok(());
        }
        let keys = read_manifest(bay.folder.as_fd()).map_err(unreadable)?;
        let mut keeps_files = false;
        for (name, _) in held {
            let name = String::from_utf8_lossy(&name).into_owned();
            let index = name.parse::<usize>().ok();
            let key = index.and_then(|index| keys.as_ref()?.get(index));
            keeps_files |= !self.restore_file(session, bay, &name, key.map(Vec::as_slice))?;
        }
        self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()).map_err(DirError::Io)?;
        if !keeps_files {
            session.quarantine.remove_bay(bay);
        }
        Ok(())
    }

    /// Puts a file back durably. Returns `false` if it stays in the bay.
    fn restore_file(
        &self,
        session: &Session,
        bay: &Bay,
        name: &str,
        key: Option<&[u8]>,
    ) -> Result<bool, DirError> {
        let Some(path) = key.and_then(|key| RelPath::parse(key).ok()) else {
            let why = "the manifest of the bay is damaged or does not name it; put it in its place by hand";
            self.keep_as_leftover(bay, name, None, why.into());
            return Ok(false);
        };
        match session.root.walk_to(path.parent) {
            Ok(Folder::Open(parent)) => {
                let restored = self.put_back(bay, name, parent.as_fd(), path);
                // Needed even if the file stays. Its removal from this folder has to be durable before it is deleted
                // from the bay. The process that moved it may have died before its fsync.
                self.disk.sync(parent.as_fd(), path.parent).map_err(DirError::Io)?;
                return Ok(restored);
            }
            Ok(Folder::Missing(deepest)) => {
                self.disk.sync(deepest.as_fd(), path.parent).map_err(DirError::Io)?;
                let why = failure_message("putting back", path.key, Errno::NOENT);
                self.keep_as_leftover(bay, name, Some(path.key), why);
            }
            Err(error) => self.keep_as_leftover(bay, name, Some(path.key), error.into_message()),
        }
        Ok(false)
    }

    /// Renames a file back to its path, replacing nothing. If that fails, the file becomes a leftover and `false` is returned.
    pub(super) fn put_back(&self, bay: &Bay, name: &str, parent: BorrowedFd<'_>, path: RelPath<'_>) -> bool {
        match renameat_with(&bay.folder, name, parent, path.name, RenameFlags::NOREPLACE) {
            Ok(()) => true,
            Err(errno) => {
                self.keep_as_leftover(
                    bay,
                    name,
                    Some(path.key),
                    failure_message("putting back", path.key, errno),
                );
                false
            }
        }
    }

    /// Records a file that stays in the quarantine.
    fn keep_as_leftover(&self, bay: &Bay, name: &str, key: Option<&[u8]>, why: Box<str>) {
        let held_at = PathBuf::from(bay.path()).join(name);
        let (key, bay, name) = (key.map(<[u8]>::to_vec), bay.name.clone(), name.to_owned());
        self.leftovers.lock().push(Leftover { key, held_at, why, bay, name });
    }

    /// Deletes the leftover of `key` that is the registered file. Returns `None` if there is no such leftover.
    ///
    /// A file now at the path is another file, and stays. A crash leaves the leftover in its bay or gone, and the next opening
    /// handles both.
    pub(super) fn delete_leftover(
        &self,
        session: &Session,
        key: &[u8],
        wanted: &FileVersion,
    ) -> Option<Answer> {
        let candidates: Vec<Leftover> =
            self.leftovers.lock().iter().filter(|held| held.key.as_deref() == Some(key)).cloned().collect();
        for held in candidates {
            let Ok(folder) = session.quarantine.open_bay(held.bay.as_bytes()) else { continue };
            let Ok(Some(seen)) = Seen::at(folder.as_fd(), held.name.as_bytes()) else { continue };
            if wanted.is(&seen) {
                let bay = Bay { name: held.bay.clone(), folder };
                return Some(self.unlink_leftover(session, &held, &bay));
            }
        }
        None
    }

    /// Unlinks a leftover durably, and removes its bay if it was the last file there.
    fn unlink_leftover(&self, session: &Session, held: &Leftover, bay: &Bay) -> Answer {
        if let Err(errno) = unlinkat(&bay.folder, &held.name, AtFlags::empty()) {
            let path = held.held_at.to_string_lossy();
            return Answer::Failed(failure_message("deleting", path.as_bytes(), errno));
        }
        let last = {
            let mut leftovers = self.leftovers.lock();
            leftovers.retain(|other| (&other.bay, &other.name) != (&held.bay, &held.name));
            leftovers.iter().all(|other| other.bay != bay.name)
        };
        match self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()) {
            Ok(()) => {
                if last {
                    session.quarantine.remove_bay(bay);
                }
                Answer::Deleted
            }
            Err(why) => Answer::Failed(why),
        }
    }
}

/// Reads the manifest of a bay; `None` if it is missing, torn or damaged.
fn read_manifest(bay: BorrowedFd<'_>) -> io::Result<Option<Vec<Vec<u8>>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(bay, MANIFEST, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let read = match io::read(&file, &mut chunk) {
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        if read == 0 {
            return Ok(manifest::decode(&bytes));
        }
        bytes.extend(chunk.iter().take(read));
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Ok(None);
        }
    }
}
