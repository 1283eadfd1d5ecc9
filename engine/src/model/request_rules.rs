//! Rules of requests: the state of a sweep, and what its requests make of one row. Pure.

use crate::model::class::{Class, change_of_terms, floor_to_second};
use crate::model::hold::{Hold, HoldFacts, HoldKind, HoldSet, Lifted};
use crate::model::request::{Request, RequestKind};
use crate::model::schema::{Flags, Row};
use crate::model::selector::Selector;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::{Cause, Reason};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// State of a sweep: one pass over the rows for all requests that wait.
pub(crate) struct Sweep {
    /// Requests that the sweep serves.
    pub(crate) active: Vec<ActiveRequest>,
    /// Registrations already listed for each erasure, by its number. Prevents listing one twice.
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
    /// Keys that requests name, by shard, if all requests are about keys. A key is removed once it is found.
    pub(crate) keys: HashMap<usize, BTreeSet<Vec<u8>>>,
}

/// Request that a sweep carries out.
pub(crate) struct ActiveRequest {
    pub(crate) request: Request,
    /// Newest version of the class that is applied; `None` for other kinds of requests.
    pub(crate) newest: Option<Arc<Class>>,
    /// Hold that was lifted; `None` for other kinds of requests.
    pub(crate) lifted: Option<Hold>,
    /// Keys of the selector, hashed because the list may be long; `None` if the selector is not about keys.
    pub(crate) keys: Option<HashSet<Vec<u8>>>,
    /// Names of the classes that are closed down.
    pub(crate) closed: BTreeSet<String>,
}

/// Destination of a row: the class version, content and slot with which it goes on.
#[derive(Clone)]
pub(crate) struct Target<'a> {
    pub(crate) class: Arc<Class>,
    pub(crate) row: Row<'a>,
    pub(crate) slot: u64,
    /// Cause of the move; `None` if the row stays where it is.
    pub(crate) cause: Option<Cause>,
}

impl<'a> Target<'a> {
    /// Returns the present place and content of a row.
    pub(crate) fn of(class: &Arc<Class>, id: RegistrationId, row: Row<'a>) -> Self {
        Target { class: Arc::clone(class), row, slot: id.page.slot, cause: None }
    }
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
            Selector::Keys(keys) => Some(keys.iter().cloned().collect()),
            _ => None,
        };
        ActiveRequest { request, newest, lifted, keys, closed }
    }

    /// Returns `true` if the request's selector covers the row.
    fn covers(&self, class: &Class, row: &Row<'_>) -> bool {
        match &self.keys {
            Some(keys) => keys.contains(row.key),
            None => self.request.selector.covers(&class.definition.name, row.key, row.subject),
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
                let outlasted =
                    |lifted: &Lifted| HoldFacts::of(&class.definition.name, row).outlasted(lifted.at);
                let kept = is_parked(row) || hold.lifted.as_ref().is_some_and(outlasted);
                (kept || restarts(hold, row)) && covered()
            }),
        }
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
            RequestKind::Erase => expedite(target, Reason::Erasure, Cause::Erasure, now),
            RequestKind::Close => {
                let notice = target.class.definition.slot;
                expedite(target, Reason::Closed, Cause::Closed, now.saturating_add(notice))
            }
            RequestKind::Apply { .. } => reclassify(target, self.newest.as_ref()?, now),
            RequestKind::Lift { .. } => release_from_hold(target, self.lifted.as_ref()?, holds, now),
        }
    }
}

/// Returns `true` if a hold kept the row past its due slot.
fn is_parked(row: &Row<'_>) -> bool {
    row.cause == Cause::Held.code()
}

/// Returns `true` if lifting the hold restarts the time of the row.
///
/// An event hold restarts the time once, and only of rows that started before it was lifted and are due in their own time.
/// Rows that a request moved up are released as by a temporary hold.
fn restarts(hold: &Hold, row: &Row<'_>) -> bool {
    hold.terms.kind == HoldKind::Event
        && hold.lifted.as_ref().is_some_and(|lifted| row.start < lifted.at)
        && row.reason == Reason::Due
}

/// Moves a replaced row up so that it ends at once. Only an erasure, a closing down, or a lifted hold that kept the row
/// does so.
///
/// A newer registration of the key replaced it, so no object is left to be deleted or kept. But the row still names a
/// person's data.
pub(crate) fn end_replaced<'a>(
    active: &[ActiveRequest],
    target: &Target<'a>,
    now: Timestamp,
) -> Option<Target<'a>> {
    let moves_up = |active: &ActiveRequest| match active.request.kind {
        RequestKind::Erase => Some((Reason::Erasure, Cause::Erasure, active.ready())),
        RequestKind::Close => Some((Reason::Closed, Cause::Closed, active.ready())),
        // A row that a hold had kept when it was replaced need not wait for its next slot.
        RequestKind::Lift { .. } => {
            is_parked(&target.row).then_some((target.row.reason, Cause::Lifted, active.ready()))
        }
        RequestKind::Apply { .. } => None,
    };
    let concerned = active.iter().filter(|active| active.concerns(&target.class, &target.row));
    let (reason, cause, ready) = concerned.filter_map(moves_up).next()?;
    let slot = floor_to_second(ready.max(now));
    let row = Row { reason, ..target.row };
    (target.slot > slot).then(|| Target { row, slot, cause: Some(cause), ..target.clone() })
}

/// Moves a row up to the soonest slot from `from` on that its floor allows.
fn expedite<'a>(target: &Target<'a>, reason: Reason, cause: Cause, from: Timestamp) -> Option<Target<'a>> {
    let moved_up = [Cause::Erasure, Cause::Closed].map(Cause::code).contains(&target.row.cause);
    let reason = match target.row.reason {
        Reason::Erasure | Reason::Closed => return None,
        // The hold that kept the row past its ceiling stays the reason for its lateness.
        Reason::Lifted if moved_up || cause == Cause::Closed => return None,
        Reason::Lifted => Reason::Lifted,
        _ => reason,
    };
    let slot = target.class.soonest_slot(target.row.bounds(), from).min(target.slot);
    Some(Target { row: Row { reason, ..target.row }, slot, cause: Some(cause), ..target.clone() })
}

/// Puts a row under the newest version of its class.
fn reclassify<'a>(target: &Target<'a>, newest: &Arc<Class>, now: Timestamp) -> Option<Target<'a>> {
    let bounds = match newest.bounds(target.row.start) {
        Ok(bounds) => bounds,
        Err(error) => {
            tracing::error!(class = newest.definition.name, %error, "an object keeps its earlier terms");
            return None;
        }
    };
    let row = Row { floor: bounds.floor, ceiling: bounds.ceiling, ..target.row };
    let slot = match target.row.reason {
        Reason::Due => newest.slot(bounds, now),
        // Its retention expired under a hold. The grace that it was given stays.
        Reason::Lifted => newest.soonest_slot(bounds, now).max(target.slot),
        Reason::Erasure | Reason::Closed | Reason::Restored | Reason::Host => {
            newest.soonest_slot(bounds, now)
        }
    };
    let cause = Some(change_of_terms(target.row.bounds(), bounds));
    Some(Target { class: Arc::clone(newest), row, slot, cause })
}

/// Releases a row from a lifted hold, unless another hold covers it.
fn release_from_hold<'a>(
    target: &Target<'a>,
    hold: &Hold,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let lifted = hold.lifted.as_ref()?;
    let row = target.row;
    if restarts(hold, &row) {
        let bounds = target.class.bounds(lifted.at).ok()?;
        let row = Row {
            start: lifted.at,
            floor: bounds.floor,
            ceiling: bounds.ceiling,
            flags: row.flags.without(Flags::OPEN),
            cause: Cause::Lifted.code(),
            ..row
        };
        let slot = target.class.slot(bounds, now);
        return Some(Target { class: Arc::clone(&target.class), row, slot, cause: Some(Cause::Lifted) });
    }
    if holds.is_covered_by_another(HoldFacts::of(&target.class.definition.name, &row), &hold.id) {
        return None;
    }
    // Past its ceiling, a row is deleted when the grace has passed. Before its ceiling, it is deleted in time.
    let grace_until = holds.grace_until(HoldFacts::of(&target.class.definition.name, &row));
    let after_grace = grace_until.map_or(now, |until| until.max(now));
    let ceiling = row.ceiling.unwrap_or(Timestamp::MAX);
    let in_time = ceiling.saturating_sub(target.class.definition.lead).max(now);
    let is_late = ceiling <= now;
    let from = if is_late { after_grace } else { after_grace.min(in_time) };
    let slot = target.class.soonest_slot(row.bounds(), from);
    let reason = if is_late { Reason::Lifted } else { row.reason };
    // The cause keeps another lifted hold from releasing the row again.
    let row = Row { reason, cause: Cause::Lifted.code(), ..row };
    Some(Target { row, slot, cause: Some(Cause::Lifted), ..target.clone() })
}
