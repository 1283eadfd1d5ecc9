//! Handing due batches out in sub-batches, to a host that answers in its own time: in any order, in part, twice, late or
//! never. A batch commits once every object of it has an answer or ran out of time; what ran out of time is carried and
//! comes again, so one object that is stuck holds up nothing but itself.

use crate::batch::{Batch, Object};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::evidence::Outcome;
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
    /// Whether the host takes sub-batches itself, and is to be told of them.
    pub(crate) is_pulled: bool,
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
    /// The objects at these places of a batch.
    fn new(batch: &Batch, id: SubBatchId, places: impl Iterator<Item = usize>) -> Self {
        let mut bytes = Vec::new();
        let objects =
            places.flat_map(|place| batch.some_objects(place..place + 1)).map(|object| HandedObject {
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
    /// When planning was last tried, by the monotonic clock, where it found nothing.
    found_nothing_ms: Option<i64>,
}

/// A batch that is out.
struct Open {
    batch: Batch,
    outcomes: Vec<Option<Outcome>>,
    unanswered: usize,
    parts: Vec<Part>,
}

/// A sub-batch of it.
#[derive(Clone)]
struct Part {
    /// When it was taken, by the monotonic clock.
    taken_ms: Option<i64>,
    /// Places of its objects in the whole batch, in the order in which they were handed out.
    places: Vec<usize>,
    unanswered: usize,
}

impl Part {
    /// When it runs out of time, where it can.
    fn runs_out_ms(&self, answer_ms: i64) -> Option<i64> {
        let taken_ms = self.taken_ms.filter(|_| self.unanswered > 0)?;
        Some(taken_ms.saturating_add(answer_ms))
    }
}

impl Open {
    fn id(&self, part: u32) -> SubBatchId {
        let Open { batch, .. } = self;
        SubBatchId { batch: batch.number(), epoch: batch.epoch(), part, attempt: batch.attempt() }
    }

    /// Answers an object of a sub-batch, by its place in the whole batch, where nobody has; whether that counted.
    fn answer(&mut self, part: u32, place: usize, answer: Answer, at_ms: i64) -> bool {
        let (Some(outcome @ None), Some(of)) =
            (self.outcomes.get_mut(place), self.parts.get_mut(part as usize))
        else {
            return false;
        };
        *outcome = Some(Outcome { answer, at_ms });
        self.unanswered -= 1;
        of.unanswered -= 1;
        true
    }

    /// Answers what of a sub-batch nobody has answered.
    fn fail_rest(&mut self, part: u32, why: &str, at_ms: i64) {
        let places = self.parts.get(part as usize).map(|part| part.places.clone());
        for place in places.into_iter().flatten() {
            self.answer(part, place, Answer::Failed(why.into()), at_ms);
        }
    }

    /// The numbers of its sub-batches.
    fn numbers(&self) -> Range<u32> {
        0..u32::try_from(self.parts.len()).unwrap_or(u32::MAX)
    }
}

impl Dispatcher {
    pub(crate) fn new(limits: Limits, signal: Arc<Signal>) -> Self {
        Dispatcher { limits, state: Mutex::default(), signal }
    }

    /// The next sub-batch that is ready; `None` where none is. Never waits.
    ///
    /// It may have been ready for long, so holds are asked once more: what one covers by now is kept.
    pub(crate) fn take(&self, engine: &Engine) -> Option<Handed> {
        let (now_ms, monotonic_ms) = (engine.now_ms(), engine.monotonic_ms());
        let mut state = self.state.lock();
        loop {
            let (number, part) = state.ready.pop_front()?;
            self.took();
            let Some(open) = state.open.get_mut(&number) else { continue };
            let Some(places) = open.parts.get(part as usize).map(|part| part.places.clone()) else {
                continue;
            };
            for place in engine.held(&open.batch, &places) {
                open.answer(part, place, Answer::Refused("a legal hold was placed".into()), now_ms);
            }
            let id = open.id(part);
            let Open { batch, outcomes, parts, .. } = open;
            let Some(of) = parts.get_mut(part as usize).filter(|of| of.unanswered > 0) else { continue };
            of.places.retain(|place| outcomes[*place].is_none());
            of.taken_ms = Some(monotonic_ms);
            return Some(Handed::new(batch, id, of.places.iter().copied()));
        }
    }

    /// One sub-batch fewer waits.
    fn took(&self) {
        if self.limits.is_pulled {
            self.signal.took();
        }
    }

    /// Whether a sub-batch waits to be taken.
    pub(crate) fn is_ready(&self) -> bool {
        !self.state.lock().ready.is_empty()
    }

    /// Takes answers for some or all objects of a sub-batch, each with the place of its object. The first answer for an
    /// object counts; gives how many did. Never waits.
    ///
    /// # Errors
    /// `Invalid` where a part, a place or a digest is beyond its bound, or an answer does not fit the class: then none of
    /// them counts.
    pub(crate) fn answer(
        &self,
        engine: &Engine,
        id: SubBatchId,
        answers: Vec<(u32, Answer)>,
    ) -> Result<usize> {
        let (now_ms, monotonic_ms) = (engine.now_ms(), engine.monotonic_ms());
        let mut state = self.state.lock();
        let Some(open) = state.open.get_mut(&id.batch).filter(|open| open.id(id.part) == id) else {
            return Ok(0);
        };
        let parts = open.parts.len();
        let Some(part) = open.parts.get(id.part as usize) else {
            return Err(Error::invalid(format!(
                "an answer for part {} of batch {}, which has {parts}; parts count from 0",
                id.part, id.batch
            )));
        };
        // What is late counts for nothing, also where nobody has looked since.
        let is_late = part.runs_out_ms(self.limits.answer_ms).is_some_and(|at_ms| at_ms <= monotonic_ms);
        if part.taken_ms.is_none() || is_late {
            return Ok(0);
        }
        check(&answers, part.places.len(), open.batch.disposition())?;
        let count = |(at, answer): (u32, Answer)| {
            let place = open.parts[id.part as usize].places[at as usize];
            open.answer(id.part, place, answer, now_ms)
        };
        Ok(answers.into_iter().map(count).filter(|counted| *counted).count())
    }

    /// Counts what of a sub-batch nobody has answered as failed.
    pub(crate) fn fail_rest(&self, id: SubBatchId, why: &str, now_ms: i64) {
        let mut state = self.state.lock();
        if let Some(open) = state.open.get_mut(&id.batch).filter(|open| open.id(id.part) == id) {
            open.fail_rest(id.part, why, now_ms);
        }
    }

    /// Hands nothing out any more.
    pub(crate) fn stop(&self) {
        let ready = std::mem::take(&mut self.state.lock().ready);
        ready.iter().for_each(|_| self.took());
    }

    /// Commits what was answered; what nobody has answered in a batch of which something was counts as failed. Batches of
    /// which nothing was come again as they are.
    pub(crate) fn settle(&self, engine: &Engine) -> Result<()> {
        let now_ms = engine.now_ms();
        for open in self.state.lock().open.values_mut() {
            if open.unanswered < open.outcomes.len() {
                open.numbers().for_each(|part| open.fail_rest(part, "the engine was closed", now_ms));
            }
        }
        while self.commit(engine)? {}
        Ok(())
    }

    /// Does one piece of what takes time: commits a batch that is answered, or plans one. Whether there was anything.
    pub(crate) fn advance(&self, engine: &Engine) -> Result<bool> {
        self.run_out(engine.now_ms(), engine.monotonic_ms());
        if self.commit(engine)? {
            return Ok(true);
        }
        if !self.reserve() {
            engine.publish_rest();
            return Ok(false);
        }
        let planned = engine.next_batch();
        let mut state = self.state.lock();
        state.busy -= 1;
        state.found_nothing_ms = None;
        match planned? {
            None => {
                state.found_nothing_ms = Some(engine.monotonic_ms());
                Ok(false)
            }
            Some(batch) => {
                self.open(&mut state, batch);
                Ok(true)
            }
        }
    }

    /// Commits a batch that is answered; whether there was one.
    fn commit(&self, engine: &Engine) -> Result<bool> {
        let Some(Open { batch, outcomes, .. }) = self.answered() else { return Ok(false) };
        // Each of them has its outcome, or it would still be out.
        let outcomes = outcomes.into_iter().flatten().collect();
        let committed = engine.complete(batch, outcomes);
        self.state.lock().busy -= 1;
        committed.map(|_| true)
    }

    /// Answers what ran out of time.
    fn run_out(&self, now_ms: i64, monotonic_ms: i64) {
        let answer_ms = self.limits.answer_ms;
        let why = format!("no answer within {answer_ms} ms");
        for open in self.state.lock().open.values_mut().filter(|open| open.unanswered > 0) {
            for part in open.numbers() {
                if open.parts[part as usize].runs_out_ms(answer_ms).is_some_and(|at_ms| at_ms <= monotonic_ms)
                {
                    open.fail_rest(part, &why, now_ms);
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
        let places: Vec<usize> = (0..objects).collect();
        let part =
            |places: &[usize]| Part { taken_ms: None, places: places.to_vec(), unanswered: places.len() };
        let parts: Vec<Part> = places.chunks(self.limits.objects).map(part).collect();
        let outcomes = (0..objects).map(|_| None).collect();
        let open = Open { batch, outcomes, unanswered: objects, parts };
        for part in open.numbers() {
            state.ready.push_back((number, part));
            if self.limits.is_pulled {
                self.signal.put();
            }
        }
        state.open.insert(number, open);
    }

    /// What there is to do without anybody's doing.
    pub(crate) fn next(&self) -> Next {
        let state = self.state.lock();
        let answer_ms = self.limits.answer_ms;
        let run_out =
            state.open.values().flat_map(|open| &open.parts).filter_map(|part| part.runs_out_ms(answer_ms));
        Next {
            commit: state.open.values().any(|open| open.unanswered == 0),
            run_out_ms: run_out.min(),
            has_room: state.open.len() + state.busy < self.limits.batches,
            found_nothing_ms: state.found_nothing_ms,
        }
    }
}

/// What a dispatcher has to do, by the monotonic clock.
pub(crate) struct Next {
    /// Whether a batch is answered and waits for its commit.
    pub(crate) commit: bool,
    /// When a sub-batch runs out of time.
    pub(crate) run_out_ms: Option<i64>,
    /// Whether one batch more may be planned.
    pub(crate) has_room: bool,
    /// When planning was last tried, where it found nothing.
    pub(crate) found_nothing_ms: Option<i64>,
}

fn check(answers: &[(u32, Answer)], objects: usize, disposition: Disposition) -> Result<()> {
    for (place, answer) in answers {
        if *place as usize >= objects {
            return Err(Error::invalid(format!(
                "an answer for object {place} of a sub-batch of {objects}; places count from 0"
            )));
        }
        let Answer::Anonymised(digest) = answer else { continue };
        if disposition != Disposition::Anonymise {
            return Err(Error::invalid(format!(
                "object {place} was to be deleted, and the answer is that it was rewritten"
            )));
        }
        if digest.len() > DIGEST_MAX_BYTES {
            return Err(Error::invalid(format!(
                "a result digest of {} bytes; at most {DIGEST_MAX_BYTES} are allowed",
                digest.len()
            )));
        }
    }
    Ok(())
}
