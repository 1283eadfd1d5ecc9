//! Keys of the key index: the column families `locator` (sorted runs) and `notes` (`ColumnFamily::Pending`: entries in
//! no run yet).

use super::{Reader, successor};
use crate::platform::error::{Error, Result};
use crate::platform::kv::LOCATOR_PREFIX;
use sexton_proof::id::{PageId, RegistrationId};
use std::ops::Range;

/// Bytes of a fingerprint, the keyed hash by which an object's key is found.
pub(crate) const FINGERPRINT_BYTES: usize = LOCATOR_PREFIX;

/// Bytes of the key of an entry.
pub(crate) const LOCATOR_KEY_BYTES: usize = FINGERPRINT_BYTES + 20;

/// Smallest registration id.
pub(crate) const FIRST_ID: RegistrationId =
    RegistrationId { page: PageId { class: 0, slot: 0, shard: 0, part: 0 }, seq: 0 };

/// Returns the key of an entry. Its value is empty.
pub(crate) fn locator_key(
    fingerprint: &[u8; FINGERPRINT_BYTES],
    id: RegistrationId,
) -> [u8; LOCATOR_KEY_BYTES] {
    let mut key = [0; LOCATOR_KEY_BYTES];
    key[..FINGERPRINT_BYTES].copy_from_slice(fingerprint);
    key[FINGERPRINT_BYTES..].copy_from_slice(&id.to_bytes());
    key
}

/// Returns the fingerprint and the registration of an entry.
pub(crate) fn parse_locator_key(key: &[u8]) -> Result<([u8; FINGERPRINT_BYTES], RegistrationId)> {
    let entry = key.split_first_chunk().and_then(|(fingerprint, id)| Some((*fingerprint, id.as_array()?)));
    entry
        .map(|(fingerprint, id)| (fingerprint, RegistrationId::from_bytes(id)))
        .ok_or_else(|| Error::corrupt_index("an entry of the key index is malformed"))
}

/// Bytes of a pending key that all entries of one shard and memtable generation share.
pub(crate) const PENDING_PREFIX: usize = 10;

/// Returns the key under which a write stores its entries until they are in a run.
///
/// `id` is the first registration of the write. No id is given twice, so no two writes share a key.
pub(crate) fn pending_key(shard: u16, generation: u64, id: RegistrationId) -> [u8; PENDING_PREFIX + 20] {
    let mut key = [0; PENDING_PREFIX + 20];
    key[..2].copy_from_slice(&shard.to_be_bytes());
    key[2..PENDING_PREFIX].copy_from_slice(&generation.to_be_bytes());
    key[PENDING_PREFIX..].copy_from_slice(&id.to_bytes());
    key
}

/// Returns the range of a shard's pending keys up to `generation`, included.
pub(crate) fn pending_range(shard: u16, generation: u64) -> Range<Vec<u8>> {
    let last = pending_key(shard, generation, FIRST_ID);
    shard.to_be_bytes().to_vec()..successor(&last[..PENDING_PREFIX])
}

/// Returns the shard and the generation of a pending key.
pub(crate) fn parse_pending_key(key: &[u8]) -> Result<(u16, u64)> {
    let mut reader = Reader(key);
    let read = |r: &mut Reader<'_>| Some((r.u16()?, r.u64()?)).filter(|_| r.0.len() == 20);
    read(&mut reader)
        .ok_or_else(|| Error::corrupt_index("the key of a pending entry of the key index is malformed"))
}
