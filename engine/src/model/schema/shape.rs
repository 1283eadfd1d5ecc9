//! Records of the engine's shape and of its class versions.

use super::Reader;
use crate::model::class::LocalTerms;
use crate::platform::error::{Error, Result};

/// Record of a class version beside its leaf: the terms that the leaf does not state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassRecord {
    /// Index in the log of the leaf that defined the version.
    pub(crate) leaf: u64,
    pub(crate) local: LocalTerms,
}

impl ClassRecord {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = self.leaf.to_be_bytes().to_vec();
        out.extend_from_slice(&[self.local.host_deletes, self.local.feed].map(u8::from));
        out.extend(self.local.remember.iter().flat_map(|span| span.to_string().into_bytes()));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let read = |r: &mut Reader<'_>| {
            let leaf = r.u64()?;
            let [host_deletes @ (0 | 1), feed @ (0 | 1)] = r.array()? else { return None };
            let remember = match r.0 {
                [] => None,
                text => Some(std::str::from_utf8(text).ok()?.parse().ok()?),
            };
            Some(ClassRecord {
                leaf,
                local: LocalTerms { feed: feed == 1, remember, host_deletes: host_deletes == 1 },
            })
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("the record of a class is malformed"))
    }
}

/// Record of the choices that are made when a data folder is created, and never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) shards: u16,
    /// Key of the hash that maps an object's key to its shard and fingerprint.
    pub(crate) secret: [u8; 32],
    /// Origin line of the log.
    pub(crate) origin: String,
}

impl Shape {
    /// Format of the data folder. Builds of formats 0 and 1 computed commitments differently. Class leaves of format 2 have no
    /// line `seal_within`.
    const FORMAT: u8 = 3;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let shards = self.shards.to_be_bytes();
        [&[Self::FORMAT], &shards[..], &self.secret, self.origin.as_bytes()].concat()
    }

    /// Decodes the record; `Invalid` if another release made the folder in another format.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let format = reader.array::<1>();
        if format.is_some_and(|[found]| found != Self::FORMAT) {
            return Err(Error::invalid(format!(
                "the data folder has format {}; this version reads format {}: open it with the release that made it",
                bytes.first().copied().unwrap_or_default(),
                Self::FORMAT
            )));
        }
        let read = |r: &mut Reader<'_>| {
            let (shards, secret) = (r.u16()?, r.array()?);
            Some(Shape { shards, secret, origin: String::from_utf8(r.0.to_vec()).ok()? })
        };
        read(&mut reader).ok_or_else(|| Error::corrupt("the record of the data's shape is malformed"))
    }
}
