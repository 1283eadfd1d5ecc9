//! Write of the registrations of one shard.

use super::types::{Previous, RegisterCall, Registered, Registration};
use crate::model::hold;
use crate::model::schema::{self, Flags, Mark, RegisteredTotals, Row};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::placement::{self, Placement};
use crate::state::core::Core;
use crate::state::locator::{self, Candidates, RunLookup};
use crate::state::page::PageState;
use crate::state::shard::Shard;
use crate::state::writer::WriteNumber;
use sexton_proof::id::{ClassId, RegistrationId};
use std::collections::{BTreeMap, HashMap};

/// Bytes of a row and its entries beside its key, as an estimate for the capacity of a write set.
const ROW_BYTES: usize = 160;

/// Numbers and writes the registrations of one shard, whose indices in the call are `members`. Returns the number of the
/// write that the answers rely on; `None` if they rely on none.
///
/// The shard's lock is held from the lookup until the write, so rows are written in the order of their seqs. A crash loses
/// only the last of them, and no caller has an answer for those.
pub(super) fn write_shard(
    core: &Core,
    number: usize,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
    answers: &mut [Option<Registered>],
) -> Result<Option<WriteNumber>> {
    let bytes = members.iter().map(|&index| call.registrations[index].key.len() + ROW_BYTES).sum();
    let by_key = members.iter().map(|&index| &call.validated[index]).filter(|v| v.class.finds_by_key());
    let lookup = RunLookup::of(core, by_key.map(|validated| validated.fingerprint).collect())?;
    let mut shard = core.schedule.lock(number);
    let candidates = Candidates::of(core, &shard, lookup)?;
    check_class_holds(core, &mut shard, members, call, &candidates)?;
    let mut write = ShardWrite {
        core,
        call,
        candidates: &candidates,
        shard: &mut shard,
        set: WriteSet::with_capacity(members.len() * 2, bytes),
        staged: HashMap::new(),
        totals: BTreeMap::new(),
        relies_on_earlier: false,
    };
    let staged = write.stage_members(members, answers);
    let ShardWrite { set, relies_on_earlier, .. } = write;
    placement::poison_on_gap(core, &set, staged)?;
    if !set.is_empty() {
        return core.writer.write(set).map(Some);
    }
    // The row that a retry found may be buffered, or its fsync may still be under way.
    Ok(relies_on_earlier.then(|| core.writer.so_far()))
}

/// Refuses to take an object out of the class that a hold keeps it in, by registering it again under another class.
fn check_class_holds(
    core: &Core,
    shard: &mut Shard,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
    candidates: &Candidates,
) -> Result<()> {
    let holds = core.governance.holds.read();
    if !holds.any_on_class() {
        return Ok(());
    }
    for &index in members {
        let (registration, validated) = (&call.registrations[index], &call.validated[index]);
        if call.mode.only_missing || !validated.class.finds_by_key() {
            continue;
        }
        let refusal = candidates.live(core, shard, &validated.fingerprint, registration.key, |id, row| {
            let from = core.classes.get(id.page.class)?;
            // Without a version, another object under the same key looks identical. The hold then applies.
            let may_be_same = !row.flags.has(Flags::RELEASED)
                && (registration.version.is_empty() || row.version == registration.version);
            let left = holds.hold_lost_by_move(row, &from.definition.name, registration.class);
            Ok(left.filter(|_| may_be_same).map(|hold| hold::held("the object is registered", hold)))
        })?;
        refusal.flatten().map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Write of one shard while it is staged. The shard's lock is held.
struct ShardWrite<'s, 'c, 'r> {
    core: &'s Core,
    call: &'s RegisterCall<'c, 'r>,
    candidates: &'s Candidates,
    shard: &'s mut Shard,
    set: WriteSet,
    /// Ids and indices of the keys that this write registers. The index does not have them yet, and a key may come
    /// again in the same call.
    staged: HashMap<&'r [u8], (RegistrationId, usize)>,
    totals: BTreeMap<ClassId, RegisteredTotals>,
    /// `true` if an answer names a row that was written earlier.
    relies_on_earlier: bool,
}

impl ShardWrite<'_, '_, '_> {
    /// Stages all members and answers them.
    fn stage_members(&mut self, members: &[usize], answers: &mut [Option<Registered>]) -> Result<()> {
        for &index in members {
            answers[index] = Some(self.stage_registration(index)?);
        }
        // In the same write as the rows, so that the registered totals are exact.
        for (class, added) in std::mem::take(&mut self.totals) {
            let number = self.shard.number();
            let total = self.shard.totals_mut(class)?;
            *total = total.plus(added);
            let key = schema::registered_totals_key(class, number);
            self.set.put(ColumnFamily::Meta, &key, &total.encode());
        }
        Ok(())
    }

    /// Stages a registration, unless the previous one of its key stays.
    fn stage_registration(&mut self, index: usize) -> Result<Registered> {
        let call = self.call;
        let (registration, validated) = (&call.registrations[index], &call.validated[index]);
        let by_key = validated.class.finds_by_key();
        let mut previous = Previous::None;
        if by_key && let Some(found) = self.find_live(index)? {
            if found.is_current && (found.is_identical || call.mode.only_missing) {
                self.relies_on_earlier = true;
                let previous = if found.is_identical { Previous::Identical } else { Previous::Kept };
                return Ok(Registered { id: found.id, previous, ticket: None });
            }
            previous = self.stage_replaced(index, found.id);
        }
        let to = Placement {
            class: validated.class,
            slot: validated.slot,
            short_notice: validated.short_notice,
            fingerprint: &validated.fingerprint,
        };
        let row = validated.row(registration);
        let id = placement::put(self.core, self.shard, &mut self.set, to, &row)?;
        if by_key {
            self.staged.insert(registration.key, (id, index));
        }
        self.totals.entry(validated.class.id).or_default().add(registration.size);
        Ok(Registered { id, previous, ticket: None })
    }

    /// Finds the live registration of a key, in this call or in the index.
    fn find_live(&mut self, index: usize) -> Result<Option<Found>> {
        let call = self.call;
        let registration = &call.registrations[index];
        if let Some((id, first)) = self.staged.get(registration.key) {
            let is_identical = is_same_object(&call.registrations[*first], registration);
            return Ok(Some(Found { id: *id, is_identical, is_current: true }));
        }
        let fingerprint = &call.validated[index].fingerprint;
        self.candidates.live(self.core, self.shard, fingerprint, registration.key, |id, row| {
            Found::compare(self.core, id, row, registration)
        })
    }

    /// Stages the mark that the registration at `index` replaces `id`.
    fn stage_replaced(&mut self, index: usize, id: RegistrationId) -> Previous {
        self.set.put(ColumnFamily::Marks, &schema::mark_key(id), &Mark::Replaced.encode());
        locator::forget(self.core, self.shard, &self.call.validated[index].fingerprint, id);
        match self.shard.page_mut(id.page) {
            Some(page) => {
                page.has_marks = true;
                match page.state {
                    PageState::InBatch => Previous::TooLate(id),
                    _ => Previous::Replaced(id),
                }
            }
            None => Previous::Replaced(id),
        }
    }
}

/// Returns `true` if `registration` repeats `earlier`, so that a host may repeat a call whose answer it did not get.
///
/// Without a version, a repeated call looks like an overwritten object. An overwritten object must not be deleted at its
/// predecessor's time.
fn is_same_object(earlier: &Registration<'_>, registration: &Registration<'_>) -> bool {
    !registration.version.is_empty()
        && earlier.version == registration.version
        && earlier.class == registration.class
        && (registration.start.is_none() || registration.start == earlier.start)
}

/// Live registration of a key that is registered again.
struct Found {
    id: RegistrationId,
    /// `true` if the new registration repeats it.
    is_identical: bool,
    /// `true` unless the host has released it: then another object may be stored under the key.
    is_current: bool,
}

impl Found {
    fn compare(
        core: &Core,
        id: RegistrationId,
        row: &Row<'_>,
        registration: &Registration<'_>,
    ) -> Result<Found> {
        let class = core.classes.get(id.page.class)?;
        let earlier = Registration {
            class: &class.definition.name,
            version: row.version,
            start: Some(row.start),
            ..*registration
        };
        let is_identical = is_same_object(&earlier, registration);
        Ok(Found { id, is_identical, is_current: !row.flags.has(Flags::RELEASED) })
    }
}
