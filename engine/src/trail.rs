//! Where a registration is now: through the carries and moves of its life to the page where it lives, or to the batch
//! in which it ended.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::evidence::Paths;
use crate::kv::Family;
use crate::log;
use crate::place;
use crate::schema::{Mark, Settled};
use parking_lot::Mutex;
use sexton_proof::file::{ChunkTree, EvidenceFile};
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::{BatchLeaf, Leaf};
use sexton_proof::record::{FileKind, Tombstone};
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches whose files are kept at hand; asking for receipts batch by batch then reads each file once.
const BATCHES_AT_HAND: usize = 4;
/// Steps in the life of one registration; more than any can have, fewer than a circle.
const STEPS_MAX: usize = 1_000_000;

/// The files of a batch.
pub(crate) struct BatchFiles {
    pub(crate) leaf_index: u64,
    pub(crate) leaf_bytes: Vec<u8>,
    pub(crate) leaf: BatchLeaf,
    pub(crate) tombstones: Vec<u8>,
    pub(crate) tree: ChunkTree,
    pub(crate) carries: Option<Vec<u8>>,
    pub(crate) results: Option<Vec<u8>>,
    pub(crate) openings: Option<Vec<u8>>,
}

/// The end of a registration.
pub(crate) struct End {
    /// Under which it ended.
    pub(crate) id: RegistrationId,
    pub(crate) batch: Arc<BatchFiles>,
    /// Number of its record in the file of tombstones.
    pub(crate) record: u32,
    pub(crate) tombstone: Tombstone,
}

/// Where a registration is.
pub(crate) enum Whereabouts {
    /// It lives, or its page was never there.
    Unsettled(RegistrationId),
    /// It ended.
    Ended(End),
}

/// Follows registrations, with the files of a few batches at hand.
#[derive(Default)]
pub(crate) struct Trail(Mutex<VecDeque<Arc<BatchFiles>>>);

impl Trail {
    /// Follows `id` to where it is now.
    pub(crate) fn follow(&self, core: &Core, id: RegistrationId) -> Result<Whereabouts> {
        let mut at = id;
        for _ in 0..STEPS_MAX {
            let Some(settled) = core.kv.get(Family::Settled, &at.page.to_bytes())? else {
                match place::mark(core, at)? {
                    Some(Mark::Moved { to, .. }) => at = to,
                    Some(Mark::Replaced) | None => return Ok(Whereabouts::Unsettled(at)),
                }
                continue;
            };
            let settled = Settled::decode(&settled)?;
            let batch = self.batch(core, settled)?;
            match carried_to(&batch, settled.ordinal, at.seq)? {
                Some(next) => at = next,
                None => return end(batch, settled.ordinal, at).map(Whereabouts::Ended),
            }
        }
        Err(Error::corrupt(format!("registration {id} was carried in a circle; run the full check")))
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

fn end(batch: Arc<BatchFiles>, page: u32, id: RegistrationId) -> Result<End> {
    let missing = || Error::corrupt(format!("the tombstone of {id} is missing from its file"));
    let file = EvidenceFile::parse(&batch.tombstones, FileKind::Tombstones)
        .map_err(|e| Error::corrupt(e.to_string()))?;
    let record = file.find(page, id.seq).ok_or_else(missing)?;
    let tombstone = file.tombstone(record).ok_or_else(missing)?;
    Ok(End { id, batch, record, tombstone })
}

fn read_batch(core: &Core, settled: Settled) -> Result<BatchFiles> {
    let paths = Paths::of(settled.batch);
    let leaf_bytes = log::entry(&*core.kv, settled.leaf)?;
    let Ok(Leaf::Batch(leaf)) = Leaf::parse(&leaf_bytes) else {
        return Err(Error::corrupt(format!("log entry {} is not a batch", settled.leaf)));
    };
    let named = |path: &str| {
        core.files.read(path)?.ok_or_else(|| {
            Error::corrupt(format!("{path} is missing; restore it from a copy of the public log"))
        })
    };
    let tombstones = named(&paths.tombstones)?;
    let tree = ChunkTree::new(&tombstones).map_err(|e| Error::corrupt(e.to_string()))?;
    if tree.root() != leaf.tombstones.root {
        return Err(Error::corrupt(format!("{} is not the file that its leaf names", paths.tombstones)));
    }
    let carries = leaf.carries.map(|_| named(&paths.carries)).transpose()?;
    let results = leaf.results.map(|_| named(&paths.results)).transpose()?;
    let openings = core.files.read(&paths.openings)?;
    Ok(BatchFiles {
        leaf_index: settled.leaf,
        leaf_bytes,
        leaf,
        tombstones,
        tree,
        carries,
        results,
        openings,
    })
}

/// Where a registration went on living, if it did.
fn carried_to(batch: &BatchFiles, page: u32, seq: u32) -> Result<Option<RegistrationId>> {
    let Some(bytes) = &batch.carries else { return Ok(None) };
    let file = EvidenceFile::parse(bytes, FileKind::Carries).map_err(|e| Error::corrupt(e.to_string()))?;
    let carry = file.find(page, seq).and_then(|at| file.carry(at));
    Ok(carry.map(|carry| carry.to))
}
