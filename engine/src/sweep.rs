//! The sweep: one pass over the rows that live, for all requests that wait. What they concern is moved to where it is
//! to go from now on. A sweep works page by page between batches; it has ended when it saw every page that existed when
//! it began and nothing arrived in a page behind its back.

use crate::class::{Class, second_of};
use crate::core::{Core, Planner};
use crate::effect::{Active, Aim, Sweep};
use crate::error::Result;
use crate::hold::HoldKind;
use crate::index::Shard;
use crate::kv::{Family, Order, WriteSet};
use crate::place::{self, Place};
use crate::request::{Request, RequestKind, RequestState};
use crate::schema::{self, Arrivals, Mark, Row};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Rows looked at before due batches get their turn again.
const ROWS_AT_ONCE: u32 = 1 << 20;

/// Goes on with the sweep, beginning one where requests are ready. Gives whether there is more to do right now.
pub(crate) fn advance(core: &Core, planner: &mut Planner, now_ms: i64) -> Result<bool> {
    let mut sweep = match planner.sweep.take() {
        Some(sweep) => sweep,
        None => match Sweep::begin(core, now_ms)? {
            Some(sweep) => sweep,
            None => return Ok(false),
        },
    };
    let mut left = ROWS_AT_ONCE;
    while left > 0
        && let Some(page) = sweep.todo.pop_front()
    {
        left = left.saturating_sub(sweep.visit(core, page, now_ms)?);
    }
    if sweep.todo.is_empty() && !sweep.next_round(core) {
        sweep.end(core, now_ms)?;
        return Ok(true);
    }
    // Where only pages of batches under way are left, those have to come back first.
    let more = sweep.todo.iter().any(|page| is_settled_in(core, *page));
    planner.sweep = Some(sweep);
    Ok(more)
}

fn is_settled_in(core: &Core, page: PageId) -> bool {
    core.index.lock(page.shard.into()).page_mut(page).is_none_or(|found| found.is_settled_in())
}

/// The requests that are ready by `by_ms`, in the order in which they were taken.
pub(crate) fn ready(core: &Core, by_ms: i64) -> Result<Vec<Active>> {
    let ready: Vec<Request> =
        core.requests.lock().values().filter(|request| request.is_ready(by_ms)).cloned().collect();
    let active = |request: Request| -> Result<Active> {
        let newest = match &request.kind {
            RequestKind::Apply { class } => Some(Arc::clone(core.classes.read().known(class)?)),
            _ => None,
        };
        let lifted = match &request.kind {
            RequestKind::Lift { hold } => core.holds.read().get(hold).cloned(),
            _ => None,
        };
        Ok(Active { request, newest, lifted })
    };
    ready.into_iter().map(active).collect()
}

impl Sweep {
    fn begin(core: &Core, now_ms: i64) -> Result<Option<Sweep>> {
        let active = ready(core, now_ms)?;
        if active.is_empty() {
            return Ok(None);
        }
        let mut items = HashMap::new();
        for one in &active {
            items.insert(one.request.number, known_items(core, one.request.number)?);
        }
        let mut sweep = Sweep {
            active,
            items,
            todo: VecDeque::new(),
            seen: HashMap::new(),
            arrivals: core.index.arrivals(),
            passed_over: false,
        };
        sweep.todo = sweep.unseen(core);
        Ok(Some(sweep))
    }

    /// The pages in scope that have rows which were not looked at.
    fn unseen(&self, core: &Core) -> VecDeque<PageId> {
        let scope = self.scope(core);
        let parked_only = self
            .active
            .iter()
            .all(|active| active.lifted.as_ref().is_some_and(|hold| hold.terms.kind == HoldKind::Temporary));
        let mut pages = Vec::new();
        core.index.each_page(&mut |id, page| {
            let in_scope = scope.contains(&id.class)
                && (!parked_only || page.arrivals == Arrivals::Held || !page.is_settled_in());
            if in_scope && page.rows > self.seen.get(&id).copied().unwrap_or(0) {
                pages.push(id);
            }
        });
        pages.sort_unstable();
        pages.into()
    }

    fn scope(&self, core: &Core) -> BTreeSet<ClassId> {
        let classes = core.classes.read();
        let concerned = |class: &Class| {
            self.active.iter().any(|active| match (&active.request.selector, &active.newest) {
                (_, Some(newest)) => class.definition.name == newest.definition.name && class.id != newest.id,
                (crate::selector::Selector::Class(name), None) => class.definition.name == *name,
                _ => true,
            })
        };
        classes.iter().filter(|class| concerned(class)).map(|class| class.id).collect()
    }

    /// Readies another round where something may have been missed; whether it did.
    fn next_round(&mut self, core: &Core) -> bool {
        let arrivals = core.index.arrivals();
        if !self.passed_over && arrivals == self.arrivals {
            return false;
        }
        self.arrivals = arrivals;
        self.passed_over = false;
        self.todo = self.unseen(core);
        !self.todo.is_empty()
    }

    /// Looks at the rows of a page that were not looked at; gives how many. The shard is locked from before the rows
    /// are read until the moves are written, so that nobody changes them in between.
    fn visit(&mut self, core: &Core, page: PageId, now_ms: i64) -> Result<u32> {
        let mut shard = core.index.lock(page.shard.into());
        let Some(found) = shard.page_mut(page).copied() else { return Ok(1) };
        if !found.is_settled_in() {
            self.passed_over = true;
            return Ok(1);
        }
        let from = self.seen.insert(page, found.rows).unwrap_or(0);
        let class = core.class(page.class)?;
        let marked = if found.marked { marked(core, page)? } else { BTreeSet::new() };
        let range = schema::page_rows(page);
        let from_key = schema::row_key(RegistrationId { page, seq: from });
        let mut rows = Vec::new();
        core.kv.scan(
            Family::Rows(page.class),
            &from_key..&range.end,
            Order::Ascending,
            &mut |key, value| {
                rows.push((key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            },
        )?;
        let mut set = WriteSet::default();
        for (key, value) in &rows {
            let id = schema::row_id(page.class, key)?;
            if !marked.contains(&id) {
                let staged = self.look(
                    core,
                    &mut shard,
                    &mut set,
                    id,
                    Aim::of(&class, id, Row::decode(value)?),
                    now_ms,
                );
                // Seqs may be given to rows that will not be written now; nothing may be written behind such a gap.
                staged.inspect_err(|error| core.writer.poison(error))?;
            }
        }
        if !set.is_empty() {
            // Durable with what ends the sweep: a crash before leaves the request waiting, and it is swept again.
            core.writer.write(set)?;
        }
        Ok(found.rows - from)
    }

    /// Has every request look at a row, and stages what they make of it together.
    fn look(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        id: RegistrationId,
        mut aim: Aim<'_>,
        now_ms: i64,
    ) -> Result<()> {
        let key = aim.row.key;
        let mut concerned = Vec::new();
        for active in &self.active {
            if active.concerns(&aim.class, &aim.row) {
                concerned.push(active.request.number);
                if let Some(next) = active.apply(&aim, &core.holds.read(), now_ms) {
                    aim = next;
                }
            }
        }
        let mut now_at = id;
        if let Some(cause) = aim.cause {
            core.keyring.get_or_create(aim.class.id, aim.slot)?;
            let (_, fingerprint) = core.index.locate(key);
            let slot = aim.slot.max(second_of(now_ms));
            let among = shard.page_mut(id.page).is_some_and(|page| page.surprises > 0);
            let surprise = place::is_surprise(&aim.class, id.page.slot, among, slot, now_ms);
            let to = Place { class: &aim.class, slot, surprise, fingerprint: &fingerprint };
            let row = Row { cause: cause.code(), attempts: 0, ..aim.row };
            now_at = place::relocate(core, shard, set, id, to, &row, cause)?;
        }
        for active in &mut self.active {
            let number = active.request.number;
            let known = self.items.entry(number).or_default();
            if concerned.contains(&number) && !known.contains(&id) && known.insert(now_at) {
                active.request.objects += 1;
                if active.request.kind == RequestKind::Erase {
                    set.put(Family::Items, &schema::item_key(number, now_at), key);
                }
            } else if now_at != id && known.remove(&id) {
                known.insert(now_at);
            }
        }
        Ok(())
    }

    /// Everything was found: on record, durable with all moves before it.
    fn end(self, core: &Core, now_ms: i64) -> Result<()> {
        let mut set = WriteSet::default();
        let mut holds = Vec::new();
        let mut done = Vec::new();
        for active in self.active {
            let state = match active.request.kind {
                RequestKind::Erase | RequestKind::Close => RequestState::Found,
                RequestKind::Apply { .. } | RequestKind::Lift { .. } => RequestState::Finished,
            };
            let mut request = Request { state, changed_ms: now_ms, ..active.request };
            if request.kind == RequestKind::Erase {
                request.objects = items_of(core, request.number)?.len() as u64;
            }
            set.put(Family::Meta, &schema::request_key(request.number), &schema::to_json(&request)?);
            done.push(request);
            if let Some(mut hold) = active.lifted
                && let Some(lifted) = &mut hold.lifted
            {
                lifted.done = true;
                set.put(Family::Meta, &schema::hold_key(&hold.id), &schema::to_json(&hold)?);
                holds.push(hold);
            }
        }
        core.writer.write_durably(set)?;
        let mut requests = core.requests.lock();
        for request in done {
            requests.insert(request.number, request);
        }
        drop(requests);
        for hold in holds {
            core.holds.write().insert(hold);
        }
        Ok(())
    }
}

fn marked(core: &Core, page: PageId) -> Result<BTreeSet<RegistrationId>> {
    let range = schema::page_registrations(page);
    let mut ids = BTreeSet::new();
    core.kv.scan(Family::Marks, &range.start..&range.end, Order::Ascending, &mut |key, _| {
        ids.extend(key.as_array().map(RegistrationId::from_bytes));
        ControlFlow::Continue(())
    })?;
    Ok(ids)
}

/// The registrations that an erasure found so far, and where those live on that were moved since.
fn known_items(core: &Core, request: u32) -> Result<HashSet<RegistrationId>> {
    let mut known = HashSet::new();
    for mut id in items_of(core, request)? {
        while known.insert(id)
            && let Some(mark) = core.kv.get(Family::Marks, &id.to_bytes())?
            && let Mark::Moved { to, .. } = Mark::decode(&mark)?
        {
            id = to;
        }
    }
    Ok(known)
}

fn items_of(core: &Core, request: u32) -> Result<Vec<RegistrationId>> {
    let range = schema::items(request);
    let mut keys = Vec::new();
    core.kv.scan(Family::Items, &range.start..&range.end, Order::Ascending, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    keys.iter().map(|key| schema::item_id(key)).collect()
}
