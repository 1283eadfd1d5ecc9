//! Loading: reads the state of an engine back from its index.

use crate::engine::options::Options;
use crate::model::alarm::{Alarm, AlarmCause};
use crate::model::breaker::Breaker;
use crate::model::class::Class;
use crate::model::guard_limits::StoredLimits;
use crate::model::hold::HoldSet;
use crate::model::schema::{
    self, Arrivals, ClassRecord, Counts, FormerLog, Intent, Mark, PageRecord, RegisteredTotals, Shape,
};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{self, ColumnFamily, Kv, Order, collect};
use crate::state::batch::Unanswered;
use crate::state::classes::Classes;
use crate::state::core::{Governance, Planner};
use crate::state::doubts::Doubts;
use crate::state::locator;
use crate::state::log::{self, Log};
use crate::state::page::{PAGE_ROWS_MAX, Page, PageState};
use crate::state::schedule::Schedule;
use serde::de::DeserializeOwned;
use sexton_proof::id::{ClassId, PageId};
use sexton_proof::leaf::Leaf;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Reads the shape of the engine. `None` if the index is new.
pub(crate) fn shape(kv: &dyn Kv) -> Result<Option<Shape>> {
    kv.get(ColumnFamily::Meta, schema::SHAPE)?.map(|bytes| Shape::decode(&bytes)).transpose()
}

/// Reads the former logs, the shortest first.
pub(crate) fn formers(kv: &dyn Kv) -> Result<Vec<FormerLog>> {
    let range = schema::prefix_range(schema::FORMERS);
    collect(kv, ColumnFamily::Meta, &range, |_, value| FormerLog::decode(value))
}

/// Reads the log and checks its root against the stored hashes.
pub(crate) fn log(kv: &dyn Kv) -> Result<Log> {
    let log = Log::load(kv)?;
    if log::root_at(kv, log.size())? != log.root() {
        return Err(Error::corrupt(
            "the log's hashes contradict its root; see Backups in docs/operations.md",
        ));
    }
    Ok(log)
}

/// Reads all class versions, and the counts of ended objects by class version.
pub(crate) fn classes(kv: &dyn Kv) -> Result<(Classes, BTreeMap<ClassId, Counts>)> {
    let records = collect(kv, ColumnFamily::Meta, &schema::prefix_range(schema::CLASSES), |_, value| {
        ClassRecord::decode(value)
    })?;
    let mut classes = Classes::default();
    let mut counts = BTreeMap::new();
    for record in records {
        let bytes = log::entry(kv, record.leaf)?;
        let Ok(Leaf::Class(leaf)) = Leaf::parse(&bytes) else {
            return Err(Error::corrupt(format!("log entry {} does not define a class", record.leaf)));
        };
        if let Some(stored) = kv.get(ColumnFamily::Meta, &schema::counts_key(leaf.id))? {
            counts.insert(leaf.id, Counts::decode(&stored)?);
        }
        classes.add(Arc::new(Class::new(&leaf, record.leaf, bytes, record.local)?));
    }
    let closed = schema::prefix_range(schema::CLOSED);
    let closed = collect(kv, ColumnFamily::Meta, &closed, |key, _| schema::closed_name(key))?;
    classes.close(&closed);
    Ok((classes, counts))
}

/// Reads holds, requests and alarms.
pub(crate) fn governance(kv: &dyn Kv) -> Result<Governance> {
    let mut holds = HoldSet::default();
    for hold in records(kv, schema::HOLDS, "a hold")? {
        holds.insert(hold);
    }
    let requests = records(kv, schema::REQUESTS, "a request")?;
    let last_request = number(kv, schema::REQUEST, "the last request")?;
    let alarms = records(kv, schema::ALARMS, "an alarm")?;
    let [last_request, era, doubt, ended] = [
        last_request,
        number(kv, schema::ERA, "the number of times that time was taken back")?,
        number(kv, schema::DOUBT, "the last doubt about the clock")?,
        number(kv, schema::DOUBT_ENDED, "the last doubt that ended")?,
    ]
    .map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    let jumps = kv.get(ColumnFamily::Meta, schema::JUMPS)?;
    let jumps = jumps.map(|bytes| schema::from_json("the jumps of the clock", &bytes)).transpose()?;
    let doubts = Doubts::new(doubt, ended, era, jumps.unwrap_or_default());
    Ok(Governance::new(holds, requests, last_request, alarms, doubts))
}

/// Reads the JSON records under a prefix.
fn records<T: DeserializeOwned>(kv: &dyn Kv, prefix: &[u8], what: &str) -> Result<Vec<T>> {
    collect(kv, ColumnFamily::Meta, &schema::prefix_range(prefix), |_, value| schema::from_json(what, value))
}

/// Reads a number. It is 0 if it was never written.
pub(crate) fn number(kv: &dyn Kv, key: &[u8], what: &str) -> Result<u64> {
    kv.get(ColumnFamily::Meta, key)?.map_or(Ok(0), |bytes| schema::decode_number(what, &bytes))
}

/// Returns the limits of the guards that an operator set.
pub(crate) fn limits(kv: &dyn Kv) -> Result<Option<StoredLimits>> {
    let stored = kv.get(ColumnFamily::Meta, schema::LIMITS)?;
    stored.map(|bytes| schema::from_json("the limits", &bytes)).transpose()
}

/// Reads the classes whose absent objects an operator accepted, with the instant.
fn absence_accepted(kv: &dyn Kv) -> Result<BTreeMap<String, Timestamp>> {
    let range = schema::prefix_range(schema::ABSENCE_ACCEPTED);
    let accepted = collect(kv, ColumnFamily::Meta, &range, |key, value| {
        Ok((schema::absence_accepted_class(key)?, schema::decode_instant(value)?))
    })?;
    Ok(accepted.into_iter().collect())
}

/// Reads an instant. `None` if it was never written.
fn instant(kv: &dyn Kv, key: &[u8]) -> Result<Option<Timestamp>> {
    kv.get(ColumnFamily::Meta, key)?.map(|bytes| schema::decode_instant(&bytes)).transpose()
}

/// Returns the latest trusted instant on record: the recorded one, or that of the last log entry unless a wrong clock gave
/// it.
pub(crate) fn last_known(kv: &dyn Kv) -> Result<Option<Timestamp>> {
    let recorded = instant(kv, schema::CLOCK)?;
    let disowned = instant(kv, schema::DISOWNED)?;
    let log = Log::load(kv)?;
    let logged = (log.size() > 0).then(|| log.last_logged());
    Ok(recorded.max(logged.filter(|logged| disowned.is_none_or(|disowned| *logged > disowned))))
}

/// Returns `true` if an alarm stands because the wall clock stepped ahead.
pub(crate) fn clock_had_stepped(kv: &dyn Kv) -> Result<bool> {
    let alarms: Vec<Alarm> = records(kv, schema::ALARMS, "an alarm")?;
    Ok(alarms.iter().any(|alarm| alarm.cause == AlarmCause::Clock))
}

/// Fills the schedule: pages of all classes, their marks, and the memtables of the key index.
pub(crate) fn fill_schedule(
    kv: &dyn Kv,
    schedule: &Schedule,
    classes: &Classes,
    now: Timestamp,
) -> Result<()> {
    for class in classes.iter() {
        restore_pages(kv, schedule, class, now)?;
    }
    restore_marks(kv, schedule)?;
    locator::restore(kv, schedule)
}

/// Rebuilds the wheels of a class from its rows, with two look-ups per page.
fn restore_pages(kv: &dyn Kv, schedule: &Schedule, class: &Class, now: Timestamp) -> Result<()> {
    let settled_to = last_settled_slot(kv, class.id)?;
    for number in 0..schedule.shards() {
        let mut shard = schedule.lock(number);
        let totals = kv.get(ColumnFamily::Meta, &schema::registered_totals_key(class.id, shard.number()))?;
        let totals = totals.as_deref().map(RegisteredTotals::decode).transpose()?;
        shard.add_class(class, now, settled_to, totals.unwrap_or_default());
    }
    for (page, rows) in live_pages(kv, class.id)? {
        check_shard(schedule, page)?;
        let record = kv.get(ColumnFamily::Meta, &schema::page_key(page))?;
        let record = record.map_or_else(
            || Ok(PageRecord::of_slot(earliest_ceiling(class, page, now))),
            |bytes| PageRecord::decode(&bytes),
        )?;
        let is_full = rows >= PAGE_ROWS_MAX || record.arrivals != Arrivals::Single;
        let state = if is_full { PageState::Closed } else { PageState::Open };
        let mut restored = Page::new(page.part, rows, state, record.arrivals, record.earliest_ceiling);
        restored.short_notice = record.short_notice;
        schedule.lock(page.shard.into()).restore(page, restored)?;
    }
    Ok(())
}

/// Refuses a page of a shard that does not exist.
fn check_shard(schedule: &Schedule, page: PageId) -> Result<()> {
    if usize::from(page.shard) < schedule.shards() {
        return Ok(());
    }
    Err(Error::corrupt_index(format!("page {page} is of a shard that does not exist")))
}

/// Returns the earliest ceiling that the slot of a page allows. It is unknown ([`Timestamp::MIN`]) if objects of the page
/// may have been overdue when they were registered.
fn earliest_ceiling(class: &Class, page: PageId, now: Timestamp) -> Timestamp {
    match !page.slot.is_multiple_of(class.slot_ms) || page.slot_start() <= now {
        true => Timestamp::MIN,
        false => class.earliest_ceiling(page.slot),
    }
}

/// Counts the replaced and moved registrations of each page. A mark of a page that is not in the wheel is void:
/// that page has settled.
fn restore_marks(kv: &dyn Kv, schedule: &Schedule) -> Result<()> {
    let restore = |key: &[u8], value: &[u8]| {
        let id = schema::parse_mark_key(key)?;
        check_shard(schedule, id.page)?;
        if let Some(page) = schedule.lock(id.page.shard.into()).page_mut(id.page) {
            page.has_marks = true;
            page.moved += u32::from(matches!(Mark::decode(value)?, Mark::Moved { .. }));
        }
        Ok(ControlFlow::Continue(()))
    };
    kv::try_scan(kv, ColumnFamily::Marks, &schema::prefix_range(&[]), restore)
}

/// Returns the latest slot of a class in which a page settled; 0 if none did.
fn last_settled_slot(kv: &dyn Kv, class: ClassId) -> Result<u64> {
    let range = schema::class_page_range(class);
    let mut slot = 0;
    kv.scan(ColumnFamily::Settled, &range.start..&range.end, Order::Descending, &mut |key, _| {
        slot = schema::settled_page(key).map_or(0, |page| page.slot);
        ControlFlow::Break(())
    })?;
    Ok(slot)
}

/// Returns every page of a class that has rows and has not settled, with its number of rows.
///
/// Rows of a settled page are void, even if dropping table files brought them back.
pub(crate) fn live_pages(kv: &dyn Kv, class: ClassId) -> Result<Vec<(PageId, u32)>> {
    let rows = ColumnFamily::Rows(class);
    let mut pages = Vec::new();
    let mut cursor = vec![0];
    let end = schema::successor(&[]);
    loop {
        let mut found = None;
        kv.scan(rows, &cursor..&end, Order::Ascending, &mut |key, _| {
            found = Some(schema::parse_row_key(class, key));
            ControlFlow::Break(())
        })?;
        let Some(first) = found.transpose()? else { return Ok(pages) };
        let range = schema::page_row_range(first.page);
        if kv.get(ColumnFamily::Settled, &schema::settled_key(first.page))?.is_none() {
            let mut last = first.seq;
            kv.scan(rows, &range.start..&range.end, Order::Descending, &mut |key, _| {
                last = schema::row_seq(key).unwrap_or(last);
                ControlFlow::Break(())
            })?;
            pages.push((first.page, last + 1));
        }
        cursor = range.end;
    }
}

/// Reads the state of the planner. The pages of unfinished batches are taken out of the schedule.
pub(crate) fn planner(
    kv: &dyn Kv,
    schedule: &Schedule,
    options: &Options,
    now: Timestamp,
) -> Result<Planner> {
    let last_batch = number(kv, schema::BATCH, "the last batch")?;
    let intents = collect(kv, ColumnFamily::Meta, &schema::prefix_range(schema::INTENTS), |_, value| {
        Intent::decode(value)
    })?;
    for intent in &intents {
        let pages: Vec<PageId> = intent.pages.iter().map(|page| page.page).collect();
        for page in pages.iter().copied().chain(intent.to.iter().map(|to| to.page)) {
            check_shard(schedule, page)?;
        }
        if schedule.take(&pages) != intent.pages {
            return Err(Error::corrupt(format!(
                "the intent of batch {} names rows that the index does not have; see Backups in docs/operations.md",
                intent.batch
            )));
        }
    }
    Ok(Planner {
        last_batch,
        unfinished: intents.into_iter().map(|intent| Unanswered { intent, attempts: 1 }).collect(),
        sweep: None,
        swept_rows: 0,
        breaker: Breaker::new(options.breaker.unwrap_or_default()),
        clock_recorded: now,
        absence_accepted: absence_accepted(kv)?,
    })
}
