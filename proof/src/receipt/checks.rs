//! Checks 4 to 8 of `docs/format.md` §5, except that of the result: the tombstone, its bounds and its time.

use super::error::VerifyError;
use super::known::{KnownBatch, KnownClass};
use crate::commitment::{Opening, commit};
use crate::file::{CHUNK_BYTES, ChunkProof};
use crate::id::RegistrationId;
use crate::leaf::{BatchLeaf, rounding};
use crate::merkle::Hash;
use crate::record::{Header, RECORD_BYTES, Reason, RecordError, Tombstone, in_bounds};
use crate::time::Timestamp;

/// Returns the header in the first chunk of a file, if it differs from the expected header.
pub(super) fn other_header(proof: &ChunkProof, expected: Header) -> Result<Option<Header>, RecordError> {
    let in_first_chunk = RECORD_BYTES * (proof.record as usize + 1) < CHUNK_BYTES;
    let Some(bytes) = proof.chunk.first_chunk().filter(|_| in_first_chunk) else { return Ok(None) };
    Ok(Some(Header::from_bytes(bytes)?).filter(|found| *found != expected))
}

/// Performs check 5: the record is a tombstone, and lies within its page by its seq and by its position in the file.
pub(super) fn check_record(
    batch: &KnownBatch,
    record: u32,
    bytes: &[u8; RECORD_BYTES],
) -> Result<(Tombstone, RegistrationId), VerifyError> {
    let tombstone = Tombstone::from_bytes(bytes).map_err(VerifyError::Record)?;
    let page = usize::try_from(tombstone.page).unwrap_or(usize::MAX);
    let (Some(line), Some(id)) = (batch.leaf.pages.get(page), batch.leaf.page_id(tombstone.page)) else {
        return Err(VerifyError::Page { expected: batch.leaf.pages.len(), found: tombstone.page });
    };
    if tombstone.seq >= line.seqs {
        return Err(VerifyError::Seq { expected: line.seqs, found: tombstone.seq });
    }
    let first = batch.firsts.get(page).copied().unwrap_or_default();
    let end = first + u64::from(line.tombstones);
    if !(first..end).contains(&u64::from(record)) {
        return Err(VerifyError::Position { first, end, found: record });
    }
    // Seqs ascend, so the tombstones before and after it in the page bound its seq. Without carries the bounds are
    // equal.
    let least = u64::from(record) - first;
    let most = u64::from(line.seqs) - (end - u64::from(record));
    if !(least..=most).contains(&u64::from(tombstone.seq)) {
        return Err(VerifyError::SeqOfPosition { least, most, found: tombstone.seq });
    }
    Ok((tombstone, RegistrationId { page: id, seq: tombstone.seq }))
}

/// Performs check 6: the opening gives the commitment in the record.
pub(super) fn check_commitment(
    origin: &str,
    id: RegistrationId,
    opening: &Opening,
    class_leaf: Hash,
    tombstone: &Tombstone,
) -> Result<(), VerifyError> {
    let found = commit(&opening.r, &opening.descriptor(origin, id, class_leaf).digest());
    if found != tombstone.commitment {
        return Err(VerifyError::Commitment { expected: tombstone.commitment, found });
    }
    Ok(())
}

/// Performs check 7, and the part of check 6 that needs the bounds: floor and ceiling follow from the start by the class, and
/// the tombstone says truly if the end is in bounds. If it is, its bounds lie within those of the batch leaf.
pub(super) fn check_bounds(
    class: &KnownClass,
    batch: &BatchLeaf,
    tombstone: &Tombstone,
    opening: &Opening,
) -> Result<(), VerifyError> {
    let bounds = class.window.bounds(opening.start).map_err(VerifyError::Bounds)?;
    let (floor, ceiling) = (opening.floor, opening.ceiling);
    if floor != bounds.floor {
        return Err(VerifyError::Floor { expected: bounds.floor, found: floor });
    }
    if ceiling != bounds.ceiling {
        return Err(VerifyError::Ceiling { expected: bounds.ceiling, found: ceiling });
    }
    let expected = in_bounds(tombstone.method, tombstone.time, floor, ceiling);
    if tombstone.in_bounds != expected {
        return Err(VerifyError::InBounds { expected, found: tombstone.in_bounds });
    }
    // The lines of the leaf are about the ends in bounds alone.
    if !expected {
        return Ok(());
    }
    check_rounding(class, batch)?;
    // A batch is of one class version, so either all of its tombstones have a floor or none has. So with ceilings.
    if batch.floor_max.map_or(floor.is_some(), |most| floor.is_none_or(|floor| floor > most)) {
        return Err(VerifyError::FloorMax { expected: batch.floor_max, found: floor });
    }
    if batch.ceiling_min.map_or(ceiling.is_some(), |least| ceiling.is_none_or(|ceiling| ceiling < least)) {
        return Err(VerifyError::CeilingMin { expected: batch.ceiling_min, found: ceiling });
    }
    Ok(())
}

/// Checks that the bounds in the batch leaf are multiples of the unit of the class.
fn check_rounding(class: &KnownClass, batch: &BatchLeaf) -> Result<(), VerifyError> {
    let unit = rounding::unit(class.leaf.slot);
    for (line, bound) in [("floor_max", batch.floor_max), ("ceiling_min", batch.ceiling_min)] {
        if let Some(found) = bound.filter(|bound| !rounding::is_rounded(*bound, unit)) {
            return Err(VerifyError::Rounding { line, unit, found });
        }
    }
    Ok(())
}

/// Performs check 8: started ≤ time ≤ finished, and start ≤ time if the reason is [`Reason::Due`].
///
/// [`Leaf::parse`](crate::leaf::Leaf::parse) checks finished ≤ logged.
pub(super) fn check_time(
    batch: &BatchLeaf,
    tombstone: &Tombstone,
    start: Timestamp,
) -> Result<(), VerifyError> {
    let (started, finished, found) = (batch.started, batch.finished, tombstone.time);
    if found < started || found > finished {
        return Err(VerifyError::Time { started, finished, found });
    }
    if tombstone.reason == Reason::Due && start > found {
        return Err(VerifyError::BeforeStart { start, found });
    }
    Ok(())
}
