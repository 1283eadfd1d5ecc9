//! Destination of a row, as requests change it one after the other. Pure.

use crate::model::class::Class;
use crate::model::schema::{Flags, Row};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::{Cause, Reason};
use std::sync::Arc;

/// Destination of a row: the class version, content and slot with which it goes on.
///
/// The cause in `row` stays the one for which the row is in its page, until all requests were applied. Each of them then
/// sees a parked row as such.
#[derive(Clone)]
pub(crate) struct Target<'a> {
    pub(crate) class: Arc<Class>,
    pub(crate) row: Row<'a>,
    pub(crate) slot: u64,
    /// Cause of the move; `None` if the row stays where it is.
    pub(crate) cause: Option<Cause>,
    /// `true` if the row is parked under a hold, at its destination as well.
    pub(crate) stays_parked: bool,
}

impl<'a> Target<'a> {
    /// Returns the present place and content of a row.
    pub(crate) fn of(class: &Arc<Class>, id: RegistrationId, row: Row<'a>) -> Self {
        let (slot, stays_parked) = (id.page.slot, row.is_parked());
        Target { class: Arc::clone(class), row, slot, cause: None, stays_parked }
    }

    /// Returns the row as it is written at its destination, for a move of this cause.
    pub(crate) fn moved_row(&self, cause: Cause) -> Row<'a> {
        let cause = if self.stays_parked { Cause::Held } else { cause };
        Row { cause: cause.code(), attempts: 0, ..self.row }
    }
}

/// Returns `true` if the row waits for the grace of a lifted hold that the object outlasted. An erasure does not wait for
/// a grace, whether it was asked for before or after the lift.
pub(crate) fn in_grace(row: &Row<'_>) -> bool {
    row.flags.has(Flags::OUTLASTED) && row.reason != Reason::Erasure
}
