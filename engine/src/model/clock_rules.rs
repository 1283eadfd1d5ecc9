//! Rules for objects that were registered by a wrong clock: their true start once the clock is right. Pure.

use crate::model::class::{Class, change_of_terms, floor_to_second};
use crate::model::clock_guard::Verdict;
use crate::model::schema::{Doubt, Flags, Row};
use crate::model::target::{self, Target};
use sexton_proof::record::Reason;
use sexton_proof::time::{Timestamp, whole_ms};
use sexton_proof::window::Bounds;
use std::sync::Arc;
use std::time::Duration;

/// Puts a row that was registered in a doubt under its true start. `None` if its host stated the start.
pub(crate) fn end_doubt<'a>(target: &Target<'a>, verdict: Verdict, now: Timestamp) -> Option<Target<'a>> {
    let registered = true_registration(&target.row, verdict, now)?;
    if !target.row.flags.has(Flags::CLOCKED) {
        return None;
    }
    let start = start_of(&target.class, &target.row, registered)?;
    let bounds = target.class.bounds(start).ok()?;
    let slot = match target.row.reason {
        _ if target.stays_parked || target::in_grace(&target.row) => target.slot,
        _ => slot_of(&target.class, &target.row, bounds, now),
    };
    let row = Row { doubt: None, ..target.row.under(target.class.id, target.class.id, start, bounds) };
    let cause = Some(change_of_terms(target.row.bounds(), bounds));
    Some(Target { row, slot, cause, ..target.clone() })
}

/// Returns `true` if a row that was registered in a doubt starts after its true registration. Such a start was most likely
/// taken from the wrong clock.
pub(crate) fn starts_after_its_doubt(row: &Row<'_>, verdict: Verdict) -> bool {
    true_registration(row, verdict, Timestamp::MAX).is_some_and(|registered| row.start > registered)
}

/// Returns the true instant of registration of a row that was registered in a doubt. `None` if it was in none.
///
/// The expected time counts on evenly, so its distance from the right clock at the end of the doubt is the one that it had
/// at the registration. The wall clock may have been set several times meanwhile: it only limits the result. If the engine
/// was off in between, the distance is too long, and the result too late, never too early.
fn true_registration(row: &Row<'_>, verdict: Verdict, now: Timestamp) -> Option<Timestamp> {
    let Doubt { wall, expected, .. } = row.doubt?;
    let later = expected.saturating_add(verdict.lag);
    Some(if verdict.is_unsure {
        if wall <= now { wall.max(later) } else { later }
    } else if !verdict.wall_was_right {
        later
    } else if !verdict.lead.is_zero() {
        expected.saturating_sub(verdict.lead).max(wall)
    } else if wall >= expected {
        wall.min(later)
    } else {
        later
    })
}

/// Corrects a row after time went back to `to`, by `by`, at the beginning of `era`. `None` if nothing in it comes from the
/// time after `to`.
///
/// An object of an earlier era cannot have been registered after `to`. If its start was read from the clock, the start moves
/// back with the time. Slots that were counted from the wrong time move as well: retries, parked rows and graces.
pub(crate) fn set_back<'a>(
    target: &Target<'a>,
    era: u32,
    (to, by): (Timestamp, Duration),
    now: Timestamp,
) -> Option<Target<'a>> {
    let (class, row) = (&target.class, target.row);
    let registered = match row.flags.has(Flags::OPEN) {
        true => class.registered_at(row.start)?,
        false => row.start,
    };
    let is_wrong = row.flags.has(Flags::CLOCKED) && row.era < era && registered > to;
    let (row, bounds) = if is_wrong {
        let start = start_of(class, &row, registered.saturating_sub(by).min(to))?;
        let bounds = class.bounds(start).ok()?;
        (Row { era, ..row.under(class.id, class.id, start, bounds) }, bounds)
    } else {
        (row, row.bounds())
    };
    let slot = if target.stays_parked || target::in_grace(&row) {
        let earlier = target.slot.saturating_sub(whole_ms(by)) / 1_000 * 1_000;
        earlier.max(floor_to_second(now)).min(target.slot)
    } else {
        slot_of(class, &row, bounds, now)
    };
    if !is_wrong && slot >= target.slot {
        return None;
    }
    let cause = Some(change_of_terms(target.row.bounds(), bounds));
    Some(Target { class: Arc::clone(class), row, slot, cause, stays_parked: target.stays_parked })
}

/// Returns the start of an object that was registered at `registered` without one.
fn start_of(class: &Class, row: &Row<'_>, registered: Timestamp) -> Option<Timestamp> {
    if row.flags.has(Flags::OPEN) { class.assumed_start(registered) } else { Some(registered) }
}

/// Returns the slot of a row with these bounds: the usual one, or the soonest if a request or a backup moved it up.
fn slot_of(class: &Class, row: &Row<'_>, bounds: Bounds, now: Timestamp) -> u64 {
    match row.reason {
        Reason::Due => class.slot(bounds, now),
        _ => class.soonest_slot(bounds, now),
    }
}
