use std::collections::HashMap;
use std::convert::Infallible;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// Tree by the definitions of RFC 6962 section 2.1: recursive, and independent of the code under test. It keeps the roots
/// that it has computed, so that large trees can be tested exhaustively.
mod reference {
    use super::{Digest, Hash, HashMap, Sha256};
    use std::cell::RefCell;
    use std::ops::Range;

    fn sha(parts: &[&[u8]]) -> Hash {
        Sha256::digest(parts.concat()).into()
    }

    pub(super) struct Tree<'a> {
        leaves: &'a [Vec<u8>],
        roots: RefCell<HashMap<Range<usize>, Hash>>,
    }

    impl<'a> Tree<'a> {
        pub(super) fn new(leaves: &'a [Vec<u8>]) -> Self {
            Tree { leaves, roots: RefCell::default() }
        }

        /// Splits at the largest power of two below the length.
        fn split(d: &Range<usize>) -> (Range<usize>, Range<usize>) {
            let mut k = 1;
            while k * 2 < d.len() {
                k *= 2;
            }
            (d.start..d.start + k, d.start + k..d.end)
        }

        pub(super) fn mth(&self, d: Range<usize>) -> Hash {
            if let Some(root) = self.roots.borrow().get(&d) {
                return *root;
            }
            let root = match &self.leaves[d.clone()] {
                [] => sha(&[]),
                [d0] => sha(&[&[0], d0]),
                _ => {
                    let (left, right) = Self::split(&d);
                    sha(&[&[1], &self.mth(left), &self.mth(right)])
                }
            };
            self.roots.borrow_mut().insert(d, root);
            root
        }

        /// Path of leaf `m` of the range.
        pub(super) fn path(&self, m: usize, d: Range<usize>) -> Vec<Hash> {
            if d.len() == 1 {
                return vec![];
            }
            let (left, right) = Self::split(&d);
            if m < left.len() {
                [self.path(m, left), vec![self.mth(right)]].concat()
            } else {
                [self.path(m - left.len(), right), vec![self.mth(left)]].concat()
            }
        }

        /// Proof that the first `m` leaves of the range begin it.
        pub(super) fn proof(&self, m: usize, d: Range<usize>) -> Vec<Hash> {
            self.subproof(m, d, true)
        }

        fn subproof(&self, m: usize, d: Range<usize>, b: bool) -> Vec<Hash> {
            if m == d.len() {
                return if b { vec![] } else { vec![self.mth(d)] };
            }
            let (left, right) = Self::split(&d);
            if m <= left.len() {
                [self.subproof(m, left, b), vec![self.mth(right)]].concat()
            } else {
                [self.subproof(m - left.len(), right, false), vec![self.mth(left)]].concat()
            }
        }
    }
}

/// Nodes as the engine keeps them: those that a frontier emits. Any other node is an error.
#[derive(Default)]
struct Nodes(HashMap<(u8, u64), Hash>);

impl Nodes {
    fn of(leaves: &[Vec<u8>]) -> (Self, Frontier) {
        let (mut nodes, mut frontier) = (Self::default(), Frontier::new());
        for leaf in leaves {
            frontier.push(leaf_hash(leaf), &mut |level, index, hash| {
                assert_eq!(nodes.0.insert((level, index), hash), None, "emitted twice: {level} {index}");
            });
        }
        (nodes, frontier)
    }

    fn reader(&self) -> impl FnMut(u8, u64) -> Result<Hash, (u8, u64)> {
        |level, index| self.0.get(&(level, index)).copied().ok_or((level, index))
    }
}

fn leaves(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("leaf {i}").into_bytes()).collect()
}

#[test]
fn hashes_equal_the_published_rfc_6962_vectors() {
    // From the tests of certificate-transparency-go: the empty root, the hash of the empty leaf, a leaf, a node.
    let hex = |hash: Hash| hex::encode(hash);
    assert_eq!(hex(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hex(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(hex(leaf_hash(&[0])), "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
    assert_eq!(
        hex(node_hash(&leaf_hash(b""), &leaf_hash(&[0]))),
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    );
}

/// Covers every tree of up to 300 leaves, with the proof of every leaf and from every earlier size.
#[test]
fn roots_and_proofs_up_to_300_equal_rfc_text_and_ct_merkle() {
    let all = leaves(300);
    let (nodes, _) = Nodes::of(&all);
    let naive = reference::Tree::new(&all);
    let roots: Vec<Hash> = (0..=all.len()).map(|n| naive.mth(0..n)).collect();
    let mut theirs = oracle(&[]);
    for n in 0..=all.len() {
        let size = n as u64;
        assert_eq!(root(size, &mut nodes.reader()), Ok(roots[n]));
        assert_eq!(theirs.root().as_bytes().as_slice(), roots[n], "root of {n} leaves");
        for (i, leaf) in all[..n].iter().enumerate() {
            let proof = inclusion_proof(i as u64, size, &mut nodes.reader()).unwrap();
            assert_eq!(proof, naive.path(i, 0..n), "inclusion {i} of {n}");
            assert_eq!(theirs.prove_inclusion(i).as_bytes(), proof.as_flattened(), "inclusion {i} of {n}");
            assert_eq!(verify_inclusion(i as u64, size, &leaf_hash(leaf), &proof, &roots[n]), Ok(()));
        }
        for m in 0..=n {
            let proof = consistency_proof(m as u64, size, &mut nodes.reader()).unwrap();
            if m > 0 {
                assert_eq!(proof, naive.proof(m, 0..n), "consistency {m} to {n}");
            }
            // The crate proves neither from the empty tree nor between equal ones.
            if m > 0 && m < n {
                let theirs = theirs.prove_consistency(n - m);
                assert_eq!(theirs.as_bytes(), proof.as_flattened(), "consistency {m} to {n}");
            }
            assert_eq!(verify_consistency(m as u64, size, &roots[m], &roots[n], &proof), Ok(()));
        }
        all.get(n).into_iter().for_each(|leaf| theirs.push(leaf.clone()));
    }
}

/// A proof of one place is no proof of another, in every tree of up to 40 leaves.
#[test]
fn proofs_of_small_trees_hold_at_their_place_only() {
    let all = leaves(40);
    let (nodes, _) = Nodes::of(&all);
    let naive = reference::Tree::new(&all);
    let roots: Vec<Hash> = (0..=all.len()).map(|n| naive.mth(0..n)).collect();
    for (n, i) in (1..=all.len()).flat_map(|n| (0..n).map(move |i| (n, i))) {
        let proof = inclusion_proof(i as u64, n as u64, &mut nodes.reader()).unwrap();
        for (size, other) in (1..=all.len()).flat_map(|size| (0..size).map(move |other| (size, other))) {
            let leaf = leaf_hash(&all[i]);
            let holds = verify_inclusion(other as u64, size as u64, &leaf, &proof, &roots[size]).is_ok();
            assert_eq!(holds, (size, other) == (n, i), "leaf {i} of {n} as leaf {other} of {size}");
        }
    }
    for (n, m) in (1..=all.len()).flat_map(|n| (1..n).map(move |m| (n, m))) {
        let proof = consistency_proof(m as u64, n as u64, &mut nodes.reader()).unwrap();
        for (new, old) in (1..=all.len()).flat_map(|new| (1..new).map(move |old| (new, old))) {
            let holds = verify_consistency(old as u64, new as u64, &roots[old], &roots[new], &proof).is_ok();
            assert_eq!(holds, (new, old) == (n, m), "{m} to {n} as {old} to {new}");
        }
    }
}

#[test]
fn frontier_has_every_root_and_emits_each_subtree_once() {
    let all = leaves(70);
    let naive = reference::Tree::new(&all);
    let mut frontier = Frontier::new();
    let mut emitted = HashMap::new();
    for n in 0..=all.len() {
        assert_eq!(frontier.size(), n as u64);
        assert_eq!(frontier.root(), naive.mth(0..n));
        assert_eq!(Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).as_ref(), Ok(&frontier));
        let complete = (0..7).map(|level| n >> level).sum::<usize>();
        assert_eq!(emitted.len(), complete, "complete subtrees of {n} leaves");
        if let Some(leaf) = all.get(n) {
            frontier.push(leaf_hash(leaf), &mut |level, index, hash| {
                assert_eq!(emitted.insert((level, index), hash), None);
            });
        }
    }
    for ((level, index), hash) in emitted {
        let index = usize::try_from(index).unwrap();
        assert_eq!(hash, naive.mth(index << level..(index + 1) << level));
    }
}

#[test]
fn frontier_of_impossible_parts_is_refused() {
    let wrong = Frontier::from_parts(5, vec![[0; 32]]);
    assert_eq!(wrong, Err(MerkleError::FrontierLength { size: 5, expected: 2, found: 1 }));
    assert!(Frontier::from_parts(SIZE_MAX, vec![[0; 32]]).is_ok());
    let size = SIZE_MAX + 1;
    assert_eq!(Frontier::from_parts(size, vec![[0; 32]; 2]), Err(MerkleError::SizeTooLarge { size }));
}

/// Such proofs read no node either.
#[test]
fn proofs_of_nothing_are_empty_and_refused() {
    let mut read = |_, _| -> Result<Hash, Infallible> { panic!("nothing is to be read") };
    assert_eq!(inclusion_proof(3, 3, &mut read), Ok(vec![]));
    assert_eq!(inclusion_proof(0, 0, &mut read), Ok(vec![]));
    assert_eq!(consistency_proof(4, 3, &mut read), Ok(vec![]));
    let hash = [7; 32];
    let outside = MerkleError::IndexOutside { index: 3, size: 3 };
    assert_eq!(verify_inclusion(3, 3, &hash, &[], &hash), Err(outside));
    assert_eq!(
        verify_inclusion(0, 0, &hash, &[], &hash),
        Err(MerkleError::IndexOutside { index: 0, size: 0 })
    );
    let larger = MerkleError::OldLarger { old: 4, new: 3 };
    assert_eq!(verify_consistency(4, 3, &hash, &hash, &[]), Err(larger));
}

#[test]
fn sizes_beyond_the_limit_are_refused() {
    let (hash, size) = ([7; 32], SIZE_MAX + 1);
    let error = Err(MerkleError::SizeTooLarge { size });
    assert_eq!(verify_inclusion(0, size, &hash, &[], &hash), error);
    assert_eq!(verify_consistency(0, size, &hash, &hash, &[]), error);
    assert_eq!(verify_consistency(1, size, &hash, &hash, &[]), error);
}

#[test]
fn consistency_from_empty_or_equal_tree_needs_an_empty_proof() {
    let (hash, empty) = ([7; 32], empty_root());
    assert_eq!(verify_consistency(0, 0, &empty, &empty, &[]), Ok(()));
    assert_eq!(verify_consistency(0, 9, &empty, &hash, &[]), Ok(()));
    assert_eq!(verify_consistency(9, 9, &hash, &hash, &[]), Ok(()));
    assert!(verify_consistency(0, 0, &hash, &hash, &[]).is_err());
    assert!(verify_consistency(0, 0, &empty, &hash, &[]).is_err());
    assert!(verify_consistency(0, 9, &hash, &hash, &[]).is_err());
    assert!(verify_consistency(9, 9, &hash, &empty, &[]).is_err());
    assert!(verify_consistency(0, 9, &empty, &hash, &[hash]).is_err());
    assert!(verify_consistency(9, 9, &hash, &hash, &[hash]).is_err());
}

/// Returns changed proofs: every flipped bit, every shortening, an additional hash at either end.
fn mutations(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutations = vec![[proof, &[[0; 32]]].concat(), [&[[0; 32]], proof].concat()];
    if let (Some(first), Some(last)) = (proof.first(), proof.last()) {
        mutations.push([&[*first], proof].concat());
        mutations.push([proof, &[*last]].concat());
    }
    for i in 0..proof.len() {
        mutations.push([&proof[..i], &proof[i + 1..]].concat());
        mutations.push(proof[..i].to_vec());
        for bit in 0..256 {
            let mut mutation = proof.to_vec();
            mutation[i][bit / 8] ^= 1 << (bit % 8);
            mutations.push(mutation);
        }
    }
    mutations
}

#[test]
fn changed_inclusion_proof_leaf_index_or_root_is_refused() {
    let all = leaves(13);
    let (nodes, _) = Nodes::of(&all);
    for n in 1..=13_u64 {
        let root = root(n, &mut nodes.reader()).unwrap();
        for i in 0..n {
            let leaf = leaf_hash(&all[usize::try_from(i).unwrap()]);
            let proof = inclusion_proof(i, n, &mut nodes.reader()).unwrap();
            let verify = |index, leaf: &Hash, proof: &[Hash], root: &Hash| {
                verify_inclusion(index, n, leaf, proof, root).is_ok()
            };
            assert!(verify(i, &leaf, &proof, &root));
            assert!((0..n).filter(|j| *j != i).all(|j| !verify(j, &leaf, &proof, &root)), "index of {i}/{n}");
            assert!(mutations(&proof).iter().all(|m| !verify(i, &leaf, m, &root)), "proof of {i}/{n}");
            for bit in 0..256 {
                let flip = |mut hash: Hash| {
                    hash[bit / 8] ^= 1 << (bit % 8);
                    hash
                };
                assert!(!verify(i, &flip(leaf), &proof, &root));
                assert!(!verify(i, &leaf, &proof, &flip(root)));
            }
        }
    }
}

#[test]
fn changed_consistency_proof_or_root_is_refused() {
    let (nodes, _) = Nodes::of(&leaves(13));
    for new in 2..=13 {
        for old in 1..new {
            let root_of = |n| root(n, &mut nodes.reader()).unwrap();
            let (old_root, new_root) = (root_of(old), root_of(new));
            let proof = consistency_proof(old, new, &mut nodes.reader()).unwrap();
            let verify =
                |a: &Hash, b: &Hash, proof: &[Hash]| verify_consistency(old, new, a, b, proof).is_ok();
            assert!(verify(&old_root, &new_root, &proof));
            assert!(mutations(&proof).iter().all(|m| !verify(&old_root, &new_root, m)), "{old} to {new}");
            for bit in 0..256 {
                let flip = |mut hash: Hash| {
                    hash[bit / 8] ^= 1 << (bit % 8);
                    hash
                };
                assert!(!verify(&flip(old_root), &new_root, &proof), "{old} to {new}");
                assert!(!verify(&old_root, &flip(new_root), &proof), "{old} to {new}");
            }
        }
    }
}

#[test]
fn proof_of_wrong_length_is_named_short_or_long() {
    let (nodes, _) = Nodes::of(&leaves(8));
    let (leaf, root) = (leaf_hash(b"leaf 5"), root(8, &mut nodes.reader()).unwrap());
    let proof = inclusion_proof(5, 8, &mut nodes.reader()).unwrap();
    let length = |found, direction| Err(MerkleError::ProofLength { found, direction });
    assert_eq!(verify_inclusion(5, 8, &leaf, &proof[..2], &root), length(2, "short"));
    let long = [&proof[..], &[root]].concat();
    assert_eq!(verify_inclusion(5, 8, &leaf, &long, &root), length(4, "long"));
    assert_eq!(verify_consistency(3, 8, &root, &root, &[]), length(0, "short"));
}

/// Tree of any size with a single leaf `1` among leaves `0`. Its nodes are computed, not stored.
fn sparse(special: u64) -> impl FnMut(u8, u64) -> Result<Hash, Infallible> {
    let mut plain = vec![leaf_hash(b"0")];
    for level in 0..63 {
        plain.push(node_hash(&plain[level], &plain[level]));
    }
    move |level, index| {
        if special >> level != index {
            return Ok(plain[usize::from(level)]);
        }
        let mut hash = leaf_hash(b"1");
        for below in 0..level {
            let sibling = &plain[usize::from(below)];
            hash =
                if special >> below & 1 == 0 { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) };
        }
        Ok(hash)
    }
}

fn check_sparse(index: u64, old: u64, new: u64) {
    let mut read = sparse(index);
    let (old_root, new_root) = (root(old, &mut read).unwrap(), root(new, &mut read).unwrap());
    let proof = inclusion_proof(index, new, &mut read).unwrap();
    assert!(proof.len() <= PROOF_HASHES_MAX);
    let leaf = leaf_hash(b"1");
    assert_eq!(verify_inclusion(index, new, &leaf, &proof, &new_root), Ok(()));
    assert!(verify_inclusion(index ^ 1, new, &leaf, &proof, &new_root).is_err() || new == 1);
    let proof = consistency_proof(old, new, &mut read).unwrap();
    assert!(proof.len() <= PROOF_HASHES_MAX + 1);
    assert_eq!(verify_consistency(old, new, &old_root, &new_root, &proof), Ok(()));
}

#[test]
fn proofs_hold_up_to_the_largest_tree() {
    for new in [SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1] {
        for index in [0, 1, new / 2, new - 2, new - 1] {
            check_sparse(index, new - 1, new);
            check_sparse(index, new / 2, new);
            check_sparse(index, 1, new);
        }
    }
}

fn oracle(leaves: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    leaves.iter().for_each(|leaf| tree.push(leaf.clone()));
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn proofs_hold_in_trees_of_any_size(bits in 1_u32..=63, seed: (u64, u64, u64)) {
        let new = (seed.0 & ((1 << bits) - 1)).max(1);
        check_sparse(seed.1 % new, seed.2 % new, new);
    }

    #[test]
    fn roots_and_proofs_equal_those_of_ct_merkle(n in 1_usize..600, i: prop::sample::Index, m: prop::sample::Index) {
        let all = leaves(n);
        let (nodes, frontier) = Nodes::of(&all);
        let tree = oracle(&all);
        prop_assert_eq!(frontier.root().to_vec(), tree.root().as_bytes().to_vec());
        let i = i.index(n);
        let proof = inclusion_proof(i as u64, n as u64, &mut nodes.reader()).unwrap();
        prop_assert_eq!(proof.concat(), tree.prove_inclusion(i).as_bytes().to_vec());
        let m = m.index(n) + 1;
        let proof = consistency_proof(m as u64, n as u64, &mut nodes.reader()).unwrap();
        if m < n {
            prop_assert_eq!(proof.concat(), tree.prove_consistency(n - m).as_bytes().to_vec());
        }
        let old_root = oracle(&all[..m]).root();
        let old_root: Hash = old_root.as_bytes().as_slice().try_into().unwrap();
        prop_assert_eq!(verify_consistency(m as u64, n as u64, &old_root, &frontier.root(), &proof), Ok(()));
    }

    #[test]
    fn tlog_tiles_crate_verifies_our_proofs(n in 1_u64..600, i: prop::sample::Index, m: prop::sample::Index) {
        let all = leaves(usize::try_from(n).unwrap());
        let (nodes, frontier) = Nodes::of(&all);
        let theirs = |proof: Vec<Hash>| proof.into_iter().map(tlog_tiles::Hash).collect::<Vec<_>>();
        let new_root = tlog_tiles::Hash(frontier.root());
        let i = i.index(all.len());
        let proof = theirs(inclusion_proof(i as u64, n, &mut nodes.reader()).unwrap());
        let leaf = tlog_tiles::record_hash(&all[i]);
        prop_assert!(tlog_tiles::check_record(&proof, n, new_root, i as u64, leaf).is_ok());
        let m = m.index(all.len()) as u64 + 1;
        let old_root = tlog_tiles::Hash(root(m, &mut nodes.reader()).unwrap());
        let proof = theirs(consistency_proof(m, n, &mut nodes.reader()).unwrap());
        prop_assert!(tlog_tiles::check_tree(&proof, n, new_root, m, old_root).is_ok());
    }

    #[test]
    fn arbitrary_proofs_never_panic_and_never_verify(
        a: u64, b: u64, x: Hash, y: Hash, proof in prop::collection::vec(any::<Hash>(), 0..130),
    ) {
        prop_assert!(verify_inclusion(a, b, &x, &proof, &y).is_err());
        prop_assert!(verify_consistency(a, b, &x, &y, &proof).is_err());
    }
}
