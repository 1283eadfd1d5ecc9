//! Rules of requests: the state of a sweep, and what its requests make of one row. Pure.

use crate::model::class::{Class, change_of_terms, floor_to_second};
use crate::model::clock_rules;
use crate::model::grace;
use crate::model::hold::{Hold, HoldFacts, HoldKind, HoldSet, Lifted};
use crate::model::request::{Request, RequestKind};
use crate::model::schema::{Flags, Row};
use crate::model::selector::Selector;
use crate::model::target::Target;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::StartRule;
use sexton_proof::record::{Cause, Reason};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// State of a sweep: one pass over the rows for all requests that wait.
pub(crate) struct Sweep {
    /// Requests that the sweep serves.
    pub(crate) active: Vec<ActiveRequest>,
    /// Registrations already listed for each request that lists its objects, by its number. Prevents listing one twice.
    pub(crate) objects: HashMap<u32, HashSet<RegistrationId>>,
    /// Pages that the sweep has not visited.
    pub(crate) todo: VecDeque<PageId>,
    /// Visited pages, with the number of their rows then.
    pub(crate) seen: HashMap<PageId, u32>,
    /// Seqs of rows that the sweep wrote itself behind rows it had not visited. It skips them later.
    pub(crate) own: HashMap<PageId, HashSet<u32>>,
    /// Pages of batches in flight with rows that a request may concern. What is carried from them is still to be visited.
    pub(crate) waiting: BTreeSet<PageId>,
    /// Shards that the sweep has not finished.
    pub(crate) shards: BTreeSet<usize>,
    /// `true` if the sweep looks only for objects whose slot came under a hold. That is so if all its requests are lifted
    /// temporary holds, and no grace of an earlier one lasts that a longer one would replace.
    pub(crate) is_about_held: bool,
    /// Keys that are still to be looked up, if all requests are about keys. No list is empty. The lists are by the shard in
    /// which most of their objects are; a renamed object may be in any other.
    pub(crate) keys: BTreeMap<usize, VecDeque<Arc<[u8]>>>,
    /// Keys whose objects are in batches in flight, by the shard of these objects. They are looked up again once such a
    /// batch is done.
    pub(crate) keys_in_batches: BTreeMap<usize, VecDeque<Arc<[u8]>>>,
}

impl Sweep {
    /// Returns `true` if there are rows to scan or keys to look up right now.
    pub(crate) fn has_more(&self) -> bool {
        !self.todo.is_empty() || !self.keys.is_empty()
    }
}

impl Sweep {
    /// Follows a rename, which may take an object into a shard that was finished already. That shard is finished again.
    pub(crate) fn follow(&mut self, from: RegistrationId, to: RegistrationId) {
        self.shards.insert(to.page.shard.into());
        for known in self.objects.values_mut().filter(|known| known.contains(&from)) {
            known.insert(to);
        }
    }
}

/// Request that a sweep carries out.
pub(crate) struct ActiveRequest {
    pub(crate) request: Request,
    /// Newest version of the class that is applied; `None` for other kinds of requests.
    pub(crate) newest: Option<Arc<Class>>,
    /// Hold that was lifted; `None` for other kinds of requests.
    pub(crate) lifted: Option<Hold>,
    /// Keys of the selector, hashed because the list may be long; `None` if the selector is not about keys.
    pub(crate) keys: Option<HashSet<Arc<[u8]>>>,
    /// Names of the classes that are closed down.
    pub(crate) closed: BTreeSet<String>,
}

impl ActiveRequest {
    /// Prepares a request for a sweep.
    pub(crate) fn new(
        request: Request,
        newest: Option<Arc<Class>>,
        lifted: Option<Hold>,
        closed: BTreeSet<String>,
    ) -> Self {
        let keys = match &request.selector {
            Selector::Keys(keys) => Some(keys.iter().map(Arc::from).collect()),
            _ => None,
        };
        ActiveRequest { request, newest, lifted, keys, closed }
    }

    /// Returns `true` if the request's selector covers the row.
    fn covers(&self, class: &Class, row: &Row<'_>) -> bool {
        match &self.keys {
            Some(keys) => row.names().iter().any(|name| keys.contains(name)),
            None => self.request.selector.covers(&class.definition.name, row.names(), row.subject),
        }
    }

    /// Returns the instant from which the sweep looks for the request's objects.
    pub(crate) fn ready(&self) -> Timestamp {
        self.request.ready
    }

    /// Returns `true` if the request concerns this row.
    pub(crate) fn concerns(&self, class: &Class, row: &Row<'_>) -> bool {
        let covered = || self.covers(class, row);
        match &self.request.kind {
            RequestKind::Erase => !row.flags.has(Flags::RELEASED) && covered(),
            // Classes defined after the closing down are not closed.
            RequestKind::Close => {
                let is_closed = self.closed.contains(&class.definition.name);
                !row.flags.has(Flags::RELEASED) && is_closed && covered()
            }
            RequestKind::Apply { .. } => self.newest.as_ref().is_some_and(|newest| {
                // The sweep also visits rows of other classes, for other requests.
                // A later floor does not delay what the host has deleted itself.
                !row.flags.has(Flags::RELEASED)
                    && newest.definition.name == class.definition.name
                    && class.id < newest.id
            }),
            RequestKind::Lift { .. } => self.lifted.as_ref().is_some_and(|hold| {
                let fell_due = |lifted: &Lifted| grace::fell_due(class, row) < lifted.at;
                let kept = row.is_parked()
                    || !row.flags.has(Flags::RELEASED) && hold.lifted.as_ref().is_some_and(fell_due);
                (kept || restarts(hold, row)) && covered()
            }),
            RequestKind::Doubt { doubt, .. } => row.doubt.is_some_and(|found| found.number == *doubt),
            RequestKind::Back(_) => true,
        }
    }

    /// Returns `true` if the row is listed under the request ([`Request::lists_objects`]), given that it concerns the row.
    /// `is_moved` is `true` if the request moves it.
    pub(crate) fn lists(&self, target: &Target<'_>, is_moved: bool) -> bool {
        let row = &target.row;
        match &self.request.kind {
            RequestKind::Erase => true,
            RequestKind::Doubt { .. } | RequestKind::Back(_) if row.flags.has(Flags::RELEASED) => false,
            RequestKind::Doubt { verdict, .. } => {
                !is_moved && clock_rules::starts_after_its_doubt(row, *verdict)
            }
            RequestKind::Back(back) => clock_rules::may_start_late(target, back, is_moved),
            RequestKind::Close | RequestKind::Apply { .. } | RequestKind::Lift { .. } => false,
        }
    }

    /// Returns `true` if a row that the request moves counts as one of its objects. `row` is the row before the move. The
    /// objects of an erasure are counted at its end, from those that it lists.
    ///
    /// A row that a batch carried during the sweep is visited again. A closing left its reason on it. A request about the
    /// clock does not move it again. An applied class and a lifted hold no longer concern it.
    pub(crate) fn counts(&self, row: &Row<'_>) -> bool {
        self.request.kind != RequestKind::Close || row.reason != Reason::Closed
    }

    /// Returns `true` if the request may concern a row of a batch in flight, should the batch carry it.
    pub(crate) fn may_concern(&self, class: &Class, row: &Row<'_>) -> bool {
        match (&self.request.kind, &self.lifted) {
            // A row that the hold kept when the batch was planned is parked only once the batch has carried it.
            (RequestKind::Lift { .. }, Some(_)) => self.covers(class, row),
            _ => self.concerns(class, row),
        }
    }

    /// Applies the request to a row that it concerns. Returns `None` if the row stays as it is.
    pub(crate) fn apply<'a>(
        &self,
        target: &Target<'a>,
        holds: &HoldSet,
        now: Timestamp,
    ) -> Option<Target<'a>> {
        match &self.request.kind {
            RequestKind::Erase => expedite(target, Reason::Erasure, Cause::Erasure, holds, now),
            RequestKind::Close => {
                let notice = target.class.definition.slot;
                expedite(target, Reason::Closed, Cause::Closed, holds, now.saturating_add(notice))
            }
            RequestKind::Apply { .. } => reclassify(target, self.newest.as_ref()?, holds, now),
            RequestKind::Lift { .. } => release_from_hold(target, self.lifted.as_ref()?, holds, now),
            RequestKind::Doubt { verdict, .. } => clock_rules::end_doubt(target, *verdict, holds, now),
            RequestKind::Back(back) => clock_rules::set_back(target, back, holds, now),
        }
    }
}

/// Returns `true` if lifting the hold restarts the time of the row.
///
/// An event hold restarts the time of every object that started before it was lifted, whatever else was decided about the
/// object. So an erasure waits for the new floor, whether it was asked for before, under or after the hold.
fn restarts(hold: &Hold, row: &Row<'_>) -> bool {
    hold.terms.kind == HoldKind::Event
        && !row.flags.has(Flags::RELEASED)
        && hold.lifted.as_ref().is_some_and(|lifted| row.start < lifted.at)
}

/// Moves a replaced row up so that it ends at once. Only an erasure, a closing down, or a lifted hold that kept the row
/// does so. A request about the clock corrects its time, as that of a live row.
///
/// A newer registration of the key replaced it, so no object is left to be deleted or kept. But the row still names a
/// person's data.
pub(crate) fn end_replaced<'a>(
    active: &[ActiveRequest],
    target: &Target<'a>,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let mut target = target.clone();
    for active in active {
        if !active.concerns(&target.class, &target.row) {
            continue;
        }
        let (reason, cause) = match active.request.kind {
            RequestKind::Erase => (Reason::Erasure, Cause::Erasure),
            RequestKind::Close => (Reason::Closed, Cause::Closed),
            // A row that a hold had kept when it was replaced need not wait for its next slot.
            RequestKind::Lift { .. } if target.row.is_parked() => (target.row.reason, Cause::Lifted),
            RequestKind::Lift { .. } | RequestKind::Apply { .. } => continue,
            RequestKind::Doubt { .. } | RequestKind::Back(_) => {
                target = active.apply(&target, holds, now).unwrap_or(target);
                continue;
            }
        };
        let slot = floor_to_second(active.ready().max(now));
        if target.slot > slot {
            let row = Row { reason, cause: cause.code(), ..target.row };
            return Some(Target { row, slot, cause: Some(cause), ..target });
        }
        break;
    }
    target.cause.is_some().then_some(target)
}

/// Moves a row up to the soonest slot from `from` on that its floor and its grace allow. A parked row waits for its hold.
///
/// An erasure is the reason of the end whether it was asked for before or after a closing. Of both slots the sooner counts.
fn expedite<'a>(
    target: &Target<'a>,
    reason: Reason,
    cause: Cause,
    holds: &HoldSet,
    from: Timestamp,
) -> Option<Target<'a>> {
    let reason = if target.row.reason == Reason::Erasure { Reason::Erasure } else { reason };
    let (class, row) = (&target.class, Row { reason, ..target.row });
    let slot = match row.is_parked() {
        true => target.slot,
        false => {
            grace::slot_from(class, &row, holds, class.soonest_slot(row.bounds(), from)).min(target.slot)
        }
    };
    if (row.reason, slot) == (target.row.reason, target.slot) {
        return None;
    }
    Some(Target { row, slot, cause: Some(cause), ..target.clone() })
}

/// Puts a row under the newest version of its class. A parked row stays parked.
fn reclassify<'a>(
    target: &Target<'a>,
    newest: &Arc<Class>,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let row = target.row;
    let new = start_under(&target.class, newest, &row, now);
    let bounds = match newest.bounds(new.start) {
        Ok(bounds) => bounds,
        Err(error) => {
            tracing::error!(class = newest.definition.name, %error, "an object keeps its earlier terms");
            return None;
        }
    };
    let cause = Some(change_of_terms(row.bounds(), bounds));
    let row = new.of(row.under(target.class.id, newest.id, new.start, bounds));
    let row = grace::marked(newest, row, holds);
    let slot = match row.is_parked() {
        true => target.slot,
        false => grace::slot(newest, &row, holds, now),
    };
    Some(Target { class: Arc::clone(newest), row, slot, cause })
}

/// Start of a row under other terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewStart {
    pub(crate) start: Timestamp,
    /// Flags of the row.
    flags: Flags,
    /// Instant of registration, if the start is not known and is not the one that the class assumes.
    registered: Option<Timestamp>,
}

impl NewStart {
    /// Returns the start that the host states for a row.
    pub(crate) fn stated(row: &Row<'_>, start: Timestamp) -> NewStart {
        NewStart { start, flags: row.flags.without(Flags::OPEN).without(Flags::CLOCKED), registered: None }
    }

    /// Returns `true` if a row has this start already.
    pub(crate) fn is_of(&self, row: &Row<'_>) -> bool {
        (self.start, self.flags) == (row.start, row.flags)
    }

    /// Returns the row, which is under its new terms, with the marks of this start.
    pub(crate) fn of<'a>(&self, row: Row<'a>) -> Row<'a> {
        Row { flags: self.flags, registered: self.registered, ..row }
    }
}

/// Returns the start of a row that goes from one class version to another.
///
/// A start that is known stays. A start that is not known yet follows the rule of the new class, from the instant of
/// registration on. If that class assumes no start, or the assumed one has passed, the earlier assumption stays. The row then
/// keeps the instant of registration, for the next class and for corrections of the clock.
pub(crate) fn start_under(from: &Class, to: &Class, row: &Row<'_>, now: Timestamp) -> NewStart {
    let Row { start, flags, .. } = *row;
    if !flags.has(Flags::OPEN) {
        return NewStart { start, flags, registered: row.registered };
    }
    let registered = clock_rules::opened_at(from, row);
    let assumed = registered.filter(|_| start > now).and_then(|registered| to.assumed_start(registered));
    match assumed {
        Some(start) if to.definition.start == StartRule::Registered => {
            NewStart { start, flags: flags.without(Flags::OPEN), registered: None }
        }
        Some(start) => NewStart { start, flags, registered: None },
        None => NewStart { start, flags, registered },
    }
}

/// Releases a row from a lifted hold, unless another hold covers it. `None` if its slot had not come, and no grace moves it.
fn release_from_hold<'a>(
    target: &Target<'a>,
    hold: &Hold,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let (class, lifted) = (&target.class, hold.lifted.as_ref()?.at);
    if restarts(hold, &target.row) {
        return restart(target, lifted, holds, now);
    }
    let facts = HoldFacts::of(&class.definition.name, target.slot, &target.row);
    if holds.is_covered_by_another(facts, &hold.id) {
        return None;
    }
    let row = grace::marked(class, target.row, holds);
    let had_come = row.is_parked() || facts.came_up_before(lifted);
    let slot = match had_come {
        true => grace::slot(class, &row, holds, now),
        false => grace::slot_from(class, &row, holds, target.slot),
    };
    if !had_come && (row.flags, slot) == (target.row.flags, target.slot) {
        return None;
    }
    let row = Row { cause: Cause::Lifted.code(), ..row };
    Some(Target { row, slot, cause: Some(Cause::Lifted), ..target.clone() })
}

/// Lets the time of a row count from `lifted` on, when an event hold on it was lifted. `None` if its class allows no bounds
/// from there.
fn restart<'a>(
    target: &Target<'a>,
    lifted: Timestamp,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let class = &target.class;
    let bounds = class.bounds(lifted).ok()?;
    let row = target.row.under(class.id, class.id, lifted, bounds);
    let flags = row.flags.without(Flags::OPEN).with(Flags::CLOCKED);
    let row = Row { flags, cause: Cause::Lifted.code(), doubt: None, registered: None, ..row };
    let row = grace::marked(class, row, holds);
    let slot = match row.reason {
        Reason::Due => class.slot(bounds, now),
        // A closing gives the notice of a slot.
        Reason::Closed => class.soonest_slot(bounds, now.saturating_add(class.definition.slot)),
        _ => class.soonest_slot(bounds, now),
    };
    let slot = grace::slot_from(class, &row, holds, slot);
    Some(Target { class: Arc::clone(class), row, slot, cause: Some(Cause::Lifted) })
}
