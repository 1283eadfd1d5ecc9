//! Key index: finds the live registration of a key.
//!
//! An entry leads from the keyed hash of a key to a registration that may be the key's. The entry is a hint. The row
//! decides if the key is the same, the schedule if the page lives, and a mark if a newer registration replaced this one.
//! So a superfluous entry is harmless, and settling a page removes none; `reclaim` drops them when it
//! merges the index. A missing entry does harm: an overwritten object would be deleted at its predecessor's time.
//!
//! New entries go into a shard's memtable ([`crate::state::memtable`]). The write of the row also puts them into the
//! pending entries, from which opening rebuilds the memtable. A flush writes the memtables of all shards as one sorted run. The
//! writes that a run follows from are durable before it, and the run is durable before its pending entries go.
//!
//! A lookup for a host searches the runs before it takes a shard's lock, because that may read the disk. It searches the
//! memtable under the lock.

use crate::model::schema::{self, Row};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{self, ColumnFamily, Kv, WriteSet};
use crate::state::core::Core;
use crate::state::marks;
use crate::state::memtable::{Entry, Fingerprint};
use crate::state::schedule::Schedule;
use crate::state::shard::Shard;
use crate::state::writer::PoisoningGuard;
use sexton_proof::id::RegistrationId;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

/// Adds an entry for the registration `id` to the memtable, and stages its pending entry.
pub(crate) fn put(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    fingerprint: &Fingerprint,
    id: RegistrationId,
) {
    let pending = schema::pending_key(shard.number(), shard.memtable.generation(), id);
    set.append(
        ColumnFamily::Pending,
        &pending,
        schema::PENDING_PREFIX,
        &schema::locator_key(fingerprint, id),
    );
    shard.memtable.put(*fingerprint, id);
    request_flush_if_full(core, shard);
}

/// Removes the entry of the registration `id`. The caller stages a mark on it in the same write.
pub(crate) fn forget(core: &Core, shard: &mut Shard, fingerprint: &Fingerprint, id: RegistrationId) {
    shard.memtable.forget(*fingerprint, id);
    request_flush_if_full(core, shard);
}

fn is_full(core: &Core, shard: &Shard) -> bool {
    shard.memtable.len() >= core.limits.memtable_keys
}

fn request_flush_if_full(core: &Core, shard: &Shard) {
    if is_full(core, shard) {
        core.schedule.flush_queue.request();
    }
}

/// Entries that the runs have under some fingerprints.
#[derive(Clone)]
pub(crate) struct RunLookup {
    /// Fingerprints, each once, in ascending order.
    fingerprints: Vec<Fingerprint>,
    entries: Vec<Entry>,
    /// Flush generation before the lookup.
    generation: u64,
}

impl RunLookup {
    /// Searches the runs for all fingerprints together. Call it without a shard's lock if possible.
    pub(crate) fn of(core: &Core, mut fingerprints: Vec<Fingerprint>) -> Result<RunLookup> {
        fingerprints.sort_unstable();
        fingerprints.dedup();
        let generation = core.schedule.flush_queue.generation();
        let entries = search_runs(&*core.kv, &fingerprints)?;
        Ok(RunLookup { fingerprints, entries, generation })
    }
}

/// Returns the entries that the runs have under fingerprints, which ascend.
fn search_runs(kv: &dyn Kv, fingerprints: &[Fingerprint]) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let ranges: Vec<Range<Vec<u8>>> = fingerprints.iter().map(|f| schema::prefix_range(f)).collect();
    kv::try_scan_each(kv, ColumnFamily::Locator, &ranges, |_, key, _| {
        found.push(schema::parse_locator_key(key)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Entries of runs and memtable that may lead to the live registrations of some keys, ordered by fingerprint.
pub(crate) struct Candidates(Vec<Entry>);

impl Candidates {
    /// Merges a lookup of the runs with the memtable of one shard, whose lock the caller holds until it has used the
    /// candidates. They are all in that shard.
    ///
    /// Other threads may flush meanwhile. Every entry is in the memtable, in the frozen table or in a run, and a run is
    /// counted before the frozen table is dropped. So if the generation has not moved since before the lookup, the lookup
    /// missed nothing; otherwise the runs are searched again.
    pub(crate) fn of(core: &Core, shard: &Shard, lookup: RunLookup) -> Result<Candidates> {
        let mut candidates = Self::merge(core, &[shard], lookup)?;
        // A renamed registration may be in another shard than its first key.
        candidates.0.retain(|(_, id)| id.page.shard == shard.number());
        Ok(candidates)
    }

    /// Returns `true` if there is no candidate.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Merges a lookup of the runs with the memtables of all shards, whose locks the caller holds until it has used the
    /// candidates.
    pub(crate) fn of_all(
        core: &Core,
        shards: &[PoisoningGuard<'_, Shard>],
        lookup: RunLookup,
    ) -> Result<Candidates> {
        let shards: Vec<&Shard> = shards.iter().map(|shard| &**shard).collect();
        Self::merge(core, &shards, lookup)
    }

    fn merge(core: &Core, shards: &[&Shard], lookup: RunLookup) -> Result<Candidates> {
        let RunLookup { fingerprints, entries: mut found, generation } = lookup;
        if core.schedule.flush_queue.generation() != generation {
            found = search_runs(&*core.kv, &fingerprints)?;
        }
        for fingerprint in &fingerprints {
            for shard in shards {
                shard.memtable.each(fingerprint, &mut |id| found.push((*fingerprint, id)));
            }
        }
        found.sort_unstable();
        Ok(Candidates(found))
    }

    /// Returns `true` if a registration is among the candidates.
    pub(crate) fn has(&self, fingerprint: &Fingerprint, id: RegistrationId) -> bool {
        self.0.binary_search(&(*fingerprint, id)).is_ok()
    }

    /// Calls `look` on a live registration of a key, if it has one. Only the current key of an object counts. In a class that
    /// finds by version a key may have several, and `look` gets one of them.
    pub(crate) fn live<T>(
        &self,
        core: &Core,
        shard: &mut Shard,
        fingerprint: &Fingerprint,
        key: &[u8],
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.each_of_key(core, shard, fingerprint, key, |id, row| {
            found = Some(look(id, row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Calls `look` on each live registration that has the key as its current one, until it breaks.
    pub(crate) fn each_of_key(
        &self,
        core: &Core,
        shard: &mut Shard,
        fingerprint: &Fingerprint,
        key: &[u8],
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.each_live(core, shard, fingerprint, |id, row| match row.key == key {
            true => look(id, row),
            false => Ok(ControlFlow::Continue(())),
        })
    }

    /// Calls `look` on each live registration of a shard that has the key as its current or its first one.
    pub(crate) fn each_named(
        &self,
        core: &Core,
        shard: &mut Shard,
        fingerprint: &Fingerprint,
        key: &[u8],
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.each_live(core, shard, fingerprint, |id, row| {
            if row.names().iter().any(|name| name == key) {
                look(id, row)?;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `look` on the live registrations of a shard that may be found under a fingerprint.
    fn each_live(
        &self,
        core: &Core,
        shard: &mut Shard,
        fingerprint: &Fingerprint,
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let first = self.0.partition_point(|(found, _)| found < fingerprint);
        let mut ids: Vec<RegistrationId> =
            self.0[first..].iter().take_while(|(found, _)| found == fingerprint).map(|(_, id)| *id).collect();
        // A run and the memtable may both have an entry. A renamed registration may be in another shard.
        ids.dedup();
        ids.retain(|id| id.page.shard == shard.number());
        for id in ids {
            // A page that is not in the wheel is settled: its rows are void, even if files still hold them.
            let Some(page) = shard.page_mut(id.page).filter(|page| id.seq < page.rows) else { continue };
            let is_marked = page.has_marks;
            let Some(bytes) = core.kv.get(ColumnFamily::Rows(id.page.class), &schema::row_key(id))? else {
                continue;
            };
            let row = Row::decode(&bytes)?;
            if is_marked && marks::is_replaced(&*core.kv, id)? {
                continue;
            }
            if look(id, &row)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Lookup of one key in the runs.
pub(crate) struct KeyLookup<'a> {
    key: &'a [u8],
    shard: usize,
    fingerprint: Fingerprint,
    runs: RunLookup,
}

impl<'a> KeyLookup<'a> {
    /// Searches the runs for a key. Call it without a shard's lock if possible.
    pub(crate) fn of(core: &Core, key: &'a [u8]) -> Result<KeyLookup<'a>> {
        let (shard, fingerprint) = core.schedule.locate(key);
        let runs = RunLookup::of(core, vec![fingerprint])?;
        Ok(KeyLookup { key, shard, fingerprint, runs })
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Locks the shard of the key.
    pub(crate) fn lock<'c>(&self, core: &'c Core) -> PoisoningGuard<'c, Shard> {
        core.schedule.lock(self.shard)
    }

    /// Returns what `look` makes of each live registration of the key. The caller holds the lock of its shard until it has used
    /// the result.
    pub(crate) fn all<T>(
        self,
        core: &Core,
        shard: &mut Shard,
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut all = Vec::new();
        let candidates = Candidates::of(core, shard, self.runs)?;
        candidates.each_of_key(core, shard, &self.fingerprint, self.key, |id, row| {
            all.push(look(id, row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// Returns what `look` makes of the key's only live registration, if it has one. The caller holds the lock of its shard until
    /// it has used the result.
    ///
    /// # Errors
    /// `Invalid` if several versions of the key live.
    pub(crate) fn only<T>(
        self,
        core: &Core,
        shard: &mut Shard,
        look: impl FnMut(RegistrationId, &Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut all = self.all(core, shard, look)?;
        match all.len() {
            0 | 1 => Ok(all.pop()),
            versions => Err(Error::invalid(format!(
                "{versions} versions of the key live; name one by its version or its id"
            ))),
        }
    }

    /// Returns the live registration of a version of the key. The caller holds the lock of its shard until it has used the
    /// result.
    pub(crate) fn version(
        self,
        core: &Core,
        shard: &mut Shard,
        version: &[u8],
    ) -> Result<Option<RegistrationId>> {
        let all = self.all(core, shard, |id, row| Ok((row.version == version).then_some(id)))?;
        Ok(all.into_iter().flatten().next())
    }
}

/// Flushes the memtables of all shards as one run if one of them is full. The caller holds no shard's lock.
pub(crate) fn flush_if_full(core: &Core) -> Result<()> {
    let Some(_flushing) = core.schedule.flush_queue.acquire() else { return Ok(()) };
    // Another thread's flush may have served the request.
    if !(0..core.schedule.shards()).any(|number| is_full(core, &core.schedule.lock(number))) {
        return Ok(());
    }
    core.writer.check()?;
    let (mut all, mut set) = (Vec::new(), WriteSet::default());
    for number in 0..core.schedule.shards() {
        let mut shard = core.schedule.lock(number);
        let (frozen, generation) = shard.memtable.freeze();
        let pending = schema::pending_range(shard.number(), generation);
        drop(shard);
        frozen.copy_into(&mut all);
        set.delete_range(ColumnFamily::Pending, &pending.start..&pending.end);
    }
    core.schedule.flush_queue.clear();
    // A run is durable by itself, and must not outlive the writes that it follows from. It removes entries of replaced
    // registrations: if the loss of power undid the newer ones, those entries would be missing.
    core.writer.sync(core.writer.so_far())?;
    all.sort_unstable();
    let mut changes = all.iter().map(|((fingerprint, id), is_found)| {
        let key = schema::locator_key(fingerprint, *id);
        (key, *is_found)
    });
    core.writer.write_run(ColumnFamily::Locator, &mut changes)?;
    // A lookup that searched the runs before now searches again, so that it misses nothing that is dropped below.
    core.schedule.flush_queue.bump_generation();
    core.writer.write(set)?;
    (0..core.schedule.shards()).for_each(|number| core.schedule.lock(number).memtable.flushed());
    Ok(())
}

/// Rebuilds the memtables of an earlier opening from the pending entries. The pages are in their wheels already.
pub(crate) fn restore(kv: &dyn Kv, schedule: &Schedule) -> Result<()> {
    let mut restored: BTreeMap<u16, (u64, Vec<Entry>)> = BTreeMap::new();
    kv::try_scan(kv, ColumnFamily::Pending, &schema::prefix_range(&[]), |key, value| {
        let (number, generation) = schema::parse_pending_key(key)?;
        if usize::from(number) >= schedule.shards() {
            return Err(Error::corrupt(format!(
                "a pending entry is of shard {number}, which does not exist"
            )));
        }
        let (last, entries) = restored.entry(number).or_default();
        *last = generation;
        let (keys, rest) = value.as_chunks::<{ schema::LOCATOR_KEY_BYTES }>();
        if !rest.is_empty() {
            return Err(Error::corrupt(
                "a pending entry of the key index is cut short; see Backups in docs/operations.md",
            ));
        }
        for key in keys {
            entries.push(schema::parse_locator_key(key)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for (number, (generation, mut entries)) in restored {
        let mut shard = schedule.lock(number.into());
        entries.retain(|(_, id)| shard.page_mut(id.page).is_some_and(|page| id.seq < page.rows));
        shard.memtable.restore(generation, entries.into_iter());
    }
    // The memtables may be over their limit, if a flush was cut short or the limit is lower now.
    schedule.flush_queue.request();
    Ok(())
}
