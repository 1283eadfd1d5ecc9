//! Files in memory, which share their injected faults with the in-memory index.

use super::{Access, Files, Unfinished};
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
    /// Creates an empty root. `faults` decides how each replacement ends, and each beginning, syncing and finishing of a
    /// streamed file.
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
        result_of(outcome, path)
    }

    fn begin(&self, path: &str, _access: Access) -> Result<Box<dyn Unfinished>> {
        result_of(self.faults.next(), path)?;
        Ok(Box::new(MemoryFile {
            files: self.clone(),
            path: path.to_owned(),
            bytes: Vec::new(),
            failed: None,
        }))
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

/// Result of a write with this outcome.
fn result_of(outcome: InjectedOutcome, path: &str) -> Result<()> {
    match outcome {
        InjectedOutcome::Done => Ok(()),
        InjectedOutcome::Lost | InjectedOutcome::DoneButError => {
            Err(Error::new(ErrorKind::Io, format!("injected fault: writing {path} failed")))
        }
    }
}

/// File that is being written. Only finishing it puts its bytes into the files.
struct MemoryFile {
    files: MemoryFiles,
    path: String,
    bytes: Vec<u8>,
    failed: Option<Error>,
}

impl MemoryFile {
    fn check(&self) -> Result<()> {
        self.failed.as_ref().map_or(Ok(()), |error| Err(error.duplicate()))
    }
}

impl Unfinished for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.check()?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.check()?;
        let synced = result_of(self.files.faults.next(), &self.path);
        self.failed = synced.as_ref().err().map(Error::duplicate);
        synced
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.check()?;
        let outcome = self.files.faults.next();
        if outcome != InjectedOutcome::Lost {
            self.files.files.lock().insert(self.path.clone(), std::mem::take(&mut self.bytes));
        }
        result_of(outcome, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfinished(files: &MemoryFiles) -> Result<Box<dyn Unfinished>> {
        let mut file = files.begin("a/b", Access::Public)?;
        file.write(b"new ")?;
        file.sync()?;
        file.write(b"content")?;
        Ok(file)
    }

    #[test]
    fn streamed_file_appears_when_finished_and_not_if_dropped() {
        let files = MemoryFiles::default();
        files.replace("a/b", b"old", Access::Public).unwrap();
        drop(unfinished(&files).unwrap());
        let file = unfinished(&files).unwrap();
        assert_eq!(files.read("a/b").unwrap().unwrap(), b"old");
        file.finish().unwrap();
        assert_eq!(files.read("a/b").unwrap().unwrap(), b"new content");
    }

    /// Beginning, syncing and finishing count as a write each.
    #[test]
    fn streamed_file_with_a_fault_is_old_or_new() {
        for (nth, outcome, expected) in [
            (0, InjectedOutcome::Lost, "old"),
            (0, InjectedOutcome::DoneButError, "old"),
            (1, InjectedOutcome::Lost, "old"),
            (1, InjectedOutcome::DoneButError, "old"),
            (2, InjectedOutcome::Lost, "old"),
            (2, InjectedOutcome::DoneButError, "new content"),
        ] {
            let faults = Faults::none();
            let files = MemoryFiles::new(faults.clone());
            files.replace("a/b", b"old", Access::Public).unwrap();
            faults.arm(nth, outcome);
            let error = unfinished(&files).and_then(|file| file.finish()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(faults.writes(), nth + 1, "a step went on after the fault");
            assert_eq!(files.read("a/b").unwrap().unwrap(), expected.as_bytes(), "{nth} {outcome:?}");
        }
    }

    #[test]
    fn streamed_file_stays_failed_after_a_fault() {
        let faults = Faults::none();
        let files = MemoryFiles::new(faults.clone());
        let mut file = files.begin("a/b", Access::Public).unwrap();
        faults.arm(0, InjectedOutcome::DoneButError);
        let first = file.sync().unwrap_err().to_string();
        assert_eq!(file.write(b"x").unwrap_err().to_string(), first);
        assert_eq!(file.sync().unwrap_err().to_string(), first);
        assert_eq!(file.finish().unwrap_err().to_string(), first);
        assert_eq!(files.all().len(), 0);
    }
}
