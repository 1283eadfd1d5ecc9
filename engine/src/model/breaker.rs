//! The breaker: stops the deletion of a class before many objects at short notice are deleted.
//!
//! An object falls due *at short notice* if it had less notice than one slot. A wrong class definition, an importer
//! with wrong instants, or an erasure that matched too much causes that. Objects that the wheel showed one slot ahead
//! never trip the breaker. Small numbers at short notice, and small shares of a class, do not trip it either.
//!
//! The breaker is a pure structure in memory: the caller passes numbers and the time.

use sexton_proof::time::{Timestamp, whole_ms};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// Number of intervals of a window. Counts are forgotten interval by interval, which bounds the memory.
const WINDOW_INTERVALS: u64 = 64;

/// Limits of what may fall due at short notice in a class within one window. The larger of both limits applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Number of objects that never trips the breaker.
    pub objects: u64,
    /// Share of the live objects of the class, in percent, that never trips the breaker.
    pub share_percent: u8,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        BreakerLimits { objects: 10_000, share_percent: 10 }
    }
}

/// Error of a breaker that stops a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// Name of the class.
    pub class: String,
    /// Objects at short notice within the window, including those about to be deleted.
    pub short_notice: u64,
    /// Live objects of the class, including those that the window's deletions at short notice removed.
    pub live: u64,
    /// Number of objects at short notice that would have passed.
    pub limit: u64,
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An alarm stores this text, and its commitment is in the log: another wording gives another log root.
        write!(
            f,
            "class {}: {} of {} objects fell due with less than a slot's notice, more than the {} that pass; \
             they are not deleted: look at what made them due, then resume",
            self.class, self.short_notice, self.live, self.limit
        )
    }
}

impl std::error::Error for Tripped {}

/// Counter of deletions at short notice, by class.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    classes: BTreeMap<String, Window>,
}

/// Counts of a class within the last window.
#[derive(Debug, Default)]
struct Window {
    /// Intervals, oldest first; at most `WINDOW_INTERVALS` + 1.
    intervals: VecDeque<Interval>,
}

/// Counts of one interval of a window.
#[derive(Debug)]
struct Interval {
    began: Timestamp,
    short_notice: u64,
    /// Maximum of the live objects of the class.
    live: u64,
}

impl Breaker {
    /// Creates a breaker that has counted nothing.
    pub fn new(limits: BreakerLimits) -> Self {
        Breaker { limits, classes: BTreeMap::new() }
    }

    /// Checks if a batch of `class` with `short_notice` objects at short notice may be made, and counts them if so.
    ///
    /// `waiting` is the number of all objects of the class that wait at short notice, including those of the batch. So
    /// the breaker trips before the first of many batches. `live` is the number of live objects of the class. `width`
    /// is that of the window, which ends at `now`.
    ///
    /// # Errors
    /// [`Tripped`] if there are too many. Nothing is counted then.
    pub fn check(
        &mut self,
        class: &str,
        short_notice: u64,
        waiting: u64,
        live: u64,
        width: Duration,
        now: Timestamp,
    ) -> Result<(), Tripped> {
        self.judge(class, short_notice, waiting, live, width, now)?;
        let window = self.classes.entry(class.to_owned()).or_default();
        window.forget(width, now);
        window.count(short_notice, live, width, now);
        Ok(())
    }

    /// Checks a batch as [`Breaker::check`] does, and counts nothing.
    ///
    /// # Errors
    /// [`Tripped`] if there are too many.
    pub fn judge(
        &self,
        class: &str,
        short_notice: u64,
        waiting: u64,
        live: u64,
        width: Duration,
        now: Timestamp,
    ) -> Result<(), Tripped> {
        let intervals = || self.classes.get(class).into_iter().flat_map(|window| window.within(width, now));
        let earlier = intervals().map(|i| i.short_notice).fold(0, u64::saturating_add);
        let total = earlier.saturating_add(waiting.max(short_notice));
        // Objects that the window's other deletions removed count as live. Otherwise a class that shrinks as planned
        // would make its few objects at short notice look like a large share.
        let most = intervals().map(|i| i.live).max().unwrap_or(0);
        let base = live.saturating_add(earlier).max(most);
        let limit = self.limits.passing(base);
        // A batch without objects at short notice passes even if the limit has shrunk below what was counted before.
        if short_notice > 0 && total > limit {
            return Err(Tripped { class: class.to_owned(), short_notice: total, live: base, limit });
        }
        Ok(())
    }

    /// Forgets all counts, because time went back.
    pub(crate) fn reset_all(&mut self) {
        self.classes.clear();
    }

    /// Forgets all counts of `class`, because an operator resumed its deletion.
    pub fn reset(&mut self, class: &str) {
        self.classes.remove(class);
    }
}

impl BreakerLimits {
    /// Returns the number of objects at short notice that pass if `live` objects are live.
    pub fn passing(self, live: u64) -> u64 {
        let share = u128::from(live) * u128::from(self.share_percent) / 100;
        self.objects.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl Window {
    /// Returns the intervals of the window that ends at `now`.
    fn within(&self, width: Duration, now: Timestamp) -> impl Iterator<Item = &Interval> {
        self.intervals.iter().skip_while(move |interval| interval.is_before(width, now))
    }

    /// Forgets the intervals before the window that ends at `now`.
    fn forget(&mut self, width: Duration, now: Timestamp) {
        while self.intervals.front().is_some_and(|interval| interval.is_before(width, now)) {
            self.intervals.pop_front();
        }
    }

    /// Adds to the interval of `now`, and begins it if the last one has passed.
    fn count(&mut self, short_notice: u64, live: u64, width: Duration, now: Timestamp) {
        match self.intervals.back_mut() {
            Some(last) if now.since(last.began) < interval(width) => {
                last.short_notice = last.short_notice.saturating_add(short_notice);
                last.live = last.live.max(live);
            }
            _ => self.intervals.push_back(Interval { began: now, short_notice, live }),
        }
    }
}

impl Interval {
    /// Returns `true` if the interval lies before the window that ends at `now`.
    fn is_before(&self, width: Duration, now: Timestamp) -> bool {
        // An interval goes when its end leaves the window. So counts stay a little longer than the window, never shorter.
        now.since(self.began) >= width.saturating_add(interval(width))
    }
}

/// Returns the width of an interval of a window of this width: whole milliseconds, at least one.
fn interval(width: Duration) -> Duration {
    Duration::from_millis(whole_ms(width) / WINDOW_INTERVALS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);
    const NOW: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);

    /// Returns the instant `span` after `NOW`.
    fn after(span: Duration) -> Timestamp {
        NOW.saturating_add(span)
    }

    /// Checks a batch that has all objects that wait at short notice.
    fn check(
        breaker: &mut Breaker,
        class: &str,
        short_notice: u64,
        live: u64,
        width: Duration,
        now: Timestamp,
    ) -> Result<(), Tripped> {
        breaker.check(class, short_notice, short_notice, live, width, now)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerLimits::default())
    }

    #[test]
    fn peak_that_was_planned_passes() {
        let mut breaker = breaker();
        for batch in 0..100 {
            assert_eq!(check(&mut breaker, "log-6mo", 0, 6_500_000 - batch * 65_000, HOUR, NOW), Ok(()));
        }
    }

    #[test]
    fn large_class_due_all_at_once_trips_before_the_first_batch() {
        let mut breaker = breaker();
        let tripped = check(&mut breaker, "log-6mo", 20_000, 20_000, HOUR, NOW).unwrap_err();
        let expected = Tripped { class: "log-6mo".into(), short_notice: 20_000, live: 20_000, limit: 10_000 };
        assert_eq!(tripped, expected);
        assert_eq!(
            tripped.to_string(),
            "class log-6mo: 20000 of 20000 objects fell due with less than a slot's notice, more than the 10000 that \
             pass; they are not deleted: look at what made them due, then resume"
        );
    }

    #[test]
    fn small_class_passes_whole() {
        assert_eq!(check(&mut breaker(), "upload-3h", 10_000, 10_000, HOUR, NOW), Ok(()));
        assert!(check(&mut breaker(), "upload-3h", 10_001, 10_001, HOUR, NOW).is_err());
    }

    #[test]
    fn small_share_of_a_large_class_passes() {
        assert_eq!(check(&mut breaker(), "log-6mo", 100_000, 1_000_000, HOUR, NOW), Ok(()));
        let tripped = check(&mut breaker(), "log-6mo", 100_001, 1_000_000, HOUR, NOW).unwrap_err();
        assert_eq!(tripped.limit, 100_000);
    }

    #[test]
    fn small_counts_within_one_window_add_up_and_trip() {
        let mut breaker = breaker();
        for batch in 0_u32..10 {
            let (live, now) = (50_000 - u64::from(batch) * 1_000, after(Duration::from_secs(60) * batch));
            assert_eq!(check(&mut breaker, "data-30d", 1_000, live, HOUR, now), Ok(()));
        }
        let tripped =
            check(&mut breaker, "data-30d", 1_000, 40_000, HOUR, after(HOUR - Duration::from_millis(1)))
                .unwrap_err();
        assert_eq!((tripped.short_notice, tripped.live), (11_000, 50_000));
    }

    #[test]
    fn counts_are_forgotten_after_the_window_and_not_before() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "data-30d", 10_000, 20_000, HOUR, NOW), Ok(()));
        let later = HOUR + HOUR / 64 + Duration::from_millis(1);
        assert_eq!(check(&mut breaker, "data-30d", 10_000, 20_000, HOUR, after(later)), Ok(()));
        assert!(check(&mut breaker, "data-30d", 1, 20_000, HOUR, after(later + HOUR)).is_err());
    }

    #[test]
    fn limit_follows_what_lived_before_a_planned_peak() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 0, 1_000_000, HOUR, NOW), Ok(()));
        assert_eq!(
            check(&mut breaker, "log-6mo", 50_000, 100_000, HOUR, after(Duration::from_secs(60))),
            Ok(())
        );
        assert_eq!(check(&mut breaker, "log-6mo", 0, 50_000, HOUR, after(2 * HOUR)), Ok(()));
    }

    #[test]
    fn batch_without_short_notice_passes_a_shrunken_limit() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 0, 200_000, HOUR, NOW), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 18_000, 150_000, HOUR, after(HOUR / 2)), Ok(()));
        // The 200,000 live objects are forgotten here, which leaves a limit of 15,000.
        let later = after(HOUR + HOUR / 4);
        assert_eq!(check(&mut breaker, "log-6mo", 0, 20, HOUR, later), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 1, 20, HOUR, later).unwrap_err().limit, 15_000);
    }

    #[test]
    fn waiting_objects_trip_before_their_first_batch() {
        let mut breaker = breaker();
        assert!(breaker.check("log-6mo", 5_000, 500_000, 1_000_000, HOUR, NOW).is_err());
        assert_eq!(
            breaker.check("log-6mo", 5_000, 90_000, 1_000_000, HOUR, NOW),
            Ok(()),
            "nothing was counted"
        );
    }

    #[test]
    fn reset_restarts_the_count() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 10_000, 20_000, HOUR, NOW), Ok(()));
        assert!(check(&mut breaker, "log-6mo", 1, 20_000, HOUR, NOW).is_err());
        breaker.reset("log-6mo");
        assert_eq!(check(&mut breaker, "log-6mo", 10_000, 20_000, HOUR, NOW), Ok(()));
    }

    #[test]
    fn tripped_class_does_not_stop_another() {
        let mut breaker = breaker();
        assert!(check(&mut breaker, "log-6mo", 20_000, 20_000, HOUR, NOW).is_err());
        assert_eq!(check(&mut breaker, "upload-3h", 9_000, 9_000, HOUR, NOW), Ok(()));
    }

    #[test]
    fn window_of_many_batches_has_bounded_memory() {
        let mut breaker = breaker();
        for batch in 0..100_000 {
            assert_eq!(
                check(
                    &mut breaker,
                    "upload-3h",
                    0,
                    1_000_000,
                    HOUR,
                    after(Duration::from_millis(batch * 100))
                ),
                Ok(())
            );
        }
        assert!(breaker.classes["upload-3h"].intervals.len() <= 65);
    }

    #[test]
    fn extreme_numbers_neither_overflow_nor_pass() {
        let mut breaker = breaker();
        let now = [Timestamp::MIN, Timestamp::MAX, Timestamp::from_unix_ms(0), Timestamp::MIN];
        let widths = [HOUR, Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
        for (width, now) in widths.into_iter().zip(now) {
            breaker.reset("a");
            assert!(check(&mut breaker, "a", u64::MAX, u64::MAX, width, now).is_err());
            let _ = check(&mut breaker, "a", u64::MAX, u64::MAX, width, Timestamp::MAX);
        }
    }
}
