//! Finding by key. Under the keyed hash of a key stands each registration that it may live in. Such an entry is a hint:
//! the row tells whether it is of this key, the wheel whether its page lives, and a mark whether a newer registration
//! took its place. So an entry too many does no harm, and none is taken away when its page settles; the index drops it
//! when it next merges it (see [`crate::reclaim`]). An entry too few would do harm, for an overwritten object would go
//! on its predecessor's time.
//!
//! Entries wait in memory ([`crate::recent`]) and are written out in sorted runs. In the same write as a row goes a
//! note of its entry, from which opening rebuilds what was in memory. What a run follows from is durable before it, and
//! it is durable before its notes go.
//!
//! Who seeks a key for a host looks through the runs before it takes the lock of a shard, since that can mean reading the
//! disk; what waits in memory is looked at under it.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::index::{Index, Shard};
use crate::kv::{self, Family, Kv, WriteSet};
use crate::recent::{Entry, Fingerprint};
use crate::schema::{self, Mark, Row};
use crate::writer::PoisoningGuard;
use sexton_proof::id::RegistrationId;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

/// Stages that a key with this fingerprint is found in the registration `id`.
pub(crate) fn put(
    core: &Core,
    shard: &mut Shard,
    set: &mut WriteSet,
    fingerprint: &Fingerprint,
    id: RegistrationId,
) {
    let note = schema::note_key(shard.number(), shard.recent.generation(), id);
    set.append(Family::Notes, &note, schema::NOTE_PREFIX, &schema::locator_key(fingerprint, id));
    shard.recent.put(*fingerprint, id);
    ask_where_full(core, shard);
}

/// From here on the registration `id` need not be found any more: whoever calls this stages a mark that says so.
pub(crate) fn forget(core: &Core, shard: &mut Shard, fingerprint: &Fingerprint, id: RegistrationId) {
    shard.recent.forget(*fingerprint, id);
    ask_where_full(core, shard);
}

fn is_full(core: &Core, shard: &Shard) -> bool {
    shard.recent.len() >= core.limits.recent_keys
}

fn ask_where_full(core: &Core, shard: &Shard) {
    if is_full(core, shard) {
        core.index.writing_out.ask();
    }
}

/// Fingerprints, each once and in order, and what the runs hold of them.
pub(crate) struct Sought {
    fingerprints: Vec<Fingerprint>,
    in_runs: Vec<Entry>,
    /// How many runs there had been before it was looked.
    runs: u64,
}

impl Sought {
    /// Looks through the runs, for all fingerprints together; best without the lock of any shard.
    pub(crate) fn of(core: &Core, mut fingerprints: Vec<Fingerprint>) -> Result<Sought> {
        fingerprints.sort_unstable();
        fingerprints.dedup();
        let runs = core.index.writing_out.runs();
        let in_runs = in_runs(&*core.kv, &fingerprints)?;
        Ok(Sought { fingerprints, in_runs, runs })
    }
}

/// What the runs hold of some fingerprints, which ascend.
fn in_runs(kv: &dyn Kv, fingerprints: &[Fingerprint]) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let ranges: Vec<Range<Vec<u8>>> = fingerprints.iter().map(|f| schema::prefix(f)).collect();
    let mut failure = None;
    kv.scan_each(Family::Locator, &ranges, &mut |_, key, _| match schema::locator_entry(key) {
        Ok(entry) => {
            found.push(entry);
            ControlFlow::Continue(())
        }
        Err(error) => {
            failure = Some(error);
            ControlFlow::Break(())
        }
    })?;
    failure.map_or(Ok(found), Err)
}

/// What may be live registrations of some keys, in the order of their fingerprints.
pub(crate) struct Candidates(Vec<Entry>);

impl Candidates {
    /// Those of all keys that were sought. The caller holds the lock of their shard from before until it has used them.
    ///
    /// What was ever put is in memory still, or in a run; and a run is counted before memory lets go of what is in it.
    /// So as long as no run was added since before the others were looked through, nothing can have been missed.
    pub(crate) fn of(core: &Core, shard: &Shard, sought: Sought) -> Result<Candidates> {
        let Sought { fingerprints, in_runs: mut found, runs } = sought;
        if core.index.writing_out.runs() != runs {
            found = in_runs(&*core.kv, &fingerprints)?;
        }
        for fingerprint in &fingerprints {
            shard.recent.each(fingerprint, &mut |id| found.push((*fingerprint, id)));
        }
        found.sort_unstable();
        Ok(Candidates(found))
    }

    /// Whether a registration is among them.
    pub(crate) fn has(&self, fingerprint: &Fingerprint, id: RegistrationId) -> bool {
        self.0.binary_search(&(*fingerprint, id)).is_ok()
    }

    /// The live registration of a key, where it has one.
    pub(crate) fn live<T>(
        &self,
        core: &Core,
        shard: &mut Shard,
        fingerprint: &Fingerprint,
        key: &[u8],
        mut look: impl FnMut(RegistrationId, &Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let first = self.0.partition_point(|(found, _)| found < fingerprint);
        for (_, id) in self.0[first..].iter().take_while(|(found, _)| found == fingerprint) {
            // A page that is not in the wheel is settled, and its rows are void whatever the files still hold.
            let Some(page) = shard.page_mut(id.page).filter(|page| id.seq < page.rows) else { continue };
            let is_marked = page.marked;
            let Some(bytes) = core.kv.get(Family::Rows(id.page.class), &schema::row_key(*id))? else {
                continue;
            };
            let row = Row::decode(&bytes)?;
            if row.key == key && !(is_marked && is_replaced(&*core.kv, *id)?) {
                return look(*id, &row).map(Some);
            }
        }
        Ok(None)
    }
}

fn is_replaced(kv: &dyn Kv, id: RegistrationId) -> Result<bool> {
    let mark = kv.get(Family::Marks, &id.to_bytes())?.map(|bytes| Mark::decode(&bytes)).transpose()?;
    Ok(mark == Some(Mark::Replaced))
}

/// One key, and what the runs hold of it.
pub(crate) struct SoughtKey<'a> {
    key: &'a [u8],
    shard: usize,
    fingerprint: Fingerprint,
    sought: Sought,
}

impl<'a> SoughtKey<'a> {
    /// Looks through the runs, best without the lock of any shard.
    pub(crate) fn of(core: &Core, key: &'a [u8]) -> Result<SoughtKey<'a>> {
        let (shard, fingerprint) = core.index.locate(key);
        let sought = Sought::of(core, vec![fingerprint])?;
        Ok(SoughtKey { key, shard, fingerprint, sought })
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Locks the shard that it is in.
    pub(crate) fn lock<'c>(&self, core: &'c Core) -> PoisoningGuard<'c, Shard> {
        core.index.lock(self.shard)
    }

    /// Its live registration, where it has one. The caller holds its shard's lock until it has used that.
    pub(crate) fn live<T>(
        self,
        core: &Core,
        shard: &mut Shard,
        look: impl FnMut(RegistrationId, &Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        Candidates::of(core, shard, self.sought)?.live(core, shard, &self.fingerprint, self.key, look)
    }
}

/// Writes out what is in memory of all shards as one run, where a shard has as much as may be. The caller holds no
/// shard's lock.
pub(crate) fn write_out_where_full(core: &Core) -> Result<()> {
    let Some(_one) = core.index.writing_out.begin() else { return Ok(()) };
    // Who asked while another one was about to write out was served by that.
    if !(0..core.index.shards()).any(|number| is_full(core, &core.index.lock(number))) {
        return Ok(());
    }
    core.writer.check()?;
    let (mut all, mut set) = (Vec::new(), WriteSet::default());
    for number in 0..core.index.shards() {
        let mut shard = core.index.lock(number);
        let (aside, generation) = shard.recent.set_aside();
        let notes = schema::notes(shard.number(), generation);
        drop(shard);
        aside.copy_into(&mut all);
        set.delete_range(Family::Notes, &notes.start..&notes.end);
    }
    core.index.writing_out.taken();
    // A run is durable by itself. It must not outlive what it follows from: what it takes away, because a newer
    // registration came, would be missed if the loss of power undid that registration.
    core.writer.sync(core.writer.so_far())?;
    all.sort_unstable();
    let mut changes = all.iter().map(|((fingerprint, id), is_found)| {
        let key = schema::locator_key(fingerprint, *id);
        (key, *is_found)
    });
    core.writer.write_run(Family::Locator, &mut changes)?;
    // Whoever looked through the runs before does so again, rather than miss what memory lets go of below.
    core.index.writing_out.count_run();
    core.writer.write(set)?;
    (0..core.index.shards()).for_each(|number| core.index.lock(number).recent.written_out());
    Ok(())
}

/// Rebuilds what an earlier opening had in memory. The pages are in their wheels.
pub(crate) fn restore(kv: &dyn Kv, index: &Index) -> Result<()> {
    let mut restored: BTreeMap<u16, (u64, Vec<Entry>)> = BTreeMap::new();
    kv::try_scan(kv, Family::Notes, &schema::prefix(&[]), |key, value| {
        let (number, generation) = schema::note_of(key)?;
        if usize::from(number) >= index.shards() {
            return Err(Error::corrupt(format!("a note is of shard {number}, which does not exist")));
        }
        let (last, entries) = restored.entry(number).or_default();
        *last = generation;
        let (keys, rest) = value.as_chunks::<{ schema::LOCATOR_KEY_BYTES }>();
        if !rest.is_empty() {
            return Err(Error::corrupt(
                "a note of what finds a key is cut short; see Backups in docs/operations.md",
            ));
        }
        for key in keys {
            entries.push(schema::locator_entry(key)?);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for (number, (generation, mut entries)) in restored {
        let mut shard = index.lock(number.into());
        entries.retain(|(_, id)| shard.page_mut(id.page).is_some_and(|page| id.seq < page.rows));
        shard.recent.restore(generation, entries.into_iter());
    }
    // It may be more than may be, where writing out was cut short or the limit is another one now.
    index.writing_out.ask();
    Ok(())
}
