use super::civil::CYCLE_DAYS;
use super::*;
use crate::time::tests::at as ms;
use crate::wire::{decode_ceiling, decode_floor, encode_ceiling, encode_floor};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

const HOUR_MS: i64 = 3_600_000;
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

fn keep(text: &str, zone: &str) -> Window {
    Window::new(Some(span(text)), None, zone, &Calendar::default()).unwrap()
}

fn within(text: &str, zone: &str) -> Window {
    Window::new(None, Some(span(text)), zone, &Calendar::default()).unwrap()
}

fn utc(text: &str) -> Timestamp {
    ms(text.parse::<DateTime>().unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond())
}

/// Returns an instant from a text such as `2025-03-01T12:00[Europe/Berlin]`.
fn at(text: &str) -> Timestamp {
    ms(text.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond())
}

/// Returns the date of a number of days from 1970-01-01.
pub(crate) fn date(day: i64) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    (epoch + jiff::Span::new().days(day)).to_string().parse().unwrap()
}

fn floor(window: &Window, start: Timestamp) -> Timestamp {
    window.bounds(start).unwrap().floor.unwrap()
}

fn ceiling(window: &Window, start: Timestamp) -> Timestamp {
    window.bounds(start).unwrap().ceiling.unwrap()
}

#[test]
fn spans_have_one_spelling() {
    for good in
        ["1s", "90m", "3h", "73h", "720h", "30d", "2w", "6mo", "1y", "1000000y", "10s", "15wd", "10000wd"]
    {
        assert_eq!(span(good).to_string(), good);
    }
    let bad = [
        "",
        "h",
        "3",
        "0h",
        "00h",
        "03h",
        "+3h",
        "-3h",
        " 3h",
        "3h ",
        "3 h",
        "3H",
        "3hh",
        "3M",
        "3min",
        "3.5h",
        "1000001s",
        "99999999999999999999s",
        "3dw",
        "3moo",
        "3m o",
        "٣h",
        "3h\n",
        "1e3s",
    ];
    for bad in bad {
        assert_eq!(bad.parse::<Span>().unwrap_err().found, bad, "{bad:?}");
    }
    assert!(Span::new(0, Unit::Hours).is_err() && Span::new(SPAN_COUNT_MAX + 1, Unit::Hours).is_err());
    assert_eq!(
        Span::new(SPAN_COUNT_MAX, Unit::Weeks).map(Span::exact),
        Ok(Some(Duration::from_millis(604_800_000_000_000)))
    );
    assert_eq!(
        Unit::ALL.map(|unit| (unit.suffix(), Span { count: 2, unit }.exact())),
        [
            ("s", Some(Duration::from_millis(2_000))),
            ("m", Some(Duration::from_millis(120_000))),
            ("h", Some(2 * HOUR)),
            ("d", Some(48 * HOUR)),
            ("w", Some(2 * 7 * 24 * HOUR)),
            ("wd", None),
            ("mo", None),
            ("y", None),
        ]
    );
}

#[test]
fn six_months_after_the_end_of_august_end_in_february() {
    let window = keep("6mo", "UTC");
    for (start, end) in [
        ("2022-08-31T23:59:59.999", "2023-02-28T23:59:59.999"),
        ("2023-08-31T12:00", "2024-02-29T12:00"),
        ("2023-08-30T00:00", "2024-02-29T00:00"),
        ("2023-08-29T00:00", "2024-02-29T00:00"),
        ("2023-08-28T00:00", "2024-02-28T00:00"),
        ("1899-08-31T00:00", "1900-02-28T00:00"),
        ("1999-08-31T00:00", "2000-02-29T00:00"),
    ] {
        assert_eq!(floor(&window, utc(start)), utc(end), "{start}");
    }
    assert_eq!(floor(&keep("1y", "UTC"), utc("2024-02-29T01:02:03.004")), utc("2025-02-28T01:02:03.004"));
    assert_eq!(floor(&keep("4y", "UTC"), utc("2024-02-29T01:02:03.004")), utc("2028-02-29T01:02:03.004"));
}

#[test]
fn exact_spans_ignore_clock_changes() {
    let starts = [
        "2025-03-30T01:59:59.999[Europe/Berlin]",
        "2025-10-26T02:30+02:00[Europe/Berlin]",
        "2025-10-26T02:30+01:00[Europe/Berlin]",
        "2025-03-09T01:00[America/New_York]",
        "2025-11-02T01:30-04:00[America/New_York]",
    ];
    for (text, hours) in [("3h", 3), ("73h", 73), ("720h", 720), ("30d", 720), ("2w", 336), ("1s", 0)] {
        for zone in ["UTC", "Europe/Berlin", "America/New_York"] {
            for start in starts {
                let (start, length) =
                    (at(start), if hours == 0 { Duration::from_secs(1) } else { hours * HOUR });
                let bounds = Window::new(None, Some(span(text)), zone, &Calendar::default())
                    .unwrap()
                    .bounds(start)
                    .unwrap();
                assert_eq!(bounds, Bounds { floor: None, ceiling: start.checked_add(length) });
            }
        }
    }
}

#[test]
fn months_keep_the_wall_clock_time_of_the_zone() {
    let berlin = keep("6mo", "Europe/Berlin");
    assert_eq!(
        floor(&berlin, at("2025-01-15T12:00[Europe/Berlin]")),
        at("2025-07-15T12:00[Europe/Berlin]"),
        "an hour less in UTC"
    );
    // Late in the evening in UTC, Berlin has the next day, and here the next month.
    assert_eq!(floor(&berlin, utc("2025-08-30T22:30")), at("2026-02-28T00:30[Europe/Berlin]"));
    assert_eq!(floor(&keep("6mo", "UTC"), utc("2025-08-30T22:30")), utc("2026-02-28T22:30"));
}

#[test]
fn skipped_or_repeated_time_uses_the_earlier_offset() {
    let berlin = keep("6mo", "Europe/Berlin");
    // 2025-03-30 02:30 does not exist: by the offset before the gap, +01:00, it is 01:30 UTC.
    assert_eq!(floor(&berlin, at("2024-09-30T02:30[Europe/Berlin]")), utc("2025-03-30T01:30"));
    // 2025-10-26 02:30 is there twice: the first is 00:30 UTC.
    assert_eq!(floor(&berlin, at("2025-04-26T02:30[Europe/Berlin]")), utc("2025-10-26T00:30"));
    let york = keep("6mo", "America/New_York");
    assert_eq!(floor(&york, at("2024-09-09T02:30[America/New_York]")), utc("2025-03-09T07:30"));
    assert_eq!(floor(&york, at("2025-05-02T01:30[America/New_York]")), utc("2025-11-02T05:30"));
    // Samoa skipped the whole of 2011-12-30.
    assert_eq!(
        floor(&keep("6mo", "Pacific/Apia"), at("2011-06-30T12:00[Pacific/Apia]")),
        at("2011-12-31T12:00[Pacific/Apia]")
    );
    // A start in the repeated hour counts by its wall-clock time, at either offset.
    for start in ["2025-10-26T02:30+02:00[Europe/Berlin]", "2025-10-26T02:30+01:00[Europe/Berlin]"] {
        assert_eq!(floor(&berlin, at(start)), at("2026-04-26T02:30[Europe/Berlin]"));
    }
}

/// Covers 1970, 9999 and instants before the epoch.
#[test]
fn starts_at_the_edges_of_the_range_are_computed_or_refused() {
    let (exact, months) = (within("3h", "UTC"), within("6mo", "UTC"));
    assert_eq!(ceiling(&exact, ms(0)), ms(3 * HOUR_MS));
    assert_eq!(ceiling(&months, ms(0)), utc("1970-07-01T00:00"));
    assert_eq!(ceiling(&months, ms(-1)), utc("1970-06-30T23:59:59.999"));
    assert_eq!(ceiling(&months, utc("-009999-12-31T00:00")), utc("-009998-06-30T00:00"));
    assert_eq!(ceiling(&months, utc("9999-06-29T00:00")), utc("9999-12-29T00:00"));
    assert_eq!(ceiling(&exact, utc("9999-12-30T00:00")), utc("9999-12-30T03:00"));
    let late = utc("9999-07-01T00:00");
    for zone in ["UTC", "Europe/Berlin"] {
        let error = within("6mo", zone).bounds(late).unwrap_err();
        assert_eq!(error, WindowError::Range { start: late, span: span("6mo") });
        let text = "6mo after 9999-07-01T00:00:00.000Z is beyond the instants that can be computed";
        assert_eq!(error.to_string(), text);
        for start in [
            i64::MIN,
            i64::MAX,
            jiff::Timestamp::MIN.as_millisecond() - 1,
            jiff::Timestamp::MAX.as_millisecond(),
        ] {
            assert!(within("1mo", zone).bounds(ms(start)).is_err(), "{zone} {start}");
        }
    }
    assert_eq!(ceiling(&exact, ms(i64::MIN)), ms(i64::MIN + 3 * HOUR_MS));
    assert_eq!(ceiling(&exact, ms(i64::MAX - 3 * HOUR_MS - 1)), ms(i64::MAX - 1));
    for start in [i64::MAX, i64::MAX - 3 * HOUR_MS + 1, i64::MAX - 3 * HOUR_MS] {
        assert!(exact.bounds(ms(start)).is_err(), "the wire value of no ceiling is not an instant");
    }
    assert!(keep("1000000w", "UTC").bounds(Timestamp::MAX).is_err());
}

#[test]
fn impossible_window_is_refused_with_its_cause() {
    let refused = |keep: Option<&str>, within: Option<&str>, zone: &str| {
        Window::new(keep.map(span), within.map(span), zone, &Calendar::default()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(None, None, "UTC"),
        "a class states neither keep nor within, expected at least one of them"
    );
    for zone in [
        "",
        "utc",
        "europe/berlin",
        "Europe/berlin",
        "Berlin",
        "Etc/Unknown",
        "+01:00",
        "CET-1",
        &"x".repeat(999),
    ] {
        assert!(refused(None, Some("3h"), zone).starts_with("unknown time zone"), "{zone}");
    }
    assert!(refused(Some("239977mo"), None, "UTC").contains("239976 months"));
    assert!(refused(None, Some("19999y"), "Europe/Berlin").contains("239976 months"));
    for (keep, within) in
        [("3h", "3h"), ("4h", "3h"), ("6mo", "6mo"), ("30d", "1mo"), ("1mo", "31d"), ("1y", "365d")]
    {
        assert!(refused(Some(keep), Some(within), "UTC").contains("expected at least 1"), "{keep} {within}");
    }
    let zero = Span { count: 0, unit: Unit::Hours };
    assert!(matches!(Window::new(Some(zero), None, "UTC", &Calendar::default()), Err(WindowError::Count(_))));
    assert!(Window::new(Some(span("3h")), Some(span("10801s")), "UTC", &Calendar::default()).is_ok());
}

/// The least and the greatest length of a month, of a year and of eight years decide. In another zone 36 hours more
/// are needed, whatever the IANA database says about it.
#[test]
fn calendar_span_beside_an_exact_one_needs_room_by_the_calendar() {
    for (keep, within, room, room_elsewhere) in [
        ("27d", "1mo", true, false),
        ("26d", "1mo", true, true),
        ("40319m", "1mo", true, false),
        ("40320m", "1mo", false, false),
        ("38159m", "1mo", true, true),
        ("636h", "1mo", true, false),
        ("1mo", "31d", false, false),
        ("1mo", "44641m", true, false),
        ("1mo", "780h", true, false),
        ("1mo", "46801m", true, true),
        ("364d", "1y", true, false),
        ("363d", "1y", true, true),
        ("1y", "366d", false, false),
        ("1y", "368d", true, true),
        ("2921d", "8y", false, false),
        ("2919d", "8y", true, true),
        ("8y", "2922d", false, false),
        ("8y", "2924d", true, true),
        ("6mo", "7mo", true, true),
        ("1y", "13mo", true, true),
        ("12mo", "1y", false, false),
        ("3h", "10801s", true, true),
        ("3h", "180m", false, false),
    ] {
        for (zone, room) in [
            ("UTC", room),
            ("Etc/UTC", room),
            ("Europe/Berlin", room_elsewhere),
            // Each of its offsets is that of UTC, but the rule looks only at the name.
            ("Etc/GMT", room_elsewhere),
        ] {
            let window = Window::new(Some(span(keep)), Some(span(within)), zone, &Calendar::default());
            assert_eq!(window.is_ok(), room, "{keep} {within} {zone}");
            assert!(room || matches!(window, Err(WindowError::NoRoom { .. })));
        }
    }
}

#[test]
fn zones_are_those_of_the_compiled_in_database() {
    for zone in [
        "UTC",
        "Etc/UTC",
        "Europe/Berlin",
        "America/Port-au-Prince",
        "Etc/GMT+5",
        "EST5EDT",
        "Asia/Kathmandu",
    ] {
        assert!(Window::new(Some(span("6mo")), None, zone, &Calendar::default()).is_ok(), "{zone}");
    }
}

#[test]
fn offsets_of_every_zone_differ_by_less_than_the_allowance() {
    let mut most = 0;
    for name in jiff::tz::TimeZoneDatabase::bundled().available() {
        let Ok(zone) = Zone::get(name.as_str()) else { continue };
        assert!(zone.spread_ms() <= 26 * HOUR_MS, "{name}: {} ms", zone.spread_ms());
        most = most.max(zone.spread_ms());
    }
    assert!(most > 24 * HOUR_MS);
    assert_eq!(Zone::get("Europe/Berlin").unwrap().allowance_ms(), 36 * HOUR_MS);
    assert_eq!(Zone::get("Etc/UTC").unwrap().allowance_ms(), 0);
}

/// Returns the bound by jiff's own calendar arithmetic.
fn by_jiff(start: Timestamp, span: Span, zone: &TimeZone) -> Option<Timestamp> {
    let start = jiff::Timestamp::from_millisecond(start.unix_ms()).ok()?.to_zoned(zone.clone());
    let step = match span.unit {
        Unit::Months => jiff::Span::new().try_months(span.count).ok()?,
        _ => jiff::Span::new().try_years(span.count).ok()?,
    };
    Some(ms(start.checked_add(step).ok()?.timestamp().as_millisecond()))
}

#[test]
fn months_in_utc_agree_with_jiff_on_every_day_for_800_years() {
    let window = keep("6mo", "UTC");
    for day in -150_000..150_000i64 {
        let start = ms(day * DAY_MS + (day.rem_euclid(DAY_MS / 1000)) * 997);
        assert_eq!(Some(floor(&window, start)), by_jiff(start, span("6mo"), &TimeZone::UTC), "{start}");
    }
}

#[test]
fn months_in_utc_agree_with_jiff_at_the_ends_of_the_range() {
    let (first, last) = (jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
    for text in ["1mo", "6mo", "1y", "9998y", "19997y", "19998y"] {
        for edge in [first, last, last - 31 * DAY_MS, last - 181 * DAY_MS, last - 365 * DAY_MS, 0] {
            for offset in -2000..2000i64 {
                let start = ms(edge + offset * 1_800_000 + offset.signum());
                let ours = keep(text, "UTC").bounds(start).ok().and_then(|bounds| bounds.floor);
                assert_eq!(ours, by_jiff(start, span(text), &TimeZone::UTC), "{start} {text}");
            }
        }
    }
}

proptest! {
    #[test]
    fn bounds_agree_with_jiff_in_every_zone(
        start in prop_oneof![-4_000_000_000_000i64..8_000_000_000_000, -370_000_000_000_000i64..260_000_000_000_000],
        count in prop_oneof![1u32..30, 1u32..200_000],
        unit in prop_oneof![Just(Unit::Months), Just(Unit::Years)],
        zone in prop_oneof![
            Just("UTC"), Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"),
            Just("Africa/Casablanca"), Just("Pacific/Apia"), Just("Asia/Kolkata")
        ],
    ) {
        let span = Span { count, unit };
        let Ok(window) = Window::new(Some(span), None, zone, &Calendar::default()) else {
            prop_assert!(unit == Unit::Years && count > 19_998);
            return Ok(());
        };
        let start = ms(start);
        let ours = window.bounds(start).ok().and_then(|bounds| bounds.floor);
        prop_assert_eq!(ours, by_jiff(start, span, &TimeZone::get(zone).unwrap()));
    }

    #[test]
    fn accepted_spans_are_written_the_same(text in "[0-9]{0,8}[a-z]{0,3}|.{0,10}") {
        if let Ok(span) = text.parse::<Span>() {
            prop_assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn arbitrary_windows_and_starts_never_panic(
        keep in proptest::option::of((0u32..2_000_000, 0usize..8)),
        within in proptest::option::of((0u32..2_000_000, 0usize..8)),
        start: i64,
        zone in "UTC|Europe/Berlin|.{0,20}",
    ) {
        let span = |(count, unit): (u32, usize)| Span { count, unit: Unit::ALL[unit] };
        if let Ok(window) = Window::new(keep.map(span), within.map(span), &zone, &Calendar::default())
            && let Ok(bounds) = window.bounds(ms(start))
        {
            prop_assert!(encode_floor(bounds.floor) < encode_ceiling(bounds.ceiling));
            prop_assert_eq!(bounds.floor.is_none(), keep.is_none());
            prop_assert_eq!(bounds.ceiling.is_none(), within.is_none());
            prop_assert_eq!(decode_floor(encode_floor(bounds.floor)), bounds.floor);
            prop_assert_eq!(decode_ceiling(encode_ceiling(bounds.ceiling)), bounds.ceiling);
        }
    }
}

/// Returns the least ceiling − floor over the given starts, or ceiling − start without a floor.
fn swept(window: &Window, starts: impl Iterator<Item = i64>) -> Duration {
    let width = |start: i64| {
        let bounds = window.bounds(ms(start)).unwrap();
        bounds.ceiling.unwrap().since(bounds.floor.unwrap_or(ms(start)))
    };
    starts.map(width).min().unwrap()
}

#[test]
fn no_start_in_eight_years_is_tighter_than_the_tightest() {
    let from = utc("2023-01-01T00:00").unix_ms();
    let starts = |step: i64| (0..8 * 366 * DAY_MS / step).map(move |i| from + i * step);
    let cases = [
        (None, "6mo"),
        (None, "1mo"),
        (None, "2mo"),
        (None, "1y"),
        (None, "3y"),
        (None, "11mo"),
        (None, "3h"),
        (Some("6mo"), "7mo"),
        (Some("6mo"), "1y"),
        (Some("11mo"), "1y"),
        (Some("30d"), "3mo"),
        (Some("6mo"), "200d"),
        (Some("1mo"), "40d"),
        (Some("3h"), "4h"),
    ];
    for (keep, within) in cases {
        let window =
            |zone| Window::new(keep.map(span), Some(span(within)), zone, &Calendar::default()).unwrap();
        let (utc, berlin) = (window("UTC"), window("Europe/Berlin"));
        let (tightest_utc, tightest_berlin) = (utc.tightest().unwrap(), berlin.tightest().unwrap());
        // Half hours include 02:30, the time at which clocks change in Berlin.
        let least_utc = swept(&utc, starts(DAY_MS));
        let least_berlin = swept(&berlin, starts(HOUR_MS / 2));
        assert_eq!(tightest_utc, least_utc, "{keep:?} {within}: exact in UTC");
        assert!(tightest_berlin <= least_berlin, "{keep:?} {within}");
        // Berlin has had offsets from +0:53:28 to +3:00.
        let calendar = [keep, Some(within)].into_iter().flatten().any(|text| span(text).exact().is_none());
        let spread = if calendar { 3 * HOUR - Duration::from_secs(53 * 60 + 28) } else { Duration::ZERO };
        assert_eq!(tightest_berlin, tightest_utc - spread);
        assert!(least_berlin - tightest_berlin <= 3 * HOUR);
    }
    assert_eq!(within("6mo", "UTC").tightest(), Some(181 * DAY));
    assert_eq!(within("1mo", "UTC").tightest(), Some(28 * DAY));
    assert_eq!(within("1y", "UTC").tightest(), Some(365 * DAY));
    assert_eq!(within("3h", "Europe/Berlin").tightest(), Some(3 * HOUR));
    assert_eq!(keep("6mo", "UTC").tightest(), None, "no ceiling, no bound");
}

#[test]
fn tightest_of_long_spans_covers_the_whole_cycle() {
    // There was no leap year from 1896 to 1904, so eight years have the fewest days there.
    let eight = within("8y", "UTC");
    assert_eq!(eight.tightest(), Some((8 * 365 + 1) * DAY));
    let start = utc("1896-03-01T00:00");
    assert_eq!(Some(ceiling(&eight, start).since(start)), eight.tightest());
    assert_eq!(within("7y", "UTC").tightest(), Some(7 * 365 * DAY));
    let cycle = u32::try_from(CYCLE_DAYS).unwrap() * DAY;
    assert_eq!(within("400y", "UTC").tightest(), Some(cycle), "the calendar repeats");
}

#[test]
fn spread_covers_zones_that_crossed_the_date_line() {
    let apia = within("1mo", "Pacific/Apia");
    let tightest = apia.tightest().unwrap();
    assert!(within("1mo", "UTC").tightest().unwrap() - tightest >= 24 * HOUR);
    let from = utc("2011-01-01T00:00").unix_ms();
    assert!(tightest <= swept(&apia, (0..24 * 730).map(|hour| from + hour * HOUR_MS)));
    assert_eq!(
        within("1wd", "Pacific/Apia").tightest(),
        Some(Duration::ZERO),
        "offsets differ by over a day"
    );
}
