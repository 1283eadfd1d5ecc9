//! Spans: lengths of time as a class states them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::civil::{DAY_MS, days, month_days};
use crate::id::{decimal, excerpt};

/// Greatest number in a span.
pub const SPAN_COUNT_MAX: u32 = 1_000_000;

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
    pub(super) const ALL: [Self; 8] = [
        Self::Seconds,
        Self::Minutes,
        Self::Hours,
        Self::Days,
        Self::Weeks,
        Self::WorkingDays,
        Self::Months,
        Self::Years,
    ];

    /// Returns the letters that follow the number in a span's text.
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

/// Length of time as a class states it: `3h`, `73h`, `30d`, `6mo`, `1y`, `2w`, `15wd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Number of units, 1 to [`SPAN_COUNT_MAX`]. Every function that takes a span refuses other numbers.
    pub count: u32,
    /// Unit of the number.
    pub unit: Unit,
}

impl Span {
    /// Creates a span of `count` units.
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

    /// Returns the length if it does not depend on the start.
    #[must_use]
    pub const fn exact(self) -> Option<Duration> {
        match self.step() {
            // Every exact step is positive or zero.
            Step::Exact(ms) => Some(Duration::from_millis(ms.unsigned_abs())),
            Step::Months(_) | Step::Working(_) => None,
        }
    }

    pub(super) const fn step(self) -> Step {
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
        let unit = Unit::ALL.into_iter().find(|unit| unit.suffix() == suffix).ok_or_else(wrong)?;
        Self::new(count, unit).map_err(|_| wrong())
    }
}

/// Error of a text or number that is not a span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a span is a number from 1 to {SPAN_COUNT_MAX} and one of s, m, h, d, w, wd, mo, y, found {found:?}")]
pub struct SpanError {
    /// Refused text, cut to 64 characters.
    pub found: String,
}

/// Distance that a span adds to an instant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Milliseconds.
    Exact(i64),
    /// Calendar months.
    Months(i64),
    /// Working days.
    Working(i64),
}

impl Step {
    /// Returns the length in milliseconds from a day of a month, by the calendar alone. For working days it is a
    /// lower bound, because a calendar may make every day a working day.
    pub(super) fn civil_ms(self, month: i64, day: i64) -> i64 {
        match self {
            Self::Exact(ms) => ms,
            Self::Working(n) => n * DAY_MS,
            Self::Months(months) => {
                let end = month + months;
                (days(end, day.min(month_days(end))) - days(month, day)) * DAY_MS
            }
        }
    }
}
