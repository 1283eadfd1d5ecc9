//! Vectors of the promises in class leaves: their bounds, and the refused windows and starts.

use super::*;
use crate::id::vectors::Vectors;
use crate::time::tests::at as ms;
use crate::window::{Bounds, Calendar, Span, Window, WindowError};
use crate::wire::{encode_ceiling, encode_floor};
use std::time::Duration;

/// Promise of a class leaf.
#[derive(Clone, Copy)]
struct Promise {
    keep: &'static str,
    within: &'static str,
    zone: &'static str,
    calendar: &'static str,
}

const fn promise(keep: &'static str, within: &'static str, zone: &'static str) -> Promise {
    Promise { keep, within, zone, calendar: "" }
}

const fn working_days(within: &'static str, zone: &'static str, calendar: &'static str) -> Promise {
    Promise { keep: "", within, zone, calendar }
}

/// Earliest and latest instant of a calendar span.
const FIRST_MS: i64 = -377_705_023_201_000;
const LAST_MS: i64 = 253_402_207_200_999;

const BERLIN: &str = "Europe/Berlin";
const CHINA: &str = "2026-10-01\n2026-10-02\n2026-10-03\n2026-10-04\n2026-10-05\n2026-10-06\n2026-10-07\n\
                     +2026-09-20\n+2026-10-10";

/// Returns an instant from a text such as `2025-03-01T12:00[Europe/Berlin]`.
fn at(text: &str) -> i64 {
    text.parse::<jiff::Zoned>().unwrap().timestamp().as_millisecond()
}

/// Promises with a start: name, promise and start.
fn kept() -> Vec<(&'static str, Promise, i64)> {
    let half_year = promise("6mo", "", BERLIN);
    vec![
        ("exact", promise("3h", "10801s", BERLIN), at("2025-03-30T00:30[UTC]")),
        ("exact_earliest", promise("1s", "2w", "UTC"), i64::MIN),
        ("exact_latest", promise("1s", "2s", "UTC"), i64::MAX - 2_001),
        ("months", promise("6mo", "7mo", "UTC"), at("2023-08-31T12:00[UTC]")),
        ("months_of_the_zone", half_year, at("2025-08-30T22:30[UTC]")),
        ("months_before_the_first_change", half_year, at("1800-01-31T12:00[UTC]")),
        ("months_after_the_last_change", half_year, at("5000-01-31T12:00[UTC]")),
        ("months_skipped", half_year, at("2024-09-30T02:30[Europe/Berlin]")),
        ("months_repeated", half_year, at("2025-04-26T02:30[Europe/Berlin]")),
        ("months_from_repeated", half_year, at("2025-10-26T01:30[UTC]")),
        ("months_skipped_day", promise("6mo", "", "Pacific/Apia"), at("2011-06-30T12:00[Pacific/Apia]")),
        ("years", promise("", "1y", "UTC"), at("2024-02-29T01:02:03.004[UTC]")),
        ("months_first", promise("1mo", "2mo", "UTC"), FIRST_MS),
        ("months_last", promise("", "1mo", "UTC"), LAST_MS - 30 * 86_400_000),
        ("months_last_of_zone", promise("", "1mo", BERLIN), LAST_MS - 30 * 86_400_000),
        ("months_most", promise("", "239976mo", "UTC"), FIRST_MS),
        ("years_most", promise("", "19998y", BERLIN), FIRST_MS),
        ("room_month", promise("40319m", "1mo", "UTC"), at("2025-02-01T00:00[UTC]")),
        ("room_month_of_zone", promise("38159m", "1mo", BERLIN), at("2025-02-01T00:00[UTC]")),
        ("room_exact", promise("1mo", "44641m", "Etc/UTC"), at("2025-01-01T00:00[UTC]")),
        ("room_exact_of_zone", promise("1mo", "46801m", "Etc/GMT"), at("2025-01-01T00:00[UTC]")),
        ("room_years", promise("2920d", "8y", "UTC"), at("1896-03-01T00:00[UTC]")),
        ("working_china", working_days("15wd", "Asia/Shanghai", CHINA), at("2026-09-25T09:45[UTC]")),
        ("working_plain", working_days("15wd", "UTC", ""), at("2026-09-25T17:45[UTC]")),
        (
            "working_skipped",
            working_days("1wd", BERLIN, "+2025-03-30\n2025-03-29"),
            at("2025-03-28T01:30[UTC]"),
        ),
        ("working_most", working_days("10000wd", "UTC", CHINA), 0),
        ("working_before_1970", working_days("3wd", "UTC", ""), -1),
        ("working_first", working_days("1wd", BERLIN, "0000-01-03\n9999-12-31"), FIRST_MS),
        ("working_last", working_days("1wd", BERLIN, ""), LAST_MS - 86_400_000),
    ]
}

/// Windows that are refused: name and promise.
fn refused_windows() -> Vec<(&'static str, Promise)> {
    vec![
        ("exact", promise("3h", "180m", "UTC")),
        ("months", promise("12mo", "1y", BERLIN)),
        ("months_fewer", promise("7mo", "6mo", "UTC")),
        ("room_month", promise("28d", "1mo", "UTC")),
        ("room_month_of_zone", promise("636h", "1mo", BERLIN)),
        ("room_exact", promise("1mo", "31d", "Etc/UTC")),
        ("room_exact_of_zone", promise("1mo", "780h", "Etc/GMT")),
        ("room_years", promise("2921d", "8y", "UTC")),
        ("months_most", promise("", "239977mo", "UTC")),
        ("years_most", promise("19999y", "", BERLIN)),
        ("zone_unknown", promise("3h", "", "Europe/Atlantis")),
        ("zone_case", promise("", "6mo", "europe/berlin")),
    ]
}

/// Starts from which a bound is not an instant: name, promise and start.
fn refused_starts() -> Vec<(&'static str, Promise, i64)> {
    vec![
        ("floor_none", promise("1s", "", "UTC"), i64::MAX - 1_000),
        ("ceiling_none", promise("", "1s", "UTC"), i64::MAX - 1_000),
        ("floor_overflow", promise("1s", "", "UTC"), i64::MAX - 999),
        ("ceiling_overflow", promise("1s", "2s", "UTC"), i64::MAX - 1_001),
        ("months_before", promise("1mo", "", "UTC"), FIRST_MS - 1),
        ("months_before_of_zone", promise("1mo", "", BERLIN), FIRST_MS - 1),
        ("months_after", promise("", "1mo", "UTC"), LAST_MS - 30 * 86_400_000 + 1),
        ("months_after_of_zone", promise("", "1mo", BERLIN), LAST_MS - 30 * 86_400_000 + 1),
        ("months_from_after", promise("", "1mo", "UTC"), LAST_MS + 1),
        ("working_before", working_days("1wd", BERLIN, ""), FIRST_MS - 1),
        ("working_after", working_days("1wd", BERLIN, ""), LAST_MS - 86_400_000 + 1),
    ]
}

/// Returns the class leaf of a promise.
fn leaf(promise: Promise) -> String {
    let span = |text: &str| (!text.is_empty()).then(|| text.parse::<Span>().unwrap());
    let leaf = Leaf::Class(ClassLeaf {
        logged: ms(1_700_000_000_000),
        name: "promise".into(),
        id: 1,
        version: 1,
        keep: span(promise.keep),
        within: span(promise.within),
        zone: promise.zone.into(),
        calendar: Calendar::parse(promise.calendar).unwrap(),
        start: StartRule::Registered,
        max_open: None,
        slot: Duration::from_secs(1),
        lead: Duration::ZERO,
        disposition: Disposition::Delete,
        openings: Openings::Operator,
        find: Find::Key,
        seal_within: "1h".parse().unwrap(),
        evidence: None,
    });
    leaf.encode().unwrap()
}

/// Returns the window of a class leaf.
fn window(leaf: &[u8]) -> Result<Window, WindowError> {
    let Leaf::Class(leaf) = Leaf::parse(leaf).unwrap() else { panic!("no class leaf") };
    Window::new(leaf.keep, leaf.within, &leaf.zone, &leaf.calendar)
}

fn bounds(leaf: &[u8], start_ms: i64) -> Result<Bounds, WindowError> {
    window(leaf).unwrap().bounds(ms(start_ms))
}

#[test]
fn promises_equal_the_vectors() {
    let mut vectors = Vectors::default();
    for (name, promise, start) in kept() {
        let leaf = leaf(promise);
        vectors.put(format!("leaf.{name}"), &leaf);
        vectors.put(format!("start.{name}"), start.to_be_bytes());
        let bounds = bounds(leaf.as_bytes(), start).expect(name);
        vectors.put(format!("floor.{name}"), encode_floor(bounds.floor).to_be_bytes());
        vectors.put(format!("ceiling.{name}"), encode_ceiling(bounds.ceiling).to_be_bytes());
    }
    for (name, promise) in refused_windows() {
        vectors.put(format!("reject.window.{name}"), leaf(promise));
    }
    for (name, promise, start) in refused_starts() {
        vectors.put(format!("reject.leaf.{name}"), leaf(promise));
        vectors.put(format!("reject.start.{name}"), start.to_be_bytes());
    }
    let about = "Class leaves, a start and its bounds, docs/format.md section 4. Start, floor and ceiling are i64 \
                 milliseconds. The window of reject.window.* is refused, and so is the start of reject.start.*.";
    let stored = vectors.check_against("window.txt", about);

    let number = |name: &str| i64::from_be_bytes(stored.get(name).try_into().unwrap());
    for (name, leaf) in stored.all("leaf.") {
        let name = name.trim_start_matches("leaf.");
        let bounds = bounds(leaf, number(&format!("start.{name}"))).unwrap();
        assert_eq!(encode_floor(bounds.floor), number(&format!("floor.{name}")), "{name}");
        assert_eq!(encode_ceiling(bounds.ceiling), number(&format!("ceiling.{name}")), "{name}");
    }
    for (name, leaf) in stored.all("reject.window.") {
        assert!(window(leaf).is_err(), "{name}");
    }
    for (name, leaf) in stored.all("reject.leaf.") {
        let start = number(&name.replace("leaf", "start"));
        assert!(matches!(bounds(leaf, start), Err(WindowError::Range { .. })), "{name}");
    }
}
