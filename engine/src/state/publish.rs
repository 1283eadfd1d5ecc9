//! Publishing: records the head outside the index, signs it, writes the tiles and, last, the checkpoint.

use crate::platform::clock::Monotonic;
use crate::platform::error::{Error, Result};
use crate::platform::files::{Access, Files, NewFile};
use crate::platform::kv::Kv;
use crate::state::core::{Core, Published};
use crate::state::log;
use sexton_proof::checked_text::Head;
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::merkle::Hash;
use sexton_proof::note::{Note, Verifier};
use sexton_proof::tile::{self, BundleId, TileId};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Path of the recorded head below the data folder.
pub(crate) const HEAD: &str = "head";
/// Path of the checkpoint below the data folder.
pub(crate) const CHECKPOINT: &str = "log/checkpoint";

/// Interval of publications while batches follow one another. Each costs five fsyncs and writes the last bundle of
/// entries again, which can be 15 MB.
const WHILE_BUSY: Duration = Duration::from_secs(1);

/// Publishes after a batch has committed: at once if no other batch is out, otherwise at most once a second. The last batch
/// that comes back publishes for all.
pub(crate) fn publish_behind(core: &Core, monotonic: Monotonic) {
    let mut published = core.transparency.published.lock();
    // Counted under the lock: a batch that is still out comes back later and then finds this commit unpublished.
    let can_wait = others_are_out(core) && published.is_recent(monotonic) && published.error.is_none();
    if !can_wait {
        publish_and_record(core, &mut published, monotonic);
    }
}

/// Publishes what commits left unpublished, for a thread that has nothing else to do. After a failure it waits a second, so
/// that polling for due batches does not retry at every poll.
pub(crate) fn publish_rest(core: &Core, monotonic: Monotonic) {
    let mut published = core.transparency.published.lock();
    if published.error.is_none() || !published.is_recent(monotonic) {
        publish_and_record(core, &mut published, monotonic);
    }
}

/// Returns the instant at which [`publish_rest`] retries after a failure; `None` after a success.
pub(crate) fn again_at(core: &Core) -> Option<Monotonic> {
    // If another thread is publishing, no wake-up is needed.
    let published = core.transparency.published.try_lock()?;
    published.error.as_ref()?;
    published.tried.map(|tried| tried.saturating_add(WHILE_BUSY))
}

/// Returns `true` if a batch is out that will be handed back. A dropped batch counts as in flight until it is planned again.
fn others_are_out(core: &Core) -> bool {
    // In this order: the planner lowers the count while it holds the list of dropped batches.
    let dropped = core.batches.pool.unanswered.lock();
    core.batches.in_flight.load(Ordering::SeqCst) > dropped.len() as u64
}

fn publish_and_record(core: &Core, published: &mut Published, monotonic: Monotonic) {
    published.tried = Some(monotonic);
    // `publish` records and logs the error. The deletion stands, and publishing is retried.
    let _ = publish(core, published);
}

/// Publishes at once. An error is recorded and logged.
pub(crate) fn publish_or_warn(core: &Core) {
    let _ = publish(core, &mut core.transparency.published.lock());
}

/// Publishes all committed entries. Publishing is idempotent: the same log gives the same bytes.
///
/// A forked log is never signed. After a failed write no entry is published, even if it is durable.
pub(crate) fn publish(core: &Core, published: &mut Published) -> Result<()> {
    core.check_writable()?;
    let done = publish_committed(core, published);
    published.error = done.as_ref().err().map(|error| {
        tracing::error!(%error, "the log could not be published; publishing is retried");
        error.to_string()
    });
    done
}

fn publish_committed(core: &Core, published: &mut Published) -> Result<()> {
    // All entries committed so far are durable. A thread that waited for the lock finds its own entry published.
    let (size, root) = {
        let ledger = core.transparency.ledger.lock_read();
        (ledger.log.size(), ledger.log.root())
    };
    if size == published.size {
        return Ok(());
    }
    // Recorded before it is signed: a restored older index is detected even if the checkpoint was never published, so no
    // two histories get a signature. A crash here leaves a head that is a prefix of the log.
    core.files.replace(HEAD, Head { size, root }.to_text().as_bytes(), Access::Private)?;
    let signed = sign(core, size, root)?;
    publish_tiles(core, published.size, size)?;
    // Written last: a reader that sees the checkpoint finds every tile it needs. A crash before this line leaves tiles that no
    // checkpoint refers to yet; the next publication writes the same bytes.
    core.files.replace(CHECKPOINT, signed.as_bytes(), Access::Public)?;
    published.size = size;
    Ok(())
}

/// Returns the signed checkpoint of the log as it was at `size`. The caller has recorded a head of at least this size.
pub(crate) fn sign(core: &Core, size: u64, root: Hash) -> Result<String> {
    let signer = core.secrets.signer.as_ref();
    let signer = signer.ok_or_else(|| Error::internal("an engine without a signing key publishes"))?;
    let text = Checkpoint { origin: core.identity.origin.clone(), size, root }.to_text();
    Ok(format!("{text}\n{}", signer.sign(&text)))
}

impl Published {
    fn is_recent(&self, monotonic: Monotonic) -> bool {
        self.tried.is_some_and(|tried| monotonic.since(tried) < WHILE_BUSY)
    }
}

/// Writes tiles and bundles, and removes the partial ones that a full one replaces: a full tile begins with their content.
fn publish_tiles(core: &Core, from: u64, to: u64) -> Result<()> {
    let mut parts = Vec::new();
    for id in tile::tiles_to_publish(from, to) {
        parts.push((format!("log/{}", id.path()), id.width, tile_bytes(&*core.kv, id)?));
    }
    for id in tile::bundles_to_publish(from, to) {
        parts.push((format!("log/{}", id.path()), id.width, bundle_bytes(&*core.kv, id)?));
    }
    let files: Vec<NewFile<'_>> = parts
        .iter()
        .map(|(path, _, bytes)| NewFile { path: path.clone(), chunks: vec![bytes], access: Access::Public })
        .collect();
    core.files.replace_all(&files)?;
    for (path, _, _) in parts.iter().filter(|(_, width, _)| *width == tile::WIDTH_FULL) {
        core.files.remove(&format!("{path}.p"))?;
    }
    Ok(())
}

pub(crate) fn tile_bytes(kv: &dyn Kv, id: TileId) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(32 * usize::from(id.width));
    for at in 0..u64::from(id.width) {
        bytes.extend_from_slice(&log::node(kv, id.level * 8, id.index * 256 + at)?);
    }
    Ok(bytes)
}

pub(crate) fn bundle_bytes(kv: &dyn Kv, id: BundleId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for at in 0..u64::from(id.width) {
        let entry = log::entry(kv, id.index * 256 + at)?;
        tile::push_entry(&mut bytes, &entry).map_err(|e| Error::internal(e.to_string()))?;
    }
    Ok(bytes)
}

/// Reads the recorded head.
pub(crate) fn read_head(files: &dyn Files) -> Result<Option<(u64, Hash)>> {
    let Some(bytes) = files.read(HEAD)? else { return Ok(None) };
    let Head { size, root } = Head::parse(&bytes)
        .map_err(|e| Error::corrupt(format!("the file {HEAD} {e}; restore its own backup")))?;
    Ok(Some((size, root)))
}

/// Reads the published checkpoint, if there is one. It must be signed with `key`.
pub(crate) fn read_checkpoint(files: &dyn Files, key: &Verifier) -> Result<Option<Checkpoint>> {
    let Some(bytes) = files.read(CHECKPOINT)? else { return Ok(None) };
    let malformed = |why: String| Error::corrupt(format!("the published {CHECKPOINT} is not ours: {why}"));
    let note = Note::parse(&bytes).map_err(|e| malformed(e.to_string()))?;
    note.verify(&[key]).map_err(|e| malformed(e.to_string()))?;
    Checkpoint::parse(note.text()).map(Some).map_err(|e| malformed(e.to_string()))
}
