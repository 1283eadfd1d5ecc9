//! Records of former logs, with whose entries the log begins since the data folder was restored from a copy.

use crate::platform::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sexton_proof::note::Verifier;

/// Prefix of the keys of all former logs.
pub(crate) const FORMERS: &[u8] = b"former/";

/// Log of the engine from whose copy the data folder was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormerLog {
    /// Public key. Its name is the origin that commitments of the former log bind.
    pub(crate) log_key: Verifier,
    /// Number of entries that the log has in common with it.
    pub(crate) entries: u64,
    /// Signed checkpoint of these entries.
    pub(crate) checkpoint: String,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    log_key: String,
    entries: u64,
    checkpoint: String,
}

impl FormerLog {
    /// Returns the key of the record. The keys ascend by the number of entries.
    pub(crate) fn key(&self) -> Vec<u8> {
        [FORMERS, &self.entries.to_be_bytes()].concat()
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let FormerLog { log_key, entries, checkpoint } = self;
        let (log_key, checkpoint) = (log_key.to_string(), checkpoint.clone());
        super::to_json(&Stored { log_key, entries: *entries, checkpoint })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let Stored { log_key, entries, checkpoint } = super::from_json("a former log", bytes)?;
        let log_key = Verifier::parse(&log_key)
            .map_err(|e| Error::corrupt(format!("the key of a former log is malformed: {e}")))?;
        Ok(FormerLog { log_key, entries, checkpoint })
    }
}
