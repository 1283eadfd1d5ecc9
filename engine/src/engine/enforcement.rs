//! Enforcement: hands due objects out in batches, and takes batches back with their outcomes.

use crate::enforcement::absence;
use crate::enforcement::evidence;
use crate::enforcement::planner::{self, Step};
use crate::engine::Engine;
use crate::governance::requests;
use crate::model::class::slot_start;
use crate::platform::error::Result;
use crate::platform::store::Store;
use crate::state::batch::Batch;
use crate::state::core::Planner;
use crate::state::publish;
use crate::state::writer::ReadGuard;
use sexton_proof::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Objects that [`Engine::enforce`] and the workers hand to a store at once.
pub(crate) const SUB_BATCH_OBJECTS: usize = 1_000;

/// Result of [`Engine::enforce`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enforced {
    /// Batches committed.
    pub batches: u64,
    /// Objects handed to the store.
    pub objects: u64,
}

impl Engine {
    /// Deletes all objects that are due from `store`, in this thread. Returns when no object is due.
    ///
    /// After `Ok` every deletion has its tombstone, and both survive a power failure.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
    ///
    /// ```
    /// use sexton::store::{Answer, Store, SubBatch};
    /// use sexton::testing::VirtualClock;
    /// use sexton::{Durability, Engine, Options, Registration, Timestamp};
    /// use std::time::Duration;
    /// # use std::sync::Arc;
    ///
    /// struct Nothing; // stands for the place where the objects are stored
    /// impl Store for Nothing {
    ///     fn delete(&self, sub_batch: &SubBatch<'_>) -> Vec<Answer> {
    ///         sub_batch.objects.iter().map(|_| Answer::Deleted).collect()
    ///     }
    /// }
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    /// # let options = Options::new("example.com/uploads");
    /// let engine = Engine::open_with_clock(folder.path(), &options, clock.clone())?;
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// clock.advance(Duration::from_hours(73));
    /// assert_eq!(engine.enforce(&Nothing)?.objects, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn enforce(&self, store: &dyn Store) -> Result<Enforced> {
        let mut done = Enforced::default();
        while let Some(mut batch) = self.next_batch()? {
            done.objects += batch.len() as u64;
            done.batches += 1;
            self.delete(&mut batch, store);
            self.complete(batch)?;
        }
        Ok(done)
    }

    /// Returns the next due batch, for hosts that delete by themselves. [`Engine::complete`] takes it back.
    ///
    /// `None` if nothing is due, if deletion is stopped, or if `Options::max_batches_in_flight` are out. It then
    /// publishes what [`Engine::complete`] left unpublished.
    ///
    /// The intent of the batch is durable before this returns: after a crash the same objects come again. A batch that
    /// is dropped is handed out again too.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
    ///
    /// ```
    /// use sexton::store::Answer;
    /// use sexton::{Durability, Registration};
    /// use std::time::Duration;
    /// # use sexton::testing::VirtualClock;
    /// # use sexton::{Engine, Options, Timestamp};
    /// # use std::sync::Arc;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let clock = Arc::new(VirtualClock::new(Timestamp::from_unix_ms(1_767_225_600_000)));
    /// # let options = Options::new("example.com/uploads");
    /// # let engine = Engine::open_with_clock(folder.path(), &options, clock.clone())?;
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// clock.advance(Duration::from_hours(73));
    /// while let Some(mut batch) = engine.next_batch()? {
    ///     for index in 0..batch.len() {
    ///         // Delete the object durably, then record the answer.
    ///         batch.answer(index, Answer::Deleted, engine.now())?;
    ///     }
    ///     engine.complete(batch)?;
    /// }
    /// # assert_eq!(engine.status()?.classes["log-73h"].ended.deleted, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_batch(&self) -> Result<Option<Batch>> {
        loop {
            match self.next_step(self.core.limits.sweep_rows)? {
                Step::Batch(batch) => return Ok(Some(*batch)),
                Step::Sweeping => {}
                Step::Nothing => return Ok(None),
            }
        }
    }

    /// Does one step of [`Engine::next_batch`]. A sweep scans about `sweep_rows` rows in it.
    pub(crate) fn next_step(&self, sweep_rows: u32) -> Result<Step> {
        let mut step = planner::next_step(&self.core, sweep_rows);
        if let Ok(Step::Batch(batch)) = &mut step {
            batch.begin(self.monotonic());
        }
        if matches!(step, Ok(Step::Nothing) | Err(_)) {
            self.publish_rest();
        }
        step
    }

    /// Takes a batch back with the answers recorded in it. Writes the evidence, commits it, and returns the index of the
    /// log entry. An object without an answer counts as failed.
    ///
    /// After `Ok` deleted objects have their tombstones, and the others are owed and will be tried again. Both survive a
    /// power failure. After `Err` the engine is poisoned, and opening it again recovers the state that is on disk.
    ///
    /// The entry is published at once if no other batch is out. Otherwise publication happens at most once a second. The
    /// last batch publishes, as do a call of [`Engine::next_batch`] that finds none and a receipt. Call
    /// [`Engine::publish`] if a batch stays out for long. If the engine is closed while batches are out, the next
    /// opening publishes.
    ///
    /// # Errors
    /// `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
    pub fn complete(&self, mut batch: Batch) -> Result<u64> {
        batch.handed_back();
        let (class, begun) = (Arc::clone(&batch.class), batch.begun());
        let committed = self.write_and_commit(batch);
        self.core.batches.in_flight.fetch_sub(1, Ordering::SeqCst);
        match &committed {
            // After the decrement: of several threads that complete at once, the last sees that no other batch is out.
            Ok(_) => {
                let now = self.monotonic();
                if let Some(begun) = begun {
                    self.core.tally.add_batch(&class.definition.name, now.since(begun));
                }
                publish::publish_behind(&self.core, now);
            }
            // The objects may be deleted and their evidence half written. Only recovery can tell.
            Err(error) => self.core.writer.poison(error),
        }
        committed
    }

    /// Writes the evidence of a batch and commits it. Returns the index of its log entry.
    fn write_and_commit(&self, mut batch: Batch) -> Result<u64> {
        // A panic from here on would lose the batch.
        let _poison = self.core.writer.poison_on_panic();
        self.core.check_writable()?;
        let now = self.core.now(&batch).now;
        let mut fates = evidence::fates(&self.core, &mut batch, now)?;
        absence::doubt(&self.core, &batch, &mut fates)?;
        let mut evidence = evidence::build(&self.core, batch, fates)?;
        evidence.write_files(&self.core)?;
        self.committer.commit(&self.core, evidence)
    }

    /// Has `store` delete a batch, in sub-batches, and records its answers in the batch.
    pub(crate) fn delete(&self, batch: &mut Batch, store: &dyn Store) {
        batch.delete_with(SUB_BATCH_OBJECTS, |sub_batch| store.delete(sub_batch), || self.now());
    }

    /// Returns those of `indices` in [`Batch::objects`] whose object a hold covers now.
    pub(crate) fn held(&self, batch: &Batch, indices: &[usize]) -> Vec<usize> {
        batch.held(&self.core.governance.holds.read(), indices)
    }

    /// Returns `true` if batches wait to be handed out again.
    pub(crate) fn has_unanswered(&self) -> bool {
        // If another thread is planning, it hands them out, so this thread need not wait for its lock.
        let unfinished = |planner: ReadGuard<'_, Planner>| !planner.unfinished.is_empty();
        // In a statement of its own, which releases the leaf lock before the planner's is taken.
        let were_dropped = !self.core.batches.pool.unanswered.lock().is_empty();
        were_dropped || self.core.batches.planner.try_lock_read().is_some_and(unfinished)
    }

    /// Returns the earliest instant at which there is work: a batch that is due, or a request whose objects are to be
    /// found. It lies in the past if there is work now. `None` if nothing is registered or requested.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let options = sexton::Options::new("example.com/uploads");
    /// # let engine = sexton::Engine::open(folder.path(), &options)?;
    /// use sexton::{Durability, Registration};
    /// assert_eq!(engine.next_due(), None);
    /// engine.register(&[Registration::new("log-73h", b"cat.jpg")], Durability::Synced)?;
    /// assert!(engine.next_due().is_some_and(|due| due > engine.now()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn next_due(&self) -> Option<Timestamp> {
        self.next_work(self.core.schedule.next_slot())
    }

    /// Returns the earliest instant at which planning may find work. Objects of batches that are out do not count.
    pub(crate) fn next_plan(&self) -> Option<Timestamp> {
        self.next_work(self.core.schedule.next_plannable_slot())
    }

    fn next_work(&self, slot: Option<u64>) -> Option<Timestamp> {
        let slot = slot.map(slot_start);
        slot.into_iter().chain(requests::next_ready(&self.core)).min()
    }
}
