//! Sweep: one pass over the live rows for all waiting requests. It moves the objects of the requests to the pages of
//! their new slots, page by page between batches.
//!
//! A sweep ends shard by shard. It first scans most of a shard page by page. Then it takes the shard's lock and scans the
//! rest. No other thread writes rows of the shard meanwhile. So every object of a request has been found then, unless a
//! batch in flight has it. The sweep waits for batches that have such rows. Only a rename takes a registration into another
//! shard. It makes the sweep finish that shard again.

mod apply;
mod scan;

use crate::model::hold::{Hold, HoldKind};
use crate::model::request::{Request, RequestKind, RequestState};
use crate::model::request_rules::{ActiveRequest, Sweep};
use crate::model::schema::{self, Mark};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, WriteSet};
use crate::registration::resolve::Resolver;
use crate::state::core::{Core, Planner};
use crate::state::locator;
use crate::state::marks;
use scan::Scanned;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// Continues the sweep by about `rows` rows, or begins one if requests are ready. Returns the number of rows scanned if
/// there is more to scan right now, and `None` if there is not.
///
/// The caller holds the planner's lock, so at most one sweep is under way.
pub(crate) fn advance(core: &Core, planner: &mut Planner, now: Timestamp, rows: u32) -> Result<Option<u32>> {
    let mut sweep = match planner.sweep.take() {
        Some(sweep) => sweep,
        None => match Sweep::begin(core, now)? {
            Some(sweep) => sweep,
            None => return Ok(None),
        },
    };
    let mut left = rows;
    // Keys come first, because no due object of a class that finds by key is deleted before them.
    while left > 0
        && let Some(looked_up) = sweep.look_up_keys(core, left, now)?
    {
        left = left.saturating_sub(looked_up);
        locator::flush_if_full(core)?;
    }
    while left > 0
        && let Some(page) = sweep.todo.pop_front()
    {
        let mut shard = core.schedule.lock(page.shard.into());
        let scanned = sweep.scan_page(core, &mut shard, page, left, now)?;
        drop(shard);
        if scanned == Scanned::Part {
            // The page stays the first one, so that no batch takes it.
            sweep.todo.push_front(page);
            left = 0;
        } else if let Scanned::All { rows } = scanned {
            left = left.saturating_sub(rows);
        }
        locator::flush_if_full(core)?;
    }
    if !sweep.has_more() {
        for number in sweep.shards.clone() {
            sweep.finish_shard(core, number, now)?;
            locator::flush_if_full(core)?;
        }
    }
    if sweep.shards.is_empty() {
        sweep.finish(core, now)?;
        return Ok(Some(rows - left));
    }
    let has_more = sweep.has_more();
    planner.sweep = Some(sweep);
    Ok(has_more.then_some(rows - left))
}

/// Returns the requests that are ready by `by`, in ascending order of their numbers.
pub(crate) fn ready_requests(core: &Core, by: Timestamp) -> Result<Vec<ActiveRequest>> {
    let ready: Vec<Request> =
        core.governance.requests.lock().values().filter(|request| request.is_ready(by)).cloned().collect();
    let active = |request: Request| -> Result<ActiveRequest> {
        let newest = match &request.kind {
            RequestKind::Apply { class } => Some(core.classes.get(*class)?),
            _ => None,
        };
        let lifted = match &request.kind {
            RequestKind::Lift { hold } => core.governance.holds.read().get(hold).cloned(),
            _ => None,
        };
        let closed = core.classes.read().closed().clone();
        Ok(ActiveRequest::new(request, newest, lifted, closed))
    };
    ready.into_iter().map(active).collect()
}

impl Sweep {
    /// Begins a sweep for the requests that are ready; `None` if there are none.
    fn begin(core: &Core, now: Timestamp) -> Result<Option<Sweep>> {
        let active = ready_requests(core, now)?;
        if active.is_empty() {
            return Ok(None);
        }
        let mut objects = HashMap::new();
        for listing in active.iter().filter(|active| active.request.lists_objects()) {
            let number = listing.request.number;
            objects.insert(number, listed_registrations(core, number)?);
        }
        let mut sweep = Sweep {
            active,
            objects,
            todo: VecDeque::new(),
            seen: HashMap::new(),
            own: HashMap::new(),
            waiting: BTreeSet::new(),
            shards: (0..core.schedule.shards()).collect(),
            is_about_held: false,
            keys: BTreeMap::new(),
            keys_in_batches: BTreeMap::new(),
        };
        let is_temporary = |hold: &Hold| hold.terms.kind == HoldKind::Temporary;
        sweep.is_about_held =
            sweep.active.iter().all(|active| active.lifted.as_ref().is_some_and(is_temporary))
                && !core.governance.holds.read().any_in_grace(now);
        if sweep.is_by_key() {
            let keys: BTreeSet<&Arc<[u8]>> =
                sweep.active.iter().flat_map(|active| &active.keys).flatten().collect();
            for (key, (shard, _)) in
                keys.iter().zip(core.schedule.locate_each(keys.iter().map(|key| &***key)))
            {
                sweep.keys.entry(shard).or_default().push_back(Arc::clone(key));
            }
        }
        let scope = sweep.scope(core);
        for number in 0..core.schedule.shards() {
            let pages = sweep.unscanned_pages(&core.schedule.lock(number), &scope, now);
            sweep.todo.extend(pages.into_iter().map(|(page, _)| page));
        }
        // Pages that are due first come first, because due pages are not deleted before they are scanned.
        sweep.todo.make_contiguous().sort_unstable_by_key(|page| (page.slot, *page));
        Ok(Some(sweep))
    }
    /// Records that every object of the requests was found.
    ///
    /// One durable write, which makes all moves before it durable as well. A crash before it loses nothing, because the
    /// requests still wait: the next sweep finds the moved objects where they are, and moves the rest.
    fn finish(self, core: &Core, now: Timestamp) -> Result<()> {
        let mut set = WriteSet::default();
        let mut holds = Vec::new();
        let mut swept = Vec::new();
        for active in self.active {
            let listed = listed_ids(core, active.request.number)?;
            let state = match active.request.kind {
                RequestKind::Erase | RequestKind::Close => RequestState::Found,
                RequestKind::Doubt { .. } | RequestKind::Back(_) if !listed.is_empty() => RequestState::Found,
                _ => RequestState::Finished,
            };
            let mut request = Request { state, changed: now, ..active.request };
            if request.kind == RequestKind::Erase {
                request.objects = count_objects(core, &listed)?;
            }
            set.put(ColumnFamily::Meta, &schema::request_key(request.number), &schema::to_json(&request)?);
            swept.push(request);
            if let Some(mut hold) = active.lifted
                && let Some(lifted) = &mut hold.lifted
            {
                lifted.done = true;
                set.put(ColumnFamily::Meta, &schema::hold_key(&hold.id), &schema::to_json(&hold)?);
                holds.push(hold);
            }
        }
        core.writer.write_durably(set)?;
        let mut requests = core.governance.requests.lock();
        for request in swept {
            requests.insert(request.number, request);
        }
        drop(requests);
        for hold in holds {
            core.governance.holds.write().insert(hold);
        }
        Ok(())
    }
}

/// Returns the registrations that a request lists so far, with the ids to which they moved since.
fn listed_registrations(core: &Core, request: u32) -> Result<HashSet<RegistrationId>> {
    let mut known = HashSet::new();
    for mut id in listed_ids(core, request)? {
        while known.insert(id)
            && let Some(Mark::Moved { to, .. }) = marks::of(&*core.kv, id)?
        {
            id = to;
        }
    }
    Ok(known)
}

/// Returns the number of objects that are listed under these ids.
///
/// If an object moved or was carried during the sweep, and was visited again, it is listed under both ids.
fn count_objects(core: &Core, listed: &[RegistrationId]) -> Result<u64> {
    let pages: BTreeSet<PageId> = listed.iter().map(|id| id.page).collect();
    let left: HashSet<PageId> = core.schedule.marked(pages.into_iter()).into_iter().collect();
    let resolver = Resolver::default();
    let mut later = HashSet::new();
    for id in listed.iter().filter(|id| left.contains(&id.page)) {
        let mut at = *id;
        while let Some(next) = resolver.successor(core, at)?
            && later.insert(next)
        {
            at = next;
        }
    }
    Ok(listed.iter().filter(|id| !later.contains(id)).count() as u64)
}

/// Returns the ids that are stored for a request.
fn listed_ids(core: &Core, request: u32) -> Result<Vec<RegistrationId>> {
    kv::collect(&*core.kv, ColumnFamily::RequestObjects, &schema::request_object_range(request), |key, _| {
        schema::parse_request_object_key(key)
    })
}
