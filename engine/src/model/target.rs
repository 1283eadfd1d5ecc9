//! Destination of a row, as requests change it one after the other. Pure.

use crate::model::class::Class;
use crate::model::schema::Row;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;
use std::sync::Arc;

/// Destination of a row: the class version, content and slot with which it goes on.
///
/// The cause in `row` stays the one for which the row is in its page, until all requests were applied. A parked row stays
/// parked until a lifted hold releases it.
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

    /// Returns the row as it is written at its destination, for a move of this cause. A parked row stays parked.
    pub(crate) fn moved_row(&self, cause: Cause) -> Row<'a> {
        let cause = if self.row.is_parked() { Cause::Held } else { cause };
        Row { cause: cause.code(), attempts: 0, ..self.row }
    }
}
