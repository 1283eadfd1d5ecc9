//! Content of a receipt, and its encoding.

use super::error::ReceiptError;
use crate::commitment::{Cursor, Opening, put_bytes8, put_bytes16};
use crate::file::{CHUNK_BYTES, ChunkProof, SIBLINGS_MAX};
use crate::id::{DIGEST_MAX_BYTES, limit};
use crate::leaf::LEAF_MAX_BYTES;
use crate::merkle::{Hash, PROOF_HASHES_MAX};
use crate::record::RECORD_BYTES;
use crate::tlog_proof::TlogProof;

/// First line of a receipt's extra data.
pub const EXTRA_FIRST_LINE: &[u8; 18] = b"sexton receipt v0\n";

/// Extra data of a receipt, which accompany the proof of inclusion of the batch leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Batch leaf as it was logged.
    pub batch_leaf: Vec<u8>,
    /// Leaf that defined the class version, as it was logged.
    pub class_leaf: Vec<u8>,
    /// Index of the class leaf in the log, smaller than that of the batch leaf.
    pub class_index: u64,
    /// Proof of inclusion of the class leaf under the same checkpoint.
    pub class_hashes: Vec<Hash>,
    /// Proof that the tombstone is in the batch's file of tombstones.
    pub proof: ChunkProof,
    /// Result of anonymising the object, if it was anonymised.
    pub result: Option<ResultProof>,
    /// Opening of the commitment in the tombstone.
    pub opening: Opening,
}

/// Proof of the result of anonymising an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultProof {
    /// Proof that the result is in the batch's file of results.
    pub proof: ChunkProof,
    /// Digest of the bytes that the store wrote: at most [`DIGEST_MAX_BYTES`] bytes, empty if the store gave none.
    pub digest: Vec<u8>,
}

impl Receipt {
    /// Returns the extra data of the tlog-proof. [`Receipt::decode_extra`] refuses them if a field is outside its
    /// limits.
    #[must_use]
    pub fn encode_extra(&self) -> Vec<u8> {
        let mut out = EXTRA_FIRST_LINE.to_vec();
        for leaf in [&self.batch_leaf, &self.class_leaf] {
            out.extend_from_slice(&u32::try_from(leaf.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(leaf);
        }
        out.extend_from_slice(&self.class_index.to_be_bytes());
        put_hashes(&mut out, &self.class_hashes);
        put_proof(&mut out, &self.proof);
        out.push(u8::from(self.result.is_some()));
        if let Some(ResultProof { proof, digest }) = &self.result {
            put_proof(&mut out, proof);
            put_bytes8(&mut out, digest);
        }
        out.extend_from_slice(&self.opening.encode());
        out
    }

    /// Reads the bytes that [`Receipt::encode_extra`] writes. It verifies nothing.
    ///
    /// # Errors
    /// Another first line, bytes that end early, surplus bytes, a field outside its limits.
    pub fn decode_extra(extra: &[u8]) -> Result<Self, ReceiptError> {
        let BorrowedReceipt { batch_leaf, class_leaf, class_index, class_hashes, proof, result, opening } =
            BorrowedReceipt::decode(extra)?;
        let (batch_leaf, class_leaf) = (batch_leaf.to_vec(), class_leaf.to_vec());
        Ok(Self { batch_leaf, class_leaf, class_index, class_hashes, proof, result, opening })
    }

    /// Returns the text of the receipt file. `index` and `hashes` prove that the batch leaf is in the tree of the
    /// signed `checkpoint`.
    #[must_use]
    pub fn to_tlog_proof(&self, index: u64, hashes: &[Hash], checkpoint: &str) -> String {
        let extra = Some(self.encode_extra());
        TlogProof { extra, index, hashes: hashes.to_vec(), checkpoint: checkpoint.to_owned() }.to_text()
    }
}

/// Receipt with borrowed leaves. Nearly all receipts of a batch carry the same leaves, so a verifier does not copy
/// them.
pub(super) struct BorrowedReceipt<'a> {
    pub(super) batch_leaf: &'a [u8],
    pub(super) class_leaf: &'a [u8],
    pub(super) class_index: u64,
    pub(super) class_hashes: Vec<Hash>,
    pub(super) proof: ChunkProof,
    pub(super) result: Option<ResultProof>,
    pub(super) opening: Opening,
}

impl<'a> BorrowedReceipt<'a> {
    pub(super) fn decode(extra: &'a [u8]) -> Result<Self, ReceiptError> {
        let mut cursor = Cursor::new(extra);
        if cursor.array("first line")? != *EXTRA_FIRST_LINE {
            return Err(ReceiptError::FirstLine);
        }
        let batch_leaf = leaf(&mut cursor, "batch leaf")?;
        let class_leaf = leaf(&mut cursor, "class leaf")?;
        let class_index = u64::from_be_bytes(cursor.array("class leaf index")?);
        let class_hashes = hashes(&mut cursor, "inclusion hashes of the class leaf", PROOF_HASHES_MAX)?;
        let proof = chunk_proof(&mut cursor)?;
        let result = match cursor.u8("number of results")? {
            0 => None,
            1 => Some(result(&mut cursor)?),
            found => return Err(ReceiptError::Results { found }),
        };
        let opening = Opening::decode(cursor.rest())?;
        Ok(Self { batch_leaf, class_leaf, class_index, class_hashes, proof, result, opening })
    }
}

/// Appends a proof: record number, chunk, chaining values.
fn put_proof(out: &mut Vec<u8>, proof: &ChunkProof) {
    out.extend_from_slice(&proof.record.to_be_bytes());
    put_bytes16(out, &proof.chunk);
    put_hashes(out, &proof.siblings);
}

fn chunk_proof(cursor: &mut Cursor<'_>) -> Result<ChunkProof, ReceiptError> {
    let record = cursor.u32("record index")?;
    let length = cursor.u16("length of chunk")?;
    let chunk = cursor.take("chunk", usize::from(length))?;
    limit("chunk", chunk.len(), RECORD_BYTES, CHUNK_BYTES)?;
    let siblings = hashes(cursor, "chaining values", SIBLINGS_MAX)?;
    Ok(ChunkProof { record, chunk: chunk.to_vec(), siblings })
}

fn result(cursor: &mut Cursor<'_>) -> Result<ResultProof, ReceiptError> {
    let proof = chunk_proof(cursor)?;
    let length = cursor.u8("length of result digest")?;
    let digest = cursor.take("result digest", usize::from(length))?;
    limit("result digest", digest.len(), 0, DIGEST_MAX_BYTES)?;
    Ok(ResultProof { proof, digest: digest.to_vec() })
}

/// Appends a u8 number of hashes and the hashes.
fn put_hashes(out: &mut Vec<u8>, hashes: &[Hash]) {
    out.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(hashes.as_flattened());
}

/// Reads at most `max` hashes, with their u8 number.
fn hashes(cursor: &mut Cursor<'_>, field: &'static str, max: usize) -> Result<Vec<Hash>, ReceiptError> {
    let count = usize::from(cursor.u8(field)?);
    limit(field, 32 * count, 0, 32 * max)?;
    let (hashes, _) = cursor.take(field, 32 * count)?.as_chunks();
    Ok(hashes.to_vec())
}

/// Reads a leaf of at most [`LEAF_MAX_BYTES`] bytes, with its u32 length.
fn leaf<'a>(cursor: &mut Cursor<'a>, field: &'static str) -> Result<&'a [u8], ReceiptError> {
    let length = usize::try_from(cursor.u32(field)?).unwrap_or(usize::MAX);
    limit(field, length, 1, LEAF_MAX_BYTES)?;
    Ok(cursor.take(field, length)?)
}
