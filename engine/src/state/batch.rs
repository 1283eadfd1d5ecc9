//! Batch: due objects of one class on their way through deletion together.

use crate::model::class::Class;
use crate::model::hold::{HoldFacts, HoldSet};
use crate::model::schema::{Flags, Intent, Links, Mark, Row};
use crate::platform::clock::Monotonic;
use crate::platform::error::{Error, Result};
use crate::platform::store::{Answer, Disposition, StoredObject, SubBatch};
use crate::state::time::Steady;
use parking_lot::Mutex;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

/// Largest buffer of row bytes that is kept for a later batch: enough for ten thousand rows with keys of a kilobyte.
const BUFFER_MAX_BYTES: usize = 64 << 20;

/// Due objects of one class on their way through deletion together.
///
/// The caller deletes the objects of [`Batch::objects`], records an answer for each with [`Batch::answer`], and hands the
/// batch back to [`Engine::complete`](crate::Engine::complete). An object without an answer counts as failed and is tried
/// again. A batch that is dropped is handed out again.
pub struct Batch {
    pub(crate) intent: Intent,
    pub(crate) class: Arc<Class>,
    pub(crate) epoch: u64,
    /// Number of times that its objects were handed over, including this one.
    attempt: u32,
    /// Rows in the order of page and seq.
    pub(crate) rows: Vec<PlannedRow>,
    /// Bytes of all rows, one after the other.
    bytes: Vec<u8>,
    /// Indexes of the rows that the store is asked to delete.
    asked: Vec<u32>,
    /// Answers to the objects of `asked`, in the same order. Shorter if the last ones have none yet.
    answers: Vec<Option<Answered>>,
    /// Marks of rows that were replaced or moved after they were written.
    pub(crate) marks: BTreeMap<RegistrationId, Mark>,
    /// `true` while the caller has the batch.
    is_out: bool,
    /// Instant at which the caller got the batch.
    begun: Option<Monotonic>,
    pool: Arc<BatchPool>,
}

/// Taking time back is refused while a batch is out.
impl Steady for Batch {}

/// Answer for one object, with the instant at which it was known.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) answer: Answer,
    pub(crate) at: Timestamp,
}

/// Batches that were dropped without an answer, and buffers of batches that are gone.
#[derive(Default)]
pub(crate) struct BatchPool {
    /// Intents of dropped batches, to be handed out again.
    pub(crate) unanswered: Mutex<Vec<Unanswered>>,
    /// Buffers for later batches. Page faults of fresh memory cost more than the work done in it.
    buffers: Mutex<Vec<Buffers>>,
}

impl BatchPool {
    /// Frees the buffers. Called if nothing more is due for now.
    pub(crate) fn free_buffers(&self) {
        self.buffers.lock().clear();
    }
}

/// Intent that was handed over and not committed.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub(crate) intent: Intent,
    /// Number of times that it was handed over. An intent of an earlier opening starts at 1.
    pub(crate) attempts: u32,
}

/// Buffers of a batch.
#[derive(Default)]
struct Buffers {
    rows: Vec<PlannedRow>,
    bytes: Vec<u8>,
    asked: Vec<u32>,
}

impl Drop for Batch {
    /// Returns the buffers to the pool. A batch that the caller dropped, for example in a panic, is handed out again.
    fn drop(&mut self) {
        if self.is_out {
            let unanswered = Unanswered { intent: self.intent.clone(), attempts: self.attempt };
            self.pool.unanswered.lock().push(unanswered);
        }
        let (rows, bytes, asked) = (take(&mut self.rows), take(&mut self.bytes), take(&mut self.asked));
        if bytes.capacity() <= BUFFER_MAX_BYTES {
            self.pool.buffers.lock().push(Buffers { rows, bytes, asked });
        }
    }
}

/// Row of a batch. A batch has tens of thousands, so it is small.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRow {
    /// Index of its page in the intent.
    pub(crate) page: u32,
    pub(crate) seq: u32,
    /// Offset of its bytes.
    begin: usize,
    length: u32,
    pub(crate) plan: Planned,
}

/// Decision of the planner for a row. If several apply, the first of them counts: this is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// The registration lives on in another page, which its mark names.
    Moved,
    /// A newer registration of its key replaced it: the stored object is another one now.
    Replaced,
    /// The host has deleted the object itself.
    Released,
    /// A legal hold covers it. A lifted one keeps it until the sweep has restarted its clock (`standing` is `false`).
    Held { standing: bool },
    /// Floor that has not passed.
    BeforeFloor,
    /// The store is asked to delete it.
    Delete,
}

/// Object that the store is to delete.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Object<'a> {
    /// Registration of the object.
    pub id: RegistrationId,
    /// Key that it is stored under: the current one, if it was renamed.
    pub key: &'a [u8],
    /// Key that it was registered under, for its receipt. It differs from `key` if it was renamed.
    pub first_key: &'a [u8],
    /// Version by which the store recognises it.
    pub version: &'a [u8],
    /// Digest as registered, or empty.
    pub digest: &'a [u8],
    /// Size in bytes; `None` if unknown.
    pub size: Option<u64>,
    /// Promised floor; `None` if there is none.
    pub floor: Option<Timestamp>,
    /// Promised ceiling; `None` if there is none.
    pub ceiling: Option<Timestamp>,
}

impl Batch {
    /// Returns a batch without rows.
    pub(crate) fn new(
        intent: Intent,
        class: Arc<Class>,
        epoch: u64,
        attempt: u32,
        pool: &Arc<BatchPool>,
    ) -> Batch {
        let Buffers { mut rows, mut bytes, mut asked } = pool.buffers.lock().pop().unwrap_or_default();
        rows.clear();
        bytes.clear();
        asked.clear();
        Batch {
            intent,
            class,
            epoch,
            attempt,
            rows,
            bytes,
            asked,
            answers: Vec::new(),
            marks: BTreeMap::new(),
            is_out: false,
            begun: None,
            pool: Arc::clone(pool),
        }
    }

    /// Adds the next row in the order of page and seq. `page` is the index of its page in the intent.
    pub(crate) fn push(&mut self, page: u32, seq: u32, row: &[u8], plan: Planned) {
        // A batch has some ten thousand rows of at most 70 KB.
        let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if plan == Planned::Delete {
            self.asked.push(short(self.rows.len()));
        }
        self.rows.push(PlannedRow { page, seq, begin: self.bytes.len(), length: short(row.len()), plan });
        self.bytes.extend_from_slice(row);
    }

    /// Marks the batch as handed out: if the caller drops it from here on, it is handed out again.
    pub(crate) fn handed_out(mut self) -> Batch {
        self.is_out = true;
        self
    }

    /// Notes when the caller gets the batch.
    pub(crate) fn begin(&mut self, now: Monotonic) {
        self.begun = Some(now);
    }

    /// Returns the instant at which the caller got the batch; `None` if it was committed at the opening.
    pub(crate) fn begun(&self) -> Option<Monotonic> {
        self.begun
    }

    /// Marks the batch as handed back: dropping it no longer hands it out again.
    pub(crate) fn handed_back(&mut self) {
        self.is_out = false;
    }

    /// Returns the number of the batch. It stays the same if the batch comes again after a crash.
    pub fn number(&self) -> u64 {
        self.intent.batch
    }

    /// Returns the number of times that its objects were handed over, including this one. After a crash it is at least 2.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Returns `true` if the store may have been asked for these objects before.
    pub(crate) fn is_repeated(&self) -> bool {
        self.attempt > 1
    }

    /// Returns the fencing epoch, which grows with every opening of the engine.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the disposition of its objects: deleting or anonymising.
    pub fn disposition(&self) -> Disposition {
        self.class.definition.disposition
    }

    /// Returns the name of the class of all its objects.
    pub fn class(&self) -> &str {
        &self.class.definition.name
    }

    /// Returns the number of objects to be deleted.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Returns `true` if no object is to be deleted. Such a batch is handed back all the same.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Iterates over the objects to be deleted. Their positions are the indexes of [`Batch::answer`].
    pub fn objects(&self) -> impl ExactSizeIterator<Item = Object<'_>> {
        self.objects_in(0..self.asked.len())
    }

    /// Iterates over the objects at the positions in `range`; over none if it ends beyond the last object.
    pub fn objects_in(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Object<'_>> {
        let asked = self.asked.get(range).unwrap_or_default();
        asked.iter().map(|&row| self.object(&self.rows[row as usize]))
    }

    /// Records the answer for the object at position `index` of [`Batch::objects`], known at `at`.
    ///
    /// A later answer replaces an earlier one. Nothing is durable before [`Engine::complete`](crate::Engine::complete).
    ///
    /// # Errors
    /// `Invalid` if the batch has no such object.
    pub fn answer(&mut self, index: usize, answer: Answer, at: Timestamp) -> Result<()> {
        if index >= self.len() {
            return Err(Error::invalid(format!(
                "an answer for object {index} of a batch that has {}",
                self.len()
            )));
        }
        if self.answers.len() <= index {
            self.answers.reserve_exact(self.len() - self.answers.len());
            self.answers.resize_with(index + 1, || None);
        }
        self.answers[index] = Some(Answered { answer, at });
        Ok(())
    }

    /// Records the same answer for every object.
    pub fn answer_all(&mut self, answer: &Answer, at: Timestamp) {
        self.answers.clear();
        self.answers.resize(self.len(), Some(Answered { answer: answer.clone(), at }));
    }

    /// Returns `true` if the object at position `index` has an answer.
    pub fn is_answered(&self, index: usize) -> bool {
        self.answers.get(index).is_some_and(Option::is_some)
    }

    /// Hands all objects to `delete`, at most `max` at once, and records its answers.
    ///
    /// Calls `now` after each call of `delete`. If `delete` returns another number of answers than it got objects, no
    /// answer can be assigned to its object. All objects of that call then count as failed.
    pub fn delete_with(
        &mut self,
        max: usize,
        mut delete: impl FnMut(&SubBatch<'_>) -> Vec<Answer>,
        mut now: impl FnMut() -> Timestamp,
    ) {
        let mut answers = Vec::with_capacity(self.len());
        for asked in self.asked.chunks(max.max(1)) {
            let given = self.sub_batch(asked, &mut delete);
            let at = now();
            if given.len() == asked.len() {
                answers.extend(given.into_iter().map(|answer| Some(Answered { answer, at })));
            } else {
                let why = format!("the store gave {} answers for {} objects", given.len(), asked.len());
                let failed = Answered { answer: Answer::Failed(why.into()), at };
                answers.resize(answers.len() + asked.len(), Some(failed));
            }
        }
        self.answers = answers;
    }

    /// Calls `delete` with the objects of the rows `asked`.
    fn sub_batch<T>(&self, asked: &[u32], delete: impl FnOnce(&SubBatch<'_>) -> T) -> T {
        let stored = |&row: &u32| {
            let row = self.row(&self.rows[row as usize]);
            StoredObject { key: row.key, version: row.version, digest: row.digest, size: row.size }
        };
        let objects: Vec<StoredObject<'_>> = asked.iter().map(stored).collect();
        delete(&SubBatch {
            batch: self.number(),
            class: self.class(),
            disposition: self.disposition(),
            attempt: self.attempt,
            epoch: self.epoch,
            objects: &objects,
        })
    }

    /// Takes the answers, in the order of the objects; `None` for an object without one.
    pub(crate) fn take_answers(&mut self) -> impl Iterator<Item = Option<Answered>> + use<> {
        let mut answers = take(&mut self.answers);
        answers.resize_with(self.len(), || None);
        answers.into_iter()
    }

    /// Returns those of the positions whose object a hold covers now.
    pub(crate) fn held(&self, holds: &HoldSet, positions: &[usize]) -> Vec<usize> {
        if holds.iter().next().is_none() {
            return Vec::new();
        }
        let is_held = |position: &usize| {
            let planned = &self.rows[self.asked[*position] as usize];
            let (slot, row) = (self.page(planned).slot, self.row(planned));
            holds.covering(HoldFacts::of(&self.class.definition.name, slot, &row)).is_some()
        };
        positions.iter().copied().filter(is_held).collect()
    }

    pub(crate) fn row(&self, row: &PlannedRow) -> Row<'_> {
        // The planner decoded it once, so this cannot fail. An empty row would stop the commit.
        Row::decode(&self.bytes[row.begin..][..row.length as usize]).unwrap_or(EMPTY)
    }

    pub(crate) fn page(&self, row: &PlannedRow) -> PageId {
        self.intent.pages[row.page as usize].page
    }

    pub(crate) fn id(&self, row: &PlannedRow) -> RegistrationId {
        RegistrationId { page: self.page(row), seq: row.seq }
    }

    fn object(&self, planned: &PlannedRow) -> Object<'_> {
        let row = self.row(planned);
        Object {
            id: self.id(planned),
            key: row.key,
            first_key: row.names().first,
            version: row.version,
            digest: row.digest,
            size: row.size,
            floor: row.floor,
            ceiling: row.ceiling,
        }
    }
}

const EMPTY: Row<'static> = Row {
    cause: 0,
    attempts: 0,
    flags: Flags::NONE,
    reason: Reason::Due,
    start: Timestamp::from_unix_ms(0),
    floor: None,
    ceiling: None,
    size: None,
    key: &[],
    first: None,
    version: &[],
    digest: &[],
    subject: &[],
    origin: None,
    doubt: None,
    era: 0,
    registered: None,
    links: Links::NONE,
};
