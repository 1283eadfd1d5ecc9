//! Receipts: for one registration, everything that somebody needs who trusts nobody.

use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::evidence::{self, Paths};
use crate::keyring::Key;
use crate::kv::Family;
use crate::log;
use crate::publish::CHECKPOINT;
use crate::schema::{self, Row, Settled};
use parking_lot::Mutex;
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::commitment::{self, Opening};
use sexton_proof::file::{ChunkTree, EvidenceFile, OpeningsFile};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::leaf::{BatchLeaf, Leaf};
use sexton_proof::merkle;
use sexton_proof::note::Note;
use sexton_proof::receipt::Receipt;
use sexton_proof::record::{FileKind, Tombstone};
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches whose files are kept at hand; asking for receipts batch by batch then reads each file once.
const BATCHES_AT_HAND: usize = 4;

/// How the maker of a receipt opens the commitment.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// By the object's key, where the class says `openings = "operator"`.
    Key(&'a [u8]),
    /// By the ticket that registration gave, where the class says `openings = "ticket"`.
    Ticket(&'a [u8]),
}

struct BatchFiles {
    leaf_index: u64,
    leaf_bytes: Vec<u8>,
    leaf: BatchLeaf,
    tombstones: Vec<u8>,
    tree: ChunkTree,
    carries: Option<Vec<u8>>,
    openings: Option<Vec<u8>>,
}

/// Makes receipts.
#[derive(Default)]
pub(crate) struct Receipts(Mutex<VecDeque<Arc<BatchFiles>>>);

impl Receipts {
    /// The receipt for a registration that has ended, as the text of a C2SP tlog-proof file.
    pub(crate) fn make(&self, core: &Core, id: RegistrationId, opener: Opener<'_>) -> Result<String> {
        let (batch, page, seq) = self.end_of(core, id)?;
        let missing = || Error::corrupt(format!("the tombstone of {id} is missing from its file"));
        let file = EvidenceFile::parse(&batch.tombstones, FileKind::Tombstones)
            .map_err(|e| Error::corrupt(e.to_string()))?;
        let record = file.find(page, seq).ok_or_else(missing)?;
        let tombstone = Tombstone::from_bytes(file.record(record).ok_or_else(missing)?)
            .map_err(|e| Error::corrupt(e.to_string()))?;
        let proof = batch.tree.prove(&batch.tombstones, record).map_err(|e| Error::corrupt(e.to_string()))?;
        let page_id =
            batch.leaf.page_id(page).ok_or_else(|| Error::corrupt("the batch leaf lacks a page"))?;
        let last_id = RegistrationId { page: page_id, seq };
        let class = core.class(batch.leaf.class)?;
        let (checkpoint, size) = published(core, batch.leaf_index)?;
        let inclusion =
            |leaf| merkle::inclusion_proof(leaf, size, &mut |level, at| log::node(&*core.kv, level, at));
        let receipt = Receipt {
            batch_leaf: batch.leaf_bytes.clone(),
            class_leaf: class.leaf.clone(),
            class_index: class.leaf_index,
            class_hashes: inclusion(class.leaf_index)?,
            proof,
            opening: open(core, &batch, record, &tombstone, last_id, opener)?,
        };
        let hashes = inclusion(batch.leaf_index)?;
        Ok(receipt.to_tlog_proof(batch.leaf_index, &hashes, &checkpoint))
    }

    /// Follows carries to the batch in which a registration ended.
    fn end_of(&self, core: &Core, id: RegistrationId) -> Result<(Arc<BatchFiles>, u32, u32)> {
        let mut at = id;
        loop {
            let Some(settled) = core.kv.get(Family::Settled, &at.page.to_bytes())? else {
                return Err(not_ended(core, id, at)?);
            };
            let settled = Settled::decode(&settled)?;
            let batch = self.batch(core, settled)?;
            match carried_to(&batch, settled.ordinal, at.seq)? {
                None => return Ok((batch, settled.ordinal, at.seq)),
                Some(next) if next.page > at.page || next.page.slot >= at.page.slot => at = next,
                Some(_) => return Err(Error::corrupt(format!("registration {id} was carried back in time"))),
            }
        }
    }

    fn batch(&self, core: &Core, settled: Settled) -> Result<Arc<BatchFiles>> {
        let mut at_hand = self.0.lock();
        if let Some(found) = at_hand.iter().find(|batch| batch.leaf_index == settled.leaf) {
            return Ok(Arc::clone(found));
        }
        let batch = Arc::new(read_batch(core, settled)?);
        at_hand.push_front(Arc::clone(&batch));
        at_hand.truncate(BATCHES_AT_HAND);
        Ok(batch)
    }
}

fn read_batch(core: &Core, settled: Settled) -> Result<BatchFiles> {
    let paths = Paths::of(settled.batch);
    let leaf_bytes = log::entry(&*core.kv, settled.leaf)?;
    let Ok(Leaf::Batch(leaf)) = Leaf::parse(&leaf_bytes) else {
        return Err(Error::corrupt(format!("log entry {} is not a batch", settled.leaf)));
    };
    let missing =
        |path: &str| Error::corrupt(format!("{path} is missing; restore it from a copy of the public log"));
    let tombstones = core.files.read(&paths.tombstones)?.ok_or_else(|| missing(&paths.tombstones))?;
    let tree = ChunkTree::new(&tombstones).map_err(|e| Error::corrupt(e.to_string()))?;
    if tree.root() != leaf.tombstones.root {
        return Err(Error::corrupt(format!("{} is not the file that its leaf names", paths.tombstones)));
    }
    let carries = match leaf.carries {
        Some(_) => Some(core.files.read(&paths.carries)?.ok_or_else(|| missing(&paths.carries))?),
        None => None,
    };
    let openings = core.files.read(&paths.openings)?;
    Ok(BatchFiles { leaf_index: settled.leaf, leaf_bytes, leaf, tombstones, tree, carries, openings })
}

/// Where a registration went on living, if it did.
fn carried_to(batch: &BatchFiles, page: u32, seq: u32) -> Result<Option<RegistrationId>> {
    let Some(bytes) = &batch.carries else { return Ok(None) };
    let file = EvidenceFile::parse(bytes, FileKind::Carries).map_err(|e| Error::corrupt(e.to_string()))?;
    let Some(carry) = file.find(page, seq).and_then(|at| file.carries().nth(at as usize)) else {
        return Ok(None);
    };
    let to = batch.leaf.to.get(carry.to_page as usize);
    let to = to.ok_or_else(|| Error::corrupt("a carry names a page that its leaf lacks"))?;
    let page = PageId { class: batch.leaf.class, slot: to.slot, shard: to.shard, part: to.part };
    Ok(Some(RegistrationId { page, seq: carry.to_seq }))
}

fn not_ended(core: &Core, asked: RegistrationId, at: RegistrationId) -> Result<Error> {
    let live = match core.kv.get(Family::Rows(at.page.class), &schema::row_key(at)) {
        Ok(Some(bytes)) => Row::decode(&bytes).map(|_| true)?,
        _ => false,
    };
    Ok(match live {
        true => Error::not_found(format!(
            "registration {asked} has not ended: it is due from {} ms on",
            at.page.slot
        )),
        false => Error::not_found(format!("there is no registration {asked}")),
    })
}

/// The opening of a registration's commitment, which fits the tombstone or is refused.
fn open(
    core: &Core,
    batch: &BatchFiles,
    record: u32,
    tombstone: &Tombstone,
    id: RegistrationId,
    opener: Opener<'_>,
) -> Result<Opening> {
    let k = core.keyring.get(id.page.class, id.page.slot)?;
    let mut opening = unopened(batch, record, id, opener, k.as_ref())?;
    let mut descriptor = Vec::new();
    opening.descriptor(&core.origin, id, batch.leaf.class_leaf).encode_into(&mut descriptor);
    if let Some(k) = &k {
        // A ticket is of the page that the object was registered in; carried, it is blinded anew.
        opening.r = commitment::blinding(k, &descriptor);
    }
    if tombstone.commitment == commitment::commit(&opening.r, &descriptor) {
        return Ok(opening);
    }
    Err(Error::invalid(format!("what was given does not open registration {id}: it is of another object")))
}

fn unopened(
    batch: &BatchFiles,
    record: u32,
    id: RegistrationId,
    opener: Opener<'_>,
    k: Option<&Key>,
) -> Result<Opening> {
    match opener {
        Opener::Ticket(ticket) => {
            Opening::decode(ticket).map_err(|e| Error::invalid(format!("the ticket is malformed: {e}")))
        }
        Opener::Key(key) => {
            let bytes = batch.openings.as_deref().ok_or_else(|| {
                Error::not_found(format!(
                    "no openings are kept for batch {}; use the ticket",
                    batch.leaf.batch
                ))
            })?;
            let file = OpeningsFile::parse(bytes).map_err(|e| Error::corrupt(e.to_string()))?;
            let sealed = file.get(record).ok_or_else(|| Error::corrupt("the openings lack a record"))?;
            let k = k.ok_or_else(|| {
                Error::not_found("the key of that month is destroyed: no receipt can be made any more")
            })?;
            evidence::unseal(k, id, key, sealed).ok_or_else(|| {
                Error::invalid(format!("registration {id} is not that of an object with this key"))
            })
        }
    }
}

/// The published checkpoint and its size, which must cover the leaf.
fn published(core: &Core, leaf: u64) -> Result<(String, u64)> {
    let malformed = |e: String| Error::corrupt(format!("the published checkpoint is malformed: {e}"));
    let unpublished = || Error::new(ErrorKind::Busy, "the log entry is not published yet; try again");
    let bytes = core.files.read(CHECKPOINT)?.ok_or_else(unpublished)?;
    let text = String::from_utf8(bytes).map_err(|e| malformed(e.to_string()))?;
    let note = Note::parse(&text).map_err(|e| malformed(e.to_string()))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| malformed(e.to_string()))?;
    if checkpoint.size <= leaf {
        return Err(unpublished());
    }
    Ok((text, checkpoint.size))
}
