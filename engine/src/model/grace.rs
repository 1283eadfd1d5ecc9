//! Grace that lifted holds give to an object. It follows from the holds, the object's terms and nothing else, so neither
//! the order of decisions nor a time off changes it. Pure.

use crate::model::class::{Class, floor_to_second};
use crate::model::hold::HoldSet;
use crate::model::schema::{Flags, Row};
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;

/// Time that lifted holds give to an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Grace {
    /// Instant before which the object is not deleted; `None` if there is no grace.
    until: Option<Timestamp>,
    /// `true` if the object's ceiling had passed at the last lift. Its end is late because of the hold.
    outlasted: bool,
}

/// Returns the grace of a row in `class`.
///
/// A lifted hold gives its grace to each object that it covers and that fell due before the lift, by the object's present
/// terms. The longest grace counts. It ends in time for a ceiling that had not passed at the last of those lifts. An erasure
/// waits for no grace. An object that its host deleted has none.
fn of(class: &Class, row: &Row<'_>, holds: &HoldSet) -> Grace {
    if row.flags.has(Flags::RELEASED) {
        return Grace::default();
    }
    let fell_due = fell_due(class, row);
    let mut ends: Option<(Timestamp, Timestamp)> = None;
    for lifted in holds.lifts_after(fell_due, &class.definition.name, row) {
        let until = lifted.at.saturating_add(lifted.grace);
        ends = Some(ends.map_or((lifted.at, until), |(at, end)| (at.max(lifted.at), end.max(until))));
    }
    let Some((last, until)) = ends else { return Grace::default() };
    let ceiling = row.ceiling.unwrap_or(Timestamp::MAX);
    let outlasted = ceiling < last;
    let in_time = ceiling.saturating_sub(class.definition.lead);
    let until = if outlasted { until } else { until.min(in_time) };
    Grace { until: (row.reason != Reason::Erasure).then_some(until), outlasted }
}

/// Returns the instant from which a hold keeps the object: its usual slot, or its registration if that was later.
pub(crate) fn fell_due(class: &Class, row: &Row<'_>) -> Timestamp {
    class.falls_due(row.bounds()).max(row.registered.unwrap_or(Timestamp::MIN))
}

/// Returns the row with the flag that says if a lifted hold kept the object past its ceiling.
pub(crate) fn marked<'a>(class: &Class, row: Row<'a>, holds: &HoldSet) -> Row<'a> {
    let flags = match of(class, &row, holds).outlasted {
        true => row.flags.with(Flags::OUTLASTED),
        false => row.flags.without(Flags::OUTLASTED),
    };
    Row { flags, ..row }
}

/// Returns the first slot from `slot` on that does not begin before the end of the row's grace.
pub(crate) fn slot_from(class: &Class, row: &Row<'_>, holds: &HoldSet, slot: u64) -> u64 {
    match of(class, row, holds).until {
        Some(until) => class.soonest_slot(row.bounds(), until).max(slot),
        None => slot,
    }
}

/// Returns the slot of a row that is scheduled at `now`: its usual one, or the soonest if a request or a backup moved it up,
/// but none before the end of its grace.
pub(crate) fn slot(class: &Class, row: &Row<'_>, holds: &HoldSet, now: Timestamp) -> u64 {
    let slot = match row.reason {
        Reason::Due => class.slot(row.bounds(), now),
        _ => class.soonest_slot(row.bounds(), now),
    };
    slot_from(class, row, holds, slot)
}

/// Returns the row and the slot with which an object goes on from `slot` without a new time: none before now, nor before the
/// end of its grace. A parked row waits for its hold.
///
/// The grace counts already if the sweep for the lifted hold has not come to the object. In its new slot the sweep could not
/// tell that the hold had kept it.
pub(crate) fn in_its_time<'a>(
    class: &Class,
    row: Row<'a>,
    slot: u64,
    holds: &HoldSet,
    now: Timestamp,
) -> (Row<'a>, u64) {
    let slot = slot.max(floor_to_second(now));
    if row.is_parked() {
        return (row, slot);
    }
    let row = marked(class, row, holds);
    (row, slot_from(class, &row, holds, slot))
}
