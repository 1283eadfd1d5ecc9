//! The sweep: one pass over the rows that live, for all requests that wait. What they concern is moved to where it is
//! to go from now on. A sweep works page by page between batches.
//!
//! A registration never leaves its shard, so a sweep ends shard by shard: when most of a shard was looked at, its lock is
//! taken, the rest is looked at, and at that instant nothing that a request concerns can be elsewhere in it, but in a
//! batch that is out. For those that have such rows it waits.

use crate::class::{Class, second_of};
use crate::core::{Core, Planner};
use crate::effect::{self, Active, Aim, Sweep};
use crate::error::Result;
use crate::hold::HoldKind;
use crate::index::{Page, PageState, Shard};
use crate::kv::{self, Family, WriteSet};
use crate::locator::{self, SoughtKey};
use crate::place::{self, Place};
use crate::request::{Request, RequestKind, RequestState};
use crate::schema::{self, Arrivals, Mark, Row};
use crate::selector::Selector;
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// Rows looked at before due batches get their turn again.
const ROWS_AT_ONCE: u32 = 1 << 20;
/// Rows that may be left when a shard is finished under its lock.
const ROWS_UNDER_LOCK: u64 = 1 << 16;

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
        let mut shard = core.index.lock(page.shard.into());
        left = left.saturating_sub(sweep.visit(core, &mut shard, page, now_ms)?);
        drop(shard);
        locator::write_out_where_full(core)?;
    }
    if sweep.todo.is_empty() {
        for number in sweep.shards.clone() {
            sweep.finish_shard(core, number, now_ms)?;
            locator::write_out_where_full(core)?;
        }
    }
    if sweep.shards.is_empty() {
        sweep.end(core, now_ms)?;
        return Ok(true);
    }
    let more = !sweep.todo.is_empty();
    planner.sweep = Some(sweep);
    Ok(more)
}

/// The requests that are ready by `by_ms`, in the order in which they were taken.
pub(crate) fn ready(core: &Core, by_ms: i64) -> Result<Vec<Active>> {
    let ready: Vec<Request> =
        core.requests.lock().values().filter(|request| request.is_ready(by_ms)).cloned().collect();
    let active = |request: Request| -> Result<Active> {
        let newest = match &request.kind {
            RequestKind::Apply { class } => Some(core.class(*class)?),
            _ => None,
        };
        let lifted = match &request.kind {
            RequestKind::Lift { hold } => core.holds.read().get(hold).cloned(),
            _ => None,
        };
        let closed = core.classes.read().closed().clone();
        Ok(Active::new(request, newest, lifted, closed))
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
        for one in active.iter().filter(|active| active.request.kind == RequestKind::Erase) {
            items.insert(one.request.number, known_items(core, one.request.number)?);
        }
        let mut sweep = Sweep {
            active,
            items,
            todo: VecDeque::new(),
            seen: HashMap::new(),
            own: HashMap::new(),
            waiting: BTreeSet::new(),
            shards: (0..core.index.shards()).collect(),
            keys: HashMap::new(),
        };
        let is_by_key = sweep.is_by_key();
        let keys = sweep.active.iter().filter_map(|active| active.keys.as_ref()).filter(|_| is_by_key);
        for key in keys.flatten() {
            sweep.keys.entry(core.index.locate(key).0).or_default().insert(key.clone());
        }
        let scope = sweep.scope(core);
        for number in 0..core.index.shards() {
            let pages = sweep.unseen(&core.index.lock(number), &scope, now_ms);
            sweep.todo.extend(pages.into_iter().map(|(page, _)| page));
        }
        // What is due first, since it waits for being looked at.
        sweep.todo.make_contiguous().sort_unstable_by_key(|page| (page.slot, *page));
        Ok(Some(sweep))
    }

    /// The pages of a shard that are in scope and have rows which were not looked at, with how many.
    fn unseen(&self, shard: &Shard, scope: &BTreeMap<ClassId, bool>, now_ms: i64) -> Vec<(PageId, u32)> {
        let parked_only = self
            .active
            .iter()
            .all(|active| active.lifted.as_ref().is_some_and(|hold| hold.terms.kind == HoldKind::Temporary));
        let mut pages = Vec::new();
        shard.each_page(&mut |id, page| {
            let in_scope = scope.get(&id.class).is_some_and(|marked_only| page.marked || !marked_only)
                && (!parked_only
                    || page.arrivals == Arrivals::Held
                    || page.earliest_ceiling_ms < now_ms
                    || !page.is_settled_in());
            let seen = self.seen.get(&id).copied().unwrap_or(0);
            if in_scope && page.rows > seen {
                pages.push((id, page.rows - seen));
            }
        });
        pages.sort_unstable();
        pages
    }

    /// Looks at what is left of a shard under its lock, and finishes the shard unless a batch is waited for. Where much
    /// is left it is looked at without holding up everybody else first.
    fn finish_shard(&mut self, core: &Core, number: usize, now_ms: i64) -> Result<()> {
        let scope = self.scope(core);
        let mut shard = core.index.lock(number);
        self.waiting.retain(|page| {
            usize::from(page.shard) != number
                || shard.page_mut(*page).is_some_and(|found| !found.is_settled_in())
        });
        let mut left = self.unseen(&shard, &scope, now_ms);
        left.retain(|(page, _)| !self.waiting.contains(page));
        if left.iter().map(|(_, rows)| u64::from(*rows)).sum::<u64>() > ROWS_UNDER_LOCK {
            self.todo.extend(left.into_iter().map(|(page, _)| page));
            return Ok(());
        }
        for (page, _) in left {
            self.visit(core, &mut shard, page, now_ms)?;
        }
        self.look_up(core, &mut shard, now_ms)?;
        if !self.waiting.iter().any(|page| usize::from(page.shard) == number) {
            self.shards.remove(&number);
        }
        Ok(())
    }

    /// Whether all requests are about keys.
    fn is_by_key(&self) -> bool {
        self.active.iter().all(|active| active.keys.is_some())
    }

    /// The classes whose rows are read, and whether only pages with marks are: where all requests are about keys, objects
    /// that are found by key are found so, and what newer registrations replaced lies in such pages.
    fn scope(&self, core: &Core) -> BTreeMap<ClassId, bool> {
        let is_by_key = self.is_by_key();
        let concerned = |class: &Class| {
            let name = &class.definition.name;
            self.active.iter().any(|active| match (&active.request.selector, &active.newest) {
                (_, Some(newest)) => *name == newest.definition.name && class.id < newest.id,
                (Selector::Class(one), None) => name == one,
                _ => true,
            })
        };
        let classes = core.classes.read();
        let read = classes.iter().filter(|class| concerned(class));
        read.map(|class| (class.id, is_by_key && class.finds_by_key())).collect()
    }

    /// Finds the objects of a shard that requests name by key.
    fn look_up(&mut self, core: &Core, shard: &mut Shard, now_ms: i64) -> Result<()> {
        let mut set = WriteSet::default();
        let staged = self.stage_keys(core, shard, &mut set, now_ms);
        unless_gap(core, &set, staged)?;
        if !set.is_empty() {
            core.writer.write(set)?;
        }
        Ok(())
    }

    fn stage_keys(&mut self, core: &Core, shard: &mut Shard, set: &mut WriteSet, now_ms: i64) -> Result<()> {
        for key in self.keys.get(&usize::from(shard.number())).cloned().unwrap_or_default() {
            let row = |id: RegistrationId, row: &Row<'_>| {
                let mut bytes = Vec::new();
                row.encode_into(&mut bytes);
                Ok((id, bytes))
            };
            // Under the lock, for in between others would come.
            let Some((id, bytes)) = SoughtKey::of(core, &key)?.live(core, shard, row)? else { continue };
            let (class, row) = (core.class(id.page.class)?, Row::decode(&bytes)?);
            match shard.page_mut(id.page).map(|page| page.state) {
                Some(PageState::InBatch | PageState::Reserved)
                    if self.active.iter().any(|active| active.may_concern(&class, &row)) =>
                {
                    self.waiting.insert(id.page);
                }
                Some(PageState::Open | PageState::Closed) => {
                    self.look(core, shard, set, id, Aim::of(&class, id, row), now_ms)?;
                    if let Some(keys) = self.keys.get_mut(&usize::from(shard.number())) {
                        keys.remove(&key);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Looks at the rows of a page that were not looked at; gives how many. The shard is locked from before the rows
    /// are read until the moves are written, so that nobody changes them in between.
    fn visit(&mut self, core: &Core, shard: &mut Shard, page: PageId, now_ms: i64) -> Result<u32> {
        let Some(found) = shard.page_mut(page).copied() else { return Ok(1) };
        if found.state == PageState::Reserved {
            // Its rows come with a commit that is on its way, and are gone from where they were.
            self.waiting.insert(page);
            return Ok(1);
        }
        let from = self.seen.get(&page).copied().unwrap_or(0);
        let mut set = WriteSet::default();
        let staged =
            self.stage_page(core, shard, &found, RegistrationId { page, seq: from }, &mut set, now_ms);
        if !unless_gap(core, &set, staged)? {
            return Ok(found.rows - from);
        }
        if !set.is_empty() {
            // Durable with what ends the sweep: a crash before leaves the request waiting, and it is swept again.
            core.writer.write(set)?;
        }
        // What was put behind these rows meanwhile, by this very look, is not among them.
        let own = self.own.remove(&page).unwrap_or_default();
        let mut seen = found.rows;
        while own.contains(&seen) {
            seen += 1;
        }
        self.seen.insert(page, seen);
        Ok(found.rows - from)
    }

    /// Stages what becomes of the rows of a page from `from` on. `false` where the page has to be waited for.
    fn stage_page(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        found: &Page,
        from: RegistrationId,
        set: &mut WriteSet,
        now_ms: i64,
    ) -> Result<bool> {
        let page = from.page;
        let class = core.class(page.class)?;
        let marks = if found.marked { place::marks(core, page)? } else { BTreeMap::new() };
        let own = self.own.get(&page).cloned().unwrap_or_default();
        // Where all requests are about keys, what lives is found by them, and only what was replaced is looked for here.
        let replaced_only = !self.keys.is_empty() && class.finds_by_key();
        for (key, value) in rows_from(core, page, from.seq)? {
            let id = schema::row_id(page.class, &key)?;
            if own.contains(&id.seq) || replaced_only && !marks.contains_key(&id) {
                continue;
            }
            let aim = Aim::of(&class, id, Row::decode(&value)?);
            let staged = match marks.get(&id) {
                None if found.state == PageState::InBatch => {
                    if self.active.iter().any(|active| active.may_concern(&class, &aim.row)) {
                        self.waiting.insert(page);
                        return Ok(false);
                    }
                    Ok(())
                }
                None => self.look(core, shard, set, id, aim, now_ms),
                Some(Mark::Replaced) if found.is_settled_in() => {
                    self.look_replaced(core, shard, set, id, &aim, now_ms)
                }
                Some(_) => Ok(()),
            };
            staged?;
        }
        Ok(true)
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
        let (key, old) = (aim.row.key, aim.row);
        let mut erased_by = Vec::new();
        for active in &mut self.active {
            // What an erasure has moved may have gone where the sweep comes by once more.
            let done = self.items.get(&active.request.number).is_some_and(|known| known.contains(&id));
            if done || !active.concerns(&aim.class, &aim.row) {
                continue;
            }
            let next = active.apply(&aim, &core.holds.read(), now_ms);
            if active.request.kind == RequestKind::Erase {
                erased_by.push(active.request.number);
            } else {
                active.request.objects += u64::from(next.is_some());
            }
            aim = next.unwrap_or(aim);
        }
        let mut now_at = id;
        if let Some(cause) = aim.cause {
            let slot = aim.slot.max(second_of(now_ms));
            core.keyring.get_or_create(aim.class.id, slot)?;
            let (_, fingerprint) = core.index.locate(key);
            let among = shard.page_mut(id.page).is_some_and(|page| page.surprises > 0);
            let surprise = place::is_surprise(&aim.class, id.page.slot, among, slot, now_ms);
            let to = Place { class: &aim.class, slot, surprise, fingerprint: &fingerprint };
            let row = Row { cause: cause.code(), attempts: 0, ..aim.row };
            now_at = place::relocate(core, shard, set, (id, &old), to, &row, cause)?;
            self.note_own(now_at);
        }
        for (number, known) in &mut self.items {
            if known.contains(&id) {
                known.insert(now_at);
            } else if erased_by.contains(number) && known.insert(now_at) {
                set.put(Family::Items, &schema::item_key(*number, now_at), key);
            }
        }
        Ok(())
    }

    /// Remembers that the sweep put a row there itself: each request has had its say.
    fn note_own(&mut self, id: RegistrationId) {
        let seen = self.seen.entry(id.page).or_insert(0);
        if *seen == id.seq {
            *seen += 1;
        } else {
            self.own.entry(id.page).or_default().insert(id.seq);
        }
    }

    /// Ends what was replaced and is concerned.
    fn look_replaced(
        &self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        id: RegistrationId,
        aim: &Aim<'_>,
        now_ms: i64,
    ) -> Result<()> {
        let Some(end) = effect::end_replaced(&self.active, aim, now_ms) else {
            return Ok(());
        };
        let Some(cause) = end.cause else { return Ok(()) };
        core.keyring.get_or_create(end.class.id, end.slot)?;
        let (_, fingerprint) = core.index.locate(end.row.key);
        let to = Place { class: &end.class, slot: end.slot, surprise: false, fingerprint: &fingerprint };
        let row = Row { cause: cause.code(), ..end.row };
        place::relocate_replaced(core, shard, set, (id, &aim.row), to, &row, cause)
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

/// Poisons where staging failed after seqs were given to rows that will not be written now: nothing may be written behind
/// such a gap.
fn unless_gap<T>(core: &Core, set: &WriteSet, staged: Result<T>) -> Result<T> {
    staged.inspect_err(|error| {
        if !set.is_empty() {
            core.writer.poison(error);
        }
    })
}

/// The rows of a page from seq `from` on.
fn rows_from(core: &Core, page: PageId, from: u32) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let end = schema::page_rows(page).end;
    let from = schema::row_key(RegistrationId { page, seq: from });
    kv::collect(&*core.kv, Family::Rows(page.class), &(from.to_vec()..end), |key, value| {
        Ok((key.to_vec(), value.to_vec()))
    })
}

/// The registrations that an erasure found so far, and where those live on that were moved since.
fn known_items(core: &Core, request: u32) -> Result<HashSet<RegistrationId>> {
    let mut known = HashSet::new();
    for mut id in items_of(core, request)? {
        while known.insert(id)
            && let Some(Mark::Moved { to, .. }) = place::mark(core, id)?
        {
            id = to;
        }
    }
    Ok(known)
}

fn items_of(core: &Core, request: u32) -> Result<Vec<RegistrationId>> {
    kv::collect(&*core.kv, Family::Items, &schema::items(request), |key, _| schema::item_id(key))
}
