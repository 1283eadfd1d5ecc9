//! Segments: runs of entries of one page that are alike in offset and form.

use super::PART_BYTES;
use super::error::SealError;
use crate::id::PageId;
use crate::record::field;

const CONTINUES: u8 = 1;
const REPLACES: u8 = 2;

/// Links that all entries of a segment have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Form {
    /// `true` if each entry continues an earlier registration.
    pub continues: bool,
    /// `true` if each entry replaces an earlier registration.
    pub replaces: bool,
}

impl Form {
    /// Returns the byte of the form in a segment.
    #[must_use]
    pub const fn code(self) -> u8 {
        (if self.continues { CONTINUES } else { 0 }) | (if self.replaces { REPLACES } else { 0 })
    }

    /// Returns the form of a byte, or `None` if it has none.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        if code > CONTINUES | REPLACES {
            return None;
        }
        Some(Self { continues: code & CONTINUES != 0, replaces: code & REPLACES != 0 })
    }

    /// Returns the length of an entry of this form in bytes.
    #[must_use]
    pub const fn entry_bytes(self) -> usize {
        PART_BYTES * (1 + self.continues as usize + self.replaces as usize)
    }
}

/// Run of entries of one page. Their seqs follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Page of the entries.
    pub page: PageId,
    /// Seq of the first entry.
    pub first: u32,
    /// Number of entries, 1 to [`Segment::COUNT_MAX`].
    pub count: u32,
    /// Links of each entry.
    pub form: Form,
    /// Offset of each entry's ceiling, in slot widths ([`Geometry`](super::Geometry)).
    pub offset: i64,
}

impl Segment {
    /// Most entries of a segment, 2^24 − 1.
    pub const COUNT_MAX: u32 = (1 << 24) - 1;

    /// Returns the 32 bytes in front of the entries. [`Segment::from_bytes`] refuses them if count or seqs are out of their
    /// limits.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PART_BYTES] {
        let mut out = [0; PART_BYTES];
        out[0..16].copy_from_slice(&self.page.to_bytes());
        out[16..20].copy_from_slice(&self.first.to_be_bytes());
        out[20] = self.form.code();
        // A count that does not fit becomes 0, which is refused.
        if let [0, count @ ..] = self.count.to_be_bytes() {
            out[21..24].copy_from_slice(&count);
        }
        out[24..32].copy_from_slice(&self.offset.to_be_bytes());
        out
    }

    /// Reads the bytes that [`Segment::to_bytes`] writes.
    ///
    /// # Errors
    /// An unknown form; no entries; seqs beyond the last one of a page.
    pub fn from_bytes(bytes: &[u8; PART_BYTES]) -> Result<Self, SealError> {
        let form = Form::from_code(bytes[20]).ok_or(SealError::Form { found: bytes[20] })?;
        let [first, [_, count @ ..]] = [field::<4>(bytes, 16), field::<4>(bytes, 20)];
        let first = u32::from_be_bytes(first);
        let count = u32::from_be_bytes([0, count[0], count[1], count[2]]);
        if count == 0 {
            return Err(SealError::Count);
        }
        if u64::from(first) + u64::from(count) > 1 << 32 {
            return Err(SealError::Seq { first, count });
        }
        Ok(Self {
            page: PageId::from_bytes(&field(bytes, 0)),
            first,
            count,
            form,
            offset: i64::from_be_bytes(field(bytes, 24)),
        })
    }
}
