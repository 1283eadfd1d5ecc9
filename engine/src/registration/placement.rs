//! Placement of rows in pages, and moves of registrations from one page to another.
//!
//! The caller holds the lock of the object's shard from before its lookup until the staged set is written. No other thread
//! writes rows of that shard meanwhile, so the order of writing is the order of seqs. A crash loses only the last of them,
//! and no caller has an answer for those.

use crate::model::class::{Class, floor_to_second};
use crate::model::schema::{self, Arrivals, FINGERPRINT_BYTES, Links, Mark, Row};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::commitment::commitment_of;
use crate::state::core::Core;
use crate::state::locator;
use crate::state::page::PageState;
use crate::state::shard::Shard;
use sexton_proof::id::RegistrationId;
use sexton_proof::record::Cause;
use sexton_proof::time::Timestamp;

/// Class and slot that a row goes to.
#[derive(Clone, Copy)]
pub(crate) struct Placement<'a> {
    pub(crate) class: &'a Class,
    pub(crate) slot: u64,
    /// `true` if the object falls due there with less notice than a slot.
    pub(crate) short_notice: bool,
    /// Fingerprint of the object's key, under which the key index has it.
    pub(crate) fingerprint: &'a [u8; FINGERPRINT_BYTES],
}

/// Stages a row with its entry in the key index. Returns its registration id.
///
/// The row is written with `links`, whatever links `row` has: it may be a copy of a row that names other registrations.
pub(crate) fn put(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    placement: Placement<'_>,
    row: &Row<'_>,
    links: Links,
) -> Result<RegistrationId> {
    let row = &Row { links, ..*row };
    let Placement { class, slot, short_notice, fingerprint } = placement;
    let ceiling = row.ceiling.unwrap_or(Timestamp::MAX);
    // A parked row goes to a page of such rows, where a lift finds it.
    let arrivals = if row.is_parked() { Arrivals::Held } else { Arrivals::Single };
    let id = shard.next_id(&*core.kv, class, slot, arrivals, ceiling, short_notice)?;
    set.put_with(ColumnFamily::Rows(class.id), &schema::row_key(id), |out| row.encode_into(out));
    if class.finds_by_key() {
        locator::put(core, shard, set, fingerprint, id);
        put_first(core, shard, set, id, row);
    }
    // The slot alone does not tell these facts, so they are stored: reopening still shows an overdue object as such.
    let is_usual_page = arrivals == Arrivals::Single && ceiling >= class.earliest_ceiling(id.page.slot);
    let is_unusual = short_notice || !is_usual_page;
    if is_unusual && let Some(page) = shard.page_mut(id.page) {
        set.put(ColumnFamily::Meta, &schema::page_key(id.page), &page.record().encode());
    }
    Ok(id)
}

/// Stages the entry in the key index under which a renamed registration is found by its first key.
///
/// It lies in the shard of the row, which the current key decides.
pub(crate) fn put_first(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    id: RegistrationId,
    row: &Row<'_>,
) {
    if let Some(first) = row.first {
        locator::put(core, shard, set, &core.schedule.locate(first).1, id);
    }
}

/// Returns the cause with which a registration moves. Its row was `old`, and the caller moves it as `new` for `cause`.
///
/// Evidence takes the ceilings of a registration for ever earlier, except for the causes `loosened` and `lifted`. So every
/// other move that makes the ceiling later counts as `loosened`. A missing ceiling is later than any other.
pub(crate) fn cause_of(old: &Row<'_>, new: &Row<'_>, cause: Cause) -> Cause {
    let is_later = match (old.ceiling, new.ceiling) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(after)) => after > before,
    };
    if is_later && cause != Cause::Lifted { Cause::Loosened } else { cause }
}

/// Stages the move of the registration `from`, whose row is `old`, to `placement`, where it lives on as `row`. Returns its
/// new id and the links that its new row has.
///
/// One write puts the new row and marks the old one, so a crash leaves the registration in exactly one page. Of the old row
/// only the commitment stays, until its page settles; then it becomes a carry that names the new id. The object's key and
/// subject are gone from the old row, because the object may end long before that page settles.
pub(crate) fn relocate(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    (from, old): (RegistrationId, &Row<'_>),
    placement: Placement<'_>,
    row: &Row<'_>,
    cause: Cause,
) -> Result<(RegistrationId, Links)> {
    let cause = cause_of(old, row, cause);
    let links = Links::of_move(from, old, row, cause);
    let to = put(core, shard, set, placement, row, links)?;
    leave(core, shard, set, (from, old), to, cause)?;
    Ok((to, links))
}

/// Stages what is left of the registration `from`, whose row was `old`, now that it lives on as `to`.
pub(crate) fn leave(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    (from, old): (RegistrationId, &Row<'_>),
    to: RegistrationId,
    cause: Cause,
) -> Result<()> {
    let commitment = commitment_of(core, from, old)?;
    let left = old.moved(&commitment);
    set.put_with(ColumnFamily::Rows(from.page.class), &schema::row_key(from), |out| left.encode_into(out));
    set.put(ColumnFamily::Marks, &schema::mark_key(from), &Mark::Moved { cause, to }.encode());
    if core.classes.get(from.page.class)?.finds_by_key() {
        forget(core, shard, from, old);
    }
    let page = shard
        .page_mut(from.page)
        .ok_or_else(|| Error::internal("a registration was moved out of a page that is not in the wheel"))?;
    page.has_marks = true;
    page.moved += 1;
    Ok(())
}

/// Stages the mark that another registration takes the place of `id`, found under `fingerprint`. Returns `true` if a
/// batch has it.
pub(crate) fn replace(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    id: RegistrationId,
    fingerprint: &[u8; FINGERPRINT_BYTES],
) -> bool {
    set.put(ColumnFamily::Marks, &schema::mark_key(id), &Mark::Replaced.encode());
    locator::forget(core, shard, fingerprint, id);
    let Some(page) = shard.page_mut(id.page) else { return false };
    page.has_marks = true;
    page.state == PageState::InBatch
}

/// Removes the entries of a registration from the key index. The caller stages a mark on it in the same write.
fn forget(core: &Core, shard: &mut Shard, id: RegistrationId, row: &Row<'_>) {
    for name in row.names().iter() {
        locator::forget(core, shard, &core.schedule.locate(name).1, id);
    }
}

/// Stages the move of a replaced registration. It stays replaced: the key index has no entry for it.
pub(crate) fn relocate_replaced(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    from: (RegistrationId, &Row<'_>),
    placement: Placement<'_>,
    row: &Row<'_>,
    cause: Cause,
) -> Result<()> {
    let (to, _) = relocate(core, shard, set, from, placement, row, cause)?;
    if placement.class.finds_by_key() {
        forget(core, shard, to, row);
    }
    set.put(ColumnFamily::Marks, &schema::mark_key(to), &Mark::Replaced.encode());
    if let Some(page) = shard.page_mut(to.page) {
        page.has_marks = true;
    }
    Ok(())
}

/// Passes on the result of staging rows into `set`. A failure poisons the writer if `set` has rows already. Their seqs
/// are used, and no later write may leave a gap in their place.
pub(crate) fn poison_on_gap<T>(core: &Core, set: &WriteSet, staged: Result<T>) -> Result<T> {
    staged.inspect_err(|error| {
        if !set.is_empty() {
            core.writer.poison(error);
        }
    })
}

/// Returns `true` if a move from `from_slot` to `slot` leaves less notice than a slot, and the registration counts as one
/// at short notice.
///
/// The registration counts if it had more notice before, or if its old page already had registrations at short notice. A
/// move must not remove a registration from the count that an operator has yet to review.
pub(crate) fn is_short_notice(
    class: &Class,
    from_slot: u64,
    among_short_notice: bool,
    slot: u64,
    now: Timestamp,
) -> bool {
    let notice = floor_to_second(now).saturating_add(class.slot_ms);
    slot < notice && (from_slot >= notice || among_short_notice)
}
