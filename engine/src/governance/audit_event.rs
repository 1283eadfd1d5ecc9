//! Audit events: decisions of operators and guards, on record in the log.
//!
//! The log gets a leaf with a random id and a blinded commitment to the event's text. The text and the blinding stay in
//! the index, so the public log shows that a decision was made, and nothing about it.

use crate::model::schema;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::Core;
use crate::state::publish;
use sexton_proof::commitment;
use sexton_proof::leaf::{EventKind, EventLeaf, Leaf};
use sexton_proof::time::Timestamp;

/// Returns a new random id.
pub(crate) fn new_id(core: &Core) -> Result<[u8; 16]> {
    let secret = core.entropy.secret()?;
    let mut id = [0; 16];
    id.copy_from_slice(&secret[..16]);
    Ok(id)
}

/// Logs an event with this text, in one atomic durable write with what `stage` adds. Returns the index of its leaf.
///
/// A crash leaves both the event and what was staged, or neither. The caller holds the planner's lock until the decision
/// is in memory as well, so no batch is planned without it. The log is published afterwards; if that fails, it is logged
/// as an error and tried again later.
pub(crate) fn record(
    core: &Core,
    kind: EventKind,
    id: [u8; 16],
    text: &[u8],
    now: Timestamp,
    stage: impl FnOnce(&mut WriteSet) -> Result<()>,
) -> Result<u64> {
    let mut ledger = core.transparency.ledger.lock();
    let logged = ledger.log.next_logged(now);
    let r = core.entropy.secret()?;
    let leaf = Leaf::Event(EventLeaf { logged, kind, id, commitment: commitment::event(&r, text) });
    let entry = leaf.encode().map_err(|e| Error::internal(format!("an event cannot be logged: {e}")))?;
    let index = ledger.append_durably(&core.writer, entry.as_bytes(), logged, |set, index| {
        set.put(ColumnFamily::Meta, &schema::event_key(index), &schema::event_value(&r, text));
        stage(set)
    })?;
    drop(ledger);
    publish::publish_or_warn(core);
    Ok(index)
}
