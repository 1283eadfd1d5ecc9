//! Right edge of a growing tree.

use super::error::{MerkleError, check_size};
use super::hash::{Hash, empty_root, node_hash};

/// Right edge of a growing tree: the roots of its complete subtrees, at most 64. They suffice to add leaves and to
/// compute the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    /// Roots in descending size, which is from left to right.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// Creates the frontier of the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the frontier of a tree of `size` leaves from the roots of its complete subtrees, in descending size.
    ///
    /// # Errors
    /// A size beyond [`SIZE_MAX`](super::SIZE_MAX), or another number of hashes than `size` has one bits.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, MerkleError> {
        check_size(size)?;
        let expected = size.count_ones();
        if hashes.len() != expected as usize {
            return Err(MerkleError::FrontierLength { size, expected, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// Returns the size of the tree in leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the roots of the complete subtrees, in descending size. There is a root for each one bit of the size.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf by its hash. It calls `emit` with level, index and hash for each subtree that becomes complete:
    /// first for the leaf itself at level 0, then upwards.
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

    /// Returns the root of the tree.
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
