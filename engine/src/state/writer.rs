//! Writes to the index: order, group fsync, and the poison after a failure.

use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{ColumnFamily, Kv, Run, WriteSet};
use crate::state::lock_order::{Held, Ordered, Rank};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;

/// Single way to write to the index. Threads that wait for durability at the same time share one fsync.
pub(crate) struct Writer {
    kv: Arc<dyn Kv>,
    state: Mutex<WriterState>,
    synced: Condvar,
}

#[derive(Default)]
struct WriterState {
    /// Number of writes applied so far.
    written: u64,
    /// Number of writes that survive the loss of power.
    durable: u64,
    /// `true` while a thread fsyncs.
    syncing: bool,
    /// First failure, if any. From then on the content of the disk is unknown. A failed fsync may have dropped the pages
    /// that it could not write, and a second one would report success (PostgreSQL, 2018). So the engine stops, and
    /// reopening reads the real content.
    poison: Option<String>,
}

/// Number of a write, by which a thread waits for its durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WriteNumber(u64);

impl Writer {
    pub(crate) fn new(kv: Arc<dyn Kv>) -> Self {
        Writer { kv, state: Mutex::default(), synced: Condvar::new() }
    }

    /// Refuses after a failure that makes the content of the disk unknown.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state.lock().poison {
            Some(why) => Err(poisoned(why)),
            None => Ok(()),
        }
    }

    /// Stops all writing, because a step towards durability failed.
    pub(crate) fn poison(&self, error: &Error) {
        let mut state = self.state.lock();
        let is_first = state.poison.is_none();
        if is_first {
            state.poison = Some(error.to_string());
        }
        drop(state);
        self.synced.notify_all();
        // Last, without the lock: the subscriber is the host's code.
        if is_first {
            tracing::error!(%error, "writing stops until the engine is reopened");
        }
    }

    /// Returns a guard under which a panic stops all writing. The guard of a [`PoisoningMutex`] includes it; callers need
    /// it only for steps without such a lock.
    pub(crate) fn poison_on_panic(&self) -> PoisonOnPanic<'_> {
        PoisonOnPanic { writer: self, was_panicking: thread::panicking() }
    }

    /// Returns the failure that stopped writing, if any.
    pub(crate) fn poisoned(&self) -> Option<String> {
        self.state.lock().poison.clone()
    }

    /// Applies `set` atomically. It is visible at once, and durable after [`Writer::sync`] with its number.
    pub(crate) fn write(&self, set: WriteSet) -> Result<WriteNumber> {
        self.check()?;
        let _poison = self.poison_on_panic();
        self.kv.write(set).inspect_err(|e| self.poison(e))?;
        let mut state = self.state.lock();
        state.written += 1;
        Ok(WriteNumber(state.written))
    }

    /// Adds a sorted run, which is durable by itself. A run holds only what can be derived from rows.
    pub(crate) fn write_run(&self, family: ColumnFamily, keys: &mut Run<'_>) -> Result<()> {
        self.check()?;
        let _poison = self.poison_on_panic();
        self.kv.write_run(family, keys).inspect_err(|e| self.poison(e))
    }

    /// Returns the number of the last write, for a caller that relies on writes of other threads.
    pub(crate) fn so_far(&self) -> WriteNumber {
        WriteNumber(self.state.lock().written)
    }

    /// Waits until the write of this number, and all before it, survive the loss of power.
    pub(crate) fn sync(&self, number: WriteNumber) -> Result<()> {
        let _poison = self.poison_on_panic();
        let mut state = self.state.lock();
        loop {
            if let Some(why) = &state.poison {
                return Err(poisoned(why));
            }
            if state.durable >= number.0 {
                return Ok(());
            }
            if state.syncing {
                // Another thread's fsync is under way. It may have begun before this write, so look again after it.
                self.synced.wait(&mut state);
                continue;
            }
            state.syncing = true;
            let covered = state.written;
            drop(state);
            let result = self.kv.sync();
            if let Err(error) = &result {
                self.poison(error);
            }
            state = self.state.lock();
            state.syncing = false;
            if result.is_ok() {
                state.durable = state.durable.max(covered);
            }
            self.synced.notify_all();
        }
    }

    /// Applies `set` and waits until it survives the loss of power.
    pub(crate) fn write_durably(&self, set: WriteSet) -> Result<()> {
        let number = self.write(set)?;
        self.sync(number)
    }
}

/// Guard made by [`Writer::poison_on_panic`].
pub(crate) struct PoisonOnPanic<'a> {
    writer: &'a Writer,
    was_panicking: bool,
}

impl Drop for PoisonOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.writer.poison(&Error::internal("a panic interrupted an operation"));
        }
    }
}

/// Mutex under which a panic stops all writing, because a step may be incomplete. `std::sync::Mutex` would refuse only the
/// value in the mutex.
pub(crate) struct PoisoningMutex<T> {
    rank: Rank,
    mutex: Mutex<T>,
    writer: Arc<Writer>,
}

impl<T> PoisoningMutex<T> {
    pub(crate) fn new(rank: Rank, value: T, writer: &Arc<Writer>) -> Self {
        PoisoningMutex { rank, mutex: Mutex::new(value), writer: Arc::clone(writer) }
    }

    pub(crate) fn lock(&self) -> PoisoningGuard<'_, T> {
        let held = Held::acquire(self.rank);
        let guard = Ordered::new(self.mutex.lock(), held);
        PoisoningGuard { _poison: self.writer.poison_on_panic(), guard }
    }

    /// Locks for reading only. A panic under the guard leaves the value intact and does not stop writing.
    pub(crate) fn lock_read(&self) -> ReadGuard<'_, T> {
        let held = Held::acquire(self.rank);
        ReadGuard(Ordered::new(self.mutex.lock(), held))
    }

    /// Locks for reading only, if no thread holds the lock.
    pub(crate) fn try_lock_read(&self) -> Option<ReadGuard<'_, T>> {
        let held = Held::acquire(self.rank);
        self.mutex.try_lock().map(|guard| ReadGuard(Ordered::new(guard, held)))
    }
}

/// Guard of a [`PoisoningMutex`] that gives no mutable access.
pub(crate) struct ReadGuard<'a, T>(Ordered<MutexGuard<'a, T>>);

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Guard of a [`PoisoningMutex`].
pub(crate) struct PoisoningGuard<'a, T> {
    // Dropped in this order: after a panic, writing has stopped before another thread gets the lock.
    _poison: PoisonOnPanic<'a>,
    guard: Ordered<MutexGuard<'a, T>>,
}

impl<T> Deref for PoisoningGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for PoisoningGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

fn poisoned(why: &str) -> Error {
    Error::new(
        ErrorKind::Poisoned,
        format!("writing has stopped ({why}); close the engine and open it again"),
    )
}
