//! Changes of registered objects by their host: a start that is now known, other terms, other content, a deletion by the
//! host itself. The registration moves to the page of its new slot.

mod plan;
mod rename;

pub(crate) use plan::check_compatible;

use crate::model::class::Class;
use crate::model::schema::{self, FINGERPRINT_BYTES, Mark, Row};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::commitment::ticket_of;
use crate::registration::placement::{self, Placement};
use crate::registration::register::Durability;
use crate::registration::resolve::{End, Location, Resolver};
use crate::state::core::Core;
use crate::state::locator::{self, KeyLookup};
use crate::state::marks;
use crate::state::page::PageState;
use crate::state::shard::Shard;
use crate::state::writer::{PoisoningGuard, WriteNumber};
use plan::{Content, plan_content, plan_release, plan_reschedule, plan_start};
use rename::Rename;
use sexton_proof::id::RegistrationId;
use sexton_proof::time::Timestamp;

/// Limit on the attempts to find a registration that other threads move during the search.
const ATTEMPTS_MAX: usize = 16;

/// Reference to a registered object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which<'a> {
    /// Live registration of this key. Its class must find by key. If several versions of the key live, none of them is meant.
    Key(&'a [u8]),
    /// Live registration of this key whose object has this version. Its class must find by key or by version.
    Version {
        /// Key.
        key: &'a [u8],
        /// Version.
        version: &'a [u8],
    },
    /// Registration with this id or with an earlier id of its life.
    Id(RegistrationId),
}

/// Change of a registered object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change<'a> {
    /// Sets the start of an object that was registered without one, such as the closing of an account.
    Start {
        /// Object.
        of: Which<'a>,
        /// Start. It is no later than the start that the object would get at the end of `max_open`.
        start: Timestamp,
    },
    /// Puts the object under other terms: the window of `class` from `start` on. `None` leaves class or start unchanged.
    /// The bounds always follow from a class and a start, so that a verifier can check them.
    Reschedule {
        /// Object.
        of: Which<'a>,
        /// Name of the class.
        class: Option<&'a str>,
        /// Start. A later start extends the time of the object, an earlier one shortens it.
        start: Option<Timestamp>,
    },
    /// States that the object has other content, such as a file that was written again or grew. It stays the object:
    /// class, holds, erasures and reasons stay. The digest of other content is dropped.
    Content {
        /// Object.
        of: Which<'a>,
        /// Version by which the store recognises the object from now on: at most 1,024 bytes, or empty.
        version: &'a [u8],
        /// Size from now on, bytes; `None` if it is not known.
        size: Option<u64>,
        /// Start from now on, and the bounds follow from it. A start that is not later than the present one, or `None`,
        /// leaves start and bounds as they are.
        start: Option<Timestamp>,
    },
    /// States that the object is stored under another key, such as a file that was renamed. It stays the object: terms,
    /// holds, erasures and reasons stay, and holds and erasures by key cover it under its first key as well.
    ///
    /// From now on the new key finds the object, and the store deletes it there. The evidence keeps the first key. An
    /// object with a live registration under the new key is replaced. Renames that follow each other in a call are applied
    /// together, so two objects may exchange their keys. To repeat such a call safely, name the objects by id.
    Rename {
        /// Object.
        of: Which<'a>,
        /// New key, 1 to 2,048 bytes.
        to: &'a [u8],
    },
    /// Records that the host deleted the object itself.
    Release {
        /// Object.
        of: Which<'a>,
    },
}

impl<'a> Change<'a> {
    fn rename(&self) -> Option<Rename<'a>> {
        match *self {
            Change::Rename { of, to } => Some(Rename { of, to }),
            _ => None,
        }
    }

    fn object(&self) -> Which<'a> {
        let (Change::Start { of, .. }
        | Change::Reschedule { of, .. }
        | Change::Content { of, .. }
        | Change::Rename { of, .. }
        | Change::Release { of }) = *self;
        of
    }
}

/// Live registration of a key, as far as a host needs it to tell if the object is still the registered one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveObject {
    /// Present registration id.
    pub id: RegistrationId,
    /// Name of its class.
    pub class: String,
    /// Version by which the store recognises the object; empty if it has none.
    pub version: Vec<u8>,
}

/// Answer to a change, with the number of the write that it relies on.
type Applied = (Changed, Option<WriteNumber>);

/// Returns the live registration of a key. `None` if there is none, or if its class does not find by key.
pub(crate) fn live(core: &Core, key: &[u8]) -> Result<Option<LiveObject>> {
    let lookup = KeyLookup::of(core, key)?;
    let mut shard = lookup.lock(core);
    lookup.only(core, &mut shard, |id, row| live_object(core, id, row))
}

/// Returns the live registrations of a key, of which a class that finds by version may have several.
pub(crate) fn versions(core: &Core, key: &[u8]) -> Result<Vec<LiveObject>> {
    let lookup = KeyLookup::of(core, key)?;
    let mut shard = lookup.lock(core);
    lookup.all(core, &mut shard, |id, row| live_object(core, id, row))
}

fn live_object(core: &Core, id: RegistrationId, row: &Row<'_>) -> Result<LiveObject> {
    let class = core.classes.get(id.page.class)?.definition.name.clone();
    Ok(LiveObject { id, class, version: row.version.to_vec() })
}

/// Answer to a change that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changed {
    /// Registration id from now on. Earlier ids lead to it.
    pub id: RegistrationId,
    /// Floor; `None` if there is none.
    pub floor: Option<Timestamp>,
    /// Ceiling; `None` if there is none.
    pub ceiling: Option<Timestamp>,
    /// New ticket, if the class has `openings = "ticket"`. It replaces the earlier one.
    pub ticket: Option<Vec<u8>>,
}

/// Applies each change on its own, and returns an answer to each, in their order. One fsync makes all of them durable.
///
/// # Errors
/// For the call: `Forked`, `Poisoned`, `Full`, `Io`. After `Err` other than `Forked` it is unknown which changes were
/// applied.
///
/// For one change: `Invalid` if the new start or class is not allowed, or several versions of the key live; `NotFound` if no live registration matches;
/// `Held` if a hold or a waiting erasure forbids it; `TooLate` if the object ended or a batch has it; `Busy` if it moves too often; `Full`,
/// `Io`, `Corrupt`.
pub(crate) fn change(
    core: &Core,
    resolver: &Resolver,
    changes: &[Change<'_>],
    durability: Durability,
) -> Result<Vec<Result<Changed>>> {
    core.check_writable()?;
    let mut last = None;
    let mut answers = Vec::with_capacity(changes.len());
    for run in changes.chunk_by(|a, b| a.rename().is_some() && b.rename().is_some()) {
        let applied = match run.iter().map(Change::rename).collect::<Option<Vec<Rename<'_>>>>() {
            Some(renames) => rename::rename(core, resolver, &renames)?,
            None => {
                // Held until the rows are written, so that time does not go back before.
                let gate = core.classes.closing.read();
                let now = core.now(&*gate).now;
                run.iter().map(|change| find_and_change(core, resolver, change, now)).collect()
            }
        };
        core.check_writable()?;
        answers.extend(applied.into_iter().map(|answer| {
            answer.map(|(changed, write)| {
                last = last.max(write);
                changed
            })
        }));
    }
    locator::flush_if_full(core)?;
    if let (Some(write), Durability::Synced) = (last, durability) {
        core.writer.sync(write)?;
    }
    Ok(answers)
}

/// Finds the registration and changes it under its shard's lock.
fn find_and_change(core: &Core, resolver: &Resolver, change: &Change<'_>, now: Timestamp) -> Result<Applied> {
    let mut of = change.object();
    for _ in 0..ATTEMPTS_MAX {
        let (mut shard, id) = lock_shard_of(core, of)?;
        if let Some((id, bytes)) = find_row(core, &mut shard, id)? {
            return change_row(core, &mut shard, change, id, &Row::decode(&bytes)?, now);
        }
        drop(shard);
        // The page has settled, so the evidence has the current id. No lock is held, so the registration may move again.
        match resolver.resolve(core, id)? {
            Location::Live(at) if at == id => return Err(unknown(id)),
            Location::Live(at) => of = Which::Id(at),
            Location::Ended(end) => {
                return Err(ended(id, &end));
            }
        }
    }
    Err(Error::new(ErrorKind::Busy, "the registration kept moving during the search; try again"))
}

/// Locks the shard of an object. Returns the lock and the id to begin with.
fn lock_shard_of<'c>(core: &'c Core, of: Which<'_>) -> Result<(PoisoningGuard<'c, Shard>, RegistrationId)> {
    match of {
        Which::Key(key) => {
            let lookup = KeyLookup::of(core, key)?;
            let mut shard = lookup.lock(core);
            let id = lookup.only(core, &mut shard, |id, _| Ok(id))?;
            Ok((shard, id.ok_or_else(|| Error::not_found("no live registration has this key"))?))
        }
        Which::Version { key, version } => {
            let lookup = KeyLookup::of(core, key)?;
            let mut shard = lookup.lock(core);
            let id = lookup.version(core, &mut shard, version)?;
            Ok((shard, id.ok_or_else(|| Error::not_found("no live registration has this key and version"))?))
        }
        Which::Id(id) if usize::from(id.page.shard) < core.schedule.shards() => {
            Ok((core.schedule.lock(id.page.shard.into()), id))
        }
        Which::Id(id) => Err(unknown(id)),
    }
}

fn ended(id: RegistrationId, end: &End) -> Error {
    Error::new(
        ErrorKind::TooLate,
        format!("registration {id} has ended: {} at {}", end.tombstone.method, end.tombstone.time),
    )
}

fn unknown(id: RegistrationId) -> Error {
    Error::not_found(format!("there is no live registration {id}"))
}

/// Follows the moves of a registration within a shard to its row. `None` if it left the shard, or if its page has settled or
/// never existed.
fn find_row(
    core: &Core,
    shard: &mut Shard,
    mut id: RegistrationId,
) -> Result<Option<(RegistrationId, Vec<u8>)>> {
    loop {
        if id.page.shard != shard.number() {
            return Ok(None);
        }
        let Some(page) = shard.page_mut(id.page).copied() else { return Ok(None) };
        match if page.has_marks { marks::of(&*core.kv, id)? } else { None } {
            Some(Mark::Moved { to, .. }) => id = to,
            Some(Mark::Replaced) => {
                return Err(Error::not_found(format!("a newer registration of its key replaced {id}")));
            }
            None if page.state == PageState::InBatch => {
                return Err(Error::new(
                    ErrorKind::TooLate,
                    format!("registration {id} is on its way to deletion already"),
                ));
            }
            None if page.state == PageState::Reserved => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("registration {id} is being carried to another page; try again"),
                ));
            }
            None if id.seq >= page.rows => return Ok(None),
            None => {
                let row = core.kv.get(ColumnFamily::Rows(id.page.class), &schema::row_key(id))?;
                return row.map(|bytes| Some((id, bytes))).ok_or_else(|| unknown(id));
            }
        }
    }
}

/// Moves the registration `id`, whose row is `row`, as the change asks. Returns the number of the write that the answer
/// relies on.
fn change_row<'a>(
    core: &Core,
    shard: &mut Shard,
    change: &Change<'a>,
    id: RegistrationId,
    row: &Row<'a>,
    now: Timestamp,
) -> Result<Applied> {
    let class = core.classes.get(id.page.class)?;
    let planned = match *change {
        Change::Start { start, .. } => plan_start(&class, id, row, start, now)?,
        Change::Reschedule { class: name, start, .. } => {
            plan_reschedule(core, &class, (id, row), name, start, now)?
        }
        Change::Content { version, size, start, .. } => {
            let among_short_notice = shard.page_mut(id.page).is_some_and(|page| page.short_notice > 0);
            plan_content(core, &class, (id, row), Content { version, size, start }, among_short_notice, now)?
        }
        Change::Release { .. } => plan_release(core, &class, id, row, now)?,
        Change::Rename { .. } => return Err(Error::internal("a rename was applied as another change")),
    };
    let Some(planned) = planned else {
        // The change was applied before. That write may still wait for its fsync.
        let changed = answer(core, &class, id, row)?;
        return Ok((changed, Some(core.writer.so_far())));
    };
    // The key that will blind the new row is durable before the row is. A crash in between leaves a key without a row.
    core.secrets.keyring.get_or_create(planned.class.id, planned.slot)?;
    let (_, fingerprint): (usize, [u8; FINGERPRINT_BYTES]) = core.schedule.locate(row.key);
    let to = Placement {
        class: &planned.class,
        slot: planned.slot,
        short_notice: planned.short_notice,
        fingerprint: &fingerprint,
    };
    let mut set = WriteSet::default();
    let staged = placement::relocate(core, shard, &mut set, (id, row), to, &planned.row, planned.cause);
    let (new, _) = placement::poison_on_gap(core, &set, staged)?;
    let write = core.writer.write(set)?;
    Ok((answer(core, &planned.class, new, &planned.row)?, Some(write)))
}

fn answer(core: &Core, class: &Class, id: RegistrationId, row: &Row<'_>) -> Result<Changed> {
    let ticket = ticket_of(core, class, id, row)?;
    Ok(Changed { id, floor: row.floor, ceiling: row.ceiling, ticket })
}
