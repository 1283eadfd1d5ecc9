//! Rules for objects that were registered by a wrong clock: their true start once the clock is right. Pure.

use crate::model::class::{Class, change_of_terms, floor_to_second, slot_start};
use crate::model::clock_guard::Verdict;
use crate::model::grace;
use crate::model::hold::HoldSet;
use crate::model::schema::{Doubt, Flags, Origin, Row};
use crate::model::target::Target;
use crate::model::time_back::TimeBack;
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Puts a row that was registered in a doubt under its true start. `None` if its host stated the start.
pub(crate) fn end_doubt<'a>(
    target: &Target<'a>,
    verdict: Verdict,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let registered = true_registration(&target.row, verdict, now)?;
    if !target.row.flags.has(Flags::CLOCKED) {
        return None;
    }
    let row = registered_at(&target.class, &target.row, registered)?;
    let row = grace::marked(&target.class, Row { doubt: None, ..row }, holds);
    let slot = match row.is_parked() {
        true => target.slot,
        false => slot_of(target, &row, holds, now),
    };
    let cause = Some(change_of_terms(target.row.bounds(), row.bounds()));
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
/// at the registration. The wall clock may have been set several times meanwhile, so it does not count. If the engine was off
/// in between, the distance is too long, and the result too late, never too early. If the doubt began in an earlier opening,
/// its outcome may be lost. The wall clock then counts as well, unless it is known to have been wrong.
fn true_registration(row: &Row<'_>, verdict: Verdict, now: Timestamp) -> Option<Timestamp> {
    let Doubt { wall, expected, .. } = row.doubt?;
    let registered = expected.saturating_add(verdict.lag).saturating_sub(verdict.lead);
    Some(if verdict.is_unsure && wall <= now { wall.max(registered) } else { registered })
}

/// Corrects a row after time went back. `None` if nothing in it comes from the time after the accepted one.
///
/// If its start was read from the wrong clock, the start goes back by the error that the clock had then. Slots that were
/// counted from the wrong time move as well: retries, parked rows, graces and notices.
pub(crate) fn set_back<'a>(
    target: &Target<'a>,
    back: &TimeBack,
    holds: &HoldSet,
    now: Timestamp,
) -> Option<Target<'a>> {
    let class = &target.class;
    let wrong = wrong_registration(class, &target.row, back);
    let row = match wrong {
        Some(registered) => {
            Row { era: back.era, ..registered_at(class, &target.row, back.correct(registered))? }
        }
        None => target.row,
    };
    // The lifts that it is compared with go back as well.
    let goes_back = target.row.era < back.era;
    let registered = row.registered.map(|at| if goes_back { back.correct(at) } else { at });
    let row = grace::marked(class, Row { registered, ..row }, holds);
    let slot = if row.is_parked() {
        // Planning parks it again, should that be too soon.
        let corrected = back.correct(slot_start(target.slot));
        floor_to_second(corrected.max(now)).min(target.slot)
    } else {
        slot_of(target, &row, holds, now)
    };
    if wrong.is_none() && slot >= target.slot && registered == target.row.registered {
        return None;
    }
    let cause = Some(change_of_terms(target.row.bounds(), row.bounds()));
    Some(Target { class: Arc::clone(class), row, slot, cause })
}

/// Returns `true` if a row may keep a start that is too late after time went back, given that the request concerns the row.
/// `is_moved` is `true` if the request moves it.
pub(crate) fn may_start_late(target: &Target<'_>, back: &TimeBack, is_moved: bool) -> bool {
    let row = &target.row;
    if row.era >= back.era {
        return false;
    }
    if !row.flags.has(Flags::CLOCKED) {
        return row.start > back.to;
    }
    let wrong = wrong_registration(&target.class, row, back);
    wrong.is_some_and(|registered| !is_moved || !back.is_exact(registered))
}

/// Returns the instant of registration of a row that read it from a clock that was wrong: an object of an earlier era cannot
/// have been registered after the accepted time. `None` if the row's start is right, or its host stated it.
fn wrong_registration(class: &Class, row: &Row<'_>, back: &TimeBack) -> Option<Timestamp> {
    if !row.flags.has(Flags::CLOCKED) || row.era >= back.era {
        return None;
    }
    let registered = match row.flags.has(Flags::OPEN) {
        true => opened_at(class, row)?,
        false => row.start,
    };
    (registered > back.to).then_some(registered)
}

/// Returns the instant of registration of an object whose start is not known; `None` if nothing tells it.
pub(crate) fn opened_at(class: &Class, row: &Row<'_>) -> Option<Timestamp> {
    row.registered.or_else(|| class.registered_at(row.start))
}

/// Returns a row whose start was read from the clock, as if the object had been registered at `registered`. `None` if its
/// class allows no bounds from there.
fn registered_at<'a>(class: &Class, row: &Row<'a>, registered: Timestamp) -> Option<Row<'a>> {
    if !row.flags.has(Flags::OPEN) {
        return Some(row.under(class.id, class.id, registered, class.bounds(registered).ok()?));
    }
    // The assumed starts, of this class and of the class as registered, are as far from the registration as before.
    let before = opened_at(class, row)?;
    let corrected = |start: Timestamp| match registered < before {
        true => start.saturating_sub(before.since(registered)),
        false => start.saturating_add(registered.since(before)),
    };
    let start = corrected(row.start);
    let bounds = class.bounds(start).ok()?;
    let origin = row.origin.map(|origin| Origin { start: corrected(origin.start), ..origin });
    let registered = row.registered.map(corrected);
    Some(Row { start, floor: bounds.floor, ceiling: bounds.ceiling, origin, registered, ..*row })
}

/// Returns the slot of `row`, which is that of the target with other bounds: the usual one, or the soonest if a request or a
/// backup moved it up, but none before the end of its grace. What is left of the notice of a closing stays. An object that its
/// host deleted waits for nothing.
fn slot_of(target: &Target<'_>, row: &Row<'_>, holds: &HoldSet, now: Timestamp) -> u64 {
    let class = &target.class;
    if row.flags.has(Flags::RELEASED) {
        return floor_to_second(now).min(target.slot);
    }
    if row.reason != Reason::Closed {
        return grace::slot(class, row, holds, now);
    }
    let notice = now.saturating_add(class.definition.slot);
    let slot = class.soonest_slot(row.bounds(), slot_start(target.slot).min(notice).max(now));
    grace::slot_from(class, row, holds, slot)
}
