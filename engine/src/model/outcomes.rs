//! Outcomes of batches as a monitor counts them: how late objects ended, and what the store did not delete.

use std::time::Duration;

/// Upper bounds of the buckets of a [`Distribution`], ms. One more bucket counts what is longer.
const BOUNDS_MS: [u64; 12] =
    [0, 10, 100, 1_000, 10_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000];

/// Distribution of spans: numbers of spans in buckets from 0 ms to a week, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    buckets: [u64; BOUNDS_MS.len() + 1],
    sum_ms: u64,
}

impl Distribution {
    /// Iterates over the buckets in ascending order: the longest span that each counts, and the number of spans in it. The
    /// last one has no longest span.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS_MS.map(|ms| Some(Duration::from_millis(ms))).into_iter().chain([None]);
        bounds.zip(self.buckets)
    }

    /// Returns the number of spans.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns the sum of all spans.
    pub fn sum(&self) -> Duration {
        Duration::from_millis(self.sum_ms)
    }

    /// Adds a span of `ms` milliseconds.
    pub(crate) fn add(&mut self, ms: u64) {
        self.buckets[BOUNDS_MS.partition_point(|bound| *bound < ms)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }

    /// Adds the spans of `more`.
    pub(crate) fn merge(&mut self, more: &Distribution) {
        for (mine, theirs) in self.buckets.iter_mut().zip(more.buckets) {
            *mine += theirs;
        }
        self.sum_ms = self.sum_ms.saturating_add(more.sum_ms);
    }
}

/// Outcomes of the batches of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcomes {
    /// Spans from the ceiling of an object to its end; 0 for an object that ended in its window. Objects that a hold had
    /// kept and objects without a ceiling are not in it.
    pub lateness: Distribution,
    /// Times that the store failed to delete an object, or gave no answer.
    pub failed: u64,
    /// Times that the store refused to delete an object.
    pub refused: u64,
    /// Times that the store found another object under the key.
    pub changed: u64,
}

impl Outcomes {
    /// Adds the outcomes of `more`.
    pub(crate) fn merge(&mut self, more: &Outcomes) {
        self.lateness.merge(&more.lateness);
        self.failed += more.failed;
        self.refused += more.refused;
        self.changed += more.changed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn span_counts_in_the_first_bucket_that_reaches_it() {
        for (ms, bucket) in
            [(0, 0), (1, 1), (10, 1), (11, 2), (604_800_000, 11), (604_800_001, 12), (u64::MAX, 12)]
        {
            let mut spans = Distribution::default();
            spans.add(ms);
            let counts: Vec<u64> = spans.buckets().map(|(_, count)| count).collect();
            assert_eq!(counts.iter().position(|count| *count == 1), Some(bucket), "{ms} ms");
            assert_eq!((spans.count(), spans.sum()), (1, Duration::from_millis(ms)));
        }
    }

    #[test]
    fn merged_outcomes_are_the_sums_of_both() {
        let mut sums = Outcomes { failed: 1, ..Outcomes::default() };
        sums.lateness.add(5);
        let mut more = Outcomes { failed: 2, refused: 3, changed: 4, ..Outcomes::default() };
        more.lateness.add(0);
        sums.merge(&more);
        assert_eq!((sums.failed, sums.refused, sums.changed), (3, 3, 4));
        assert_eq!((sums.lateness.count(), sums.lateness.sum()), (2, Duration::from_millis(5)));
    }
}
