//! Refusals of seal files.

use crate::record::{FORMAT_VERSION, FileKind, MAGIC};
use std::io;

/// Error of bytes that are not a header, a segment or an entry of a seal file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The bytes do not begin with the magic and the kind of a seal file.
    #[error(
        "the file begins with {}, expected {}{:02x}",
        hex::encode(found),
        hex::encode(MAGIC),
        FileKind::Seal.code()
    )]
    Header {
        /// First nine bytes.
        found: [u8; 9],
    },
    /// The format version is not known to this crate.
    #[error("format version {found}, expected {FORMAT_VERSION}")]
    Version {
        /// Version byte.
        found: u8,
    },
    /// The number of the seal is 0.
    #[error("seal number 0, expected at least 1")]
    Number,
    /// The form of a segment has no meaning in this format version.
    #[error("form {found} of a segment, expected at most 3 in format version {FORMAT_VERSION}")]
    Form {
        /// Byte found.
        found: u8,
    },
    /// A segment has no entries.
    #[error("a segment without entries, expected at least one")]
    Count,
    /// The seqs of a segment go beyond the last one of a page.
    #[error("a segment of {count} entries from seq {first} on, expected seqs up to {}", u32::MAX)]
    Seq {
        /// First seq.
        first: u32,
        /// Number of entries.
        count: u32,
    },
    /// The cause of a link is unknown.
    #[error("unknown cause {found} in format version {FORMAT_VERSION}")]
    Cause {
        /// Byte found.
        found: u8,
    },
    /// The byte that says how an entry is held has no meaning.
    #[error("held is {found}, expected at most 2")]
    Held {
        /// Byte found.
        found: u8,
    },
    /// A reserved byte is not zero.
    #[error("byte {at} of the part is {found}, expected 0")]
    NotZero {
        /// Offset in the header, the segment or the part of an entry, from 0.
        at: usize,
        /// Byte found.
        found: u8,
    },
    /// The bytes end too early.
    #[error("{found} bytes are left, expected {expected}")]
    Truncated {
        /// Bytes found.
        found: usize,
        /// Bytes of the header, the segment or the entries.
        expected: usize,
    },
}

/// Error of reading a seal file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealReadError {
    /// The source of the bytes failed.
    #[error("the seal file cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The bytes are not a seal file.
    #[error("byte {at} of the seal file: {source}")]
    Malformed {
        /// Offset in the file of the header, the segment or the entry, from 0.
        at: u64,
        /// Rule that its bytes break.
        source: SealError,
    },
}
