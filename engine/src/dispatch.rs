//! Handing due batches out in sub-batches, to a host that answers in its own time: in any order, in part, twice, late or
//! never. A batch commits once every object of it has an answer or ran out of time; what ran out of time is carried and
//! comes again, so one object that is stuck holds up nothing but itself.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::evidence::Outcome;
use crate::plan::{Batch, Object};
use crate::signal::Signal;
use crate::store::{Answer, Disposition};
use parking_lot::Mutex;
use sexton_proof::id::{DIGEST_MAX_BYTES, RegistrationId};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// How much is handed out at once, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most objects of a sub-batch.
    pub(crate) objects: usize,
    /// Batches planned and not yet committed.
    pub(crate) batches: usize,
    /// From handing out to the last answer that counts, ms.
    pub(crate) answer_ms: i64,
}

/// Names one handing over of a sub-batch. Answers under another one than the last count for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubBatchId {
    /// The batch: the same when it comes again after a crash.
    pub batch: u64,
    /// The fencing epoch: grows with every opening of the engine.
    pub epoch: u64,
    /// Which part of the batch, from 0.
    pub part: u32,
    /// How often the batch has been handed over, this time included; after a crash at least 2.
    pub attempt: u32,
}

/// Objects to be deleted together, as handed out. It owns its bytes: it may outlive the engine.
#[derive(Clone, Debug)]
pub struct Handed {
    id: SubBatchId,
    class: String,
    disposition: Disposition,
    bytes: Vec<u8>,
    objects: Vec<HandedObject>,
}

#[derive(Clone, Debug)]
struct HandedObject {
    id: RegistrationId,
    /// Key, version and digest end here; they lie one after the other.
    ends: [usize; 3],
    size_bytes: u64,
    floor_ms: i64,
    ceiling_ms: i64,
}

impl Handed {
    fn new(batch: &Batch, id: SubBatchId, range: Range<usize>) -> Self {
        let mut bytes = Vec::new();
        let objects = batch.some_objects(range).map(|object| HandedObject {
            id: object.id,
            ends: [object.key, object.version, object.digest].map(|part| {
                bytes.extend_from_slice(part);
                bytes.len()
            }),
            size_bytes: object.size_bytes,
            floor_ms: object.floor_ms,
            ceiling_ms: object.ceiling_ms,
        });
        let objects = objects.collect();
        let (class, disposition) = (batch.class().to_owned(), batch.disposition());
        Handed { id, class, disposition, bytes, objects }
    }

    /// By what answers name it.
    pub fn id(&self) -> SubBatchId {
        self.id
    }

    /// The class all its objects fall under.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// What is to be done with its objects.
    pub fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// How many objects, at least 1.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Never.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Its objects; answers name them by their place here.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = Object<'_>> {
        let mut from = 0;
        self.objects.iter().map(move |object| {
            let [key, version, digest] = object.ends.map(|end| {
                let begin = std::mem::replace(&mut from, end);
                &self.bytes[begin..end]
            });
            let HandedObject { id, size_bytes, floor_ms, ceiling_ms, .. } = *object;
            Object { id, key, version, digest, size_bytes, floor_ms, ceiling_ms }
        })
    }
}

/// The batches that are out.
pub(crate) struct Dispatcher {
    limits: Limits,
    state: Mutex<State>,
    signal: Arc<Signal>,
}

#[derive(Default)]
struct State {
    open: BTreeMap<u64, Open>,
    /// Sub-batches that nobody has taken yet, of the batches in `open`.
    ready: VecDeque<(u64, u32)>,
    /// Batches being planned or committed at this moment.
    busy: usize,
}

/// A batch that is out.
struct Open {
    batch: Batch,
    outcomes: Vec<Option<Outcome>>,
    unanswered: usize,
    /// When each sub-batch was taken, by the monotonic clock.
    taken_ms: Vec<Option<i64>>,
}

impl Open {
    fn id(&self, part: u32) -> SubBatchId {
        let Open { batch, .. } = self;
        SubBatchId { batch: batch.number(), epoch: batch.epoch(), part, attempt: batch.attempt() }
    }

    fn range(&self, part: u32, objects: usize) -> Range<usize> {
        let first = part as usize * objects;
        first..(first + objects).min(self.outcomes.len())
    }

    /// Answers what of a sub-batch nobody has answered.
    fn fail_rest(&mut self, range: Range<usize>, why: &str, at_ms: i64) {
        for outcome in self.outcomes.get_mut(range).into_iter().flatten().filter(|one| one.is_none()) {
            *outcome = Some(Outcome { answer: Answer::Failed(why.into()), at_ms });
            self.unanswered -= 1;
        }
    }
}

impl Dispatcher {
    pub(crate) fn new(limits: Limits, signal: Arc<Signal>) -> Self {
        Dispatcher { limits, state: Mutex::default(), signal }
    }

    /// The next sub-batch that is ready; `None` where none is. Never waits.
    pub(crate) fn take(&self, monotonic_ms: i64) -> Option<Handed> {
        let mut state = self.state.lock();
        let (number, part) = state.ready.pop_front()?;
        self.signal.took();
        let open = state.open.get_mut(&number)?;
        if let Some(taken) = open.taken_ms.get_mut(part as usize) {
            *taken = Some(monotonic_ms);
        }
        Some(Handed::new(&open.batch, open.id(part), open.range(part, self.limits.objects)))
    }

    /// Whether one batch more may be planned.
    pub(crate) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.open.len() + state.busy < self.limits.batches
    }

    /// Whether a sub-batch waits to be taken.
    pub(crate) fn is_ready(&self) -> bool {
        !self.state.lock().ready.is_empty()
    }

    /// Takes answers for some or all objects of a sub-batch, each with the place of its object. The first answer for an
    /// object counts; gives how many did. Never waits.
    ///
    /// # Errors
    /// `Invalid` where a part, a place or a digest is beyond its bound: then none of them counts.
    pub(crate) fn answer(&self, id: SubBatchId, answers: Vec<(u32, Answer)>, now_ms: i64) -> Result<usize> {
        let mut state = self.state.lock();
        let Some(open) = state.open.get_mut(&id.batch).filter(|open| open.id(id.part) == id) else {
            return Ok(0);
        };
        let parts = open.taken_ms.len();
        if id.part as usize >= parts {
            return Err(Error::invalid(format!(
                "an answer for part {} of batch {}, which has {parts}; parts count from 0",
                id.part, id.batch
            )));
        }
        let range = open.range(id.part, self.limits.objects);
        check(&answers, range.len())?;
        let mut counted = 0;
        for (place, answer) in answers {
            let outcome = open.outcomes.get_mut(range.start + place as usize);
            if let Some(outcome @ None) = outcome {
                *outcome = Some(Outcome { answer, at_ms: now_ms });
                counted += 1;
            }
        }
        open.unanswered -= counted;
        Ok(counted)
    }

    /// Counts what of a sub-batch nobody has answered as failed.
    pub(crate) fn fail_rest(&self, id: SubBatchId, why: &str, now_ms: i64) {
        let mut state = self.state.lock();
        if let Some(open) = state.open.get_mut(&id.batch).filter(|open| open.id(id.part) == id) {
            let range = open.range(id.part, self.limits.objects);
            open.fail_rest(range, why, now_ms);
        }
    }

    /// Does one piece of what takes time: commits a batch that is answered, or plans one. Whether there was anything.
    pub(crate) fn advance(&self, engine: &Engine) -> Result<bool> {
        let now_ms = engine.now_ms();
        self.run_out(now_ms, engine.monotonic_ms());
        if let Some(Open { batch, outcomes, .. }) = self.answered() {
            // Each of them has its outcome, or it would still be out.
            let outcomes = outcomes.into_iter().flatten().collect();
            let committed = engine.complete(batch, outcomes);
            self.state.lock().busy -= 1;
            return committed.map(|_| true);
        }
        if !self.reserve() {
            return Ok(false);
        }
        let planned = engine.next_batch();
        let mut state = self.state.lock();
        state.busy -= 1;
        match planned? {
            None => Ok(false),
            Some(batch) => {
                self.open(&mut state, batch);
                Ok(true)
            }
        }
    }

    /// Answers what ran out of time.
    fn run_out(&self, now_ms: i64, monotonic_ms: i64) {
        let Limits { objects, answer_ms, .. } = self.limits;
        let why = format!("no answer within {answer_ms} ms");
        let mut state = self.state.lock();
        for open in state.open.values_mut().filter(|open| open.unanswered > 0) {
            for part in 0..u32::try_from(open.taken_ms.len()).unwrap_or(u32::MAX) {
                let taken_ms = open.taken_ms[part as usize];
                if taken_ms.is_some_and(|taken| monotonic_ms.saturating_sub(taken) >= answer_ms) {
                    let range = open.range(part, objects);
                    open.fail_rest(range, &why, now_ms);
                }
            }
        }
    }

    /// A batch in which nothing is unanswered.
    fn answered(&self) -> Option<Open> {
        let mut state = self.state.lock();
        let number = state.open.iter().find(|(_, open)| open.unanswered == 0).map(|(number, _)| *number)?;
        state.busy += 1;
        state.open.remove(&number)
    }

    /// Whether there is room for one batch more; takes it.
    fn reserve(&self) -> bool {
        let mut state = self.state.lock();
        let has_room = state.open.len() + state.busy < self.limits.batches;
        state.busy += usize::from(has_room);
        has_room
    }

    fn open(&self, state: &mut State, batch: Batch) {
        let (number, objects) = (batch.number(), batch.len());
        let parts = objects.div_ceil(self.limits.objects);
        for part in 0..u32::try_from(parts).unwrap_or(u32::MAX) {
            state.ready.push_back((number, part));
            self.signal.put();
        }
        let outcomes = (0..objects).map(|_| None).collect();
        state.open.insert(number, Open { batch, outcomes, unanswered: objects, taken_ms: vec![None; parts] });
    }

    /// When the next sub-batch runs out of time, by the monotonic clock.
    pub(crate) fn next_run_out_ms(&self) -> Option<i64> {
        let state = self.state.lock();
        let waiting = state.open.values().filter(|open| open.unanswered > 0);
        let taken = waiting.flat_map(|open| open.taken_ms.iter().flatten());
        taken.min().map(|taken| taken.saturating_add(self.limits.answer_ms))
    }
}

fn check(answers: &[(u32, Answer)], objects: usize) -> Result<()> {
    for (place, answer) in answers {
        if *place as usize >= objects {
            return Err(Error::invalid(format!(
                "an answer for object {place} of a sub-batch of {objects}; places count from 0"
            )));
        }
        if let Answer::Anonymised(digest) = answer
            && digest.len() > DIGEST_MAX_BYTES
        {
            return Err(Error::invalid(format!(
                "a result digest of {} bytes; at most {DIGEST_MAX_BYTES} are allowed",
                digest.len()
            )));
        }
    }
    Ok(())
}
