//! Verification of receipts.

use super::checks::{check_bounds, check_commitment, check_record, check_time, other_header};
use super::encoding::BorrowedReceipt;
use super::error::{RECEIPT_MAX_BYTES, VerifyError};
use super::known::{KnownBatch, KnownCheckpoint, KnownClass, check_batch, check_checkpoint, check_class};
use super::result::check_result;
use super::verdict::{Cosignature, Verdict};
use super::witnessed::{DateLimits, Within, WithinError, check_quorum};
use crate::commitment::Opening;
use crate::id::RegistrationId;
use crate::leaf::ClassLeaf;
use crate::policy::{Policy, VerifiedCheckpoint};
use crate::record::{FileKind, Header, Tombstone};
use crate::time::Timestamp;
use crate::tlog_proof::TlogProof;
use crate::window::Span;

/// Verifies a single receipt. For many receipts use a [`Verifier`].
///
/// `now` is the caller's own time. Cosignatures dated more than [`WITNESS_SLACK`](super::WITNESS_SLACK) after it do not
/// count. Under a policy without a quorum it has no effect.
///
/// # Errors
/// The first check of `docs/format.md` §5 that fails.
pub fn verify(receipt_file: &[u8], policy: &Policy, now: Timestamp) -> Result<Verdict, VerifyError> {
    Verifier::new(policy).verify(receipt_file, now)
}

/// Verifier of receipts under one policy. It remembers the last checkpoint, batch leaf and class leaf that passed.
///
/// For further receipts of a batch it skips the signatures, the hashes of the log and the parsing of the leaves. It
/// compares every input byte by byte with a remembered one, so a verdict never depends on earlier receipts.
#[derive(Clone, Debug)]
pub struct Verifier<'p> {
    policy: &'p Policy,
    within: Option<Within>,
    checkpoint: Option<KnownCheckpoint>,
    batch: Option<KnownBatch>,
    class: Option<KnownClass>,
}

impl<'p> Verifier<'p> {
    /// Creates a verifier under `policy`.
    #[must_use]
    pub fn new(policy: &'p Policy) -> Self {
        Self { policy, within: None, checkpoint: None, batch: None, class: None }
    }

    /// Counts only cosignatures dated at most `span` after the deletion.
    ///
    /// # Errors
    /// A policy without a quorum, or a calendar span.
    pub fn witnessed_within(self, span: Span) -> Result<Self, WithinError> {
        Ok(Self { within: Some(Within::new(span, self.policy)?), ..self })
    }

    /// Verifies a receipt.
    ///
    /// `now` is the caller's own time. Cosignatures dated more than [`WITNESS_SLACK`](super::WITNESS_SLACK) after it do
    /// not count. Under a policy without a quorum it has no effect.
    ///
    /// # Errors
    /// The first check of `docs/format.md` §5 that fails. [`VerifyError::Quorum`] has the verdict of a receipt that fails
    /// the last check alone.
    pub fn verify(&mut self, receipt_file: &[u8], now: Timestamp) -> Result<Verdict, VerifyError> {
        if receipt_file.len() > RECEIPT_MAX_BYTES {
            return Err(VerifyError::Length { found: receipt_file.len() });
        }
        let known = self.checkpoint.as_ref().map(|known| known.text.as_str());
        let file = TlogProof::parse_after(receipt_file, known).map_err(VerifyError::File)?;
        let extra = file.extra.as_deref().ok_or(VerifyError::NoExtra)?;
        let receipt = BorrowedReceipt::decode(extra).map_err(VerifyError::Extra)?;

        let known = self.checkpoint.take().filter(|known| known.text == file.checkpoint);
        if known.is_none() {
            // Batch and class were checked under the previous checkpoint only.
            (self.batch, self.class) = (None, None);
        }
        let checkpoint = match known {
            Some(known) => known,
            None => check_checkpoint(self.policy, &file.checkpoint)?,
        };
        let checkpoint = self.checkpoint.insert(checkpoint);
        let known = self.batch.take().filter(|known| {
            known.index == file.index && known.hashes == file.hashes && known.text == receipt.batch_leaf
        });
        let batch = match known {
            Some(known) => known,
            None => check_batch(&checkpoint.verified, file.index, &file.hashes, receipt.batch_leaf)?,
        };
        let batch = self.batch.insert(batch);
        let class = check_class(&mut self.class, &checkpoint.verified, batch, &receipt)?;

        let file = &batch.leaf.tombstones;
        let record = receipt.proof.verify_after(batch.chunk.as_ref(), file.n, &file.root);
        let record = record.map_err(VerifyError::Chunk)?;
        let header = Header { kind: FileKind::Tombstones, batch: batch.leaf.batch, n: file.n };
        if let Some(found) = other_header(&receipt.proof, header).map_err(VerifyError::Record)? {
            return Err(VerifyError::Header { expected: header, found });
        }
        let (tombstone, id) = check_record(batch, receipt.proof.record, &record)?;
        batch.chunk = Some(receipt.proof);
        let origin = &checkpoint.verified.checkpoint.origin;
        check_commitment(origin, id, &receipt.opening, class.hash, &tombstone)?;
        let result =
            check_result(batch, class.leaf.disposition, &tombstone, &receipt.opening.r, receipt.result)?;
        check_bounds(class, &batch.leaf, &tombstone, &receipt.opening)?;
        check_time(&batch.leaf, &tombstone, receipt.opening.start)?;
        let limits = DateLimits { now, within: self.within };
        let cosignatures = limits.judge(&checkpoint.verified.cosignatures, tombstone.time);
        let object = (id, receipt.opening, result);
        let verdict = verdict(&checkpoint.verified, batch, &class.leaf, &tombstone, object, cosignatures);
        check_quorum(self.policy, limits, verdict).map_err(VerifyError::Quorum)
    }
}

fn verdict(
    checkpoint: &VerifiedCheckpoint,
    batch: &KnownBatch,
    class: &ClassLeaf,
    tombstone: &Tombstone,
    (id, opening, result_digest): (RegistrationId, Opening, Option<Vec<u8>>),
    cosignatures: Vec<Cosignature>,
) -> Verdict {
    Verdict {
        origin: checkpoint.checkpoint.origin.clone(),
        tree_size: checkpoint.checkpoint.size,
        leaf_index: batch.index,
        class_name: class.name.clone(),
        class_version: class.version,
        keep: class.keep,
        within: class.within,
        zone: class.zone.clone(),
        disposition: class.disposition,
        batch: batch.leaf.batch,
        id,
        key: opening.key,
        version: opening.version,
        digest: opening.digest,
        size: opening.size,
        start: opening.start,
        floor: opening.floor,
        ceiling: opening.ceiling,
        time: tombstone.time,
        method: tombstone.method,
        reason: tombstone.reason,
        result_digest,
        logged: batch.leaf.logged,
        tool: batch.leaf.tool.clone(),
        cosignatures,
        quorum_met: checkpoint.quorum_met,
        quorum_required: checkpoint.quorum_required,
    }
}
