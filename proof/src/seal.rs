//! Seal files: the commitments to registrations that a seal is about, and where they come from (`docs/format.md` §3).
//!
//! A file is written and read from its beginning to its end, so it may have any size. Nothing here compares a file with other
//! files or with the log.

mod entry;
mod error;
mod file;
mod offset;
mod reader;
mod segment;

pub use self::entry::{Continues, Entry, Held};
pub use self::error::{SealError, SealReadError};
pub use self::file::{SEGMENT_ENTRIES_MAX, SealHeader, SealTotals, SealWriter};
pub use self::offset::{Geometry, NO_CEILING};
pub use self::reader::{SealReader, SegmentPart};
pub use self::segment::{Form, Segment};

/// Length of the header of a seal file, of a segment, and of each part of an entry, in bytes.
pub const PART_BYTES: usize = 32;

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
