//! The records of evidence files: header, tombstone, carry and result (`docs/format.md` §3).

mod code;

pub use self::code::{Cause, FileKind, Method, Reason};

use crate::id::RegistrationId;

/// Length of a header and of every record but a carry.
pub const RECORD_BYTES: usize = 64;
/// Length of a carry.
pub const CARRY_BYTES: usize = 128;
/// The first bytes of every file.
pub const MAGIC: [u8; 8] = *b"sexton\0\0";
/// The format version that this crate writes and reads.
pub const FORMAT_VERSION: u8 = 0;

/// Record 0 of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the records are.
    pub kind: FileKind,
    /// Number of the batch, from 1.
    pub batch: u64,
    /// How many records follow.
    pub n: u32,
}

impl Header {
    /// The header's 64 bytes.
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

    /// Reads what [`Header::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// Another magic, kind or version, batch 0, n above 2^32 − 1, other bytes where zero is due.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        if bytes[0..8] != MAGIC {
            return Err(RecordError::Magic { found: field(bytes, 0) });
        }
        let kind = FileKind::from_code(bytes[8]).ok_or(code("kind", bytes[8]))?;
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

/// The evidence that one registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Position of the page among the `page` lines of the batch leaf, from 0.
    pub page: u32,
    /// Number of the registration in the page.
    pub seq: u32,
    /// The commitment to the registration.
    pub commitment: [u8; 32],
    /// When the end was known, Unix milliseconds.
    pub time_ms: i64,
    /// Why it ended.
    pub reason: Reason,
    /// How it ended.
    pub method: Method,
}

impl Tombstone {
    /// The tombstone's 64 bytes; for a reason and a method that do not go together, bytes that are refused.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let mut out = common(self.page, self.seq, &self.commitment, self.time_ms);
        out[48] = self.reason.code();
        out[49] = self.method.code();
        out
    }

    /// Reads what [`Tombstone::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// Unknown codes, a reason and a method that do not go together, and other bytes where zero is due.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        let reason = Reason::from_code(bytes[48]).ok_or(code("reason", bytes[48]))?;
        let method = Method::from_code(bytes[49]).ok_or(code("method", bytes[49]))?;
        if !reason.goes_with(method) {
            return Err(RecordError::Pair { reason, method });
        }
        zero(bytes, 50, 64)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
            time_ms: i64::from_be_bytes(field(bytes, 40)),
            reason,
            method,
        })
    }
}

/// The evidence that one registration lives on in another page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// Position of the page among the `page` lines of the batch leaf, from 0.
    pub page: u32,
    /// Number of the registration in the page.
    pub seq: u32,
    /// The commitment to the registration as it was in this page.
    pub commitment: [u8; 32],
    /// When it was decided, Unix milliseconds.
    pub time_ms: i64,
    /// Why it lives on.
    pub cause: Cause,
    /// The registration as which it lives on, maybe of another class.
    pub to: RegistrationId,
}

impl Carry {
    /// The carry's 128 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; CARRY_BYTES] {
        let mut out = [0; CARRY_BYTES];
        out[..RECORD_BYTES].copy_from_slice(&common(self.page, self.seq, &self.commitment, self.time_ms));
        out[48] = self.cause.code();
        out[64..84].copy_from_slice(&self.to.to_bytes());
        out
    }

    /// Reads what [`Carry::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// An unknown cause, and other bytes where zero is due.
    pub fn from_bytes(bytes: &[u8; CARRY_BYTES]) -> Result<Self, RecordError> {
        let cause = Cause::from_code(bytes[48]).ok_or(code("cause", bytes[48]))?;
        zero(bytes, 49, 64)?;
        zero(bytes, 84, 128)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
            time_ms: i64::from_be_bytes(field(bytes, 40)),
            cause,
            to: RegistrationId::from_bytes(&field(bytes, 64)),
        })
    }
}

/// The evidence of what an anonymised object was rewritten to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultRecord {
    /// Position of the page among the `page` lines of the batch leaf, from 0; the tombstone's.
    pub page: u32,
    /// Number of the registration in the page; the tombstone's.
    pub seq: u32,
    /// The commitment to the digest of what the store wrote instead ([`crate::commitment::result`]).
    pub commitment: [u8; 32],
}

impl ResultRecord {
    /// The record's 64 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        common(self.page, self.seq, &self.commitment, 0)
    }

    /// Reads what [`ResultRecord::to_bytes`] writes, and nothing else.
    ///
    /// # Errors
    /// Other bytes where zero is due.
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Result<Self, RecordError> {
        zero(bytes, 40, 64)?;
        Ok(Self {
            page: u32::from_be_bytes(field(bytes, 0)),
            seq: u32::from_be_bytes(field(bytes, 4)),
            commitment: field(bytes, 8),
        })
    }
}

/// The (page ordinal, seq) of a record: the order of a file. Every record has at least 64 bytes.
pub(crate) fn position(bytes: &[u8]) -> (u32, u32) {
    (u32::from_be_bytes(field(bytes, 0)), u32::from_be_bytes(field(bytes, 4)))
}

/// Bytes that are not the record they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file is not one of ours.
    #[error("the file begins with {}, expected {}", hex::encode(found), hex::encode(MAGIC))]
    Magic {
        /// The first eight bytes.
        found: [u8; 8],
    },
    /// A format version that this crate does not know.
    #[error("format version {found}, expected {FORMAT_VERSION}")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// Batch number 0.
    #[error("batch number 0, expected at least 1")]
    Batch,
    /// More records than a file may have.
    #[error("{found} records, at most {} are allowed", u32::MAX)]
    Count {
        /// The number in the header.
        found: u64,
    },
    /// A code that has no meaning in this version.
    #[error("unknown {field} code {found}")]
    Code {
        /// What the code is of.
        field: &'static str,
        /// The byte.
        found: u8,
    },
    /// A reason and a method of which one excludes the other.
    #[error(
        "reason {reason} with method {method}; {} goes with released or replaced, and released with it alone",
        Reason::Host
    )]
    Pair {
        /// Why the registration ended.
        reason: Reason,
        /// How it ended.
        method: Method,
    },
    /// Another byte where zero is due.
    #[error("byte {at} is {found}, expected 0")]
    NotZero {
        /// Offset in the record, from 0.
        at: usize,
        /// The byte.
        found: u8,
    },
}

fn common(page: u32, seq: u32, commitment: &[u8; 32], time_ms: i64) -> [u8; RECORD_BYTES] {
    let mut out = [0; RECORD_BYTES];
    out[0..4].copy_from_slice(&page.to_be_bytes());
    out[4..8].copy_from_slice(&seq.to_be_bytes());
    out[8..40].copy_from_slice(commitment);
    out[40..48].copy_from_slice(&time_ms.to_be_bytes());
    out
}

/// `N` bytes of a record from a constant offset. Every caller's `from + N` is at most the record's length.
fn field<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
    let mut out = [0; N];
    for (to, byte) in out.iter_mut().zip(bytes.iter().skip(from)) {
        *to = *byte;
    }
    out
}

fn code(field: &'static str, found: u8) -> RecordError {
    RecordError::Code { field, found }
}

fn zero(bytes: &[u8], from: usize, to: usize) -> Result<(), RecordError> {
    match (from..to).zip(bytes.iter().take(to).skip(from)).find(|(_, byte)| **byte != 0) {
        Some((at, found)) => Err(RecordError::NotZero { at, found: *found }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
