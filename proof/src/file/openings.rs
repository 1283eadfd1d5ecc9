//! The container of sealed openings (`docs/format.md` §6).

use super::{FileError, header};
use crate::record::{FileKind, Header, RECORD_BYTES};

/// What comes before the sealed openings in the container of a batch: header, and how long each is (1 to 255 bytes), in
/// the order of the tombstones. The sealed openings themselves follow without anything between them.
///
/// Lengths beyond u32 entries do not occur: a batch has at most 2^32 − 1 tombstones.
#[must_use]
pub fn openings_head(batch: u64, lengths: impl Iterator<Item = usize>) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_BYTES + lengths.size_hint().0);
    out.resize(RECORD_BYTES, 0);
    // A length beyond u8 is written as 255, which no reader takes for what it is.
    out.extend(lengths.map(|length| u8::try_from(length).unwrap_or(u8::MAX)));
    let n = u32::try_from(out.len() - RECORD_BYTES).unwrap_or(u32::MAX);
    out[..RECORD_BYTES].copy_from_slice(&Header { kind: FileKind::Openings, batch, n }.to_bytes());
    out
}

/// A file of sealed openings, checked as a container.
#[derive(Clone, Copy, Debug)]
pub struct OpeningsFile<'a> {
    header: Header,
    lengths: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> OpeningsFile<'a> {
    /// Reads what begins with an [`openings_head`] and has what that says, and nothing else; an empty sealed opening is
    /// refused.
    ///
    /// # Errors
    /// Another header, a file cut short or too long, a length of 0.
    pub fn parse(file: &'a [u8]) -> Result<Self, FileError> {
        let (header, rest) = header(file, FileKind::Openings)?;
        let wrong = |bytes: u64| FileError::Length {
            found: file.len() as u64,
            expected: RECORD_BYTES as u64 + u64::from(header.n) + bytes,
        };
        let n = usize::try_from(header.n).unwrap_or(usize::MAX);
        let (lengths, sealed) = rest.split_at_checked(n).ok_or_else(|| wrong(0))?;
        if let Some(record) = lengths.iter().position(|length| *length == 0) {
            return Err(FileError::EmptyOpening { record });
        }
        let total: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if total != sealed.len() as u64 {
            return Err(wrong(total));
        }
        Ok(Self { header, lengths, sealed })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The sealed opening of tombstone `i`, from 0.
    #[must_use]
    pub fn get(&self, i: u32) -> Option<&'a [u8]> {
        self.iter().nth(usize::try_from(i).ok()?)
    }

    /// All sealed openings in the order of the tombstones.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut left = self.sealed;
        self.lengths.iter().map_while(move |length| {
            let (sealed, rest) = left.split_at_checked(usize::from(*length))?;
            left = rest;
            Some(sealed)
        })
    }
}
