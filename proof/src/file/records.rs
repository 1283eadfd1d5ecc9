//! Files of tombstones, carries or results.

use super::error::FileError;
use crate::record::{
    CARRY_BYTES, Carry, FileKind, Header, RECORD_BYTES, RecordError, ResultRecord, Tombstone, position,
};

/// File of tombstones, of carries or of results. [`EvidenceFile::parse`] has checked all of it.
///
/// `B` owns or borrows the bytes. A caller that looks records up again and again keeps the file, and checks it once.
#[derive(Clone, Copy, Debug)]
pub struct EvidenceFile<B> {
    header: Header,
    file: B,
}

impl<B: AsRef<[u8]>> EvidenceFile<B> {
    /// Reads a file of tombstones, carries or results. It checks header, length, every record, and their order.
    ///
    /// # Errors
    /// Bytes other than the one valid encoding; a `kind` whose files do not consist of records.
    pub fn parse(file: B, kind: FileKind) -> Result<Self, FileError> {
        let record_bytes = kind.record_bytes().ok_or(FileError::NotRecords { kind })? as u64;
        let (header, records) = split_header(file.as_ref(), kind)?;
        let (found, expected) =
            (file.as_ref().len() as u64, RECORD_BYTES as u64 + u64::from(header.n) * record_bytes);
        if found != expected {
            return Err(FileError::Length { found, expected });
        }
        match kind {
            FileKind::Tombstones => check_records(records, Tombstone::from_bytes)?,
            FileKind::Carries => check_records(records, Carry::from_bytes)?,
            FileKind::Results => check_records(records, ResultRecord::from_bytes)?,
            FileKind::Openings | FileKind::Seal => return Err(FileError::NotRecords { kind }),
        }
        Ok(Self { header, file })
    }

    /// Returns the header of the file.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Returns all bytes of the file, its header included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.file.as_ref()
    }

    /// Returns tombstone `record`, from 0, or `None` in a file of another kind.
    #[must_use]
    pub fn tombstone(&self, record: u32) -> Option<Tombstone> {
        let record = self.of(FileKind::Tombstones).get(usize::try_from(record).ok()?)?;
        Tombstone::from_bytes(record).ok()
    }

    /// Returns carry `record`, from 0, or `None` in a file of another kind.
    #[must_use]
    pub fn carry(&self, record: u32) -> Option<Carry> {
        let record = self.of(FileKind::Carries).get(usize::try_from(record).ok()?)?;
        Carry::from_bytes(record).ok()
    }

    /// Returns result `record`, from 0, or `None` in a file of another kind.
    #[must_use]
    pub fn result(&self, record: u32) -> Option<ResultRecord> {
        let record = self.of(FileKind::Results).get(usize::try_from(record).ok()?)?;
        ResultRecord::from_bytes(record).ok()
    }

    /// Returns the tombstones in order. A file of another kind has none.
    pub fn tombstones(&self) -> impl Iterator<Item = Tombstone> {
        // `parse` has read every record, so `ok` drops none.
        self.of(FileKind::Tombstones).iter().filter_map(|bytes| Tombstone::from_bytes(bytes).ok())
    }

    /// Returns the carries in order. A file of another kind has none.
    pub fn carries(&self) -> impl Iterator<Item = Carry> {
        self.of(FileKind::Carries).iter().filter_map(|bytes| Carry::from_bytes(bytes).ok())
    }

    /// Returns the results in order. A file of another kind has none.
    pub fn results(&self) -> impl Iterator<Item = ResultRecord> {
        self.of(FileKind::Results).iter().filter_map(|bytes| ResultRecord::from_bytes(bytes).ok())
    }

    /// Finds the number of the record of seq `seq` in the page of ordinal `page`, by binary search.
    #[must_use]
    pub fn find(&self, page: u32, seq: u32) -> Option<u32> {
        let at = match self.header.kind {
            FileKind::Carries => search::<CARRY_BYTES>(self.records(), (page, seq)),
            _ => search::<RECORD_BYTES>(self.records(), (page, seq)),
        };
        u32::try_from(at?).ok()
    }

    /// Returns the records if the file is of `kind`. `N` is the length of that kind's records.
    fn of<const N: usize>(&self, kind: FileKind) -> &[[u8; N]] {
        if self.header.kind == kind { self.records().as_chunks().0 } else { &[] }
    }

    fn records(&self) -> &[u8] {
        self.bytes().get(RECORD_BYTES..).unwrap_or_default()
    }
}

/// Checks every record, and that (page, seq) strictly ascends.
fn check_records<const N: usize, T>(
    records: &[u8],
    read: impl Fn(&[u8; N]) -> Result<T, RecordError>,
) -> Result<(), FileError> {
    let mut last = None;
    for (record, bytes) in (0..).zip(records.as_chunks().0) {
        read(bytes).map_err(|source| FileError::Record { record, source })?;
        let found = position(bytes);
        if let Some(previous) = last.replace(found)
            && previous >= found
        {
            return Err(FileError::Order { record, previous, found });
        }
    }
    Ok(())
}

fn search<const N: usize>(records: &[u8], at: (u32, u32)) -> Option<usize> {
    records.as_chunks::<N>().0.binary_search_by_key(&at, |bytes| position(bytes)).ok()
}

/// Splits the header off a file of `kind`.
pub(super) fn split_header(file: &[u8], kind: FileKind) -> Result<(Header, &[u8]), FileError> {
    let (bytes, rest) = file
        .split_first_chunk::<RECORD_BYTES>()
        .ok_or(FileError::Length { found: file.len() as u64, expected: RECORD_BYTES as u64 })?;
    let header = Header::from_bytes(bytes).map_err(FileError::Header)?;
    if header.kind != kind {
        return Err(FileError::Kind { found: header.kind, expected: kind });
    }
    Ok((header, rest))
}
