//! Finding the files of a root.

use std::os::fd::AsFd;

use rustix::fs::FileType;

use super::identity::Seen;
use super::path::{Folder, sentence, walk_to};
use super::quarantine::{QUARANTINE, entries};
use super::{DirError, DirStore};

impl DirStore {
    /// Calls `visit` with the path of every regular file below the root, in no order, quarantines left out.
    ///
    /// Symbolic links are not followed. What comes and goes meanwhile may or may not be seen. A path can be longer than
    /// a key may be; [`identify`](Self::identify) then refuses it.
    ///
    /// # Errors
    /// [`DirError::Io`] at the first folder that cannot be read; what was visited before stays visited.
    pub fn walk(&self, mut visit: impl FnMut(&[u8])) -> Result<(), DirError> {
        let mut folders = vec![Vec::new()];
        while let Some(path) = folders.pop() {
            // Walked from the root each time: a folder costs a few calls more, and the depth costs no descriptors.
            let Folder::Open(folder) = walk_to(self.root(), &path).map_err(DirError::Io)? else { continue };
            let unreadable = |errno| DirError::Io(sentence("reading the folder", &path, errno));
            for (name, kind) in entries(folder.as_fd()).map_err(unreadable)? {
                if name == QUARANTINE.as_bytes() {
                    continue;
                }
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend(&name);
                match kind {
                    FileType::RegularFile => visit(&below),
                    FileType::Directory => folders.push(below),
                    // Some file systems do not say it in the listing.
                    FileType::Unknown => match Seen::at(folder.as_fd(), &name).map_err(unreadable)? {
                        Some(seen) if seen.regular => visit(&below),
                        Some(seen) if seen.folder => folders.push(below),
                        _ => {}
                    },
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
