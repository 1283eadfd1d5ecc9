//! RFC 6962 Merkle tree over SHA-256: roots, proofs and their verification. All functions are pure; a reader supplies
//! the nodes.
//!
//! A *complete subtree* is addressed by `(level, index)` and covers the leaves `index << level .. (index + 1) <<
//! level`. Level 0 holds the leaf hashes. Only complete subtrees are read, because they do not change when the log
//! grows.

mod error;
mod frontier;
mod hash;
mod prove;
mod verify;

pub use self::error::{MerkleError, PROOF_HASHES_MAX, SIZE_MAX};
pub use self::frontier::Frontier;
pub use self::hash::{Hash, empty_root, leaf_hash, node_hash};
pub use self::prove::{consistency_proof, inclusion_proof, root};
pub use self::verify::{verify_consistency, verify_inclusion};

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
