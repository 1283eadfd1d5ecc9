//! How far requests have come, object by object, and whether they are answered.

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::hold::Covered;
use crate::kv::{self, Family, WriteSet};
use crate::request::{Request, RequestKind, RequestState};
use crate::requests;
use crate::schema::{self, Flags, Row};
use crate::trail::{Trail, Whereabouts};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// One object of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key: with it and `id` a receipt is made.
    pub key: Vec<u8>,
    /// Its registration as it is now.
    pub id: RegistrationId,
    /// How far it has come.
    pub progress: Progress,
}

/// How far an object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes from this instant on, Unix ms.
    Waits {
        /// When its turn comes.
        until_ms: i64,
        /// Its floor, where that is what it waits for.
        floor_ms: Option<i64>,
        /// Whether a legal hold keeps it.
        held: bool,
    },
    /// It ended.
    Ended {
        /// How.
        method: Method,
        /// When that was known, Unix ms.
        time_ms: i64,
    },
}

/// The objects of an erasure that were found so far.
pub(crate) fn items(core: &Core, trail: &Trail, number: u32, now_ms: i64) -> Result<Vec<Item>> {
    requests::get(core, number)?;
    let stored = kv::collect(&*core.kv, Family::Items, &schema::items(number), |key, value| {
        Ok((schema::item_id(key)?, value.to_vec()))
    })?;
    // One that moved while it was looked for may be listed under both ids.
    let mut items: BTreeMap<RegistrationId, Item> = BTreeMap::new();
    for (item, key) in stored {
        let (id, progress) = progress(core, trail, item, now_ms)?;
        items.insert(id, Item { key, id, progress });
    }
    Ok(items.into_values().collect())
}

/// The erasure that is open longest. It costs a look at each object of that erasure.
pub(crate) fn oldest_erasure(core: &Core, trail: &Trail, now_ms: i64) -> Result<Option<Request>> {
    let mut open = open_erasures(core);
    open.sort_by_key(|request| request.received_ms);
    for request in open {
        let request = finish(core, trail, request, now_ms)?;
        if request.is_open() {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

fn open_erasures(core: &Core) -> Vec<Request> {
    let requests = core.requests.lock();
    let open = requests.values().filter(|request| request.kind == RequestKind::Erase && request.is_open());
    open.cloned().collect()
}

/// What people had promised to be done with by now and is not: erasures with objects that wait for nothing but their turn,
/// and holds that nobody has reviewed, in a sentence each. What a hold or a floor keeps is no longer for anybody to hurry.
pub(crate) fn past_their_date(core: &Core, trail: &Trail, now_ms: i64) -> Vec<String> {
    let open = open_erasures(core);
    let past = open.iter().filter(|erasure| is_past(erasure, now_ms));
    let mut sentences: Vec<String> =
        past.filter_map(|erasure| what_is_missing(core, trail, erasure, now_ms)).collect();
    let holds = core.holds.read();
    let unreviewed = holds.iter().filter(|hold| hold.stands() && hold.terms.review_ms < now_ms);
    sentences.extend(unreviewed.map(|hold| format!("hold {:?} was to be reviewed by now", hold.terms.name)));
    sentences
}

fn what_is_missing(core: &Core, trail: &Trail, erasure: &Request, now_ms: i64) -> Option<String> {
    let begin = format!("erasure {} was to be answered by now, and", erasure.number);
    if erasure.state == RequestState::Waiting {
        return Some(format!("{begin} its objects have not been looked for: nothing has planned since"));
    }
    let items = match items(core, trail, erasure.number, now_ms) {
        Ok(items) => items,
        // It was forgotten meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("{begin} it cannot be told whether it is: {error}")),
    };
    let waits = |item: &&Item| matches!(item.progress, Progress::Waits { held: false, floor_ms: None, .. });
    let waiting = items.iter().filter(waits).count();
    (waiting > 0).then(|| format!("{begin} {waiting} of its objects still wait"))
}

/// How long what is to be erased at once may take before a person is asked, ms.
const AT_ONCE_MS: i64 = 3_600_000;

fn is_past(erasure: &Request, now_ms: i64) -> bool {
    let grace_ms = if erasure.is_immediate() { AT_ONCE_MS } else { 0 };
    erasure.due_ms.is_some_and(|due_ms| due_ms.saturating_add(grace_ms) < now_ms)
}

/// How often an object is looked for again that moved or ended while it was looked for.
const LOOKS_MAX: usize = 16;

fn progress(
    core: &Core,
    trail: &Trail,
    id: RegistrationId,
    now_ms: i64,
) -> Result<(RegistrationId, Progress)> {
    for _ in 0..LOOKS_MAX {
        let at = match trail.follow(core, id)? {
            Whereabouts::Ended(end) => {
                let (method, time_ms) = (end.tombstone.method, end.tombstone.time_ms);
                return Ok((end.id, Progress::Ended { method, time_ms }));
            }
            Whereabouts::Unsettled(at) => at,
        };
        let bytes = core.kv.get(Family::Rows(at.page.class), &schema::row_key(at))?;
        let Some(row) = bytes.as_deref().map(Row::decode).transpose()? else { continue };
        if row.flags.has(Flags::MOVED) {
            continue;
        }
        let class = core.class(at.page.class)?;
        let held = core.holds.read().covering(Covered::of(&class.definition.name, &row)).is_some();
        let until_ms = i64::try_from(at.page.slot).unwrap_or(i64::MAX);
        let floor_ms = (row.floor_ms > now_ms).then_some(row.floor_ms);
        return Ok((at, Progress::Waits { until_ms, floor_ms, held }));
    }
    Err(Error::corrupt(format!("registration {id} of a request is missing; run the full check")))
}

/// All requests, with those marked finished whose objects have all ended meanwhile.
pub(crate) fn requests(core: &Core, trail: &Trail, now_ms: i64) -> Result<Vec<Request>> {
    let all: Vec<Request> = core.requests.lock().values().cloned().collect();
    all.into_iter().map(|request| finish(core, trail, request, now_ms)).collect()
}

/// Marks a request finished where it is.
fn finish(core: &Core, trail: &Trail, request: Request, now_ms: i64) -> Result<Request> {
    if request.state != RequestState::Found {
        return Ok(request);
    }
    let ended_ms = match request.kind {
        RequestKind::Close => nothing_lives(core, &request).then_some(now_ms),
        _ => match last_end_ms(core, trail, &request, now_ms) {
            // It was forgotten meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => found?,
        },
    };
    let Some(changed_ms) = ended_ms else { return Ok(request) };
    if core.check_writable().is_err() {
        return Ok(request);
    }
    // Under the planner's lock nobody forgets it meanwhile; whoever did so before finds it forgotten still.
    let planner = core.planner.lock();
    let finished = Request { state: RequestState::Finished, changed_ms, ..request };
    let stored = core.requests.lock().get(&finished.number).map(|stored| stored.state);
    let result = match stored {
        Some(RequestState::Found) => requests::store(core, WriteSet::default(), finished),
        _ => Ok(finished),
    };
    drop(planner);
    result
}

/// When the last object of an erasure ended, if all have.
fn last_end_ms(core: &Core, trail: &Trail, request: &Request, now_ms: i64) -> Result<Option<i64>> {
    let mut last_ms = request.changed_ms;
    for item in items(core, trail, request.number, now_ms)? {
        match item.progress {
            Progress::Ended { time_ms, .. } => last_ms = last_ms.max(time_ms),
            Progress::Waits { .. } => return Ok(None),
        }
    }
    Ok(Some(last_ms))
}

fn nothing_lives(core: &Core, request: &Request) -> bool {
    let classes = core.classes.read();
    let closed = |name: &str| classes.is_closed(name) && request.selector.covers(name, &[], &[]);
    let versions: Vec<_> =
        classes.iter().filter(|class| closed(&class.definition.name)).map(|class| class.id).collect();
    drop(classes);
    let mut live = 0_u64;
    core.index.each_page(&mut |id, page| {
        live += if versions.contains(&id.class) { u64::from(page.live()) } else { 0 };
    });
    live == 0
}

/// Forgets a request that is over, and with it whose it was and which objects it concerned.
pub(crate) fn forget(core: &Core, trail: &Trail, number: u32, now_ms: i64) -> Result<()> {
    core.check_writable()?;
    let request = finish(core, trail, requests::get(core, number)?, now_ms)?;
    if request.is_open() {
        return Err(Error::invalid(format!(
            "request {number} is still open; it is forgotten when it is finished"
        )));
    }
    let planner = core.planner.lock();
    let range = schema::items(number);
    let mut set = WriteSet::default();
    set.delete_range(Family::Items, &range.start..&range.end);
    set.delete(Family::Meta, &schema::request_key(number));
    core.writer.write_durably(set)?;
    core.traces.fetch_add(1, Ordering::SeqCst);
    core.requests.lock().remove(&number);
    drop(planner);
    Ok(())
}
