//! Text forms of values.

use sexton_proof::record::Reason;
use sexton_proof::time::whole_ms;
use std::time::Duration;

/// Length of time in its two largest units: `45 ms`, `12.3 s`, `7 min 5 s`, `49 h 12 min`, `12 d 3 h`.
pub(crate) fn length(span: Duration) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let ms = whole_ms(span);
    match () {
        () if ms < SECOND => format!("{ms} ms"),
        () if ms < MINUTE => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        () if ms < HOUR => format!("{} min {} s", ms / MINUTE, ms % MINUTE / SECOND),
        () if ms < 3 * DAY => format!("{} h {} min", ms / HOUR, ms % HOUR / MINUTE),
        () => format!("{} d {} h", ms / DAY, ms % DAY / HOUR),
    }
}

/// Number with thousands separators: `20,000`.
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

/// Number with its noun: `1 file`, `20,000 files`.
pub(crate) fn counted(n: impl TryInto<u64>, singular: &str, plural: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {}", count(n), if n == 1 { singular } else { plural })
}

/// Reason for which a registration ended, by its name.
#[cfg(feature = "engine")]
pub(crate) fn reason_of(name: &str) -> &str {
    let known = (0..=u8::MAX).filter_map(Reason::from_code).find(|reason| reason.name() == name);
    match known {
        Some(known) => reason(known),
        // A later version of the engine may add reasons.
        None => name,
    }
}

/// Reason for which a registration ended.
pub(crate) fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Due => "retention expired",
        Reason::Erasure => "erased on request",
        Reason::Closed => "closed down",
        Reason::Lifted => "legal hold lifted",
        Reason::Restored => "came back from a backup",
        Reason::Host => "deleted by the host",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_has_the_two_largest_units() {
        let shown: Vec<String> =
            [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 259_199_999, 259_200_000]
                .map(|ms| length(Duration::from_millis(ms)))
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
    fn count_separates_thousands() {
        let shown: Vec<String> = [0_u64, 999, 1_000, 20_000, 1_234_567].map(count).into();
        assert_eq!(shown, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }
}
