//! Records of ended objects, by which a copy that comes back from a backup is recognised.
//!
//! They are stored for as long as the class says (`remember`), under a keyed hash of the key and without the key.

use crate::enforcement::evidence::Evidence;
use crate::model::schema::{self, Ended};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::Core;
use crate::state::locator::KeyLookup;
use sexton_proof::id::RegistrationId;

/// Width of the buckets in which records are stored and forgotten, ms: 32 days.
const BUCKET_MS: i64 = 32 * 86_400_000;

/// History of a key, as far as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyHistory {
    /// An object under this key lives, with this registration id.
    Live(RegistrationId),
    /// The last object under this key ended.
    Ended(Ended),
    /// Nothing is stored of this key, or its record was forgotten.
    Unknown,
}

/// Returns the bucket of an instant. A record lies in the bucket of the instant until which it is stored.
fn bucket_of(ms: i64) -> u32 {
    u32::try_from(ms.div_euclid(BUCKET_MS)).unwrap_or(0)
}

/// Stages the records of the objects that end with this batch.
pub(crate) fn stage_ended(core: &Core, set: &mut WriteSet, evidence: &Evidence) {
    let batch = &evidence.batch;
    let Some(remember_ms) = batch.class.definition.remember.and_then(|span| span.exact_ms()) else { return };
    for (planned, method, time_ms) in evidence.ended_objects() {
        let row = batch.row(planned);
        let until_ms = time_ms.saturating_add(remember_ms);
        let (id, reason, start_ms) = (batch.id(planned), row.reason, row.start_ms);
        let ended = Ended { id, method, reason, start_ms, time_ms, until_ms };
        let (_, fingerprint) = core.schedule.locate(row.key);
        let key = schema::ended_key(bucket_of(until_ms), &fingerprint);
        set.put(ColumnFamily::Ended, &key, &ended.encode());
    }
}

/// Longest span for which a class remembers, ms; 0 if none does.
fn remember_max_ms(core: &Core) -> i64 {
    let classes = core.classes.read();
    classes.iter().filter_map(|class| class.definition.remember?.exact_ms()).max().unwrap_or(0)
}

/// Returns the history of a key.
pub(crate) fn history_of(core: &Core, object_key: &[u8], now_ms: i64) -> Result<KeyHistory> {
    let lookup = KeyLookup::of(core, object_key)?;
    let fingerprint = *lookup.fingerprint();
    // The lock of the key's shard is held to the end. A commit needs it, so no object ends between the two lookups.
    let mut shard = lookup.lock(core);
    if let Some(id) = lookup.live(core, &mut shard, |id, _| Ok(id))? {
        return Ok(KeyHistory::Live(id));
    }
    let mut last: Option<Ended> = None;
    let until_max_ms = now_ms.saturating_add(remember_max_ms(core));
    for bucket in bucket_of(now_ms)..=bucket_of(until_max_ms) {
        if let Some(bytes) = core.kv.get(ColumnFamily::Ended, &schema::ended_key(bucket, &fingerprint))? {
            let ended = Ended::decode(&bytes)?;
            if ended.until_ms > now_ms && last.is_none_or(|last| last.time_ms < ended.time_ms) {
                last = Some(ended);
            }
        }
    }
    Ok(last.map_or(KeyHistory::Unknown, KeyHistory::Ended))
}

/// Forgets the records of past buckets. Not synced: after a crash they are forgotten again.
pub(crate) fn forget_expired(core: &Core, now_ms: i64) -> Result<()> {
    let range = schema::ended_range(bucket_of(now_ms));
    let mut set = WriteSet::default();
    set.delete_range(ColumnFamily::Ended, &range.start..&range.end);
    core.writer.write(set).map(|_| ())
}
