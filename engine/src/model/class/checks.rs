//! Checks of a class definition, and the defaults of slot and lead.

use super::definition::Definition;
use crate::platform::error::{Error, Result};
use sexton_proof::leaf::{Disposition, Openings, StartRule};
use sexton_proof::time::whole_ms;
use sexton_proof::window::{Calendar, Span, Unit, Window};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Smallest width of a slot.
pub const SLOT_MIN: Duration = Duration::from_secs(1);

/// Longest span of a class, in years. An object that starts within the next ten years then ends within the range of the
/// calendar.
const SPAN_MAX_YEARS: u64 = 1_000;
/// Longest time for which ended objects are remembered: ten years.
const REMEMBER_MAX: Duration = DAY.saturating_mul(3_660);
/// Longest slot, and longest lead.
const SLOT_MAX: Duration = DAY.saturating_mul(366);

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
    match class.remember.map(|span| (span, span.exact())) {
        Some((span, None)) => {
            refuse(format!("remember = \"{span}\" is a calendar span; use s, m, h, d or w"))
        }
        Some((span, Some(length))) if length > REMEMBER_MAX => {
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

/// Returns the default slot and lead. They follow from how long objects are kept, or from the width of the window if
/// those do not fit into it.
pub(super) fn default_slot_and_lead(
    keep: Option<Span>,
    within: Option<Span>,
    window: &Window,
) -> (Duration, Duration) {
    let kept = Window::new(None, keep.or(within), "UTC", &Calendar::default());
    let length = kept.ok().and_then(|kept| kept.tightest()).unwrap_or_default();
    let room = window.tightest().unwrap_or(Duration::MAX);
    let by_length = slot_and_lead_of(length);
    if by_length.0 + by_length.1 <= room { by_length } else { slot_and_lead_of(room) }
}

/// Returns the default of `seal_within`. It follows from the shortest time for which a promise of the class lasts.
pub(super) fn default_seal_within(keep: Option<Span>, within: Option<Span>) -> Span {
    let length = |span: Span| {
        let alone = Window::new(None, Some(span), "UTC", &Calendar::default());
        alone.ok().and_then(|window| window.tightest())
    };
    let shortest = [keep, within].into_iter().flatten().filter_map(length).min().unwrap_or(Duration::MAX);
    let (count, unit) = match shortest {
        short if short <= 3 * HOUR => (10, Unit::Minutes),
        short if short <= 5 * DAY => (1, Unit::Hours),
        _ => (1, Unit::Days),
    };
    Span { count, unit }
}

/// Returns about a hundredth of a span as slot, in round steps, and half of that as lead.
fn slot_and_lead_of(span: Duration) -> (Duration, Duration) {
    match span.as_secs() / HOUR.as_secs() {
        0..=2 => (SLOT_MIN, SLOT_MIN),
        3..=47 => (MINUTE, MINUTE / 2),
        48..=119 => (10 * MINUTE, 5 * MINUTE),
        120..=1_000 => (HOUR, 30 * MINUTE),
        _ => (6 * HOUR, 3 * HOUR),
    }
}

/// Refuses a span of more than [`SPAN_MAX_YEARS`].
fn check_span_lengths(class: &Definition) -> Result<()> {
    for span in [class.keep, class.within, class.max_open].into_iter().flatten() {
        let years = match span.unit {
            Unit::Months => u64::from(span.count) / 12,
            Unit::Years => u64::from(span.count),
            Unit::WorkingDays => u64::from(span.count) / 100,
            _ => span.exact().unwrap_or(Duration::MAX).as_secs() / (365 * DAY.as_secs()),
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
    let (slot_ms, lead_ms) = (whole_ms(class.slot), whole_ms(class.lead));
    if class.slot < SLOT_MIN || class.slot.subsec_nanos() != 0 {
        return refuse(format!("slot of {slot_ms} ms; it must be whole seconds, at least one"));
    }
    match class.seal_within.exact() {
        Some(length) if length <= SLOT_MAX => {}
        Some(_) => {
            return refuse(format!("seal_within = \"{}\"; a year (366d) is the limit", class.seal_within));
        }
        None => return refuse("seal_within must be an exact span; use s, m, h, d or w".into()),
    }
    if class.slot > SLOT_MAX || class.lead > SLOT_MAX {
        return refuse(format!("slot of {slot_ms} ms and lead of {lead_ms} ms; a year is the limit"));
    }
    if class.max_open.is_some_and(|span| span.exact().is_none()) {
        return refuse("max_open must be an exact span; use s, m, h, d or w".into());
    }
    if class.max_open.is_some() && class.start != StartRule::Explicit {
        return refuse(
            "max_open says how long a start may stay unknown; it goes with start = \"explicit\" only".into(),
        );
    }
    if let Some(room) = window.tightest()
        && class.slot + class.lead > room
    {
        let narrowest = match whole_ms(room) {
            0 => "can close before it opens".to_owned(),
            ms => format!("can be as narrow as {ms} ms"),
        };
        return refuse(format!(
            "slot + lead is {} ms, but its window {narrowest}: nothing could be deleted in time; use a smaller slot or \
             lead, or a wider window",
            slot_ms + lead_ms
        ));
    }
    Ok(())
}
