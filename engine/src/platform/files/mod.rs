//! The seam to the files beside the index: evidence, published tiles, keys and the head.
//!
//! Each file is replaced atomically: written whole, or piece by piece under a temporary name.

use crate::platform::error::Result;

pub mod disk;
pub(crate) mod durable;
pub mod memory;
pub(crate) mod new_folder;
mod streamed;
pub(crate) mod transfer;

/// Read permission of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Readable by all users (mode 0644 in folders of mode 0755), for published files.
    Public,
    /// Readable by the owner only (mode 0600 in folders of mode 0700), for keys and openings.
    Private,
}

/// File to be written.
#[derive(Clone, Debug)]
pub struct NewFile<'a> {
    /// Path below the root.
    pub path: String,
    /// Content, as chunks that follow one another.
    pub chunks: Vec<&'a [u8]>,
    /// Read permission.
    pub access: Access,
}

/// Files below one root, named by relative paths with `/` between the components.
pub trait Files: Send + Sync {
    /// Replaces the file at `path` by `bytes`, and creates folders as needed.
    ///
    /// After `Ok`, the content survives a power failure. After `Err`, the file has its old content or the new one,
    /// never a mixture. The caller never replaces one path from two threads at once.
    fn replace(&self, path: &str, bytes: &[u8], access: Access) -> Result<()>;

    /// Replaces several files, in no particular order.
    ///
    /// After `Ok`, all of them survive a power failure. After `Err`, each has its old content or the new one. An
    /// implementation may wait for the disk once for all files.
    fn replace_all(&self, files: &[NewFile<'_>]) -> Result<()> {
        files.iter().try_for_each(|file| self.replace(&file.path, &file.chunks.concat(), file.access))
    }

    /// Begins a file that is written piece by piece, and creates folders as needed. It appears at `path` once it is finished.
    ///
    /// Until then the path has its old content. What a crash left of an earlier file of this path is removed. The caller never
    /// begins one path twice at once, and never replaces it meanwhile.
    fn begin(&self, path: &str, access: Access) -> Result<Box<dyn Unfinished>>;

    /// Removes the file at `path`, or the folder with its content. A no-op if there is none.
    ///
    /// Not durable: a power failure may bring the file back.
    fn remove(&self, path: &str) -> Result<()>;

    /// Returns the free space of the file system, bytes.
    fn free_bytes(&self) -> Result<u64>;

    /// Returns the content of the file at `path`; `None` if there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;
}

/// File that is being written under a temporary name. Dropping it removes it.
///
/// Once a call has failed, all later ones fail with the same error.
pub trait Unfinished: Send {
    /// Appends bytes. They need not be durable before the file is finished.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes what was written durable, so that finishing takes less time.
    fn sync(&mut self) -> Result<()>;

    /// Replaces the file at the path.
    ///
    /// After `Ok`, it survives a power failure. After `Err`, the path has its old content or the new one.
    fn finish(self: Box<Self>) -> Result<()>;
}
