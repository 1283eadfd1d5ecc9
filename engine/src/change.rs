//! What a host says of an object that is registered: that its start is known now, that it falls under other terms, that
//! the host deleted it itself. The registration moves to the page where it is to go from now on.

use crate::class::{Class, change_of_terms};
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::hold::{self, Covered};
use crate::index::{PageState, Shard};
use crate::kv::{Family, WriteSet};
use crate::locator::{self, SoughtKey};
use crate::place::{self, Place};
use crate::register::{self, Durability};
use crate::schema::{self, FINGERPRINT_BYTES, Flags, Mark, Row};
use crate::trail::{Trail, Whereabouts};
use crate::writer::Ticket;
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::Openings;
use sexton_proof::record::{Cause, Reason};
use std::sync::Arc;

/// How often a registration is looked for again that moved while it was looked for.
const LOOKS_MAX: usize = 16;

/// Which registered object is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which<'a> {
    /// The live registration of this key, where its class finds by key.
    Key(&'a [u8]),
    /// The registration with this id, wherever it lives by now.
    Id(RegistrationId),
}

/// What a host says of a registered object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// Its start, not known so far, is `start_ms`: the end of processing, the closing of an account.
    Start {
        /// The object.
        of: Which<'a>,
        /// Unix ms; not after the instant at which it would have started by itself (`max_open`).
        start_ms: i64,
    },
    /// It falls under other terms: the window of `class` from `start_ms` on, each as before where none is given. Its
    /// bounds are always what a class makes of a start, so that anybody can check them.
    Reschedule {
        /// The object.
        of: Which<'a>,
        /// The class.
        class: Option<&'a str>,
        /// Unix ms. A later one extends, an earlier one shortens.
        start_ms: Option<i64>,
    },
    /// The host has deleted it itself.
    Release {
        /// The object.
        of: Which<'a>,
    },
}

/// The answer to one change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its registration id from here on; the earlier ones lead to it.
    pub id: RegistrationId,
    /// Its floor, [`sexton_proof::id::NO_FLOOR`] where there is none.
    pub floor_ms: i64,
    /// Its ceiling, [`sexton_proof::id::NO_CEILING`] where there is none.
    pub ceiling_ms: i64,
    /// Where the class says `openings = "ticket"`: the new ticket, which takes the place of the earlier one.
    pub ticket: Option<Vec<u8>>,
}

/// Applies each change or says why not. One fsync for all.
pub(crate) fn change(
    core: &Core,
    trail: &Trail,
    changes: &[Change<'_>],
    durability: Durability,
    now_ms: i64,
) -> Result<Vec<Result<Changed>>> {
    core.check_writable()?;
    let mut last = None;
    let mut answers = Vec::with_capacity(changes.len());
    for change in changes {
        let answer = one(core, trail, change, now_ms);
        core.check_writable()?;
        answers.push(answer.map(|(changed, ticket)| {
            last = last.max(ticket);
            changed
        }));
    }
    locator::write_out_where_full(core)?;
    if let (Some(ticket), Durability::Synced) = (last, durability) {
        core.writer.sync(ticket)?;
    }
    Ok(answers)
}

fn one(core: &Core, trail: &Trail, change: &Change<'_>, now_ms: i64) -> Result<(Changed, Option<Ticket>)> {
    let (Change::Start { of, .. } | Change::Reschedule { of, .. } | Change::Release { of }) = *change;
    let mut of = of;
    for _ in 0..LOOKS_MAX {
        let (mut shard, id) = match of {
            Which::Key(key) => {
                let sought = SoughtKey::of(core, key)?;
                let mut shard = sought.lock(core);
                let id = sought.live(core, &mut shard, |id, _| Ok(id))?;
                (shard, id.ok_or_else(|| Error::not_found("no live registration has this key"))?)
            }
            Which::Id(id) if usize::from(id.page.shard) < core.index.shards() => {
                (core.index.lock(id.page.shard.into()), id)
            }
            Which::Id(id) => return Err(unknown(id)),
        };
        if let Some((id, bytes)) = look(core, &mut shard, id)? {
            return apply(core, &mut shard, change, id, &Row::decode(&bytes)?, now_ms);
        }
        drop(shard);
        // Its page has settled: the evidence tells where it went, and reading that takes no lock.
        match trail.follow(core, id)? {
            Whereabouts::Unsettled(at) if at == id => return Err(unknown(id)),
            Whereabouts::Unsettled(at) => of = Which::Id(at),
            Whereabouts::Ended(end) => {
                return Err(Error::new(
                    ErrorKind::TooLate,
                    format!(
                        "registration {id} has ended: {} at {} ms",
                        end.tombstone.method, end.tombstone.time_ms
                    ),
                ));
            }
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        "the registration moved again and again while it was looked for; try again",
    ))
}

fn unknown(id: RegistrationId) -> Error {
    Error::not_found(format!("there is no live registration {id}"))
}

/// The registration and its row, where it lives in a page of this shard. `None` where its page has settled or never
/// was.
fn look(core: &Core, shard: &mut Shard, mut id: RegistrationId) -> Result<Option<(RegistrationId, Vec<u8>)>> {
    loop {
        let Some(page) = shard.page_mut(id.page).copied() else { return Ok(None) };
        match if page.marked { place::mark(core, id)? } else { None } {
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
                let row = core.kv.get(Family::Rows(id.page.class), &schema::row_key(id))?;
                return row.map(|bytes| Some((id, bytes))).ok_or_else(|| unknown(id));
            }
        }
    }
}

/// Where a registration goes, and as what.
struct Move<'a> {
    class: Arc<Class>,
    slot: u64,
    surprise: bool,
    row: Row<'a>,
    cause: Cause,
}

fn apply(
    core: &Core,
    shard: &mut Shard,
    change: &Change<'_>,
    id: RegistrationId,
    row: &Row<'_>,
    now_ms: i64,
) -> Result<(Changed, Option<Ticket>)> {
    let class = core.class(id.page.class)?;
    let planned = match *change {
        Change::Start { start_ms, .. } => start(&class, row, start_ms, now_ms)?,
        Change::Reschedule { class: name, start_ms, .. } => {
            reschedule(core, &class, row, name, start_ms, now_ms)?
        }
        Change::Release { .. } => release(core, &class, id, row, now_ms)?,
    };
    let Some(planned) = planned else {
        // As it is already. What it relies on may have been written without waiting for its fsync.
        let changed = answer(core, &class, id, row)?;
        return Ok((changed, Some(core.writer.so_far())));
    };
    // The key that will blind the new row is durable before the row is.
    core.keyring.get_or_create(planned.class.id, planned.slot)?;
    let (_, fingerprint): (usize, [u8; FINGERPRINT_BYTES]) = core.index.locate(row.key);
    let to = Place {
        class: &planned.class,
        slot: planned.slot,
        surprise: planned.surprise,
        fingerprint: &fingerprint,
    };
    let mut set = WriteSet::default();
    let new = place::relocate(core, shard, &mut set, (id, row), to, &planned.row, planned.cause)
        .inspect_err(|error| core.writer.poison(error))?;
    let ticket = core.writer.write(set)?;
    Ok((answer(core, &planned.class, new, &planned.row)?, Some(ticket)))
}

fn answer(core: &Core, class: &Class, id: RegistrationId, row: &Row<'_>) -> Result<Changed> {
    let ticket = match class.definition.openings {
        Openings::Operator => None,
        Openings::Ticket => Some(register::opening(core, class, id, row)?.encode()),
    };
    Ok(Changed { id, floor_ms: row.floor_ms, ceiling_ms: row.ceiling_ms, ticket })
}

fn start<'a>(class: &Arc<Class>, row: &Row<'a>, start_ms: i64, now_ms: i64) -> Result<Option<Move<'a>>> {
    if !row.flags.has(Flags::OPEN) {
        if row.start_ms == start_ms {
            return Ok(None);
        }
        return Err(Error::invalid(format!(
            "its start is known already: {} ms; to change it, reschedule it",
            row.start_ms
        )));
    }
    if row.start_ms <= now_ms || start_ms > row.start_ms {
        return Err(Error::invalid(format!(
            "start {start_ms} ms: nobody had said when it starts by {} ms, the end of max_open, so that is its start; \
             to change it, reschedule it",
            row.start_ms
        )));
    }
    let start_ms = class.start_ms(Some(start_ms), now_ms)?;
    terms(class, row, start_ms, row.flags.without(Flags::OPEN), now_ms)
        .map(|planned| Some(Move { cause: Cause::Started, ..planned }))
}

/// The row under the terms of `class` from `start_ms` on.
fn terms<'a>(
    class: &Arc<Class>,
    row: &Row<'a>,
    start_ms: i64,
    flags: Flags,
    now_ms: i64,
) -> Result<Move<'a>> {
    let bounds = class.bounds(start_ms)?;
    let cause = change_of_terms(row.bounds(), bounds);
    let (floor_ms, ceiling_ms) = (bounds.floor_ms, bounds.ceiling_ms);
    // What somebody asked to be erased, or closed down, still goes as soon as its floor allows. What a hold had kept
    // past its time has a new one.
    let (reason, slot) = match row.reason {
        Reason::Due | Reason::Lifted => (Reason::Due, class.slot(bounds, now_ms)),
        Reason::Erasure | Reason::Closed | Reason::Restored | Reason::Host => {
            (row.reason, class.soonest_slot(bounds, now_ms))
        }
    };
    let row = Row { cause: cause.code(), attempts: 0, start_ms, floor_ms, ceiling_ms, flags, reason, ..*row };
    let surprise = class.is_surprise(start_ms, bounds, now_ms);
    Ok(Move { class: Arc::clone(class), slot, surprise, row, cause })
}

fn reschedule<'a>(
    core: &Core,
    class: &Arc<Class>,
    row: &Row<'a>,
    name: Option<&str>,
    start_ms: Option<i64>,
    now_ms: i64,
) -> Result<Option<Move<'a>>> {
    let to = match name {
        None => Arc::clone(class),
        Some(name) => {
            let classes = core.classes.read();
            if classes.is_closed(name) {
                return Err(register::closed(name));
            }
            Arc::clone(classes.known(name)?)
        }
    };
    check_compatible(class, &to)?;
    if row.flags.has(Flags::RELEASED) {
        return Err(Error::new(ErrorKind::TooLate, "the host said that it has deleted it itself"));
    }
    if let Some(hold) = core.holds.read().left_by(row, &class.definition.name, &to.definition.name) {
        let what = format!("it cannot go to class \"{}\"", to.definition.name);
        return Err(hold::held(&what, hold));
    }
    let flags = if start_ms.is_some() { row.flags.without(Flags::OPEN) } else { row.flags };
    let start_ms = match start_ms {
        Some(start_ms) => to.start_ms(Some(start_ms), now_ms)?,
        None => row.start_ms,
    };
    if to.id == class.id && start_ms == row.start_ms && flags == row.flags {
        return Ok(None);
    }
    terms(&to, row, start_ms, flags, now_ms).map(Some)
}

/// Refuses to take objects from one class to another that finds or opens in another way: they could not be found by
/// those who look, or nobody would have what opens them.
pub(crate) fn check_compatible(from: &Class, to: &Class) -> Result<()> {
    let (a, b) = (&from.definition, &to.definition);
    if a.find != b.find {
        return Err(Error::invalid(format!(
            "class \"{}\" has find = \"{}\", class \"{}\" has find = \"{}\": objects cannot go from one to the other",
            a.name,
            a.find.name(),
            b.name,
            b.find.name()
        )));
    }
    if a.openings != b.openings {
        return Err(Error::invalid(format!(
            "class \"{}\" has openings = \"{}\", class \"{}\" has openings = \"{}\": objects cannot go from one to the \
             other",
            a.name,
            a.openings.name(),
            b.name,
            b.openings.name()
        )));
    }
    Ok(())
}

fn release<'a>(
    core: &Core,
    class: &Arc<Class>,
    id: RegistrationId,
    row: &Row<'a>,
    now_ms: i64,
) -> Result<Option<Move<'a>>> {
    if row.flags.has(Flags::RELEASED) {
        return Ok(None);
    }
    if let Some(hold) = core.holds.read().covering(Covered::of(&class.definition.name, row)) {
        return Err(hold::held(&format!("registration {id} cannot be released"), hold));
    }
    let cause = Cause::Released;
    let row =
        Row { cause: cause.code(), reason: Reason::Host, flags: row.flags.with(Flags::RELEASED), ..*row };
    let slot = crate::class::second_of(now_ms);
    Ok(Some(Move { class: Arc::clone(class), slot, surprise: false, row, cause }))
}
