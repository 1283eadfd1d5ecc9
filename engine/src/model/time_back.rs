//! Correction of the instants that a wrong clock gave, after an operator took time back. Pure.

use crate::model::span_ms;
use serde::{Deserialize, Serialize};
use sexton_proof::time::Timestamp;
use std::time::Duration;

/// Jump of the engine's time: it went ahead by more than the time that had passed for certain.
///
/// An operator accepted it, or the kernel reported after time off that the clock is NTP-synchronised. The clock may have been
/// right before or after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Jump {
    /// Last instant before the jump.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// Distance of the jump.
    #[serde(rename = "by_ms", with = "span_ms")]
    pub by: Duration,
}

/// Time that went back, because an operator accepted a wall clock that was behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TimeBack {
    /// Number of times that time went back, this time included: the era that begins.
    pub era: u32,
    /// Time that was accepted.
    #[serde(rename = "to_ms")]
    pub to: Timestamp,
    /// Distance by which time went back.
    #[serde(rename = "by_ms", with = "span_ms")]
    pub by: Duration,
    /// Beginning of the era that ends: the time that was accepted when time last went back. `None` if it never did.
    #[serde(rename = "since_ms", default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Jumps ahead in the era that ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<Jump>,
}

impl TimeBack {
    /// Returns the true instant that corresponds to `at`, an instant of the era that ends or of an earlier one. An instant
    /// that is not after the accepted time stays.
    ///
    /// The error of the clock at `at` was `by`, less the jumps that came later and were wrong. It is not known which were, so
    /// all count as wrong. The result is then too late by the jumps that were right, never too early. For an instant of an
    /// earlier era the error is not known at all, and the accepted time is the result.
    pub(crate) fn correct(&self, at: Timestamp) -> Timestamp {
        if at <= self.to {
            return at;
        }
        let error = self.jumped_after(at).map_or(Duration::ZERO, |jumped| self.by.saturating_sub(jumped));
        at.saturating_sub(error).min(self.to)
    }

    /// Returns `true` if the correction of `at` is exact: the time did not jump later.
    pub(crate) fn is_exact(&self, at: Timestamp) -> bool {
        at <= self.to || self.jumped_after(at).is_some_and(|jumped| jumped.is_zero())
    }

    /// Returns the distance by which time jumped after `at`. `None` if `at` is of an earlier era.
    fn jumped_after(&self, at: Timestamp) -> Option<Duration> {
        if self.since.is_some_and(|since| at < since) {
            return None;
        }
        let later = self.jumps.iter().filter(|jump| jump.at >= at);
        Some(later.fold(Duration::ZERO, |sum, jump| sum.saturating_add(jump.by)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_unix_ms(number * DAY_MS)
    }

    fn days(number: u64) -> Duration {
        Duration::from_hours(24 * number)
    }

    /// Time began on day 0, jumped from day 2 to 12 and from day 15 to 35, and went back from day 40 to 10.
    fn two_jumps() -> TimeBack {
        let jumps = vec![Jump { at: day(2), by: days(10) }, Jump { at: day(15), by: days(20) }];
        TimeBack { era: 1, to: day(10), by: days(30), since: None, jumps }
    }

    #[test]
    fn each_instant_goes_back_by_the_error_that_it_was_read_with() {
        let back = two_jumps();
        for (at, truth, is_exact) in [(1, 1, true), (10, 10, true), (13, 3, false), (36, 6, true)] {
            assert_eq!((back.correct(day(at)), back.is_exact(day(at))), (day(truth), is_exact), "{at}");
        }
    }

    /// Time went back by less than it had jumped: one of the jumps was right.
    #[test]
    fn instant_before_a_jump_that_may_be_right_is_never_too_early() {
        let back = TimeBack { to: day(12), by: days(15), jumps: vec![], ..two_jumps() };
        let jump = Jump { at: day(14), by: days(10) };
        assert_eq!(
            back.correct(day(13)),
            Timestamp::from_unix_ms(-2 * DAY_MS),
            "without a jump the error is known"
        );
        assert_eq!(TimeBack { jumps: vec![jump], ..back }.correct(day(13)), day(8));
        let far = Jump { at: day(14), by: days(400) };
        assert_eq!(
            TimeBack { jumps: vec![far], ..back }.correct(day(13)),
            day(12),
            "registered by the accepted time"
        );
    }

    #[test]
    fn instant_of_an_earlier_era_becomes_the_accepted_time() {
        let back = TimeBack { since: Some(day(20)), jumps: vec![], ..two_jumps() };
        assert_eq!((back.correct(day(15)), back.is_exact(day(15))), (day(10), false));
        assert_eq!(
            (back.correct(day(21)), back.is_exact(day(21))),
            (Timestamp::from_unix_ms(-9 * DAY_MS), true)
        );
    }
}
