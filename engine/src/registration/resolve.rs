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
use sexton_proof::file::{ChunkProof, ChunkTree, EvidenceFile, FileError, OpeningsFile};
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::{BatchLeaf, Leaf, Openings};
use sexton_proof::record::{FileKind, Tombstone};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of files that are kept in memory, of the batches used last. At least one batch is kept.
///
/// A registration may have been carried by several batches. A caller that asks for receipts in the order of their ids then
/// reads and checks each file once.
const CACHED_BYTES_MAX: usize = 64 << 20;
/// Limit on the moves and carries of one registration. No life has as many; a cycle in damaged files would have more.
const STEPS_MAX: usize = 1_000_000;

/// File of records with its hash tree.
pub(crate) struct HashedFile {
    pub(crate) file: EvidenceFile<Vec<u8>>,
    tree: ChunkTree,
}

impl HashedFile {
    fn new(bytes: Vec<u8>, kind: FileKind) -> Result<Self> {
        let tree = ChunkTree::new(&bytes).map_err(|e| Error::corrupt(e.to_string()))?;
        Ok(HashedFile { file: parse(bytes, kind)?, tree })
    }

    /// Returns the proof that the file has a record.
    pub(crate) fn prove(&self, record: u32) -> Result<ChunkProof> {
        self.tree.prove(self.file.bytes(), record).map_err(|e| Error::corrupt(e.to_string()))
    }
}

fn parse(bytes: Vec<u8>, kind: FileKind) -> Result<EvidenceFile<Vec<u8>>> {
    EvidenceFile::parse(bytes, kind).map_err(|e| Error::corrupt(e.to_string()))
}

/// Leaf and evidence files of a batch, checked once.
pub(crate) struct BatchFiles {
    pub(crate) leaf_index: u64,
    pub(crate) leaf_bytes: Vec<u8>,
    pub(crate) leaf: BatchLeaf,
    pub(crate) tombstones: HashedFile,
    carries: Option<EvidenceFile<Vec<u8>>>,
    pub(crate) results: Option<HashedFile>,
    /// Sealed openings, or why the file is malformed. `None` if there is no file.
    pub(crate) openings: Option<std::result::Result<OpeningsFile<Vec<u8>>, FileError>>,
    /// Length of all files.
    bytes: usize,
}

impl BatchFiles {
    /// Returns `true` if a later call may use what was read. An operator may put back openings that were missing or
    /// malformed, so those are read again.
    fn may_be_kept(&self, core: &Core) -> Result<bool> {
        let openings = core.classes.get(self.leaf.class)?.definition.openings;
        Ok(matches!(self.openings, Some(Ok(_))) || openings == Openings::Ticket)
    }
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

/// Step on the way from an id to its location.
enum Step {
    /// The registration moved or was carried to this id.
    On(RegistrationId),
    Last(Location),
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
            match self.step(core, at)? {
                Step::On(next) => at = next,
                Step::Last(location) => return Ok(location),
            }
        }
        Err(Error::corrupt(format!("the carries of {id} form a cycle; run the full check")))
    }

    /// Returns the id to which the registration `id` moved or was carried next; `None` if it lives or ended under `id`.
    pub(crate) fn successor(&self, core: &Core, id: RegistrationId) -> Result<Option<RegistrationId>> {
        Ok(match self.step(core, id)? {
            Step::On(next) => Some(next),
            Step::Last(_) => None,
        })
    }

    fn step(&self, core: &Core, at: RegistrationId) -> Result<Step> {
        let Some(settled) = core.kv.get(ColumnFamily::Settled, &schema::settled_key(at.page))? else {
            return Ok(match marks::of(&*core.kv, at)? {
                Some(Mark::Moved { to, .. }) => Step::On(to),
                Some(Mark::Replaced) | None => Step::Last(Location::Live(at)),
            });
        };
        let settled = Settled::decode(&settled)?;
        let batch = self.batch_files(core, settled)?;
        match carried_to(&batch, settled.ordinal, at.seq) {
            Some(next) => Ok(Step::On(next)),
            None => end_of(batch, settled.ordinal, at).map(|end| Step::Last(Location::Ended(end))),
        }
    }

    /// Returns the files of the batch that settled a page, from the cache or from disk.
    fn batch_files(&self, core: &Core, settled: Settled) -> Result<Arc<BatchFiles>> {
        // The lock is held while files are read, so that no two threads read the same ones.
        let mut cache = self.0.lock();
        if let Some(at) = cache.iter().position(|batch| batch.leaf_index == settled.leaf) {
            let found = cache.remove(at).ok_or_else(|| Error::internal("a cached batch is gone"))?;
            cache.push_front(Arc::clone(&found));
            return Ok(found);
        }
        let batch = Arc::new(read_batch_files(core, settled)?);
        if batch.may_be_kept(core)? {
            cache.push_front(Arc::clone(&batch));
            let mut bytes = 0;
            let fits = |batch: &&Arc<BatchFiles>| {
                bytes += batch.bytes;
                bytes <= CACHED_BYTES_MAX
            };
            let kept = cache.iter().take_while(fits).count();
            cache.truncate(kept.max(1));
        }
        Ok(batch)
    }
}

/// Reads the end of `id` from its tombstone. `page` is the index of its page in the batch.
fn end_of(batch: Arc<BatchFiles>, page: u32, id: RegistrationId) -> Result<End> {
    let missing = || Error::corrupt(format!("the tombstone of {id} is missing from its file"));
    let file = &batch.tombstones.file;
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
    let carries = leaf.carries.map(|_| read(&paths.carries)).transpose()?;
    let results = leaf.results.map(|_| read(&paths.results)).transpose()?;
    let openings = core.files.read(&paths.openings)?;
    let files = [Some(&tombstones), carries.as_ref(), results.as_ref(), openings.as_ref()];
    let bytes = files.into_iter().flatten().map(Vec::len).sum();
    let tombstones = HashedFile::new(tombstones, FileKind::Tombstones)?;
    if tombstones.tree.root() != leaf.tombstones.root {
        return Err(Error::corrupt(format!("{} is not the file that its leaf names", paths.tombstones)));
    }
    Ok(BatchFiles {
        leaf_index: settled.leaf,
        leaf_bytes,
        leaf,
        tombstones,
        carries: carries.map(|bytes| parse(bytes, FileKind::Carries)).transpose()?,
        results: results.map(|bytes| HashedFile::new(bytes, FileKind::Results)).transpose()?,
        openings: openings.map(OpeningsFile::parse),
        bytes,
    })
}

/// Returns the id under which a registration lived on, if the batch carried it.
fn carried_to(batch: &BatchFiles, page: u32, seq: u32) -> Option<RegistrationId> {
    let file = batch.carries.as_ref()?;
    file.find(page, seq).and_then(|record| file.carry(record)).map(|carry| carry.to)
}
