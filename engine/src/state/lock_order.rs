//! Lock order of an open engine, checked in debug builds.
//!
//! A thread takes the locks of [`Rank`] in the order of its variants and never backwards, so no two threads can wait for
//! each other. It may release them in any order. With debug assertions every acquisition is checked against the locks
//! that the thread holds; the tests run that way.

use parking_lot::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Locks of an engine, outermost first. This is the one table of their order.
///
/// Of the driver's locks only the dispatcher's is here. The others come before all of these: a thread may hold one while
/// it calls the engine, and no layer below the driver takes one.
///
/// These are leaf locks, under which no other lock of the engine is taken: `Writer::state`, `KeyRing::keys`,
/// `Committer`, `BatchPool`, `Resolver`, `Tally`, `Failures`, `TrustedTime::guard`, `EventFd`, and `Doubts`, which writes under
/// its lock. A thread may take one under any lock of the table. The locks of the platform layer come below all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// `Core::copying`: one copy of the data folder at a time.
    Copying,
    /// `Dispatcher::state`: sub-batches are handed out and answered. Taking one reads the holds under it.
    Dispatch,
    /// `Residue::cleared`: one reclaim pass at a time, and none while time is taken back.
    Reclaim,
    /// `Batches::planner`: pages are chosen, holds and requests placed.
    Planner,
    /// `Classes::closing`: read by every call that registers or changes objects, written while a class is closed down, a
    /// doubt about the clock ends, or time is taken back.
    Closing,
    /// `Transparency::published`: the log is published.
    Published,
    /// `Transparency::ledger`: entries are appended to the log.
    Ledger,
    /// `FlushQueue`: memtables are flushed.
    Flush,
    /// One shard of the schedule. A thread that holds several took them by ascending number.
    Shard(u16),
    /// `Governance::requests`.
    Requests,
    /// `Governance::alarms`.
    Alarms,
    /// `Governance::holds`.
    Holds,
    /// `Classes::versions`.
    Versions,
}

thread_local! {
    /// Ranks that this thread holds, in the order of acquisition.
    static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
}

/// Record that the thread holds a lock of some rank. Dropping it removes the record.
#[derive(Debug)]
pub(crate) struct Held(Rank);

impl Held {
    /// Records an acquisition before it can block.
    ///
    /// # Panics
    /// With debug assertions, if the thread holds a lock of the same or of a later rank.
    pub(crate) fn acquire(rank: Rank) -> Held {
        if cfg!(debug_assertions) {
            HELD.with_borrow_mut(|held| {
                let later = held.iter().find(|later| **later >= rank);
                assert!(later.is_none(), "lock order: {rank:?} is taken while {later:?} is held");
                held.push(rank);
            });
        }
        Held(rank)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if cfg!(debug_assertions) {
            // A guard may outlive the thread-local during thread exit; then no order is left to check.
            let _ = HELD.try_with(|held| {
                let mut held = held.borrow_mut();
                if let Some(index) = held.iter().rposition(|rank| *rank == self.0) {
                    held.remove(index);
                }
            });
        }
    }
}

/// Guard of an ordered lock.
#[derive(Debug)]
pub(crate) struct Ordered<G> {
    // Dropped in this order: the lock is free before its record is removed.
    guard: G,
    _held: Held,
}

impl<G> Ordered<G> {
    /// Joins a guard with the record of its lock, which was made before the lock was taken.
    pub(crate) fn new(guard: G, held: Held) -> Self {
        Ordered { guard, _held: held }
    }
}

impl<G: Deref> Deref for Ordered<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Ordered<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// Mutex with a place in the lock order.
#[derive(Debug)]
pub(crate) struct OrderedMutex<T> {
    rank: Rank,
    mutex: Mutex<T>,
}

impl<T> OrderedMutex<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        OrderedMutex { rank, mutex: Mutex::new(value) }
    }

    pub(crate) fn lock(&self) -> Ordered<MutexGuard<'_, T>> {
        let held = Held::acquire(self.rank);
        Ordered::new(self.mutex.lock(), held)
    }

    /// Takes the lock if no thread holds it.
    pub(crate) fn try_lock(&self) -> Option<Ordered<MutexGuard<'_, T>>> {
        let held = Held::acquire(self.rank);
        self.mutex.try_lock().map(|guard| Ordered::new(guard, held))
    }
}

/// Read-write lock with a place in the lock order. A thread that reads may not read again: with a writer waiting in
/// between, both would deadlock.
#[derive(Debug)]
pub(crate) struct OrderedRwLock<T> {
    rank: Rank,
    lock: RwLock<T>,
}

impl<T> OrderedRwLock<T> {
    pub(crate) fn new(rank: Rank, value: T) -> Self {
        OrderedRwLock { rank, lock: RwLock::new(value) }
    }

    pub(crate) fn read(&self) -> Ordered<RwLockReadGuard<'_, T>> {
        let held = Held::acquire(self.rank);
        Ordered::new(self.lock.read(), held)
    }

    pub(crate) fn write(&self) -> Ordered<RwLockWriteGuard<'_, T>> {
        let held = Held::acquire(self.rank);
        Ordered::new(self.lock.write(), held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_taken_in_order_are_accepted() {
        let (outer, inner) = (OrderedMutex::new(Rank::Planner, 1), OrderedRwLock::new(Rank::Holds, 2));
        let first = outer.lock();
        let second = inner.read();
        assert_eq!(*first + *second, 3);
        drop(first);
        drop(second);
        assert!(outer.try_lock().is_some());
    }

    #[test]
    #[should_panic(expected = "Planner is taken while Some(Holds) is held")]
    fn a_lock_taken_backwards_panics() {
        let (outer, inner) = (OrderedMutex::new(Rank::Planner, ()), OrderedRwLock::new(Rank::Holds, ()));
        let _second = inner.read();
        let _first = outer.lock();
    }

    #[test]
    #[should_panic(expected = "Shard(1) is taken while Some(Shard(2)) is held")]
    fn shards_taken_in_descending_order_panic() {
        let shards = [1, 2].map(|number| OrderedMutex::new(Rank::Shard(number), ()));
        let _two = shards[1].lock();
        let _one = shards[0].lock();
    }

    #[test]
    #[should_panic(expected = "Holds is taken while Some(Holds) is held")]
    fn a_second_read_of_one_lock_panics() {
        let lock = OrderedRwLock::new(Rank::Holds, ());
        let _first = lock.read();
        let _second = lock.read();
    }
}
