//! Calendar arithmetic: months and working days added to an instant, in UTC and in other zones.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::days::WorkDays;
use super::{WindowError, ZONE_MAX_BYTES};
use crate::id::{NO_CEILING, excerpt};

/// Milliseconds in a day of UTC.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Days in 400 years, after which the Gregorian calendar repeats.
pub(super) const CYCLE_DAYS: i64 = 146_097;
/// Months in 400 years.
pub(super) const CYCLE_MONTHS: i64 = 4800;

/// What a span adds to an instant.
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
    /// How long the step is from a day of a month, by the calendar alone.
    pub(super) fn civil_ms(self, month: i64, day: i64) -> i64 {
        match self {
            Self::Exact(ms) => ms,
            // At least: people may work every day.
            Self::Working(n) => n * DAY_MS,
            Self::Months(months) => {
                let end = month + months;
                (days(end, day.min(month_days(end))) - days(month, day)) * DAY_MS
            }
        }
    }
}

/// A zone, UTC being computed here.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    /// UTC.
    Utc,
    /// Any other.
    Other(TimeZone),
}

impl Zone {
    /// The zone of exactly this name. The compiled-in database is asked, not the system's: a verdict must not depend on
    /// the machine that it is given on.
    pub(super) fn get(name: &str) -> Result<Self, WindowError> {
        let unknown = || WindowError::Zone { found: excerpt(name) };
        if name.len() > ZONE_MAX_BYTES {
            return Err(unknown());
        }
        if name == "UTC" || name == "Etc/UTC" {
            return Ok(Self::Utc);
        }
        let zone = TimeZoneDatabase::bundled().get(name).map_err(|_| unknown())?;
        // jiff takes any case; the format has one spelling.
        if zone.iana_name() != Some(name) || zone.is_unknown() {
            return Err(unknown());
        }
        Ok(Self::Other(zone))
    }

    /// `start_ms` and `step`, or nothing where that is not an instant. The two sentinels are not instants.
    pub(super) fn add(&self, start_ms: i64, step: Step, work: &WorkDays) -> Option<i64> {
        match (step, self) {
            (Step::Exact(ms), _) => start_ms.checked_add(ms).filter(|end| *end != NO_CEILING),
            (Step::Months(months), Self::Utc) => add_months_utc(start_ms, months),
            (Step::Months(months), Self::Other(zone)) => add_months(zone, start_ms, months),
            (Step::Working(n), Self::Utc) => add_working_utc(start_ms, n, work),
            (Step::Working(n), Self::Other(zone)) => add_working(zone, start_ms, n, work),
        }
    }

    /// Greatest minus least offset from UTC that the zone ever has, in milliseconds.
    pub(super) fn spread_ms(&self) -> i64 {
        let Self::Other(zone) = self else { return 0 };
        let first = zone.to_offset(Timestamp::MIN).seconds();
        let (mut least, mut most) = (first, first);
        // Single changes are listed to 2037, for a few zones to 2087; from then on two offsets alternate every year.
        for change in
            zone.following(Timestamp::MIN).take_while(|change| change.timestamp().as_second() < Y2100_S)
        {
            least = least.min(change.offset().seconds());
            most = most.max(change.offset().seconds());
        }
        (i64::from(most) - i64::from(least)) * 1000
    }
}

const Y2100_S: i64 = 4_102_444_800;

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

/// Months from January of the year 0.
fn month_of(civil: civil::DateTime) -> i64 {
    i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1
}

/// The instant of a wall-clock time on a day of a month.
fn at(zone: &TimeZone, month: i64, day: i64, time: civil::Time) -> Option<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let date =
        civil::Date::new(year, i8::try_from(month.rem_euclid(12) + 1).ok()?, i8::try_from(day).ok()?).ok()?;
    Some(zone.to_timestamp(date.to_datetime(time)).ok()?.as_millisecond())
}

/// Whether calendar spans are computed from and to this instant.
fn known(ms: i64) -> bool {
    (Timestamp::MIN.as_millisecond()..=Timestamp::MAX.as_millisecond()).contains(&ms)
}

fn add_months_utc(start_ms: i64, months: i64) -> Option<i64> {
    if !known(start_ms) {
        return None;
    }
    let (month, day) = month_and_day(start_ms.div_euclid(DAY_MS));
    let end = month + months;
    let end_ms = days(end, day.min(month_days(end))) * DAY_MS + start_ms.rem_euclid(DAY_MS);
    known(end_ms).then_some(end_ms)
}

fn add_working_utc(start_ms: i64, n: i64, work: &WorkDays) -> Option<i64> {
    if !known(start_ms) {
        return None;
    }
    let end_ms = work.nth_after(start_ms.div_euclid(DAY_MS), n) * DAY_MS + start_ms.rem_euclid(DAY_MS);
    known(end_ms).then_some(end_ms)
}

/// Days of a month; months are counted from January of the year 0.
pub(super) fn month_days(month: i64) -> i64 {
    match month.rem_euclid(12) {
        1 => {
            let year = month.div_euclid(12);
            if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 29 } else { 28 }
        }
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a day of a month (Hinnant, `days_from_civil`).
pub(super) fn days(month: i64, day: i64) -> i64 {
    // The year is taken to begin in March, so that the leap day is its last.
    let since_march = month - 2;
    let year = since_march.div_euclid(12);
    let cycle = year.div_euclid(400);
    let year_of_cycle = year.rem_euclid(400);
    let day_of_year = (153 * since_march.rem_euclid(12) + 2) / 5 + day - 1;
    let day_of_cycle = year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year;
    cycle * CYCLE_DAYS + day_of_cycle - 719_468
}

/// Month and day of a number of days from 1970-01-01 (Hinnant, `civil_from_days`).
pub(super) fn month_and_day(days: i64) -> (i64, i64) {
    let shifted = days + 719_468;
    let cycle = shifted.div_euclid(CYCLE_DAYS);
    let day_of_cycle = shifted.rem_euclid(CYCLE_DAYS);
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    ((cycle * 400 + year_of_cycle) * 12 + month + 2, day)
}
