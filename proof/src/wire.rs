//! Integers of the formats that stand for an instant or a size, or for its absence.
//!
//! The formats reserve one value each for "no floor", "no ceiling" and "size unknown". In the API those are `None`.
//! Only code that reads or writes such integers needs this module.
//!
//! ```
//! use sexton_proof::time::Timestamp;
//! use sexton_proof::wire;
//! assert_eq!(wire::encode_floor(None), wire::NO_FLOOR);
//! assert_eq!(wire::decode_floor(5), Some(Timestamp::from_unix_ms(5)));
//! assert_eq!(wire::decode_size(wire::SIZE_UNKNOWN), None);
//! ```

use crate::time::Timestamp;

/// Wire value of a floor that the class does not promise, in Unix milliseconds.
pub const NO_FLOOR: i64 = i64::MIN;
/// Wire value of a ceiling that the class does not promise, in Unix milliseconds.
pub const NO_CEILING: i64 = i64::MAX;
/// Wire value of a size that the host did not give, in bytes.
pub const SIZE_UNKNOWN: u64 = u64::MAX;

/// Returns the wire value of a floor, in Unix milliseconds. No floor is [`NO_FLOOR`], as is [`Timestamp::MIN`].
#[inline]
#[must_use]
pub const fn encode_floor(floor: Option<Timestamp>) -> i64 {
    match floor {
        Some(floor) => floor.unix_ms(),
        None => NO_FLOOR,
    }
}

/// Returns the floor of a wire value in Unix milliseconds, or `None` for [`NO_FLOOR`].
#[inline]
#[must_use]
pub const fn decode_floor(ms: i64) -> Option<Timestamp> {
    match ms {
        NO_FLOOR => None,
        ms => Some(Timestamp::from_unix_ms(ms)),
    }
}

/// Returns the wire value of a ceiling, in Unix milliseconds. No ceiling is [`NO_CEILING`], as is [`Timestamp::MAX`].
#[inline]
#[must_use]
pub const fn encode_ceiling(ceiling: Option<Timestamp>) -> i64 {
    match ceiling {
        Some(ceiling) => ceiling.unix_ms(),
        None => NO_CEILING,
    }
}

/// Returns the ceiling of a wire value in Unix milliseconds, or `None` for [`NO_CEILING`].
#[inline]
#[must_use]
pub const fn decode_ceiling(ms: i64) -> Option<Timestamp> {
    match ms {
        NO_CEILING => None,
        ms => Some(Timestamp::from_unix_ms(ms)),
    }
}

/// Returns the wire value of a size in bytes. An unknown size is [`SIZE_UNKNOWN`], as is `u64::MAX`.
#[inline]
#[must_use]
pub const fn encode_size(size: Option<u64>) -> u64 {
    match size {
        Some(size) => size,
        None => SIZE_UNKNOWN,
    }
}

/// Returns the size of a wire value in bytes, or `None` for [`SIZE_UNKNOWN`].
#[inline]
#[must_use]
pub const fn decode_size(bytes: u64) -> Option<u64> {
    match bytes {
        SIZE_UNKNOWN => None,
        bytes => Some(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn absent_values_are_those_of_the_format() {
        assert_eq!((encode_floor(None), decode_floor(i64::MIN)), (i64::MIN, None));
        assert_eq!((encode_ceiling(None), decode_ceiling(i64::MAX)), (i64::MAX, None));
        assert_eq!((encode_size(None), decode_size(u64::MAX)), (u64::MAX, None));
    }

    #[test]
    fn extreme_of_the_other_bound_is_an_instant() {
        assert_eq!(decode_floor(i64::MAX), Some(Timestamp::MAX));
        assert_eq!(decode_ceiling(i64::MIN), Some(Timestamp::MIN));
        assert_eq!(decode_size(0), Some(0));
    }

    proptest! {
        #[test]
        fn every_wire_value_round_trips(
            ms in prop_oneof![Just(NO_FLOOR), Just(NO_CEILING), any::<i64>()],
            size in prop_oneof![Just(SIZE_UNKNOWN), any::<u64>()],
        ) {
            prop_assert_eq!(encode_floor(decode_floor(ms)), ms);
            prop_assert_eq!(encode_ceiling(decode_ceiling(ms)), ms);
            prop_assert_eq!(encode_size(decode_size(size)), size);
        }
    }
}
