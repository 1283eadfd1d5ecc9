//! The one door to writing the index: order, group fsync, and the poison after a failure.

use crate::error::{Error, ErrorKind, Result};
use crate::kv::{Family, Kv, Run, WriteSet};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;

/// Writes and fsyncs for everybody; callers that wait at the same time share one fsync.
pub(crate) struct Writer {
    kv: Arc<dyn Kv>,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Default)]
struct State {
    /// Writes applied so far.
    written: u64,
    /// Of those, the first so many survive the loss of power.
    durable: u64,
    syncing: bool,
    /// What failed, once something did. What is on disk is then unknown: a failed fsync may have dropped the pages
    /// it could not write, and a second one would report success (as PostgreSQL learnt in 2018). So the engine
    /// stops, and reopening looks at what is really there.
    poison: Option<String>,
}

/// The number of a write, to wait for its durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Writer {
    pub(crate) fn new(kv: Arc<dyn Kv>) -> Self {
        Writer { kv, state: Mutex::default(), synced: Condvar::new() }
    }

    /// Refuses where an earlier failure makes what is on disk unknown.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state.lock().poison {
            Some(why) => Err(poisoned(why)),
            None => Ok(()),
        }
    }

    /// Stops all writing: something on the way to durability failed.
    pub(crate) fn poison(&self, error: &Error) {
        let mut state = self.state.lock();
        let is_first = state.poison.is_none();
        if is_first {
            state.poison = Some(error.to_string());
        }
        drop(state);
        self.synced.notify_all();
        // Last: what hears of it is the host's.
        if is_first {
            tracing::error!(%error, "writing stops until the engine is reopened");
        }
    }

    /// From here on, as long as what this gives is there, a panic stops all writing too. What a lock guards has it with the
    /// lock ([`PoisoningMutex`]); this is for what is half done without one.
    pub(crate) fn stops_on_panic(&self) -> StopsOnPanic<'_> {
        StopsOnPanic { writer: self, was_panicking: thread::panicking() }
    }

    /// What poisoned it.
    pub(crate) fn poisoned(&self) -> Option<String> {
        self.state.lock().poison.clone()
    }

    /// Applies `set`: visible at once, durable after [`Writer::sync`].
    pub(crate) fn write(&self, set: WriteSet) -> Result<Ticket> {
        self.check()?;
        let _stops = self.stops_on_panic();
        self.kv.write(set).inspect_err(|e| self.poison(e))?;
        let mut state = self.state.lock();
        state.written += 1;
        Ok(Ticket(state.written))
    }

    /// Adds a run of what can be derived from rows, durable by itself.
    pub(crate) fn write_run(&self, family: Family, keys: &mut Run<'_>) -> Result<()> {
        self.check()?;
        let _stops = self.stops_on_panic();
        self.kv.write_run(family, keys).inspect_err(|e| self.poison(e))
    }

    /// The ticket of the last write: for who relies on what somebody else wrote.
    pub(crate) fn so_far(&self) -> Ticket {
        Ticket(self.state.lock().written)
    }

    /// Returns once the write of this ticket, and all before it, survive the loss of power.
    pub(crate) fn sync(&self, ticket: Ticket) -> Result<()> {
        let _stops = self.stops_on_panic();
        let mut state = self.state.lock();
        loop {
            if let Some(why) = &state.poison {
                return Err(poisoned(why));
            }
            if state.durable >= ticket.0 {
                return Ok(());
            }
            if state.syncing {
                // Somebody else's fsync is under way. It may have begun before our write, so look again after it.
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

    /// Both in one.
    pub(crate) fn write_durably(&self, set: WriteSet) -> Result<()> {
        let ticket = self.write(set)?;
        self.sync(ticket)
    }
}

/// What [`Writer::stops_on_panic`] gives.
pub(crate) struct StopsOnPanic<'a> {
    writer: &'a Writer,
    was_panicking: bool,
}

impl Drop for StopsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() && !self.was_panicking {
            self.writer.poison(&Error::internal("a panic left something half done"));
        }
    }
}

/// A mutex under which a panic stops all writing, where `std::sync::Mutex` would refuse what is in the mutex alone: nothing
/// is written behind what a panic left half done.
pub(crate) struct PoisoningMutex<T> {
    mutex: Mutex<T>,
    writer: Arc<Writer>,
}

impl<T> PoisoningMutex<T> {
    pub(crate) fn new(value: T, writer: &Arc<Writer>) -> Self {
        PoisoningMutex { mutex: Mutex::new(value), writer: Arc::clone(writer) }
    }

    pub(crate) fn lock(&self) -> PoisoningGuard<'_, T> {
        let guard = self.mutex.lock();
        PoisoningGuard { _stops: self.writer.stops_on_panic(), guard }
    }

    /// To look only: a panic leaves nothing half done, and stops nothing.
    pub(crate) fn look(&self) -> LookingGuard<'_, T> {
        LookingGuard(self.mutex.lock())
    }

    /// The same, where nobody else has it.
    pub(crate) fn try_look(&self) -> Option<LookingGuard<'_, T>> {
        self.mutex.try_lock().map(LookingGuard)
    }
}

/// The lock of a [`PoisoningMutex`] for who changes nothing in it.
pub(crate) struct LookingGuard<'a, T>(MutexGuard<'a, T>);

impl<T> Deref for LookingGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The lock of a [`PoisoningMutex`].
pub(crate) struct PoisoningGuard<'a, T> {
    // In this order, which is that of dropping: writing has stopped before anybody else gets the lock.
    _stops: StopsOnPanic<'a>,
    guard: MutexGuard<'a, T>,
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
