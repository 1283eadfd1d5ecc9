use super::*;
use crate::time::Timestamp;
use crate::time::tests::at as ms;
use crate::window::tests::date;
use crate::window::{Span, Unit, Window, WindowError};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;
const DAY: Duration = Duration::from_secs(86_400);

/// Returns an instant from a text such as `2025-03-01T12:00[Europe/Berlin]`.
fn at(text: &str) -> Timestamp {
    ms(text.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond())
}

fn window(within: &str, zone: &str, calendar: &str) -> Window {
    let calendar = Calendar::parse(calendar).unwrap();
    Window::new(None, Some(within.parse().unwrap()), zone, &calendar).unwrap()
}

fn ceiling(window: &Window, start: &str) -> Timestamp {
    window.bounds(at(start)).unwrap().ceiling.unwrap()
}

/// Holidays and workdays in China around 1 October 2026.
const CHINA: &str = "\
# National Day
2026-10-01
2026-10-02
2026-10-03   # a Saturday anyway
2026-10-04
2026-10-05
2026-10-06
2026-10-07

+2026-09-20
+2026-10-10
";

#[test]
fn fifteen_working_days_in_china_from_the_end_of_september() {
    let fifteen = window("15wd", "Asia/Shanghai", CHINA);
    // From Friday 25 September 2026, which does not count: Monday 28 (1), Tuesday 29 (2), Wednesday 30 (3); off from
    // 1 to 7 October; Thursday 8 (4), Friday 9 (5), Saturday 10, a workday (6); Sunday 11 off; Monday 12 (7),
    // 13 (8), 14 (9), 15 (10), Friday 16 (11); Monday 19 (12), 20 (13), 21 (14), Thursday 22 (15).
    let end = at("2026-10-22T17:45[Asia/Shanghai]");
    assert_eq!(ceiling(&fifteen, "2026-09-25T17:45[Asia/Shanghai]"), end);
    // The Saturday and the Sunday after it give the same end, because neither is a working day.
    for (start, end) in [("26T00:00", "22T00:00"), ("27T23:59", "22T23:59"), ("28T09:00", "23T09:00")] {
        let end = at(&format!("2026-10-{end}[Asia/Shanghai]"));
        assert_eq!(ceiling(&fifteen, &format!("2026-09-{start}[Asia/Shanghai]")), end);
    }
    // From Saturday 19 September: Sunday 20, a workday (1), Monday to Friday 21 to 25 (6), 28 to 30 (9), 8 and
    // 9 October (11), Saturday 10 (12), Monday 12 (13), 13 (14), Wednesday 14 (15).
    let end = at("2026-10-14T08:00[Asia/Shanghai]");
    assert_eq!(ceiling(&fifteen, "2026-09-19T08:00[Asia/Shanghai]"), end);
    // The day of the zone counts: late on Thursday in UTC it is Friday in Shanghai.
    assert_eq!(ceiling(&fifteen, "2026-09-24T16:30[UTC]"), at("2026-10-22T00:30[Asia/Shanghai]"));
    // Without a calendar: 28 September to 2 October (5), 5 to 9 (10), 12 to 16 (15).
    let plain = window("15wd", "Asia/Shanghai", "");
    assert_eq!(
        ceiling(&plain, "2026-09-25T17:45[Asia/Shanghai]"),
        at("2026-10-16T17:45[Asia/Shanghai]"),
        "a holiday that is left out makes the ceiling earlier"
    );
}

#[test]
fn skipped_or_repeated_time_uses_the_earlier_offset() {
    // Clocks change on Sundays, which are workdays in this calendar.
    let berlin = window("1wd", "Europe/Berlin", "+2025-03-30\n+2025-10-26\n2025-03-29\n2025-10-25");
    assert_eq!(ceiling(&berlin, "2025-03-28T02:30[Europe/Berlin]"), at("2025-03-30T01:30[UTC]"));
    assert_eq!(ceiling(&berlin, "2025-10-24T02:30[Europe/Berlin]"), at("2025-10-26T00:30[UTC]"));
    // Across the change the wall-clock time stays, and the span is an hour shorter.
    let start = "2025-03-30T12:00[Europe/Berlin]";
    assert_eq!(ceiling(&berlin, start), at("2025-03-31T12:00[Europe/Berlin]"));
    assert_eq!(
        ceiling(&berlin, "2025-03-28T12:00[Europe/Berlin]").since(at("2025-03-28T12:00[Europe/Berlin]")),
        2 * DAY - DAY / 24
    );
}

#[test]
fn calendar_of_a_thousand_holidays_is_counted_past() {
    // Monday 2026-01-05 and the 999 weekdays after it: nearly four years.
    let weekdays = (20_458..).map(date).filter(|date| !date.is_weekend());
    let calendar = Calendar::new(weekdays.take(CALENDAR_DATES_MAX).collect(), Vec::new()).unwrap();
    let one = Window::new(None, Some("1wd".parse().unwrap()), "UTC", &calendar).unwrap();
    // Of 1,000 weekdays the last is in the 200th week, on Friday 2029-11-02. The first working day is the Monday after
    // it.
    assert_eq!(ceiling(&one, "2026-01-04T06:00[UTC]"), at("2029-11-05T06:00[UTC]"));
    let most = Window::new(None, Some("10000wd".parse().unwrap()), "UTC", &calendar).unwrap();
    // 11,000 weekdays are 2,200 weeks.
    let end = at("2026-01-02T06:00[UTC]").saturating_add(2_200 * 7 * DAY);
    assert_eq!(ceiling(&most, "2026-01-04T06:00[UTC]"), end);
    assert_eq!(one.tightest(), Some(DAY));
    assert_eq!(most.tightest(), Some(10_000 * DAY));
}

#[test]
fn working_days_beside_or_as_a_floor_are_refused() {
    let refused = |keep: Option<&str>, within: Option<&str>, calendar: &str| {
        let span = |text: &str| text.parse::<Span>().unwrap();
        let calendar = Calendar::parse(calendar).unwrap();
        Window::new(keep.map(span), within.map(span), "UTC", &calendar).unwrap_err().to_string()
    };
    assert_eq!(
        refused(Some("3wd"), None, ""),
        "keep is 3wd, expected no working days, which are for within alone"
    );
    assert_eq!(
        refused(Some("1h"), Some("3wd"), ""),
        "within is 3wd, expected no working days, as there is keep 1h"
    );
    assert_eq!(refused(None, Some("10001wd"), ""), "the span 10001wd is longer than 10000 working days");
    let sentence = "the calendar has the date 2026-01-01, expected none, as within is not in working days";
    assert_eq!(refused(None, Some("3d"), "2026-01-01"), sentence);
    assert_eq!(refused(Some("3d"), None, "2026-01-01"), sentence);
    let none = Span { count: 0, unit: Unit::WorkingDays };
    let zero = Window::new(None, Some(none), "UTC", &Calendar::default());
    assert!(matches!(zero, Err(WindowError::Count(_))));
}

#[test]
fn instants_beyond_those_of_calendar_spans_are_refused() {
    for zone in ["UTC", "Europe/Berlin"] {
        let window = window("2wd", zone, "");
        let last = jiff::Timestamp::MAX.as_millisecond();
        for start in
            [i64::MIN, jiff::Timestamp::MIN.as_millisecond() - 1, last, last - DAY_MS, last + 1, i64::MAX]
        {
            let error = window.bounds(ms(start)).unwrap_err();
            assert!(matches!(error, WindowError::Range { .. }), "{zone} {start}");
        }
        assert!(window.bounds(ms(jiff::Timestamp::MIN.as_millisecond())).is_ok());
        assert!(window.bounds(ms(last - 7 * DAY_MS)).is_ok());
    }
}

#[test]
fn holiday_file_is_read_with_comments_in_any_order() {
    let calendar =
        Calendar::parse("\u{20}+2026-10-10 # made up for\r\n\r\n2026-10-02\n#\n  2026-10-01").unwrap();
    let text = |dates: &[Date]| dates.iter().map(Date::to_string).collect::<Vec<_>>();
    assert_eq!(text(calendar.holidays()), ["2026-10-01", "2026-10-02"]);
    assert_eq!(text(calendar.workdays()), ["2026-10-10"]);
    assert!(!calendar.is_empty());
    for text in ["", "\n\n", "# nothing", "  # nothing\n"] {
        assert_eq!(Calendar::parse(text), Ok(Calendar::default()));
        assert!(Calendar::parse(text).unwrap().is_empty());
    }
    assert!(Calendar::parse("2026-10-03").is_ok(), "a holiday may be at a weekend");
}

#[test]
fn error_in_a_holiday_file_names_the_line() {
    let error = |text: &str| Calendar::parse(text).unwrap_err().to_string();
    let no_date = "expected a date that exists, YYYY-MM-DD or +YYYY-MM-DD, found";
    for bad in
        ["2026-02-29", "2026-13-01", "2026-00-10", "2026-1-01", "26-01-01", "2026/01/01", "-2026-10-10", "x"]
    {
        assert_eq!(error(&format!("# a\n{bad} # b")), format!("line 2 of the holidays: {no_date} {bad:?}"));
    }
    assert!(
        error("2026-10-01 2026-10-02").starts_with("line 1 of the holidays: expected a date that exists")
    );
    assert!(error("+ 2026-10-10").contains(no_date) && error("++2026-10-10").contains(no_date));
    assert_eq!(
        error("2026-10-01\n\n+2026-10-09"),
        "line 3 of the holidays: expected a Saturday or Sunday behind +, found \"+2026-10-09\""
    );
    for again in ["2026-10-10", "+2026-10-10"] {
        assert_eq!(
            error(&format!("2026-10-01\n2026-10-10\n{again}")),
            format!(
                "line 3 of the holidays: expected a date that is not given yet, this is in line 2, found {again:?}"
            )
        );
    }
    let many: String = (0..=1_000).map(|day| format!("{}\n", date(day))).collect();
    assert_eq!(
        error(&many),
        "line 1001 of the holidays: expected no more than 1000 holidays, found \"1972-09-27\""
    );
    let many: String = (0..=1_000).map(|week| format!("+{}\n", date(2 + 7 * week))).collect();
    assert!(error(&many).starts_with("line 1001 of the holidays: expected no more than 1000 workdays"));
}

#[test]
fn dates_that_do_not_form_a_calendar_are_refused() {
    let dates = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Date>>();
    let error = |holidays: &[&str], workdays: &[&str]| {
        Calendar::new(dates(holidays), dates(workdays)).unwrap_err().to_string()
    };
    let order = "2026-10-01 among the holidays, expected a date after 2026-10-01";
    assert_eq!(error(&["2026-10-01", "2026-10-01"], &[]), order);
    let order = "2026-10-10 among the workdays, expected a date after 2026-10-11";
    assert_eq!(error(&[], &["2026-10-11", "2026-10-10"]), order);
    assert_eq!(error(&[], &["2026-10-09"]), "2026-10-09 among the workdays, expected a Saturday or Sunday");
    assert_eq!(
        error(&["2026-10-10"], &["2026-10-10"]),
        "2026-10-10 is both a holiday and a workday, expected only one of them"
    );
    let many = Calendar::new((0..1_001).map(date).collect(), Vec::new()).unwrap_err();
    assert_eq!(many.to_string(), "1001 holidays, at most 1000 are allowed");
}

#[test]
fn dates_have_one_spelling_and_know_their_day_of_the_week() {
    for (text, weekend) in [
        ("0000-01-01", true),
        ("9999-12-31", false),
        ("2024-02-29", false),
        ("2026-10-10", true),
        ("1970-01-04", true),
    ] {
        let date: Date = text.parse().unwrap();
        assert_eq!((date.to_string().as_str(), date.is_weekend()), (text, weekend));
    }
    let error = "2023-02-29".parse::<Date>().unwrap_err();
    assert_eq!(error.to_string(), "a date is a day that exists, as YYYY-MM-DD, found \"2023-02-29\"");
    for day in -3_000..60_000 {
        let ours = date(day);
        let theirs = jiff::civil::date(1970, 1, 1) + jiff::Span::new().days(day);
        assert_eq!(ours, Date { day });
        assert_eq!(ours.is_weekend(), matches!(theirs.weekday(), Weekday::Saturday | Weekday::Sunday));
    }
}

/// Returns the `n`-th working day after the start, by counting single days with jiff.
fn by_jiff(
    start: Timestamp,
    n: u32,
    zone: &TimeZone,
    off: &BTreeSet<String>,
    on: &BTreeSet<String>,
) -> Timestamp {
    let start = zone.to_datetime(jiff::Timestamp::from_millisecond(start.unix_ms()).unwrap());
    let (mut day, mut left) = (start.date(), n);
    while left > 0 {
        day = day.tomorrow().unwrap();
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let name = day.to_string();
        if on.contains(&name) || (!weekend && !off.contains(&name)) {
            left -= 1;
        }
    }
    ms(day.to_datetime(start.time()).to_zoned(zone.clone()).unwrap().timestamp().as_millisecond())
}

proptest! {
    #[test]
    fn working_days_agree_with_jiff_day_by_day_in_every_zone(
        start in prop_oneof![-2_000_000_000_000i64..4_000_000_000_000, 1_700_000_000_000i64..1_800_000_000_000],
        n in prop_oneof![8 => 1u32..80, 1 => 1u32..2_000],
        off in proptest::collection::btree_set(-20i64..400, 0..120),
        on in proptest::collection::btree_set(-20i64..400, 0..120),
        zone in prop_oneof![
            Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"),
            Just("Africa/Casablanca"), Just("Pacific/Apia"), Just("Asia/Shanghai")
        ],
    ) {
        let first = start.div_euclid(DAY_MS);
        let off: BTreeSet<i64> = off.into_iter().collect();
        let holidays: Vec<Date> = off.iter().map(|day| date(first + day)).collect();
        let on = on.into_iter().filter(|day| !off.contains(day)).map(|day| date(first + day));
        let workdays: Vec<Date> = on.filter(|date| date.is_weekend()).collect();
        let names = |dates: &[Date]| dates.iter().map(Date::to_string).collect::<BTreeSet<_>>();
        let (off, on) = (names(&holidays), names(&workdays));
        let calendar = Calendar::new(holidays, workdays).unwrap();
        let span = Span { count: n, unit: Unit::WorkingDays };
        let window = Window::new(None, Some(span), zone, &calendar).unwrap();
        let start = ms(start);
        let ours = window.bounds(start).unwrap().ceiling.unwrap();
        prop_assert_eq!(ours, by_jiff(start, n, &TimeZone::get(zone).unwrap(), &off, &on));
        prop_assert!(Some(ours.since(start)) >= window.tightest());
    }

    #[test]
    fn accepted_date_is_written_the_same(text in "[0-9]{4}-[0-3][0-9]-[0-3][0-9]|.{0,12}") {
        if let Ok(date) = text.parse::<Date>() {
            prop_assert_eq!(date.to_string(), text.clone());
        }
        prop_assert_eq!(text.parse::<Date>().is_ok(), text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok());
    }

    #[test]
    fn arbitrary_holiday_files_never_panic(text in "([+]?20[0-9]{2}-[01][0-9]-[0-3][0-9]\n|.{0,12}\n){0,12}") {
        if let Ok(calendar) = Calendar::parse(&text) {
            let again = Calendar::new(calendar.holidays().to_vec(), calendar.workdays().to_vec());
            prop_assert_eq!(again, Ok(calendar));
        }
    }
}
