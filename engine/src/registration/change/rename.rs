//! Renames of objects. Those that follow each other in a call are one atomic write, so that two objects may exchange their
//! names.

use super::plan::{self, Move};
use super::{ATTEMPTS_MAX, Applied, Changed, Which, answer, ended, find_row, unknown};
use crate::model::class::Class;
use crate::model::hold::{self, HoldFacts};
use crate::model::schema::{Flags, Links, Row};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::WriteSet;
use crate::registration::placement::{self, Placement};
use crate::registration::resolve::{Location, Resolver};
use crate::state::core::Core;
use crate::state::locator::{Candidates, RunLookup};
use crate::state::shard::Shard;
use crate::state::writer::PoisoningGuard;
use sexton_proof::id::{KEY_MAX_BYTES, RegistrationId};
use sexton_proof::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Rename that a call asks for.
#[derive(Clone, Copy)]
pub(super) struct Rename<'a> {
    pub(super) of: Which<'a>,
    pub(super) to: &'a [u8],
}

/// Registration with the bytes of its row.
type Found = (RegistrationId, Vec<u8>);

/// Object of a rename, with the registration that lives under its new key.
struct Renaming {
    id: RegistrationId,
    row: Vec<u8>,
    occupant: Option<Found>,
}

/// Result of the search for the object of a rename.
enum Search {
    Found(Renaming),
    /// Its page has settled, so only the evidence has its present id.
    Elsewhere(RegistrationId),
}

/// Applies the renames together, and returns an answer to each.
///
/// The planner's lock is held: a renamed object may leave its shard, which no sweep expects. The locks of all shards are
/// held from the lookups until the write.
pub(super) fn rename(
    core: &Core,
    resolver: &Resolver,
    renames: &[Rename<'_>],
) -> Result<Vec<Result<Applied>>> {
    let mut planner = core.batches.planner.lock();
    let now = core.now(&*planner).now;
    let mut renames = renames.to_vec();
    let mut answers: Vec<Option<Error>> = renames.iter().map(|rename| check_key(rename.to).err()).collect();
    for _ in 0..ATTEMPTS_MAX {
        let lookup = lookup(core, &renames)?;
        let mut shards = core.schedule.lock_all();
        let mut found: Vec<Result<Renaming>> = Vec::with_capacity(renames.len());
        let mut elsewhere = Vec::new();
        let candidates = Candidates::of_all(core, &shards, lookup)?;
        for (index, (rename, refused)) in renames.iter().zip(&answers).enumerate() {
            found.push(match refused {
                Some(error) => Err(error.duplicate()),
                None => match search(core, &mut shards, &candidates, rename) {
                    Ok(Search::Found(renaming)) => Ok(renaming),
                    Ok(Search::Elsewhere(id)) => {
                        elsewhere.push((index, id));
                        Err(unknown(id))
                    }
                    Err(error) => Err(error),
                },
            });
        }
        if elsewhere.is_empty() {
            let moves = write(core, &mut shards, &renames, found, now)?;
            if let Some(sweep) = &mut planner.sweep {
                moves.iter().flatten().for_each(|(from, (changed, _))| sweep.follow(*from, changed.id));
            }
            return Ok(moves.into_iter().map(|moved| moved.map(|(_, applied)| applied)).collect());
        }
        drop(shards);
        for (index, id) in elsewhere {
            match resolver.resolve(core, id)? {
                Location::Live(at) if at == id => answers[index] = Some(unknown(id)),
                Location::Live(at) => renames[index].of = Which::Id(at),
                Location::Ended(end) => answers[index] = Some(ended(id, &end)),
            }
        }
    }
    let busy = || Err(Error::new(ErrorKind::Busy, "a registration kept moving during the search; try again"));
    Ok(renames.iter().map(|_| busy()).collect())
}

fn check_key(key: &[u8]) -> Result<()> {
    if (1..=KEY_MAX_BYTES).contains(&key.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("new key of {} bytes; 1 to {KEY_MAX_BYTES} are allowed", key.len())))
}

/// Searches the runs of the key index for all keys of the renames.
fn lookup(core: &Core, renames: &[Rename<'_>]) -> Result<RunLookup> {
    let mut keys: Vec<&[u8]> = Vec::with_capacity(renames.len() * 2);
    for rename in renames {
        keys.push(rename.to);
        if let Which::Key(key) | Which::Version { key, .. } = rename.of {
            keys.push(key);
        }
    }
    let located = core.schedule.locate_each(keys.into_iter());
    RunLookup::of(core, located.into_iter().map(|(_, fingerprint)| fingerprint).collect())
}

/// Searches the object of a rename and what lives under its new key.
fn search(
    core: &Core,
    shards: &mut [PoisoningGuard<'_, Shard>],
    candidates: &Candidates,
    rename: &Rename<'_>,
) -> Result<Search> {
    let live = |shards: &mut [PoisoningGuard<'_, Shard>], key: &[u8]| {
        let (number, fingerprint) = core.schedule.locate(key);
        candidates.live(core, &mut shards[number], &fingerprint, key, |id, row| Ok((id, row.encode())))
    };
    let id = match rename.of {
        Which::Id(id) if usize::from(id.page.shard) < shards.len() => id,
        Which::Id(id) => return Err(unknown(id)),
        // Of several versions of a key, any shows that the class refuses renames.
        Which::Key(key) | Which::Version { key, .. } => match live(shards, key)? {
            Some((id, row))
                if is_meant(rename.of, &Row::decode(&row)?, core.classes.get(id.page.class)?.as_ref()) =>
            {
                id
            }
            Some(_) => return Err(Error::not_found("no live registration has this key and version")),
            // A call may be repeated.
            None => match live(shards, rename.to)? {
                Some((id, row)) if Row::decode(&row)?.first == Some(key) => id,
                _ => return Err(Error::not_found("no live registration has this key")),
            },
        },
    };
    let Some((id, row)) = find_row(core, &mut shards[usize::from(id.page.shard)], id)? else {
        return Ok(Search::Elsewhere(id));
    };
    let class = core.classes.get(id.page.class)?;
    plan::check_one_version(&class, "an object keeps its key")?;
    let occupant = match class.finds_by_key() {
        true => live(shards, rename.to)?.filter(|(other, _)| *other != id),
        false => None,
    };
    if let Some((there, _)) = &occupant {
        plan::check_one_version(&*core.classes.get(there.page.class)?, "its objects keep the new key")?;
    }
    Ok(Search::Found(Renaming { id, row, occupant }))
}

/// Returns `true` if a reference by key means the live registration with this row.
fn is_meant(of: Which<'_>, row: &Row<'_>, class: &Class) -> bool {
    match of {
        Which::Version { version, .. } => row.version == version || class.finds_by_version(),
        _ => true,
    }
}

/// Rename that was written: the id of the object before it, and the answer.
type Written = (RegistrationId, Applied);

/// Writes the renames that are allowed.
fn write(
    core: &Core,
    shards: &mut [PoisoningGuard<'_, Shard>],
    renames: &[Rename<'_>],
    mut found: Vec<Result<Renaming>>,
    now: Timestamp,
) -> Result<Vec<Result<Written>>> {
    refuse(core, renames, &mut found)?;
    let mut answers = Vec::with_capacity(found.len());
    let moving: BTreeSet<RegistrationId> = found.iter().flatten().map(|renaming| renaming.id).collect();
    // The keys that will blind the new rows are durable before the rows are. A crash in between leaves keys without a row.
    for (rename, renaming) in renames.iter().zip(&found) {
        let Ok(Renaming { id, row, .. }) = renaming else { continue };
        let (class, row) = (core.classes.get(id.page.class)?, Row::decode(row)?.renamed(rename.to));
        let Move { slot, .. } = plan::in_its_time(core, &class, (*id, row), false, now);
        core.secrets.keyring.get_or_create(class.id, slot)?;
    }
    let mut set = WriteSet::default();
    for (rename, renaming) in renames.iter().zip(found) {
        answers.push(match renaming {
            Err(error) => Err(error),
            Ok(renaming) => {
                let staged = stage(core, shards, &mut set, (rename, &renaming), &moving, now);
                Ok((renaming.id, placement::poison_on_gap(core, &set, staged)?))
            }
        });
    }
    // Without a new row, an answer relies on the write that applied the rename before. It may still wait for its fsync.
    let write = if set.is_empty() { core.writer.so_far() } else { core.writer.write(set)? };
    Ok(answers
        .into_iter()
        .map(|answer| answer.map(|(from, changed)| (from, (changed, Some(write)))))
        .collect())
}

/// Refuses the renames that may not be applied, and those onto the keys of refused ones.
fn refuse(core: &Core, renames: &[Rename<'_>], found: &mut [Result<Renaming>]) -> Result<()> {
    // Renames by what their objects are known by. An object that the search refused has no row here.
    let (mut by_key, mut by_id) = (BTreeMap::new(), BTreeMap::new());
    let (mut objects, mut keys) = (BTreeSet::new(), BTreeSet::new());
    for (index, (rename, renaming)) in renames.iter().zip(found.iter_mut()).enumerate() {
        match rename.of {
            Which::Key(key) | Which::Version { key, .. } => _ = by_key.entry(key.to_vec()).or_insert(index),
            Which::Id(id) => _ = by_id.entry(id).or_insert(index),
        }
        let Ok(known) = renaming else { continue };
        by_key.entry(Row::decode(&known.row)?.key.to_vec()).or_insert(index);
        let why = match (objects.insert(known.id), keys.insert(rename.to)) {
            (true, true) => check(core, rename, known)?,
            (false, _) => Some(Error::invalid("the object is renamed twice in one call")),
            (true, false) => Some(Error::invalid("two objects are renamed to this key in one call")),
        };
        if let Some(why) = why {
            *renaming = Err(why);
        }
    }
    for (rename, renaming) in renames.iter().zip(found.iter_mut()) {
        let Ok(known) = &renaming else { continue };
        let replaced = known.occupant.as_ref().filter(|(id, _)| !objects.contains(id));
        if let Some(replaced) = replaced
            && let Some(why) = check_replaced(core, rename, known, replaced)?
        {
            *renaming = Err(why);
        }
    }
    // The key of an object that stays is not free.
    while let Some((index, why)) = (0..found.len()).find_map(|index| {
        let occupant = found[index].as_ref().ok()?.occupant.as_ref();
        let of_occupant = occupant.and_then(|(id, _)| by_id.get(id));
        let there = *by_key.get(renames[index].to).or(of_occupant).filter(|there| **there != index)?;
        Some((index, found[there].as_ref().err()?.duplicate()))
    }) {
        let text = format!("the object that has the new key was not renamed: {}", why.message());
        found[index] = Err(Error::new(why.kind(), text));
    }
    Ok(())
}

/// Returns why an object may not be renamed, if it may not.
fn check(core: &Core, rename: &Rename<'_>, renaming: &Renaming) -> Result<Option<Error>> {
    let (id, row) = (renaming.id, Row::decode(&renaming.row)?);
    if row.key == rename.to {
        return Ok(None);
    }
    if let Err(why) = plan::check_not_released(id, &row) {
        return Ok(Some(why));
    }
    let class = core.classes.get(id.page.class)?;
    let (name, names) = (&class.definition.name, row.renamed(rename.to).names());
    let holds = core.governance.holds.read();
    let lost = holds.lost_by_move(HoldFacts::of(name, id.page.slot, &row), name, names, row.subject);
    Ok(lost.map(|hold| hold::held(&format!("registration {id} keeps its present key"), hold)))
}

/// Returns why the object under the new key may not be replaced, if it may not.
///
/// It may be the renamed object itself, registered under its new key before the rename was stated. A hold or a waiting erasure
/// on it must then cover the renamed one as well.
fn check_replaced(
    core: &Core,
    rename: &Rename<'_>,
    renaming: &Renaming,
    (id, bytes): &Found,
) -> Result<Option<Error>> {
    let (row, replaced) = (Row::decode(&renaming.row)?, Row::decode(bytes)?);
    let may_be_same = [row.version, replaced.version].iter().any(|version| version.is_empty())
        || row.has_version(renaming.id.page.class, replaced.version)
        || replaced.has_version(id.page.class, row.version);
    if row.key == rename.to || !may_be_same || replaced.flags.has(Flags::RELEASED) {
        return Ok(None);
    }
    let (from, to) = (core.classes.get(id.page.class)?, core.classes.get(renaming.id.page.class)?);
    let facts = HoldFacts::of(&from.definition.name, id.page.slot, &replaced);
    let names = row.renamed(rename.to).names();
    let what = format!("registration {id} cannot be replaced");
    let requests = core.governance.requests.lock();
    if let Err(why) = requests.check_subject(&what, replaced.subject, row.subject) {
        return Ok(Some(why));
    }
    drop(requests);
    let holds = core.governance.holds.read();
    let lost = holds.lost_by_move(facts, &to.definition.name, names, row.subject);
    Ok(lost.map(|hold| hold::held(&what, hold)))
}

/// Stages one rename. `moving` has the objects that leave their keys in the same write.
fn stage(
    core: &Core,
    shards: &mut [PoisoningGuard<'_, Shard>],
    set: &mut WriteSet,
    (rename, renaming): (&Rename<'_>, &Renaming),
    moving: &BTreeSet<RegistrationId>,
    now: Timestamp,
) -> Result<Changed> {
    let (id, old) = (renaming.id, Row::decode(&renaming.row)?);
    let class = core.classes.get(id.page.class)?;
    if old.key == rename.to {
        return answer(core, &class, id, &old);
    }
    let (number, fingerprint) = core.schedule.locate(rename.to);
    let replaced = renaming.occupant.as_ref().map(|(id, _)| *id).filter(|id| !moving.contains(id));
    if let Some(replaced) = replaced {
        placement::replace(core, &mut shards[number], set, replaced, &fingerprint);
    }
    let from = usize::from(id.page.shard);
    let among_short_notice = shards[from].page_mut(id.page).is_some_and(|page| page.short_notice > 0);
    // The host saw the object after every earlier attempt, so none of them deleted it.
    let row = Row { flags: old.flags.without(Flags::MAYBE_DELETED), ..old.renamed(rename.to) };
    let Move { slot, short_notice, row, cause, .. } =
        plan::in_its_time(core, &class, (id, row), among_short_notice, now);
    let to = Placement { class: &class, slot, short_notice, fingerprint: &fingerprint };
    let cause = placement::cause_of(&old, &row, cause);
    let links = Links { replaces: replaced, ..Links::of_move(id, &old, &row, cause) };
    let new = placement::put(core, &mut shards[number], set, to, &row, links)?;
    placement::leave(core, &mut shards[from], set, (id, &old), new, cause)?;
    answer(core, &class, new, &row)
}
