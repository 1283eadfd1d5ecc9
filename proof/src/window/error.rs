//! Refusal of a promise.

use super::days::{Date, WORKING_DAYS_MAX};
use super::span::{Span, SpanError};
use crate::time::Timestamp;

/// Error of a promise that contradicts itself, or whose bounds cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// Neither floor nor ceiling is given.
    #[error("a class states neither keep nor within, expected at least one of them")]
    Nothing,
    /// The number of a span is out of bounds.
    #[error(transparent)]
    Count(#[from] SpanError),
    /// The zone does not exist.
    #[error("unknown time zone {found:?}, expected the exact name of a zone in the IANA database")]
    Zone {
        /// Name of the zone, cut to 64 characters.
        found: String,
    },
    /// A calendar span leads beyond all dates.
    #[error("the span {span} is longer than {max_months} months")]
    Span {
        /// Refused span.
        span: Span,
        /// Greatest length in months.
        max_months: i64,
    },
    /// The floor is in working days.
    #[error("keep is {span}, expected no working days, which are for within alone")]
    KeepWorkingDays {
        /// Refused floor.
        span: Span,
    },
    /// The ceiling is in working days although there is a floor.
    #[error("within is {span}, expected no working days, as there is keep {keep}")]
    WorkingDaysBesideKeep {
        /// Refused ceiling.
        span: Span,
        /// Floor beside it.
        keep: Span,
    },
    /// The ceiling has too many working days.
    #[error("the span {span} is longer than {WORKING_DAYS_MAX} working days")]
    WorkingDays {
        /// Refused ceiling.
        span: Span,
    },
    /// A calendar has dates although no span is in working days.
    #[error("the calendar has the date {found}, expected none, as within is not in working days")]
    Dates {
        /// First date of the calendar.
        found: Date,
    },
    /// The ceiling may lie at or before the floor.
    #[error(
        "from keep {keep} to within {within} there may be as little as {tightest_ms} ms, expected at least 1"
    )]
    NoRoom {
        /// Floor.
        keep: Span,
        /// Ceiling.
        within: Span,
        /// Least distance from floor to ceiling, in milliseconds. It may be negative.
        tightest_ms: i64,
    },
    /// A bound is not an instant.
    #[error("{span} after {start} is beyond the instants that can be computed")]
    Range {
        /// Instant from which the promise counts.
        start: Timestamp,
        /// Span that leads too far.
        span: Span,
    },
}
