//! Limits of policies, and their refusal.

use thiserror::Error;

use crate::checkpoint::CheckpointError;
use crate::note::NoteError;
use crate::visible::visible;

/// Longest policy file in bytes, 256 KiB.
pub const POLICY_BYTES_MAX: usize = 256 << 10;

/// Most logs, most witnesses and most groups of a policy.
pub const ENTRIES_MAX: usize = 256;

/// Error of a policy, or of a checkpoint under it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The policy is too long.
    #[error("policy of {bytes} bytes is beyond the limit of {POLICY_BYTES_MAX}")]
    TooLong {
        /// Length of the policy in bytes.
        bytes: usize,
    },
    /// The policy is not UTF-8.
    #[error("policy is not UTF-8 from byte {offset} on")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// The last line of the policy has no line feed, so the file may be cut off.
    #[error("policy does not end with a line feed: it may be cut off")]
    Cut,
    /// A line breaks a rule.
    #[error("policy line {line}: {problem}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Rule that the line breaks.
        problem: LineError,
    },
    /// The policy has no quorum line.
    #[error("policy has no quorum line: expected \"quorum none\" or \"quorum <name>\"")]
    NoQuorum,
    /// The checkpoint is not a note, a signature of a known key is bad, or no signature is of a known key.
    #[error("signed checkpoint: {0}")]
    Note(NoteError),
    /// The note's text is not a checkpoint.
    #[error("text of the signed checkpoint: {0}")]
    Checkpoint(CheckpointError),
    /// The policy has no log of this origin.
    #[error("policy has no log with origin {origin:?}")]
    UnknownLog {
        /// Origin of the checkpoint.
        origin: String,
    },
    /// No key of the log signed the checkpoint.
    #[error("checkpoint has no signature of the log {origin:?}")]
    NotSignedByLog {
        /// Origin of the checkpoint.
        origin: String,
    },
}

/// Rule that a line of a policy breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// The line has a control character other than tab. A comment may have those beyond ASCII.
    #[error("control character U+{:04X}: expected none but tab and line feed", u32::from(*found))]
    ControlCharacter {
        /// Control character found.
        found: char,
    },
    /// The line has none of the four forms.
    #[error("expected {expected}")]
    Form {
        /// Form or forms expected.
        expected: &'static str,
    },
    /// The vkey is invalid.
    #[error("{0}")]
    Key(NoteError),
    /// The vkey is of the wrong type.
    #[error("key {} is of the wrong type: expected type {expected}", visible(name))]
    WrongKeyType {
        /// Name of the key.
        name: String,
        /// Expected type, in words.
        expected: &'static str,
    },
    /// An earlier line has this public key, or this key name and id.
    #[error(
        "key {} is on an earlier line, under this or another name: remove one of the lines",
        visible(name)
    )]
    DuplicateKey {
        /// Name of the key.
        name: String,
    },
    /// An earlier line defines the name, or it is `none`.
    #[error("name {name:?} is already defined: choose another name")]
    NameTaken {
        /// Name given.
        name: String,
    },
    /// No earlier line defines a witness or group of this name.
    #[error("name {name:?} is undefined: expected a witness or group of an earlier line")]
    Undefined {
        /// Name given.
        name: String,
    },
    /// The name is already a member of a group.
    #[error("name {name:?} is already a member of a group: remove one of them")]
    MemberTwice {
        /// Name given.
        name: String,
    },
    /// The threshold is invalid.
    #[error("threshold {text:?}: expected all, any or a number from 1 to {members}, the number of members")]
    Threshold {
        /// Threshold given.
        text: String,
        /// Number of members of the group.
        members: usize,
    },
    /// The policy has a second quorum line.
    #[error("second quorum line: expected exactly one")]
    SecondQuorum,
    /// The policy has too many entries of a kind.
    #[error("more than {ENTRIES_MAX} {kind}")]
    TooMany {
        /// `logs`, `witnesses` or `groups`.
        kind: &'static str,
    },
}
