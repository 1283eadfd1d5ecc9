//! Dispatch of due batches in sub-batches. Answers may come in any order, in part, twice, late or never.
//!
//! A batch commits once every object has an answer or ran out of time. Objects that ran out of time are carried and come
//! again, so an object without an answer holds up nothing else.

use crate::driver::event_fd::EventFd;
use crate::driver::sub_batch::{OwnedSubBatch, SubBatchId};
use crate::enforcement::evidence::check_answer;
use crate::enforcement::planner::Step;
use crate::engine::Engine;
use crate::platform::clock::Monotonic;
use crate::platform::error::{Error, Result};
use crate::platform::store::{Answer, Disposition};
use crate::state::batch::Batch;
use crate::state::lock_order::{OrderedMutex, Rank};
use sexton_proof::time::{Timestamp, whole_ms};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Rows that a sweep scans in one piece of work. Their moves take some milliseconds.
const SWEEP_ROWS: u32 = 1_024;

/// Limits on what is handed out, and on the time for answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DispatchLimits {
    /// Most objects of a sub-batch.
    pub(crate) sub_batch_objects: usize,
    /// Batches planned and not committed yet.
    pub(crate) batches_in_flight: usize,
    /// Time from taking a sub-batch to its last answer that counts.
    pub(crate) answer_timeout: Duration,
    /// `true` if the host takes sub-batches itself, so that the descriptor counts them.
    pub(crate) is_pulled: bool,
}

/// Batches that are out. No method holds the lock while it plans or commits.
pub(crate) struct Dispatcher {
    limits: DispatchLimits,
    /// [`Dispatcher::take`] holds this lock while it reads the holds, so it is in the lock order.
    state: OrderedMutex<DispatchState>,
    event_fd: Arc<EventFd>,
}

#[derive(Default)]
struct DispatchState {
    /// Batches that are out, by number.
    open: BTreeMap<u64, OpenBatch>,
    /// Sub-batches that were not taken yet: number of the batch, and index in it.
    ready: VecDeque<(u64, u32)>,
    /// Number of batches being planned or committed at this moment.
    busy: usize,
    /// Instant at which planning last found no batch. `None` if it found one since.
    found_nothing: Option<Monotonic>,
}

/// Batch that is out.
struct OpenBatch {
    batch: Batch,
    unanswered: usize,
    sub_batches: Vec<OpenSubBatch>,
}

/// Sub-batch of an open batch.
#[derive(Clone)]
struct OpenSubBatch {
    /// Instant at which it was taken.
    taken: Option<Monotonic>,
    /// Indices of its objects in the batch, in the order in which they were handed out.
    objects: Vec<usize>,
    unanswered: usize,
}

impl OpenSubBatch {
    /// Returns the instant at which it runs out of time, if it was taken and has no answer for an object.
    fn runs_out(&self, answer_timeout: Duration) -> Option<Monotonic> {
        let taken = self.taken.filter(|_| self.unanswered > 0)?;
        Some(taken.saturating_add(answer_timeout))
    }
}

impl OpenBatch {
    fn new(batch: Batch, sub_batch_objects: usize) -> Self {
        let unanswered = batch.len();
        let objects: Vec<usize> = (0..unanswered).collect();
        let open = |objects: &[usize]| OpenSubBatch {
            taken: None,
            objects: objects.to_vec(),
            unanswered: objects.len(),
        };
        let sub_batches = objects.chunks(sub_batch_objects).map(open).collect();
        OpenBatch { batch, unanswered, sub_batches }
    }

    fn id(&self, index: u32) -> SubBatchId {
        let OpenBatch { batch, .. } = self;
        SubBatchId { batch: batch.number(), epoch: batch.epoch(), index, attempt: batch.attempt() }
    }

    /// Records an answer for an object of a sub-batch, by its index in the batch. Returns `true` if it is the first.
    fn answer(&mut self, index: u32, object: usize, answer: Answer, at: Timestamp) -> bool {
        let Some(sub_batch) = self.sub_batches.get_mut(index as usize) else { return false };
        if self.batch.is_answered(object) || self.batch.answer(object, answer, at).is_err() {
            return false;
        }
        self.unanswered -= 1;
        sub_batch.unanswered -= 1;
        true
    }

    /// Records `Failed` for the unanswered objects of a sub-batch.
    fn fail_rest(&mut self, index: u32, why: &str, at: Timestamp) {
        let objects = self.sub_batches.get(index as usize).map(|sub_batch| sub_batch.objects.clone());
        for object in objects.into_iter().flatten() {
            self.answer(index, object, Answer::Failed(why.into()), at);
        }
    }

    /// Returns the indices of its sub-batches.
    fn indices(&self) -> Range<u32> {
        0..u32::try_from(self.sub_batches.len()).unwrap_or(u32::MAX)
    }
}

impl DispatchState {
    /// Returns the open batch of a sub-batch. `None` if the id is that of an earlier attempt, or its batch is closed.
    fn of(&mut self, id: SubBatchId) -> Option<&mut OpenBatch> {
        self.open.get_mut(&id.batch).filter(|open| open.id(id.index) == id)
    }

    /// Returns `true` if another batch may be planned.
    fn has_room(&self, limits: &DispatchLimits) -> bool {
        self.open.len() + self.busy < limits.batches_in_flight
    }
}

impl Dispatcher {
    pub(crate) fn new(limits: DispatchLimits, event_fd: Arc<EventFd>) -> Self {
        Dispatcher { limits, state: OrderedMutex::new(Rank::Dispatch, DispatchState::default()), event_fd }
    }

    /// Takes the next ready sub-batch. `None` if there is none. Never waits for a disk.
    ///
    /// Refuses the objects that a hold covers by now, because the sub-batch may have been ready for long.
    pub(crate) fn take(&self, engine: &Engine) -> Option<OwnedSubBatch> {
        let mut state = self.state.lock();
        let (now, monotonic) = (engine.now(), engine.monotonic());
        loop {
            let (number, index) = state.ready.pop_front()?;
            self.remove_event();
            let Some(open) = state.open.get_mut(&number) else { continue };
            let Some(sub_batch) = open.sub_batches.get(index as usize) else { continue };
            for object in engine.held(&open.batch, &sub_batch.objects) {
                open.answer(index, object, Answer::Refused("a legal hold was placed".into()), now);
            }
            let id = open.id(index);
            let OpenBatch { batch, sub_batches, .. } = open;
            let Some(sub_batch) = sub_batches.get_mut(index as usize).filter(|s| s.unanswered > 0) else {
                continue;
            };
            sub_batch.objects.retain(|object| !batch.is_answered(*object));
            sub_batch.taken = Some(monotonic);
            return Some(OwnedSubBatch::new(batch, id, sub_batch.objects.iter().copied()));
        }
    }

    /// Counts a new ready sub-batch in the descriptor. The caller holds the lock of `state`.
    fn add_event(&self) {
        if self.limits.is_pulled {
            self.event_fd.add();
        }
    }

    /// Removes a taken sub-batch from the descriptor. The caller holds the lock of `state`.
    fn remove_event(&self) {
        if self.limits.is_pulled {
            self.event_fd.remove();
        }
    }

    /// Returns `true` if a sub-batch is ready.
    pub(crate) fn is_ready(&self) -> bool {
        !self.state.lock().ready.is_empty()
    }

    /// Records answers for objects of a sub-batch, each with the index of its object there. Returns the number of
    /// answers that count: the first for each object, and none if the sub-batch is over. Never waits for a disk.
    ///
    /// # Errors
    /// `Invalid` if an index or a digest is beyond its bound, or if an answer does not fit the class. Then none counts.
    pub(crate) fn answer(
        &self,
        engine: &Engine,
        id: SubBatchId,
        answers: Vec<(u32, Answer)>,
    ) -> Result<usize> {
        let mut state = self.state.lock();
        let (now, monotonic) = (engine.now(), engine.monotonic());
        let Some(open) = state.of(id) else { return Ok(0) };
        let sub_batches = open.sub_batches.len();
        let Some(sub_batch) = open.sub_batches.get(id.index as usize) else {
            return Err(Error::invalid(format!(
                "an answer for sub-batch {} of batch {}, which has {sub_batches}; sub-batches count from 0",
                id.index, id.batch
            )));
        };
        // A late answer does not count, even if no thread has noticed the time-out yet.
        let is_late = sub_batch.runs_out(self.limits.answer_timeout).is_some_and(|at| at <= monotonic);
        if sub_batch.taken.is_none() || is_late {
            return Ok(0);
        }
        check_answers(&answers, sub_batch.objects.len(), open.batch.disposition())?;
        let mut counted = 0;
        for (index, answer) in answers {
            let object = open.sub_batches[id.index as usize].objects[index as usize];
            counted += usize::from(open.answer(id.index, object, answer, now));
        }
        Ok(counted)
    }

    /// Records `Failed` for the unanswered objects of a sub-batch.
    pub(crate) fn fail_rest(&self, engine: &Engine, id: SubBatchId, why: &str) {
        if let Some(open) = self.state.lock().of(id) {
            open.fail_rest(id.index, why, engine.now());
        }
    }

    /// Stops handing out.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        for _ in std::mem::take(&mut state.ready) {
            self.remove_event();
        }
    }

    /// Commits answered batches. In a batch with at least one answer, unanswered objects count as failed. Batches without
    /// an answer come again unchanged at the next opening.
    pub(crate) fn commit_answered(&self, engine: &Engine) -> Result<()> {
        let mut state = self.state.lock();
        let now = engine.now();
        for open in state.open.values_mut() {
            if open.unanswered < open.batch.len() {
                open.indices().for_each(|index| open.fail_rest(index, "the engine was closed", now));
            }
        }
        drop(state);
        while self.commit(engine)? {}
        Ok(())
    }

    /// Does one blocking step: commits an answered batch, or else plans one. Returns `false` if there was no work.
    pub(crate) fn advance(&self, engine: &Engine) -> Result<bool> {
        self.run_out(engine);
        if self.commit(engine)? {
            return Ok(true);
        }
        if !self.reserve() {
            engine.publish_rest();
            return Ok(false);
        }
        let planned = engine.next_step(SWEEP_ROWS);
        let mut state = self.state.lock();
        state.busy -= 1;
        state.found_nothing = None;
        match planned? {
            Step::Nothing => {
                state.found_nothing = Some(engine.monotonic());
                Ok(false)
            }
            Step::Sweeping => Ok(true),
            Step::Batch(batch) => {
                self.open(&mut state, *batch);
                Ok(true)
            }
        }
    }

    /// Commits one answered batch. Returns `false` if there is none.
    fn commit(&self, engine: &Engine) -> Result<bool> {
        let Some(OpenBatch { batch, .. }) = self.take_answered() else { return Ok(false) };
        let committed = engine.complete(batch);
        self.state.lock().busy -= 1;
        committed.map(|_| true)
    }

    /// Records `Failed` for objects that ran out of time.
    fn run_out(&self, engine: &Engine) {
        let mut state = self.state.lock();
        let (now, monotonic) = (engine.now(), engine.monotonic());
        let answer_timeout = self.limits.answer_timeout;
        let why = format!("no answer within {} ms", whole_ms(answer_timeout));
        for open in state.open.values_mut().filter(|open| open.unanswered > 0) {
            for index in open.indices() {
                let runs_out = open.sub_batches[index as usize].runs_out(answer_timeout);
                if runs_out.is_some_and(|at| at <= monotonic) {
                    open.fail_rest(index, &why, now);
                }
            }
        }
    }

    /// Takes out a batch whose objects are all answered.
    fn take_answered(&self) -> Option<OpenBatch> {
        let mut state = self.state.lock();
        let number = state.open.iter().find(|(_, open)| open.unanswered == 0).map(|(number, _)| *number)?;
        state.busy += 1;
        state.open.remove(&number)
    }

    /// Reserves room for one more batch. Returns `false` if there is none.
    fn reserve(&self) -> bool {
        let mut state = self.state.lock();
        let has_room = state.has_room(&self.limits);
        state.busy += usize::from(has_room);
        has_room
    }

    fn open(&self, state: &mut DispatchState, batch: Batch) {
        let number = batch.number();
        let open = OpenBatch::new(batch, self.limits.sub_batch_objects);
        for index in open.indices() {
            state.ready.push_back((number, index));
            self.add_event();
        }
        state.open.insert(number, open);
    }

    /// Returns the work that needs no action of the host.
    pub(crate) fn next_work(&self) -> NextWork {
        let state = self.state.lock();
        let sub_batches = state.open.values().flat_map(|open| &open.sub_batches);
        let runs_out = sub_batches.filter_map(|sub_batch| sub_batch.runs_out(self.limits.answer_timeout));
        NextWork {
            commit: state.open.values().any(|open| open.unanswered == 0),
            runs_out: runs_out.min(),
            has_room: state.has_room(&self.limits),
            found_nothing: state.found_nothing,
        }
    }
}

/// Work of a dispatcher.
pub(crate) struct NextWork {
    /// `true` if an answered batch waits for its commit.
    pub(crate) commit: bool,
    /// Instant at which the next sub-batch runs out of time.
    pub(crate) runs_out: Option<Monotonic>,
    /// `true` if another batch may be planned.
    pub(crate) has_room: bool,
    /// Instant at which planning last found no batch.
    pub(crate) found_nothing: Option<Monotonic>,
}

/// Refuses answers whose index is not below `objects`, or that do not fit the class.
fn check_answers(answers: &[(u32, Answer)], objects: usize, disposition: Disposition) -> Result<()> {
    for (index, answer) in answers {
        if *index as usize >= objects {
            return Err(Error::invalid(format!(
                "an answer for object {index} of a sub-batch of {objects}; objects count from 0"
            )));
        }
        check_answer(answer, disposition)
            .map_err(|why| Error::invalid(format!("the answer for object {index}: {why}")))?;
    }
    Ok(())
}
