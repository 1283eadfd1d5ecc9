//! Files in memory, with the same plan of faults as the in-memory index.

use super::{Access, Files};
use crate::error::{Error, ErrorKind, Result};
use crate::fault::{Faults, Outcome};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files in memory. Clones share their content.
#[derive(Clone, Default)]
pub struct MemoryFiles {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// What is taken of a file system of 2^64 − 1 bytes.
    taken_bytes: Arc<AtomicU64>,
    faults: Faults,
}

impl MemoryFiles {
    /// No files yet; replacing asks `faults` how it goes.
    pub fn new(faults: Faults) -> Self {
        MemoryFiles { files: Arc::default(), taken_bytes: Arc::default(), faults }
    }

    /// From here on there is room for so many bytes.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.taken_bytes.store(u64::MAX - bytes, Ordering::SeqCst);
    }

    /// Every path and its content.
    pub fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.lock().clone()
    }

    /// Puts other content in the place of all of it: a restored copy.
    pub fn restore(&self, files: BTreeMap<String, Vec<u8>>) {
        *self.files.lock() = files;
    }
}

impl Files for MemoryFiles {
    fn replace(&self, path: &str, bytes: &[u8], _access: Access) -> Result<()> {
        let outcome = self.faults.next();
        if outcome != Outcome::Lost {
            self.files.lock().insert(path.to_owned(), bytes.to_vec());
        }
        match outcome {
            Outcome::Done => Ok(()),
            Outcome::Lost | Outcome::DoneButError => {
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
        Ok(u64::MAX - self.taken_bytes.load(Ordering::SeqCst))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.files.lock().get(path).cloned())
    }
}
