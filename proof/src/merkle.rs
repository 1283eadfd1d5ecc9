//! The RFC 6962 Merkle tree over SHA-256: roots, proofs and their verification. Pure: nodes come in through a
//! reader.
//!
//! A *complete subtree* is addressed by `(level, index)` and covers the leaves `index << level .. (index + 1)
//! << level`; level 0 is a leaf hash. Only complete subtrees are ever read, because only they never change as
//! the log grows.

use sha2::{Digest, Sha256};
use thiserror::Error;

/// A SHA-256 hash of a leaf, a node or a tree.
pub type Hash = [u8; 32];

/// The largest tree that is verified or kept, in leaves: 2^63.
pub const SIZE_MAX: u64 = 1 << 63;

/// The most hashes of an inclusion proof, in a tree of [`SIZE_MAX`] leaves. A consistency proof has at most one more.
pub const PROOF_HASHES_MAX: usize = 63;

/// Why a proof does not hold, or a [`Frontier`] cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// A tree size is beyond [`SIZE_MAX`].
    #[error("tree size {size} is beyond the limit of {SIZE_MAX} leaves")]
    SizeTooLarge {
        /// The size given, in leaves.
        size: u64,
    },
    /// The leaf lies outside the tree.
    #[error("leaf index {index} is outside a tree of {size} leaves")]
    IndexOutside {
        /// The leaf's index, from 0.
        index: u64,
        /// The tree's size in leaves.
        size: u64,
    },
    /// The tree that should be the older is the larger.
    #[error("old tree size {old} is larger than new tree size {new}")]
    OldLarger {
        /// The older tree's size in leaves.
        old: u64,
        /// The newer tree's size in leaves.
        new: u64,
    },
    /// The proof has not as many hashes as the path.
    #[error("proof of {found} hashes is too {direction} for the path that it should prove")]
    ProofLength {
        /// The number of hashes given.
        found: usize,
        /// `long` or `short`.
        direction: &'static str,
    },
    /// The proof leads to another root than the one expected.
    #[error("{tree} tree: proof leads to root {}, expected {}", hex::encode(.computed), hex::encode(.expected))]
    RootMismatch {
        /// Which tree: `whole` (inclusion), `old` or `new` (consistency), `empty`.
        tree: &'static str,
        /// The root to which the proof leads.
        computed: Hash,
        /// The root that was to be proved.
        expected: Hash,
    },
    /// A frontier has another number of hashes than its size has complete subtrees.
    #[error("frontier of {size} leaves has {expected} hashes, not {found}")]
    FrontierLength {
        /// The size given, in leaves.
        size: u64,
        /// The number of one bits in the size.
        expected: u32,
        /// The number of hashes given.
        found: usize,
    },
}

/// The hash of a leaf with these bytes: SHA-256(0x00 ‖ entry), RFC 6962 section 2.1.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of a node over two subtrees: SHA-256(0x01 ‖ left ‖ right), RFC 6962 section 2.1.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root of the tree of the first `size` leaves, from at most 64 reads of complete subtrees.
///
/// # Errors
/// What `read` returns.
pub fn root<E>(size: u64, read: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    range_root(0, size, read)
}

/// The proof that leaf `index` is in the tree of `size` leaves: RFC 6962 section 2.1.1, the leaf's sibling
/// first.
///
/// Precondition: `index < size`. Otherwise there is nothing to prove: the answer is an empty proof, nothing
/// is read, and [`verify_inclusion`] refuses it whatever the root.
///
/// # Errors
/// What `read` returns.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    read: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range_root(middle, high, read)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, read)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves: RFC 6962 section 2.1.2.
///
/// Empty where there is nothing to show: `old` is 0 or equals `new`. It is empty too, with nothing read,
/// where `old > new`; [`verify_consistency`] refuses that whatever the roots.
///
/// # Errors
/// What `read` returns.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    read: &mut impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut low, mut high) = (0, new);
    while old < high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range_root(middle, high, read)?);
            high = middle;
        } else {
            proof.push(range_root(low, middle, read)?);
            low = middle;
        }
    }
    // RFC 6962 calls this SUBPROOF's flag: a verifier has the old root, so it is left out where it is the
    // last subtree itself.
    if low > 0 {
        proof.push(range_root(low, high, read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the leaf with hash `leaf` is leaf `index` of the tree of `size` leaves with this `root`, by
/// RFC 9162 section 2.1.3.2. Exactly one length of proof is accepted.
///
/// # Errors
/// A size beyond [`SIZE_MAX`], an index outside the tree, a proof too long or too short, another root.
pub fn verify_inclusion(
    index: u64,
    size: u64,
    leaf: &Hash,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), MerkleError> {
    check_size(size)?;
    if index >= size {
        return Err(MerkleError::IndexOutside { index, size });
    }
    let mut path = Path { node: index, last: size - 1 };
    let mut computed = *leaf;
    for sibling in proof {
        computed = match path.step(proof.len())? {
            Side::Left => node_hash(sibling, &computed),
            Side::Right => node_hash(&computed, sibling),
        };
    }
    path.finish(proof.len())?;
    expect_root("whole", computed, root)
}

/// Checks that the tree of `old` leaves with root `old_root` is a prefix of the tree of `new` leaves with
/// root `new_root`, by RFC 9162 section 2.1.4.2.
///
/// Two cases that the RFC leaves out: from the empty tree, whose root must be [`empty_root`], and between
/// equal sizes, where the roots must be equal, the proof must be empty.
///
/// # Errors
/// A size beyond [`SIZE_MAX`], `old > new`, a proof too long or too short, another old or new root.
pub fn verify_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    check_size(new)?;
    if old > new {
        return Err(MerkleError::OldLarger { old, new });
    }
    if old == 0 || old == new {
        return verify_trivial_consistency(old, new, old_root, new_root, proof);
    }
    let mut path = Path { node: old - 1, last: new - 1 };
    path.climb_while(|node| node & 1 == 1);
    let mut rest = proof.iter();
    // Where the old tree is one complete subtree, its root begins the proof unwritten.
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let first = *first.ok_or(MerkleError::ProofLength { found: 0, direction: "short" })?;
    let (mut old_computed, mut new_computed) = (first, first);
    for hash in rest {
        match path.step(proof.len())? {
            Side::Left => {
                old_computed = node_hash(hash, &old_computed);
                new_computed = node_hash(hash, &new_computed);
            }
            Side::Right => new_computed = node_hash(&new_computed, hash),
        }
    }
    path.finish(proof.len())?;
    expect_root("old", old_computed, old_root)?;
    expect_root("new", new_computed, new_root)
}

fn verify_trivial_consistency(
    old: u64,
    new: u64,
    old_root: &Hash,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if !proof.is_empty() {
        return Err(MerkleError::ProofLength { found: proof.len(), direction: "long" });
    }
    if old == 0 {
        expect_root("empty", empty_root(), old_root)?;
    }
    if old == new { expect_root("new", *old_root, new_root) } else { Ok(()) }
}

fn check_size(size: u64) -> Result<(), MerkleError> {
    if size > SIZE_MAX { Err(MerkleError::SizeTooLarge { size }) } else { Ok(()) }
}

fn expect_root(tree: &'static str, computed: Hash, expected: &Hash) -> Result<(), MerkleError> {
    if computed == *expected {
        Ok(())
    } else {
        Err(MerkleError::RootMismatch { tree, computed, expected: *expected })
    }
}

/// On which side of the path the next hash of a proof stands.
enum Side {
    Left,
    Right,
}

/// The walk from a leaf to the root that both verifications share; RFC 9162 calls the fields `fn` and `sn`.
struct Path {
    /// Index of the node on the path within its level.
    node: u64,
    /// Index of the last node of that level.
    last: u64,
}

impl Path {
    /// Takes the next hash of a proof of `found` hashes and climbs past it.
    fn step(&mut self, found: usize) -> Result<Side, MerkleError> {
        if self.last == 0 {
            return Err(MerkleError::ProofLength { found, direction: "long" });
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // A last node without a right sibling is its own parent: climb to where it has a left one.
            self.climb_while(|node| node & 1 == 0 && node != 0);
            Side::Left
        } else {
            Side::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Ok(side)
    }

    fn climb_while(&mut self, condition: impl Fn(u64) -> bool) {
        while condition(self.node) {
            self.node >>= 1;
            self.last >>= 1;
        }
    }

    /// The path must have come to the root.
    fn finish(&self, found: usize) -> Result<(), MerkleError> {
        if self.last == 0 { Ok(()) } else { Err(MerkleError::ProofLength { found, direction: "short" }) }
    }
}

/// The largest power of two smaller than `leaves`, which is at least 2: where RFC 6962 splits a tree.
fn split(leaves: u64) -> u64 {
    debug_assert!(leaves >= 2, "a tree of {leaves} leaves is not split");
    1 << (leaves - 1).ilog2()
}

/// MTH of the leaves `low..high`. `low` is a multiple of a power of two that is no smaller than `high - low`,
/// as every range that RFC 6962's recursions reach is; so its complete subtrees are those of the whole tree.
fn range_root<E>(low: u64, high: u64, read: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let mut end = high;
    let mut root = None;
    // From the right, smallest first: one complete subtree for each one bit of the number of leaves.
    for level in 0_u8..64 {
        if ((high - low) >> level) & 1 == 1 {
            end -= 1 << level;
            let hash = read(level, end >> level)?;
            root = Some(root.map_or(hash, |right| node_hash(&hash, &right)));
        }
    }
    Ok(root.unwrap_or_else(empty_root))
}

/// The right edge of a growing tree: the roots of its complete subtrees. At most 64 hashes, enough to add
/// leaves and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// From the largest subtree, which is the leftmost, down.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The frontier of a tree of `size` leaves with these roots of complete subtrees, the largest first.
    ///
    /// # Errors
    /// A size beyond [`SIZE_MAX`], or another number of hashes than `size` has one bits.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, MerkleError> {
        check_size(size)?;
        let expected = size.count_ones();
        if hashes.len() != expected as usize {
            return Err(MerkleError::FrontierLength { size, expected, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// The tree's size in leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the complete subtrees, the largest first; one for each one bit of the size.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf by its hash, and hands every complete subtree that it completes to `emit` as level, index,
    /// hash; the leaf itself at level 0 first, then upwards.
    pub fn push(&mut self, leaf: Hash, emit: &mut impl FnMut(u8, u64, Hash)) {
        let (mut level, mut index, mut hash) = (0, self.size, leaf);
        emit(level, index, hash);
        while index & 1 == 1
            && let Some(left) = self.hashes.pop()
        {
            hash = node_hash(&left, &hash);
            level += 1;
            index >>= 1;
            emit(level, index, hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.hashes
            .iter()
            .rev()
            .copied()
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
#[path = "merkle_tests.rs"]
mod tests;
