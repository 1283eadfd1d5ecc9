//! Removal of the folders that an enforcement emptied.

use crate::output::Failure;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::Path;

/// Folders that deleted objects lay in, below the folder of objects.
#[derive(Default)]
pub(super) struct Emptied(BTreeSet<Vec<u8>>);

impl Emptied {
    /// Adds the folders above an object that was deleted.
    pub(super) fn add(&mut self, key: &[u8]) {
        let mut path = key;
        while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..slash];
            // The folders above a known one are known too.
            if path.is_empty() || !self.0.insert(path.to_vec()) {
                return;
            }
        }
    }

    /// Removes those that are empty, and returns their number. It follows no link, and `root` stays.
    ///
    /// A host that writes there at the same moment finds its folder missing, and has to create it again.
    pub(super) fn remove(self, root: &Path) -> Result<u64, Failure> {
        let cannot = |what: &[u8], errno: Errno| {
            let what = what.escape_ascii();
            Failure::new(format!("cannot remove the empty folder `{what}` below {}: {errno}", root.display()))
        };
        let root_folder = openat(CWD, root, FOLDER, Mode::empty()).map_err(|e| cannot(b".", e))?;
        let mut removed = 0;
        // A folder sorts before those below it, so each is empty by the time that it is reached from the end.
        for path in self.0.iter().rev() {
            match remove_one(root_folder.as_fd(), path) {
                Ok(()) => removed += 1,
                Err(
                    Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::BUSY,
                ) => {}
                Err(errno) => return Err(cannot(path, errno)),
            }
        }
        Ok(removed)
    }
}

/// Flags that open a folder itself, and no link to one.
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes the folder at `path` if it is empty.
fn remove_one(root: rustix::fd::BorrowedFd<'_>, path: &[u8]) -> Result<(), Errno> {
    let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let Some(name) = parts.pop() else { return Err(Errno::NOENT) };
    let mut above: Option<OwnedFd> = None;
    for part in parts {
        let at = above.as_ref().map_or(root, AsFd::as_fd);
        above = Some(openat(at, part, FOLDER, Mode::empty())?);
    }
    unlinkat(above.as_ref().map_or(root, AsFd::as_fd), name, AtFlags::REMOVEDIR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn remove_takes_empty_folders_and_follows_no_link() {
        let root = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = |below: &str| root.path().join(below);
        for folder in ["a/b/c", "a/b2", "full", "other"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::File::create(path("full/file")).unwrap();
        fs::create_dir(elsewhere.path().join("in")).unwrap();
        symlink(elsewhere.path(), path("link")).unwrap();
        let mut emptied = Emptied::default();
        for key in [&b"a/b/c/1"[..], b"a/b2/2", b"full/3", b"link/in/4", b"gone/5", b"top"] {
            emptied.add(key);
        }
        assert_eq!(emptied.remove(root.path()).unwrap(), 4);
        assert!(!path("a").exists() && path("full/file").exists() && path("other").exists());
        assert!(elsewhere.path().join("in").exists() && path("link").exists());
    }
}
