//! Keys and values of the column family `ended`: ended objects that their class remembers.

use super::{FINGERPRINT_BYTES, Reader};
use crate::platform::error::{Error, Result};
use sexton_proof::id::{ClassId, RegistrationId};
use sexton_proof::record::{Method, Reason};
use sexton_proof::time::Timestamp;
use std::ops::Range;

/// Record of an ended object, kept for as long as its class remembers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Last registration of the object.
    pub id: RegistrationId,
    /// Method by which the object ended.
    pub method: Method,
    /// Reason for which the object ended.
    pub reason: Reason,
    /// Instant from which the promise counted.
    pub start: Timestamp,
    /// Instant at which the end was known.
    pub time: Timestamp,
    /// Instant until which this record is kept.
    pub until: Timestamp,
}

impl Ended {
    /// Encodes the value; the key is [`ended_key`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.id.to_bytes().to_vec();
        out.extend_from_slice(&[self.method.code(), self.reason.code()]);
        for instant in [self.start, self.time, self.until] {
            out.extend_from_slice(&instant.to_be_bytes());
        }
        out
    }

    /// Decodes a value made by [`Ended::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let read = |r: &mut Reader<'_>| {
            let id = RegistrationId::from_bytes(&r.array()?);
            let [method, reason] = r.array()?;
            let (method, reason) = (Method::from_code(method)?, Reason::from_code(reason)?);
            let (start, time, until) = (r.timestamp()?, r.timestamp()?, r.timestamp()?);
            r.0.is_empty().then_some(Ended { id, method, reason, start, time, until })
        };
        read(&mut Reader(bytes)).ok_or_else(|| Error::corrupt("the record of an ended object is malformed"))
    }

    /// Returns the class version in which the object ended.
    pub(crate) fn class(&self) -> ClassId {
        self.id.page.class
    }
}

/// Width of the buckets in which records are stored and forgotten, ms: 32 days.
const BUCKET_MS: i64 = 32 * 86_400_000;

/// Returns the bucket of an instant. A record lies in the bucket of the instant until which it is stored.
pub(crate) fn ended_bucket(at: Timestamp) -> u32 {
    u32::try_from(at.unix_ms().div_euclid(BUCKET_MS)).unwrap_or(0)
}

/// Returns the key of a record: its bucket of time, and the keyed hash of the object's key.
pub(crate) fn ended_key(bucket: u32, fingerprint: &[u8; FINGERPRINT_BYTES]) -> Vec<u8> {
    [&bucket.to_be_bytes()[..], fingerprint].concat()
}

/// Returns the key in `bucket` of the record that has the key `key` now.
pub(crate) fn ended_key_at(bucket: u32, key: &[u8]) -> Vec<u8> {
    [&bucket.to_be_bytes()[..], key.get(4..).unwrap_or_default()].concat()
}

/// Returns the range of the keys of all records in `bucket` and later ones.
pub(crate) fn ended_range_from(bucket: u32) -> Range<Vec<u8>> {
    bucket.to_be_bytes().to_vec()..[0xff; 4 + FINGERPRINT_BYTES].to_vec()
}

/// Returns the range of the keys of all records in buckets before `bucket`.
pub(crate) fn ended_range(bucket: u32) -> Range<Vec<u8>> {
    Vec::new()..bucket.to_be_bytes().to_vec()
}
