//! Validation of a registering call. It refuses the whole call, so that an invalid registration leaves nothing behind.

use super::types::{RegisterMode, Registration, Validated};
use crate::model::class::Class;
use crate::model::clock_guard::Trusted;
use crate::model::schema::Flags;
use crate::model::selector::SUBJECT_MAX_BYTES;
use crate::platform::error::{Error, Result};
use crate::state::core::Core;
use crate::state::doubts::InDoubt;
use sexton_proof::id::{DIGEST_MAX_BYTES, KEY_MAX_BYTES, VERSION_MAX_BYTES};
use sexton_proof::leaf::StartRule;
use sexton_proof::record::Reason;
use sexton_proof::time::Timestamp;
use std::sync::Arc;

/// Returns the classes that the registrations name, each once.
///
/// Threads that register share the reference count of a class, so it is touched once per call and not once per
/// registration. A class that was closed down takes back only objects that a restored backup brought: those end for
/// another reason than [`Reason::Due`].
pub(super) fn classes_of(
    core: &Core,
    registrations: &[Registration<'_>],
    mode: RegisterMode,
) -> Result<Vec<Arc<Class>>> {
    let known = core.classes.read();
    let mut classes: Vec<Arc<Class>> = Vec::new();
    for (index, registration) in registrations.iter().enumerate() {
        if classes.iter().any(|class| class.definition.name == registration.class) {
            continue;
        }
        let in_call = |error| at_registration(error, index, registrations.len());
        if mode.reason == Reason::Due {
            known.check_open(registration.class).map_err(in_call)?;
        }
        classes.push(Arc::clone(known.known(registration.class).map_err(in_call)?));
    }
    Ok(classes)
}

/// Validates all registrations and returns their terms, in the same order.
///
/// The keys that will blind the rows are durable when this returns, and so before the rows are. A crash in between leaves a
/// key that no row needs yet.
pub(super) fn validate_all<'c>(
    core: &Core,
    registrations: &[Registration<'_>],
    classes: &'c [Arc<Class>],
    mode: RegisterMode,
    now: Trusted,
) -> Result<Vec<Validated<'c>>> {
    // The start of an object that a backup brought back is known, and in no doubt.
    let in_doubt = InDoubt::of(now).filter(|_| mode.reason == Reason::Due);
    let mut all = Vec::with_capacity(registrations.len());
    for (index, registration) in registrations.iter().enumerate() {
        let Some(class) = classes.iter().find(|class| class.definition.name == registration.class) else {
            continue;
        };
        let validated = validate(class, registration, mode.reason, (now.now, in_doubt))
            .map_err(|error| at_registration(error, index, registrations.len()))?;
        all.push(validated);
    }
    let located = core.schedule.locate_each(registrations.iter().map(|registration| registration.key));
    for (validated, (shard, fingerprint)) in all.iter_mut().zip(located) {
        (validated.shard, validated.fingerprint) = (shard, fingerprint);
    }
    let doubts = &core.governance.doubts;
    let doubt = in_doubt.map(|in_doubt| doubts.current(&core.writer, in_doubt)).transpose()?;
    for validated in &mut all {
        (validated.doubt, validated.era) = (doubt, doubts.era());
    }
    let mut last = None;
    for validated in &all {
        let blinded_under = (validated.class.id, validated.slot);
        if last != Some(blinded_under) {
            last = Some(blinded_under);
            core.secrets.keyring.get_or_create(validated.class.id, validated.slot)?;
        }
    }
    Ok(all)
}

fn validate<'c>(
    class: &'c Class,
    registration: &Registration<'_>,
    reason: Reason,
    (now, in_doubt): (Timestamp, Option<InDoubt>),
) -> Result<Validated<'c>> {
    check_length("key", registration.key, 1, KEY_MAX_BYTES)?;
    check_length("version", registration.version, 0, VERSION_MAX_BYTES)?;
    if class.finds_by_version() && registration.version.is_empty() {
        return Err(Error::invalid(format!(
            "no version is given, and class \"{}\" has find = \"version\"; give the object's version",
            class.definition.name
        )));
    }
    check_length("digest", registration.digest, 0, DIGEST_MAX_BYTES)?;
    check_length("subject", registration.subject, 0, SUBJECT_MAX_BYTES)?;
    // A floor that counts from registration must hold by the wall clock and by the expected time, so the later instant
    // counts until it is known which of them is right.
    let counts_from = match in_doubt {
        Some(InDoubt { wall, expected }) if class.has_floor() => now.max(wall).max(expected),
        _ => now,
    };
    let start = class.start(registration.start, counts_from)?;
    let bounds = class.bounds(start)?;
    let (slot, short_notice) = match reason {
        Reason::Due => (class.slot(bounds, now), class.is_short_notice(start, bounds, now)),
        _ => (class.soonest_slot(bounds, now), true),
    };
    let flags = match (registration.start, class.definition.start) {
        (Some(_), _) => Flags::NONE,
        (None, StartRule::Registered) => Flags::CLOCKED,
        (None, StartRule::Explicit) => Flags::CLOCKED.with(Flags::OPEN),
    };
    let registered = (class.falls_due(bounds) <= now).then_some(now);
    // `validate_all` sets these for all registrations together, which is cheaper.
    let (shard, fingerprint, doubt, era) = Default::default();
    Ok(Validated {
        class,
        flags,
        start,
        bounds,
        slot,
        short_notice,
        shard,
        fingerprint,
        reason,
        doubt,
        era,
        registered,
    })
}

fn check_length(what: &str, bytes: &[u8], min: usize, max: usize) -> Result<()> {
    if (min..=max).contains(&bytes.len()) {
        return Ok(());
    }
    Err(Error::invalid(format!("{what} of {} bytes; {min} to {max} are allowed", bytes.len())))
}

/// Names the registration that `error` is about, if the call has more than one.
fn at_registration(error: Error, index: usize, registrations: usize) -> Error {
    match registrations {
        1 => error,
        n => Error::new(error.kind(), format!("registration {} of {n}: {}", index + 1, error.message())),
    }
}
