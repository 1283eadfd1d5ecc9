//! Refusal of bytes that are not a leaf.

use crate::visible::visible;
use crate::window::{CalendarError, WindowError};

/// Longest leaf in bytes.
pub const LEAF_MAX_BYTES: usize = 60_000;

/// Error of bytes, or of values, that are not a leaf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeafError {
    /// The leaf is too long.
    #[error("a leaf of {found} bytes, at most {LEAF_MAX_BYTES} are allowed")]
    Length {
        /// Length of the leaf in bytes.
        found: usize,
    },
    /// The bytes are not UTF-8.
    #[error("the leaf is not UTF-8 from byte {at} on, expected UTF-8 text")]
    Utf8 {
        /// Offset of the first byte that is not UTF-8.
        at: usize,
    },
    /// A line has another name or another form of value than expected.
    #[error("line {line} of the leaf: expected {expected}, found {found:?}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Expected text or value.
        expected: String,
        /// Line found, cut to 64 characters. Empty at the end of the leaf.
        found: String,
    },
    /// The dates of a class leaf are not a calendar.
    #[error("dates of the class leaf: {0}")]
    Calendar(#[from] CalendarError),
    /// The class leaf has working days, or dates, that its promise does not allow.
    #[error("promise of the class leaf: {0}")]
    Window(#[from] WindowError),
    /// A value is outside its limits, or contradicts another value.
    #[error("`{name}` line of the leaf: expected {expected}, found {}", visible(found))]
    Rule {
        /// Name of the line. For a page the ordinal follows.
        name: String,
        /// Expected text or value.
        expected: String,
        /// Value found, cut to 64 characters.
        found: String,
    },
}
