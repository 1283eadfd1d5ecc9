//! Files in memory, which share their injected faults with the in-memory index.

use super::{Access, Files};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::fault::{Faults, InjectedOutcome};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files in memory. Clones share their content.
#[derive(Clone, Default)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Used space of a file system of 2^64 − 1 bytes.
    used_bytes: Arc<AtomicU64>,
    faults: Faults,
}

impl MemoryFiles {
    /// Creates an empty root. `faults` decides how each replacement ends.
    pub fn new(faults: Faults) -> Self {
        MemoryFiles { files: Arc::default(), used_bytes: Arc::default(), faults }
    }

    /// Sets the free space that [`Files::free_bytes`] returns.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.used_bytes.store(u64::MAX - bytes, Ordering::SeqCst);
    }

    /// Returns all files with their content, by path.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.lock().clone()
    }

    /// Replaces all files, as restoring a copy does.
    pub fn restore(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.files.lock() = files;
    }
}

impl Files for MemoryFiles {
    fn replace(&self, path: &str, bytes: &[u8], _access: Access) -> Result<()> {
        let outcome = self.faults.next();
        if outcome != InjectedOutcome::Lost {
            self.files.lock().insert(path.to_owned(), bytes.to_vec());
        }
        match outcome {
            InjectedOutcome::Done => Ok(()),
            InjectedOutcome::Lost | InjectedOutcome::DoneButError => {
                Err(Error::new(ErrorKind::Io, format!("injected fault: writing {path} failed")))
            }
        }
    }

    fn remove(&self, path: &str) -> Result<()> {
        let prefix = format!("{path}/");
        self.files.lock().retain(|other, _| other != path && !other.starts_with(&prefix));
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64> {
        Ok(u64::MAX - self.used_bytes.load(Ordering::SeqCst))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.lock().get(path).cloned())
    }
}
