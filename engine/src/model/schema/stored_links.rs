//! Links of stored rows, for tests that look into the index.

use super::{Links, Row};
use crate::platform::error::Result;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;

/// Links of a stored row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredLinks {
    /// Registration that lives on as this one, and why.
    pub continues: Option<(Cause, RegistrationId)>,
    /// Registration of the key that this one took the place of.
    pub replaces: Option<RegistrationId>,
    /// 1 if the row is parked and a hold stood when it was parked. 2 if it is parked and only lifted holds covered it.
    /// Otherwise 0.
    pub held: u8,
    /// `true` if the registration lives on in another page.
    pub is_moved: bool,
}

impl StoredLinks {
    /// Reads the links in the value of a row.
    ///
    /// # Errors
    /// `Corrupt` if the bytes are no row.
    pub fn of_row(value: &[u8]) -> Result<StoredLinks> {
        let row = Row::decode(value)?;
        let Links { continues, replaces, .. } = row.links;
        Ok(StoredLinks { continues, replaces, held: row.held(), is_moved: row.moved_commitment().is_some() })
    }
}
