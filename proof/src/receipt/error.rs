//! Refusal of receipts.

use super::witnessed::Unwitnessed;
use crate::commitment::{LayoutError, OpeningError};
use crate::file::ProofError;
use crate::id::LimitError;
use crate::leaf::{Disposition, LeafError};
use crate::merkle::{Hash, MerkleError};
use crate::policy::PolicyError;
use crate::record::{Header, Method, RecordError};
use crate::time::Timestamp;
use crate::tlog_proof::TlogProofError;
use crate::window::WindowError;

/// Longest receipt in bytes. The limits of all fields of a receipt add up to less.
pub const RECEIPT_MAX_BYTES: usize = 2 << 20;

/// Error of bytes that are not the extra data of a receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// The first line is not that of a receipt.
    #[error("the extra data do not begin with the line `sexton receipt v0`")]
    FirstLine,
    /// The bytes end early.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A field is outside its limits.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The number of results is neither 0 nor 1.
    #[error("{found} results, expected 0 or 1")]
    Results {
        /// Number of results.
        found: u8,
    },
    /// The opening is malformed.
    #[error(transparent)]
    Opening(#[from] OpeningError),
}

/// Check of `docs/format.md` §5 that a receipt failed, with the expected and the found value.
///
/// The number in parentheses is that of the check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Before the checks: the file is too long for a receipt.
    #[error("a receipt of {found} bytes, at most {RECEIPT_MAX_BYTES} are allowed")]
    Length {
        /// Length of the file in bytes.
        found: usize,
    },
    /// Before the checks: the file is not a tlog-proof.
    #[error("the receipt is not a tlog-proof: {0}")]
    File(#[source] TlogProofError),
    /// Before the checks: the tlog-proof has no extra data.
    #[error("the tlog-proof has no extra line, expected the extra line of a receipt")]
    NoExtra,
    /// Before the checks: the extra data are not those of a receipt.
    #[error("extra data: {0}")]
    Extra(#[source] ReceiptError),
    /// (1) No log of the policy signed the checkpoint.
    #[error("the checkpoint is not one of the policy's logs: {0}")]
    Checkpoint(#[source] PolicyError),
    /// (1) The origin is too long for a commitment.
    #[error("origin of the checkpoint: {0}")]
    Origin(#[source] LimitError),
    /// (9) Too few witnesses of the policy cosigned the checkpoint at a date that counts. The receipt is authentic.
    #[error("{0}")]
    Quorum(Box<Unwitnessed>),
    /// (2) The batch leaf is not in the log.
    #[error("the batch leaf is not in the log: {0}")]
    Inclusion(#[source] MerkleError),
    /// (2) The batch leaf is in the log, but is not valid.
    #[error("batch leaf: {0}")]
    BatchLeaf(#[source] LeafError),
    /// (2) The leaf in place of the batch leaf is of another kind.
    #[error("the logged leaf is of another kind, expected a batch leaf")]
    NotBatch,
    /// (3) The class leaf is not the one that the batch leaf names.
    #[error("the class leaf has the hash {}, expected {}", hex::encode(found), hex::encode(expected))]
    ClassHash {
        /// Hash in the batch leaf.
        expected: Hash,
        /// Hash of the class leaf.
        found: Hash,
    },
    /// (3) The class leaf is not valid.
    #[error("class leaf: {0}")]
    ClassLeaf(#[source] LeafError),
    /// (3) The leaf in place of the class leaf is of another kind.
    #[error("the leaf that the batch names as its class is of another kind, expected a class leaf")]
    NotClass,
    /// (3) The class leaf defines another class.
    #[error("the class leaf defines class {found}, expected {expected}")]
    ClassId {
        /// Class in the batch leaf.
        expected: u32,
        /// Class that the class leaf defines.
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
    /// (4) The header of the file differs from the one that the batch leaf implies.
    #[error("the header of the file is {found:?}, expected {expected:?}")]
    Header {
        /// Header that the batch leaf implies.
        expected: Header,
        /// Header in the chunk.
        found: Header,
    },
    /// (5) The record is not a tombstone.
    #[error("tombstone: {0}")]
    Record(#[source] RecordError),
    /// (5) The batch has no page of the tombstone's page ordinal.
    #[error("the tombstone is of page {found}, expected below {expected}")]
    Page {
        /// Number of pages in the batch leaf.
        expected: usize,
        /// Page ordinal of the tombstone.
        found: u32,
    },
    /// (5) The page has no registration of the tombstone's seq.
    #[error("the tombstone is of seq {found}, expected below {expected}")]
    Seq {
        /// Number of registrations in the page.
        expected: u32,
        /// Seq of the tombstone.
        found: u32,
    },
    /// (5) The tombstone lies outside the range of its page's tombstones in the file.
    #[error("the tombstone is record {found}, those of its page are {first} up to, not including, {end}")]
    Position {
        /// First record of the page.
        first: u64,
        /// First record after the page.
        end: u64,
        /// Number of the record.
        found: u32,
    },
    /// (5) The tombstone's seq does not fit its position among those of its page.
    #[error("the tombstone is of seq {found}, expected {least} to {most} at its position in the file")]
    SeqOfPosition {
        /// Smallest seq possible at this position.
        least: u64,
        /// Largest seq possible at this position.
        most: u64,
        /// Seq of the tombstone.
        found: u32,
    },
    /// (6) The opening does not give the commitment of the tombstone.
    #[error("the opening gives the commitment {}, expected {}", hex::encode(found), hex::encode(expected))]
    Commitment {
        /// Commitment in the tombstone.
        expected: [u8; 32],
        /// Commitment that the opening gives.
        found: [u8; 32],
    },
    /// (6) The object was anonymised, but the receipt has no result.
    #[error("the object was anonymised, expected a result in the receipt, found none")]
    NoResult,
    /// (6) The object was not anonymised, but the receipt has a result.
    #[error("the receipt has a result, expected with method anonymised only, found {found}")]
    SurplusResult {
        /// Method by which the registration ended.
        found: Method,
    },
    /// (6) The object was anonymised, but its class does not anonymise.
    #[error("an object was anonymised of a class with disposition {}, expected anonymise", found.name())]
    Disposition {
        /// Disposition of the class.
        found: Disposition,
    },
    /// (6) The object was anonymised, but the batch has no file of results.
    #[error("the object was anonymised, expected a `results` line in the batch leaf, found none")]
    NoResults,
    /// (6) Chunk and chaining values do not give the root of the results.
    #[error("result in its file: {0}")]
    ResultChunk(#[source] ProofError),
    /// (6) The header of the file of results differs from the one that the batch leaf implies.
    #[error("the header of the file of results is {found:?}, expected {expected:?}")]
    ResultHeader {
        /// Header that the batch leaf implies.
        expected: Header,
        /// Header in the chunk.
        found: Header,
    },
    /// (6) The record is not a result.
    #[error("result: {0}")]
    ResultRecord(#[source] RecordError),
    /// (6) The result belongs to another registration.
    #[error("the result is of page and seq {found:?}, expected the tombstone's {expected:?}")]
    ResultPlace {
        /// Page ordinal and seq of the tombstone.
        expected: (u32, u32),
        /// Page ordinal and seq of the result.
        found: (u32, u32),
    },
    /// (6) The digest does not give the commitment of the result.
    #[error(
        "r and the digest give the result commitment {}, expected {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    ResultCommitment {
        /// Commitment in the file of results.
        expected: [u8; 32],
        /// Commitment that r and the digest give.
        found: [u8; 32],
    },
    /// (7) The bounds of the class cannot be computed for this start.
    #[error("bounds: {0}")]
    Bounds(#[source] WindowError),
    /// (7) The floor differs from the one that the class gives for the start.
    #[error("the floor is {}, expected {} by the class", or_none(*found), or_none(*expected))]
    Floor {
        /// Floor that the class gives for the start.
        expected: Option<Timestamp>,
        /// Floor in the opening.
        found: Option<Timestamp>,
    },
    /// (7) The ceiling differs from the one that the class gives for the start.
    #[error("the ceiling is {}, expected {} by the class", or_none(*found), or_none(*expected))]
    Ceiling {
        /// Ceiling that the class gives for the start.
        expected: Option<Timestamp>,
        /// Ceiling in the opening.
        found: Option<Timestamp>,
    },
    /// (6) The tombstone says wrongly if the object was deleted within its bounds.
    #[error("the tombstone says {}, expected {} by its method, time and bounds", in_or_out(*found), in_or_out(*expected))]
    InBounds {
        /// `true` if method, time and bounds show a deletion in bounds.
        expected: bool,
        /// `true` if the tombstone says so.
        found: bool,
    },
    /// (7) A bound in the batch leaf is not rounded.
    #[error("{line} is {}, expected a multiple of {unit} ms", found.unix_ms())]
    Rounding {
        /// Name of the line.
        line: &'static str,
        /// Unit of the class, in milliseconds.
        unit: i128,
        /// Bound in the batch leaf.
        found: Timestamp,
    },
    /// (7) The floor is later than the latest in the batch leaf, or only one of them is present.
    #[error("the floor is {}, expected at most floor_max {}", or_none(*found), or_none(*expected))]
    FloorMax {
        /// `floor_max` of the batch leaf.
        expected: Option<Timestamp>,
        /// Floor in the opening.
        found: Option<Timestamp>,
    },
    /// (7) The ceiling is earlier than the earliest in the batch leaf, or only one of them is present.
    #[error("the ceiling is {}, expected at least ceiling_min {}", or_none(*found), or_none(*expected))]
    CeilingMin {
        /// `ceiling_min` of the batch leaf.
        expected: Option<Timestamp>,
        /// Ceiling in the opening.
        found: Option<Timestamp>,
    },
    /// (8) The object was deleted as due before the start of its promise.
    #[error("the deletion was at {found}, before the start at {start}")]
    BeforeStart {
        /// Start in the opening.
        start: Timestamp,
        /// Time of the tombstone.
        found: Timestamp,
    },
    /// (8) The time of the tombstone lies outside those of the batch.
    #[error("the time is {found}, expected from started {started} to finished {finished}")]
    Time {
        /// Instant at which the batch was planned.
        started: Timestamp,
        /// Instant at which the last outcome was known.
        finished: Timestamp,
        /// Time of the tombstone.
        found: Timestamp,
    },
}

/// Returns the words for the flag of a tombstone.
fn in_or_out(in_bounds: bool) -> &'static str {
    if in_bounds { "in bounds" } else { "not in bounds" }
}

/// Returns the text of a bound for an error message.
fn or_none(bound: Option<Timestamp>) -> String {
    bound.map_or_else(|| "none".to_owned(), |bound| bound.to_string())
}
