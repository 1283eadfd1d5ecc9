//! Planning: due pages are closed, an intent is made durable, and the truth of every row is read again.

use crate::alarm::AlarmCause;
use crate::alarms;
use crate::class::Class;
use crate::core::{Core, Planner, Unanswered};
use crate::error::{Error, Result};
use crate::guard::Trusted;
use crate::hold::{Covered, HoldSet};
use crate::index::DuePage;
use crate::kv::{self, Family, WriteSet};
use crate::place;
use crate::schema::{self, Arrivals, Flags, Intent, Mark, PageRows, Row};
use crate::store::{Disposition, Request, SubBatch};
use crate::sweep;
use parking_lot::Mutex;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::{Cause, Reason};
use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pages of a batch: its leaf has a line of at most 48 bytes for each and must stay below 60,000 bytes.
pub(crate) const BATCH_PAGES_MAX: usize = 1_200;

/// Due objects of one class on their way through deletion together. The caller deletes the objects of
/// [`Batch::objects`] and hands the batch back with an outcome for each. One that is dropped is handed out again.
pub struct Batch {
    pub(crate) intent: Intent,
    pub(crate) class: Arc<Class>,
    pub(crate) epoch: u64,
    /// How often its objects have been handed over, this time included.
    attempt: u32,
    /// The bytes of all rows, one after the other.
    pub(crate) bytes: Vec<u8>,
    /// The rows, in the order of page and seq.
    pub(crate) rows: Vec<PlannedRow>,
    /// Of those, the ones the store is asked to delete.
    asked: Vec<u32>,
    /// Where its intent goes if nobody hands it back.
    dropped: Option<Arc<Mutex<Vec<Unanswered>>>>,
}

impl Drop for Batch {
    /// A batch that is lost on the way, in a panic perhaps, is handed out again.
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            dropped.lock().push(Unanswered { intent: self.intent.clone(), attempts: self.attempt });
        }
    }
}

/// One row of a batch.
#[derive(Clone, Debug)]
pub(crate) struct PlannedRow {
    /// Place of its page in the intent.
    pub(crate) page: u32,
    pub(crate) seq: u32,
    pub(crate) bytes: Range<usize>,
    pub(crate) plan: Planned,
}

/// What planning found. Where several hold, the first of them counts: this is the precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planned {
    /// It lives on elsewhere already.
    Moved { cause: Cause, to: RegistrationId },
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
    /// From here on the engine answers for it.
    pub(crate) fn handed_back(&mut self) {
        self.dropped = None;
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
        self.some_objects(0..self.asked.len())
    }

    /// Those of them whose places lie in `range`, which ends where they do.
    pub fn some_objects(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Object<'_>> {
        let asked = self.asked.get(range).unwrap_or_default();
        asked.iter().map(|&at| self.object(&self.rows[at as usize]))
    }

    /// Those of the objects at `places` that a hold covers now.
    pub(crate) fn held(&self, holds: &HoldSet, places: &[usize]) -> Vec<usize> {
        if holds.iter().next().is_none() {
            return Vec::new();
        }
        let is_held = |place: &usize| {
            let row = self.row(&self.rows[self.asked[*place] as usize]);
            holds.covering(Covered::of(&self.class.definition.name, &row)).is_some()
        };
        places.iter().copied().filter(is_held).collect()
    }

    /// The same in parts of at most `max` objects, as a [`crate::store::Store`] takes them.
    pub fn parts(&self, max: usize) -> impl Iterator<Item = Part<'_>> {
        self.asked.chunks(max.max(1)).map(|part| Part { batch: self, part })
    }

    pub(crate) fn row(&self, row: &PlannedRow) -> Row<'_> {
        // Decoded once already when it was planned, so this cannot fail; a row of nothing would stop the commit.
        Row::decode(&self.bytes[row.bytes.clone()]).unwrap_or(EMPTY)
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

/// Some objects of a batch, to be handed to a store together.
pub struct Part<'a> {
    batch: &'a Batch,
    part: &'a [u32],
}

impl Part<'_> {
    /// How many objects.
    pub fn len(&self) -> usize {
        self.part.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.part.is_empty()
    }

    /// Calls `delete` with the request for these objects.
    pub fn request<T>(&self, delete: impl FnOnce(&SubBatch<'_>) -> T) -> T {
        let batch = self.batch;
        let request = |&at: &u32| {
            let row = batch.row(&batch.rows[at as usize]);
            Request { key: row.key, version: row.version, digest: row.digest, size_bytes: row.size_bytes }
        };
        let objects: Vec<Request<'_>> = self.part.iter().map(request).collect();
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

/// The next batch that is due: one left over by an earlier opening, else the due pages of the class whose ceiling is
/// nearest. `None` where nothing is due, where deleting stopped and waits for a person, or where as many batches are out
/// as may be: a due page then waits in its wheel and is never dropped.
pub(crate) fn next_batch(core: &Core, now: Trusted, stepped: bool) -> Result<Option<Batch>> {
    core.check_writable()?;
    let mut planner = core.planner.lock();
    take_back_dropped(core, &mut planner);
    if !alarms::clock_allows(core, &mut planner.clock_recorded_ms, now, stepped)? {
        return Ok(None);
    }
    let now_ms = now.now_ms;
    if core.in_flight.load(Ordering::SeqCst) >= core.limits.batches_in_flight {
        return Ok(None);
    }
    if let Some(Unanswered { intent, attempts }) = planner.unfinished.pop_front() {
        // The intent is on disk already, so nothing needs to be written: a crash here finds it again.
        core.in_flight.fetch_add(1, Ordering::SeqCst);
        drop(planner);
        return hand_out(core, intent, attempts.saturating_add(1), now_ms).map(Some);
    }
    loop {
        // First what people asked for, a part at a time: an extended object must not go on its earlier time.
        let sweeping = sweep::advance(core, &mut planner, now_ms)?;
        if let Some(pages) = choose(core, &mut planner, now_ms)? {
            let class = pages[0].class;
            let intent = intend(core, &mut planner, class, &pages, now_ms)?;
            core.in_flight.fetch_add(1, Ordering::SeqCst);
            drop(planner);
            return hand_out(core, intent, 1, now_ms).map(Some);
        }
        if !sweeping {
            return Ok(None);
        }
    }
}

fn take_back_dropped(core: &Core, planner: &mut Planner) {
    for unanswered in core.dropped.lock().drain(..) {
        tracing::warn!(
            batch = unanswered.intent.batch,
            "a batch was dropped and not handed back; it is handed out again"
        );
        core.in_flight.fetch_sub(1, Ordering::SeqCst);
        planner.unfinished.push_back(unanswered);
    }
}

fn hand_out(core: &Core, intent: Intent, attempt: u32, now_ms: i64) -> Result<Batch> {
    let batch = read(core, intent, attempt, now_ms).map(|mut batch| {
        batch.dropped = Some(Arc::clone(&core.dropped));
        batch
    });
    batch.inspect_err(|error| {
        // Its pages are taken and nobody will hand them back: stop loudly rather than forget them until reopened.
        core.in_flight.fetch_sub(1, Ordering::SeqCst);
        core.writer.poison(error);
    })
}

/// Shortest window over which surprises are counted, ms.
const BREAKER_WINDOW_MIN_MS: i64 = 3_600_000;

/// The due pages of the class with the earliest ceiling, earliest ceilings first, as many as a batch takes. Where more
/// of them came as a surprise than may, an alarm is raised and those without surprises are chosen.
fn choose(core: &Core, planner: &mut Planner, now_ms: i64) -> Result<Option<Vec<PageId>>> {
    loop {
        let tripped = alarms::tripped(core);
        // While a sweep has more to look at, what it has not looked at waits, and so do surprises: all of them count
        // before the first goes.
        let sought = planner.sweep.as_ref().filter(|sweep| !sweep.todo.is_empty());
        let unseen: HashSet<PageId> = sought.iter().flat_map(|sweep| sweep.todo.iter().copied()).collect();
        let mut due = core.index.due(now_ms, BATCH_PAGES_MAX, &tripped);
        due.retain(|page| !unseen.contains(&page.page) && (sought.is_none() || page.surprises == 0));
        due.sort_unstable_by_key(|page| (page.earliest_ceiling_ms, page.page));
        let Some(first) = due.first() else { return Ok(None) };
        let class = core.class(first.page.class)?;
        due.retain(|page| page.page.class == class.id);
        let pages = within_row_limit(core, &due);
        let surprises: u64 = pages.iter().map(|page| u64::from(page.surprises)).sum();
        if surprises == 0 {
            return Ok(Some(ids(&pages)));
        }
        let (live, waiting) = live_and_surprises(core, &class.definition.name);
        let slot_ms = i64::try_from(class.definition.slot_ms).unwrap_or(i64::MAX);
        let window_ms = slot_ms.max(BREAKER_WINDOW_MIN_MS);
        match planner.breaker.check(&class.definition.name, surprises, waiting, live, window_ms, now_ms) {
            Ok(()) => return Ok(Some(ids(&pages))),
            Err(why) => {
                let cause = AlarmCause::Breaker { class: class.definition.name.clone() };
                alarms::raise(core, cause, why.to_string(), now_ms)?;
            }
        }
    }
}

fn ids(pages: &[DuePage]) -> Vec<PageId> {
    pages.iter().map(|page| page.page).collect()
}

/// What lives in all versions of a class, and of that, what came as a surprise.
fn live_and_surprises(core: &Core, class: &str) -> (u64, u64) {
    let versions = alarms::ids_of(core, class);
    let (mut live, mut surprises) = (0, 0);
    core.index.each_page(&mut |id, page| {
        if versions.contains(&id.class) && page.is_settled_in() {
            live += u64::from(page.live());
            surprises += u64::from(page.surprising());
        }
    });
    (live, surprises)
}

/// Closes the pages and makes the intent durable. A crash before the intent is durable leaves the pages as they
/// were, and nothing was handed over; a crash after it finds the intent and hands the same objects over again.
fn intend(core: &Core, planner: &mut Planner, class: u32, pages: &[PageId], now_ms: i64) -> Result<Intent> {
    let mut taken = core.index.take(pages);
    taken.sort_unstable_by_key(|page| page.page);
    let intent =
        Intent { batch: planner.last_batch + 1, class, started_ms: now_ms, pages: taken, to: Vec::new() };
    let mut set = WriteSet::default();
    set.put(Family::Meta, &schema::intent_key(intent.batch), &intent.encode());
    set.put(Family::Meta, schema::BATCH, &intent.batch.to_be_bytes());
    // This fsync also makes durable every row of these pages that still waited for its own.
    core.writer.write_durably(set)?;
    planner.last_batch = intent.batch;
    Ok(intent)
}

/// As many of the pages, from the front, as keep the batch within its rows and its leaf; at least one.
fn within_row_limit(core: &Core, pages: &[DuePage]) -> Vec<DuePage> {
    let mut rows = 0_u32;
    let fits = |page: &&DuePage| {
        let first = rows == 0;
        rows = rows.saturating_add(page.rows);
        first || rows <= core.limits.batch_rows
    };
    pages.iter().take(BATCH_PAGES_MAX).take_while(fits).copied().collect()
}

/// Reads the rows of an intent and what became of them since they were written.
pub(crate) fn read(core: &Core, intent: Intent, attempt: u32, now_ms: i64) -> Result<Batch> {
    let class = core.class(intent.class)?;
    let total: u64 = intent.pages.iter().map(|page| u64::from(page.rows)).sum();
    let rows = Vec::with_capacity(usize::try_from(total).unwrap_or(0));
    let mut batch = Batch {
        intent,
        class,
        epoch: core.epoch,
        attempt,
        bytes: Vec::new(),
        rows,
        asked: Vec::new(),
        dropped: None,
    };
    let marks = marks(core, &batch)?;
    // One set of holds for the whole batch: what was placed before this line is kept.
    let holds = core.holds.read();
    read_rows(core, &mut batch, &Truth { marks: &marks, holds: &holds, now_ms })?;
    drop(holds);
    let asked = |(at, row): (usize, &PlannedRow)| {
        (row.plan == Planned::Delete).then(|| u32::try_from(at).unwrap_or(u32::MAX))
    };
    batch.asked = batch.rows.iter().enumerate().filter_map(asked).collect();
    Ok(batch)
}

/// What is true of the rows when they are planned.
pub(crate) struct Truth<'a> {
    pub(crate) marks: &'a BTreeMap<RegistrationId, Mark>,
    pub(crate) holds: &'a HoldSet,
    pub(crate) now_ms: i64,
}

/// Reads the rows of all pages in one pass: most pages lie side by side, and where they have few rows, finding each
/// would cost more than reading it.
fn read_rows(core: &Core, batch: &mut Batch, truth: &Truth<'_>) -> Result<()> {
    let class = Arc::clone(&batch.class);
    let ranges: Vec<_> = batch.intent.pages.iter().map(|page| schema::page_rows(page.page)).collect();
    let mut found = vec![0_u32; ranges.len()];
    let mut failure = None;
    core.kv.scan_each(Family::Rows(class.id), &ranges, &mut |ordinal, key, value| {
        let (page, expected) = (batch.intent.pages[ordinal].page, &mut found[ordinal]);
        match numbered(page, ordinal, *expected, key)
            .and_then(|id| Ok(planned(&class.definition.name, id, &Row::decode(value)?, truth)))
        {
            Ok(plan) => {
                let begin = batch.bytes.len();
                batch.bytes.extend_from_slice(value);
                let page = u32::try_from(ordinal).unwrap_or(u32::MAX);
                let bytes = begin..batch.bytes.len();
                batch.rows.push(PlannedRow { page, seq: *expected, bytes, plan });
                *expected += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failure.map_or(Ok(()), Err)?;
    match batch.intent.pages.iter().zip(found).find(|(page, found)| page.rows != *found) {
        None => Ok(()),
        Some((PageRows { page, rows }, found)) => Err(Error::corrupt(format!(
            "page {page} has {found} rows in the index and {rows} by the wheel; run the full check"
        ))),
    }
}

fn numbered(page: PageId, ordinal: usize, expected: u32, key: &[u8]) -> Result<RegistrationId> {
    let id = schema::row_id(page.class, key)?;
    if id == (RegistrationId { page, seq: expected }) {
        return Ok(id);
    }
    Err(Error::corrupt(format!(
        "page {ordinal} of the batch lacks seq {expected}: found {id}; run the full check"
    )))
}

/// What becomes of a row whose time has come.
pub(crate) fn planned(class: &str, id: RegistrationId, row: &Row<'_>, truth: &Truth<'_>) -> Planned {
    let hold = || truth.holds.covering(Covered::of(class, row));
    match truth.marks.get(&id) {
        Some(Mark::Moved { cause, to }) => Planned::Moved { cause: *cause, to: *to },
        Some(Mark::Replaced) => Planned::Replaced,
        None if row.flags.has(Flags::RELEASED) => Planned::Released,
        None if let Some(hold) = hold() => Planned::Held { standing: hold.stands() },
        // The slot begins after every floor in it, so this never happens while the clock is right.
        None if row.floor_ms > truth.now_ms => Planned::BeforeFloor,
        None => Planned::Delete,
    }
}

/// The marks of the batch's registrations: one scan for each run of neighbouring slots, where one for each page would
/// cost more than its few rows. Only pages that have any are looked at.
fn marks(core: &Core, batch: &Batch) -> Result<BTreeMap<RegistrationId, Mark>> {
    let pages = batch.intent.pages.iter().map(|page| page.page);
    let pages: Vec<PageId> = pages.filter(|page| core.index.is_marked(*page)).collect();
    let slot_ms = batch.class.definition.slot_ms;
    let mut marks = BTreeMap::new();
    for run in pages.chunk_by(|a, b| b.slot - a.slot <= slot_ms) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (from, to) = (schema::page_registrations(*first).start, schema::page_registrations(*last).end);
        kv::try_scan(&*core.kv, Family::Marks, &(from..to), |key, value| {
            let id = schema::mark_id(key)?;
            if pages.binary_search(&id.page).is_ok() {
                marks.insert(id, Mark::decode(value)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(marks)
}

/// Whether a newer registration replaced this one.
pub(crate) fn is_replaced(core: &Core, id: RegistrationId) -> Result<bool> {
    Ok(place::mark(core, id)? == Some(Mark::Replaced))
}

/// The instants at which a failed deletion is tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first_ms: i64,
    pub(crate) max_ms: i64,
}

impl Backoff {
    /// One second, doubling to an hour.
    pub(crate) const DEFAULT: Backoff = Backoff { first_ms: 1_000, max_ms: 3_600_000 };

    /// The slot for the next attempt after `attempts` that failed, the last at `now_ms`: a whole second.
    pub(crate) fn slot(self, attempts: u8, now_ms: i64) -> u64 {
        let doubled = self.first_ms.saturating_mul(1 << attempts.saturating_sub(1).min(30));
        let at = now_ms.saturating_add(doubled.min(self.max_ms));
        u64::try_from(at).unwrap_or(0).div_ceil(1_000) * 1_000
    }
}

/// Rows that go on living, by the slot and shard they go to, what holds keep apart from the rest.
pub(crate) type CarryGroups = BTreeMap<(u64, u16, Arrivals), Vec<usize>>;
