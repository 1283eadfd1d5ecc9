//! Records of ended objects, by which a copy that comes back from a backup is recognised.
//!
//! Each record is stored for the span `remember` of its class, under a keyed hash of the key and without the key.

use crate::enforcement::evidence::Evidence;
use crate::model::schema::{self, Ended};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::Core;
use crate::state::locator::KeyLookup;
use sexton_proof::id::RegistrationId;
use sexton_proof::time::Timestamp;
use sexton_proof::window::Span;
use std::time::Duration;

/// History of a key, as far as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyHistory {
    /// An object under this key lives, with this registration id.
    Live(RegistrationId),
    /// The last object under this key ended.
    Ended(Ended),
    /// No record of this key is stored: no object under it ended, its class has no `remember`, or the record expired.
    Unknown,
}

/// Stages the records of the objects that end with this batch.
pub(crate) fn stage_ended(core: &Core, set: &mut WriteSet, evidence: &Evidence) {
    let batch = &evidence.batch;
    let Some(remember) = batch.class.definition.remember.and_then(Span::exact) else { return };
    for (planned, method, time) in evidence.ended_objects() {
        let row = batch.row(planned);
        let until = time.saturating_add(remember);
        let (id, reason, start) = (batch.id(planned), row.end_reason(), row.start);
        let ended = Ended { id, method, reason, start, time, until };
        // A backup may have a renamed file under either name.
        for (_, fingerprint) in core.schedule.locate_each(row.names().iter()) {
            let key = schema::ended_key(schema::ended_bucket(until), &fingerprint);
            set.put(ColumnFamily::Ended, &key, &ended.encode());
        }
    }
}

/// Returns the longest span `remember` of all classes; zero if none has one.
fn remember_max(core: &Core) -> Duration {
    let classes = core.classes.read();
    classes.iter().filter_map(|class| class.definition.remember?.exact()).max().unwrap_or_default()
}

/// Returns the history of a key.
pub(crate) fn history_of(core: &Core, object_key: &[u8], now: Timestamp) -> Result<KeyHistory> {
    let lookup = KeyLookup::of(core, object_key)?;
    let fingerprint = *lookup.fingerprint();
    // The lock of the key's shard is held to the end. A commit needs it, so no object ends between the two lookups.
    let mut shard = lookup.lock(core);
    if let Some(id) = lookup.all(core, &mut shard, |id, _| Ok(id))?.pop() {
        return Ok(KeyHistory::Live(id));
    }
    let mut last: Option<Ended> = None;
    let until_max = now.saturating_add(remember_max(core));
    for bucket in schema::ended_bucket(now)..=schema::ended_bucket(until_max) {
        if let Some(bytes) = core.kv.get(ColumnFamily::Ended, &schema::ended_key(bucket, &fingerprint))? {
            let ended = Ended::decode(&bytes)?;
            if ended.until > now && last.is_none_or(|last| last.time < ended.time) {
                last = Some(ended);
            }
        }
    }
    Ok(last.map_or(KeyHistory::Unknown, KeyHistory::Ended))
}

/// Forgets the records of past buckets. Not synced: after a crash they are forgotten again.
pub(crate) fn forget_expired(core: &Core, now: Timestamp) -> Result<()> {
    let range = schema::ended_range(schema::ended_bucket(now));
    let mut set = WriteSet::default();
    set.delete_range(ColumnFamily::Ended, &range.start..&range.end);
    core.writer.write(set).map(|_| ())
}
