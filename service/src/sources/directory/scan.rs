//! Scan of the folders of a root: those of a full scan, and those that appeared.

use super::watch::{Unwatched, Watches};
use sexton::store::dir::{DirError, FileId, Filter, Found, Root};
use std::collections::VecDeque;

/// Folders to be listed, and the files that they have.
#[derive(Debug, Default)]
pub(super) struct Scan {
    is_running: bool,
    /// Folders, the next one last.
    folders: Vec<Entry>,
    found: VecDeque<Entry>,
    /// Files of a full scan that are not registered under their names. They wait until all of them are known, because each
    /// may have the former name of another.
    strays: Vec<Stray>,
    /// Reason for which a folder is not watched since the last full scan began.
    unwatched: Option<String>,
}

/// File or folder that a scan found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Path below the root.
    pub(super) path: Vec<u8>,
    /// Path before it was moved, as far as events tell.
    pub(super) from: Option<Vec<u8>>,
    /// `true` if it is no longer to be compared with the files that are registered under other names.
    pub(super) is_new: bool,
}

/// File that is not registered under its name.
#[derive(Clone, Debug)]
pub(super) struct Stray {
    /// Path below the root.
    pub(super) path: Vec<u8>,
    /// File under it, as far as the file system tells.
    pub(super) file: Option<FileId>,
}

impl Entry {
    /// Returns the entry of a name in this folder.
    fn entry(&self, name: &[u8]) -> Entry {
        let below = |folder: &[u8]| {
            if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
        };
        Entry { path: below(&self.path), from: self.from.as_deref().map(below), is_new: self.is_new }
    }
}

impl Scan {
    /// Begins a full scan.
    pub(super) fn begin(&mut self, is_watching: bool) {
        self.is_running = true;
        self.folders = vec![Entry { path: Vec::new(), from: None, is_new: false }];
        self.found.clear();
        self.strays.clear();
        if is_watching {
            self.unwatched = None;
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Ends a full scan that has nothing left to do, and returns `true` if it did.
    pub(super) fn finish(&mut self) -> bool {
        let has_ended = self.is_running && self.is_listed() && self.strays.is_empty();
        self.is_running &= !has_ended;
        has_ended
    }

    /// Returns `true` if all folders are listed, and all files were taken from the scan.
    fn is_listed(&self) -> bool {
        self.folders.is_empty() && self.found.is_empty()
    }

    /// Adds a folder that appeared, with the path before it was moved.
    pub(super) fn add_folder(&mut self, path: Vec<u8>, from: Option<Vec<u8>>) {
        self.folders.push(Entry { path, from, is_new: true });
    }

    /// Sets a file aside until the end of the full scan.
    pub(super) fn add_stray(&mut self, stray: Stray) {
        self.strays.push(stray);
    }

    /// Takes the files that were set aside, once everything else is done.
    pub(super) fn take_strays(&mut self) -> Vec<Stray> {
        if self.is_listed() { std::mem::take(&mut self.strays) } else { Vec::new() }
    }

    /// Adds a file that was set aside and is to be taken in now.
    pub(super) fn add_found(&mut self, path: Vec<u8>) {
        self.found.push_back(Entry { path, from: None, is_new: true });
    }

    /// Returns the next folder to list, unless files of others wait.
    pub(super) fn next_folder(&mut self) -> Option<Entry> {
        if self.found.is_empty() { self.folders.pop() } else { None }
    }

    /// Takes up to `max` files that were found.
    pub(super) fn found(&mut self, max: usize) -> Vec<Entry> {
        self.found.drain(..max.min(self.found.len())).collect()
    }

    /// Puts files back that could not be taken in now.
    pub(super) fn put_back(&mut self, files: Vec<Entry>) {
        for file in files.into_iter().rev() {
            self.found.push_front(file);
        }
    }

    /// Watches a folder and lists it. Returns the folders that are left out, each with the reason.
    ///
    /// # Errors
    /// If the root itself cannot be read.
    pub(super) fn list(
        &mut self,
        root: &Root,
        folder: &Entry,
        filter: &Filter,
        watches: Option<&mut Watches>,
    ) -> Result<Vec<(Vec<u8>, String)>, DirError> {
        let (mut skipped, mut refused) = (Vec::new(), None);
        let found = &mut self.found;
        let path = &folder.path;
        // The watch comes first: a file that the list misses has an event.
        let opened = |open: rustix::fd::BorrowedFd<'_>| {
            refused = watches.and_then(|watches| watches.add(path, open).err());
        };
        let folders = root.read_folder(path, filter, opened, |entry| match entry {
            Found::File(path) => {
                let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
                found.push_back(folder.entry(name));
            }
            Found::Skipped { path, why, .. } => skipped.push((path.to_vec(), why.into())),
            // Entries that are no objects.
            _ => {}
        })?;
        for name in folders.unwrap_or_default() {
            self.folders.push(folder.entry(&name));
        }
        if let Some(refused) = refused {
            self.unwatched(match refused {
                Unwatched::Limit => {
                    "the limit of watched folders is reached; raise fs.inotify.max_user_watches".into()
                }
                Unwatched::Refused(errno) => format!("folders cannot be watched: {errno}"),
            });
        }
        Ok(skipped)
    }

    /// Notes that not all folders are watched.
    pub(super) fn unwatched(&mut self, why: String) {
        self.unwatched = Some(why);
    }

    pub(super) fn why_unwatched(&self) -> Option<String> {
        self.unwatched.clone()
    }
}
