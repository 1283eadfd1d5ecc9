//! Planner: chooses the due pages of a batch, makes its intent durable, and decides the treatment of every row.

use crate::governance::clock::{self, Deletable};
use crate::governance::{alarms, sweep};
use crate::model::alarm::AlarmCause;
use crate::model::class::Class;
use crate::model::hold::{HoldFacts, HoldSet};
use crate::model::schema::{self, Flags, Intent, Mark, PageRows, Row};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::state::batch::{Batch, Planned, Unanswered};
use crate::state::core::{Core, Planner};
use crate::state::page::DuePage;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::cmp;
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Limit on the pages of a batch. Its leaf has a line of at most 48 bytes for each, and must stay below 60,000 bytes.
pub const BATCH_PAGES_MAX: usize = 1_200;

/// Result of one step of planning.
pub(crate) enum Step {
    /// Batch that is due.
    Batch(Box<Batch>),
    /// A sweep advanced, and has more rows to scan before the rest can be planned.
    Sweeping,
    /// Nothing is due, or nothing may be deleted.
    Nothing,
}

/// Plans the next due batch: one that is handed out again, or the due pages of the class with the earliest ceiling. A
/// sweep under way first scans about `sweep_rows` rows.
///
/// [`Step::Nothing`] if nothing is due, if deleting is stopped and waits for an operator, or if as many batches are in flight as are
/// allowed. A due page then waits in its wheel; it is never dropped.
///
/// # Errors
/// `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
pub(crate) fn next_step(core: &Core, sweep_rows: u32) -> Result<Step> {
    core.check_writable()?;
    let mut planner = core.batches.planner.lock();
    let now = core.now(&*planner);
    take_back_dropped(core, &mut planner);
    let deletable = clock::allows(core, &mut planner, now)?;
    if deletable == Deletable::Nothing {
        core.batches.pool.free_buffers();
        return Ok(Step::Nothing);
    }
    if core.batches.in_flight.load(Ordering::SeqCst) >= core.limits.max_batches_in_flight {
        return Ok(Step::Nothing);
    }
    // Counted before it is planned: a thread that hands a batch back meanwhile leaves publishing to this one.
    core.batches.in_flight.fetch_add(1, Ordering::SeqCst);
    // Read before another thread can end a doubt: a sweep would have no time to correct the rows of this batch.
    let doubts_ended = core.governance.doubts.ended();
    let times = Times { now: now.now, for_floors: now.for_floors(), doubts_ended };
    let planned = next_intent(core, &mut planner, deletable, now.now, sweep_rows);
    if !matches!(planned, Ok(Next::Intent(..))) {
        core.batches.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
    drop(planner);
    Ok(match planned? {
        Next::Intent(intent, attempt) => Step::Batch(Box::new(hand_out(core, intent, attempt, times)?)),
        Next::Sweeping => Step::Sweeping,
        Next::Nothing => Step::Nothing,
    })
}

/// Step of planning before rows are read.
enum Next {
    /// Intent that is durable, and the number of times that it was handed out, this time included.
    Intent(Intent, u32),
    Sweeping,
    Nothing,
}

fn next_intent(
    core: &Core,
    planner: &mut Planner,
    deletable: Deletable,
    now: Timestamp,
    sweep_rows: u32,
) -> Result<Next> {
    // A class whose objects were absent waits, also with the batches that come again.
    let absent = alarms::absent_classes(core);
    let next = planner.unfinished.iter().position(|unanswered| !absent.contains(&unanswered.intent.class));
    if let Some(Unanswered { intent, attempts }) = next.and_then(|at| planner.unfinished.remove(at)) {
        // The intent is on disk already. A crash here loses nothing, because the next opening finds it again.
        return Ok(Next::Intent(intent, attempts.saturating_add(1)));
    }
    // The sweep advances first: if a request extended an object's time, the object must not be deleted at its earlier
    // time. Due batches get their turn after many rows only, so that few objects move twice.
    let sweeping = sweep::advance(core, planner, now, sweep_rows)?;
    planner.swept_rows = sweeping.map_or(0, |rows| planner.swept_rows.saturating_add(rows));
    if sweeping.is_some() && planner.swept_rows < core.limits.sweep_rows {
        return Ok(Next::Sweeping);
    }
    planner.swept_rows = 0;
    if let Some(pages) = choose_pages(core, planner, deletable, now)? {
        let class = pages[0].class;
        return record_intent(core, planner, class, &pages, now).map(|intent| Next::Intent(intent, 1));
    }
    if sweeping.is_some() {
        return Ok(Next::Sweeping);
    }
    core.batches.pool.free_buffers();
    Ok(Next::Nothing)
}

/// Takes back the batches that callers dropped, to be handed out again.
fn take_back_dropped(core: &Core, planner: &mut Planner) {
    for unanswered in core.batches.pool.unanswered.lock().drain(..) {
        tracing::warn!(
            batch = unanswered.intent.batch,
            "a batch was dropped and not handed back; it is handed out again"
        );
        core.batches.in_flight.fetch_sub(1, Ordering::SeqCst);
        planner.unfinished.push_back(unanswered);
    }
}

/// Reads the rows of an intent and hands the batch out.
fn hand_out(core: &Core, intent: Intent, attempt: u32, times: Times) -> Result<Batch> {
    // The planner's lock is free, so other threads plan meanwhile. No caller has the batch yet, so after a panic its pages
    // would stay in the batch for good. The guard poisons the engine instead.
    let _poison = core.writer.poison_on_panic();
    let batch = read_batch(core, intent, attempt, times);
    batch.map(Batch::handed_out).inspect_err(|error| {
        // No caller has the batch, so its pages would wait until reopening. Poisoning makes the failure visible.
        core.batches.in_flight.fetch_sub(1, Ordering::SeqCst);
        core.writer.poison(error);
    })
}

/// Shortest window over which the breaker counts objects at short notice.
const BREAKER_WINDOW_MIN: Duration = Duration::from_hours(1);

/// Returns the window over which the breaker counts objects of a class at short notice.
pub(crate) fn breaker_window(class: &Class) -> Duration {
    class.definition.slot.max(BREAKER_WINDOW_MIN)
}

/// Returns the due pages of the class with the earliest ceiling, earliest ceilings first, as many as a batch takes.
///
/// If the breaker allows fewer objects at short notice, raises an alarm and chooses pages without such objects.
fn choose_pages(
    core: &Core,
    planner: &mut Planner,
    deletable: Deletable,
    now: Timestamp,
) -> Result<Option<Vec<PageId>>> {
    loop {
        let due = due_pages(core, planner, deletable, now)?;
        let Some((class, due)) = due else { return Ok(None) };
        let pages = within_row_limit(core, &due);
        if pages.is_empty() {
            // Between the two passes of `due_pages`, every due page of the class left the due set.
            continue;
        }
        let short_notice: u64 = pages.iter().map(|page| u64::from(page.short_notice)).sum();
        if short_notice == 0 {
            return Ok(Some(ids(&pages)));
        }
        let name = &class.definition.name;
        let (live, waiting) = live_and_at_short_notice(core, name);
        let window = breaker_window(&class);
        match planner.breaker.check(name, short_notice, waiting, live, window, now) {
            Ok(()) => return Ok(Some(ids(&pages))),
            Err(why) => {
                let cause = AlarmCause::Breaker { class: name.clone() };
                alarms::raise(core, cause, why.to_string(), now)?;
            }
        }
    }
}

/// Returns the class whose due pages have the earliest ceiling, and those pages, earliest ceilings first, at most
/// [`BATCH_PAGES_MAX`].
///
/// While a sweep has pages to scan, those pages wait, because a request may extend the time of their objects. While it has
/// keys to look up, the classes that find by key wait. Pages at short notice wait as well, so that the breaker counts all of them before the first one goes. While the clock is behind,
/// pages of classes with a floor wait.
fn due_pages(
    core: &Core,
    planner: &Planner,
    deletable: Deletable,
    now: Timestamp,
) -> Result<Option<(Arc<Class>, Vec<DuePage>)>> {
    let tripped = alarms::tripped_classes(core);
    let has_floor = |class: &&Arc<Class>| deletable != Deletable::All && class.has_floor();
    let mut waiting = alarms::absent_classes(core);
    let sweep = planner.sweep.as_ref().filter(|sweep| sweep.has_more());
    let looks_up_keys = sweep.is_some_and(|sweep| !sweep.keys.is_empty());
    let waits = |class: &&Arc<Class>| has_floor(class) || looks_up_keys && class.finds_by_key();
    waiting.extend(core.classes.read().iter().filter(waits).map(|class| class.id));
    let unscanned: HashSet<PageId> = sweep.iter().flat_map(|sweep| sweep.todo.iter().copied()).collect();
    let is_stopped = |page: &DuePage| sweep.is_some() || tripped.contains(&page.page.class);
    let may_go = |page: &DuePage| {
        let waits = unscanned.contains(&page.page) || waiting.contains(&page.page.class);
        !(waits || page.short_notice > 0 && is_stopped(page))
    };
    let by_ceiling = |page: &DuePage| (page.earliest_ceiling, page.page);
    let mut first: Option<DuePage> = None;
    core.schedule.each_due(now, BATCH_PAGES_MAX, None, &may_go, &mut |page| {
        first = Some(first.map_or(page, |first| cmp::min_by_key(first, page, by_ceiling)));
    });
    let Some(first) = first else { return Ok(None) };
    let class = core.classes.get(first.page.class)?;
    let mut due = Vec::new();
    core.schedule.each_due(now, BATCH_PAGES_MAX, Some(class.id), &may_go, &mut |page| due.push(page));
    if due.len() > BATCH_PAGES_MAX {
        due.select_nth_unstable_by_key(BATCH_PAGES_MAX, by_ceiling);
        due.truncate(BATCH_PAGES_MAX);
    }
    due.sort_unstable_by_key(by_ceiling);
    Ok(Some((class, due)))
}

fn ids(pages: &[DuePage]) -> Vec<PageId> {
    pages.iter().map(|page| page.page).collect()
}

/// Returns the number of live objects of all versions of a class, and of those the number at short notice.
fn live_and_at_short_notice(core: &Core, class: &str) -> (u64, u64) {
    let versions = core.classes.read().versions_of(class);
    let (mut live, mut short_notice) = (0, 0);
    core.schedule.each_page(&mut |id, page| {
        if versions.contains(&id.class) && page.is_movable() {
            live += u64::from(page.live());
            short_notice += u64::from(page.live_at_short_notice());
        }
    });
    (live, short_notice)
}

/// Assigns the pages to a batch and makes its intent durable.
///
/// A crash before the intent is durable loses nothing, because the store has no request yet: the pages are unchanged. A
/// crash after it loses nothing, because the next opening finds the intent and hands the same objects out again.
fn record_intent(
    core: &Core,
    planner: &mut Planner,
    class: u32,
    pages: &[PageId],
    now: Timestamp,
) -> Result<Intent> {
    let mut taken = core.schedule.take(pages);
    taken.sort_unstable_by_key(|page| page.page);
    let intent = Intent { batch: planner.last_batch + 1, class, started: now, pages: taken, to: Vec::new() };
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, &schema::intent_key(intent.batch), &intent.encode());
    set.put(ColumnFamily::Meta, schema::BATCH, &schema::encode_number(intent.batch));
    // This fsync also makes durable every row of these pages that was buffered until now.
    core.writer.write_durably(set)?;
    planner.last_batch = intent.batch;
    Ok(intent)
}

/// Returns as many of the pages, from the front, as the limits of a batch allow: at least one, if there is any.
fn within_row_limit(core: &Core, pages: &[DuePage]) -> Vec<DuePage> {
    let mut rows = 0_u32;
    let fits = |page: &&DuePage| {
        let first = rows == 0;
        rows = rows.saturating_add(page.rows);
        first || rows <= core.limits.batch_objects
    };
    pages.iter().take(BATCH_PAGES_MAX).take_while(fits).copied().collect()
}

/// Instants by which due rows are decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Trusted time.
    pub(crate) now: Timestamp,
    /// Instant by which floors are judged, no later than `now`.
    pub(crate) for_floors: Timestamp,
    /// Number of the last doubt about the clock that had ended at `now`.
    pub(crate) doubts_ended: u32,
}

impl Times {
    /// Returns the instants while the clock agrees.
    pub(crate) fn at(now: Timestamp, doubts_ended: u32) -> Times {
        Times { now, for_floors: now, doubts_ended }
    }

    /// Returns `true` if the start of a row was read from a clock that is still in doubt. Its true start may be later.
    fn doubts_start_of(&self, row: &Row<'_>) -> bool {
        let is_open = row.doubt.is_some_and(|doubt| doubt.number > self.doubts_ended);
        is_open && row.flags.has(Flags::CLOCKED)
    }
}

/// Reads the rows of an intent, and decides what happens to each of them now.
pub(crate) fn read_batch(core: &Core, intent: Intent, attempt: u32, times: Times) -> Result<Batch> {
    let class = core.classes.get(intent.class)?;
    let mut batch = Batch::new(intent, class, core.identity.epoch, attempt, &core.batches.pool);
    let marks = marks_of_batch(core, &batch)?;
    // One set of holds for the whole batch. A hold placed before this line keeps its objects.
    let holds = core.governance.holds.read();
    read_rows(core, &mut batch, &DecisionInputs { marks: &marks, holds: &holds, times })?;
    drop(holds);
    batch.marks = marks;
    Ok(batch)
}

/// Facts that decide what happens to the rows of a batch, beside the rows themselves.
pub(crate) struct DecisionInputs<'a> {
    pub(crate) marks: &'a BTreeMap<RegistrationId, Mark>,
    pub(crate) holds: &'a HoldSet,
    pub(crate) times: Times,
}

/// Reads the rows of all pages in one pass. Most pages are adjacent, and to find a page of few rows costs more than to
/// read it.
fn read_rows(core: &Core, batch: &mut Batch, inputs: &DecisionInputs<'_>) -> Result<()> {
    let class = Arc::clone(&batch.class);
    let ranges: Vec<_> = batch.intent.pages.iter().map(|page| schema::page_row_range(page.page)).collect();
    let mut found = vec![0_u32; ranges.len()];
    kv::try_scan_each(&*core.kv, ColumnFamily::Rows(class.id), &ranges, |ordinal, key, value| {
        let (page, expected) = (batch.intent.pages[ordinal].page, &mut found[ordinal]);
        let id = expect_seq(page, ordinal, *expected, key)?;
        let plan = decide(&class.definition.name, id, &Row::decode(value)?, inputs);
        batch.push(u32::try_from(ordinal).unwrap_or(u32::MAX), *expected, value, plan);
        *expected += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    match batch.intent.pages.iter().zip(found).find(|(page, found)| page.rows != *found) {
        None => Ok(()),
        Some((PageRows { page, rows }, found)) => Err(Error::corrupt(format!(
            "page {page} has {found} rows in the index and {rows} by the wheel; run the full check"
        ))),
    }
}

/// Returns the id of a row, which has to be the one with seq `expected` of its page.
fn expect_seq(page: PageId, ordinal: usize, expected: u32, key: &[u8]) -> Result<RegistrationId> {
    let id = schema::parse_row_key(page.class, key)?;
    if id == (RegistrationId { page, seq: expected }) {
        return Ok(id);
    }
    Err(Error::corrupt(format!(
        "page {ordinal} of the batch lacks seq {expected}: found {id}; run the full check"
    )))
}

/// Decides what happens to a due row. The order of the cases is the order of precedence.
pub(crate) fn decide(class: &str, id: RegistrationId, row: &Row<'_>, inputs: &DecisionInputs<'_>) -> Planned {
    let hold = || inputs.holds.covering(HoldFacts::of(class, id.page.slot, row));
    // A slot begins after the start of everything due in it, so this needs a clock that was wrong. No receipt could show
    // such an end.
    let is_doubted = inputs.times.doubts_start_of(row);
    let has_begun = row.end_reason() != Reason::Due || (row.start <= inputs.times.now && !is_doubted);
    match inputs.marks.get(&id) {
        Some(Mark::Moved { .. }) => Planned::Moved,
        Some(Mark::Replaced) if !has_begun => Planned::BeforeFloor,
        Some(Mark::Replaced) => Planned::Replaced,
        None if row.flags.has(Flags::RELEASED) => Planned::Released,
        None if let Some(hold) = hold() => Planned::Held { standing: hold.stands() },
        None if !has_begun => Planned::BeforeFloor,
        // A slot begins at or after every floor in it, so this case needs a clock that was wrong.
        None if row.floor.is_some_and(|floor| is_doubted || floor > inputs.times.for_floors) => {
            Planned::BeforeFloor
        }
        None => Planned::Delete,
    }
}

/// Returns the marks of the batch's registrations, from the pages that have any. It scans once for each run of adjacent
/// slots, because a scan for each page would cost more than its few rows.
fn marks_of_batch(core: &Core, batch: &Batch) -> Result<BTreeMap<RegistrationId, Mark>> {
    let pages = core.schedule.marked(batch.intent.pages.iter().map(|rows| rows.page));
    let slot_ms = batch.class.slot_ms;
    let mut marks = BTreeMap::new();
    for run in pages.chunk_by(|a, b| b.slot - a.slot <= slot_ms) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let (from, to) =
            (schema::page_registration_range(*first).start, schema::page_registration_range(*last).end);
        kv::try_scan(&*core.kv, ColumnFamily::Marks, &(from..to), |key, value| {
            let id = schema::parse_mark_key(key)?;
            if pages.binary_search(&id.page).is_ok() {
                marks.insert(id, Mark::decode(value)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(marks)
}
