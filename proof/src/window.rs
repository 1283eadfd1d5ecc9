//! Promised bounds: floor and ceiling of an object, computed from its start.
//!
//! - Exact spans are added as milliseconds.
//! - Calendar spans and working days keep the wall-clock time in the class's zone. A time that a zone's change skips or
//!   repeats uses the earlier offset, as in RFC 5545 (jiff calls this *compatible*).
//! - Calendar spans clamp to the end of a shorter month.
//! - The day of the start is not counted as a working day.

mod civil;
mod days;
mod error;
mod span;
mod zone;

use std::time::Duration;

pub use self::days::{CALENDAR_DATES_MAX, Calendar, CalendarError, Date, WORKING_DAYS_MAX};
pub use self::error::WindowError;
pub use self::span::{SPAN_COUNT_MAX, Span, SpanError, Unit};
pub use self::zone::ZONE_MAX_BYTES;

use self::civil::{CYCLE_MONTHS, DAY_MS, month_days};
use self::days::WorkDays;
use self::span::Step;
use self::zone::Zone;
use crate::time::Timestamp;

/// Longest calendar span that a window takes, in months: from the first year that jiff knows to the last.
pub const CALENDAR_MONTHS_MAX: i64 = 19_998 * 12;

/// Promised bounds of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Earliest instant of deletion, if the class promises one.
    pub floor: Option<Timestamp>,
    /// Latest instant of deletion, if the class promises one.
    pub ceiling: Option<Timestamp>,
}

/// Promise of a class: no deletion before start + `keep`, deletion by start + `within`.
///
/// [`Window::new`] looks the zone up. Later changes of a public field do not change the computed bounds.
#[derive(Clone, Debug)]
pub struct Window {
    /// Floor, counted from the start.
    pub keep: Option<Span>,
    /// Ceiling, counted from the start.
    pub within: Option<Span>,
    /// IANA name of the zone in which calendar spans and working days count.
    pub zone: String,
    rule: Rule,
}

impl Window {
    /// Looks up `zone` and checks the promise.
    ///
    /// `zone` is the exact name of a zone in the compiled-in IANA database. `calendar` has dates only if `within` is in
    /// working days.
    ///
    /// # Errors
    /// Neither span given; a zone that does not exist; a calendar span longer than [`CALENDAR_MONTHS_MAX`] or
    /// [`WORKING_DAYS_MAX`]; working days as a floor, or beside one; dates in `calendar` and no working days; a ceiling
    /// that for some start may not lie after the floor. That rule is the same under every IANA database.
    pub fn new(
        keep: Option<Span>,
        within: Option<Span>,
        zone: &str,
        calendar: &Calendar,
    ) -> Result<Self, WindowError> {
        if keep.is_none() && within.is_none() {
            return Err(WindowError::Nothing);
        }
        check_working(keep, within, calendar)?;
        let rule = Rule {
            keep: keep.map(Span::step),
            within: within.map(Span::step),
            zone: Zone::get(zone)?,
            work: WorkDays::of(calendar),
        };
        for span in [keep, within].into_iter().flatten() {
            span.check()?;
            if matches!(span.step(), Step::Months(months) if months > CALENDAR_MONTHS_MAX) {
                return Err(WindowError::Span { span, max_months: CALENDAR_MONTHS_MAX });
            }
        }
        if let (Some(keep), Some(within)) = (keep, within)
            && !rule.has_room()
        {
            return Err(WindowError::NoRoom { keep, within, tightest_ms: rule.least_ms(Zone::allowance_ms) });
        }
        Ok(Self { keep, within, zone: zone.to_owned(), rule })
    }

    /// Returns floor and ceiling of an object whose promise counts from `start`.
    ///
    /// # Errors
    /// A bound that is not an instant: outside i64 for exact spans, outside the years −9999 to 9999 for calendar spans.
    /// [`Timestamp::MAX`] is not an instant of a bound, because the formats write it for no ceiling.
    pub fn bounds(&self, start: Timestamp) -> Result<Bounds, WindowError> {
        let add = |step: Option<Step>, span: Option<Span>| match (step, span) {
            (Some(step), Some(span)) => self
                .rule
                .zone
                .add(start.unix_ms(), step, &self.rule.work)
                .map(|ms| Some(Timestamp::from_unix_ms(ms)))
                .ok_or(WindowError::Range { start, span }),
            _ => Ok(None),
        };
        Ok(Bounds { floor: add(self.rule.keep, self.keep)?, ceiling: add(self.rule.within, self.within)? })
    }

    /// Returns a lower bound, over every start, of ceiling − floor. Without a floor it bounds ceiling − start. It is
    /// `None` without a ceiling.
    ///
    /// Exact spans have one length. The length of a calendar span in days depends only on the month and the day of its
    /// start, and months repeat every 400 years. All 4,800 months are tried, with the days at which clamping can change
    /// the result. In UTC that is exact. In another zone both ends may fall under different offsets, so the difference
    /// between the zone's greatest and least offset in history is subtracted. The bound is at least zero.
    ///
    /// For calendar spans this takes up to half a millisecond: call it when a class is loaded, not for every object.
    #[must_use]
    pub fn tightest(&self) -> Option<Duration> {
        self.rule.within?;
        Some(Duration::from_millis(u64::try_from(self.rule.least_ms(Zone::spread_ms)).unwrap_or(0)))
    }
}

/// Checks that working days are a ceiling without a floor, and that a calendar has dates only beside working days.
pub(crate) fn check_working(
    keep: Option<Span>,
    within: Option<Span>,
    calendar: &Calendar,
) -> Result<(), WindowError> {
    let working = |span: &Span| span.unit == Unit::WorkingDays;
    if let Some(span) = keep.filter(working) {
        return Err(WindowError::KeepWorkingDays { span });
    }
    let Some(span) = within.filter(working) else {
        if let Some(date) = calendar.holidays().iter().chain(calendar.workdays()).next() {
            return Err(WindowError::Dates { found: *date });
        }
        return Ok(());
    };
    if let Some(keep) = keep {
        return Err(WindowError::WorkingDaysBesideKeep { span, keep });
    }
    if span.count > WORKING_DAYS_MAX {
        return Err(WindowError::WorkingDays { span });
    }
    Ok(())
}

/// Promise in the form in which it is computed.
#[derive(Clone, Debug)]
struct Rule {
    keep: Option<Step>,
    within: Option<Step>,
    zone: Zone,
    work: WorkDays,
}

impl Rule {
    /// Returns `true` if the ceiling lies after the floor for every start, by the rule of `docs/format.md` §4.
    ///
    /// The rule takes [`Zone::allowance_ms`] for the offsets of a zone. So verifiers with different IANA data agree.
    fn has_room(&self) -> bool {
        match (self.keep, self.within) {
            // More months end in a later month, at least 28 days later, and no zone's offsets differ by as much. Not
            // trying every month makes the verification of such a receipt five times as fast.
            (Some(Step::Months(keep)), Some(Step::Months(within))) => within > keep,
            _ => self.least_ms(Zone::allowance_ms) >= 1,
        }
    }

    /// Returns a lower bound of ceiling − floor in milliseconds, or of ceiling − start without a floor. It may be
    /// negative. Without a ceiling it is `i64::MAX`.
    ///
    /// `offsets` gives the milliseconds by which two offsets of the zone may differ.
    fn least_ms(&self, offsets: fn(&Zone) -> i64) -> i64 {
        let Some(within) = self.within else { return i64::MAX };
        let keep = self.keep.unwrap_or(Step::Exact(0));
        if let (Step::Exact(keep), Step::Exact(within)) = (keep, within) {
            return within - keep;
        }
        if let Step::Working(n) = within {
            // The lower bound assumes that every day is a working day. There is no floor beside working days.
            return n * DAY_MS - offsets(&self.zone);
        }
        let mut least = i64::MAX;
        for month in 0..CYCLE_MONTHS {
            for day in [1, 28, 29, 30, 31] {
                if day <= month_days(month) {
                    least = least.min(within.civil_ms(month, day) - keep.civil_ms(month, day));
                }
            }
        }
        least - offsets(&self.zone)
    }
}

#[cfg(test)]
#[path = "window_tests.rs"]
pub(crate) mod tests;
