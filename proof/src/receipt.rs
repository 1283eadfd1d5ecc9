//! Receipts: the file for somebody who wants proof for one object, and its verification (`docs/format.md` §5).

mod error;
mod parts;
mod result;
mod verdict;

pub use self::error::{ReceiptError, VerifyError};
pub use self::parts::{EXTRA_FIRST_LINE, Receipt, ResultProof};
pub use self::verdict::{DOES_NOT_PROVE, Outcome, Verdict};

use self::parts::Parts;
use self::result::check_result;
use crate::commitment::{Opening, commit};
use crate::file::{CHUNK_BYTES, ChunkProof};
use crate::id::{NO_CEILING, NO_FLOOR, ORIGIN_MAX_BYTES, RegistrationId, limit};
use crate::leaf::{BatchLeaf, ClassLeaf, Leaf};
use crate::merkle::{Hash, leaf_hash, verify_inclusion};
use crate::policy::{Policy, VerifiedCheckpoint};
use crate::record::{FileKind, Header, RECORD_BYTES, Reason, RecordError, Tombstone};
use crate::tlog_proof::TlogProof;
use crate::window::Window;

/// Longest receipt in bytes. A longer one cannot be valid: its parts have limits that add up to less.
pub const RECEIPT_MAX_BYTES: usize = 2 << 20;

/// How far a witness's clock may be behind the log's, in milliseconds.
pub const WITNESS_SLACK_MS: i64 = 300_000;

/// Verifies one receipt; for many use a [`Verifier`].
///
/// # Errors
/// The first check of `docs/format.md` §5 that fails.
pub fn verify(receipt_file: &[u8], policy: &Policy) -> Result<Verdict, VerifyError> {
    Verifier::new(policy).verify(receipt_file)
}

/// Verifies receipts under one policy, and remembers the last checkpoint, batch leaf and class leaf that passed.
///
/// Receipts of one batch then skip the signatures, the log's hashes and the parsing of the leaves. What is remembered is
/// compared byte by byte, and only what passed is remembered, so that a verdict never depends on what came before.
#[derive(Clone, Debug)]
pub struct Verifier<'p> {
    policy: &'p Policy,
    checkpoint: Option<KnownCheckpoint>,
    batch: Option<KnownBatch>,
    class: Option<KnownClass>,
}

/// A signed checkpoint that passed check 1.
#[derive(Clone, Debug)]
struct KnownCheckpoint {
    text: String,
    verified: VerifiedCheckpoint,
}

/// A batch leaf that passed check 2 under the known checkpoint.
#[derive(Clone, Debug)]
struct KnownBatch {
    index: u64,
    hashes: Vec<Hash>,
    text: Vec<u8>,
    leaf: BatchLeaf,
    /// Number of the first tombstone of each page, and the number of all.
    firsts: Vec<u64>,
    /// The last chunk that passed check 4.
    chunk: Option<ChunkProof>,
    /// The last chunk of results that passed check 6.
    result: Option<ChunkProof>,
}

/// A class leaf that is valid and in the log of the known checkpoint; whether it is the batch's is compared for every receipt.
#[derive(Clone, Debug)]
struct KnownClass {
    text: Vec<u8>,
    index: u64,
    hashes: Vec<Hash>,
    hash: Hash,
    leaf: ClassLeaf,
    window: Window,
}

impl<'p> Verifier<'p> {
    /// A verifier under `policy` that remembers nothing yet.
    #[must_use]
    pub fn new(policy: &'p Policy) -> Self {
        Self { policy, checkpoint: None, batch: None, class: None }
    }

    /// Verifies one receipt.
    ///
    /// # Errors
    /// The first check of `docs/format.md` §5 that fails.
    pub fn verify(&mut self, receipt_file: &[u8]) -> Result<Verdict, VerifyError> {
        if receipt_file.len() > RECEIPT_MAX_BYTES {
            return Err(VerifyError::Length { found: receipt_file.len() });
        }
        let known = self.checkpoint.as_ref().map(|known| known.text.as_str());
        let file = TlogProof::parse_after(receipt_file, known).map_err(VerifyError::File)?;
        let extra = file.extra.as_deref().ok_or(VerifyError::NoExtra)?;
        let parts = Parts::decode(extra).map_err(VerifyError::Extra)?;

        let known = self.checkpoint.take().filter(|known| known.text == file.checkpoint);
        if known.is_none() {
            // Batch and class are known under one checkpoint only.
            (self.batch, self.class) = (None, None);
        }
        let checkpoint = match known {
            Some(known) => known,
            None => check_checkpoint(self.policy, &file.checkpoint)?,
        };
        let checkpoint = self.checkpoint.insert(checkpoint);
        let known = self.batch.take().filter(|known| {
            known.index == file.index && known.hashes == file.hashes && known.text == parts.batch_leaf
        });
        let batch = match known {
            Some(known) => known,
            None => check_batch(&checkpoint.verified, file.index, &file.hashes, parts.batch_leaf)?,
        };
        let batch = self.batch.insert(batch);
        let class = check_class(&mut self.class, &checkpoint.verified, batch, &parts)?;

        let file = &batch.leaf.tombstones;
        let record = parts.proof.verify_after(batch.chunk.as_ref(), file.n, &file.root);
        let record = record.map_err(VerifyError::Chunk)?;
        let header = Header { kind: FileKind::Tombstones, batch: batch.leaf.batch, n: file.n };
        if let Some(found) = other_header(&parts.proof, header).map_err(VerifyError::Record)? {
            return Err(VerifyError::Header { expected: header, found });
        }
        let (tombstone, id) = check_record(batch, parts.proof.record, &record)?;
        batch.chunk = Some(parts.proof);
        let origin = &checkpoint.verified.checkpoint.origin;
        check_commitment(origin, id, &parts.opening, class.hash, &tombstone)?;
        let result = check_result(batch, class.leaf.disposition, &tombstone, &parts.opening.r, parts.result)?;
        check_bounds(&class.window, &batch.leaf, &parts.opening)?;
        check_time(&batch.leaf, &tombstone, parts.opening.start_ms)?;
        check_quorum(self.policy, &checkpoint.verified, tombstone.time_ms)?;
        Ok(verdict(&checkpoint.verified, batch, &class.leaf, &tombstone, id, (parts.opening, result)))
    }
}

/// Check 1: the checkpoint's note under the policy.
fn check_checkpoint(policy: &Policy, text: &str) -> Result<KnownCheckpoint, VerifyError> {
    let verified = policy.verify(text).map_err(VerifyError::Checkpoint)?;
    limit("origin", verified.checkpoint.origin.len(), 1, ORIGIN_MAX_BYTES).map_err(VerifyError::Origin)?;
    Ok(KnownCheckpoint { text: text.to_owned(), verified })
}

/// Check 2: the inclusion of the batch leaf.
fn check_batch(
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

/// Check 3: the class leaf's hash and id are those that the batch leaf names, and it was in the log before it.
fn check_class<'a>(
    known: &'a mut Option<KnownClass>,
    checkpoint: &VerifiedCheckpoint,
    known_batch: &KnownBatch,
    parts: &Parts<'_>,
) -> Result<&'a KnownClass, VerifyError> {
    let (batch, text, index) = (&known_batch.leaf, parts.class_leaf, parts.class_index);
    let same = known
        .take()
        .filter(|known| known.text == text && known.index == index && known.hashes == parts.class_hashes);
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
            verify_inclusion(index, head.size, &hash, &parts.class_hashes, &head.root)
                .map_err(VerifyError::ClassInclusion)?;
            let window = Window::new(leaf.keep, leaf.within, &leaf.zone, &leaf.calendar)
                .map_err(VerifyError::Class)?;
            KnownClass { text: text.to_vec(), index, hashes: parts.class_hashes.clone(), hash, leaf, window }
        }
    };
    if class.leaf.id != batch.class {
        return Err(VerifyError::ClassId { expected: batch.class, found: class.leaf.id });
    }
    if index >= known_batch.index || class.leaf.logged_ms > batch.logged_ms {
        return Err(VerifyError::ClassLater { class: index, batch: known_batch.index });
    }
    Ok(known.insert(class))
}

/// The header in a chunk that is its file's first, where it is not the expected one.
fn other_header(proof: &ChunkProof, expected: Header) -> Result<Option<Header>, RecordError> {
    let in_first_chunk = RECORD_BYTES * (proof.record as usize + 1) < CHUNK_BYTES;
    let Some(bytes) = proof.chunk.first_chunk().filter(|_| in_first_chunk) else { return Ok(None) };
    Ok(Some(Header::from_bytes(bytes)?).filter(|found| *found != expected))
}

/// Check 5: the record is a tombstone and lies within its page, by its seq and by its place in the file.
fn check_record(
    batch: &KnownBatch,
    record: u32,
    bytes: &[u8; RECORD_BYTES],
) -> Result<(Tombstone, RegistrationId), VerifyError> {
    let tombstone = Tombstone::from_bytes(bytes).map_err(VerifyError::Record)?;
    let page = usize::try_from(tombstone.page).unwrap_or(usize::MAX);
    let (Some(line), Some(id)) = (batch.leaf.pages.get(page), batch.leaf.page_id(tombstone.page)) else {
        return Err(VerifyError::Page { expected: batch.leaf.pages.len(), found: tombstone.page });
    };
    if tombstone.seq >= line.seqs {
        return Err(VerifyError::Seq { expected: line.seqs, found: tombstone.seq });
    }
    let first = batch.firsts.get(page).copied().unwrap_or_default();
    let end = first + u64::from(line.tombstones);
    if !(first..end).contains(&u64::from(record)) {
        return Err(VerifyError::Position { first, end, found: record });
    }
    // Seqs ascend, so those before and behind it in the run leave it this much room; where nothing was carried, none.
    let least = u64::from(record) - first;
    let most = u64::from(line.seqs) - (end - u64::from(record));
    if !(least..=most).contains(&u64::from(tombstone.seq)) {
        return Err(VerifyError::SeqOfPosition { least, most, found: tombstone.seq });
    }
    Ok((tombstone, RegistrationId { page: id, seq: tombstone.seq }))
}

/// Check 6: the opening gives the commitment in the record.
fn check_commitment(
    origin: &str,
    id: RegistrationId,
    opening: &Opening,
    class_leaf: Hash,
    tombstone: &Tombstone,
) -> Result<(), VerifyError> {
    let found = commit(&opening.r, &opening.descriptor(origin, id, class_leaf).digest());
    if found != tombstone.commitment {
        return Err(VerifyError::Commitment { expected: tombstone.commitment, found });
    }
    Ok(())
}

/// Check 7: floor and ceiling are what the class makes of the start, and within what the batch leaf states.
fn check_bounds(window: &Window, batch: &BatchLeaf, opening: &Opening) -> Result<(), VerifyError> {
    let bounds = window.bounds(opening.start_ms).map_err(VerifyError::Bounds)?;
    let (floor, ceiling) = (opening.floor_ms, opening.ceiling_ms);
    if floor != bounds.floor_ms {
        return Err(VerifyError::Floor { expected: bounds.floor_ms, found: floor });
    }
    if ceiling != bounds.ceiling_ms {
        return Err(VerifyError::Ceiling { expected: bounds.ceiling_ms, found: ceiling });
    }
    // A batch is of one class version, so all of its tombstones have a floor or none has; the same for ceilings.
    if batch.floor_max_ms.map_or(floor != NO_FLOOR, |most| floor == NO_FLOOR || floor > most) {
        return Err(VerifyError::FloorMax { expected: batch.floor_max_ms, found: floor });
    }
    if batch.ceiling_min_ms.map_or(ceiling != NO_CEILING, |least| ceiling == NO_CEILING || ceiling < least) {
        return Err(VerifyError::CeilingMin { expected: batch.ceiling_min_ms, found: ceiling });
    }
    Ok(())
}

/// Check 8: started ≤ time ≤ finished, and start ≤ time where the reason is that it was due; that finished ≤ logged is
/// checked with the batch leaf.
fn check_time(batch: &BatchLeaf, tombstone: &Tombstone, start_ms: i64) -> Result<(), VerifyError> {
    let (started, finished, found) = (batch.started_ms, batch.finished_ms, tombstone.time_ms);
    if found < started || found > finished {
        return Err(VerifyError::Time { started, finished, found });
    }
    if tombstone.reason == Reason::Due && start_ms > found {
        return Err(VerifyError::BeforeStart { start: start_ms, found });
    }
    Ok(())
}

/// Check 9, the quorum: a receipt that fails it alone is authentic but not witnessed as the policy asks, and the caller
/// can tell. A witness that signed before the time of the deletion proves that the statement is older than what it
/// states, so its signature does not count.
fn check_quorum(policy: &Policy, verified: &VerifiedCheckpoint, time_ms: i64) -> Result<(), VerifyError> {
    let after = |unix_s: u64| {
        let signed_ms = i64::try_from(unix_s).unwrap_or(i64::MAX).saturating_mul(1_000);
        signed_ms.saturating_add(WITNESS_SLACK_MS) >= time_ms
    };
    let counted: Vec<(String, u64)> =
        verified.cosignatures.iter().filter(|(_, unix_s)| after(*unix_s)).cloned().collect();
    if verified.quorum_met && policy.quorum_met_by(&counted) {
        return Ok(());
    }
    Err(VerifyError::Quorum {
        expected: policy.quorum().unwrap_or_default().to_owned(),
        found: counted.into_iter().map(|(name, _)| name).collect(),
    })
}

fn verdict(
    checkpoint: &VerifiedCheckpoint,
    batch: &KnownBatch,
    class: &ClassLeaf,
    tombstone: &Tombstone,
    id: RegistrationId,
    (opening, result_digest): (Opening, Option<Vec<u8>>),
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
        size_bytes: opening.size_bytes,
        start_ms: opening.start_ms,
        floor_ms: opening.floor_ms,
        ceiling_ms: opening.ceiling_ms,
        time_ms: tombstone.time_ms,
        method: tombstone.method,
        reason: tombstone.reason,
        result_digest,
        logged_ms: batch.leaf.logged_ms,
        tool: batch.leaf.tool.clone(),
        cosignatures: checkpoint.cosignatures.clone(),
        quorum_met: checkpoint.quorum_met,
        quorum_required: checkpoint.quorum_required,
    }
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
