//! The transparency log as the index holds it: entries, and the hash of every complete subtree, so that a root or a
//! proof for any size is a handful of reads.

use crate::error::{Error, Result};
use crate::kv::{Family, Kv, WriteSet};
use crate::schema::{self, Reader};
use sexton_proof::leaf::LEAF_MAX_BYTES;
use sexton_proof::merkle::{self, Frontier, Hash};

/// The right edge of the log, and the instant of its last entry.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    frontier: Frontier,
    last_logged_ms: i64,
}

impl Log {
    /// The log as it was last committed; empty where there is none.
    pub(crate) fn load(kv: &dyn Kv) -> Result<Self> {
        let Some(bytes) = kv.get(Family::Meta, schema::LOG)? else {
            return Ok(Log { frontier: Frontier::new(), last_logged_ms: 0 });
        };
        let malformed =
            || Error::corrupt("the record of the log's size is malformed; see Backups in docs/operations.md");
        let mut reader = Reader(&bytes);
        let size = reader.u64().ok_or_else(malformed)?;
        let last_logged_ms = reader.i64().ok_or_else(malformed)?;
        let mut hashes = Vec::new();
        while !reader.0.is_empty() {
            hashes.push(reader.array().ok_or_else(malformed)?);
        }
        let frontier = Frontier::from_parts(size, hashes).map_err(|_| malformed())?;
        Ok(Log { frontier, last_logged_ms })
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The instant of the last entry; 0 where there is none.
    pub(crate) fn last_logged_ms(&self) -> i64 {
        self.last_logged_ms
    }

    /// The instant for the next entry: now, but never before the last one's.
    pub(crate) fn next_logged_ms(&self, now_ms: i64) -> i64 {
        now_ms.max(self.last_logged_ms)
    }

    /// Stages an entry logged at `logged_ms` and gives its index. It is in the log once `set` is durable.
    pub(crate) fn append(&mut self, set: &mut WriteSet, entry: &[u8], logged_ms: i64) -> Result<u64> {
        if entry.len() > LEAF_MAX_BYTES {
            return Err(Error::internal(format!(
                "a leaf of {} bytes; {LEAF_MAX_BYTES} is the limit",
                entry.len()
            )));
        }
        let index = self.frontier.size();
        set.put(Family::Log, &schema::entry_key(index), entry);
        self.frontier.push(merkle::leaf_hash(entry), &mut |level, number, hash| {
            set.put(Family::Log, &schema::node_key(level, number), &hash);
        });
        self.last_logged_ms = logged_ms;
        set.put_with(Family::Meta, schema::LOG, |out| {
            out.extend_from_slice(&self.frontier.size().to_be_bytes());
            out.extend_from_slice(&logged_ms.to_be_bytes());
            out.extend(self.frontier.hashes().iter().flatten());
        });
        Ok(index)
    }
}

/// An entry of the log.
pub(crate) fn entry(kv: &dyn Kv, index: u64) -> Result<Vec<u8>> {
    kv.get(Family::Log, &schema::entry_key(index))?.ok_or_else(|| {
        Error::corrupt(format!("log entry {index} is missing; see Backups in docs/operations.md"))
    })
}

/// The hash of a complete subtree.
pub(crate) fn node(kv: &dyn Kv, level: u8, index: u64) -> Result<Hash> {
    kv.get(Family::Log, &schema::node_key(level, index))?.and_then(|bytes| bytes.try_into().ok()).ok_or_else(
        || Error::corrupt(format!("log hash {level}/{index} is missing; see Backups in docs/operations.md")),
    )
}

/// The root that the log had at `size`, which is at most its size now.
pub(crate) fn root_at(kv: &dyn Kv, size: u64) -> Result<Hash> {
    merkle::root(size, &mut |level, index| node(kv, level, index))
}
