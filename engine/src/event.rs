//! What people and guards decide, on record: a leaf with a random id and a blinded commitment goes into the log, the
//! text stays here.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::kv::{Family, WriteSet};
use crate::publish;
use crate::schema;
use sexton_proof::commitment;
use sexton_proof::leaf::{EventKind, EventLeaf, Leaf};

/// A new random id.
pub(crate) fn new_id(core: &Core) -> Result<[u8; 16]> {
    let secret = core.entropy.secret()?;
    let mut id = [0; 16];
    id.copy_from_slice(&secret[..16]);
    Ok(id)
}

/// Logs an event whose text is `text`, together with what `stage` stages: one atomic durable write, so neither is
/// there without the other after a crash. Gives the index of the leaf. The caller holds the planner's lock until it has made
/// known what is logged.
pub(crate) fn record(
    core: &Core,
    kind: EventKind,
    id: [u8; 16],
    text: &[u8],
    now_ms: i64,
    stage: impl FnOnce(&mut WriteSet) -> Result<()>,
) -> Result<u64> {
    let mut ledger = core.ledger.lock();
    let mut log = ledger.log.clone();
    let logged_ms = log.next_logged_ms(now_ms);
    let r = core.entropy.secret()?;
    let leaf = Leaf::Event(EventLeaf { logged_ms, kind, id, commitment: commitment::event(&r, text) });
    let entry = leaf.encode().map_err(|e| Error::internal(format!("an event cannot be logged: {e}")))?;
    let mut set = WriteSet::default();
    let index = log.append(&mut set, entry.as_bytes(), logged_ms)?;
    set.put(Family::Meta, &schema::event_key(index), &[&r[..], text].concat());
    stage(&mut set)?;
    core.writer.write_durably(set)?;
    ledger.log = log;
    drop(ledger);
    publish::publish_or_warn(core);
    Ok(index)
}
