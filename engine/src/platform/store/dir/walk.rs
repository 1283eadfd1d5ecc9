//! Listing of the files below a root.

use std::os::fd::AsFd;

use rustix::fs::FileType;

use super::DirError;
use super::identity::Seen;
use super::path::{Folder, QUARANTINE, failure_message};
use super::quarantine::entries;
use super::root::Root;

/// Thing that [`Root::walk`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'a> {
    /// Path of a regular file, relative to the root. It can be longer than a key may be;
    /// [`identify`](Root::identify) then refuses it.
    File(&'a [u8]),
    /// Folder that does not belong to the root: another file system or mount, or a data folder of the engine. Nothing
    /// below it is visited.
    Skipped {
        /// Path of the folder, relative to the root.
        path: &'a [u8],
        /// Reason.
        why: Box<str>,
    },
}

impl Root {
    /// Calls `visit` with every regular file below the root, and with every folder that is left out, in no particular
    /// order.
    ///
    /// The root's own quarantine is omitted, and symbolic links are not followed. Files that appear or vanish during the
    /// walk may or may not be visited.
    ///
    /// # Errors
    /// [`DirError::Io`] at the first folder that cannot be read. Files visited before stay visited.
    pub fn walk(&self, mut visit: impl FnMut(Found<'_>)) -> Result<(), DirError> {
        let mut folders = vec![Vec::new()];
        while let Some(path) = folders.pop() {
            // Each walk starts at the root. A folder costs a few more calls, but the depth costs no descriptors.
            let folder = match self.walk_to(&path) {
                Ok(Folder::Open(folder)) => folder,
                Ok(Folder::Missing(_)) => continue,
                Err(DirError::Invalid(why)) => {
                    visit(Found::Skipped { path: &path, why });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let unreadable = |errno| DirError::Io(failure_message("reading the folder", &path, errno));
            for (name, kind) in entries(folder.as_fd()).map_err(unreadable)? {
                if path.is_empty() && name == QUARANTINE.as_bytes() {
                    continue;
                }
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend(&name);
                match kind {
                    FileType::RegularFile => visit(Found::File(&below)),
                    FileType::Directory => folders.push(below),
                    // Some file systems do not tell the type in the listing.
                    FileType::Unknown => match Seen::at(folder.as_fd(), &name).map_err(unreadable)? {
                        Some(seen) if seen.regular => visit(Found::File(&below)),
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
