//! Type of instants, which cannot be mixed up with spans or counts.
//!
//! ```
//! use sexton_proof::time::Timestamp;
//! use std::time::Duration;
//! let start = Timestamp::from_unix_ms(1_767_225_600_045);
//! assert_eq!(start.to_string(), "2026-01-01T00:00:00.045Z");
//! let end = start.saturating_add(Duration::from_secs(90));
//! assert_eq!(end.since(start), Duration::from_secs(90));
//! assert_eq!(end.unix_ms(), 1_767_225_690_045);
//! ```

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Instant in milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
///
/// As text it is RFC 3339 in UTC with milliseconds. An instant outside the years −9999 to 9999 is `<n> ms`.
/// With the feature `serde` it is serialized as the number of milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Timestamp(i64);

impl Timestamp {
    /// Earliest instant, `i64::MIN` milliseconds.
    pub const MIN: Self = Self(i64::MIN);
    /// Latest instant, `i64::MAX` milliseconds.
    pub const MAX: Self = Self(i64::MAX);

    /// Creates an instant from Unix milliseconds.
    #[inline]
    #[must_use]
    pub const fn from_unix_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Creates an instant from Unix seconds, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn from_unix_s(seconds: u64) -> Self {
        Self(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000))
    }

    /// Returns the instant in Unix milliseconds.
    #[inline]
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0
    }

    /// Returns the Unix milliseconds as eight big-endian bytes.
    #[inline]
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// Creates an instant from the bytes that [`Timestamp::to_be_bytes`] returns.
    #[inline]
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 8]) -> Self {
        Self(i64::from_be_bytes(bytes))
    }

    /// Returns the instant `span` later, or `None` if it is after [`Timestamp::MAX`]. Fractions of a millisecond in
    /// `span` are dropped.
    #[must_use]
    pub fn checked_add(self, span: Duration) -> Option<Self> {
        self.0.checked_add_unsigned(u64::try_from(span.as_millis()).ok()?).map(Self)
    }

    /// Returns the instant `span` earlier, or `None` if it is before [`Timestamp::MIN`]. Fractions of a millisecond in
    /// `span` are dropped.
    #[must_use]
    pub fn checked_sub(self, span: Duration) -> Option<Self> {
        self.0.checked_sub_unsigned(u64::try_from(span.as_millis()).ok()?).map(Self)
    }

    /// Returns the instant `span` later, at most [`Timestamp::MAX`]. Fractions of a millisecond in `span` are dropped.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(whole_ms(span)))
    }

    /// Returns the instant `span` earlier, at least [`Timestamp::MIN`]. Fractions of a millisecond in `span` are
    /// dropped.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(whole_ms(span)))
    }

    /// Returns the time from `earlier` to this instant, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        if self.0 <= earlier.0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.0.abs_diff(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Returns the instant of a clock's reading. Fractions of a millisecond are dropped.
    fn from(time: SystemTime) -> Self {
        let epoch = Self(0);
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => epoch.saturating_add(since),
            Err(before) => epoch.saturating_sub(before.duration()),
        }
    }
}

/// Returns the whole milliseconds of a duration, at most `u64::MAX`.
#[must_use]
pub fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(instant) => f.pad(&format!("{instant:.3}")),
            Err(_) => f.pad(&format!("{} ms", self.0)),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn at(ms: i64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    #[test]
    fn text_is_rfc_3339_in_utc_with_milliseconds() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_767_225_600_045, "2026-01-01T00:00:00.045Z"),
            (253_402_207_199_999, "9999-12-30T21:59:59.999Z"),
        ] {
            assert_eq!(at(ms).to_string(), text);
            assert_eq!(format!("{:?}", at(ms)), text);
        }
    }

    #[test]
    fn text_of_an_instant_beyond_all_years_is_its_number() {
        assert_eq!(Timestamp::MAX.to_string(), "9223372036854775807 ms");
        assert_eq!(Timestamp::MIN.to_string(), "-9223372036854775808 ms");
        assert_eq!(format!("{:?}", Timestamp::MIN), "-9223372036854775808 ms");
        assert_eq!(format!("{:>24}", Timestamp::MAX), "  9223372036854775807 ms");
    }

    #[test]
    fn sums_and_differences_saturate() {
        let day = Duration::from_secs(86_400);
        assert_eq!(at(i64::MAX - 1).saturating_add(day), Timestamp::MAX);
        assert_eq!(at(i64::MIN + 1).saturating_sub(day), Timestamp::MIN);
        assert_eq!(Timestamp::MIN.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.saturating_sub(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), Duration::from_millis(u64::MAX));
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }

    #[test]
    fn checked_sum_beyond_the_range_is_none() {
        let day = Duration::from_secs(86_400);
        assert_eq!(at(5).checked_add(day), Some(at(86_400_005)));
        assert_eq!(at(5).checked_sub(day), Some(at(-86_399_995)));
        assert_eq!(Timestamp::MIN.checked_add(Duration::from_millis(u64::MAX)), Some(Timestamp::MAX));
        assert_eq!(at(i64::MAX).checked_add(Duration::from_millis(1)), None);
        assert_eq!(at(i64::MIN).checked_sub(Duration::from_millis(1)), None);
        assert_eq!(Timestamp::MIN.checked_add(Duration::MAX), None);
        assert_eq!(Timestamp::MAX.checked_sub(Duration::MAX), None);
    }

    #[test]
    fn reading_of_a_clock_is_an_instant() {
        let ms = Duration::from_millis(1_500);
        assert_eq!(Timestamp::from(UNIX_EPOCH + ms), at(1_500));
        assert_eq!(Timestamp::from(UNIX_EPOCH - ms), at(-1_500));
    }

    #[test]
    fn unix_seconds_beyond_the_range_give_the_latest_instant() {
        assert_eq!(Timestamp::from_unix_s(1_767_225_600), at(1_767_225_600_000));
        assert_eq!(Timestamp::from_unix_s(u64::MAX / 1_000), Timestamp::MAX);
        assert_eq!(Timestamp::from_unix_s(u64::MAX), Timestamp::MAX);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn serialized_instant_is_the_number_of_milliseconds() {
        use serde::de::IntoDeserializer as _;
        use serde::de::value::{Error, I64Deserializer};
        use serde::{Deserialize as _, Serialize};
        struct Written(Timestamp);
        impl fmt::Display for Written {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.serialize(f)
            }
        }
        let ms: I64Deserializer<Error> = 1_767_225_600_045_i64.into_deserializer();
        let read = Timestamp::deserialize(ms).unwrap();
        assert_eq!(read, at(1_767_225_600_045));
        assert_eq!(Written(read).to_string(), "1767225600045");
    }

    #[test]
    fn fractions_of_a_millisecond_are_dropped() {
        assert_eq!(at(5).saturating_add(Duration::from_micros(1_999)), at(6));
        assert_eq!(at(5).saturating_sub(Duration::from_micros(1_999)), at(4));
    }

    proptest! {
        #[test]
        fn adding_and_taking_off_agree_with_since(ms in -1_000_000_000_000_000i64.., span in 0u64..1_000_000_000_000_000) {
            let (start, span) = (at(ms), Duration::from_millis(span));
            let end = start.saturating_add(span);
            prop_assert!(end >= start);
            if end != Timestamp::MAX {
                prop_assert_eq!(end.since(start), span);
                prop_assert_eq!(end.saturating_sub(span), start);
            }
            prop_assert_eq!(start.since(end), Duration::ZERO);
        }

        #[test]
        fn order_is_that_of_the_milliseconds(a: i64, b: i64) {
            prop_assert_eq!(at(a).cmp(&at(b)), a.cmp(&b));
            prop_assert_eq!(at(a).unix_ms(), a);
            prop_assert_eq!(at(a).to_be_bytes(), a.to_be_bytes());
            prop_assert_eq!(Timestamp::from_be_bytes(a.to_be_bytes()), at(a));
        }
    }
}
