//! Reading of seal files.

use super::PART_BYTES;
use super::entry::Entry;
use super::error::{SealError, SealReadError};
use super::file::{SEGMENT_ENTRIES_MAX, SealHeader, SealTotals};
use super::segment::Segment;
use std::io::{ErrorKind, Read};

/// Entries of a segment that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPart {
    /// Segment, as the file states it.
    pub segment: Segment,
    /// Seq of the first of `entries`. It is that of the segment unless an earlier part had entries of it.
    pub first: u32,
    /// Entries, 1 to [`SEGMENT_ENTRIES_MAX`].
    pub entries: Vec<Entry>,
}

/// Reader of a seal file. It checks the bytes alone: no gaps, no links, no offsets.
///
/// Its memory does not depend on the size of the file. It reads large pieces, but segments by 32 bytes, so a file should be
/// buffered.
#[derive(Debug)]
pub struct SealReader<R> {
    source: R,
    header: SealHeader,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    /// Bytes read so far.
    at: u64,
    entries: u64,
    /// Segment whose entries are not all read, and the seq of the next one.
    open: Option<(Segment, u64)>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

impl<R: Read> SealReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// A source that fails; bytes that are not the header of a seal file.
    pub fn new(source: R) -> Result<Self, SealReadError> {
        let mut reader = Self {
            source,
            header: SealHeader { number: 0 },
            hasher: blake3::Hasher::new(),
            buffer: Vec::new(),
            at: 0,
            entries: 0,
            open: None,
            state: State::Reading,
        };
        let found = reader.fill(PART_BYTES)?;
        let bytes = reader.buffer.first_chunk().ok_or_else(|| reader.truncated(found, PART_BYTES))?;
        reader.header = SealHeader::from_bytes(bytes).map_err(|e| reader.malformed(0, e))?;
        reader.accept();
        Ok(reader)
    }

    /// Returns the header.
    pub fn header(&self) -> SealHeader {
        self.header
    }

    /// Reads the next entries. Returns `None` at the end of the file.
    ///
    /// # Errors
    /// A source that fails; bytes that are not those of a seal file. Every later call fails, too.
    pub fn next_part(&mut self) -> Result<Option<SegmentPart>, SealReadError> {
        match self.state {
            State::Ended => return Ok(None),
            State::Failed => {
                return Err(SealReadError::Read(std::io::Error::other("an earlier part could not be read")));
            }
            State::Reading => self.state = State::Failed,
        }
        let part = self.read_part()?;
        self.state = if part.is_some() { State::Reading } else { State::Ended };
        Ok(part)
    }

    /// Reads the rest of the file, and returns the totals.
    ///
    /// # Errors
    /// As [`SealReader::next_part`].
    pub fn finish(mut self) -> Result<SealTotals, SealReadError> {
        while self.next_part()?.is_some() {}
        Ok(SealTotals { entries: self.entries, root: *self.hasher.finalize().as_bytes() })
    }

    fn read_part(&mut self) -> Result<Option<SegmentPart>, SealReadError> {
        let (segment, next) = match self.open.take() {
            Some(open) => open,
            None => match self.read_segment()? {
                Some(segment) => (segment, u64::from(segment.first)),
                None => return Ok(None),
            },
        };
        let end = u64::from(segment.first) + u64::from(segment.count);
        let count = usize::try_from(end - next).unwrap_or(usize::MAX).min(SEGMENT_ENTRIES_MAX);
        let entries = self.read_entries(&segment, count)?;
        let after = next + count as u64;
        self.open = (after < end).then_some((segment, after));
        // A segment ends at seq 2^32 − 1 at the latest, so the seq of an entry fits.
        let first = u32::try_from(next).unwrap_or(u32::MAX);
        Ok(Some(SegmentPart { segment, first, entries }))
    }

    fn read_segment(&mut self) -> Result<Option<Segment>, SealReadError> {
        let found = self.fill(PART_BYTES)?;
        // A seal without entries has no file.
        if found == 0 && self.entries > 0 {
            return Ok(None);
        }
        let bytes = self.buffer.first_chunk().ok_or_else(|| self.truncated(found, PART_BYTES))?;
        let segment = Segment::from_bytes(bytes).map_err(|e| self.malformed(0, e))?;
        self.accept();
        Ok(Some(segment))
    }

    fn read_entries(&mut self, segment: &Segment, count: usize) -> Result<Vec<Entry>, SealReadError> {
        let entry_bytes = segment.form.entry_bytes();
        let found = self.fill(count * entry_bytes)?;
        if found < count * entry_bytes {
            return Err(self.truncated(found, count * entry_bytes));
        }
        let mut entries = Vec::with_capacity(count);
        for (number, bytes) in self.buffer.chunks_exact(entry_bytes).enumerate() {
            let read = Entry::from_bytes(segment.form, bytes);
            entries.push(read.map_err(|e| self.malformed(number * entry_bytes, e))?);
        }
        self.entries += count as u64;
        self.accept();
        Ok(entries)
    }

    /// Fills the buffer with the next `bytes` bytes, or with what the file still has. Returns their number.
    fn fill(&mut self, bytes: usize) -> Result<usize, SealReadError> {
        self.buffer.resize(bytes, 0);
        let mut found = 0;
        while let Some(free) = self.buffer.get_mut(found..).filter(|free| !free.is_empty()) {
            match self.source.read(free) {
                Ok(0) => break,
                Ok(read) => found += read,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(SealReadError::Read(e)),
            }
        }
        self.buffer.truncate(found);
        Ok(found)
    }

    /// Counts and hashes the bytes in the buffer.
    fn accept(&mut self) {
        self.hasher.update(&self.buffer);
        self.at += self.buffer.len() as u64;
    }

    fn truncated(&self, found: usize, expected: usize) -> SealReadError {
        self.malformed(0, SealError::Truncated { found, expected })
    }

    /// Returns the error of the bytes from `behind` on in the buffer.
    fn malformed(&self, behind: usize, source: SealError) -> SealReadError {
        SealReadError::Malformed { at: self.at + behind as u64, source }
    }
}
