//! What is kept per page, and per registration whose row stays until its page settles.

use super::Reader;
use crate::error::{Error, Result};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;

/// Where the end of a page is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    /// Index of the batch leaf.
    pub(crate) leaf: u64,
    /// The batch that ended it.
    pub(crate) batch: u64,
    /// Its place among the batch's `page` lines.
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

/// What stands under a registration whose row is only there until its page settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A newer registration of the key took its place.
    Replaced,
    /// It lives on elsewhere already.
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
        mark.ok_or_else(|| {
            Error::corrupt("the mark of a registration is malformed; see Backups in docs/operations.md")
        })
    }
}

/// How the rows of a page got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Arrivals {
    /// One by one, and more may come.
    Single,
    /// Together, carried by a batch.
    Carried,
    /// Together, kept back by legal holds.
    Held,
}

/// What neither the id of a page nor the number of its rows tells. Kept only where there is something to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRecord {
    pub(crate) arrivals: Arrivals,
    /// No row's ceiling is earlier.
    pub(crate) earliest_ceiling_ms: i64,
    /// Rows that came with less notice than a slot.
    pub(crate) surprises: u32,
}

impl PageRecord {
    /// That of a page of which nothing is kept.
    pub(crate) fn of_slot(earliest_ceiling_ms: i64) -> Self {
        PageRecord { arrivals: Arrivals::Single, earliest_ceiling_ms, surprises: 0 }
    }

    pub(crate) fn encode(self) -> [u8; 13] {
        let mut out = [0; 13];
        out[0] = match self.arrivals {
            Arrivals::Single => 0,
            Arrivals::Carried => 1,
            Arrivals::Held => 2,
        };
        out[1..9].copy_from_slice(&self.earliest_ceiling_ms.to_be_bytes());
        out[9..].copy_from_slice(&self.surprises.to_be_bytes());
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
            Some(PageRecord { arrivals, earliest_ceiling_ms: r.i64()?, surprises: r.u32()? })
                .filter(|_| r.0.is_empty())
        };
        read(&mut Reader(bytes)).ok_or_else(|| Error::corrupt("the record of a page is malformed"))
    }
}
