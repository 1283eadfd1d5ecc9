//! Spans and windows: what a class makes of the instant from which its promise counts.
//!
//! Exact spans are added as milliseconds. Calendar spans and working days keep the wall-clock time in the class's zone and
//! resolve a time that a zone's change skips or repeats as RFC 5545 does, by the earlier offset (jiff calls it
//! *compatible*). Calendar spans clamp to the end of a shorter month; of working days the start's own day is none. In UTC the calendar is computed here, by the algorithms of Howard Hinnant's
//! "chrono-compatible low-level date algorithms", because jiff takes several times as long; tests hold the two together.

use std::fmt;
use std::str::FromStr;

mod calendar;
mod days;

pub use self::days::{CALENDAR_DATES_MAX, Calendar, CalendarError, Date, WORKING_DAYS_MAX};

use self::calendar::{CYCLE_MONTHS, DAY_MS, Step, Zone, month_days};
use self::days::WorkDays;
use crate::id::{NO_CEILING, NO_FLOOR, excerpt};

/// Greatest number in a span.
pub const SPAN_COUNT_MAX: u32 = 1_000_000;
/// Longest calendar span that a window takes, in months: from the first year that jiff knows to the last.
pub const CALENDAR_MONTHS_MAX: i64 = 19_998 * 12;
/// Longest zone name in bytes.
pub const ZONE_MAX_BYTES: usize = 64;

/// Unit of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// `s`, exact.
    Seconds,
    /// `m`, exact.
    Minutes,
    /// `h`, exact.
    Hours,
    /// `d`, exactly 24 hours.
    Days,
    /// `w`, exactly 7 · 24 hours.
    Weeks,
    /// `wd`, a working day.
    WorkingDays,
    /// `mo`, a calendar month.
    Months,
    /// `y`, a calendar year.
    Years,
}

impl Unit {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Seconds, "s"),
        (Self::Minutes, "m"),
        (Self::Hours, "h"),
        (Self::Days, "d"),
        (Self::Weeks, "w"),
        (Self::WorkingDays, "wd"),
        (Self::Months, "mo"),
        (Self::Years, "y"),
    ];

    /// The text behind the number.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
            Self::Days => "d",
            Self::Weeks => "w",
            Self::WorkingDays => "wd",
            Self::Months => "mo",
            Self::Years => "y",
        }
    }
}

/// A length of time as a class states it: `3h`, `73h`, `30d`, `6mo`, `1y`, `2w`, `15wd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The number, 1 to [`SPAN_COUNT_MAX`]; others are refused wherever a span is used.
    pub count: u32,
    /// The unit.
    pub unit: Unit,
}

impl Span {
    /// A span of `count` units.
    ///
    /// # Errors
    /// A count outside 1 to [`SPAN_COUNT_MAX`].
    pub fn new(count: u32, unit: Unit) -> Result<Self, SpanError> {
        Self { count, unit }.check()
    }

    pub(crate) fn check(self) -> Result<Self, SpanError> {
        if self.count == 0 || self.count > SPAN_COUNT_MAX {
            return Err(SpanError { found: self.to_string() });
        }
        Ok(self)
    }

    /// Its length in milliseconds, where that does not depend on where it begins.
    #[must_use]
    pub const fn exact_ms(self) -> Option<i64> {
        match self.step() {
            Step::Exact(ms) => Some(ms),
            Step::Months(_) | Step::Working(_) => None,
        }
    }

    const fn step(self) -> Step {
        // A u32 of weeks is at most 3 · 10^18 ms.
        let count = self.count as i64;
        match self.unit {
            Unit::Seconds => Step::Exact(count * 1000),
            Unit::Minutes => Step::Exact(count * 60_000),
            Unit::Hours => Step::Exact(count * 3_600_000),
            Unit::Days => Step::Exact(count * DAY_MS),
            Unit::Weeks => Step::Exact(count * 7 * DAY_MS),
            Unit::WorkingDays => Step::Working(count),
            Unit::Months => Step::Months(count),
            Unit::Years => Step::Months(count * 12),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.suffix())
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let wrong = || SpanError { found: excerpt(text) };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, suffix) = text.split_at_checked(digits).ok_or_else(wrong)?;
        let count = decimal(count).and_then(|count| u32::try_from(count).ok()).ok_or_else(wrong)?;
        let (unit, _) = Unit::ALL.into_iter().find(|(_, name)| *name == suffix).ok_or_else(wrong)?;
        Self::new(count, unit).map_err(|_| wrong())
    }
}

/// A text that is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span is a number from 1 to {SPAN_COUNT_MAX} and one of s, m, h, d, w, wd, mo, y, found {found:?}")]
pub struct SpanError {
    /// The text, cut short.
    pub found: String,
}

/// The bounds that one start is promised, Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Not before this, or [`NO_FLOOR`].
    pub floor_ms: i64,
    /// Not after this, or [`NO_CEILING`].
    pub ceiling_ms: i64,
}

/// What a class promises: not before start + `keep`, not after start + `within`.
///
/// Made by [`Window::new`], which looks the zone up; changing a public field of one that is made changes nothing else.
#[derive(Clone, Debug)]
pub struct Window {
    /// The floor, counted from the start.
    pub keep: Option<Span>,
    /// The ceiling, counted from the start.
    pub within: Option<Span>,
    /// IANA name of the zone in which calendar spans and working days count.
    pub zone: String,
    rule: Rule,
}

impl Window {
    /// Looks up `zone` and checks the promise.
    ///
    /// Zone names are those of the IANA database that is compiled in, in exactly its spelling. `calendar` is for a
    /// ceiling in working days, and names no date elsewhere.
    ///
    /// # Errors
    /// Neither span given; a zone that does not exist; a calendar span longer than [`CALENDAR_MONTHS_MAX`] or
    /// [`WORKING_DAYS_MAX`]; working days as a floor, or beside one; dates in `calendar` and no working days; a ceiling
    /// that for some start may not lie after the floor.
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
            return Err(WindowError::NoRoom { keep, within, tightest_ms: rule.tightest_ms() });
        }
        Ok(Self { keep, within, zone: zone.to_owned(), rule })
    }

    /// Floor and ceiling of an object whose promise counts from `start_ms`.
    ///
    /// # Errors
    /// A bound beyond what an instant can be: for exact spans i64, for calendar spans the years −9999 to 9999.
    pub fn bounds(&self, start_ms: i64) -> Result<Bounds, WindowError> {
        let floor_ms = match (self.rule.keep, self.keep) {
            (Some(step), Some(span)) => {
                self.rule.zone.add(start_ms, step, &self.rule.work).ok_or_else(|| range(start_ms, span))?
            }
            _ => NO_FLOOR,
        };
        let ceiling_ms = match (self.rule.within, self.within) {
            (Some(step), Some(span)) => {
                self.rule.zone.add(start_ms, step, &self.rule.work).ok_or_else(|| range(start_ms, span))?
            }
            _ => NO_CEILING,
        };
        Ok(Bounds { floor_ms, ceiling_ms })
    }

    /// A lower bound, over every start, of ceiling − floor in milliseconds, or of ceiling − start where the class
    /// states no floor; `i64::MAX` where it states no ceiling.
    ///
    /// Derived thus. Exact spans have one length. A calendar span's length in days depends only on the month and the day
    /// it begins on, and months repeat every 400 years, so the least is found by trying all 4,800 months, with the days
    /// of the month at which clamping can change the result. That is exact in UTC. In another zone either end may fall
    /// under another offset, so the difference between the zone's greatest and least offset in history is taken off.
    /// That takes up to half a millisecond for calendar spans: call it when a class is loaded, not for every object.
    #[must_use]
    pub fn tightest_ms(&self) -> i64 {
        self.rule.tightest_ms()
    }
}

/// Working days are a ceiling without a floor, and a calendar is for them alone.
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

fn range(start_ms: i64, span: Span) -> WindowError {
    WindowError::Range { start_ms, span }
}

/// A window as it is computed.
#[derive(Clone, Debug)]
struct Rule {
    keep: Option<Step>,
    within: Option<Step>,
    zone: Zone,
    work: WorkDays,
}

impl Rule {
    /// Whether the ceiling always lies after the floor.
    fn has_room(&self) -> bool {
        match (self.keep, self.within) {
            // More months end in a later month, at least 28 days later, and no zone's offsets differ by as much: there
            // is no need to try every month, and a receipt of such a class is verified in a fifth of the time.
            (Some(Step::Months(keep)), Some(Step::Months(within))) => within > keep,
            _ => self.tightest_ms() >= 1,
        }
    }

    fn tightest_ms(&self) -> i64 {
        let Some(within) = self.within else { return i64::MAX };
        let keep = self.keep.unwrap_or(Step::Exact(0));
        if let (Step::Exact(keep), Step::Exact(within)) = (keep, within) {
            return within - keep;
        }
        if let Step::Working(n) = within {
            // At best people work every day; there is no floor beside it.
            return n * DAY_MS - self.zone.spread_ms();
        }
        let mut least = i64::MAX;
        for month in 0..CYCLE_MONTHS {
            for day in [1, 28, 29, 30, 31] {
                if day <= month_days(month) {
                    least = least.min(within.civil_ms(month, day) - keep.civil_ms(month, day));
                }
            }
        }
        least - self.zone.spread_ms()
    }
}

/// A number in decimal digits without leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A promise that cannot be, or cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// Neither floor nor ceiling.
    #[error("a class states at least one of keep and within")]
    Nothing,
    /// A span whose number is out of bounds.
    #[error(transparent)]
    Count(#[from] SpanError),
    /// No such zone.
    #[error("unknown time zone {found:?}, expected the exact name of a zone in the IANA database")]
    Zone {
        /// The name, cut short.
        found: String,
    },
    /// A calendar span beyond all dates.
    #[error("the span {span} is longer than {max_months} months")]
    Span {
        /// The span.
        span: Span,
        /// The greatest length.
        max_months: i64,
    },
    /// A floor in working days.
    #[error("keep is {span}, expected no working days, which are for within alone")]
    KeepWorkingDays {
        /// The floor.
        span: Span,
    },
    /// A ceiling in working days where there is a floor.
    #[error("within is {span}, expected no working days, as there is keep {keep}")]
    WorkingDaysBesideKeep {
        /// The ceiling.
        span: Span,
        /// The floor.
        keep: Span,
    },
    /// Too many working days.
    #[error("the span {span} is longer than {WORKING_DAYS_MAX} working days")]
    WorkingDays {
        /// The span.
        span: Span,
    },
    /// A calendar for spans that are not in working days.
    #[error("the calendar has the date {found}, expected none, as within is not in working days")]
    Dates {
        /// Its first date.
        found: Date,
    },
    /// The ceiling may not lie after the floor.
    #[error(
        "from keep {keep} to within {within} there may be as little as {tightest_ms} ms, expected at least 1"
    )]
    NoRoom {
        /// The floor.
        keep: Span,
        /// The ceiling.
        within: Span,
        /// Least distance from floor to ceiling.
        tightest_ms: i64,
    },
    /// A bound that is not an instant.
    #[error("{span} after {start_ms} ms is beyond the instants that can be computed")]
    Range {
        /// The instant from which the promise counts.
        start_ms: i64,
        /// The span that leads too far.
        span: Span,
    },
}

#[cfg(test)]
#[path = "window_tests.rs"]
pub(crate) mod tests;
