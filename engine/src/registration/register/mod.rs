//! Registration of objects. A call is validated as a whole, then numbered and written shard by shard under each shard's
//! lock. One fsync, which all waiting callers share, makes it durable.

mod repeat;
mod types;
mod validate;
mod write;

pub(crate) use self::types::RegisterMode;
pub use self::types::{Durability, Previous, REGISTER_MAX, RegisterOptions, Registered, Registration};

use self::types::{RegisterCall, Validated};
use crate::model::schema::{self, Row};
use crate::platform::error::{Error, ErrorKind, Result};
use crate::platform::kv::ColumnFamily;
use crate::registration::commitment::opening_of;
use crate::state::core::Core;
use crate::state::locator;
use crate::state::writer::WriteNumber;
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::Openings;
use sexton_proof::time::Timestamp;

/// Registers all of `registrations` or, if one of them is invalid, none. Returns an answer to each, in their order.
///
/// # Errors
/// `Invalid` if a registration is malformed, its class unknown or closed down, or there are more than [`REGISTER_MAX`];
/// `Held` if it would take an object out of a hold on its class or its subject; `Busy` if an operator takes time back
/// meanwhile; `Full` if the disk space is short; `Forked`, `Poisoned`, `Io`.
pub(crate) fn register(
    core: &Core,
    registrations: &[Registration<'_>],
    durability: Durability,
    mode: RegisterMode,
    now: Timestamp,
) -> Result<Vec<Registered>> {
    core.check_writable()?;
    core.check_room()?;
    if registrations.len() > REGISTER_MAX {
        return Err(Error::invalid(format!(
            "{} registrations in one call; {REGISTER_MAX} is the limit",
            registrations.len()
        )));
    }
    // Read until the rows are written: closing a class down waits for the calls that saw it open.
    let _open = core.classes.closing.read();
    if mode.era != core.governance.doubts.era() {
        return Err(Error::new(ErrorKind::Busy, "an operator took time back during the call; try again"));
    }
    let classes = validate::classes_of(core, registrations, mode)?;
    let validated = validate::validate_all(core, registrations, &classes, mode, now)?;
    let call = RegisterCall { registrations, validated, mode, now };
    let (answers, last) = write_all(core, &call)?;
    locator::flush_if_full(core)?;
    if let (Some(write), Durability::Synced) = (last, durability) {
        core.writer.sync(write)?;
    }
    answers
        .into_iter()
        .zip(registrations.iter().zip(&call.validated))
        .map(|(answer, (registration, validated))| {
            let answer =
                answer.ok_or_else(|| Error::internal("a registration was left without an answer"))?;
            with_ticket(core, answer, registration, validated)
        })
        .collect()
}

/// Writes the registrations shard by shard. Returns the answers, and the number of the last write that they rely on.
fn write_all(
    core: &Core,
    call: &RegisterCall<'_, '_>,
) -> Result<(Vec<Option<Registered>>, Option<WriteNumber>)> {
    let mut by_shard: Vec<Vec<usize>> = vec![Vec::new(); core.schedule.shards()];
    for (index, validated) in call.validated.iter().enumerate() {
        by_shard[validated.shard].push(index);
    }
    let members = || by_shard.iter().enumerate().filter(|(_, members)| !members.is_empty());
    if core.governance.holds.read().any_to_lose() {
        for (shard, members) in members() {
            write::check_shard(core, shard, members, call)?;
        }
    }
    let mut answers: Vec<Option<Registered>> = vec![None; call.registrations.len()];
    let mut last = None;
    for (shard, members) in members() {
        last = write::write_shard(core, shard, members, call, &mut answers)?.or(last);
    }
    Ok((answers, last))
}

/// Adds the ticket to an answer, if the class hands tickets out.
fn with_ticket(
    core: &Core,
    answer: Registered,
    registration: &Registration<'_>,
    validated: &Validated<'_>,
) -> Result<Registered> {
    // A registration that stays may be of another version of the class.
    let class = core.classes.get(answer.id.page.class)?;
    if class.definition.openings != Openings::Ticket {
        return Ok(answer);
    }
    if matches!(answer.previous, Previous::Identical | Previous::Kept | Previous::TooLate(_)) {
        let ticket = ticket_of_live(core, answer.id)?;
        return Ok(Registered { ticket, ..answer });
    }
    let opening = opening_of(core, validated.class, answer.id, &validated.row(registration))?;
    Ok(Registered { ticket: Some(opening.encode()), ..answer })
}

/// Returns the ticket of a live registration, made from its row; `None` if the row is gone.
fn ticket_of_live(core: &Core, id: RegistrationId) -> Result<Option<Vec<u8>>> {
    let Some(bytes) = core.kv.get(ColumnFamily::Rows(id.page.class), &schema::row_key(id))? else {
        return Ok(None);
    };
    let class = core.classes.get(id.page.class)?;
    Ok(Some(opening_of(core, &class, id, &Row::decode(&bytes)?)?.encode()))
}
