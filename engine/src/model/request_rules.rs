//! Rules of requests: the state of a sweep, and what its requests make of one row. Pure.

use crate::model::class::{Class, change_of_terms, floor_to_second};
use crate::model::clock_rules;
use crate::model::hold::{Hold, HoldFacts, HoldKind, HoldSet, Lifted};
use crate::model::request::{Request, RequestKind};
use crate::model::schema::{Flags, Row};
use crate::model::selector::Selector;
use crate::model::target::{self, Target};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::StartRule;
use sexton_proof::record::{Cause, Reason};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
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
                let kept = row.is_parked() || hold.lifted.as_ref().is_some_and(outlasted);
                (kept || restarts(hold, row)) && covered()
            }),
            RequestKind::Doubt { doubt, .. } => {
                !row.flags.has(Flags::RELEASED) && row.doubt.is_some_and(|found| found.number == *doubt)
            }
            RequestKind::Back { .. } => !row.flags.has(Flags::RELEASED),
        }
    }

    /// Returns `true` if the row is listed under the request ([`Request::lists_objects`]), given that it concerns the row.
    /// `is_moved` is `true` if the request moves it.
    pub(crate) fn lists(&self, row: &Row<'_>, is_moved: bool) -> bool {
        match self.request.kind {
            RequestKind::Erase => true,
            RequestKind::Doubt { verdict, .. } => {
                !is_moved && clock_rules::starts_after_its_doubt(row, verdict)
            }
            RequestKind::Back { era, to, .. } => !is_moved && row.era < era && row.start > to,
            RequestKind::Close | RequestKind::Apply { .. } | RequestKind::Lift { .. } => false,
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
            RequestKind::Doubt { verdict, .. } => clock_rules::end_doubt(target, *verdict, now),
            RequestKind::Back { era, to, by } => clock_rules::set_back(target, *era, (*to, *by), now),
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
            RequestKind::Doubt { .. } | RequestKind::Back { .. } => {
                target = active.apply(&target, holds, now).unwrap_or(target);
                continue;
            }
        };
        let slot = floor_to_second(active.ready().max(now));
        if target.slot > slot {
            let row = Row { reason, ..target.row };
            return Some(Target { row, slot, cause: Some(cause), stays_parked: false, ..target });
        }
        break;
    }
    target.cause.is_some().then_some(target)
}

/// Moves a row up to the soonest slot from `from` on that its floor allows.
///
/// An erasure is the reason of the end whether it was asked for before or after a closing. Of both slots the sooner counts.
fn expedite<'a>(target: &Target<'a>, reason: Reason, cause: Cause, from: Timestamp) -> Option<Target<'a>> {
    let reason = if target.row.reason == Reason::Erasure { Reason::Erasure } else { reason };
    let row = Row { reason, ..target.row };
    let slot = if target::in_grace(&row) {
        target.slot
    } else {
        target.class.soonest_slot(row.bounds(), from).min(target.slot)
    };
    if (row.reason, slot) == (target.row.reason, target.slot) {
        return None;
    }
    let stays_parked = target.stays_parked && target::in_grace(&row);
    Some(Target { row, slot, cause: Some(cause), stays_parked, ..target.clone() })
}

/// Puts a row under the newest version of its class.
fn reclassify<'a>(target: &Target<'a>, newest: &Arc<Class>, now: Timestamp) -> Option<Target<'a>> {
    let row = target.row;
    let (start, flags) = start_under(&target.class, newest, &row, now);
    let bounds = match newest.bounds(start) {
        Ok(bounds) => bounds,
        Err(error) => {
            tracing::error!(class = newest.definition.name, %error, "an object keeps its earlier terms");
            return None;
        }
    };
    let cause = Some(change_of_terms(row.bounds(), bounds));
    let row = Row { flags, ..row.under(target.class.id, newest.id, start, bounds) };
    // An object that outlasted a hold keeps the grace that it was given. If another hold parked it, it stays parked.
    let in_grace = target::in_grace(&row);
    let soonest = newest.soonest_slot(bounds, now);
    let slot = match row.reason {
        _ if in_grace => soonest.max(target.slot),
        Reason::Due => newest.slot(bounds, now),
        _ => soonest,
    };
    let stays_parked = target.stays_parked && in_grace;
    Some(Target { class: Arc::clone(newest), row, slot, cause, stays_parked })
}

/// Returns start and flags of a row that goes from one class version to another.
///
/// A start that is known stays. A start that is not known yet follows the rule of the new class, from the instant of
/// registration on.
pub(crate) fn start_under(from: &Class, to: &Class, row: &Row<'_>, now: Timestamp) -> (Timestamp, Flags) {
    let is_open = row.flags.has(Flags::OPEN) && row.start > now;
    let registered = from.registered_at(row.start).filter(|_| is_open);
    let start = registered.and_then(|registered| to.assumed_start(registered));
    match start {
        Some(start) if to.definition.start == StartRule::Registered => {
            (start, row.flags.without(Flags::OPEN))
        }
        Some(start) => (start, row.flags),
        None => (row.start, row.flags),
    }
}

/// Releases a row from a lifted hold, unless another hold covers it.
fn release_from_hold<'a>(
    target: &Target<'a>,
    hold: &Hold,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    if restarts(hold, &target.row) {
        return restart(target, hold.lifted.as_ref()?.at, now);
    }
    let row = target.row;
    let facts = HoldFacts::of(&target.class.definition.name, &row);
    if holds.is_covered_by_another(facts, &hold.id) {
        return None;
    }
    // Past its ceiling, a row is deleted when the grace has passed. Before its ceiling, it is deleted in time. An erasure
    // waits for neither.
    let after_grace = holds.grace_until(facts).map_or(now, |until| until.max(now));
    let ceiling = row.ceiling.unwrap_or(Timestamp::MAX);
    let in_time = ceiling.saturating_sub(target.class.definition.lead).max(now);
    let is_late = ceiling <= now;
    let soonest = |from| target.class.soonest_slot(row.bounds(), from);
    let slot = match (row.reason, target.cause) {
        (Reason::Erasure, _) => soonest(now),
        _ if is_late => soonest(after_grace),
        // This sweep moved it up.
        (Reason::Closed | Reason::Restored, Some(_)) => soonest(after_grace.min(in_time)).min(target.slot),
        // Its slot passed under the hold, so it goes at once.
        (Reason::Closed | Reason::Restored, None) => soonest(now),
        (Reason::Due | Reason::Lifted | Reason::Host, _) => soonest(after_grace.min(in_time)),
    };
    let flags = if is_late { row.flags.with(Flags::OUTLASTED) } else { row.flags };
    // The cause keeps another lifted hold from releasing the row again.
    let row = Row { flags, cause: Cause::Lifted.code(), ..row };
    Some(Target { row, slot, cause: Some(Cause::Lifted), stays_parked: false, ..target.clone() })
}

/// Lets the time of a row count from `lifted` on, when an event hold on it was lifted. `None` if its class allows no bounds
/// from there.
fn restart<'a>(target: &Target<'a>, lifted: Timestamp, now: Timestamp) -> Option<Target<'a>> {
    let class = &target.class;
    let bounds = class.bounds(lifted).ok()?;
    let row = target.row.under(class.id, class.id, lifted, bounds);
    let flags = row.flags.without(Flags::OPEN).without(Flags::OUTLASTED).with(Flags::CLOCKED);
    let slot = match row.reason {
        Reason::Due => class.slot(bounds, now),
        // A closing gives the notice of a slot.
        Reason::Closed => class.soonest_slot(bounds, now.saturating_add(class.definition.slot)),
        _ => class.soonest_slot(bounds, now),
    };
    let row = Row { flags, cause: Cause::Lifted.code(), doubt: None, ..row };
    let (class, cause) = (Arc::clone(class), Some(Cause::Lifted));
    Some(Target { class, row, slot, cause, stays_parked: false })
}
