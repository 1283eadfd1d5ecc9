//! Putting a row into a page, and moving a registration from one page to another. The caller holds the lock of the
//! object's shard from before it looked until the staged set is written: so the order of writing is the order of seqs,
//! and a crash can only lose the last of them, which nobody was told of.

use crate::class::{Class, second_of};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::index::Shard;
use crate::kv::{self, Family, WriteSet};
use crate::locator;
use crate::schema::{self, FINGERPRINT_BYTES, Mark, Row};
use sexton_proof::commitment::{self, Descriptor};
use sexton_proof::id::{PageId, RegistrationId};
use sexton_proof::record::Cause;
use std::collections::BTreeMap;

/// Where a row goes.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) class: &'a Class,
    pub(crate) slot: u64,
    /// Whether it falls due there with less notice than a slot.
    pub(crate) surprise: bool,
    pub(crate) fingerprint: &'a [u8; FINGERPRINT_BYTES],
}

/// Stages a row and what finds it; gives its registration id.
pub(crate) fn put(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    place: Place<'_>,
    row: &Row<'_>,
) -> Result<RegistrationId> {
    let Place { class, slot, surprise, fingerprint } = place;
    let id = shard.next_id(&*core.kv, class, slot, row.ceiling_ms, surprise)?;
    set.put_with(Family::Rows(class.id), &schema::row_key(id), |out| row.encode_into(out));
    if class.finds_by_key() {
        locator::put(core, shard, set, fingerprint, id);
    }
    // What the slot alone does not tell is kept, so that an object that was overdue is shown so after reopening too.
    let is_unusual = surprise || row.ceiling_ms < class.earliest_ceiling_ms(id.page.slot);
    if is_unusual && let Some(page) = shard.page_mut(id.page) {
        set.put(Family::Meta, &schema::page_key(id.page), &page.record().encode());
    }
    Ok(id)
}

/// Stages moving the registration `from`, whose row is `old`, to where it lives on as `row`. Of its old row the
/// commitment stays until its page settles and then becomes a carry that says so; from the write on it is void for
/// everybody but that batch, and tells nothing of the object, which may be gone long before that. One write puts the new
/// row and marks the old one, so a crash leaves the registration in exactly one place.
pub(crate) fn relocate(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    (from, old): (RegistrationId, &Row<'_>),
    place: Place<'_>,
    row: &Row<'_>,
    cause: Cause,
) -> Result<RegistrationId> {
    let to = put(core, shard, set, place, row)?;
    let commitment = commitment_of(core, from, old)?;
    let left = old.moved(&commitment);
    set.put_with(Family::Rows(from.page.class), &schema::row_key(from), |out| left.encode_into(out));
    set.put(Family::Marks, &from.to_bytes(), &Mark::Moved { cause, to }.encode());
    if place.class.finds_by_key() {
        locator::forget(core, shard, place.fingerprint, from);
    }
    let page = shard
        .page_mut(from.page)
        .ok_or_else(|| Error::internal("a registration was moved out of a page that is not in the wheel"))?;
    page.marked = true;
    page.moved += 1;
    Ok(to)
}

/// The same of a registration that a newer one replaced: it lives on as a replaced one, and nobody finds it by its key.
pub(crate) fn relocate_replaced(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    from: (RegistrationId, &Row<'_>),
    place: Place<'_>,
    row: &Row<'_>,
    cause: Cause,
) -> Result<()> {
    let to = relocate(core, shard, set, from, place, row, cause)?;
    if place.class.finds_by_key() {
        locator::forget(core, shard, place.fingerprint, to);
    }
    set.put(Family::Marks, &to.to_bytes(), &Mark::Replaced.encode());
    if let Some(page) = shard.page_mut(to.page) {
        page.marked = true;
    }
    Ok(())
}

/// What stands under a registration whose page has not settled.
pub(crate) fn mark(core: &Core, id: RegistrationId) -> Result<Option<Mark>> {
    core.kv.get(Family::Marks, &id.to_bytes())?.map(|bytes| Mark::decode(&bytes)).transpose()
}

/// What stands under the registrations of a page.
pub(crate) fn marks(core: &Core, page: PageId) -> Result<BTreeMap<RegistrationId, Mark>> {
    let marks = kv::collect(&*core.kv, Family::Marks, &schema::page_registrations(page), |key, value| {
        Ok((schema::mark_id(key)?, Mark::decode(value)?))
    })?;
    Ok(marks.into_iter().collect())
}

/// Whether a registration that was to go in `from_slot` now goes with less notice than a slot, and would not have, or
/// lay among surprises already: a move makes nothing known that a person has to look at first.
pub(crate) fn is_surprise(
    class: &Class,
    from_slot: u64,
    among_surprises: bool,
    slot: u64,
    now_ms: i64,
) -> bool {
    let notice = second_of(now_ms).saturating_add(class.definition.slot_ms);
    slot < notice && (from_slot >= notice || among_surprises)
}

/// What the commitment of a registration commits to.
pub(crate) fn descriptor_of<'a>(
    core: &'a Core,
    class: &Class,
    id: RegistrationId,
    row: &Row<'a>,
) -> Descriptor<'a> {
    Descriptor {
        origin: &core.origin,
        id,
        key: row.key,
        version: row.version,
        start_ms: row.start_ms,
        floor_ms: row.floor_ms,
        ceiling_ms: row.ceiling_ms,
        digest: row.digest,
        size_bytes: row.size_bytes,
        class_leaf: class.leaf_hash,
    }
}

fn commitment_of(core: &Core, id: RegistrationId, row: &Row<'_>) -> Result<[u8; 32]> {
    let class = core.class(id.page.class)?;
    let k = core.keyring.get_or_create(class.id, id.page.slot)?;
    let digest = descriptor_of(core, &class, id, row).digest();
    Ok(commitment::commit(&commitment::blinding(&k, &id, &digest), &digest))
}
