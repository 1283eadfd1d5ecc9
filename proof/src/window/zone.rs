//! Time zones: months and working days added to an instant.
//!
//! jiff takes several times as long for UTC as [`civil`](super::civil) does, so UTC is computed here. The tests compare
//! both.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::civil::{DAY_MS, days, month_and_day, month_days};
use super::days::WorkDays;
use super::error::WindowError;
use super::span::Step;
use crate::id::excerpt;
use crate::wire::NO_CEILING;

/// Longest zone name in bytes.
pub const ZONE_MAX_BYTES: usize = 64;

/// Milliseconds by which a window has to assume that the offsets of a zone other than UTC may differ: 36 hours.
///
/// It does not depend on the IANA database. The offsets of no zone have ever differed by more than 26 hours.
const ALLOWANCE_MS: i64 = 36 * 3_600_000;

/// First second of the year 2100.
const Y2100_S: i64 = 4_102_444_800;

/// Time zone of a class.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// UTC, computed without jiff.
    Utc,
    /// Any other zone.
    Other(TimeZone),
}

impl Zone {
    /// Returns the zone of exactly this name. It asks the compiled-in database, not the system's: a verdict must not
    /// depend on the machine that gives it.
    pub(super) fn get(name: &str) -> Result<Self, WindowError> {
        let unknown = || WindowError::Zone { found: excerpt(name) };
        if name.len() > ZONE_MAX_BYTES {
            return Err(unknown());
        }
        if name == "UTC" || name == "Etc/UTC" {
            return Ok(Self::Utc);
        }
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        // jiff ignores case; the format has one spelling.
        if zone.iana_name() != Some(name) || zone.is_unknown() {
            return Err(unknown());
        }
        Ok(Self::Other(zone))
    }

    /// Returns `start_ms` plus `step`, or `None` if the sum is not an instant. The value [`NO_CEILING`] is not an
    /// instant.
    pub(super) fn add(&self, start_ms: i64, step: Step, work: &WorkDays) -> Option<i64> {
        match (step, self) {
            (Step::Exact(ms), _) => start_ms.checked_add(ms).filter(|end| *end != NO_CEILING),
            (Step::Months(months), Self::Utc) => add_months_utc(start_ms, months),
            (Step::Months(months), Self::Other(zone)) => add_months(zone, start_ms, months),
            (Step::Working(n), Self::Utc) => add_working_utc(start_ms, n, work),
            (Step::Working(n), Self::Other(zone)) => add_working(zone, start_ms, n, work),
        }
    }

    /// Returns the milliseconds by which the rule for windows assumes that the zone's offsets differ.
    pub(super) fn allowance_ms(&self) -> i64 {
        match self {
            Self::Utc => 0,
            Self::Other(_) => ALLOWANCE_MS,
        }
    }

    /// Returns the zone's greatest minus its least offset from UTC in all of history, in milliseconds.
    pub(super) fn spread_ms(&self) -> i64 {
        let Self::Other(zone) = self else { return 0 };
        let first = zone.to_offset(Timestamp::MIN).seconds();
        let (mut least, mut most) = (first, first);
        // The database lists single changes to 2037, for a few zones to 2087. From then on two offsets alternate every
        // year.
        for change in
            zone.following(Timestamp::MIN).take_while(|change| change.timestamp().as_second() < Y2100_S)
        {
            least = least.min(change.offset().seconds());
            most = most.max(change.offset().seconds());
        }
        (i64::from(most) - i64::from(least)) * 1000
    }
}

fn add_months(zone: &TimeZone, start_ms: i64, months: i64) -> Option<i64> {
    let start = zone.to_datetime(Timestamp::from_millisecond(start_ms).ok()?);
    let month = month_of(start) + months;
    at(zone, month, i64::from(start.day()).min(month_days(month)), start.time())
}

fn add_working(zone: &TimeZone, start_ms: i64, n: i64, work: &WorkDays) -> Option<i64> {
    let start = zone.to_datetime(Timestamp::from_millisecond(start_ms).ok()?);
    let (month, day) = month_and_day(work.nth_after(days(month_of(start), start.day().into()), n));
    at(zone, month, day, start.time())
}

/// Returns the months from January of the year 0.
fn month_of(civil: civil::DateTime) -> i64 {
    i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1
}

/// Returns the instant of a wall-clock time on a day of a month.
fn at(zone: &TimeZone, month: i64, day: i64, time: civil::Time) -> Option<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let date =
        civil::Date::new(year, i8::try_from(month.rem_euclid(12) + 1).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(zone.to_timestamp(date.to_datetime(time)).ok()?.as_millisecond())
}

/// Returns `true` if calendar spans can be computed from and to this instant.
fn in_range(ms: i64) -> bool {
    (Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond()).contains(&ms)
}

fn add_months_utc(start_ms: i64, months: i64) -> Option<i64> {
    if !in_range(start_ms) {
        return None;
    }
    let (month, day) = month_and_day(start_ms.div_euclid(DAY_MS));
    let end = month + months;
    let end_ms = days(end, day.min(month_days(end))) * DAY_MS + start_ms.rem_euclid(DAY_MS);
    in_range(end_ms).then_some(end_ms)
}

fn add_working_utc(start_ms: i64, n: i64, work: &WorkDays) -> Option<i64> {
    if !in_range(start_ms) {
        return None;
    }
    let end_ms = work.nth_after(start_ms.div_euclid(DAY_MS), n) * DAY_MS + start_ms.rem_euclid(DAY_MS);
    in_range(end_ms).then_some(end_ms)
}
