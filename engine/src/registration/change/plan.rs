//! Moves that changes ask for: the page, the terms and the row under which a registration lives on.

use crate::model::class::{Class, change_of_terms, floor_to_second};
use crate::model::grace;
use crate::model::hold::{self, HoldFacts};
use crate::model::request_rules::{self, NewStart};
use crate::model::schema::{Flags, Row};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::registration::placement;
use crate::state::core::Core;
use sexton_proof::id::{RegistrationId, VERSION_MAX_BYTES};
use sexton_proof::record::{Cause, Reason};
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Move of a registration that a change asks for.
pub(super) struct Move<'a> {
    pub(super) class: Arc<Class>,
    pub(super) slot: u64,
    pub(super) short_notice: bool,
    pub(super) row: Row<'a>,
    pub(super) cause: Cause,
}

/// Plans the move of an object whose start becomes known. `None` if it has this start already.
pub(super) fn plan_start<'a>(
    class: &Arc<Class>,
    id: RegistrationId,
    row: &Row<'a>,
    start: Timestamp,
    now: Timestamp,
) -> Result<Option<Move<'a>>> {
    if !row.flags.has(Flags::OPEN) {
        if row.start == start {
            return Ok(None);
        }
        return Err(Error::invalid(format!(
            "the start of {id} is known already: {}; to change it, reschedule it",
            row.start
        )));
    }
    if row.start <= now {
        return Err(Error::invalid(format!(
            "registration {id} has had the start {} since max_open ended; to change it, reschedule it",
            row.start
        )));
    }
    if start > row.start {
        return Err(Error::invalid(format!(
            "start {start} of registration {id} is after {}, the end of max_open; give an earlier start, or \
             reschedule it",
            row.start
        )));
    }
    let start = class.start(Some(start), now)?;
    under_terms(class, class, row, NewStart::stated(row, start), now)
        .map(|planned| Some(Move { cause: Cause::Started, ..planned }))
}

/// Returns the row under the terms of `to` from a new start on. `from` is the class version that it leaves.
fn under_terms<'a>(
    from: &Class,
    to: &Arc<Class>,
    row: &Row<'a>,
    new: NewStart,
    now: Timestamp,
) -> Result<Move<'a>> {
    let bounds = to.bounds(new.start)?;
    let cause = change_of_terms(row.bounds(), bounds);
    // If an erasure or a closing covers the object, it is still deleted as soon as its floor allows. If a lifted hold
    // kept it past its time, it gets a new time: only holds that are lifted later give it a grace.
    let slot = match row.reason {
        Reason::Due => to.slot(bounds, now),
        _ => to.soonest_slot(bounds, now),
    };
    let row = new.of(row.under(from.id, to.id, new.start, bounds));
    let flags = row.flags.without(Flags::OUTLASTED);
    // A start that the host states is in no doubt.
    let doubt = row.doubt.filter(|_| flags.has(Flags::CLOCKED));
    let is_due = !flags.has(Flags::OPEN) && to.falls_due(bounds) <= now;
    let registered = if is_due { Some(now) } else { row.registered };
    let row = Row { cause: cause.code(), attempts: 0, flags, doubt, registered, ..row };
    let short_notice = to.is_short_notice(new.start, bounds, now);
    Ok(Move { class: Arc::clone(to), slot, short_notice, row, cause })
}

/// Plans the move of an object to other terms. `None` if it is under these terms already.
pub(super) fn plan_reschedule<'a>(
    core: &Core,
    class: &Arc<Class>,
    (id, row): (RegistrationId, &Row<'a>),
    name: Option<&str>,
    start: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Move<'a>>> {
    let to = match name {
        None => Arc::clone(class),
        Some(name) => {
            let classes = core.classes.read();
            classes.check_open(name)?;
            Arc::clone(classes.known(name)?)
        }
    };
    check_compatible(class, &to)?;
    check_not_released(id, row)?;
    let (facts, name) = (HoldFacts::of(&class.definition.name, id.page.slot, row), &to.definition.name);
    if let Some(hold) = core.governance.holds.read().lost_by_move(facts, name, row.names(), row.subject) {
        return Err(hold::held(&format!("registration {id} cannot move to class \"{name}\""), hold));
    }
    let new = match start {
        Some(start) => NewStart::stated(row, to.start(Some(start), now)?),
        None => request_rules::start_under(class, &to, row, now),
    };
    if to.id == class.id && new.is_of(row) {
        return Ok(None);
    }
    under_terms(class, &to, row, new, now).map(Some)
}

/// Content of an object, as a change states it.
#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) version: &'a [u8],
    pub(super) size: Option<u64>,
    /// Start from now on, if it is later than the present one.
    pub(super) start: Option<Timestamp>,
}

/// Plans the move of an object that has other content. `None` if it is registered with this content already.
///
/// `among_short_notice` is `true` if its page has registrations at short notice.
pub(super) fn plan_content<'a>(
    core: &Core,
    class: &Arc<Class>,
    (id, row): (RegistrationId, &Row<'a>),
    content: Content<'a>,
    among_short_notice: bool,
    now: Timestamp,
) -> Result<Option<Move<'a>>> {
    let Content { version, size, start } = content;
    if version.len() > VERSION_MAX_BYTES {
        return Err(Error::invalid(format!(
            "version of {} bytes; 0 to {VERSION_MAX_BYTES} are allowed",
            version.len()
        )));
    }
    check_one_version(class, "an object keeps its version")?;
    check_not_released(id, row)?;
    let start = start.map(|start| class.start(Some(start), now)).transpose()?;
    let later = start.filter(|start| *start > row.start);
    if later.is_none() && row.version == version && row.size == size {
        return Ok(None);
    }
    // The host saw the object after every earlier attempt, so none of them deleted it.
    let flags = row.flags.without(Flags::MAYBE_DELETED);
    let digest = if row.version == version { row.digest } else { &[] };
    let row = Row { size, digest, flags, ..row.with_version(class.id, version) };
    if let Some(start) = later {
        return under_terms(class, class, &row, NewStart::stated(&row, start), now).map(Some);
    }
    Ok(Some(in_its_time(core, class, (id, row), among_short_notice, now)))
}

/// Returns the move of a row that changes neither its time nor what was decided about it.
pub(super) fn in_its_time<'a>(
    core: &Core,
    class: &Arc<Class>,
    (id, row): (RegistrationId, Row<'a>),
    among_short_notice: bool,
    now: Timestamp,
) -> Move<'a> {
    let (row, slot) = grace::in_its_time(class, row, id.page.slot, &core.governance.holds.read(), now);
    let short_notice = placement::is_short_notice(class, id.page.slot, among_short_notice, slot, now);
    let cause = change_of_terms(row.bounds(), row.bounds());
    // A parked row stays in a page of such rows.
    let in_page = if row.is_parked() { Cause::Held } else { cause };
    let row = Row { cause: in_page.code(), attempts: 0, ..row };
    Move { class: Arc::clone(class), slot, short_notice, row, cause }
}

/// Refuses a change that would give a registration another key or version, if these tell objects apart.
pub(super) fn check_one_version(class: &Class, why: &str) -> Result<()> {
    if class.finds_by_version() {
        return Err(Error::invalid(format!(
            "class \"{}\" has find = \"version\": {why}; register the new object",
            class.definition.name
        )));
    }
    Ok(())
}

/// Refuses a change of an object that its host deleted.
pub(super) fn check_not_released(id: RegistrationId, row: &Row<'_>) -> Result<()> {
    if row.flags.has(Flags::RELEASED) {
        return Err(Error::new(
            ErrorKind::TooLate,
            format!("registration {id} is released: the host has reported its deletion"),
        ));
    }
    Ok(())
}

/// Refuses to move objects to a class with another `find` or `openings` rule.
///
/// With another `find` rule a lookup by key would miss them. With another `openings` rule neither the host nor the
/// operator would hold their openings.
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

/// Plans the move of an object that its host deleted. `None` if it is released already.
pub(super) fn plan_release<'a>(
    core: &Core,
    class: &Arc<Class>,
    id: RegistrationId,
    row: &Row<'a>,
    now: Timestamp,
) -> Result<Option<Move<'a>>> {
    if row.flags.has(Flags::RELEASED) {
        return Ok(None);
    }
    let facts = HoldFacts::of(&class.definition.name, id.page.slot, row);
    if let Some(hold) = core.governance.holds.read().covering(facts) {
        return Err(hold::held(&format!("registration {id} cannot be released"), hold));
    }
    let cause = Cause::Released;
    let row = Row {
        cause: cause.code(),
        reason: Reason::Host,
        flags: row.flags.with(Flags::RELEASED).without(Flags::OUTLASTED),
        ..*row
    };
    let slot = floor_to_second(now);
    Ok(Some(Move { class: Arc::clone(class), slot, short_notice: false, row, cause }))
}
