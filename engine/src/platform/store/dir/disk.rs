//! Fsync, and poisoning of the store when an fsync fails. In tests also the steps at which a crash or a fault is injected.

use std::sync::OnceLock;

use rustix::fd::BorrowedFd;
use rustix::fs::fsync;
use rustix::io::Errno;

use super::path::failure_message;

/// Step of a deletion at which a test may act, crash or let a call fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All files were inspected, and none was touched.
    Inspected,
    /// The manifest is durable, and no file was moved.
    Manifested,
    /// This file is the next to be moved.
    Moving,
    /// This file was moved and not yet inspected again.
    Moved,
    /// This file was unlinked.
    Unlinked,
    /// A folder is about to be made durable.
    Syncing,
    /// All folders are durable, and the bay still exists.
    Durable,
}

/// Action that a test takes at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only a test lets it crash or fail"))]
pub(super) enum HookAction {
    Go,
    /// The process ends here. Nothing more is done, cleaned up or answered.
    Crash,
    /// The call fails with `EIO`.
    Fail,
}

/// Hook of a test, called with the step, and the key or folder of the step.
#[cfg(test)]
pub(super) type Hook = Box<dyn Fn(Step, &[u8]) -> HookAction + Send + Sync>;

/// Disk below one store.
#[derive(Default)]
pub(super) struct Disk {
    /// First failure of an fsync. From then on every deletion fails until the store is reopened.
    poisoned: OnceLock<Box<str>>,
    #[cfg(test)]
    pub(super) hook: parking_lot::RwLock<Option<Hook>>,
}

impl Disk {
    /// Makes the entries of a folder, or the content of a file, durable.
    ///
    /// A failure poisons the store. Linux reports a lost write once and then forgets it, so the next fsync may succeed
    /// although nothing was written. After a failure, the content of the disk is unknown.
    pub(super) fn sync(&self, fd: BorrowedFd<'_>, what: &[u8]) -> Result<(), Box<str>> {
        let done = match self.hook_action(Step::Syncing, what) {
            HookAction::Go => fsync(fd),
            HookAction::Crash | HookAction::Fail => Err(Errno::IO),
        };
        done.map_err(|errno| {
            let why = failure_message("making durable", what, errno);
            tracing::error!(%errno, "an fsync failed: the directory store is out of use until it is reopened");
            // The first reason stays, because it is the cause.
            let _ = self.poisoned.set(why.clone());
            why
        })
    }

    /// Returns the reason for which the store is out of use; `None` if it is in use.
    pub(super) fn poisoned(&self) -> Option<Box<str>> {
        self.poisoned.get().map(|why| {
            format!("the directory store is out of use: {why}; check the disk, then reopen the store").into()
        })
    }

    /// Returns `true` if a test ends the process at this step.
    pub(super) fn crashes(&self, step: Step, key: &[u8]) -> bool {
        self.hook_action(step, key) == HookAction::Crash
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test variant asks the hook")]
    fn hook_action(&self, _step: Step, _what: &[u8]) -> HookAction {
        HookAction::Go
    }

    #[cfg(test)]
    fn hook_action(&self, step: Step, what: &[u8]) -> HookAction {
        self.hook.read().as_ref().map_or(HookAction::Go, |hook| hook(step, what))
    }
}
