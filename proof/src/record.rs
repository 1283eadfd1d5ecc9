//! Records of evidence files: header, tombstone, carry and result (`docs/format.md` §3).

mod code;

pub use self::code::{CARRY_BYTES, Cause, FileKind, Method, RECORD_BYTES, Reason};

use crate::id::RegistrationId;
use crate::time::Timestamp;

/// First bytes of every file.
pub const MAGIC: [u8; 8] = *b"sexton\0\0";
/// Format version that this crate writes and reads.
pub const FORMAT_VERSION: u8 = 0;

/// Header of a file, its record 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Kind of the records that follow. Seal files have another header ([`SealHeader`](crate::seal::SealHeader)).
    pub kind: FileKind,
    /// Number of the batch, from 1.
    pub batch: u64,
    /// Number of records that follow.
    pub n: u32,
}

impl Header {
    /// Returns the 64 bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut out = [0; RECORD_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8] = self.kind.code();
        out[9] = FORMAT_VERSION;
        out[16..24].copy_from_slice(&self.batch.to_be_bytes());
        out[24..32].copy_from_slice(&u64::from(self.n).to_be_bytes());
        out
    }

    /// Reads the bytes that [`Header::to_bytes`] writes.
    ///
    /// # Errors
    /// Another magic, kind or version; the kind of a seal file; batch 0; n above 2^32 − 1; a reserved byte that is not zero.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        if bytes[0..8] != MAGIC {
            return Err(RecordError::Magic { found: field(bytes, 0) });
        }
        // The header of a seal file has another form.
        let kind = FileKind::from_code(bytes[8]).filter(|kind| *kind != FileKind::Seal);
        let kind = kind.ok_or(code("kind", bytes[8]))?;
        if bytes[9] != FORMAT_VERSION {
            return Err(RecordError::Version { found: bytes[9] });
        }
        zero(bytes, 10, 16)?;
        zero(bytes, 32, 64)?;
        let batch = u64::from_be_bytes(field(bytes, 16));
        if batch == 0 {
            return Err(RecordError::Batch);
        }
        let found = u64::from_be_bytes(field(bytes, 24));
        let n = u32::try_from(found).map_err(|_| RecordError::Count { found })?;
        Ok(Self { kind, batch, n })
    }
}

/// Evidence that one registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Page ordinal: the position of the page among the `page` lines of the batch leaf, from 0.
    pub page: u32,
    /// Number of the registration in the page, from 0.
    pub seq: u32,
    /// Commitment to the registration.
    pub commitment: [u8; 32],
    /// Instant at which the end was known.
    pub time: Timestamp,
    /// Reason for the end.
    pub reason: Reason,
    /// Method of the end.
    pub method: Method,
    /// `true` if the engine deleted the object within its bounds ([`in_bounds`]).
    pub in_bounds: bool,
}

/// Returns `true` if an end is a deletion by the engine at or after the floor and at or before the ceiling. A missing
/// bound holds.
#[must_use]
pub fn in_bounds(
    method: Method,
    time: Timestamp,
    floor: Option<Timestamp>,
    ceiling: Option<Timestamp>,
) -> bool {
    method.is_deletion()
        && floor.is_none_or(|floor| floor <= time)
        && ceiling.is_none_or(|ceiling| time <= ceiling)
}

impl Tombstone {
    /// Returns the 64 bytes of the tombstone. [`Tombstone::from_bytes`] refuses them if reason and method exclude each
    /// other, or if the end is in bounds and no deletion.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut out = common(self.page, self.seq, &self.commitment, self.time.to_be_bytes());
        out[48] = self.reason.code();
        out[49] = self.method.code();
        out[51] = u8::from(self.in_bounds);
        out
    }

    /// Reads the bytes that [`Tombstone::to_bytes`] writes.
    ///
    /// # Errors
    /// An unknown code or flag; a reason and a method that exclude each other; an end in bounds that is no deletion; a
    /// reserved byte that is not zero.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        let reason = Reason::from_code(bytes[48]).ok_or(code("reason", bytes[48]))?;
        let method = Method::from_code(bytes[49]).ok_or(code("method", bytes[49]))?;
        if !reason.goes_with(method) {
            return Err(RecordError::Pair { reason, method });
        }
        zero(bytes, 50, 51)?;
        let in_bounds = match bytes[51] {
            0 => false,
            1 if method.is_deletion() => true,
            1 => return Err(RecordError::InBounds { method }),
            found => return Err(code("flags", found)),
        };
        zero(bytes, 52, 64)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
            time: Timestamp::from_be_bytes(field(bytes, 40)),
            reason,
            method,
            in_bounds,
        })
    }
}

/// Evidence that one registration lives on in another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// Page ordinal: the position of the page among the `page` lines of the batch leaf, from 0.
    pub page: u32,
    /// Number of the registration in the page, from 0.
    pub seq: u32,
    /// Commitment to the registration as it was in this page.
    pub commitment: [u8; 32],
    /// Instant of the decision.
    pub time: Timestamp,
    /// Cause of the carry.
    pub cause: Cause,
    /// Registration as which it lives on, possibly of another class.
    pub to: RegistrationId,
}

impl Carry {
    /// Returns the 128 bytes of the carry.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CARRY_BYTES] {
        let mut out = [0; CARRY_BYTES];
        out[..RECORD_BYTES].copy_from_slice(&common(
            self.page,
            self.seq,
            &self.commitment,
            self.time.to_be_bytes(),
        ));
        out[48] = self.cause.code();
        out[64..84].copy_from_slice(&self.to.to_bytes());
        out
    }

    /// Reads the bytes that [`Carry::to_bytes`] writes.
    ///
    /// # Errors
    /// An unknown cause; a reserved byte that is not zero.
    pub fn from_bytes(bytes: &[u8; CARRY_BYTES]) -> Result<Self, RecordError> {
        let cause = Cause::from_code(bytes[48]).ok_or(code("cause", bytes[48]))?;
        zero(bytes, 49, 64)?;
        zero(bytes, 84, 128)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
            time: Timestamp::from_be_bytes(field(bytes, 40)),
            cause,
            to: RegistrationId::from_bytes(&field(bytes, 64)),
        })
    }
}

/// Evidence of the result of anonymising an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultRecord {
    /// Page ordinal of the tombstone.
    pub page: u32,
    /// Seq of the tombstone.
    pub seq: u32,
    /// Commitment to the digest of the bytes that the store wrote instead ([`crate::commitment::result`]).
    pub commitment: [u8; 32],
}

impl ResultRecord {
    /// Returns the 64 bytes of the record.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        common(self.page, self.seq, &self.commitment, [0; 8])
    }

    /// Reads the bytes that [`ResultRecord::to_bytes`] writes.
    ///
    /// # Errors
    /// A reserved byte that is not zero.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        zero(bytes, 40, 64)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
        })
    }
}

/// Returns page ordinal and seq of a record, by which a file is sorted. Every record has at least 64 bytes.
pub(crate) fn position(bytes: &[u8]) -> (u32, u32) {
    (u32::from_be_bytes(field(bytes, 0)), u32::from_be_bytes(field(bytes, 4)))
}

/// Error of bytes that are not a valid record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file does not begin with [`MAGIC`].
    #[error("the file begins with {}, expected {}", hex::encode(found), hex::encode(MAGIC))]
    Magic {
        /// First eight bytes of the file.
        found: [u8; 8],
    },
    /// The format version is not known to this crate.
    #[error("format version {found}, expected {FORMAT_VERSION}")]
    Version {
        /// Version byte.
        found: u8,
    },
    /// The batch number is 0.
    #[error("batch number 0, expected at least 1")]
    Batch,
    /// The header states more records than a file may have.
    #[error("{found} records, at most {} are allowed", u32::MAX)]
    Count {
        /// Number of records in the header.
        found: u64,
    },
    /// A code has no meaning in this format version.
    #[error("unknown {field} code {found} in format version {FORMAT_VERSION}")]
    Code {
        /// Name of the field.
        field: &'static str,
        /// Byte found.
        found: u8,
    },
    /// Reason and method exclude each other.
    #[error(
        "reason {reason} with method {method}; {} goes with released or replaced, and released with it alone",
        Reason::Host
    )]
    Pair {
        /// Reason for the end.
        reason: Reason,
        /// Method of the end.
        method: Method,
    },
    /// An end is marked as in bounds, and its method is no deletion.
    #[error("method {method} in bounds; only a deletion can be")]
    InBounds {
        /// Method of the end.
        method: Method,
    },
    /// A reserved byte is not zero.
    #[error("byte {at} is {found}, expected 0")]
    NotZero {
        /// Offset in the record, from 0.
        at: usize,
        /// Byte found.
        found: u8,
    },
}

/// Returns the fields that all records have in common, followed by zeros.
fn common(page: u32, seq: u32, commitment: &[u8; 32], time: [u8; 8]) -> [u8; RECORD_BYTES] {
    let mut out = [0; RECORD_BYTES];
    out[0..4].copy_from_slice(&page.to_be_bytes());
    out[4..8].copy_from_slice(&seq.to_be_bytes());
    out[8..40].copy_from_slice(commitment);
    out[40..48].copy_from_slice(&time);
    out
}

/// Returns `N` bytes of a record from a constant offset.
///
/// Precondition: `from + N` is at most the length of the record.
pub(crate) fn field<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    for (to, byte) in out.iter_mut().zip(bytes.iter().skip(from)) {
        *to = *byte;
    }
    out
}

fn code(field: &'static str, found: u8) -> RecordError {
    RecordError::Code { field, found }
}

/// Checks that the reserved bytes `from..to` are zero.
fn zero(bytes: &[u8], from: usize, to: usize) -> Result<(), RecordError> {
    match (from..to).zip(bytes.iter().take(to).skip(from)).find(|(_, byte)| **byte != 0) {
        Some((at, found)) => Err(RecordError::NotZero { at, found: *found }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
