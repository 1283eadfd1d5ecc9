//! Records kept per page, and per registration whose row stays until its page settles.
//!
//! `settled` and the `page/` records of `meta` are keyed by page id, `marks` by registration id.

use super::{Reader, successor};
use crate::platform::error::{Error, Result};
use sexton_proof::id::{ClassId, PageId, RegistrationId};
use sexton_proof::record::Cause;
use sexton_proof::time::Timestamp;
use std::ops::Range;

/// Returns the range of the keys of all registrations of a page, in a column family keyed by registration id.
pub(crate) fn page_registration_range(page: PageId) -> Range<Vec<u8>> {
    let from = page.to_bytes();
    RegistrationId { page, seq: 0 }.to_bytes().to_vec()..successor(&from)
}

/// Returns the key of a [`Mark`].
pub(crate) fn mark_key(id: RegistrationId) -> [u8; 20] {
    id.to_bytes()
}

/// Returns the registration that a mark is stored under.
pub(crate) fn parse_mark_key(key: &[u8]) -> Result<RegistrationId> {
    let id = key.as_array().map(RegistrationId::from_bytes);
    id.ok_or_else(|| Error::corrupt("the mark of a registration is malformed"))
}

/// Returns the range of the keys of all settled pages that share class version, slot and shard with `page`.
pub(crate) fn settled_part_range(page: PageId) -> Range<Vec<u8>> {
    let from = page.to_bytes();
    from[..14].to_vec()..successor(&from[..14])
}

/// Returns the range of the keys of all pages of a class version, in a column family keyed by page id.
pub(crate) fn class_page_range(class: ClassId) -> Range<Vec<u8>> {
    class.to_be_bytes().to_vec()..successor(&class.to_be_bytes())
}

/// Returns the key of a [`Settled`] record.
pub(crate) fn settled_key(page: PageId) -> [u8; 16] {
    page.to_bytes()
}

/// Returns the page that a [`Settled`] record is stored under.
pub(crate) fn settled_page(key: &[u8]) -> Option<PageId> {
    key.as_array().map(PageId::from_bytes)
}

/// Record of a settled page: where the evidence of its end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Index in the log of the batch leaf.
    pub(crate) leaf: u64,
    /// Batch that settled the page.
    pub(crate) batch: u64,
    /// Position of the page among the batch's `page` lines, from 0.
    pub(crate) ordinal: u32,
}

impl Settled {
    pub(crate) fn encode(self) -> [u8; 20] {
        let mut out = [0; 20];
        out[..8].copy_from_slice(&self.leaf.to_be_bytes());
        out[8..16].copy_from_slice(&self.batch.to_be_bytes());
        out[16..].copy_from_slice(&self.ordinal.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| {
            Some(Settled { leaf: r.u64()?, batch: r.u64()?, ordinal: r.u32()? }).filter(|_| r.0.is_empty())
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("a settled record is malformed"))
    }
}

/// Mark of a registration whose row stays only until its page settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A newer registration of the key replaced it.
    Replaced,
    /// The registration goes on as `to`.
    Moved { cause: Cause, to: RegistrationId },
}

impl Mark {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Mark::Replaced => vec![1],
            Mark::Moved { cause, to } => [&[2, cause.code()], &to.to_bytes()[..]].concat(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mark = match bytes {
            [1] => Some(Mark::Replaced),
            [2, cause, to @ ..] => Cause::from_code(*cause)
                .zip(to.as_array())
                .map(|(cause, to)| Mark::Moved { cause, to: RegistrationId::from_bytes(to) }),
            _ => None,
        };
        mark.ok_or_else(|| Error::corrupt_index("the mark of a registration is malformed"))
    }
}

/// Way in which the rows of a page arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrivals {
    /// One at a time, and more may come.
    Single,
    /// All together, carried by a batch.
    Carried,
    /// Kept by legal holds.
    Held,
}

/// Record of the facts about a page that neither its id nor its number of rows states.
///
/// Stored only if it differs from [`PageRecord::of_slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRecord {
    pub(crate) arrivals: Arrivals,
    /// Lower bound of the ceilings of all rows; [`Timestamp::MAX`] if no row has a ceiling.
    pub(crate) earliest_ceiling: Timestamp,
    /// Rows that arrived at short notice.
    pub(crate) short_notice: u32,
}

impl PageRecord {
    /// Returns the record of a page for which none is stored.
    pub(crate) fn of_slot(earliest_ceiling: Timestamp) -> Self {
        PageRecord { arrivals: Arrivals::Single, earliest_ceiling, short_notice: 0 }
    }

    pub(crate) fn encode(self) -> [u8; 13] {
        let mut out = [0; 13];
        out[0] = match self.arrivals {
            Arrivals::Single => 0,
            Arrivals::Carried => 1,
            Arrivals::Held => 2,
        };
        out[1..9].copy_from_slice(&self.earliest_ceiling.to_be_bytes());
        out[9..].copy_from_slice(&self.short_notice.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let read = |r: &mut Reader<'_>| {
            let arrivals = match r.array()? {
                [0] => Arrivals::Single,
                [1] => Arrivals::Carried,
                [2] => Arrivals::Held,
                _ => return None,
            };
            Some(PageRecord { arrivals, earliest_ceiling: r.timestamp()?, short_notice: r.u32()? })
                .filter(|_| r.0.is_empty())
        };
        read(&mut Reader(bytes)).ok_or_else(|| Error::corrupt("the record of a page is malformed"))
    }
}
