//! Publishing: the head is recorded outside the index, then signed, then tiles and, last, the checkpoint appear.

use crate::core::{Core, Published};
use crate::error::{Error, Result};
use crate::files::{Access, Files, NewFile};
use crate::kv::Kv;
use crate::log;
use sexton_proof::checkpoint::Checkpoint;
use sexton_proof::merkle::Hash;
use sexton_proof::note::{Note, Verifier};
use sexton_proof::tile::{self, BundleId, TileId};
use std::sync::atomic::Ordering;

/// Where the recorded head lies under the data folder.
pub(crate) const HEAD: &str = "head";
/// Where the checkpoint lies under the data folder.
pub(crate) const CHECKPOINT: &str = "log/checkpoint";
const TITLE: &str = "sexton head v0";

/// While batches follow one another, the log is published so often, ms. Each time costs five fsyncs and writes the last
/// bundle of entries anew, which can be 15 MB.
const WHILE_BUSY_MS: i64 = 1_000;

/// Publishes what a batch committed that was just handed back, by the monotonic clock: at once where no other one is out,
/// else once a second, for whoever hands in the last of them publishes for all.
pub(crate) fn publish_behind(core: &Core, monotonic_ms: i64) {
    let mut published = core.published.lock();
    // Asked under the lock: whoever is out still comes later, and finds there what was committed by now.
    let can_wait = others_are_out(core) && published.is_recent(monotonic_ms) && published.error.is_none();
    if !can_wait {
        publish_in_time(core, &mut published, monotonic_ms);
    }
}

/// Publishes what batches left to later, where there is nothing else to do. Where it failed within the last second it
/// waits: whoever asks all the time whether something is due does not try all the time.
pub(crate) fn publish_rest(core: &Core, monotonic_ms: i64) {
    let mut published = core.published.lock();
    if published.error.is_none() || !published.is_recent(monotonic_ms) {
        publish_in_time(core, &mut published, monotonic_ms);
    }
}

/// When [`publish_rest`] tries again what failed, by the monotonic clock.
pub(crate) fn again_ms(core: &Core) -> Option<i64> {
    // Who publishes just now needs nobody to wake him.
    let published = core.published.try_lock()?;
    published.error.as_ref()?;
    published.tried_ms.map(|tried_ms| tried_ms.saturating_add(WHILE_BUSY_MS))
}

/// Batches that were dropped are still counted until they are handed out again, but nobody hands them back.
fn others_are_out(core: &Core) -> bool {
    // In this order: who takes dropped ones back lowers the count while he holds the list.
    let dropped = core.returns.unanswered.lock();
    core.in_flight.load(Ordering::SeqCst) > dropped.len() as u64
}

fn publish_in_time(core: &Core, published: &mut Published, monotonic_ms: i64) {
    published.tried_ms = Some(monotonic_ms);
    // What it says is kept and said loudly: the deletion stands, and it is tried again.
    let _ = publish(core, published);
}

/// Publishes at once; what fails is kept and said loudly.
pub(crate) fn publish_or_warn(core: &Core) {
    let _ = publish(core, &mut core.published.lock());
}

/// Brings what is published up to the log. Doing it again is fine: the same log gives the same bytes.
///
/// A forked log is not signed; and after a failed write nothing is written any more, also where nothing durable is left to
/// be published.
pub(crate) fn publish(core: &Core, published: &mut Published) -> Result<()> {
    core.check_writable()?;
    let done = bring_up(core, published);
    published.error = done.as_ref().err().map(|error| {
        tracing::error!(%error, "the log could not be published; it will be tried again with the next batch");
        error.to_string()
    });
    done
}

fn bring_up(core: &Core, published: &mut Published) -> Result<()> {
    // What was committed until now, all of it durable: whoever waited for this lock finds its own entry published.
    let (size, root) = {
        let ledger = core.ledger.look();
        (ledger.log.size(), ledger.log.root())
    };
    if size == published.size {
        return Ok(());
    }
    // Recorded before it is signed: whoever restores an older index is found out even if the checkpoint was never
    // published, so no two histories get a signature. A crash here leaves a head that the log has as a prefix.
    core.files.replace(HEAD, head_text(size, &root).as_bytes(), Access::Private)?;
    let text = Checkpoint { origin: core.origin.clone(), size, root }.to_text();
    let signed = format!("{text}\n{}", core.signer.sign(&text));
    publish_tiles(core, published.size, size)?;
    // Last: a reader that sees the checkpoint finds every tile it needs. A crash before this line leaves tiles that
    // nobody asks for yet and that come out the same next time.
    core.files.replace(CHECKPOINT, signed.as_bytes(), Access::Public)?;
    published.size = size;
    Ok(())
}

impl Published {
    fn is_recent(&self, monotonic_ms: i64) -> bool {
        self.tried_ms.is_some_and(|tried_ms| monotonic_ms.saturating_sub(tried_ms) < WHILE_BUSY_MS)
    }
}

/// Puts tiles and bundles in their place. The narrower ones that a full one makes superfluous go: whoever still needs
/// one finds its content at the beginning of the full one.
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
        .map(|(path, _, bytes)| NewFile { path: path.clone(), parts: vec![bytes], access: Access::Public })
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

fn head_text(size: u64, root: &Hash) -> String {
    let body = format!("{TITLE}\nsize {size}\nroot {}\n", hex::encode(root));
    let check = blake3::hash(body.as_bytes()).to_hex();
    format!("{body}check {check}\n")
}

/// The recorded head.
pub(crate) fn read_head(files: &dyn Files) -> Result<Option<(u64, Hash)>> {
    let Some(bytes) = files.read(HEAD)? else { return Ok(None) };
    let malformed = || Error::corrupt(format!("the file {HEAD} is malformed; restore its own backup"));
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let mut lines = text.lines().skip(1);
    let size = lines.next().and_then(|l| l.strip_prefix("size ")?.parse().ok()).ok_or_else(malformed)?;
    let mut root = [0; 32];
    lines
        .next()
        .and_then(|line| hex::decode_to_slice(line.strip_prefix("root ")?, &mut root).ok())
        .ok_or_else(malformed)?;
    if text != head_text(size, &root) {
        return Err(malformed());
    }
    Ok(Some((size, root)))
}

/// The published checkpoint, if it is there and signed with our key.
pub(crate) fn read_checkpoint(files: &dyn Files, key: &Verifier) -> Result<Option<Checkpoint>> {
    let Some(bytes) = files.read(CHECKPOINT)? else { return Ok(None) };
    let malformed = |why: String| Error::corrupt(format!("the published {CHECKPOINT} is not ours: {why}"));
    let note = Note::parse(&bytes).map_err(|e| malformed(e.to_string()))?;
    note.verify(&[key]).map_err(|e| malformed(e.to_string()))?;
    Checkpoint::parse(note.text()).map(Some).map_err(|e| malformed(e.to_string()))
}
