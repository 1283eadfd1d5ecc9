//! Roots and proofs from a reader of complete subtrees.

use super::hash::{Hash, empty_root, node_hash};

/// Returns the root of the tree of the first `size` leaves, after at most 64 reads of complete subtrees.
///
/// # Errors
/// The errors of `read`.
pub fn root<E>(size: u64, read: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    range_root(0, size, read)
}

/// Returns the proof that leaf `index` is in the tree of `size` leaves (RFC 6962 section 2.1.1). It begins with the
/// sibling of the leaf.
///
/// Precondition: `index < size`. Otherwise it reads nothing and returns an empty proof, which
/// [`verify_inclusion`](super::verify_inclusion) refuses for every root.
///
/// # Errors
/// The errors of `read`.
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

/// Returns the proof that the tree of `old` leaves is a prefix of the tree of `new` leaves (RFC 6962 section 2.1.2).
///
/// The proof is empty if `old` is 0 or equals `new`. If `old > new` it reads nothing and returns an empty proof, which
/// [`verify_consistency`](super::verify_consistency) refuses for all roots.
///
/// # Errors
/// The errors of `read`.
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
    // SUBPROOF's flag in RFC 6962. If the last subtree is the whole old tree, the proof omits its root, because the
    // verifier has it.
    if low > 0 {
        proof.push(range_root(low, high, read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Returns the largest power of two below `leaves`, at which RFC 6962 splits a tree.
///
/// Precondition: `leaves` is at least 2.
fn split(leaves: u64) -> u64 {
    debug_assert!(leaves >= 2, "a tree of {leaves} leaves is not split");
    1 << (leaves - 1).ilog2()
}

/// Returns the Merkle tree hash (MTH) of the leaves `low..high`.
///
/// Precondition: `low` is a multiple of a power of two that is at least `high - low`. Every range in the recursions of
/// RFC 6962 is such a range. Its complete subtrees are therefore complete subtrees of the whole tree.
fn range_root<E>(low: u64, high: u64, read: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let mut end = high;
    let mut root = None;
    // From the right, in ascending size: a complete subtree for each one bit of the number of leaves.
    for level in 0_u8..64 {
        if ((high - low) >> level) & 1 == 1 {
            end -= 1 << level;
            let hash = read(level, end >> level)?;
            root = Some(root.map_or(hash, |right| node_hash(&hash, &right)));
        }
    }
    Ok(root.unwrap_or_else(empty_root))
}
