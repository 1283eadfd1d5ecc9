//! Entries: the commitment to one registration, and its links to earlier ones.

use super::PART_BYTES;
use super::error::SealError;
use super::segment::Form;
use crate::id::RegistrationId;
use crate::record::{Cause, field};

/// State of the holds that had parked a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// No hold had parked it.
    No,
    /// A hold stood when planning parked it.
    Standing,
    /// When planning parked it, only lifted holds covered it whose sweep had not come yet.
    Lifted,
}

impl Held {
    /// Returns the byte in an entry.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::No => 0,
            Self::Standing => 1,
            Self::Lifted => 2,
        }
    }

    /// Returns the state of a byte, or `None` if it has none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::No),
            1 => Some(Self::Standing),
            2 => Some(Self::Lifted),
            _ => None,
        }
    }
}

/// Link to the earlier registration that lives on as an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continues {
    /// Earlier registration.
    pub source: RegistrationId,
    /// Cause for which it moved or was carried.
    pub cause: Cause,
    /// State of the holds that had parked the entry.
    pub held: Held,
}

/// Commitment to one registration, as a seal has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Commitment to the registration.
    pub commitment: [u8; 32],
    /// Earlier registration that lives on as this one. A fresh entry has none.
    pub continues: Option<Continues>,
    /// Earlier live registration that this one replaced.
    pub replaces: Option<RegistrationId>,
}

impl Entry {
    /// Returns the links that the entry has. All entries of a segment have the same form.
    #[must_use]
    pub const fn form(&self) -> Form {
        Form { continues: self.continues.is_some(), replaces: self.replaces.is_some() }
    }

    /// Appends the bytes of the entry, [`Form::entry_bytes`] of its form.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.commitment);
        if let Some(Continues { source, cause, held }) = self.continues {
            out.extend_from_slice(&source.to_bytes());
            out.extend_from_slice(&[cause.code(), held.code(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        if let Some(replaced) = self.replaces {
            out.extend_from_slice(&replaced.to_bytes());
            out.extend_from_slice(&[0; 12]);
        }
    }

    /// Reads the bytes that [`Entry::write`] writes for an entry of this form.
    ///
    /// # Errors
    /// Another length than that of the form; an unknown cause or holding; a reserved byte that is not zero.
    pub fn from_bytes(form: Form, bytes: &[u8]) -> Result<Self, SealError> {
        let truncated = SealError::Truncated { found: bytes.len(), expected: form.entry_bytes() };
        let (parts, rest) = bytes.as_chunks::<PART_BYTES>();
        let (commitment, continues, replaces) = match (parts, form.continues, form.replaces) {
            ([own], false, false) => (own, None, None),
            ([own, source], true, false) => (own, Some(read_continues(source)?), None),
            ([own, replaced], false, true) => (own, None, Some(read_replaced(replaced)?)),
            ([own, source, replaced], true, true) => {
                (own, Some(read_continues(source)?), Some(read_replaced(replaced)?))
            }
            _ => return Err(truncated),
        };
        if !rest.is_empty() {
            return Err(truncated);
        }
        Ok(Self { commitment: *commitment, continues, replaces })
    }
}

fn read_continues(part: &[u8; PART_BYTES]) -> Result<Continues, SealError> {
    let cause = Cause::from_code(part[20]).ok_or(SealError::Cause { found: part[20] })?;
    let held = Held::from_code(part[21]).ok_or(SealError::Held { found: part[21] })?;
    zero(part, 22)?;
    Ok(Continues { source: RegistrationId::from_bytes(&field(part, 0)), cause, held })
}

fn read_replaced(part: &[u8; PART_BYTES]) -> Result<RegistrationId, SealError> {
    zero(part, 20)?;
    Ok(RegistrationId::from_bytes(&field(part, 0)))
}

/// Checks that the bytes from `from` on are zero.
pub(super) fn zero(part: &[u8], from: usize) -> Result<(), SealError> {
    match part.iter().enumerate().skip(from).find(|(_, byte)| **byte != 0) {
        Some((at, found)) => Err(SealError::NotZero { at, found: *found }),
        None => Ok(()),
    }
}
