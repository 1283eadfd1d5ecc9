//! What becomes of files in the quarantine that are not deleted: they go back to their place, at once or at the next
//! opening, or stay as leftovers.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags, openat, renameat_with, unlinkat};
use rustix::io::{self, Errno};

use super::identity::{FileVersion, Seen};
use super::path::{Folder, RelPath, sentence, walk_to};
use super::quarantine::{Bay, MANIFEST, QUARANTINE, entries};
use super::{Answer, DirError, DirStore, Leftover, manifest};

/// Larger than any list: a round has far fewer files than this many bytes divided by the longest key.
const MANIFEST_BYTES_MAX: usize = 64 << 20;

impl DirStore {
    /// Puts back what an earlier life left in the quarantine.
    ///
    /// It can end anywhere and be run again: a file is in the bay or in its place, never in neither, and the list stays
    /// until every file that was put back is durable in its place.
    pub(super) fn recover(&self) -> Result<(), DirError> {
        let unreadable = |path: &str, errno| DirError::Io(sentence("reading", path.as_bytes(), errno));
        for name in self.quarantine.bays().map_err(|errno| unreadable(QUARANTINE, errno))? {
            let folder =
                self.quarantine.open_bay(name.as_bytes()).map_err(|errno| unreadable(&name, errno))?;
            self.empty(&Bay { name, folder })?;
        }
        self.disk.sync(self.quarantine.folder.as_fd(), QUARANTINE.as_bytes()).map_err(DirError::Io)
    }

    /// Empties one bay as far as possible.
    fn empty(&self, bay: &Bay) -> Result<(), DirError> {
        let unreadable = |errno| DirError::Io(sentence("reading", bay.path().as_bytes(), errno));
        let mut held = entries(bay.folder.as_fd()).map_err(unreadable)?;
        held.retain(|(name, _)| name != MANIFEST);
        if held.is_empty() {
            // The crash came before the first rename, possibly in the middle of the list, or after the last unlink.
            // The unlinks are made durable here: the engine may soon be told `Absent` on the strength of them.
            self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()).map_err(DirError::Io)?;
            self.quarantine.remove_bay(bay);
            return Ok(());
        }
        let keys = read_manifest(bay.folder.as_fd()).map_err(unreadable)?;
        let mut stay = false;
        for (name, _) in held {
            let name = String::from_utf8_lossy(&name).into_owned();
            let index = name.parse::<usize>().ok();
            let key = index.and_then(|index| keys.as_ref()?.get(index));
            stay |= !self.bring_home(bay, &name, key.map(Vec::as_slice))?;
        }
        self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()).map_err(DirError::Io)?;
        if !stay {
            self.quarantine.remove_bay(bay);
        }
        Ok(())
    }

    /// Puts one file back and makes that durable; `false` if it stays.
    fn bring_home(&self, bay: &Bay, name: &str, key: Option<&[u8]>) -> Result<bool, DirError> {
        let Some(path) = key.and_then(|key| RelPath::parse(key).ok()) else {
            let why = "the list of the bay is damaged or does not name it; put it in its place by hand";
            self.leave(bay, name, None, why.into());
            return Ok(false);
        };
        match walk_to(self.root(), path.parent) {
            Ok(Folder::Open(parent)) => {
                let home = self.put_back(bay, name, parent.as_fd(), path);
                // Also when it stays: that the file has left this folder must be durable before it is deleted from
                // the bay, and the process that took it may have died before its fsync.
                self.disk.sync(parent.as_fd(), path.parent).map_err(DirError::Io)?;
                return Ok(home);
            }
            Ok(Folder::Missing(deepest)) => {
                self.disk.sync(deepest.as_fd(), path.parent).map_err(DirError::Io)?;
                let why = sentence("putting back", path.key, Errno::NOENT);
                self.leave(bay, name, Some(path.key), why);
            }
            Err(why) => self.leave(bay, name, Some(path.key), why),
        }
        Ok(false)
    }

    /// Renames one file back to its place, replacing nothing; if that fails it becomes a leftover, and this `false`.
    pub(super) fn put_back(&self, bay: &Bay, name: &str, parent: BorrowedFd<'_>, path: RelPath<'_>) -> bool {
        match renameat_with(&bay.folder, name, parent, path.name, RenameFlags::NOREPLACE) {
            Ok(()) => true,
            Err(errno) => {
                self.leave(bay, name, Some(path.key), sentence("putting back", path.key, errno));
                false
            }
        }
    }

    /// Remembers and reports a file that stays in the quarantine.
    fn leave(&self, bay: &Bay, name: &str, key: Option<&[u8]>, why: Box<str>) {
        let held_at = PathBuf::from(bay.path()).join(name);
        tracing::warn!(held_at = %held_at.display(), %why, "a file stays in the quarantine");
        let (key, bay, name) = (key.map(<[u8]>::to_vec), bay.name.clone(), name.to_owned());
        self.leftovers.lock().push(Leftover { key, held_at, why, bay, name });
    }

    /// Deletes the leftover of `key` that is the file registered; `None` if there is none such.
    ///
    /// What stands at the path meanwhile is another file, and not asked about. A crash in here leaves the file in its
    /// bay or gone; the next opening finds either.
    pub(super) fn delete_leftover(&self, key: &[u8], wanted: &FileVersion) -> Option<Answer> {
        let candidates: Vec<Leftover> =
            self.leftovers.lock().iter().filter(|held| held.key.as_deref() == Some(key)).cloned().collect();
        for held in candidates {
            let Ok(folder) = self.quarantine.open_bay(held.bay.as_bytes()) else { continue };
            let Ok(Some(seen)) = Seen::at(folder.as_fd(), held.name.as_bytes()) else { continue };
            if wanted.is(&seen) {
                return Some(self.unlink_leftover(&held, &Bay { name: held.bay.clone(), folder }));
            }
        }
        None
    }

    fn unlink_leftover(&self, held: &Leftover, bay: &Bay) -> Answer {
        if let Err(errno) = unlinkat(&bay.folder, &held.name, AtFlags::empty()) {
            let path = held.held_at.to_string_lossy();
            return Answer::Failed(sentence("deleting", path.as_bytes(), errno));
        }
        let last = {
            let mut leftovers = self.leftovers.lock();
            leftovers.retain(|other| (&other.bay, &other.name) != (&held.bay, &held.name));
            leftovers.iter().all(|other| other.bay != bay.name)
        };
        match self.disk.sync(bay.folder.as_fd(), bay.path().as_bytes()) {
            Ok(()) => {
                if last {
                    self.quarantine.remove_bay(bay);
                }
                Answer::Deleted
            }
            Err(why) => Answer::Failed(why),
        }
    }
}

/// Reads the list of a bay; `None` if it is missing, torn or damaged.
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
