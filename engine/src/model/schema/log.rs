//! The transparency log in the index: the keys of its entries and hashes, and its head.

use super::Reader;
use crate::platform::error::{Error, Result};
use sexton_proof::merkle::Frontier;
use sexton_proof::time::Timestamp;

/// Returns the key of entry `index`.
pub(crate) fn entry_key(index: u64) -> [u8; 9] {
    let mut key = [0; 9];
    key[1..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Returns the key of the hash of the complete subtree `index` at `level`.
pub(crate) fn node_key(level: u8, index: u64) -> [u8; 10] {
    let mut key = [1; 10];
    key[1] = level;
    key[2..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Appends the log's head to `out`: its right edge, and the instant of its last entry.
pub(crate) fn encode_log_head(frontier: &Frontier, last_logged: Timestamp, out: &mut Vec<u8>) {
    out.extend_from_slice(&frontier.size().to_be_bytes());
    out.extend_from_slice(&last_logged.to_be_bytes());
    out.extend(frontier.hashes().iter().flatten());
}

/// Decodes the log's head: its right edge, and the instant of its last entry.
pub(crate) fn decode_log_head(bytes: &[u8]) -> Result<(Frontier, Timestamp)> {
    let read = |reader: &mut Reader<'_>| {
        let (size, last_logged) = (reader.u64()?, reader.timestamp()?);
        let mut hashes = Vec::new();
        while !reader.0.is_empty() {
            hashes.push(reader.array()?);
        }
        Some((Frontier::from_parts(size, hashes).ok()?, last_logged))
    };
    read(&mut Reader(bytes)).ok_or_else(|| Error::corrupt_index("the record of the log's size is malformed"))
}
