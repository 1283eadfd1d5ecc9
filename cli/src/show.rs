//! How values are written for people.

use jiff::Timestamp;
#[cfg(feature = "engine")]
use sexton::json;
use sexton_proof::record::Reason;

/// An instant: RFC 3339, UTC, with milliseconds.
pub(crate) fn instant(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(instant) => format!("{instant:.3}"),
        Err(_) => format!("{ms} ms"),
    }
}

/// A length of time in its two largest units: `45 ms`, `12.3 s`, `7 min 5 s`, `49 h 12 min`, `12 d 3 h`.
pub(crate) fn length(ms: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match () {
        () if ms < SECOND => format!("{ms} ms"),
        () if ms < MINUTE => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        () if ms < HOUR => format!("{} min {} s", ms / MINUTE, ms % MINUTE / SECOND),
        () if ms < 3 * DAY => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
        () => format!("{} d {} h", ms / DAY, ms % DAY / HOUR),
    }
}

/// A length that a class file states, as it would state it: `10m`, `3h`, `90s`.
#[cfg(feature = "engine")]
pub(crate) fn span(ms: u64) -> String {
    let units = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms} ms"),
    }
}

/// The bounds of an object.
#[cfg(feature = "engine")]
pub(crate) fn bounds(floor_ms: i64, ceiling_ms: i64) -> String {
    match (json::bound(floor_ms), json::bound(ceiling_ms)) {
        (Some(floor), Some(ceiling)) => {
            format!("not before {}, not after {}", instant(floor), instant(ceiling))
        }
        (Some(floor), None) => format!("not before {}", instant(floor)),
        (None, Some(ceiling)) => format!("not after {}", instant(ceiling)),
        (None, None) => "without bounds".into(),
    }
}

/// A number with its thousands apart: `20,000`.
pub(crate) fn count(n: impl Into<u64>) -> String {
    let digits = n.into().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of things: `1 file`, `20,000 files`.
pub(crate) fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n as u64), if n == 1 { one } else { many })
}

/// Why a registration ended.
pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Due => "its time had come",
        Reason::Erasure => "erased on request",
        Reason::Closed => "closed down",
        Reason::Lifted => "a legal hold was lifted",
        Reason::Restored => "it had come back from a backup",
        Reason::Host => "the host had deleted it itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_with_milliseconds_and_impossible_ones_are_numbers() {
        assert_eq!(instant(1_767_225_600_045), "2026-01-01T00:00:00.045Z");
        assert_eq!(instant(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(instant(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn lengths_have_the_two_units_that_matter() {
        let shown: Vec<String> =
            [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 259_199_999, 259_200_000]
                .map(length)
                .into();
        let expected = [
            "0 ms",
            "999 ms",
            "1.0 s",
            "59.9 s",
            "1 min 0 s",
            "59 min 59 s",
            "1 h 0 min",
            "71 h 59 min",
            "3 d 0 h",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    #[cfg(feature = "engine")]
    fn spans_are_those_of_a_class_file() {
        let shown: Vec<String> = [500, 1_000, 90_000, 600_000, 3_600_000, 1_209_600_000].map(span).into();
        assert_eq!(shown, ["500 ms", "1s", "90s", "10m", "1h", "2w"]);
    }

    #[test]
    fn thousands_stand_apart() {
        let shown: Vec<String> = [0_u64, 999, 1_000, 20_000, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }
}
