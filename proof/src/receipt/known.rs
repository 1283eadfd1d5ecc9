//! Checks 1 to 3 of `docs/format.md` §5: checkpoint, batch leaf and class leaf, which many receipts share.

use super::encoding::BorrowedReceipt;
use super::error::VerifyError;
use crate::file::ChunkProof;
use crate::id::{ORIGIN_MAX_BYTES, limit};
use crate::leaf::{BatchLeaf, ClassLeaf, Leaf};
use crate::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::policy::{Policy, VerifiedCheckpoint};
use crate::window::Window;

/// Signed checkpoint that passed check 1.
#[derive(Clone, Debug)]
pub(super) struct KnownCheckpoint {
    pub(super) text: String,
    pub(super) verified: VerifiedCheckpoint,
}

/// Batch leaf that passed check 2 under the known checkpoint.
#[derive(Clone, Debug)]
pub(super) struct KnownBatch {
    pub(super) index: u64,
    pub(super) hashes: Vec<Hash>,
    pub(super) text: Vec<u8>,
    pub(super) leaf: BatchLeaf,
    /// Number of the first tombstone of each page, then the number of all tombstones.
    pub(super) firsts: Vec<u64>,
    /// Last chunk that passed check 4.
    pub(super) chunk: Option<ChunkProof>,
    /// Last chunk of results that passed check 6.
    pub(super) result: Option<ChunkProof>,
}

/// Class leaf that is valid and in the log of the known checkpoint. For every receipt it is compared with the one that
/// the batch leaf names.
#[derive(Clone, Debug)]
pub(super) struct KnownClass {
    pub(super) text: Vec<u8>,
    pub(super) index: u64,
    pub(super) hashes: Vec<Hash>,
    pub(super) hash: Hash,
    pub(super) leaf: ClassLeaf,
    pub(super) window: Window,
}

/// Performs check 1: the note of the checkpoint under the policy.
pub(super) fn check_checkpoint(policy: &Policy, text: &str) -> Result<KnownCheckpoint, VerifyError> {
    let verified = policy.verify(text).map_err(VerifyError::Checkpoint)?;
    limit("origin", verified.checkpoint.origin.len(), 1, ORIGIN_MAX_BYTES).map_err(VerifyError::Origin)?;
    Ok(KnownCheckpoint { text: text.to_owned(), verified })
}

/// Performs check 2: the inclusion of the batch leaf.
pub(super) fn check_batch(
    checkpoint: &VerifiedCheckpoint,
    index: u64,
    hashes: &[Hash],
    text: &[u8],
) -> Result<KnownBatch, VerifyError> {
    let head = &checkpoint.checkpoint;
    verify_inclusion(index, head.size, &leaf_hash(text), hashes, &head.root)
        .map_err(VerifyError::Inclusion)?;
    let Leaf::Batch(leaf) = Leaf::parse(text).map_err(VerifyError::BatchLeaf)? else {
        return Err(VerifyError::NotBatch);
    };
    let mut firsts = vec![0];
    let mut end = 0;
    for page in &leaf.pages {
        end += u64::from(page.tombstones);
        firsts.push(end);
    }
    Ok(KnownBatch {
        index,
        hashes: hashes.to_vec(),
        text: text.to_vec(),
        leaf,
        firsts,
        chunk: None,
        result: None,
    })
}

/// Performs check 3: the class leaf has the hash and id that the batch leaf names, and was logged before the batch
/// leaf.
pub(super) fn check_class<'a>(
    known: &'a mut Option<KnownClass>,
    checkpoint: &VerifiedCheckpoint,
    known_batch: &KnownBatch,
    receipt: &BorrowedReceipt<'_>,
) -> Result<&'a KnownClass, VerifyError> {
    let (batch, text, index) = (&known_batch.leaf, receipt.class_leaf, receipt.class_index);
    let same = known
        .take()
        .filter(|known| known.text == text && known.index == index && known.hashes == receipt.class_hashes);
    let hash = same.as_ref().map_or_else(|| leaf_hash(text), |known| known.hash);
    if hash != batch.class_leaf {
        return Err(VerifyError::ClassHash { expected: batch.class_leaf, found: hash });
    }
    let class = match same {
        Some(known) => known,
        None => {
            let Leaf::Class(leaf) = Leaf::parse(text).map_err(VerifyError::ClassLeaf)? else {
                return Err(VerifyError::NotClass);
            };
            let head = &checkpoint.checkpoint;
            verify_inclusion(index, head.size, &hash, &receipt.class_hashes, &head.root)
                .map_err(VerifyError::ClassInclusion)?;
            let window = Window::new(leaf.keep, leaf.within, &leaf.zone, &leaf.calendar)
                .map_err(VerifyError::Class)?;
            KnownClass {
                text: text.to_vec(),
                index,
                hashes: receipt.class_hashes.clone(),
                hash,
                leaf,
                window,
            }
        }
    };
    if class.leaf.id != batch.class {
        return Err(VerifyError::ClassId { expected: batch.class, found: class.leaf.id });
    }
    if index >= known_batch.index || class.leaf.logged > batch.logged {
        return Err(VerifyError::ClassLater { class: index, batch: known_batch.index });
    }
    Ok(known.insert(class))
}
