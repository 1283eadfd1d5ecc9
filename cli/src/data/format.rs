//! Text forms of values that only the commands on a data folder show.

use sexton_proof::time::{Timestamp, whole_ms};
use std::time::Duration;

/// Length of time in the form of a class file: `10m`, `3h`, `90s`.
pub(super) fn span(length: Duration) -> String {
    let ms = whole_ms(length);
    let units = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms} ms"),
    }
}

/// Floor and ceiling of an object, in words.
pub(super) fn bounds(floor: Option<Timestamp>, ceiling: Option<Timestamp>) -> String {
    match (floor, ceiling) {
        (Some(floor), Some(ceiling)) => format!("not before {floor}, not after {ceiling}"),
        (Some(floor), None) => format!("not before {floor}"),
        (None, Some(ceiling)) => format!("not after {ceiling}"),
        (None, None) => "without bounds".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_whole_units_uses_the_largest() {
        let shown: Vec<String> = [500, 1_000, 90_000, 600_000, 3_600_000, 1_209_600_000]
            .map(|ms| span(Duration::from_millis(ms)))
            .into();
        assert_eq!(shown, ["500 ms", "1s", "90s", "10m", "1h", "2w"]);
    }

    #[test]
    fn bounds_missing_are_left_out() {
        let epoch = Some(Timestamp::from_unix_ms(0));
        assert_eq!(bounds(epoch, None), "not before 1970-01-01T00:00:00.000Z");
        assert_eq!(bounds(None, epoch), "not after 1970-01-01T00:00:00.000Z");
        assert_eq!(bounds(None, None), "without bounds");
    }
}
