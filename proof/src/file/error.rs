//! Refusals of evidence files and of proofs of their records.

use crate::record::{FileKind, RecordError};

/// Error of bytes that are not a valid file of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The length differs from the one that the header implies.
    #[error("the file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes found.
        found: u64,
        /// Bytes expected. If the file is cut within its header or lengths, a lower bound.
        expected: u64,
    },
    /// The header is malformed.
    #[error("header: {0}")]
    Header(#[source] RecordError),
    /// The file is of another kind.
    #[error("the file holds {found}, expected {expected}")]
    Kind {
        /// Kind in the header.
        found: FileKind,
        /// Kind that the caller asked for.
        expected: FileKind,
    },
    /// Files of this kind do not consist of records.
    #[error("files of {kind} do not consist of records, expected tombstones, carries or results")]
    NotRecords {
        /// Kind that the caller asked for.
        kind: FileKind,
    },
    /// A record is malformed.
    #[error("record {record}: {source}")]
    Record {
        /// Number of the record, from 0.
        record: u32,
        /// Error of the record.
        source: RecordError,
    },
    /// Page and seq of a record are not after those of the previous record.
    #[error("record {record} is of page and seq {found:?}, expected after {previous:?}")]
    Order {
        /// Number of the record, from 0.
        record: u32,
        /// Page ordinal and seq of the previous record.
        previous: (u32, u32),
        /// Page ordinal and seq of the record.
        found: (u32, u32),
    },
    /// The check at the end of the file is not the hash of everything before it.
    #[error(
        "the file does not match its check: the BLAKE3 hash of everything before it is {}, found {}",
        hex::encode(expected),
        hex::encode(found)
    )]
    Check {
        /// Hash of everything before the check.
        expected: [u8; 32],
        /// Check found.
        found: [u8; 32],
    },
    /// A sealed opening has no bytes.
    #[error("the sealed opening of record {record} has 0 bytes, expected 1 to 255")]
    EmptyOpening {
        /// Number of the record, from 0.
        record: usize,
    },
}

/// Error of a proof that does not hold, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// The file has no such record.
    #[error("record {record} in a file of {n} records, expected below {n}")]
    Record {
        /// Number of the record, from 0.
        record: u32,
        /// Number of records in the file.
        n: u32,
    },
    /// The length of the chunk differs from the one that the file implies.
    #[error("the chunk has {found} bytes, expected {expected}")]
    Chunk {
        /// Bytes found.
        found: usize,
        /// Bytes expected.
        expected: u64,
    },
    /// The number of chaining values differs from the one that the file implies.
    #[error("{found} chaining values, expected {expected}")]
    Siblings {
        /// Chaining values found.
        found: usize,
        /// Chaining values expected.
        expected: usize,
    },
    /// Chunk and chaining values give another root.
    #[error(
        "chunk and chaining values give the root {}, expected {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    Root {
        /// Root of the file.
        expected: [u8; 32],
        /// Root that the proof gives.
        found: [u8; 32],
    },
    /// The records of the file do not have 64 bytes.
    #[error("single records of a file of {found} have no proof, expected records of 64 bytes")]
    Kind {
        /// Kind of the file.
        found: FileKind,
    },
    /// The length is not that of the file of the tree, or no file can have it.
    #[error("a file of {found} bytes; expected the file of this tree, a positive multiple of 64 bytes")]
    File {
        /// Length of the file in bytes.
        found: usize,
    },
}
