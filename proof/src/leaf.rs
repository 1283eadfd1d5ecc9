//! Leaves of the log: strict `name value` lines in a fixed order (`docs/format.md` §4).

mod check;
mod error;
pub mod rounding;
mod text;
mod values;

pub use self::error::{LEAF_MAX_BYTES, LeafError};
pub use self::values::{
    BatchLeaf, CLASS_NAME_MAX_BYTES, ClassLeaf, ClassTally, Disposition, EventKind, EventLeaf, FileRef, Find,
    Openings, PageLine, SealFile, SealLeaf, StartRule, TALLIES_MAX, TOOL_MAX_BYTES,
};

use self::check::{check_batch, check_class, check_event, check_seal};
use self::text::{BATCH_KIND, CLASS_KIND, KIND_PREFIX, Lines, SEAL_KIND};
use self::text::{parse_batch, parse_class, parse_event, parse_seal};
use self::text::{write_batch, write_class, write_event, write_seal};
use crate::time::Timestamp;

/// Leaf of a kind that this version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// Definition of a class version.
    Class(ClassLeaf),
    /// End of the registrations of some pages.
    Batch(BatchLeaf),
    /// Commitment to new registrations, and the objects that are owed.
    Seal(SealLeaf),
    /// Hold placed or lifted, or deleting stopped or resumed.
    Event(EventLeaf),
}

impl Leaf {
    /// Reads the text that [`Leaf::encode`] writes.
    ///
    /// # Errors
    /// The first line of another form, with its number, or the first rule that the values break.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > LEAF_MAX_BYTES {
            return Err(LeafError::Length { found: bytes.len() });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| LeafError::Utf8 { at: error.valid_up_to() })?;
        let mut lines = Lines::new(text);
        let first = lines.next();
        let kind = first.and_then(|line| line.strip_prefix(KIND_PREFIX));
        let leaf = match (kind, kind.and_then(EventKind::from_name)) {
            (Some(CLASS_KIND), _) => Self::Class(parse_class(&mut lines)?),
            (Some(BATCH_KIND), _) => Self::Batch(parse_batch(&mut lines)?),
            (Some(SEAL_KIND), _) => Self::Seal(parse_seal(&mut lines)?),
            (_, Some(kind)) => Self::Event(parse_event(&mut lines, kind)?),
            _ => {
                let kinds = [CLASS_KIND, BATCH_KIND, SEAL_KIND, EventKind::EXPECTED].join("|");
                let expected = format!("`{KIND_PREFIX}{kinds}`");
                return Err(lines.wrong(expected, first));
            }
        };
        lines.end()?;
        leaf.check()?;
        Ok(leaf)
    }

    /// Returns the text of the leaf, unchecked. A line feed in a value would make another leaf of it, so only
    /// [`Leaf::encode`] is public.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Class(leaf) => write_class(&mut out, leaf),
            Self::Batch(leaf) => write_batch(&mut out, leaf),
            Self::Seal(leaf) => write_seal(&mut out, leaf),
            Self::Event(leaf) => write_event(&mut out, leaf),
        };
        out
    }

    /// Checks the leaf and returns the text that is logged.
    ///
    /// # Errors
    /// The first rule that the values break; a text longer than [`LEAF_MAX_BYTES`].
    pub fn encode(&self) -> Result<String, LeafError> {
        self.check()?;
        let text = self.to_text();
        if text.len() > LEAF_MAX_BYTES {
            return Err(LeafError::Length { found: text.len() });
        }
        Ok(text)
    }

    /// Returns the text of a leaf with another instant of logging. It checks nothing.
    #[must_use]
    pub fn logged_at(text: &str, logged: Timestamp) -> String {
        let mut lines = text.splitn(3, '\n');
        let (kind, _, rest) = (lines.next(), lines.next(), lines.next());
        let (kind, rest) = (kind.unwrap_or_default(), rest.unwrap_or_default());
        format!("{kind}\nlogged {}\n{rest}", logged.unix_ms())
    }

    /// Checks the values against each other and their limits.
    ///
    /// # Errors
    /// The first rule that the values break.
    pub fn check(&self) -> Result<(), LeafError> {
        match self {
            Self::Class(leaf) => check_class(leaf),
            Self::Batch(leaf) => check_batch(leaf),
            Self::Seal(leaf) => check_seal(leaf),
            Self::Event(leaf) => check_event(leaf),
        }
    }

    /// Returns the instant of logging.
    #[must_use]
    pub fn logged(&self) -> Timestamp {
        match self {
            Self::Class(leaf) => leaf.logged,
            Self::Batch(leaf) => leaf.logged,
            Self::Seal(leaf) => leaf.logged,
            Self::Event(leaf) => leaf.logged,
        }
    }
}

#[cfg(test)]
#[path = "leaf_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "leaf_seal_tests.rs"]
mod seal_tests;

#[cfg(test)]
#[path = "leaf_window_tests.rs"]
mod window_tests;
