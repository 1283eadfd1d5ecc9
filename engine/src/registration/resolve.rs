//! Resolution of a registration id. It follows carries and moves to the page where the registration lives, or to the
//! batch in which it ended.

use crate::model::schema::{self, Mark, Settled};
use crate::platform::error::{Error, Result};
use crate::platform::kv::ColumnFamily;
use crate::state::core::Core;
use crate::state::log;
use crate::state::marks;
use crate::state::paths::BatchPaths;
use parking_lot::Mutex;
use sexton_proof::file::{ChunkTree, EvidenceFile};
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::{BatchLeaf, Leaf};
use sexton_proof::record::{FileKind, Tombstone};
use std::collections::VecDeque;
use std::sync::Arc;

/// Batches whose files are kept in memory. A caller that asks for receipts batch by batch then reads each file once.
const BATCHES_CACHED: usize = 4;
/// Limit on the moves and carries of one registration. No life has as many; a cycle in damaged files would have more.
const STEPS_MAX: usize = 1_000_000;

/// Leaf and evidence files of a batch.
pub(crate) struct BatchFiles {
    pub(crate) leaf_index: u64,
    pub(crate) leaf_bytes: Vec<u8>,
    pub(crate) leaf: BatchLeaf,
    pub(crate) tombstones: Vec<u8>,
    /// Hash tree of the tombstone file.
    pub(crate) tree: ChunkTree,
    pub(crate) carries: Option<Vec<u8>>,
    pub(crate) results: Option<Vec<u8>>,
    pub(crate) openings: Option<Vec<u8>>,
}

/// End of a registration.
pub(crate) struct End {
    /// Id under which it ended.
    pub(crate) id: RegistrationId,
    pub(crate) batch: Arc<BatchFiles>,
    /// Index of its record in the tombstone file.
    pub(crate) record: u32,
    pub(crate) tombstone: Tombstone,
}

/// Location of a registration.
pub(crate) enum Location {
    /// Live registration with this id, or an id whose page never existed.
    Live(RegistrationId),
    /// Ended registration.
    Ended(End),
}

/// Resolver of registration ids, with a cache of the files of a few batches.
#[derive(Default)]
pub(crate) struct Resolver(Mutex<VecDeque<Arc<BatchFiles>>>);

impl Resolver {
    /// Returns the current location of the registration `id`. It takes no shard's lock, so another thread may move the
    /// registration before the caller uses the answer.
    pub(crate) fn resolve(&self, core: &Core, id: RegistrationId) -> Result<Location> {
        let mut at = id;
        for _ in 0..STEPS_MAX {
            let Some(settled) = core.kv.get(ColumnFamily::Settled, &schema::settled_key(at.page))? else {
                match marks::of(&*core.kv, at)? {
                    Some(Mark::Moved { to, .. }) => at = to,
                    Some(Mark::Replaced) | None => return Ok(Location::Live(at)),
                }
                continue;
            };
            let settled = Settled::decode(&settled)?;
            let batch = self.batch_files(core, settled)?;
            match carried_to(&batch, settled.ordinal, at.seq)? {
                Some(next) => at = next,
                None => return end_of(batch, settled.ordinal, at).map(Location::Ended),
            }
        }
        Err(Error::corrupt(format!("the carries of {id} form a cycle; run the full check")))
    }

    /// Returns the files of the batch that settled a page, from the cache or from disk.
    fn batch_files(&self, core: &Core, settled: Settled) -> Result<Arc<BatchFiles>> {
        let mut cache = self.0.lock();
        if let Some(found) = cache.iter().find(|batch| batch.leaf_index == settled.leaf) {
            return Ok(Arc::clone(found));
        }
        let batch = Arc::new(read_batch_files(core, settled)?);
        cache.push_front(Arc::clone(&batch));
        cache.truncate(BATCHES_CACHED);
        Ok(batch)
    }
}

/// Reads the end of `id` from its tombstone. `page` is the index of its page in the batch.
fn end_of(batch: Arc<BatchFiles>, page: u32, id: RegistrationId) -> Result<End> {
    let missing = || Error::corrupt(format!("the tombstone of {id} is missing from its file"));
    let file = EvidenceFile::parse(&batch.tombstones, FileKind::Tombstones)
        .map_err(|e| Error::corrupt(e.to_string()))?;
    let record = file.find(page, id.seq).ok_or_else(missing)?;
    let tombstone = file.tombstone(record).ok_or_else(missing)?;
    Ok(End { id, batch, record, tombstone })
}

fn read_batch_files(core: &Core, settled: Settled) -> Result<BatchFiles> {
    let paths = BatchPaths::of(settled.batch);
    let leaf_bytes = log::entry(&*core.kv, settled.leaf)?;
    let Ok(Leaf::Batch(leaf)) = Leaf::parse(&leaf_bytes) else {
        return Err(Error::corrupt(format!("log entry {} is not a batch", settled.leaf)));
    };
    let read = |path: &str| {
        core.files.read(path)?.ok_or_else(|| {
            Error::corrupt(format!("{path} is missing; restore it from a copy of the public log"))
        })
    };
    let tombstones = read(&paths.tombstones)?;
    let tree = ChunkTree::new(&tombstones).map_err(|e| Error::corrupt(e.to_string()))?;
    if tree.root() != leaf.tombstones.root {
        return Err(Error::corrupt(format!("{} is not the file that its leaf names", paths.tombstones)));
    }
    let carries = leaf.carries.map(|_| read(&paths.carries)).transpose()?;
    let results = leaf.results.map(|_| read(&paths.results)).transpose()?;
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

/// Returns the id under which a registration lived on, if the batch carried it.
fn carried_to(batch: &BatchFiles, page: u32, seq: u32) -> Result<Option<RegistrationId>> {
    let Some(bytes) = &batch.carries else { return Ok(None) };
    let file = EvidenceFile::parse(bytes, FileKind::Carries).map_err(|e| Error::corrupt(e.to_string()))?;
    let carry = file.find(page, seq).and_then(|record| file.carry(record));
    Ok(carry.map(|carry| carry.to))
}
