//! Verification of proofs, by the algorithms of RFC 9162.

use super::error::{MerkleError, check_size};
use super::hash::{Hash, empty_root, node_hash};

/// Checks that the leaf with hash `leaf` is leaf `index` of the tree of `size` leaves with this `root` (RFC 9162
/// section 2.1.3.2). It accepts a single length of proof.
///
/// # Errors
/// A size beyond [`SIZE_MAX`](super::SIZE_MAX), an index outside the tree, a proof too long or too short, another root.
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

/// Checks that the tree of `old` leaves with root `old_root` is a prefix of the tree of `new` leaves with root
/// `new_root` (RFC 9162 section 2.1.4.2).
///
/// The RFC leaves out two cases, in both of which the proof must be empty. From the empty tree, the old root must be
/// [`empty_root`]. Between equal sizes, both roots must be equal.
///
/// # Errors
/// A size beyond [`SIZE_MAX`](super::SIZE_MAX), `old > new`, a proof too long or too short, another old or new root.
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
    // If the old tree is a complete subtree, the proof omits its root, which would be the first hash.
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

/// Checks consistency from the empty tree, or between equal sizes.
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

fn expect_root(tree: &'static str, computed: Hash, expected: &Hash) -> Result<(), MerkleError> {
    if computed == *expected {
        Ok(())
    } else {
        Err(MerkleError::RootMismatch { tree, computed, expected: *expected })
    }
}

/// Side of the path on which the next hash of a proof lies.
enum Side {
    Left,
    Right,
}

/// Path from a leaf to the root, for both verifications. RFC 9162 calls the fields `fn` and `sn`.
struct Path {
    /// Index of the node on the path within its level.
    node: u64,
    /// Index of the last node of that level.
    last: u64,
}

impl Path {
    /// Climbs past the next hash of a proof of `found` hashes and returns the side of that hash.
    fn step(&mut self, found: usize) -> Result<Side, MerkleError> {
        if self.last == 0 {
            return Err(MerkleError::ProofLength { found, direction: "long" });
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // A last node without a right sibling is its own parent: climb until it has a left sibling.
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

    /// Checks that the path has reached the root.
    fn finish(&self, found: usize) -> Result<(), MerkleError> {
        if self.last == 0 { Ok(()) } else { Err(MerkleError::ProofLength { found, direction: "short" }) }
    }
}
