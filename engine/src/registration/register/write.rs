//! Write of the registrations of one shard.

use super::repeat::{self, Earlier, InCall};
use super::types::{Previous, RegisterCall, Registered, Registration};
use crate::model::schema::{self, Flags, Mark, RegisteredTotals, Row};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::placement::{self, Placement};
use crate::state::core::Core;
use crate::state::locator::{self, Candidates, RunLookup};
use crate::state::page::PageState;
use crate::state::shard::Shard;
use crate::state::writer::{PoisoningGuard, WriteNumber};
use sexton_proof::id::{ClassId, RegistrationId};
use std::collections::{BTreeMap, HashMap};

/// Bytes of a row and its entries beside its key, as an estimate for the capacity of a write set.
const ROW_BYTES: usize = 160;

/// Finds the earlier registrations of the members' keys and locks their shard.
fn find_and_lock<'c>(
    core: &'c Core,
    number: usize,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
) -> Result<(PoisoningGuard<'c, Shard>, Candidates)> {
    let for_holds = core.governance.holds.read().any_to_lose();
    let validated = members.iter().map(|&index| &call.validated[index]);
    let sought = validated.filter(|validated| for_holds || validated.class.finds_by_key());
    let lookup = RunLookup::of(core, sought.map(|validated| validated.fingerprint).collect())?;
    let shard = core.schedule.lock(number);
    let candidates = Candidates::of(core, &shard, lookup)?;
    Ok((shard, candidates))
}

/// Refuses the call, before any of it is written, if a registration of this shard would take an object out of a hold.
pub(super) fn check_shard(
    core: &Core,
    number: usize,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
) -> Result<()> {
    let (mut shard, candidates) = find_and_lock(core, number, members, call)?;
    repeat::check_holds(core, &mut shard, members, call, &candidates)
}

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
    let (mut shard, candidates) = find_and_lock(core, number, members, call)?;
    // Checked again: another call may have registered a key since the check of the whole call.
    repeat::check_holds(core, &mut shard, members, call, &candidates)?;
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

/// Write of one shard while it is staged. The shard's lock is held.
struct ShardWrite<'s, 'c, 'r> {
    core: &'s Core,
    call: &'s RegisterCall<'c, 'r>,
    candidates: &'s Candidates,
    shard: &'s mut Shard,
    set: WriteSet,
    /// Ids and indices of the keys that this write registers. The index does not have them yet, and a key may come
    /// again in the same call.
    staged: HashMap<&'r [u8], (RegistrationId, InCall)>,
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
            match found.relation {
                Relation::Replaced => previous = self.stage_replaced(index, found.id),
                relation => return self.stage_kept(index, found.id, relation),
            }
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
            self.staged.insert(registration.key, (id, InCall::Registered(index)));
        }
        self.totals.entry(validated.class.id).or_default().add(registration.size);
        Ok(Registered { id, previous, ticket: None })
    }

    /// Answers a registration whose object keeps its live registration `id`. If it states another subject, stages that.
    fn stage_kept(&mut self, index: usize, id: RegistrationId, relation: Relation) -> Result<Registered> {
        self.relies_on_earlier = true;
        let previous = match relation {
            Relation::Repeated { subject: None } => Previous::Identical,
            Relation::Repeated { subject: Some(row) } => {
                let subject = self.call.registrations[index].subject;
                return self.stage_subject(index, id, &Row { subject, ..Row::decode(&row)? });
            }
            _ => Previous::Kept,
        };
        Ok(Registered { id, previous, ticket: None })
    }

    /// Stages a live row with another subject. If a batch has the row, a copy of it takes its place: the batch would carry
    /// the row as it was.
    fn stage_subject(&mut self, index: usize, id: RegistrationId, row: &Row<'_>) -> Result<Registered> {
        let in_batch = self.shard.page_mut(id.page).is_some_and(|page| page.state == PageState::InBatch);
        let key = self.call.registrations[index].key;
        if !in_batch {
            let column_family = ColumnFamily::Rows(id.page.class);
            self.set.put_with(column_family, &schema::row_key(id), |out| row.encode_into(out));
            self.staged.insert(key, (id, InCall::Kept { class: id.page.class, row: row.encode() }));
            return Ok(Registered { id, previous: Previous::Identical, ticket: None });
        }
        let previous = self.stage_replaced(index, id);
        let class = self.core.classes.get(id.page.class)?;
        let slot = class.soonest_slot(row.bounds(), self.call.now);
        // The key that will blind the row is durable before the row is. A crash in between leaves a key without a row.
        self.core.secrets.keyring.get_or_create(class.id, slot)?;
        let fingerprint = &self.call.validated[index].fingerprint;
        let to = Placement { class: &class, slot, short_notice: false, fingerprint };
        // The batch may delete the object, so its absence is then known as our own deletion.
        let flags = row.flags.with(Flags::MAYBE_DELETED);
        let row = Row { cause: 0, attempts: 0, flags, ..*row };
        let id = placement::put(self.core, self.shard, &mut self.set, to, &row)?;
        self.totals.entry(class.id).or_default().add(row.size);
        self.staged.insert(key, (id, InCall::Kept { class: class.id, row: row.encode() }));
        Ok(Registered { id, previous, ticket: None })
    }

    /// Finds the live registration of a key, in this call or in the index.
    fn find_live(&mut self, index: usize) -> Result<Option<Found>> {
        let (core, call) = (self.core, self.call);
        let registration = &call.registrations[index];
        if let Some((id, in_call)) = self.staged.get(registration.key) {
            let earlier = in_call.earlier(call)?;
            return Ok(Some(Found { id: *id, relation: Relation::of(core, &earlier, call, registration)? }));
        }
        let fingerprint = &call.validated[index].fingerprint;
        self.candidates.live(core, self.shard, fingerprint, registration.key, |id, row| {
            let earlier = Earlier { class: id.page.class, row: *row };
            Ok(Found { id, relation: Relation::of(core, &earlier, call, registration)? })
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

/// Live registration of a key that is registered again.
struct Found {
    id: RegistrationId,
    relation: Relation,
}

/// Relation of a registration to the live one of its key.
enum Relation {
    /// It takes the place of the live one: another object, or one whose host released it.
    Replaced,
    /// It repeats the call that made the live one. If it states another subject, the bytes of the live row.
    Repeated { subject: Option<Vec<u8>> },
    /// The call leaves keys alone that have a live registration.
    Kept,
}

impl Relation {
    fn of(
        core: &Core,
        earlier: &Earlier<'_>,
        call: &RegisterCall<'_, '_>,
        registration: &Registration<'_>,
    ) -> Result<Relation> {
        let row = &earlier.row;
        if earlier.is_repeated_by(core, registration)? {
            let is_same = earlier.subject_after(registration) == row.subject;
            return Ok(Relation::Repeated { subject: (!is_same).then(|| row.encode()) });
        }
        let is_kept = call.mode.only_missing && !row.flags.has(Flags::RELEASED);
        Ok(if is_kept { Relation::Kept } else { Relation::Replaced })
    }
}
