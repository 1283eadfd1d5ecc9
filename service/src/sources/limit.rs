//! Limit on deletions in a second: a token bucket. Pure.

use sexton::testing::Monotonic;
use std::num::NonZeroU32;
use std::time::Duration;

/// Part of a second's deletions that is worth a call of the store, because each call costs fsyncs.
const CALLS_PER_SECOND: u64 = 4;

/// Bucket of tokens, one for each deletion. It holds at most those of one second.
#[derive(Debug)]
pub(super) struct Limit {
    per_second: u64,
    /// Thousandths of a token.
    thousandths: u64,
    at: Monotonic,
}

impl Limit {
    /// Creates a full bucket.
    pub(super) fn new(per_second: NonZeroU32, now: Monotonic) -> Self {
        let per_second = u64::from(per_second.get());
        Limit { per_second, thousandths: per_second * 1_000, at: now }
    }

    /// Takes up to `wanted` tokens, but none if more of them are worth waiting for.
    pub(super) fn take(&mut self, wanted: usize, now: Monotonic) -> usize {
        let passed = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let earned = passed.saturating_mul(self.per_second);
        self.thousandths = self.thousandths.saturating_add(earned).min(self.per_second * 1_000);
        self.at = self.at.max(now);
        let there = self.thousandths / 1_000;
        if there < self.worthwhile(wanted) {
            return 0;
        }
        let taken = there.min(wanted as u64);
        self.thousandths -= taken * 1_000;
        usize::try_from(taken).unwrap_or(wanted)
    }

    /// Returns the time until [`take`](Self::take) gives a token, as of the last call.
    pub(super) fn wait(&self, wanted: usize) -> Duration {
        let missing = (self.worthwhile(wanted) * 1_000).saturating_sub(self.thousandths);
        Duration::from_millis(missing.div_ceil(self.per_second))
    }

    fn worthwhile(&self, wanted: usize) -> u64 {
        (self.per_second / CALLS_PER_SECOND).clamp(1, wanted.max(1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Monotonic {
        Monotonic::from_ms(ms)
    }

    #[test]
    fn bucket_gives_a_second_at_first_and_the_rate_afterwards() {
        let mut limit = Limit::new(NonZeroU32::new(100).unwrap(), at(0));
        assert_eq!(limit.take(1_000, at(0)), 100);
        assert_eq!((limit.take(1_000, at(0)), limit.wait(1_000)), (0, Duration::from_millis(250)));
        assert_eq!(limit.take(1_000, at(249)), 0);
        assert_eq!(limit.take(1_000, at(250)), 25);
        // A few are taken as soon as they are there.
        assert_eq!((limit.take(2, at(250)), limit.wait(2)), (0, Duration::from_millis(20)));
        assert_eq!(limit.take(2, at(270)), 2);
        // It never saves more than one second.
        assert_eq!(limit.take(1_000, at(1_000_000)), 100);
    }

    #[test]
    fn any_second_has_at_most_twice_the_rate_and_all_seconds_the_rate() {
        for per_second in [1, 3, 7, 1_000] {
            let mut limit = Limit::new(NonZeroU32::new(per_second).unwrap(), at(0));
            let mut taken = Vec::new();
            for ms in (0..20_000).step_by(13) {
                taken.push((ms, limit.take(700, at(ms)) as u64));
            }
            let all: u64 = taken.iter().map(|(_, taken)| taken).sum();
            let rate = u64::from(per_second);
            assert!((20 * rate..=21 * rate).contains(&all), "{per_second}: {all}");
            for (from, _) in &taken {
                let within = taken.iter().filter(|(ms, _)| (*from..from + 1_000).contains(ms));
                assert!(within.map(|(_, taken)| taken).sum::<u64>() <= 2 * rate, "{per_second} at {from}");
            }
        }
    }

    #[test]
    fn time_that_goes_back_gives_nothing() {
        let mut limit = Limit::new(NonZeroU32::new(10).unwrap(), at(5_000));
        assert_eq!(limit.take(10, at(5_000)), 10);
        assert_eq!(limit.take(10, at(0)), 0);
        assert_eq!(limit.take(10, at(5_000)), 0);
        assert_eq!(limit.take(10, at(6_000)), 10);
    }
}
