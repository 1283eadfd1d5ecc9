//! Header of a seal file, and writing of its segments.

use super::PART_BYTES;
use super::entry::{Entry, zero};
use super::error::SealError;
use super::segment::Segment;
use crate::id::PageId;
use crate::record::{FORMAT_VERSION, FileKind, MAGIC, field};

/// Most entries of a segment that [`SealWriter`] writes, and most that
/// [`SealReader`](super::SealReader) returns at once.
pub const SEGMENT_ENTRIES_MAX: usize = 1 << 16;

/// Header of a seal file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealHeader {
    /// Number of the seal, from 1.
    pub number: u64,
}

impl SealHeader {
    /// Returns the 32 bytes of the header.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; PART_BYTES] {
        let mut out = [0; PART_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8] = FileKind::Seal.code();
        out[9] = FORMAT_VERSION;
        out[16..24].copy_from_slice(&self.number.to_be_bytes());
        out
    }

    /// Reads the bytes that [`SealHeader::to_bytes`] writes.
    ///
    /// # Errors
    /// Another magic, kind or version; number 0; a reserved byte that is not zero.
    pub fn from_bytes(bytes: &[u8; PART_BYTES]) -> Result<Self, SealError> {
        if bytes[0..8] != MAGIC || bytes[8] != FileKind::Seal.code() {
            return Err(SealError::Header { found: field(bytes, 0) });
        }
        if bytes[9] != FORMAT_VERSION {
            return Err(SealError::Version { found: bytes[9] });
        }
        zero(&bytes[..16], 10)?;
        zero(bytes, 24)?;
        match u64::from_be_bytes(field(bytes, 16)) {
            0 => Err(SealError::Number),
            number => Ok(Self { number }),
        }
    }
}

/// Size and root of a whole seal file, as its leaf states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealTotals {
    /// Number of entries.
    pub entries: u64,
    /// Root: the BLAKE3 hash of the file.
    pub root: [u8; 32],
}

/// Writer of a seal file. It keeps the entries of one segment, and the caller takes the bytes of all earlier ones.
///
/// ```
/// use sexton_proof::id::PageId;
/// use sexton_proof::seal::{Entry, SealWriter};
///
/// let mut writer = SealWriter::new(1);
/// let page = PageId { class: 1, slot: 1_700_000_000_000, shard: 0, part: 0 };
/// let mut file = Vec::new();
/// for seq in 0..2 {
///     let entry = Entry { commitment: [7; 32], continues: None, replaces: None };
///     writer.push(page, seq, 0, &entry, &mut file);
/// }
/// let totals = writer.finish(&mut file);
/// assert_eq!((totals.entries, file.len()), (2, 32 + 32 + 2 * 32));
/// assert_eq!(&totals.root, blake3::hash(&file).as_bytes());
/// ```
#[derive(Debug)]
pub struct SealWriter {
    header: Option<SealHeader>,
    segment: Option<Segment>,
    /// Bytes of the entries of `segment`.
    held: Vec<u8>,
    entries: u64,
    hasher: blake3::Hasher,
}

impl SealWriter {
    /// Begins the file of the seal of this number. Readers refuse number 0.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            header: Some(SealHeader { number }),
            segment: None,
            held: Vec::new(),
            entries: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Adds the entry of a registration, and appends bytes of the file to `out` that are complete.
    ///
    /// A new segment begins if page, offset or form differ from those of the entry before, if `seq` does not follow, or if the
    /// segment has [`SEGMENT_ENTRIES_MAX`] entries. The caller adds each registration once, the seqs of a page in order.
    pub fn push(&mut self, page: PageId, seq: u32, offset: i64, entry: &Entry, out: &mut Vec<u8>) {
        let form = entry.form();
        let goes_on = |segment: &&mut Segment| {
            (segment.page, segment.offset, segment.form) == (page, offset, form)
                && u64::from(segment.first) + u64::from(segment.count) == u64::from(seq)
                && (segment.count as usize) < SEGMENT_ENTRIES_MAX
        };
        match self.segment.as_mut().filter(goes_on) {
            Some(segment) => segment.count += 1,
            None => {
                self.write_held(out);
                self.segment = Some(Segment { page, first: seq, count: 1, form, offset });
            }
        }
        entry.write(&mut self.held);
        self.entries += 1;
    }

    /// Appends the rest of the file to `out`, and returns the totals. Readers refuse a file without entries.
    pub fn finish(mut self, out: &mut Vec<u8>) -> SealTotals {
        self.write_held(out);
        SealTotals { entries: self.entries, root: *self.hasher.finalize().as_bytes() }
    }

    /// Writes the header if it is missing, and the segment that is kept.
    fn write_held(&mut self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend(self.header.take().iter().flat_map(SealHeader::to_bytes));
        if let Some(segment) = self.segment.take() {
            out.extend_from_slice(&segment.to_bytes());
            out.append(&mut self.held);
        }
        self.hasher.update(out.get(begin..).unwrap_or_default());
    }
}
