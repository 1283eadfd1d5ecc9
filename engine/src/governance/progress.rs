//! Progress of requests, object by object, and their end.

use crate::governance::requests;
use crate::model::hold::{Hold, HoldFacts};
use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::schema::{self, Flags, Row};
use crate::model::selector::Names;
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::resolve::{Location, Resolver};
use crate::state::core::Core;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Method;
use sexton_proof::time::Timestamp;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::ControlFlow;
use std::time::Duration;

/// Object of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErasureObject {
    /// Key of the object. A receipt needs it and `id`.
    pub key: Vec<u8>,
    /// Current id of its registration.
    pub id: RegistrationId,
    /// Progress of the object.
    pub progress: Progress,
}

/// Part of the objects of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErasureObjects {
    /// Objects in the order in which they are listed.
    pub objects: Vec<ErasureObject>,
    /// Id as `after` of the next part; `None` if this is the last one.
    pub next: Option<RegistrationId>,
}

/// Progress of an object that is to be erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The object lives.
    Pending {
        /// Beginning of the slot in which it falls due.
        until: Timestamp,
        /// Floor that it waits for; `None` if its floor has passed.
        floor: Option<Timestamp>,
        /// `true` if a legal hold keeps it.
        held: bool,
    },
    /// The object ended.
    Ended {
        /// Method by which it ended.
        method: Method,
        /// Instant at which its end was known.
        time: Timestamp,
    },
}

/// Returns the objects of an erasure that were found so far, in ascending order of their ids.
pub(crate) fn objects(
    core: &Core,
    resolver: &Resolver,
    number: u32,
    now: Timestamp,
) -> Result<Vec<ErasureObject>> {
    requests::get(core, number)?;
    let stored = kv::collect(
        &*core.kv,
        ColumnFamily::RequestObjects,
        &schema::request_object_range(number),
        |key, value| Ok((schema::parse_request_object_key(key)?, value.to_vec())),
    )?;
    // An object that moved during the sweep may be listed under both ids.
    let mut objects: BTreeMap<RegistrationId, ErasureObject> = BTreeMap::new();
    for (listed, key) in stored {
        let (id, progress) = progress_of(core, resolver, listed, now)?;
        objects.insert(id, ErasureObject { key, id, progress });
    }
    Ok(objects.into_values().collect())
}

/// Returns at most `max` objects of an erasure, of those that were listed after `after`.
pub(crate) fn objects_after(
    core: &Core,
    resolver: &Resolver,
    number: u32,
    after: Option<RegistrationId>,
    max: usize,
    now: Timestamp,
) -> Result<ErasureObjects> {
    requests::get(core, number)?;
    let range = match after {
        None => schema::request_object_range(number),
        Some(after) => schema::request_objects_after(number, after),
    };
    let mut stored: Vec<(RegistrationId, Vec<u8>)> = Vec::new();
    let mut next = None;
    kv::try_scan(&*core.kv, ColumnFamily::RequestObjects, &range, |key, value| {
        if stored.len() == max {
            next = stored.last().map(|(listed, _)| *listed);
            return Ok(ControlFlow::Break(()));
        }
        stored.push((schema::parse_request_object_key(key)?, value.to_vec()));
        Ok(ControlFlow::Continue(()))
    })?;
    let mut objects = Vec::with_capacity(stored.len());
    for (listed, key) in stored {
        let (id, progress) = progress_of(core, resolver, listed, now)?;
        objects.push(ErasureObject { key, id, progress });
    }
    Ok(ErasureObjects { objects, next })
}

/// Returns the erasure that has been open longest. It looks up every object of that erasure.
pub(crate) fn oldest_erasure(core: &Core, resolver: &Resolver, now: Timestamp) -> Result<Option<Request>> {
    let mut open = open_erasures(core);
    open.sort_by_key(|request| request.received);
    for request in open {
        let request = finish_if_ended(core, resolver, request, now)?;
        if request.is_open() {
            return Ok(Some(request));
        }
    }
    Ok(None)
}

/// Returns the number of open erasures past their date. It looks at no object of them.
pub(crate) fn overdue_erasures(core: &Core, now: Timestamp) -> u64 {
    open_erasures(core).iter().filter(|erasure| is_overdue(erasure, now)).count() as u64
}

/// Returns the number of standing holds past their review date.
pub(crate) fn unreviewed_holds(core: &Core, now: Timestamp) -> u64 {
    core.governance.holds.read().iter().filter(|hold| is_unreviewed(hold, now)).count() as u64
}

fn open_erasures(core: &Core) -> Vec<Request> {
    let requests = core.governance.requests.lock();
    let open = requests.values().filter(|request| request.kind == RequestKind::Erase && request.is_open());
    open.cloned().collect()
}

/// Returns a message for each promise of an operator whose date has passed, and for each wrong time of the clock that left
/// objects to be set right.
///
/// The promises are erasures with objects that wait only for their slot, and holds that were not reviewed. Objects that a
/// hold or their floor keeps do not count.
pub(crate) fn overdue_messages(core: &Core, resolver: &Resolver, now: Timestamp) -> Vec<String> {
    let open = open_erasures(core);
    let overdue = open.iter().filter(|erasure| is_overdue(erasure, now));
    let mut messages: Vec<String> =
        overdue.filter_map(|erasure| overdue_message(core, resolver, erasure, now)).collect();
    messages.extend(open_clock_requests(core).iter().filter_map(|request| {
        match left_by_clock(core, resolver, request, now) {
            Ok(left) => left.message(request.number),
            Err(error) => Some(format!("the objects of request {} cannot be read: {error}", request.number)),
        }
    }));
    let holds = core.governance.holds.read();
    let unreviewed = holds.iter().filter(|hold| is_unreviewed(hold, now));
    messages.extend(
        unreviewed.map(|hold| format!("hold {:?} was to be reviewed by now", hold.terms.name.as_str())),
    );
    messages
}

fn is_unreviewed(hold: &Hold, now: Timestamp) -> bool {
    hold.stands() && hold.terms.review < now
}

/// Returns the requests about the clock that left objects whose time could not be set right.
fn open_clock_requests(core: &Core) -> Vec<Request> {
    let is_about_clock = |request: &&Request| {
        request.state == RequestState::Found
            && matches!(request.kind, RequestKind::Doubt { .. } | RequestKind::Back(_))
    };
    core.governance.requests.lock().values().filter(is_about_clock).cloned().collect()
}

/// Numbers of live objects whose time a request about the clock could not set right.
#[derive(Default)]
struct LeftByClock {
    /// Objects with a start in the future that their host stated.
    stated: u64,
    /// Objects that may have been registered earlier than they count.
    uncertain: u64,
}

impl LeftByClock {
    /// Returns the message about the request with this number; `None` if there is no such object.
    fn message(&self, number: u32) -> Option<String> {
        let registered = |left: u64| match left {
            1 => "1 object registered meanwhile has a start".to_owned(),
            left => format!("{left} objects registered meanwhile have starts"),
        };
        let stated = (self.stated > 0)
            .then(|| format!("{} in the future that the host stated", registered(self.stated)));
        let uncertain = (self.uncertain > 0).then(|| {
            format!("{} that may be too late, because time had jumped since", registered(self.uncertain))
        });
        let left = [stated, uncertain].into_iter().flatten().collect::<Vec<_>>().join(", and ");
        (!left.is_empty()).then(|| {
            format!(
                "the clock was wrong, and {left}; `sexton request list DATA --objects {number}` lists them, \
                 `sexton object reschedule` corrects them"
            )
        })
    }
}

/// Counts the live objects that a request about the clock lists and that no host has set right.
fn left_by_clock(core: &Core, resolver: &Resolver, request: &Request, now: Timestamp) -> Result<LeftByClock> {
    let mut left = LeftByClock::default();
    for object in objects(core, resolver, request.number, now)? {
        let bytes = core.kv.get(ColumnFamily::Rows(object.id.page.class), &schema::row_key(object.id))?;
        let is_live = matches!(object.progress, Progress::Pending { .. });
        let Some(row) = bytes.as_deref().map(Row::decode).transpose()?.filter(|_| is_live) else { continue };
        // A lifted event hold gives a later start, which is right.
        let is_uncertain = match &request.kind {
            RequestKind::Back(back) => {
                let counts = row.flags.has(Flags::OPEN) || row.start <= back.to;
                row.era == back.era && row.flags.has(Flags::CLOCKED) && counts
            }
            _ => false,
        };
        left.stated += u64::from(!is_uncertain && row.start > now);
        left.uncertain += u64::from(is_uncertain);
    }
    Ok(left)
}

/// Returns the message about an overdue erasure; `None` if none of its objects waits only for its slot.
fn overdue_message(core: &Core, resolver: &Resolver, erasure: &Request, now: Timestamp) -> Option<String> {
    let begin = format!("erasure {} was to be answered by now, and", erasure.number);
    if erasure.state == RequestState::Waiting {
        return Some(format!("{begin} its objects have not been looked for: no batch was planned since"));
    }
    let objects = match objects(core, resolver, erasure.number, now) {
        Ok(objects) => objects,
        // Another thread forgot the erasure meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(format!("{begin} its progress cannot be read: {error}")),
    };
    let waits = |object: &&ErasureObject| {
        matches!(object.progress, Progress::Pending { held: false, floor: None, .. })
    };
    let waiting = objects.iter().filter(waits).count();
    (waiting > 0).then(|| format!("{begin} {waiting} of its objects still wait"))
}

/// Span that an immediate erasure may take before it counts as overdue.
const IMMEDIATE_GRACE: Duration = Duration::from_hours(1);

fn is_overdue(erasure: &Request, now: Timestamp) -> bool {
    let grace = if erasure.is_immediate() { IMMEDIATE_GRACE } else { Duration::ZERO };
    erasure.answer_by.is_some_and(|answer_by| answer_by.saturating_add(grace) < now)
}

/// Limit on the attempts to find an object that other threads move or end during the search.
const ATTEMPTS_MAX: usize = 16;

/// Returns the current id and the progress of an object that was listed as `id`. It takes no shard's lock.
fn progress_of(
    core: &Core,
    resolver: &Resolver,
    id: RegistrationId,
    now: Timestamp,
) -> Result<(RegistrationId, Progress)> {
    for _ in 0..ATTEMPTS_MAX {
        let at = match resolver.resolve(core, id)? {
            Location::Ended(end) => {
                let (method, time) = (end.tombstone.method, end.tombstone.time);
                return Ok((end.id, Progress::Ended { method, time }));
            }
            Location::Live(at) => at,
        };
        let bytes = core.kv.get(ColumnFamily::Rows(at.page.class), &schema::row_key(at))?;
        let Some(row) = bytes.as_deref().map(Row::decode).transpose()? else { continue };
        if row.flags.has(Flags::MOVED) {
            continue;
        }
        let class = core.classes.get(at.page.class)?;
        let facts = HoldFacts::of(&class.definition.name, at.page.slot, &row);
        let held = core.governance.holds.read().covering(facts).is_some();
        let until = at.page.slot_start();
        let floor = row.floor.filter(|floor| *floor > now);
        return Ok((at, Progress::Pending { until, floor, held }));
    }
    Err(Error::corrupt(format!("registration {id} of a request is missing; run the full check")))
}

/// Returns all requests, in ascending order of their numbers. Marks those finished whose objects have all ended.
pub(crate) fn all_requests(core: &Core, resolver: &Resolver, now: Timestamp) -> Result<Vec<Request>> {
    let all: Vec<Request> = core.governance.requests.lock().values().cloned().collect();
    all.into_iter().map(|request| finish_if_ended(core, resolver, request, now)).collect()
}

/// Returns at most `max` requests with numbers above `after`, in ascending order. Marks those finished whose objects have
/// all ended.
pub(crate) fn requests_after(
    core: &Core,
    resolver: &Resolver,
    after: u32,
    max: usize,
    now: Timestamp,
) -> Result<Vec<Request>> {
    let requests = core.governance.requests.lock();
    let part: Vec<Request> =
        requests.range((Excluded(after), Unbounded)).take(max).map(|(_, request)| request.clone()).collect();
    drop(requests);
    part.into_iter().map(|request| finish_if_ended(core, resolver, request, now)).collect()
}

/// Returns a request. Marks it finished if its objects have all ended.
pub(crate) fn request(core: &Core, resolver: &Resolver, number: u32, now: Timestamp) -> Result<Request> {
    finish_if_ended(core, resolver, requests::get(core, number)?, now)
}

/// Marks a request finished, durably, if all its objects have ended. Returns its current state.
fn finish_if_ended(core: &Core, resolver: &Resolver, request: Request, now: Timestamp) -> Result<Request> {
    if request.state != RequestState::Found {
        return Ok(request);
    }
    let ended = match request.kind {
        RequestKind::Close => has_no_live_object(core, &request).then_some(now),
        _ => match last_end(core, resolver, &request, now) {
            // Another thread forgot the request meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            found => found?,
        },
    };
    let Some(changed) = ended else { return Ok(request) };
    if core.check_writable().is_err() {
        return Ok(request);
    }
    // Under the planner's lock no other thread forgets the request. If one did so before, it stays forgotten.
    let planner = core.batches.planner.lock();
    let changed = if request.kind == RequestKind::Close { core.now(&*planner).now } else { changed };
    let finished = Request { state: RequestState::Finished, changed, ..request };
    let stored = core.governance.requests.lock().get(&finished.number).map(|stored| stored.state);
    let result = match stored {
        Some(RequestState::Found) => requests::store(core, WriteSet::default(), finished),
        _ => Ok(finished),
    };
    drop(planner);
    result
}

/// Returns the instant at which the last object of an erasure ended; `None` if one of them lives.
fn last_end(
    core: &Core,
    resolver: &Resolver,
    request: &Request,
    now: Timestamp,
) -> Result<Option<Timestamp>> {
    let mut last = request.changed;
    for object in objects(core, resolver, request.number, now)? {
        match object.progress {
            Progress::Ended { time, .. } => last = last.max(time),
            Progress::Pending { .. } => return Ok(None),
        }
    }
    Ok(Some(last))
}

/// Returns `true` if no object lives in the classes that a request closed down.
fn has_no_live_object(core: &Core, request: &Request) -> bool {
    let classes = core.classes.read();
    let is_closed =
        |name: &str| classes.is_closed(name) && request.selector.covers(name, Names::one(&[]), &[]);
    let versions: Vec<_> =
        classes.iter().filter(|class| is_closed(&class.definition.name)).map(|class| class.id).collect();
    drop(classes);
    let mut live = 0_u64;
    core.schedule.each_page(&mut |id, page| {
        live += if versions.contains(&id.class) { u64::from(page.live()) } else { 0 };
    });
    live == 0
}

/// Forgets a request that is over, durably: its subject or keys and the list of its objects.
///
/// # Errors
/// `NotFound` if there is no such request; `Invalid` if it is still open; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn forget(core: &Core, resolver: &Resolver, number: u32, now: Timestamp) -> Result<()> {
    core.check_writable()?;
    let request = finish_if_ended(core, resolver, requests::get(core, number)?, now)?;
    if request.is_open() {
        return Err(Error::invalid(format!(
            "request {number} is still open; forget it once it is finished or cancelled"
        )));
    }
    let planner = core.batches.planner.lock();
    let range = schema::request_object_range(number);
    let mut set = WriteSet::default();
    set.delete_range(ColumnFamily::RequestObjects, &range.start..&range.end);
    set.delete(ColumnFamily::Meta, &schema::request_key(number));
    core.writer.write_durably(set)?;
    core.residue.add();
    core.governance.requests.lock().remove(&number);
    drop(planner);
    Ok(())
}
