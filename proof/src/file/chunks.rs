//! Root of a file, and the proof that one record is in the file.

use blake3::hazmat::{HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::error::ProofError;
use crate::record::{FileKind, MAGIC, RECORD_BYTES};

/// Length of a BLAKE3 chunk, the unit of a proof, in bytes.
pub const CHUNK_BYTES: usize = 1024;
/// Most chaining values in a proof: a file of 2^32 records has 2^28 chunks.
pub const SIBLINGS_MAX: usize = 28;

const RECORDS_PER_CHUNK: u64 = 16;

/// Returns the root of a file, its BLAKE3 hash.
#[must_use]
pub fn root(file: &[u8]) -> [u8; 32] {
    root_of_parts([file])
}

/// Returns the root of a file that is given in consecutive parts.
pub fn root_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// Proof that one record is in a file: the record's chunk, and the chaining values of the sibling subtrees on the path
/// to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkProof {
    /// Number of the record, from 0. The header is not counted.
    pub record: u32,
    /// Chunk of the record, 64 to [`CHUNK_BYTES`] bytes.
    pub chunk: Vec<u8>,
    /// Chaining values of the sibling subtrees, starting next to the chunk.
    pub siblings: Vec<[u8; 32]>,
}

impl ChunkProof {
    /// Returns the proven record if chunk and siblings give `root` for a file of `n` records.
    ///
    /// `n` must come from the batch leaf, because the proof does not authenticate it.
    ///
    /// # Errors
    /// A record beyond `n`, a chunk or a number of siblings other than `n` implies, another root.
    pub fn verify(&self, n: u32, root: &[u8; 32]) -> Result<[u8; RECORD_BYTES], ProofError> {
        let position = ChunkPosition::of(self.record, n)?;
        if self.chunk.len() as u64 != position.chunk_bytes {
            return Err(ProofError::Chunk { found: self.chunk.len(), expected: position.chunk_bytes });
        }
        let needed = Steps { index: position.chunk, count: position.chunks }
            .filter(|step| *step != Step::Rise)
            .count();
        if self.siblings.len() != needed {
            return Err(ProofError::Siblings { found: self.siblings.len(), expected: needed });
        }
        let found = self.root(&position);
        if found != *root {
            return Err(ProofError::Root { expected: *root, found });
        }
        self.record(n)
    }

    /// Returns the proven record, without hashing if `known` proves the same chunk.
    ///
    /// Precondition: `known` has passed [`ChunkProof::verify`] for the same `n` and root. Most receipts of a batch that
    /// are verified in order share their chunk with the previous receipt.
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

    /// Returns the record from the chunk, which the caller has verified.
    fn record(&self, n: u32) -> Result<[u8; RECORD_BYTES], ProofError> {
        let (records, _) = self.chunk.as_chunks::<RECORD_BYTES>();
        let at = usize::try_from((u64::from(self.record) + 1) % RECORDS_PER_CHUNK).ok();
        at.and_then(|at| records.get(at)).copied().ok_or(ProofError::Record { record: self.record, n })
    }

    /// Returns the root that chunk and siblings give.
    ///
    /// Precondition: the caller has checked both lengths. `finalize_non_root` panics on empty input, and on more than
    /// one chunk at an odd chunk number. A missing sibling would be replaced by the node itself.
    fn root(&self, position: &ChunkPosition) -> [u8; 32] {
        if position.chunks == 1 {
            return *blake3::hash(&self.chunk).as_bytes();
        }
        let mut node = chaining_value(&self.chunk, position.chunk);
        let mut siblings = self.siblings.iter();
        for step in (Steps { index: position.chunk, count: position.chunks }) {
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

/// Tree over the chunks of a file, built once to prove any record of 64 bytes. Carries have 128 bytes; the whole file
/// proves them.
#[derive(Clone, Debug)]
pub struct ChunkTree {
    file_bytes: usize,
    n: u32,
    /// Chaining values of each level, from the chunks up to the two nodes below the root. Empty for a single chunk.
    levels: Vec<Vec<[u8; 32]>>,
    root: [u8; 32],
}

impl ChunkTree {
    /// Hashes a whole file, chunk by chunk. This takes 12 to 20 times as long as a plain hash of the file, and 64 bytes
    /// of memory per KiB of the file.
    ///
    /// # Errors
    /// A length that is no positive multiple of 64; more than 2^32 − 1 records; a file of carries.
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

    /// Returns the root of the file.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Returns the proof of record `record`, from 0. `file` is the file from which the tree was built.
    ///
    /// # Errors
    /// A record beyond the last, a file of another length.
    pub fn prove(&self, file: &[u8], record: u32) -> Result<ChunkProof, ProofError> {
        if file.len() != self.file_bytes {
            return Err(ProofError::File { found: file.len() });
        }
        let position = ChunkPosition::of(record, self.n)?;
        let missing = ProofError::Record { record, n: self.n };
        let index = usize::try_from(position.chunk).map_err(|_| missing.clone())?;
        let chunk = file.chunks(CHUNK_BYTES).nth(index).ok_or_else(|| missing.clone())?.to_vec();
        let mut siblings = Vec::with_capacity(self.levels.len());
        for (height, level) in self.levels.iter().enumerate() {
            // The last node of an odd level has no sibling and rises unchanged.
            siblings.extend(level.get((index >> height) ^ 1));
        }
        Ok(ChunkProof { record, chunk, siblings })
    }
}

/// Position of a record's chunk in its file.
struct ChunkPosition {
    chunk: u64,
    chunks: u64,
    chunk_bytes: u64,
}

impl ChunkPosition {
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

/// Level on the path from a chunk to the root. `last` is `true` if the next level is the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The sibling is on the left.
    Left { last: bool },
    /// The sibling is on the right.
    Right { last: bool },
    /// The node has no sibling.
    Rise,
}

/// Iterator over the steps from node `index` of a level of `count` nodes to the root.
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

/// Returns the chaining value of chunk `index` of a file of several chunks. `chunk` has 1 to 1,024 bytes.
fn chaining_value(chunk: &[u8], index: u64) -> [u8; 32] {
    blake3::Hasher::new().set_input_offset(index * CHUNK_BYTES as u64).update(chunk).finalize_non_root()
}

/// Returns the chaining value above a pair of nodes, or above a last node without sibling.
fn parent(pair: &[[u8; 32]]) -> [u8; 32] {
    match pair {
        [left, right] => merge_subtrees_non_root(left, right, Mode::Hash),
        [odd, ..] => *odd,
        [] => [0; 32],
    }
}
