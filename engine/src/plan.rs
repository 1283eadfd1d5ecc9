//! Planning: due pages are closed, an intent is made durable, and the truth of every row is read again.

use crate::alarm::AlarmCause;
use crate::alarms;
use crate::batch::{Batch, Planned, Unanswered};
use crate::core::{Core, Planner};
use crate::error::{Error, Result};
use crate::guard::Trusted;
use crate::hold::{Covered, HoldSet};
use crate::index::DuePage;
use crate::kv::{self, Family, WriteSet};
use crate::place;
use crate::schema::{self, Flags, Intent, Mark, PageRows, Row};
use crate::sweep;
use sexton_proof::id::{PageId, RegistrationId};
use std::cmp;
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Pages of a batch: its leaf has a line of at most 48 bytes for each and must stay below 60,000 bytes.
pub const BATCH_PAGES_MAX: usize = 1_200;

/// The next batch that is due: one left over by an earlier opening, else the due pages of the class whose ceiling is
/// nearest. `None` where nothing is due, where deleting stopped and waits for a person, or where as many batches are out
/// as may be: a due page then waits in its wheel and is never dropped.
pub(crate) fn next_batch(core: &Core, now: Trusted, stepped: bool) -> Result<Option<Batch>> {
    core.check_writable()?;
    let mut planner = core.planner.lock();
    take_back_dropped(core, &mut planner);
    if !alarms::clock_allows(core, &mut planner.clock_recorded_ms, now, stepped)? {
        core.returns.forget_memory();
        return Ok(None);
    }
    let now_ms = now.now_ms;
    if core.in_flight.load(Ordering::SeqCst) >= core.limits.batches_in_flight {
        return Ok(None);
    }
    // Counted before it is planned: whoever hands a batch back meanwhile knows that another one comes.
    core.in_flight.fetch_add(1, Ordering::SeqCst);
    let planned = plan(core, &mut planner, now_ms);
    if !matches!(planned, Ok(Some(_))) {
        core.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    drop(planner);
    planned?.map(|(intent, attempt)| hand_out(core, intent, attempt, now_ms)).transpose()
}

/// An intent that is durable, and how often it is handed over with this time.
fn plan(core: &Core, planner: &mut Planner, now_ms: i64) -> Result<Option<(Intent, u32)>> {
    if let Some(Unanswered { intent, attempts }) = planner.unfinished.pop_front() {
        // The intent is on disk already, so nothing needs to be written: a crash here finds it again.
        return Ok(Some((intent, attempts.saturating_add(1))));
    }
    loop {
        // First what people asked for, a part at a time: an extended object must not go on its earlier time.
        let sweeping = sweep::advance(core, planner, now_ms)?;
        if let Some(pages) = choose(core, planner, now_ms)? {
            let class = pages[0].class;
            return intend(core, planner, class, &pages, now_ms).map(|intent| Some((intent, 1)));
        }
        if !sweeping {
            core.returns.forget_memory();
            return Ok(None);
        }
    }
}

fn take_back_dropped(core: &Core, planner: &mut Planner) {
    for unanswered in core.returns.unanswered.lock().drain(..) {
        tracing::warn!(
            batch = unanswered.intent.batch,
            "a batch was dropped and not handed back; it is handed out again"
        );
        core.in_flight.fetch_sub(1, Ordering::SeqCst);
        planner.unfinished.push_back(unanswered);
    }
}

fn hand_out(core: &Core, intent: Intent, attempt: u32, now_ms: i64) -> Result<Batch> {
    // Without the lock others plan meanwhile; a batch that is lost here is nobody's.
    let _stops = core.writer.stops_on_panic();
    let batch = read(core, intent, attempt, now_ms);
    batch.map(Batch::handed_out).inspect_err(|error| {
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
        let waits = |page: &DuePage| sought.is_some() || tripped.contains(&page.page.class);
        let may_go = |page: &DuePage| !(unseen.contains(&page.page) || page.surprises > 0 && waits(page));
        let by_ceiling = |page: &DuePage| (page.earliest_ceiling_ms, page.page);
        let mut first: Option<DuePage> = None;
        core.index.each_due(now_ms, BATCH_PAGES_MAX, None, &may_go, &mut |page| {
            first = Some(first.map_or(page, |first| cmp::min_by_key(first, page, by_ceiling)));
        });
        let Some(first) = first else { return Ok(None) };
        let class = core.class(first.page.class)?;
        let mut due = Vec::new();
        core.index.each_due(now_ms, BATCH_PAGES_MAX, Some(class.id), &may_go, &mut |page| due.push(page));
        if due.len() > BATCH_PAGES_MAX {
            due.select_nth_unstable_by_key(BATCH_PAGES_MAX, by_ceiling);
            due.truncate(BATCH_PAGES_MAX);
        }
        due.sort_unstable_by_key(by_ceiling);
        let pages = within_row_limit(core, &due);
        if pages.is_empty() {
            // All of them came to wait for something meanwhile.
            continue;
        }
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
    let mut batch = Batch::new(intent, class, core.epoch, attempt, &core.returns);
    let marks = marks(core, &batch)?;
    // One set of holds for the whole batch: what was placed before this line is kept.
    let holds = core.holds.read();
    read_rows(core, &mut batch, &Truth { marks: &marks, holds: &holds, now_ms })?;
    drop(holds);
    batch.marks = marks;
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
                batch.push(u32::try_from(ordinal).unwrap_or(u32::MAX), *expected, value, plan);
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
        Some(Mark::Moved { .. }) => Planned::Moved,
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
    let pages = core.index.marked(&batch.intent.pages);
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
