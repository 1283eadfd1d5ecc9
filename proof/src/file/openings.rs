//! The container of sealed openings (`docs/format.md` §6).

use super::{FileError, header};
use crate::record::{FileKind, Header, RECORD_BYTES};

/// The container of a batch's sealed openings: header, table of offsets, and the sealed openings in the order of the
/// tombstones. Sealing is the engine's.
///
/// Lengths beyond u32 entries do not occur: a batch has at most 2^32 − 1 tombstones.
#[must_use]
pub fn openings_file<S: AsRef<[u8]>>(batch: u64, sealed: &[S]) -> Vec<u8> {
    let n = u32::try_from(sealed.len()).unwrap_or(u32::MAX);
    let total: usize = sealed.iter().map(|opening| opening.as_ref().len()).sum();
    let mut out = Vec::with_capacity(RECORD_BYTES + 8 * (sealed.len() + 1) + total);
    out.extend_from_slice(&Header { kind: FileKind::Openings, batch, n }.to_bytes());
    let mut offset = 0u64;
    out.extend_from_slice(&offset.to_be_bytes());
    for opening in sealed {
        offset += opening.as_ref().len() as u64;
        out.extend_from_slice(&offset.to_be_bytes());
    }
    for opening in sealed {
        out.extend_from_slice(opening.as_ref());
    }
    out
}

/// A file of sealed openings, checked as a container.
#[derive(Clone, Copy, Debug)]
pub struct OpeningsFile<'a> {
    header: Header,
    offsets: &'a [[u8; 8]],
    sealed: &'a [u8],
}

impl<'a> OpeningsFile<'a> {
    /// Reads what [`openings_file`] writes, and nothing else; an empty sealed opening is refused.
    ///
    /// # Errors
    /// Another header, a table cut short, offsets that do not ascend from 0 to the end of the file.
    pub fn parse(file: &'a [u8]) -> Result<Self, FileError> {
        let (header, rest) = header(file, FileKind::Openings)?;
        let table_bytes = (u64::from(header.n) + 1) * 8;
        let short =
            FileError::Length { found: file.len() as u64, expected: RECORD_BYTES as u64 + table_bytes };
        let Some((table, sealed)) =
            usize::try_from(table_bytes).ok().and_then(|at| rest.split_at_checked(at))
        else {
            return Err(short);
        };
        let (offsets, _) = table.as_chunks::<8>();
        let mut least = 0;
        for (entry, bytes) in offsets.iter().enumerate() {
            let found = u64::from_be_bytes(*bytes);
            let most = if entry == 0 { 0 } else { sealed.len() as u64 };
            if found < least || found > most {
                return Err(FileError::Offset { entry, found, least, most });
            }
            least = found + 1;
        }
        let end = offsets.last().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        if end != sealed.len() as u64 {
            let expected = (file.len() - sealed.len()) as u64 + end;
            return Err(FileError::Length { found: file.len() as u64, expected });
        }
        Ok(Self { header, offsets, sealed })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// The sealed opening of tombstone `i`, from 0.
    #[must_use]
    pub fn get(&self, i: u32) -> Option<&'a [u8]> {
        let i = usize::try_from(i).ok()?;
        let offset = |at: usize| usize::try_from(u64::from_be_bytes(*self.offsets.get(at)?)).ok();
        self.sealed.get(offset(i)?..offset(i.checked_add(1)?)?)
    }
}
