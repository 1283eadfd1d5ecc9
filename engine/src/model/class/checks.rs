//! Checks of a class definition, and the defaults of slot and lead.

use super::definition::Definition;
use crate::platform::error::{Error, Result};
use sexton_proof::leaf::{Disposition, Openings, StartRule};
use sexton_proof::window::{Calendar, Span, Unit, Window};

/// Smallest width of a slot, ms.
pub const SLOT_MIN_MS: u64 = 1_000;

/// Longest span of a class, in years. What starts within the next ten years then ends within the calendar.
const SPAN_MAX_YEARS: i64 = 1_000;
/// Longest time for which ended objects are remembered, ms: ten years.
const REMEMBER_MAX_MS: i64 = 3_660 * 86_400_000;

fn refuse(class: &Definition, why: impl std::fmt::Display) -> Result<()> {
    Err(Error::invalid(format!("class \"{}\": {why}", class.name)))
}

/// Refuses a disposition that does not fit the openings, and a `remember` that is no exact span or too long.
pub(super) fn check_ends(class: &Definition) -> Result<()> {
    let refuse = |why: String| refuse(class, why);
    if class.disposition == Disposition::Anonymise && class.openings == Openings::Ticket {
        return refuse(
            "disposition = \"anonymise\" needs openings = \"operator\": a ticket cannot know what will be written"
                .into(),
        );
    }
    match class.remember.map(|span| (span, span.exact_ms())) {
        Some((span, None)) => {
            refuse(format!("remember = \"{span}\" is a calendar span; use s, m, h, d or w"))
        }
        Some((span, Some(ms))) if ms > REMEMBER_MAX_MS => {
            refuse(format!("remember = \"{span}\"; ten years (3660d) are the limit"))
        }
        _ => Ok(()),
    }
}

/// Refuses an invalid name of a class.
pub(super) fn check_name(name: &str) -> Result<()> {
    let fine = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
    if fine {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "class name {name:?}: 1 to 64 of a-z 0-9 - . _ are allowed, beginning with a letter"
    )))
}

/// Returns the default slot and lead, ms: by how long objects are kept, or by the width of the window if that does not fit.
pub(super) fn default_slot_and_lead(keep: Option<Span>, within: Option<Span>, window: &Window) -> (u64, u64) {
    let length =
        Window::new(None, keep.or(within), "UTC", &Calendar::default()).map_or(0, |kept| kept.tightest_ms());
    let room = u64::try_from(window.tightest_ms()).unwrap_or(0);
    let by_length = slot_and_lead_of(u64::try_from(length).unwrap_or(0));
    if by_length.0 + by_length.1 <= room { by_length } else { slot_and_lead_of(room) }
}

/// Returns about a hundredth of a span as slot, in round steps, and half of that as lead, ms.
fn slot_and_lead_of(ms: u64) -> (u64, u64) {
    const MINUTE: u64 = 60_000;
    match ms / (60 * MINUTE) {
        0..=2 => (SLOT_MIN_MS, SLOT_MIN_MS),
        3..=47 => (MINUTE, MINUTE / 2),
        48..=119 => (10 * MINUTE, 5 * MINUTE),
        120..=1_000 => (60 * MINUTE, 30 * MINUTE),
        _ => (360 * MINUTE, 180 * MINUTE),
    }
}

/// Refuses a span of more than [`SPAN_MAX_YEARS`].
fn check_span_lengths(class: &Definition) -> Result<()> {
    for span in [class.keep, class.within, class.max_open].into_iter().flatten() {
        let years = match span.unit {
            Unit::Months => i64::from(span.count) / 12,
            Unit::Years => i64::from(span.count),
            Unit::WorkingDays => i64::from(span.count) / 100,
            _ => span.exact_ms().unwrap_or(i64::MAX) / (365 * 86_400_000),
        };
        if years > SPAN_MAX_YEARS {
            return refuse(class, format!("{span} is longer than {SPAN_MAX_YEARS} years, the limit"));
        }
    }
    Ok(())
}

/// Refuses spans, a slot or a lead out of their bounds, and a window too narrow for slot and lead.
pub(super) fn check_schedule(class: &Definition, window: &Window) -> Result<()> {
    let refuse = |why: String| refuse(class, why);
    check_span_lengths(class)?;
    if class.slot_ms < SLOT_MIN_MS || !class.slot_ms.is_multiple_of(1_000) {
        return refuse(format!("slot of {} ms; it must be whole seconds, at least one", class.slot_ms));
    }
    if class.slot_ms > 366 * 86_400_000 || class.lead_ms > 366 * 86_400_000 {
        return refuse(format!(
            "slot of {} ms and lead of {} ms; a year is the limit",
            class.slot_ms, class.lead_ms
        ));
    }
    if class.max_open.is_some_and(|span| span.exact_ms().is_none()) {
        return refuse("max_open must be an exact span; use s, m, h, d or w".into());
    }
    if class.max_open.is_some() && class.start != StartRule::Explicit {
        return refuse(
            "max_open says how long a start may stay unknown; it goes with start = \"explicit\" only".into(),
        );
    }
    let room = window.tightest_ms();
    let need = i64::try_from(class.slot_ms + class.lead_ms).unwrap_or(i64::MAX);
    if class.within.is_some() && need > room {
        return refuse(format!(
            "slot + lead is {need} ms, but its window can be as narrow as {room} ms: nothing could be deleted in \
             time; use a smaller slot or lead, or a wider window"
        ));
    }
    Ok(())
}
