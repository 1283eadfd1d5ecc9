//! Marks of registrations that were replaced or moved before their pages settled.

use crate::model::schema::{self, Mark};
use crate::platform::error::Result;
use crate::platform::kv::{self, ColumnFamily, Kv};
use sexton_proof::id::{PageId, RegistrationId};
use std::collections::BTreeMap;
use std::ops::Range;

/// Returns the mark of a registration, if it has one.
pub(crate) fn of(kv: &dyn Kv, id: RegistrationId) -> Result<Option<Mark>> {
    kv.get(ColumnFamily::Marks, &schema::mark_key(id))?.map(|bytes| Mark::decode(&bytes)).transpose()
}

/// Returns the marks of a page's registrations.
pub(crate) fn of_page(kv: &dyn Kv, page: PageId) -> Result<BTreeMap<RegistrationId, Mark>> {
    within(kv, &schema::page_registration_range(page))
}

/// Returns the marks of these registrations of a page.
pub(crate) fn of_rows(kv: &dyn Kv, rows: &Range<RegistrationId>) -> Result<BTreeMap<RegistrationId, Mark>> {
    within(kv, &(schema::mark_key(rows.start).to_vec()..schema::mark_key(rows.end).to_vec()))
}

fn within(kv: &dyn Kv, range: &Range<Vec<u8>>) -> Result<BTreeMap<RegistrationId, Mark>> {
    let marks = kv::collect(kv, ColumnFamily::Marks, range, |key, value| {
        Ok((schema::parse_mark_key(key)?, Mark::decode(value)?))
    })?;
    Ok(marks.into_iter().collect())
}

/// Returns `true` if a newer registration of its key replaced this one.
pub(crate) fn is_replaced(kv: &dyn Kv, id: RegistrationId) -> Result<bool> {
    Ok(of(kv, id)? == Some(Mark::Replaced))
}
