//! Rounding of the bounds in a batch leaf (`docs/format.md` §4). It hides the exact start of the object that has them.

use crate::time::{Timestamp, whole_ms};
use std::time::Duration;

/// Least unit, in milliseconds.
const UNIT_MIN_MS: i128 = 60_000;

/// Returns the unit to which the bounds of a batch are rounded: the slot of its class, and at least a minute. In
/// milliseconds.
#[must_use]
pub fn unit(slot: Duration) -> i128 {
    i128::from(whole_ms(slot)).max(UNIT_MIN_MS)
}

/// Returns the least multiple of `unit` that is not before `at`; `None` if it is no instant.
///
/// Precondition: `unit` is positive.
#[must_use]
pub fn floor_max(at: Timestamp, unit: i128) -> Option<Timestamp> {
    let ms = i128::from(at.unix_ms());
    instant(ms + (-ms).rem_euclid(unit))
}

/// Returns the greatest multiple of `unit` that is not after `at`; `None` if it is no instant.
///
/// Precondition: `unit` is positive.
#[must_use]
pub fn ceiling_min(at: Timestamp, unit: i128) -> Option<Timestamp> {
    let ms = i128::from(at.unix_ms());
    instant(ms - ms.rem_euclid(unit))
}

/// Returns `true` if `at` is a multiple of `unit`.
///
/// Precondition: `unit` is positive.
#[must_use]
pub fn is_rounded(at: Timestamp, unit: i128) -> bool {
    i128::from(at.unix_ms()).rem_euclid(unit) == 0
}

fn instant(ms: i128) -> Option<Timestamp> {
    i64::try_from(ms).ok().map(Timestamp::from_unix_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unit_is_the_slot_and_at_least_a_minute() {
        for (slot_ms, expected) in [(1, 60_000), (60_000, 60_000), (60_001, 60_001), (u64::MAX, u64::MAX)] {
            assert_eq!(unit(Duration::from_millis(slot_ms)), i128::from(expected));
        }
    }

    #[test]
    fn bound_outside_all_instants_is_none() {
        let most = unit(Duration::from_millis(u64::MAX));
        assert_eq!((floor_max(Timestamp::MAX, 60_000), ceiling_min(Timestamp::MIN, 60_000)), (None, None));
        assert_eq!((floor_max(Timestamp::MAX, most), ceiling_min(Timestamp::MIN, most)), (None, None));
        let zero = Some(Timestamp::from_unix_ms(0));
        assert_eq!((floor_max(Timestamp::MIN, most), ceiling_min(Timestamp::MAX, most)), (zero, zero));
    }

    proptest! {
        #[test]
        fn rounded_bound_contains_the_bound_and_is_near(ms: i64, slot in 1..u64::MAX) {
            let (at, unit) = (Timestamp::from_unix_ms(ms), unit(Duration::from_millis(slot)));
            let off = |rounded: Timestamp| i128::from(rounded.unix_ms()) - i128::from(ms);
            if let Some(up) = floor_max(at, unit) {
                prop_assert!(is_rounded(up, unit) && (0..unit).contains(&off(up)));
            }
            if let Some(down) = ceiling_min(at, unit) {
                prop_assert!(is_rounded(down, unit) && (0..unit).contains(&-off(down)));
            }
        }
    }
}
