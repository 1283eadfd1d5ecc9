//! Copies of the data folder of an open engine.
//!
//! A copy is the data folder as of one instant, with its log published up to its last entry. It has every key but the one
//! that signs the log: two engines that sign under one name can prove contradictory histories.

use crate::enforcement::feed;
use crate::engine::Engine;
use crate::engine::open::FolderLock;
use crate::model::copy_mark::{CopyMark, CopyOf};
use crate::platform::data_folder::{COPY, LOCK, STAGED_INDEX};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::files::disk::DiskFiles;
use crate::platform::files::new_folder::NewFolder;
use crate::platform::files::transfer::{self, Cost};
use crate::platform::files::{Access, Files};
use crate::platform::pool::Pool;
use crate::state::core::Core;
use crate::state::keyring;
use crate::state::log::Log;
use crate::state::publish;
use sexton_proof::checked_text::Head;
use sexton_proof::tile;
use sexton_proof::time::Timestamp;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Temporary name under which the mark of a copy is written.
const UNFINISHED_MARK: &str = ".tmp-copy";

/// Copy that [`Engine::back_up`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Instant of the copy.
    pub taken: Timestamp,
    /// Entries of the log in the copy.
    pub log_entries: u64,
    /// Files that are hard links. They take no space until the original drops them.
    pub linked_files: u64,
    /// Files of evidence and of the index that were copied, because the copy is on another file system.
    pub copied_files: u64,
    /// Bytes of the copied files.
    pub copied_bytes: u64,
}

impl Engine {
    /// Copies the data folder into the new folder `to`, while the engine goes on. The copy is consistent, and has every change
    /// that was durable before the call.
    ///
    /// The copy opens for reading only ([`EngineState::Copy`](crate::report::EngineState::Copy)), until [`Engine::restore`]. It
    /// has no key that signs the log. It is made under a temporary name, and has its own only once it is whole.
    ///
    /// On the file system of the data folder, files are shared as hard links. Writes wait while the index lists its files,
    /// usually for less than a second.
    ///
    /// # Errors
    /// `Invalid` if something is at `to`, `to` lies in the data folder or in one of its roots, or the engine is in memory; `Busy` if another copy is
    /// being made; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`. After `Err` there is no copy.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// let engine = sexton::Engine::open(&folder.path().join("data"), &options)?;
    /// engine.back_up(&folder.path().join("copy"))?;
    ///
    /// let copy = sexton::Engine::open(&folder.path().join("copy"), &options)?;
    /// assert!(matches!(copy.state(), sexton::report::EngineState::Copy(_)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn back_up(&self, to: &Path) -> Result<Backup> {
        let Some(lock) = &self.lock else {
            return Err(Error::invalid("an engine in memory has no data folder that could be copied"));
        };
        let core = &self.core;
        core.check_writable()?;
        let _alone = core.copying.try_lock().ok_or_else(|| {
            Error::new(ErrorKind::Busy, "another copy of the data folder is being made; wait for it")
        })?;
        // A source would register the files of a copy below its root.
        let mut outside = vec![lock.folder().to_owned()];
        outside.extend(self.roots()?.into_iter().map(|root| root.path));
        let folder = NewFolder::begin(to, &outside, is_abandoned)?;
        let _filling = FolderLock::acquire(folder.path())?;
        let staged = Staged::begin(lock.folder())?;
        let backup = fill(core, lock.folder(), &staged, folder.path(), self.now())?;
        folder.finish()?;
        Ok(backup)
    }
}

/// Returns `true` if a crash left the folder under its temporary name, and no engine fills it.
///
/// A crash before [`FolderLock`] leaves an empty folder, which needs no judgement. A crash before the mark leaves the lock, maybe
/// with the temporary file of the mark. A later crash leaves a mark, which is that of a whole copy just before the rename.
fn is_abandoned(folder: &Path) -> bool {
    let is_ours = match fs::read(folder.join(COPY)) {
        Ok(mark) => CopyMark::parse(&mark).is_ok(),
        Err(error) => {
            error.kind() == io::ErrorKind::NotFound && has_no_more_than(folder, &[LOCK, UNFINISHED_MARK])
        }
    };
    // Locking makes a file, so a folder of another program is never locked.
    is_ours && FolderLock::acquire(folder).is_ok()
}

/// Returns `true` if the folder can be listed and has no entries of other names.
fn has_no_more_than(folder: &Path, names: &[&str]) -> bool {
    let is_known = |entry: io::Result<DirEntry>| {
        entry.is_ok_and(|entry| names.iter().any(|name| entry.file_name() == *name))
    };
    fs::read_dir(folder).is_ok_and(|mut entries| entries.all(is_known))
}

/// Copy of the index inside the data folder, from where it goes to its place. Dropping it removes it.
struct Staged(PathBuf);

impl Staged {
    fn begin(data: &Path) -> Result<Staged> {
        let path = data.join(STAGED_INDEX);
        transfer::remove_tree(&path)?;
        Ok(Staged(path))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Err(error) = transfer::remove_tree(&self.0) {
            tracing::warn!(%error, "a copy of the index is left behind; the next opening removes it");
        }
    }
}

/// Fills a folder with the copy.
///
/// The order matters. The index comes first, and what it refers to was durable before it: evidence, keys. Evidence and full
/// tiles never change, and files of later batches do no harm: they are as after a crash. The rest of the public log is
/// written for exactly the entries of the copied index.
fn fill(core: &Core, data: &Path, staged: &Staged, folder: &Path, taken: Timestamp) -> Result<Backup> {
    let files = DiskFiles::new(folder, Arc::new(Pool::none()));
    files.replace(COPY, CopyMark::Unfinished.to_text().as_bytes(), Access::Private)?;
    let mut log = None;
    core.kv.copy_to(&staged.0, &mut || {
        log = Some(Log::load(&*core.kv)?);
        Ok(())
    })?;
    let log = log.ok_or_else(|| Error::internal("the index was copied at no instant"))?;
    let mut cost = Cost::default();
    transfer::tree(&staged.0, &folder.join("index"), Access::Private, &mut cost)?;
    for path in [keyring::PATH, feed::KEY_PATH] {
        let bytes = core.files.read(path)?.map(Zeroizing::new);
        let bytes = bytes.ok_or_else(|| Error::corrupt(format!("{path} is missing; put it back")))?;
        files.replace(path, &bytes, Access::Private)?;
    }
    publish_copy(core, data, &files, &log, &mut cost)?;
    for (name, access) in [("tombstones", Access::Public), ("openings", Access::Private)] {
        transfer::tree(&data.join(name), &folder.join(name), access, &mut cost)?;
    }
    let (log_key, log_entries) = (core.identity.log_key.clone(), log.size());
    let mark = CopyMark::Whole(Box::new(CopyOf { log_key, taken, log_entries }));
    files.replace(COPY, mark.to_text().as_bytes(), Access::Private)?;
    let Cost { linked_files, copied_files, copied_bytes } = cost;
    Ok(Backup { taken, log_entries, linked_files, copied_files, copied_bytes })
}

/// Publishes the log of the copy: head, tiles, and the checkpoint of exactly its entries.
///
/// The engine publishes at least as many first. So the head on record covers what is signed here, which is a prefix of the log.
fn publish_copy(core: &Core, data: &Path, files: &DiskFiles, log: &Log, cost: &mut Cost) -> Result<()> {
    let (size, root) = (log.size(), log.root());
    let published = {
        let mut published = core.transparency.published.lock();
        publish::publish(core, &mut published)?;
        published.size
    };
    // The last entries of the copy were not durable in the original yet, and then writing them failed.
    if published < size {
        return Err(Error::new(
            ErrorKind::Busy,
            format!("the copy has {size} log entries, of which {published} are durable; try again"),
        ));
    }
    files.replace(publish::HEAD, Head { size, root }.to_text().as_bytes(), Access::Private)?;
    let mut place = |path: String, width: u16, bytes: &dyn Fn() -> Result<Vec<u8>>| -> Result<()> {
        let path = format!("log/{path}");
        if width == tile::WIDTH_FULL && files.link(&data.join(&path), &path)? {
            cost.linked_files += 1;
            return Ok(());
        }
        files.replace(&path, &bytes()?, Access::Public)
    };
    for id in tile::tiles_to_publish(0, size) {
        place(id.path(), id.width, &|| publish::tile_bytes(&*core.kv, id))?;
    }
    for id in tile::bundles_to_publish(0, size) {
        place(id.path(), id.width, &|| publish::bundle_bytes(&*core.kv, id))?;
    }
    let checkpoint = publish::sign(core, size, root)?;
    files.replace(publish::CHECKPOINT, checkpoint.as_bytes(), Access::Public)
}
