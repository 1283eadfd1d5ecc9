//! Container of sealed openings (`docs/format.md` §6).

use super::chunks::{root, root_of_parts};
use super::error::FileError;
use super::records::split_header;
use crate::record::{FileKind, Header, RECORD_BYTES};
use std::ops::Range;

/// Length of the check at the end of a container of sealed openings, in bytes.
pub const OPENINGS_CHECK_BYTES: usize = 32;

/// Returns the beginning of a batch's container of sealed openings: the header, and the length of each opening.
///
/// Lengths are 1 to 65,535 bytes, in the order of the tombstones. The caller appends the sealed openings themselves,
/// without separators, and then the [`openings_check`]. A batch has at most 2^32 − 1 tombstones, so the number of lengths fits a u32.
#[must_use]
pub fn openings_head(batch: u64, lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_BYTES + LENGTH_BYTES * lengths.size_hint().0);
    out.resize(RECORD_BYTES, 0);
    // A length beyond u16 is written as 65,535. The sum of the lengths is then wrong, and every reader refuses the file.
    out.extend(lengths.flat_map(|length| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()));
    let n = u32::try_from((out.len() - RECORD_BYTES) / LENGTH_BYTES).unwrap_or(u32::MAX);
    out[..RECORD_BYTES].copy_from_slice(&Header { kind: FileKind::Openings, batch, n }.to_bytes());
    out
}

/// Returns the last bytes of a container of sealed openings: the BLAKE3 hash of everything before, given in consecutive
/// parts.
///
/// Only the key of an object unseals its opening, so nothing else shows that a sealed opening was damaged.
pub fn openings_check<'a>(before: impl IntoIterator<Item = &'a [u8]>) -> [u8; OPENINGS_CHECK_BYTES] {
    root_of_parts(before)
}

/// Length of the length of an opening, in bytes.
const LENGTH_BYTES: usize = 2;
/// Openings after which a file notes where the next one begins.
const STRIDE: usize = 256;

/// File of sealed openings. [`OpeningsFile::parse`] has checked its header and lengths.
///
/// `B` owns or borrows the bytes. A caller that looks openings up again and again keeps the file, and checks it once.
#[derive(Clone, Debug)]
pub struct OpeningsFile<B> {
    header: Header,
    file: B,
    /// Range of the lengths, then range of the sealed openings.
    lengths: Range<usize>,
    sealed: Range<usize>,
    /// Beginning of every [`STRIDE`]th opening, from the first.
    begins: Vec<usize>,
}

impl<B: AsRef<[u8]>> OpeningsFile<B> {
    /// Reads a file: an [`openings_head`], openings of the lengths in it, and a check. It does not compute the check; see
    /// [`OpeningsFile::verify_check`].
    ///
    /// # Errors
    /// Another header, a file cut short or too long, a length of 0.
    pub fn parse(file: B) -> Result<Self, FileError> {
        let bytes = file.as_ref();
        let (header, rest) = split_header(bytes, FileKind::Openings)?;
        let wrong = |sealed: u64| FileError::Length {
            found: bytes.len() as u64,
            expected: (RECORD_BYTES + OPENINGS_CHECK_BYTES) as u64
                + u64::from(header.n) * LENGTH_BYTES as u64
                + sealed,
        };
        let n = usize::try_from(header.n).unwrap_or(usize::MAX).saturating_mul(LENGTH_BYTES);
        let (lengths, rest) = rest.split_at_checked(n).ok_or_else(|| wrong(0))?;
        let (lengths, _) = lengths.as_chunks();
        let (sealed, _) = rest.split_last_chunk::<OPENINGS_CHECK_BYTES>().ok_or_else(|| wrong(0))?;
        if let Some(record) = lengths.iter().position(|length| *length == [0; LENGTH_BYTES]) {
            return Err(FileError::EmptyOpening { record });
        }
        let mut total = 0;
        let mut begins = Vec::with_capacity(lengths.len().div_ceil(STRIDE));
        for lengths in lengths.chunks(STRIDE) {
            begins.push(total);
            total += sum(lengths);
        }
        if total != sealed.len() {
            return Err(wrong(total as u64));
        }
        let begin = RECORD_BYTES + n;
        let (lengths, sealed) = (RECORD_BYTES..begin, begin..begin + total);
        Ok(Self { header, file, lengths, sealed, begins })
    }

    /// Compares the file with its check. It hashes the whole file.
    ///
    /// # Errors
    /// [`FileError::Check`] if a bit of the file was changed.
    pub fn verify_check(&self) -> Result<(), FileError> {
        let file = self.file.as_ref();
        let (checked, check) = file.split_last_chunk().unwrap_or((file, &[0; OPENINGS_CHECK_BYTES]));
        let expected = root(checked);
        if *check != expected {
            return Err(FileError::Check { expected, found: *check });
        }
        Ok(())
    }

    /// Returns the header of the file.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Returns the sealed opening of tombstone `i`, from 0.
    #[must_use]
    pub fn get(&self, i: u32) -> Option<&[u8]> {
        let i = usize::try_from(i).ok()?;
        let (before, rest) = self.lengths().split_at_checked(i)?;
        let begin = self.begins.get(i / STRIDE)? + sum(before.get(i / STRIDE * STRIDE..)?);
        self.sealed().get(begin..)?.get(..length_of(rest.first()?))
    }

    /// Returns all sealed openings in the order of the tombstones.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.sealed();
        self.lengths().iter().map_while(move |length| {
            let (sealed, rest) = left.split_at_checked(length_of(length))?;
            left = rest;
            Some(sealed)
        })
    }

    fn lengths(&self) -> &[[u8; LENGTH_BYTES]] {
        self.file.as_ref().get(self.lengths.clone()).unwrap_or_default().as_chunks().0
    }

    fn sealed(&self) -> &[u8] {
        self.file.as_ref().get(self.sealed.clone()).unwrap_or_default()
    }
}

fn length_of(length: &[u8; LENGTH_BYTES]) -> usize {
    u16::from_be_bytes(*length).into()
}

fn sum(lengths: &[[u8; LENGTH_BYTES]]) -> usize {
    lengths.iter().map(length_of).sum()
}
