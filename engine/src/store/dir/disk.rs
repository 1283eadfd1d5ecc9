//! Making durable, and stopping for good when that fails; and, in tests, the places where a crash or a fault happens.

use std::sync::OnceLock;

use rustix::fd::BorrowedFd;
use rustix::fs::fsync;
use rustix::io::Errno;

use super::path::sentence;

/// A point inside a deletion at which a test may do something, crash or let a call fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Everything has been looked at, nothing touched.
    Inspected,
    /// The manifest is durable, no file has been moved.
    Manifested,
    /// This file is next to be moved.
    Moving,
    /// This file has been moved and not yet been looked at again.
    Moved,
    /// This file has been unlinked.
    Unlinked,
    /// A folder is about to be made durable.
    Syncing,
    /// All folders are durable, the bay still stands.
    Durable,
}

/// What a test wants to happen at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only a test lets it crash or fail"))]
pub(super) enum Signal {
    Go,
    /// The process ends here: nothing more is done, nothing is cleaned up, nothing is answered.
    Crash,
    /// The call fails with `EIO`.
    Fail,
}

/// What a test is called with: the step and the key or folder it is about.
#[cfg(test)]
pub(super) type Hook = Box<dyn Fn(Step, &[u8]) -> Signal + Send + Sync>;

/// The disk below one store.
#[derive(Default)]
pub(super) struct Disk {
    /// Why nothing may be believed any more.
    poisoned: OnceLock<Box<str>>,
    #[cfg(test)]
    pub(super) hook: parking_lot::RwLock<Option<Hook>>,
}

impl Disk {
    /// Makes the entries of a folder (or the content of a file) durable.
    ///
    /// A failure poisons the store. Linux reports a lost write once and then forgets it, so that the next fsync may
    /// succeed although nothing was written: whatever this process believes of the disk after that is a guess.
    pub(super) fn sync(&self, fd: BorrowedFd<'_>, what: &[u8]) -> Result<(), Box<str>> {
        let done = match self.signal(Step::Syncing, what) {
            Signal::Go => fsync(fd),
            Signal::Crash | Signal::Fail => Err(Errno::IO),
        };
        done.map_err(|errno| {
            let why = sentence("making durable", what, errno);
            tracing::error!(%why, "the directory store is out of use until it is reopened");
            // The first reason stays: it is the one that a person has to look at.
            let _ = self.poisoned.set(why.clone());
            why
        })
    }

    /// Why the store is out of use, if it is.
    pub(super) fn poisoned(&self) -> Option<Box<str>> {
        self.poisoned.get().map(|why| {
            format!("the directory store is out of use: {why}; check the disk, then reopen the store").into()
        })
    }

    /// Whether the process ends here; only ever true in a test.
    pub(super) fn crashes(&self, step: Step, key: &[u8]) -> bool {
        self.signal(step, key) == Signal::Crash
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test variant asks the hook")]
    fn signal(&self, _step: Step, _what: &[u8]) -> Signal {
        Signal::Go
    }

    #[cfg(test)]
    fn signal(&self, step: Step, what: &[u8]) -> Signal {
        self.hook.read().as_ref().map_or(Signal::Go, |hook| hook(step, what))
    }
}
