//! Why a receipt is refused.

use super::RECEIPT_MAX_BYTES;
use crate::commitment::{LayoutError, OpeningError};
use crate::file::ProofError;
use crate::id::LimitError;
use crate::leaf::{Disposition, LeafError};
use crate::merkle::{Hash, MerkleError};
use crate::policy::PolicyError;
use crate::record::{Header, Method, RecordError};
use crate::tlog_proof::TlogProofError;
use crate::window::WindowError;

/// Bytes that are not the extra data of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Another first line.
    #[error("the extra data do not begin with the line `sexton receipt v0`")]
    FirstLine,
    /// Bytes that end early.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A part outside its limits.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// More than one result.
    #[error("{found} results, expected 0 or 1")]
    Results {
        /// The number.
        found: u8,
    },
    /// The opening is not one.
    #[error(transparent)]
    Opening(#[from] OpeningError),
}

/// The check of `docs/format.md` §5 that a receipt failed, numbered as there, with what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Before the checks: too long to be a receipt.
    #[error("a receipt of {found} bytes, at most {RECEIPT_MAX_BYTES} are allowed")]
    Length {
        /// Its length in bytes.
        found: usize,
    },
    /// Before the checks: not a tlog-proof.
    #[error("the receipt is not a tlog-proof: {0}")]
    File(#[source] TlogProofError),
    /// Before the checks: a tlog-proof without extra data.
    #[error("the tlog-proof has no extra line, so it is not a receipt")]
    NoExtra,
    /// Before the checks: extra data that are not a receipt's.
    #[error("extra data: {0}")]
    Extra(#[source] ReceiptError),
    /// (1) No log of the policy signed the checkpoint.
    #[error("the checkpoint is not one of the policy's logs: {0}")]
    Checkpoint(#[source] PolicyError),
    /// (1) The origin cannot be in a commitment.
    #[error("origin of the checkpoint: {0}")]
    Origin(#[source] LimitError),
    /// (9) Too few witnesses of the policy cosigned the checkpoint, none counted that signed before the deletion.
    #[error("the cosignatures of {found:?} do not make up the quorum {expected:?}")]
    Quorum {
        /// The quorum that the policy requires.
        expected: String,
        /// Names of the witnesses that count.
        found: Vec<String>,
    },
    /// (2) The batch leaf is not in the log.
    #[error("the batch leaf is not in the log: {0}")]
    Inclusion(#[source] MerkleError),
    /// (2) The batch leaf is logged, but not valid.
    #[error("batch leaf: {0}")]
    BatchLeaf(#[source] LeafError),
    /// (2) What should be the batch leaf is a leaf of another kind.
    #[error("the logged leaf is of another kind, expected a batch leaf")]
    NotBatch,
    /// (3) The class leaf is not the one that the batch leaf names.
    #[error("the class leaf has the hash {}, expected {}", hex::encode(found), hex::encode(expected))]
    ClassHash {
        /// The hash in the batch leaf.
        expected: Hash,
        /// The hash of the class leaf.
        found: Hash,
    },
    /// (3) The class leaf is not valid.
    #[error("class leaf: {0}")]
    ClassLeaf(#[source] LeafError),
    /// (3) What should be the class leaf is a leaf of another kind.
    #[error("the leaf that the batch names as its class is of another kind, expected a class leaf")]
    NotClass,
    /// (3) The class leaf defines another class.
    #[error("the class leaf defines class {found}, expected {expected}")]
    ClassId {
        /// The class in the batch leaf.
        expected: u32,
        /// The class that the class leaf defines.
        found: u32,
    },
    /// (3) The class leaf is not in the log.
    #[error("the class leaf is not in the log: {0}")]
    ClassInclusion(#[source] MerkleError),
    /// (3) The class was defined after the batch.
    #[error("the class leaf has index {class} in the log, expected one before the batch leaf's, {batch}")]
    ClassLater {
        /// Index of the class leaf.
        class: u64,
        /// Index of the batch leaf.
        batch: u64,
    },
    /// (3) The class's promise cannot be computed here.
    #[error("promise of the class: {0}")]
    Class(#[source] WindowError),
    /// (4) Chunk and chaining values do not give the root.
    #[error("tombstone in its file: {0}")]
    Chunk(#[source] ProofError),
    /// (4) The file's header is another's.
    #[error("the header of the file is {found:?}, expected {expected:?}")]
    Header {
        /// The header that the batch leaf implies.
        expected: Header,
        /// The header in the chunk.
        found: Header,
    },
    /// (5) The record is not a tombstone.
    #[error("tombstone: {0}")]
    Record(#[source] RecordError),
    /// (5) The tombstone is of a page that the batch does not have.
    #[error("the tombstone is of page {found}, expected below {expected}")]
    Page {
        /// Number of pages in the batch leaf.
        expected: usize,
        /// Page ordinal of the tombstone.
        found: u32,
    },
    /// (5) The tombstone is of a registration that the page does not have.
    #[error("the tombstone is of seq {found}, expected below {expected}")]
    Seq {
        /// Number of registrations in the page.
        expected: u32,
        /// Seq of the tombstone.
        found: u32,
    },
    /// (5) The tombstone is not where its page's tombstones are in the file.
    #[error("the tombstone is record {found}, those of its page are {first} up to, not including, {end}")]
    Position {
        /// First record of the page.
        first: u64,
        /// First record after the page.
        end: u64,
        /// Number of the record.
        found: u32,
    },
    /// (5) The tombstone's seq does not fit its place among its page's.
    #[error("the tombstone is of seq {found}, expected {least} to {most} at its place in the file")]
    SeqOfPosition {
        /// The smallest seq possible there.
        least: u64,
        /// The largest.
        most: u64,
        /// Seq of the tombstone.
        found: u32,
    },
    /// (6) The opening is not of this tombstone.
    #[error("the opening gives the commitment {}, expected {}", hex::encode(found), hex::encode(expected))]
    Commitment {
        /// The commitment in the tombstone.
        expected: [u8; 32],
        /// The commitment that the opening gives.
        found: [u8; 32],
    },
    /// (6) The object was anonymised, and the receipt does not say what was written instead.
    #[error("the object was anonymised, expected a result in the receipt, found none")]
    NoResult,
    /// (6) The object was not anonymised, and the receipt has a result.
    #[error("the receipt has a result, expected with method anonymised only, found {found}")]
    SurplusResult {
        /// How the registration ended.
        found: Method,
    },
    /// (6) An object was anonymised of a class that does not do that.
    #[error("an object was anonymised of a class with disposition {}, expected anonymise", found.name())]
    Disposition {
        /// What the class does.
        found: Disposition,
    },
    /// (6) The object was anonymised, and the batch has no file of results.
    #[error("the object was anonymised, expected a `results` line in the batch leaf, found none")]
    NoResults,
    /// (6) Chunk and chaining values do not give the root of the results.
    #[error("result in its file: {0}")]
    ResultChunk(#[source] ProofError),
    /// (6) The header of the file of results is another's.
    #[error("the header of the file of results is {found:?}, expected {expected:?}")]
    ResultHeader {
        /// The header that the batch leaf implies.
        expected: Header,
        /// The header in the chunk.
        found: Header,
    },
    /// (6) The record is not a result.
    #[error("result: {0}")]
    ResultRecord(#[source] RecordError),
    /// (6) The result is another registration's.
    #[error("the result is of page and seq {found:?}, expected the tombstone's {expected:?}")]
    ResultPlace {
        /// Page ordinal and seq of the tombstone.
        expected: (u32, u32),
        /// Page ordinal and seq of the result.
        found: (u32, u32),
    },
    /// (6) The digest is not of this result.
    #[error(
        "r and the digest give the result commitment {}, expected {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    ResultCommitment {
        /// The commitment in the file of results.
        expected: [u8; 32],
        /// The commitment that r and the digest give.
        found: [u8; 32],
    },
    /// (7) The class's bounds cannot be computed for this start.
    #[error("bounds: {0}")]
    Bounds(#[source] WindowError),
    /// (7) The floor is not what the class makes of the start.
    #[error("floor of {found} ms, expected {expected} by the class")]
    Floor {
        /// What the class makes of the start.
        expected: i64,
        /// The floor in the opening.
        found: i64,
    },
    /// (7) The ceiling is not what the class makes of the start.
    #[error("ceiling of {found} ms, expected {expected} by the class")]
    Ceiling {
        /// What the class makes of the start.
        expected: i64,
        /// The ceiling in the opening.
        found: i64,
    },
    /// (7) The floor is later than the latest that the batch leaf states, or only one of the two is there.
    #[error("floor of {found} ms, expected at most floor_max {expected:?}")]
    FloorMax {
        /// `floor_max` of the batch leaf.
        expected: Option<i64>,
        /// The floor in the opening.
        found: i64,
    },
    /// (7) The ceiling is earlier than the earliest that the batch leaf states, or only one of the two is there.
    #[error("ceiling of {found} ms, expected at least ceiling_min {expected:?}")]
    CeilingMin {
        /// `ceiling_min` of the batch leaf.
        expected: Option<i64>,
        /// The ceiling in the opening.
        found: i64,
    },
    /// (8) The object went because it was due, and that before its promise began.
    #[error("the deletion was at {found} ms, before the start at {start} ms")]
    BeforeStart {
        /// The start in the opening.
        start: i64,
        /// The time in the tombstone.
        found: i64,
    },
    /// (8) The tombstone's time is not within the batch's.
    #[error("time of {found} ms, expected from started {started} to finished {finished}")]
    Time {
        /// When the batch was planned.
        started: i64,
        /// When its last outcome was known.
        finished: i64,
        /// The tombstone's time.
        found: i64,
    },
}
