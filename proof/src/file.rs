//! Evidence files, their root, and the proof that one record is in a file (`docs/format.md` §3), and the container
//! of sealed openings (§6).
//!
//! A file's root is its BLAKE3 hash. BLAKE3 hashes 1 KiB chunks and joins them in a binary tree whose left subtree
//! holds the largest power of two of chunks below the whole, so a chunk and the chaining values of the subtrees
//! beside its way to the root prove sixteen records (BLAKE3 paper §2.1; `blake3::hazmat`). Level by level that tree
//! is: join neighbours, and let an odd last one rise unchanged.

mod openings;

pub use self::openings::{OpeningsFile, openings_head};

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::record::{
    CARRY_BYTES, Carry, FileKind, Header, MAGIC, RECORD_BYTES, RecordError, ResultRecord, Tombstone, position,
};

/// Length of a BLAKE3 chunk, the unit of a proof, in bytes.
pub const CHUNK_BYTES: usize = 1024;
/// Most chaining values that a proof can need: a file of 2^32 records has 2^28 chunks.
pub const SIBLINGS_MAX: usize = 28;

const RECORDS_PER_CHUNK: u64 = 16;

/// The root of a file: its BLAKE3 hash.
#[must_use]
pub fn root(file: &[u8]) -> [u8; 32] {
    root_of_parts([file])
}

/// The root of a file that lies in parts, which follow one another.
pub fn root_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// A file of tombstones, of carries or of results, checked as a whole.
#[derive(Clone, Copy, Debug)]
pub struct EvidenceFile<'a> {
    header: Header,
    records: &'a [u8],
}

impl<'a> EvidenceFile<'a> {
    /// Reads a file of tombstones, carries or results: header, length, every record, and their order.
    ///
    /// # Errors
    /// Anything but the one valid encoding; a `kind` whose files do not consist of records.
    pub fn parse(file: &'a [u8], kind: FileKind) -> Result<Self, FileError> {
        let record_bytes = kind.record_bytes().ok_or(FileError::NotRecords { kind })? as u64;
        let (header, records) = header(file, kind)?;
        let expected = RECORD_BYTES as u64 + u64::from(header.n) * record_bytes;
        if file.len() as u64 != expected {
            return Err(FileError::Length { found: file.len() as u64, expected });
        }
        match kind {
            FileKind::Tombstones => check_records(records, Tombstone::from_bytes)?,
            FileKind::Carries => check_records(records, Carry::from_bytes)?,
            FileKind::Results => check_records(records, ResultRecord::from_bytes)?,
            FileKind::Openings => return Err(FileError::NotRecords { kind }),
        }
        Ok(Self { header, records })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Tombstone `record`, from 0; none in a file of another kind.
    #[must_use]
    pub fn tombstone(&self, record: u32) -> Option<Tombstone> {
        let record = self.of(FileKind::Tombstones).get(usize::try_from(record).ok()?)?;
        Tombstone::from_bytes(record).ok()
    }

    /// Carry `record`, from 0; none in a file of another kind.
    #[must_use]
    pub fn carry(&self, record: u32) -> Option<Carry> {
        let record = self.of(FileKind::Carries).get(usize::try_from(record).ok()?)?;
        Carry::from_bytes(record).ok()
    }

    /// Result `record`, from 0; none in a file of another kind.
    #[must_use]
    pub fn result(&self, record: u32) -> Option<ResultRecord> {
        let record = self.of(FileKind::Results).get(usize::try_from(record).ok()?)?;
        ResultRecord::from_bytes(record).ok()
    }

    /// The tombstones in order; none in a file of another kind.
    pub fn tombstones(&self) -> impl Iterator<Item = Tombstone> + use<'a> {
        // Every record was read once by `parse`, so that none is left out here.
        self.of(FileKind::Tombstones).iter().filter_map(|bytes| Tombstone::from_bytes(bytes).ok())
    }

    /// The carries in order; none in a file of another kind.
    pub fn carries(&self) -> impl Iterator<Item = Carry> + use<'a> {
        self.of(FileKind::Carries).iter().filter_map(|bytes| Carry::from_bytes(bytes).ok())
    }

    /// The results in order; none in a file of another kind.
    pub fn results(&self) -> impl Iterator<Item = ResultRecord> + use<'a> {
        self.of(FileKind::Results).iter().filter_map(|bytes| ResultRecord::from_bytes(bytes).ok())
    }

    /// Number of the record of seq `seq` in the page of ordinal `page`, by binary search.
    #[must_use]
    pub fn find(&self, page: u32, seq: u32) -> Option<u32> {
        let at = match self.header.kind {
            FileKind::Carries => search::<CARRY_BYTES>(self.records, (page, seq)),
            _ => search::<RECORD_BYTES>(self.records, (page, seq)),
        };
        u32::try_from(at?).ok()
    }

    /// The records, where the file is of `kind`, whose records have `N` bytes.
    fn of<const N: usize>(&self, kind: FileKind) -> &'a [[u8; N]] {
        if self.header.kind == kind { self.records.as_chunks().0 } else { &[] }
    }
}

/// Reads every record, and compares each with the one before it.
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

fn search<const N: usize>(records: &[u8], place: (u32, u32)) -> Option<usize> {
    records.as_chunks::<N>().0.binary_search_by_key(&place, |bytes| position(bytes)).ok()
}

/// The proof that one record is in a file: the chunk that holds it and the chaining values beside its way to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkProof {
    /// Number of the record, from 0, the header not counted.
    pub record: u32,
    /// The chunk, 64 to [`CHUNK_BYTES`] bytes.
    pub chunk: Vec<u8>,
    /// Chaining values of the sibling subtrees, nearest the chunk first.
    pub siblings: Vec<[u8; 32]>,
}

impl ChunkProof {
    /// The proven record, if chunk and siblings give `root` for a file of `n` records.
    ///
    /// `n` must come from the batch leaf: the proof does not authenticate it.
    ///
    /// # Errors
    /// A record beyond `n`, a chunk or a number of siblings other than `n` implies, another root.
    pub fn verify(&self, n: u32, root: &[u8; 32]) -> Result<[u8; RECORD_BYTES], ProofError> {
        let place = Place::of(self.record, n)?;
        if self.chunk.len() as u64 != place.chunk_bytes {
            return Err(ProofError::Chunk { found: self.chunk.len(), expected: place.chunk_bytes });
        }
        let needed =
            Steps { index: place.chunk, count: place.chunks }.filter(|step| *step != Step::Rise).count();
        if self.siblings.len() != needed {
            return Err(ProofError::Siblings { found: self.siblings.len(), expected: needed });
        }
        let found = self.root(&place);
        if found != *root {
            return Err(ProofError::Root { expected: *root, found });
        }
        self.record(n)
    }

    /// As [`ChunkProof::verify`], where `known` has passed it for the same `n` and root: most receipts of a batch that
    /// are verified in order share their chunk with the one before.
    pub(crate) fn verify_after(
        &self,
        known: Option<&Self>,
        n: u32,
        root: &[u8; 32],
    ) -> Result<[u8; RECORD_BYTES], ProofError> {
        let chunk = |record: u32| (u64::from(record) + 1) / RECORDS_PER_CHUNK;
        let same = |known: &Self| {
            chunk(known.record) == chunk(self.record)
                && known.chunk == self.chunk
                && known.siblings == self.siblings
        };
        if known.is_some_and(same) { self.record(n) } else { self.verify(n, root) }
    }

    /// The record in a chunk that is proven to be its.
    fn record(&self, n: u32) -> Result<[u8; RECORD_BYTES], ProofError> {
        let (records, _) = self.chunk.as_chunks::<RECORD_BYTES>();
        let at = usize::try_from((u64::from(self.record) + 1) % RECORDS_PER_CHUNK).ok();
        at.and_then(|at| records.get(at)).copied().ok_or(ProofError::Record { record: self.record, n })
    }

    /// The root that chunk and siblings lead to. The caller has checked both lengths: `finalize_non_root` panics on
    /// empty input and on more than one chunk at an odd chunk number, and a missing sibling would go unnoticed here.
    fn root(&self, place: &Place) -> [u8; 32] {
        if place.chunks == 1 {
            return *blake3::hash(&self.chunk).as_bytes();
        }
        let mut node = chaining_value(&self.chunk, place.chunk);
        let mut siblings = self.siblings.iter();
        for step in (Steps { index: place.chunk, count: place.chunks }) {
            let (left, right, last) = match step {
                Step::Rise => continue,
                Step::Left { last } => (siblings.next().unwrap_or(&node), &node, last),
                Step::Right { last } => (&node, siblings.next().unwrap_or(&node), last),
            };
            node = if last {
                *merge_subtrees_root(left, right, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(left, right, Mode::Hash)
            };
        }
        node
    }
}

/// The tree over a file's chunks, built once, to prove any of its records, which have 64 bytes. Carries, which have 128,
/// are proven by their file.
#[derive(Clone, Debug)]
pub struct ChunkTree {
    file_bytes: usize,
    n: u32,
    /// Chaining values of the chunks, then of their pairs, up to the level of two below the root; for one chunk none.
    levels: Vec<Vec<[u8; 32]>>,
    root: [u8; 32],
}

impl ChunkTree {
    /// Hashes a whole file. It goes chunk by chunk, so it costs 12 to 20 times a plain hash of the file, and 64 bytes of memory for each KiB of it.
    ///
    /// # Errors
    /// A length that no file has: not a positive multiple of 64, or more than 2^32 − 1 records. A file of carries.
    pub fn new(file: &[u8]) -> Result<Self, ProofError> {
        if file.starts_with(&MAGIC) && file.get(MAGIC.len()) == Some(&FileKind::Carries.code()) {
            return Err(ProofError::Kind { found: FileKind::Carries });
        }
        let wrong = ProofError::File { found: file.len() };
        if !file.len().is_multiple_of(RECORD_BYTES) {
            return Err(wrong);
        }
        let n =
            (file.len() / RECORD_BYTES).checked_sub(1).and_then(|n| u32::try_from(n).ok()).ok_or(wrong)?;
        if file.len() <= CHUNK_BYTES {
            return Ok(Self { file_bytes: file.len(), n, levels: Vec::new(), root: root(file) });
        }
        let chunks = file.chunks(CHUNK_BYTES);
        let mut level: Vec<_> =
            (0..).zip(chunks).map(|(index, chunk)| chaining_value(chunk, index)).collect();
        let mut levels = Vec::new();
        let root = loop {
            if let [left, right] = level.as_slice() {
                break *merge_subtrees_root(left, right, Mode::Hash).as_bytes();
            }
            let next = level.chunks(2).map(parent).collect();
            levels.push(std::mem::replace(&mut level, next));
        };
        levels.push(level);
        Ok(Self { file_bytes: file.len(), n, levels, root })
    }

    /// The root of the file.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The proof of record `record`, from 0; `file` is the file that the tree was built of.
    ///
    /// # Errors
    /// A record beyond the last, a file of another length.
    pub fn prove(&self, file: &[u8], record: u32) -> Result<ChunkProof, ProofError> {
        if file.len() != self.file_bytes {
            return Err(ProofError::File { found: file.len() });
        }
        let place = Place::of(record, self.n)?;
        let missing = ProofError::Record { record, n: self.n };
        let index = usize::try_from(place.chunk).map_err(|_| missing.clone())?;
        let chunk = file.chunks(CHUNK_BYTES).nth(index).ok_or_else(|| missing.clone())?.to_vec();
        let mut siblings = Vec::with_capacity(self.levels.len());
        for (height, level) in self.levels.iter().enumerate() {
            // The last of an odd level has no neighbour and rises unchanged.
            siblings.extend(level.get((index >> height) ^ 1));
        }
        Ok(ChunkProof { record, chunk, siblings })
    }
}

/// Where a record lies.
struct Place {
    chunk: u64,
    chunks: u64,
    chunk_bytes: u64,
}

impl Place {
    fn of(record: u32, n: u32) -> Result<Self, ProofError> {
        if record >= n {
            return Err(ProofError::Record { record, n });
        }
        let file_records = u64::from(n) + 1;
        let chunk = (u64::from(record) + 1) / RECORDS_PER_CHUNK;
        let chunks = file_records.div_ceil(RECORDS_PER_CHUNK);
        let records = (file_records - chunk * RECORDS_PER_CHUNK).min(RECORDS_PER_CHUNK);
        Ok(Self { chunk, chunks, chunk_bytes: records * RECORD_BYTES as u64 })
    }
}

/// One level on the way from a chunk to the root; `last` where the level above is the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The sibling is on the left.
    Left { last: bool },
    /// The sibling is on the right.
    Right { last: bool },
    /// There is no sibling.
    Rise,
}

/// The steps from node `index` of a level of `count` nodes to the root.
struct Steps {
    index: u64,
    count: u64,
}

impl Iterator for Steps {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.count <= 1 {
            return None;
        }
        let last = self.count == 2;
        let step = if self.index % 2 == 1 {
            Step::Left { last }
        } else if self.index + 1 < self.count {
            Step::Right { last }
        } else {
            Step::Rise
        };
        self.index /= 2;
        self.count = self.count.div_ceil(2);
        Some(step)
    }
}

/// Chaining value of chunk number `index` of a file of several. `chunk` has 1 to 1,024 bytes.
fn chaining_value(chunk: &[u8], index: u64) -> [u8; 32] {
    blake3::Hasher::new().set_input_offset(index * CHUNK_BYTES as u64).update(chunk).finalize_non_root()
}

fn parent(pair: &[[u8; 32]]) -> [u8; 32] {
    match pair {
        [left, right] => merge_subtrees_non_root(left, right, Mode::Hash),
        [odd, ..] => *odd,
        [] => [0; 32],
    }
}

fn header(file: &[u8], kind: FileKind) -> Result<(Header, &[u8]), FileError> {
    let (bytes, rest) = file
        .split_first_chunk::<RECORD_BYTES>()
        .ok_or(FileError::Length { found: file.len() as u64, expected: RECORD_BYTES as u64 })?;
    let header = Header::from_bytes(bytes).map_err(FileError::Header)?;
    if header.kind != kind {
        return Err(FileError::Kind { found: header.kind, expected: kind });
    }
    Ok((header, rest))
}

/// Bytes that are not the file they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A length other than the header implies.
    #[error("the file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes that there are.
        found: u64,
        /// Bytes that there should be (where the file is cut short: at least).
        expected: u64,
    },
    /// The header is not one.
    #[error("header: {0}")]
    Header(#[source] RecordError),
    /// A file of another kind.
    #[error("the file holds {found}, expected {expected}")]
    Kind {
        /// Kind in the header.
        found: FileKind,
        /// Kind asked for.
        expected: FileKind,
    },
    /// A kind whose files do not consist of records.
    #[error("files of {kind} do not consist of records")]
    NotRecords {
        /// The kind.
        kind: FileKind,
    },
    /// A record is not one.
    #[error("record {record}: {source}")]
    Record {
        /// Number of the record, from 0.
        record: u32,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A record is not behind the one before it.
    #[error("record {record} is of page and seq {found:?}, expected after {previous:?}")]
    Order {
        /// Number of the record, from 0.
        record: u32,
        /// Page ordinal and seq of the record before it.
        previous: (u32, u32),
        /// Its own page ordinal and seq.
        found: (u32, u32),
    },
    /// A sealed opening without a byte.
    #[error("the sealed opening of record {record} is empty")]
    EmptyOpening {
        /// Number of the record, from 0.
        record: usize,
    },
}

/// A proof that proves nothing, or cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There is no such record.
    #[error("record {record} in a file of {n} records")]
    Record {
        /// Number of the record, from 0.
        record: u32,
        /// Number of records.
        n: u32,
    },
    /// The chunk is longer or shorter than the file implies.
    #[error("the chunk has {found} bytes, expected {expected}")]
    Chunk {
        /// Bytes that there are.
        found: usize,
        /// Bytes that there should be.
        expected: u64,
    },
    /// More or fewer chaining values than the file implies.
    #[error("{found} chaining values, expected {expected}")]
    Siblings {
        /// Values that there are.
        found: usize,
        /// Values that there should be.
        expected: usize,
    },
    /// Chunk and chaining values lead to another root.
    #[error(
        "chunk and chaining values give the root {}, expected {}",
        hex::encode(found),
        hex::encode(expected)
    )]
    Root {
        /// The root that the file has.
        expected: [u8; 32],
        /// The root that the proof leads to.
        found: [u8; 32],
    },
    /// A file whose records are not of 64 bytes.
    #[error("single records of a file of {found} have no proof")]
    Kind {
        /// What the records are.
        found: FileKind,
    },
    /// A file of another length than the tree is of, or of a length that no file has.
    #[error("a file of {found} bytes; expected the file of this tree, a positive multiple of 64 bytes")]
    File {
        /// Its length.
        found: usize,
    },
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
