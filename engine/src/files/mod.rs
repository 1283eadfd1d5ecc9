//! The seam to the files beside the index: evidence, published tiles, keys, the head. Every one of them is written
//! whole and replaced atomically, so the seam is narrow.

use crate::error::Result;

pub mod disk;
pub mod memory;

/// Whether only the owner may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody may read it: what is published.
    Public,
    /// Only the owner may read it (mode 0600 in folders of mode 0700): keys and openings.
    Private,
}

/// A file to be put in its place.
#[derive(Clone, Debug)]
pub struct NewFile<'a> {
    /// Where it goes.
    pub path: String,
    /// Its content, in parts that follow one another.
    pub parts: Vec<&'a [u8]>,
    /// Who may read it.
    pub access: Access,
}

/// Files under one root, named by relative paths with `/` between their parts.
pub trait Files: Send + Sync {
    /// Puts `bytes` under `path`, creating folders as needed. After `Ok` the whole content survives the loss of
    /// power. After `Err` either the old content is there or the new, never a mixture. One path is not replaced by
    /// two threads at once.
    fn replace(&self, path: &str, bytes: &[u8], access: Access) -> Result<()>;

    /// The same for several files, in no particular order: after `Err` each is old or new. One wait for the disk
    /// serves all, where the implementation can.
    fn replace_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        files.iter().try_for_each(|file| self.replace(&file.path, &file.parts.concat(), file.access))
    }

    /// Removes the file at `path`, or the folder with all in it, if there is one. Not durable: only for what does no
    /// harm if it comes back.
    fn remove(&self, path: &str) -> Result<()>;

    /// How many bytes the file system they lie on can still take.
    fn free_bytes(&self) -> Result<u64>;

    /// The content under `path`, `None` where there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
}
