//! Write of the registrations of one shard.

use super::repeat::{self, Earlier, InCall};
use super::types::{Identity, Previous, RegisterCall, Registered, Registration};
use crate::model::class::{Class, change_of_terms};
use crate::model::grace;
use crate::model::schema::{self, Flags, Links, RegisteredTotals, Row};
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::commitment::ticket_of;
use crate::registration::placement::{self, Placement};
use crate::state::core::Core;
use crate::state::locator::{Candidates, RunLookup};
use crate::state::page::PageState;
use crate::state::shard::Shard;
use crate::state::writer::{PoisoningGuard, WriteNumber};
use sexton_proof::id::{ClassId, RegistrationId};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

/// Bytes of a row and its entries beside its key, as an estimate for the capacity of a write set.
const ROW_BYTES: usize = 160;

/// Finds the earlier registrations of the members' keys and locks their shard.
fn find_and_lock<'c>(
    core: &'c Core,
    number: usize,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
) -> Result<(PoisoningGuard<'c, Shard>, Candidates)> {
    let for_decisions = repeat::any_to_lose(core);
    let validated = members.iter().map(|&index| &call.validated[index]);
    let sought = validated.filter(|validated| for_decisions || validated.class.finds_by_key());
    let lookup = RunLookup::of(core, sought.map(|validated| validated.fingerprint).collect())?;
    let shard = core.schedule.lock(number);
    let candidates = Candidates::of(core, &shard, lookup)?;
    Ok((shard, candidates))
}

/// Refuses the call, before any of it is written, if a registration of this shard would take an object out of a
/// hold or a waiting erasure.
pub(super) fn check_shard(
    core: &Core,
    number: usize,
    members: &[usize],
    call: &RegisterCall<'_, '_>,
) -> Result<()> {
    let (mut shard, candidates) = find_and_lock(core, number, members, call)?;
    repeat::check_finds(core, &mut shard, members, call, &candidates)?;
    repeat::check_decisions(core, &mut shard, members, call, &candidates)
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
    repeat::check_finds(core, &mut shard, members, call, &candidates)?;
    repeat::check_decisions(core, &mut shard, members, call, &candidates)?;
    let mut write = ShardWrite {
        core,
        call,
        candidates: &candidates,
        shard: &mut shard,
        set: WriteSet::with_capacity(members.len() * 2, bytes),
        staged: HashMap::new(),
        versions: HashMap::new(),
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

/// Live registrations of a key with their rows, by version.
type Versions = HashMap<Vec<u8>, (RegistrationId, Vec<u8>)>;

/// Write of one shard while it is staged. The shard's lock is held.
struct ShardWrite<'s, 'c, 'r> {
    core: &'s Core,
    call: &'s RegisterCall<'c, 'r>,
    candidates: &'s Candidates,
    shard: &'s mut Shard,
    set: WriteSet,
    /// Objects that this write registers. The index does not have them yet, and an object may come again in the same call.
    staged: HashMap<Identity<'r>, (RegistrationId, InCall)>,
    /// Live registrations of the keys that the call has in classes that find by version, by version. They are read once for the
    /// whole call, because a key may have thousands.
    versions: HashMap<&'r [u8], Versions>,
    totals: BTreeMap<ClassId, RegisteredTotals>,
    /// `true` if an answer names a row that was written earlier.
    relies_on_earlier: bool,
}

impl<'s> ShardWrite<'s, '_, '_> {
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
        let (mut previous, mut links) = (Previous::None, Links::NONE);
        if by_key && let Some(found) = self.find_live(index)? {
            match found.relation {
                Relation::Replaced => (previous, links) = self.stage_replaced(index, found.id),
                relation => return self.stage_kept(index, found.id, relation, found.ticket),
            }
        }
        let to = Placement {
            class: validated.class,
            slot: validated.slot,
            short_notice: validated.short_notice,
            fingerprint: &validated.fingerprint,
        };
        let row = validated.row(registration);
        let id = placement::put(self.core, self.shard, &mut self.set, to, &row, links)?;
        if by_key {
            self.staged.insert(call.identity(index), (id, InCall::Registered(index, links)));
        }
        self.totals.entry(validated.class.id).or_default().add(registration.size);
        Ok(Registered { id, previous, ticket: None })
    }

    /// Answers a registration whose object keeps its live registration `id`. If it states another subject, stages that.
    fn stage_kept(
        &mut self,
        index: usize,
        id: RegistrationId,
        relation: Relation,
        ticket: Option<Vec<u8>>,
    ) -> Result<Registered> {
        self.relies_on_earlier = true;
        let previous = match relation {
            Relation::Repeated { subject: None } => Previous::Identical,
            Relation::Repeated { subject: Some(row) } => {
                let subject = self.call.registrations[index].subject;
                return self.stage_subject(index, id, &Row::decode(&row)?, subject);
            }
            _ => Previous::Kept,
        };
        Ok(Registered { id, previous, ticket })
    }

    /// Stages a live row with another subject.
    ///
    /// The row moves to the end of a page, where a sweep for an erasure of the subject finds it. If a batch has the row, a
    /// copy takes its place, because the batch would carry the row as it was.
    fn stage_subject(
        &mut self,
        index: usize,
        id: RegistrationId,
        old: &Row<'_>,
        subject: &[u8],
    ) -> Result<Registered> {
        let (core, now) = (self.core, self.call.now);
        let class = core.classes.get(id.page.class)?;
        let mut row = Row { subject, ..*old };
        let (new, links, previous) = match self.shard.page_mut(id.page).copied() {
            Some(page) if page.state == PageState::InBatch => {
                let (previous, links) = self.stage_replaced(index, id);
                // The batch may delete the object, so its absence is then known as our own deletion.
                row = Row { cause: 0, attempts: 0, flags: row.flags.with(Flags::MAYBE_DELETED), ..row };
                self.totals.entry(class.id).or_default().add(row.size);
                let slot;
                (row, slot) = self.in_its_time(&class, row, class.soonest_slot(row.bounds(), now));
                let to = self.place(index, &class, slot, false)?;
                (placement::put(core, self.shard, &mut self.set, to, &row, links)?, links, previous)
            }
            Some(page) if page.is_movable() => {
                let slot;
                (row, slot) = self.in_its_time(&class, row, id.page.slot);
                let among = page.short_notice > 0;
                let short_notice = placement::is_short_notice(&class, id.page.slot, among, slot, now);
                let to = self.place(index, &class, slot, short_notice)?;
                let cause = change_of_terms(row.bounds(), row.bounds());
                let (new, links) =
                    placement::relocate(core, self.shard, &mut self.set, (id, old), to, &row, cause)?;
                (new, links, Previous::Identical)
            }
            // A commit has just written the row. The sweep waits for its page.
            _ => {
                let column_family = ColumnFamily::Rows(id.page.class);
                self.set.put_with(column_family, &schema::row_key(id), |out| row.encode_into(out));
                (id, row.links, Previous::Identical)
            }
        };
        // The call may name the key again, and move the row once more.
        row.links = links;
        let identity = self.call.identity(index);
        self.staged.insert(
            identity,
            (new, InCall::Kept { class: class.id, slot: new.page.slot, row: row.encode() }),
        );
        Ok(Registered { id: new, previous, ticket: ticket_of(core, &class, new, &row)? })
    }

    /// Returns the row and the slot with which an object goes on from `slot` ([`grace::in_its_time`]).
    fn in_its_time<'a>(&self, class: &Class, row: Row<'a>, slot: u64) -> (Row<'a>, u64) {
        grace::in_its_time(class, row, slot, &self.core.governance.holds.read(), self.call.now)
    }

    /// Returns the placement of the key of a registration. The key that blinds the row is durable from now on. A crash
    /// leaves it without a row.
    fn place<'p>(
        &self,
        index: usize,
        class: &'p Class,
        slot: u64,
        short_notice: bool,
    ) -> Result<Placement<'p>>
    where
        's: 'p,
    {
        self.core.secrets.keyring.get_or_create(class.id, slot)?;
        let fingerprint = &self.call.validated[index].fingerprint;
        Ok(Placement { class, slot, short_notice, fingerprint })
    }

    /// Finds the live registration of a key, in this call or in the index.
    fn find_live(&mut self, index: usize) -> Result<Option<Found>> {
        let (core, call) = (self.core, self.call);
        let registration = &call.registrations[index];
        if let Some((id, in_call)) = self.staged.get(&call.identity(index)) {
            return Found::of(core, *id, &in_call.earlier(call)?, call, registration).map(Some);
        }
        let fingerprint = &call.validated[index].fingerprint;
        if call.validated[index].class.finds_by_version() {
            return self.find_version(index);
        }
        self.candidates.live(core, self.shard, fingerprint, registration.key, |id, row| {
            Found::of(
                core,
                id,
                &Earlier { class: id.page.class, slot: id.page.slot, row: *row },
                call,
                registration,
            )
        })
    }

    /// Finds the live registration of a version in the index.
    fn find_version(&mut self, index: usize) -> Result<Option<Found>> {
        let (core, call) = (self.core, self.call);
        let registration = &call.registrations[index];
        let key = registration.key;
        if !self.versions.contains_key(key) {
            let (mut versions, fingerprint) = (HashMap::new(), &call.validated[index].fingerprint);
            self.candidates.each_of_key(core, self.shard, fingerprint, key, |id, row| {
                versions.insert(row.version.to_vec(), (id, row.encode()));
                Ok(ControlFlow::Continue(()))
            })?;
            self.versions.insert(key, versions);
        }
        let Some((id, row)) = self.versions.get(key).and_then(|versions| versions.get(registration.version))
        else {
            return Ok(None);
        };
        let earlier = Earlier { class: id.page.class, slot: id.page.slot, row: Row::decode(row)? };
        Found::of(core, *id, &earlier, call, registration).map(Some)
    }

    /// Stages the mark that the registration at `index` replaces `id`. Returns the links of the row that replaces it.
    fn stage_replaced(&mut self, index: usize, id: RegistrationId) -> (Previous, Links) {
        let fingerprint = &self.call.validated[index].fingerprint;
        let previous = match placement::replace(self.core, self.shard, &mut self.set, id, fingerprint) {
            true => Previous::TooLate(id),
            false => Previous::Replaced(id),
        };
        (previous, Links::of_successor(id))
    }
}

/// Live registration of a key that is registered again.
struct Found {
    id: RegistrationId,
    relation: Relation,
    /// Ticket, if the registration stays and its class hands tickets out.
    ticket: Option<Vec<u8>>,
}

impl Found {
    /// Relates the registration `id` to one of its key. The caller holds the shard's lock, so the row does not move before
    /// its ticket is made.
    fn of(
        core: &Core,
        id: RegistrationId,
        earlier: &Earlier<'_>,
        call: &RegisterCall<'_, '_>,
        registration: &Registration<'_>,
    ) -> Result<Found> {
        let relation = Relation::of(core, earlier, call, registration)?;
        let ticket = match relation {
            Relation::Replaced => None,
            _ => ticket_of(core, &*core.classes.get(id.page.class)?, id, &earlier.row)?,
        };
        Ok(Found { id, relation, ticket })
    }
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
