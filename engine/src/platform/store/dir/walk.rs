//! Listing of the files below a root.

use std::os::fd::AsFd;

use rustix::fs::FileType;

use super::identity::Seen;
use super::path::{Folder, QUARANTINE, failure_message, walk_to};
use super::quarantine::entries;
use super::{DirError, DirStore};

impl DirStore {
    /// Calls `visit` with the path of every regular file below the root, in no particular order.
    ///
    /// Quarantines are omitted, and symbolic links are not followed. Files that appear or vanish during the walk may or may
    /// not be visited. A path can be longer than a key may be; [`identify`](Self::identify) then refuses it.
    ///
    /// # Errors
    /// [`DirError::Io`] at the first folder that cannot be read. Files visited before stay visited.
    pub fn walk(&self, mut visit: impl FnMut(&[u8])) -> Result<(), DirError> {
        let mut folders = vec![Vec::new()];
        while let Some(path) = folders.pop() {
            // Each walk starts at the root. A folder costs a few more calls, but the depth costs no descriptors.
            let Folder::Open(folder) = walk_to(self.root(), &path).map_err(DirError::Io)? else { continue };
            let unreadable = |errno| DirError::Io(failure_message("reading the folder", &path, errno));
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
                    // Some file systems do not tell the type in the listing.
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
