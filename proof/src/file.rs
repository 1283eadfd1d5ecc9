//! Evidence files: their records, their root, and the proof that one record is in a file (`docs/format.md` §3). Also
//! the container of sealed openings (§6).
//!
//! The root of a file is its BLAKE3 hash. BLAKE3 hashes 1 KiB chunks and joins them in a binary tree (BLAKE3 paper
//! §2.1; `blake3::hazmat`). Each level of the tree joins the neighbours of the level below; an odd last node rises
//! unchanged. A chunk and the chaining values of its sibling subtrees prove the sixteen records of the chunk.

mod chunks;
mod error;
mod openings;
mod records;

pub use self::chunks::{CHUNK_BYTES, ChunkProof, ChunkTree, SIBLINGS_MAX, root, root_of_parts};
pub use self::error::{FileError, ProofError};
pub use self::openings::{OPENINGS_CHECK_BYTES, OpeningsFile, openings_check, openings_head};
pub use self::records::EvidenceFile;

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
