//! Working days: dates, calendars of holidays and workdays, and the n-th working day after a day.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::civil::{days, month_and_day, month_days};
use crate::id::excerpt;

/// Most holidays in a calendar, and most workdays.
pub const CALENDAR_DATES_MAX: usize = 1_000;
/// Longest span in working days.
pub const WORKING_DAYS_MAX: u32 = 10_000;

/// Day of the Gregorian calendar from 0000-01-01 to 9999-12-31. As text it is `YYYY-MM-DD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days from 1970-01-01.
    day: i64,
}

impl Date {
    /// Returns `true` for a Saturday or a Sunday.
    #[must_use]
    pub fn is_weekend(self) -> bool {
        since_monday(self.day) >= 5
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (month, day) = month_and_day(self.day);
        write!(f, "{:04}-{:02}-{day:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
    }
}

impl FromStr for Date {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        parse_date(text).ok_or_else(|| CalendarError::Date { found: excerpt(text) })
    }
}

fn parse_date(text: &str) -> Option<Date> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = *text.as_bytes() else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0, |number, digit| {
            digit.is_ascii_digit().then(|| number * 10 + i64::from(*digit - b'0'))
        })
    };
    let (year, month, day) = (number(&[y0, y1, y2, y3])?, number(&[m0, m1])?, number(&[d0, d1])?);
    let months = year * 12 + month - 1;
    let exists = (1..=12).contains(&month) && (1..=month_days(months)).contains(&day);
    exists.then(|| Date { day: days(months, day) })
}

/// Calendar of the exceptions from a working week of Monday to Friday.
///
/// A day without an entry is a working day unless it is a Saturday or a Sunday. A missing holiday makes a ceiling
/// earlier; a missing workday makes it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    holidays: Vec<Date>,
    workdays: Vec<Date>,
}

impl Calendar {
    /// Creates a calendar. `holidays` are days off; `workdays` are working days at weekends. Both strictly ascend.
    ///
    /// # Errors
    /// More than [`CALENDAR_DATES_MAX`] of either; a date that is not after the previous date; a workday that is not at
    /// a weekend; a date that is both.
    pub fn new(holidays: Vec<Date>, workdays: Vec<Date>) -> Result<Self, CalendarError> {
        for (kind, dates) in [("holidays", &holidays), ("workdays", &workdays)] {
            if dates.len() > CALENDAR_DATES_MAX {
                return Err(CalendarError::Many { kind, found: dates.len() });
            }
            for (previous, found) in dates.iter().zip(dates.iter().skip(1)) {
                if found <= previous {
                    return Err(CalendarError::Order { kind, previous: *previous, found: *found });
                }
            }
        }
        for found in &workdays {
            if !found.is_weekend() {
                return Err(CalendarError::NotWeekend { found: *found });
            }
            if holidays.binary_search(found).is_ok() {
                return Err(CalendarError::Both { found: *found });
            }
        }
        Ok(Self { holidays, workdays })
    }

    /// Reads a holiday file. Each line has a holiday `YYYY-MM-DD`, or a workday at a weekend `+YYYY-MM-DD`. `#` begins
    /// a comment, lines may be empty, and the order is free.
    ///
    /// # Errors
    /// The first line that has another form, repeats a date, has a workday that is not at a weekend, or exceeds
    /// [`CALENDAR_DATES_MAX`] dates of its kind.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let mut lines: BTreeMap<Date, usize> = BTreeMap::new();
        let (mut holidays, mut workdays) = (Vec::new(), Vec::new());
        for (line, whole) in (1..).zip(text.lines()) {
            let content = whole.split_once('#').map_or(whole, |(content, _)| content).trim();
            if content.is_empty() {
                continue;
            }
            let wrong = |expected: String| CalendarError::Line { line, expected, found: excerpt(content) };
            let workday = content.strip_prefix('+');
            let date = parse_date(workday.unwrap_or(content))
                .ok_or_else(|| wrong("a date that exists, YYYY-MM-DD or +YYYY-MM-DD".into()))?;
            if workday.is_some() && !date.is_weekend() {
                return Err(wrong("a Saturday or Sunday behind +".into()));
            }
            if let Some(first) = lines.insert(date, line) {
                return Err(wrong(format!("a date that is not given yet, this is in line {first}")));
            }
            let dates = if workday.is_some() { &mut workdays } else { &mut holidays };
            if dates.len() == CALENDAR_DATES_MAX {
                let kind = if workday.is_some() { "workdays" } else { "holidays" };
                return Err(wrong(format!("no more than {CALENDAR_DATES_MAX} {kind}")));
            }
            dates.push(date);
        }
        holidays.sort_unstable();
        workdays.sort_unstable();
        Self::new(holidays, workdays)
    }

    /// Returns the holidays, ascending.
    #[must_use]
    pub fn holidays(&self) -> &[Date] {
        &self.holidays
    }

    /// Returns the working days at weekends, ascending.
    #[must_use]
    pub fn workdays(&self) -> &[Date] {
        &self.workdays
    }

    /// Returns `true` if the calendar has no dates.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holidays.is_empty() && self.workdays.is_empty()
    }
}

/// Calendar in the form in which days are counted: days from 1970-01-01, ascending.
#[derive(Clone, Debug)]
pub(super) struct WorkDays {
    /// Holidays from Monday to Friday.
    off: Vec<i64>,
    /// Working days at weekends.
    on: Vec<i64>,
}

impl WorkDays {
    pub(super) fn of(calendar: &Calendar) -> Self {
        let off = calendar.holidays.iter().filter(|date| !date.is_weekend()).map(|date| date.day).collect();
        Self { off, on: calendar.workdays.iter().map(|date| date.day).collect() }
    }

    /// Returns the `n`-th working day after `day`, by bisection. A long calendar hardly makes it slower.
    pub(super) fn nth_after(&self, day: i64, n: i64) -> i64 {
        let before = self.count(day);
        // Lower bound: every day is a working day. Upper bound: weeks with five working days each, enough for n and for
        // every holiday.
        let weeks = (n + i64::try_from(self.off.len()).unwrap_or(i64::MAX / 8)) / 5 + 1;
        let (mut least, mut most) = (day + n, day + 7 * weeks);
        while least < most {
            let middle = least + (most - least) / 2;
            if self.count(middle) - before >= n {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        least
    }

    /// Returns the number of working days up to and including `day`. The first day counted is arbitrary, so only
    /// differences have a meaning.
    fn count(&self, day: i64) -> i64 {
        let passed = |dates: &[i64]| i64::try_from(dates.partition_point(|date| *date <= day)).unwrap_or(0);
        // 1969-12-29 was a Monday.
        let weeks = (day + 3).div_euclid(7);
        weeks * 5 + (since_monday(day) + 1).min(5) - passed(&self.off) + passed(&self.on)
    }
}

/// Returns 0 for a Monday, 6 for a Sunday.
fn since_monday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Error of dates that are not a calendar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// A text is not a date.
    #[error("a date is a day that exists, as YYYY-MM-DD, found {found:?}")]
    Date {
        /// Text, cut to 64 characters.
        found: String,
    },
    /// A line of a holiday file has another form or another date than expected.
    #[error("line {line} of the holidays: expected {expected}, found {found:?}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Expected text.
        expected: String,
        /// Line without its comment, cut to 64 characters.
        found: String,
    },
    /// The calendar has too many dates of a kind.
    #[error("{found} {kind}, at most {CALENDAR_DATES_MAX} are allowed")]
    Many {
        /// `holidays` or `workdays`.
        kind: &'static str,
        /// Number of dates.
        found: usize,
    },
    /// A date is not after the previous date.
    #[error("{found} among the {kind}, expected a date after {previous}")]
    Order {
        /// `holidays` or `workdays`.
        kind: &'static str,
        /// Previous date.
        previous: Date,
        /// Refused date.
        found: Date,
    },
    /// A workday is a day from Monday to Friday.
    #[error("{found} among the workdays, expected a Saturday or Sunday")]
    NotWeekend {
        /// Refused date.
        found: Date,
    },
    /// A date is both a holiday and a workday.
    #[error("{found} is both a holiday and a workday, expected only one of them")]
    Both {
        /// Refused date.
        found: Date,
    },
}

#[cfg(test)]
#[path = "days_tests.rs"]
mod tests;
