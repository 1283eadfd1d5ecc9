//! Text forms of values that only the commands on a data folder show.

use crate::format::instant;
use sexton::json;

/// A length of time in the form of a class file: `10m`, `3h`, `90s`.
pub(super) fn span(ms: u64) -> String {
    let units = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.into_iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms} ms"),
    }
}

/// Floor and ceiling of an object, in words.
pub(super) fn bounds(floor_ms: i64, ceiling_ms: i64) -> String {
    match (json::bound(floor_ms), json::bound(ceiling_ms)) {
        (Some(floor), Some(ceiling)) => {
            format!("not before {}, not after {}", instant(floor), instant(ceiling))
        }
        (Some(floor), None) => format!("not before {}", instant(floor)),
        (None, Some(ceiling)) => format!("not after {}", instant(ceiling)),
        (None, None) => "without bounds".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton_proof::id::{NO_CEILING, NO_FLOOR};

    #[test]
    fn span_whole_units_uses_the_largest() {
        let shown: Vec<String> = [500, 1_000, 90_000, 600_000, 3_600_000, 1_209_600_000].map(span).into();
        assert_eq!(shown, ["500 ms", "1s", "90s", "10m", "1h", "2w"]);
    }

    #[test]
    fn bounds_missing_are_left_out() {
        assert_eq!(bounds(0, NO_CEILING), "not before 1970-01-01T00:00:00.000Z");
        assert_eq!(bounds(NO_FLOOR, 0), "not after 1970-01-01T00:00:00.000Z");
        assert_eq!(bounds(NO_FLOOR, NO_CEILING), "without bounds");
    }
}
