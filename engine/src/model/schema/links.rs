//! Links of a row: the earlier registrations that it names.

use super::Reader;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;

/// Contents of the part *links* of a stored row, one bit each.
const CONTINUES: u8 = 1;
const REPLACES: u8 = 2;
const PARKED_AFTER_LIFT: u8 = 4;

/// Earlier registrations that a row names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    /// Registration that lives on as this one, and why.
    pub(crate) continues: Option<(Cause, RegistrationId)>,
    /// Registration of the key that this one took the place of.
    pub(crate) replaces: Option<RegistrationId>,
    /// `true` if the row was parked under lifted holds only.
    pub(crate) parked_after_lift: bool,
}

impl Links {
    /// Links of a row that names no earlier registration.
    pub(crate) const NONE: Links = Links { continues: None, replaces: None, parked_after_lift: false };

    /// Returns the links of a row that takes the place of the registration `replaced`.
    pub(crate) fn of_successor(replaced: RegistrationId) -> Links {
        Links { replaces: Some(replaced), ..Links::NONE }
    }

    /// Returns `true` if the row names no earlier registration.
    pub(super) fn is_none(&self) -> bool {
        *self == Links::NONE
    }

    /// Appends the bytes of links that are not [`Links::NONE`].
    pub(super) fn encode_into(&self, out: &mut Vec<u8>) {
        let part = |bit: u8, is_there: bool| if is_there { bit } else { 0 };
        out.push(
            part(CONTINUES, self.continues.is_some())
                | part(REPLACES, self.replaces.is_some())
                | part(PARKED_AFTER_LIFT, self.parked_after_lift),
        );
        if let Some((cause, source)) = self.continues {
            out.push(cause.code());
            out.extend_from_slice(&source.to_bytes());
        }
        if let Some(replaced) = self.replaces {
            out.extend_from_slice(&replaced.to_bytes());
        }
    }

    /// Reads the links of a row. Only a row that is parked (`is_parked`) and continues one may be parked after a lift.
    pub(super) fn read(reader: &mut Reader<'_>, is_parked: bool) -> Option<Links> {
        let [what] = reader.array()?;
        let parked_after_lift = what & PARKED_AFTER_LIFT != 0;
        let is_known = (1..=CONTINUES | REPLACES | PARKED_AFTER_LIFT).contains(&what);
        if !is_known || parked_after_lift && !(is_parked && what & CONTINUES != 0) {
            return None;
        }
        let mut links = Links { parked_after_lift, ..Links::NONE };
        if what & CONTINUES != 0 {
            let [cause] = reader.array()?;
            links.continues = Some((Cause::from_code(cause)?, read_id(reader)?));
        }
        if what & REPLACES != 0 {
            links.replaces = Some(read_id(reader)?);
        }
        Some(links)
    }
}

fn read_id(reader: &mut Reader<'_>) -> Option<RegistrationId> {
    reader.array().map(|bytes| RegistrationId::from_bytes(&bytes))
}
