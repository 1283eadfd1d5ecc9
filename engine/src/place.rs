//! Putting a row into a page, and moving a registration from one page to another. The caller holds the lock of the
//! object's shard from before it looked until the staged set is written: so the order of writing is the order of seqs,
//! and a crash can only lose the last of them, which nobody was told of.

use crate::class::{Class, Find};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::index::Shard;
use crate::kv::{Family, WriteSet};
use crate::schema::{self, FINGERPRINT_BYTES, Mark, Row};
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;

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
    if class.definition.find == Find::Key {
        set.put(Family::Locator, &schema::locator_key(fingerprint, id), &[]);
    }
    // What the slot alone does not tell is kept, so that an object that was overdue is shown so after reopening too.
    let is_unusual = surprise || row.ceiling_ms < class.earliest_ceiling_ms(id.page.slot);
    if is_unusual && let Some(page) = shard.page_mut(id.page) {
        set.put(Family::Meta, &schema::page_key(id.page), &page.record().encode());
    }
    Ok(id)
}

/// Stages moving the registration `from` to where it lives on as `row`. Its old row stays until its page settles and
/// then becomes a carry that says so; from the write on it is void for everybody but that batch. One write puts the
/// new row and marks the old one, so a crash leaves the registration in exactly one place.
pub(crate) fn relocate(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    from: RegistrationId,
    place: Place<'_>,
    row: &Row<'_>,
    cause: Cause,
) -> Result<RegistrationId> {
    let to = put(core, shard, set, place, row)?;
    set.put(Family::Marks, &from.to_bytes(), &Mark::Moved { cause, to }.encode());
    set.delete(Family::Locator, &schema::locator_key(place.fingerprint, from));
    let page = shard
        .page_mut(from.page)
        .ok_or_else(|| Error::internal("a registration was moved out of a page that is not in the wheel"))?;
    page.marked = true;
    page.moved += 1;
    Ok(to)
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
    let notice = u64::try_from(now_ms).unwrap_or(0).saturating_add(class.definition.slot_ms);
    slot < notice && (from_slot >= notice || among_surprises)
}
