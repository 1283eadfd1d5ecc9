//! What a sweep knows, and what its requests make of one row. Pure.

use crate::class::{Class, change_of_terms, second_of};
use crate::hold::{Covered, Hold, HoldKind, HoldSet, Lifted};
use crate::request::{Request, RequestKind};
use crate::schema::{Flags, Row};
use crate::selector::Selector;
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::{Cause, Reason};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

/// A sweep under way.
pub(crate) struct Sweep {
    pub(crate) active: Vec<Active>,
    /// The registrations that each erasure is known to concern, so that none is listed twice.
    pub(crate) items: HashMap<u32, HashSet<RegistrationId>>,
    pub(crate) todo: VecDeque<PageId>,
    /// Pages looked at, and how many of their rows.
    pub(crate) seen: HashMap<PageId, u32>,
    /// Rows that it put itself behind others which it had not looked at: they are not looked at again.
    pub(crate) own: HashMap<PageId, HashSet<u32>>,
    /// Pages of batches that are out, with rows that a request concerns: what is carried from them is still to be seen.
    pub(crate) waiting: BTreeSet<PageId>,
    /// Shards that are not finished.
    pub(crate) shards: BTreeSet<usize>,
    /// The keys that requests name, by shard, where all requests are about keys; those found are taken out.
    pub(crate) keys: HashMap<usize, BTreeSet<Vec<u8>>>,
}

/// A request at work.
pub(crate) struct Active {
    pub(crate) request: Request,
    /// The class that a changed class is applied as.
    pub(crate) newest: Option<Arc<Class>>,
    /// The hold that was lifted.
    pub(crate) lifted: Option<Hold>,
    /// The keys that it is about, where it is about keys. A list of them may be long, so they are looked up.
    pub(crate) keys: Option<HashSet<Vec<u8>>>,
    /// The classes that are closed down.
    pub(crate) closed: BTreeSet<String>,
}

/// Where a row is to go, and as what.
#[derive(Clone)]
pub(crate) struct Aim<'a> {
    pub(crate) class: Arc<Class>,
    pub(crate) row: Row<'a>,
    pub(crate) slot: u64,
    /// Why it moves, where it does.
    pub(crate) cause: Option<Cause>,
}

impl<'a> Aim<'a> {
    /// A row as it is.
    pub(crate) fn of(class: &Arc<Class>, id: RegistrationId, row: Row<'a>) -> Self {
        Aim { class: Arc::clone(class), row, slot: id.page.slot, cause: None }
    }
}

impl Active {
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
        Active { request, newest, lifted, keys, closed }
    }

    /// Whether the request's selector covers the row.
    fn covers(&self, class: &Class, row: &Row<'_>) -> bool {
        match &self.keys {
            Some(keys) => keys.contains(row.key),
            None => self.request.selector.covers(&class.definition.name, row.key, row.subject),
        }
    }

    /// From when on its objects are looked for.
    pub(crate) fn ready_ms(&self) -> i64 {
        self.request.ready_ms
    }

    /// Whether the request names this row as one of its objects.
    pub(crate) fn concerns(&self, class: &Class, row: &Row<'_>) -> bool {
        let covered = || self.covers(class, row);
        match &self.request.kind {
            RequestKind::Erase => !row.flags.has(Flags::RELEASED) && covered(),
            // Everything is closed but what was defined later.
            RequestKind::Close => {
                let is_closed = self.closed.contains(&class.definition.name);
                !row.flags.has(Flags::RELEASED) && is_closed && covered()
            }
            RequestKind::Apply { .. } => self.newest.as_ref().is_some_and(|newest| {
                // A sweep also looks at the rows of other classes, for the requests that it serves beside this one.
                // What the host has deleted itself is not put off by another floor.
                !row.flags.has(Flags::RELEASED)
                    && newest.definition.name == class.definition.name
                    && class.id < newest.id
            }),
            RequestKind::Lift { .. } => self.lifted.as_ref().is_some_and(|hold| {
                let outlasted =
                    |lifted: &Lifted| Covered::of(&class.definition.name, row).outlasted(lifted.at_ms);
                let kept = is_parked(row) || hold.lifted.as_ref().is_some_and(outlasted);
                (kept || restarts(hold, row)) && covered()
            }),
        }
    }

    /// Whether it may come to concern a row whose batch is out, should that carry it.
    pub(crate) fn may_concern(&self, class: &Class, row: &Row<'_>) -> bool {
        match (&self.request.kind, &self.lifted) {
            // What the hold kept when the batch was planned is parked only when it comes back.
            (RequestKind::Lift { .. }, Some(_)) => self.covers(class, row),
            _ => self.concerns(class, row),
        }
    }

    /// Carries the request out on a row that it concerns. `None` where there is nothing left to do, or it cannot be.
    pub(crate) fn apply<'a>(&self, aim: &Aim<'a>, holds: &HoldSet, now_ms: i64) -> Option<Aim<'a>> {
        match &self.request.kind {
            RequestKind::Erase => sooner(aim, Reason::Erasure, Cause::Erasure, now_ms),
            RequestKind::Close => {
                let notice_ms = i64::try_from(aim.class.definition.slot_ms).unwrap_or(i64::MAX);
                sooner(aim, Reason::Closed, Cause::Closed, now_ms.saturating_add(notice_ms))
            }
            RequestKind::Apply { .. } => retermed(aim, self.newest.as_ref()?, now_ms),
            RequestKind::Lift { .. } => let_go(aim, self.lifted.as_ref()?, holds, now_ms),
        }
    }
}

/// Whether a hold keeps it though its time has come.
fn is_parked(row: &Row<'_>) -> bool {
    row.cause == Cause::Held.code()
}

/// An event hold restarts a clock once, and only of what was there and is to go in its own time. What somebody wants
/// gone is let go as by any other hold.
fn restarts(hold: &Hold, row: &Row<'_>) -> bool {
    hold.terms.kind == HoldKind::Event
        && hold.lifted.as_ref().is_some_and(|lifted| row.start_ms < lifted.at_ms)
        && row.reason == Reason::Due
}

/// What a newer registration replaced ends at once where an erasure, a closing down or the lifting of the hold that kept
/// it covers it: its row says whose it was, and nothing is left to be deleted at its time, nor for a hold to keep.
pub(crate) fn end_replaced<'a>(active: &[Active], aim: &Aim<'a>, now_ms: i64) -> Option<Aim<'a>> {
    let moves_up = |active: &Active| match active.request.kind {
        RequestKind::Erase => Some((Reason::Erasure, Cause::Erasure, active.ready_ms())),
        RequestKind::Close => Some((Reason::Closed, Cause::Closed, active.ready_ms())),
        // What a hold had kept when it was replaced need not wait until somebody looks at it again.
        RequestKind::Lift { .. } => {
            is_parked(&aim.row).then_some((aim.row.reason, Cause::Lifted, active.ready_ms()))
        }
        RequestKind::Apply { .. } => None,
    };
    let concerned = active.iter().filter(|active| active.concerns(&aim.class, &aim.row));
    let (reason, cause, ready_ms) = concerned.filter_map(moves_up).next()?;
    let slot = second_of(ready_ms.max(now_ms));
    let row = Row { reason, ..aim.row };
    (aim.slot > slot).then(|| Aim { row, slot, cause: Some(cause), ..aim.clone() })
}

fn sooner<'a>(aim: &Aim<'a>, reason: Reason, cause: Cause, from_ms: i64) -> Option<Aim<'a>> {
    let moved_up = [Cause::Erasure, Cause::Closed].map(Cause::code).contains(&aim.row.cause);
    let reason = match aim.row.reason {
        Reason::Erasure | Reason::Closed => return None,
        // That a hold had kept it past its ceiling stays the reason why it is late.
        Reason::Lifted if moved_up || cause == Cause::Closed => return None,
        Reason::Lifted => Reason::Lifted,
        _ => reason,
    };
    let slot = aim.class.soonest_slot(aim.row.bounds(), from_ms).min(aim.slot);
    Some(Aim { row: Row { reason, ..aim.row }, slot, cause: Some(cause), ..aim.clone() })
}

fn retermed<'a>(aim: &Aim<'a>, newest: &Arc<Class>, now_ms: i64) -> Option<Aim<'a>> {
    let bounds = match newest.bounds(aim.row.start_ms) {
        Ok(bounds) => bounds,
        Err(error) => {
            tracing::error!(class = newest.definition.name, %error, "an object keeps its earlier terms");
            return None;
        }
    };
    let row = Row { floor_ms: bounds.floor_ms, ceiling_ms: bounds.ceiling_ms, ..aim.row };
    let slot = match aim.row.reason {
        Reason::Due => newest.slot(bounds, now_ms),
        // Its time had come under a hold: the grace that it was given stays.
        Reason::Lifted => newest.soonest_slot(bounds, now_ms).max(aim.slot),
        Reason::Erasure | Reason::Closed | Reason::Restored | Reason::Host => {
            newest.soonest_slot(bounds, now_ms)
        }
    };
    let cause = Some(change_of_terms(aim.row.bounds(), bounds));
    Some(Aim { class: Arc::clone(newest), row, slot, cause })
}

fn let_go<'a>(aim: &Aim<'a>, hold: &Hold, holds: &HoldSet, now_ms: i64) -> Option<Aim<'a>> {
    let lifted = hold.lifted.as_ref()?;
    let row = aim.row;
    if restarts(hold, &row) {
        let bounds = aim.class.bounds(lifted.at_ms).ok()?;
        let (floor_ms, ceiling_ms) = (bounds.floor_ms, bounds.ceiling_ms);
        let row = Row {
            start_ms: lifted.at_ms,
            floor_ms,
            ceiling_ms,
            flags: row.flags.without(Flags::OPEN),
            cause: Cause::Lifted.code(),
            ..row
        };
        let slot = aim.class.slot(bounds, now_ms);
        return Some(Aim { class: Arc::clone(&aim.class), row, slot, cause: Some(Cause::Lifted) });
    }
    if holds.is_covered_by_another(Covered::of(&aim.class.definition.name, &row), &hold.id) {
        return None;
    }
    // Past its ceiling there is nothing left to miss: it goes when the grace has passed. Before it, in time.
    let lead_ms = i64::try_from(aim.class.definition.lead_ms).unwrap_or(i64::MAX);
    let grace_until_ms = holds.grace_until_ms(Covered::of(&aim.class.definition.name, &row));
    let after_grace = grace_until_ms.max(now_ms);
    let in_time = row.ceiling_ms.saturating_sub(lead_ms).max(now_ms);
    let is_late = row.ceiling_ms <= now_ms;
    let from_ms = if is_late { after_grace } else { after_grace.min(in_time) };
    let slot = aim.class.soonest_slot(row.bounds(), from_ms);
    let reason = if is_late { Reason::Lifted } else { row.reason };
    // No other hold that was lifted lets it go once more.
    let row = Row { reason, cause: Cause::Lifted.code(), ..row };
    Some(Aim { row, slot, cause: Some(Cause::Lifted), ..aim.clone() })
}
