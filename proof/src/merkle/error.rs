//! Limits of trees, and the refusal of proofs.

use thiserror::Error;

use super::hash::Hash;

/// Largest size of a tree, in leaves: 2^63.
pub const SIZE_MAX: u64 = 1 << 63;

/// Most hashes of an inclusion proof, in a tree of [`SIZE_MAX`] leaves. A consistency proof has at most one more.
pub const PROOF_HASHES_MAX: usize = 63;

/// Error of a proof that does not hold, or of an invalid [`Frontier`](super::Frontier).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// A tree size is beyond [`SIZE_MAX`].
    #[error("tree size {size} is beyond the limit of {SIZE_MAX} leaves")]
    SizeTooLarge {
        /// Size given, in leaves.
        size: u64,
    },
    /// The leaf lies outside the tree.
    #[error("leaf index {index} is outside a tree of {size} leaves")]
    IndexOutside {
        /// Index of the leaf, from 0.
        index: u64,
        /// Size of the tree in leaves.
        size: u64,
    },
    /// The old tree is larger than the new tree.
    #[error("old tree size {old} is larger than new tree size {new}")]
    OldLarger {
        /// Size of the old tree in leaves.
        old: u64,
        /// Size of the new tree in leaves.
        new: u64,
    },
    /// The number of hashes in the proof differs from that of the path.
    #[error("proof of {found} hashes is too {direction} for the path that it should prove")]
    ProofLength {
        /// Number of hashes given.
        found: usize,
        /// `long` or `short`.
        direction: &'static str,
    },
    /// The proof gives another root than expected.
    #[error("{tree} tree: proof leads to root {}, expected {}", hex::encode(.computed), hex::encode(.expected))]
    RootMismatch {
        /// Name of the tree: `whole` (inclusion), `old` or `new` (consistency), `empty`.
        tree: &'static str,
        /// Root that the proof gives.
        computed: Hash,
        /// Root to prove.
        expected: Hash,
    },
    /// The number of hashes of a frontier differs from the number of complete subtrees of its size.
    #[error("frontier of {size} leaves has {expected} hashes, not {found}")]
    FrontierLength {
        /// Size given, in leaves.
        size: u64,
        /// Number of one bits in the size.
        expected: u32,
        /// Number of hashes given.
        found: usize,
    },
}

pub(super) fn check_size(size: u64) -> Result<(), MerkleError> {
    if size > SIZE_MAX { Err(MerkleError::SizeTooLarge { size }) } else { Ok(()) }
}
