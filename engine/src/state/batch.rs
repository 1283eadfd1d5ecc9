//! A batch: due objects of one class on their way through deletion together.

use crate::model::class::Class;
use crate::model::hold::{Covered, HoldSet};
use crate::model::schema::{Flags, Intent, Mark, Row};
use crate::platform::store::{Disposition, StoredObject, SubBatch};
use parking_lot::Mutex;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::Reason;
use std::collections::BTreeMap;
use std::mem::take;
use std::ops::Range;
use std::sync::Arc;

/// Most bytes of rows that are kept for a next batch: those of objects with keys of a kilobyte.
const MEMORY_MAX_BYTES: usize = 64 << 20;

/// Due objects of one class on their way through deletion together. The caller deletes the objects of
/// [`Batch::objects`] and hands the batch back with an outcome for each. One that is dropped is handed out again.
pub struct Batch {
    pub(crate) intent: Intent,
    pub(crate) class: Arc<Class>,
    pub(crate) epoch: u64,
    /// How often its objects have been handed over, this time included.
    attempt: u32,
    /// The rows, in the order of page and seq.
    pub(crate) rows: Vec<PlannedRow>,
    /// The bytes of all rows, one after the other.
    bytes: Vec<u8>,
    /// Of the rows, the ones the store is asked to delete.
    asked: Vec<u32>,
    /// What became of registrations after they were written, where anything did.
    pub(crate) marks: BTreeMap<RegistrationId, Mark>,
    /// Whether it was handed out and nobody has handed it back.
    is_out: bool,
    returns: Arc<BatchPool>,
}

/// What comes back of batches that are gone.
#[derive(Default)]
pub(crate) struct BatchPool {
    /// Those that whoever had them dropped.
    pub(crate) unanswered: Mutex<Vec<Unanswered>>,
    /// The memory that they had, for the next ones: memory that is fresh costs more than what is done in it.
    memory: Mutex<Vec<Memory>>,
}

impl BatchPool {
    /// Gives the memory back, where nothing more is due for now.
    pub(crate) fn forget_memory(&self) {
        self.memory.lock().clear();
    }
}

/// An intent that was handed over and not committed.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    pub(crate) intent: Intent,
    /// How often it was handed over, as far as this opening knows.
    pub(crate) attempts: u32,
}

/// Room for the rows of a batch.
#[derive(Default)]
struct Memory {
    rows: Vec<PlannedRow>,
    bytes: Vec<u8>,
    asked: Vec<u32>,
}

impl Drop for Batch {
    /// A batch that is lost on the way, in a panic perhaps, is handed out again.
    fn drop(&mut self) {
        if self.is_out {
            let unanswered = Unanswered { intent: self.intent.clone(), attempts: self.attempt };
            self.returns.unanswered.lock().push(unanswered);
        }
        let (rows, bytes, asked) = (take(&mut self.rows), take(&mut self.bytes), take(&mut self.asked));
        if bytes.capacity() <= MEMORY_MAX_BYTES {
            self.returns.memory.lock().push(Memory { rows, bytes, asked });
        }
    }
}

/// One row of a batch. There are tens of thousands, so it is small.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRow {
    /// Place of its page in the intent.
    pub(crate) page: u32,
    pub(crate) seq: u32,
    /// Where its bytes begin, and how many they are.
    begin: usize,
    length: u32,
    pub(crate) plan: Planned,
}

/// What planning found. Where several hold, the first of them counts: this is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// It lives on elsewhere already; its mark says where.
    Moved,
    /// A newer registration of its key took its place: the object there is not this one any more.
    Replaced,
    /// The host has deleted it itself.
    Released,
    /// A legal hold covers it: it is kept. One that was lifted keeps it for a moment, until its clock is restarted.
    Held { standing: bool },
    /// Its floor has not passed: it is kept.
    BeforeFloor,
    /// The store is asked to delete it.
    Delete,
}

/// An object that the store is to delete.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Its registration.
    pub id: RegistrationId,
    /// What it is stored under.
    pub key: &'a [u8],
    /// What the store recognises it by.
    pub version: &'a [u8],
    /// Its digest, or empty.
    pub digest: &'a [u8],
    /// Its size, [`sexton_proof::id::SIZE_UNKNOWN`] where not known.
    pub size_bytes: u64,
    /// Promised floor, [`sexton_proof::id::NO_FLOOR`] where there is none.
    pub floor_ms: i64,
    /// Promised ceiling, [`sexton_proof::id::NO_CEILING`] where there is none.
    pub ceiling_ms: i64,
}

impl Batch {
    /// One without rows yet.
    pub(crate) fn new(
        intent: Intent,
        class: Arc<Class>,
        epoch: u64,
        attempt: u32,
        returns: &Arc<BatchPool>,
    ) -> Batch {
        let Memory { mut rows, mut bytes, mut asked } = returns.memory.lock().pop().unwrap_or_default();
        rows.clear();
        bytes.clear();
        asked.clear();
        let (marks, returns) = (BTreeMap::new(), Arc::clone(returns));
        Batch { intent, class, epoch, attempt, rows, bytes, asked, marks, is_out: false, returns }
    }

    /// Adds a row: the next one in the order of page and seq, which `page` in the intent has.
    pub(crate) fn push(&mut self, page: u32, seq: u32, row: &[u8], plan: Planned) {
        // A batch has some ten thousand rows of at most 70 KB.
        let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        if plan == Planned::Delete {
            self.asked.push(short(self.rows.len()));
        }
        self.rows.push(PlannedRow { page, seq, begin: self.bytes.len(), length: short(row.len()), plan });
        self.bytes.extend_from_slice(row);
    }

    /// From here on whoever has it answers for it.
    pub(crate) fn handed_out(mut self) -> Batch {
        self.is_out = true;
        self
    }

    /// From here on the engine answers for it.
    pub(crate) fn handed_back(&mut self) {
        self.is_out = false;
    }

    /// The batch's number: the same when it comes again after a crash.
    pub fn number(&self) -> u64 {
        self.intent.batch
    }

    /// How often its objects have been handed over, this time included; after a crash at least 2.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether the store may have been asked for these objects before.
    pub(crate) fn is_again(&self) -> bool {
        self.attempt > 1
    }

    /// The fencing epoch: grows with every opening of the engine.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What is to be done with its objects.
    pub fn disposition(&self) -> Disposition {
        self.class.definition.disposition
    }

    /// The class all its objects fall under.
    pub fn class(&self) -> &str {
        &self.class.definition.name
    }

    /// How many objects are to be deleted.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Whether nothing is to be deleted; it is still to be handed back, without outcomes.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// The objects to be deleted, in the order in which outcomes are expected.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = Object<'_>> {
        self.objects_in(0..self.asked.len())
    }

    /// Iterates over the objects whose indices are in `range`. A range that ends behind the last object is empty.
    pub fn objects_in(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Object<'_>> {
        let asked = self.asked.get(range).unwrap_or_default();
        asked.iter().map(|&at| self.object(&self.rows[at as usize]))
    }

    /// Returns those of `indices` whose object a hold covers.
    pub(crate) fn held(&self, holds: &HoldSet, indices: &[usize]) -> Vec<usize> {
        if holds.iter().next().is_none() {
            return Vec::new();
        }
        let is_held = |index: &usize| {
            let row = self.row(&self.rows[self.asked[*index] as usize]);
            holds.covering(Covered::of(&self.class.definition.name, &row)).is_some()
        };
        indices.iter().copied().filter(is_held).collect()
    }

    /// Iterates over the objects to be deleted in slices of at most `max`, for a store
    /// ([`Store`](crate::store::Store)).
    pub fn sub_batches(&self, max: usize) -> impl Iterator<Item = BatchSlice<'_>> {
        self.asked.chunks(max.max(1)).map(|rows| BatchSlice { batch: self, rows })
    }

    pub(crate) fn row(&self, row: &PlannedRow) -> Row<'_> {
        // Decoded once already when it was planned, so this cannot fail; a row of nothing would stop the commit.
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
            version: row.version,
            digest: row.digest,
            size_bytes: row.size_bytes,
            floor_ms: row.floor_ms,
            ceiling_ms: row.ceiling_ms,
        }
    }
}

const EMPTY: Row<'static> = Row {
    cause: 0,
    attempts: 0,
    flags: Flags::NONE,
    reason: Reason::Due,
    start_ms: 0,
    floor_ms: 0,
    ceiling_ms: 0,
    size_bytes: 0,
    key: &[],
    version: &[],
    digest: &[],
    subject: &[],
};

/// Consecutive objects of a batch, which go to a store together.
pub struct BatchSlice<'a> {
    batch: &'a Batch,
    /// Indices of their rows in the batch.
    rows: &'a [u32],
}

impl BatchSlice<'_> {
    /// Number of objects.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns `true` if there are no objects.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Calls `delete` with these objects, and returns its result.
    pub fn with_sub_batch<T>(&self, delete: impl FnOnce(&SubBatch<'_>) -> T) -> T {
        let batch = self.batch;
        let object = |&at: &u32| {
            let row = batch.row(&batch.rows[at as usize]);
            StoredObject {
                key: row.key,
                version: row.version,
                digest: row.digest,
                size_bytes: row.size_bytes,
            }
        };
        let objects: Vec<StoredObject<'_>> = self.rows.iter().map(object).collect();
        delete(&SubBatch {
            batch: batch.number(),
            class: batch.class(),
            disposition: batch.disposition(),
            attempt: batch.attempt,
            epoch: batch.epoch,
            objects: &objects,
        })
    }
}
