//! Proleptic Gregorian calendar: days and months counted as integers.
//!
//! Days count from 1970-01-01, months from January of the year 0. The algorithms are those of Howard Hinnant's
//! "chrono-compatible low-level date algorithms".

/// Milliseconds in a day of UTC.
pub(super) const DAY_MS: i64 = 86_400_000;
/// Days in 400 years, after which the Gregorian calendar repeats.
pub(super) const CYCLE_DAYS: i64 = 146_097;
/// Months in 400 years, after which the Gregorian calendar repeats.
pub(super) const CYCLE_MONTHS: i64 = 4800;

/// Returns the number of days in a month.
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

/// Returns the days from 1970-01-01 to a day of a month (Hinnant's `days_from_civil`).
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

/// Returns the month, and the day of that month, of a number of days from 1970-01-01 (Hinnant's `civil_from_days`).
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
