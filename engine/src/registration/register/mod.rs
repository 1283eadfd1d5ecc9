//! Registration of objects. A call is validated as a whole, then numbered and written shard by shard under each shard's
//! lock. One fsync, which all waiting callers share, makes it durable.

mod repeat;
mod types;
mod validate;
mod write;

pub(crate) use self::types::RegisterMode;
pub use self::types::{Durability, Previous, REGISTER_MAX, RegisterOptions, Registered, Registration};

use self::types::{RegisterCall, Validated};
use crate::platform::error::{Error, Result};
use crate::registration::commitment::ticket_of;
use crate::state::core::Core;
use crate::state::locator;
use crate::state::writer::WriteNumber;

/// Registers all of `registrations` or, if one of them is invalid, none. Returns an answer to each, in their order.
///
/// # Errors
/// `Invalid` if a registration is malformed, its class unknown or closed down, or there are more than [`REGISTER_MAX`];
/// `Held` if it would take an object out of a hold on its class or its subject, or out of a waiting erasure; `Full` if the
/// disk space is short; `Forked`, `Poisoned`, `Io`.
pub(crate) fn register(
    core: &Core,
    registrations: &[Registration<'_>],
    durability: Durability,
    mode: RegisterMode,
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
    let gate = core.classes.closing.read();
    let now = core.now(&*gate);
    let classes = validate::classes_of(core, registrations, mode)?;
    let validated = validate::validate_all(core, registrations, &classes, mode, now)?;
    let call = RegisterCall { registrations, validated, mode, now: now.now };
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
    if repeat::any_to_lose(core) || repeat::finds_differ(core) {
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

/// Adds the ticket of a new registration to its answer, if the class hands tickets out.
fn with_ticket(
    core: &Core,
    answer: Registered,
    registration: &Registration<'_>,
    validated: &Validated<'_>,
) -> Result<Registered> {
    // A registration that stays has its ticket already, and may be of another version of the class.
    if answer.ticket.is_some() || answer.id.page.class != validated.class.id {
        return Ok(answer);
    }
    let ticket = ticket_of(core, validated.class, answer.id, &validated.row(registration))?;
    Ok(Registered { ticket, ..answer })
}
