//! Transparency log as stored in the index: entries, and the hash of every complete subtree.
//!
//! With these hashes a root or a proof for any size takes a handful of reads.

use crate::model::schema;
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, Kv, WriteSet};
use sexton_proof::leaf::LEAF_MAX_BYTES;
use sexton_proof::merkle::{self, Frontier, Hash};
use sexton_proof::time::Timestamp;

/// Right edge of the log, and the instant of its last entry.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    frontier: Frontier,
    last_logged: Timestamp,
}

impl Log {
    /// Loads the log as last committed. A new index has an empty one.
    pub(crate) fn load(kv: &dyn Kv) -> Result<Self> {
        let Some(bytes) = kv.get(ColumnFamily::Meta, schema::LOG)? else {
            return Ok(Log { frontier: Frontier::new(), last_logged: Timestamp::from_unix_ms(0) });
        };
        let (frontier, last_logged) = schema::decode_log_head(&bytes)?;
        Ok(Log { frontier, last_logged })
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// Returns the instant of the last entry; the Unix epoch if there is none.
    pub(crate) fn last_logged(&self) -> Timestamp {
        self.last_logged
    }

    /// Returns the instant for the next entry: `now`, but never earlier than that of the last entry.
    pub(crate) fn next_logged(&self, now: Timestamp) -> Timestamp {
        now.max(self.last_logged)
    }

    /// Stages an entry logged at `logged` and returns its index. The entry is in the log once `set` is durable.
    pub(crate) fn append(&mut self, set: &mut WriteSet, entry: &[u8], logged: Timestamp) -> Result<u64> {
        if entry.len() > LEAF_MAX_BYTES {
            return Err(Error::internal(format!(
                "a leaf of {} bytes; {LEAF_MAX_BYTES} is the limit",
                entry.len()
            )));
        }
        let index = self.frontier.size();
        set.put(ColumnFamily::Log, &schema::entry_key(index), entry);
        self.frontier.push(merkle::leaf_hash(entry), &mut |level, number, hash| {
            set.put(ColumnFamily::Log, &schema::node_key(level, number), &hash);
        });
        self.last_logged = logged;
        set.put_with(ColumnFamily::Meta, schema::LOG, |out| {
            schema::encode_log_head(&self.frontier, logged, out);
        });
        Ok(index)
    }
}

/// Reads an entry of the log.
pub(crate) fn entry(kv: &dyn Kv, index: u64) -> Result<Vec<u8>> {
    kv.get(ColumnFamily::Log, &schema::entry_key(index))?.ok_or_else(|| {
        Error::corrupt(format!("log entry {index} is missing; see Backups in docs/operations.md"))
    })
}

/// Reads the hash of a complete subtree.
pub(crate) fn node(kv: &dyn Kv, level: u8, index: u64) -> Result<Hash> {
    kv.get(ColumnFamily::Log, &schema::node_key(level, index))?
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            Error::corrupt(format!("log hash {level}/{index} is missing; see Backups in docs/operations.md"))
        })
}

/// Computes the root that the log had at `size`, which is at most its present size.
pub(crate) fn root_at(kv: &dyn Kv, size: u64) -> Result<Hash> {
    merkle::root(size, &mut |level, index| node(kv, level, index))
}
