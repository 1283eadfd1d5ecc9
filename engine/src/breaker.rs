//! The breaker: stops the deletion of a class before an unexpected mass of it.
//!
//! What the wheel forecast a slot earlier never trips it. A surprise is an object that fell due with less notice than
//! one slot: a wrong class definition, an importer with wrong instants, an erasure that matched too much. Small
//! numbers of them never trip it, nor do small shares of a class.
//!
//! A pure structure, in memory only: numbers and `now` go in, a verdict comes out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// Parts into which a window is divided: what is counted is forgotten part by part, so that memory stays bounded.
const WINDOW_PARTS: i64 = 64;

/// How many surprises a class may have within one window: as many as either bound allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Objects that never trip it.
    pub objects: u64,
    /// Percent of what lives in the class that never trip it.
    pub share_percent: u8,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        BreakerLimits { objects: 10_000, share_percent: 10 }
    }
}

/// Why a class is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tripped {
    /// The name of the class.
    pub class: String,
    /// Surprises within one window, with those that were about to be deleted.
    pub surprises: u64,
    /// What lived in the class, with what the window's surprises took away.
    pub live: u64,
    /// Surprises that would have passed.
    pub limit: u64,
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "class {}: {} of {} objects fell due with less than a slot's notice, more than the {} that pass; \
             they are not deleted: look at what made them due, then resume",
            self.class, self.surprises, self.live, self.limit
        )
    }
}

impl std::error::Error for Tripped {}

/// Counts surprises by class, and trips.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    classes: BTreeMap<String, Watched>,
}

/// What is known of a class.
#[derive(Debug, Default)]
struct Watched {
    /// The last window, oldest part first; at most `WINDOW_PARTS` and one.
    parts: VecDeque<Part>,
}

/// What was counted in one part of a window.
#[derive(Debug)]
struct Part {
    began_ms: i64,
    surprises: u64,
    /// The most that lived in the class.
    live: u64,
}

impl Breaker {
    /// A breaker that knows of no surprises.
    pub fn new(limits: BreakerLimits) -> Self {
        Breaker { limits, classes: BTreeMap::new() }
    }

    /// Asks, before a batch of `class` is made with `surprises` in it, whether it may be, and counts them if so. All
    /// that `wait` count, the batch's included, so that it trips before the first of many batches.
    ///
    /// `live` is what lives in the class. `window_ms` is the width of the window in milliseconds that ends at `now_ms`
    /// (Unix ms).
    ///
    /// # Errors
    /// Where there are too many; nothing is counted then.
    pub fn check(
        &mut self,
        class: &str,
        surprises: u64,
        waiting: u64,
        live: u64,
        window_ms: i64,
        now_ms: i64,
    ) -> Result<(), Tripped> {
        let watched = self.classes.entry(class.to_owned()).or_default();
        watched.forget(window_ms, now_ms);
        let earlier = watched.parts.iter().map(|part| part.surprises).fold(0, u64::saturating_add);
        let total = earlier.saturating_add(waiting.max(surprises));
        // What the window's other deletions took away counts as living: a class that shrinks as forecast must not
        // make its few surprises look like a large share.
        let most = watched.parts.iter().map(|part| part.live).max().unwrap_or(0);
        let base = live.saturating_add(earlier).max(most);
        let limit = self.limits.limit(base);
        // A batch without surprises passes even where the limit has shrunk below what was counted before.
        if surprises > 0 && total > limit {
            return Err(Tripped { class: class.to_owned(), surprises: total, live: base, limit });
        }
        watched.count(surprises, live, window_ms, now_ms);
        Ok(())
    }

    /// A person has looked and lets `class` go on: what was counted is forgotten.
    pub fn reset(&mut self, class: &str) {
        self.classes.remove(class);
    }
}

impl BreakerLimits {
    /// Surprises that pass where `live` objects live.
    fn limit(self, live: u64) -> u64 {
        let share = u128::from(live) * u128::from(self.share_percent) / 100;
        self.objects.max(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

impl Watched {
    /// Forgets what lies before the window that ends at `now_ms`.
    fn forget(&mut self, window_ms: i64, now_ms: i64) {
        // A part goes when its end does: what is counted is remembered a little longer than the window, never shorter.
        let kept_ms = window_ms.saturating_add(part_ms(window_ms));
        while self.parts.front().is_some_and(|part| now_ms.saturating_sub(part.began_ms) >= kept_ms) {
            self.parts.pop_front();
        }
    }

    fn count(&mut self, surprises: u64, live: u64, window_ms: i64, now_ms: i64) {
        match self.parts.back_mut() {
            Some(part) if now_ms.saturating_sub(part.began_ms) < part_ms(window_ms) => {
                part.surprises = part.surprises.saturating_add(surprises);
                part.live = part.live.max(live);
            }
            _ => self.parts.push_back(Part { began_ms: now_ms, surprises, live }),
        }
    }
}

/// The width in milliseconds of a part of a window.
fn part_ms(window_ms: i64) -> i64 {
    window_ms / WINDOW_PARTS + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const NOW: i64 = 1_767_225_600_000;

    /// With no more waiting than the batch has.
    fn check(
        breaker: &mut Breaker,
        class: &str,
        surprises: u64,
        live: u64,
        window_ms: i64,
        now_ms: i64,
    ) -> Result<(), Tripped> {
        breaker.check(class, surprises, surprises, live, window_ms, now_ms)
    }

    fn breaker() -> Breaker {
        Breaker::new(BreakerLimits::default())
    }

    #[test]
    fn a_peak_that_was_forecast_passes() {
        let mut breaker = breaker();
        for batch in 0..100 {
            assert_eq!(check(&mut breaker, "log-6mo", 0, 6_500_000 - batch * 65_000, HOUR, NOW), Ok(()));
        }
    }

    #[test]
    fn a_large_class_that_falls_due_all_at_once_trips_before_the_first_batch() {
        let mut breaker = breaker();
        let tripped = check(&mut breaker, "log-6mo", 20_000, 20_000, HOUR, NOW).unwrap_err();
        let expected = Tripped { class: "log-6mo".into(), surprises: 20_000, live: 20_000, limit: 10_000 };
        assert_eq!(tripped, expected);
        assert_eq!(
            tripped.to_string(),
            "class log-6mo: 20000 of 20000 objects fell due with less than a slot's notice, more than the 10000 that \
             pass; they are not deleted: look at what made them due, then resume"
        );
    }

    #[test]
    fn a_small_class_passes_whole() {
        assert_eq!(check(&mut breaker(), "upload-3h", 10_000, 10_000, HOUR, NOW), Ok(()));
        assert!(check(&mut breaker(), "upload-3h", 10_001, 10_001, HOUR, NOW).is_err());
    }

    #[test]
    fn a_small_share_of_a_large_class_passes() {
        assert_eq!(check(&mut breaker(), "log-6mo", 100_000, 1_000_000, HOUR, NOW), Ok(()));
        let tripped = check(&mut breaker(), "log-6mo", 100_001, 1_000_000, HOUR, NOW).unwrap_err();
        assert_eq!(tripped.limit, 100_000);
    }

    #[test]
    fn many_small_surprises_within_one_window_add_up_and_trip() {
        let mut breaker = breaker();
        for batch in 0_u32..10 {
            let (live, now) = (50_000 - u64::from(batch) * 1_000, NOW + i64::from(batch) * 60_000);
            assert_eq!(check(&mut breaker, "data-30d", 1_000, live, HOUR, now), Ok(()));
        }
        let tripped = check(&mut breaker, "data-30d", 1_000, 40_000, HOUR, NOW + HOUR - 1).unwrap_err();
        assert_eq!((tripped.surprises, tripped.live), (11_000, 50_000));
    }

    #[test]
    fn surprises_are_forgotten_after_the_window_and_not_before() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "data-30d", 10_000, 20_000, HOUR, NOW), Ok(()));
        let after = NOW + HOUR + HOUR / WINDOW_PARTS + 1;
        assert_eq!(check(&mut breaker, "data-30d", 10_000, 20_000, HOUR, after), Ok(()));
        assert!(check(&mut breaker, "data-30d", 1, 20_000, HOUR, after + HOUR).is_err());
    }

    #[test]
    fn a_surprise_stands_against_what_lived_before_the_forecast_peak() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 0, 1_000_000, HOUR, NOW), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 50_000, 100_000, HOUR, NOW + 60_000), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 0, 50_000, HOUR, NOW + 2 * HOUR), Ok(()));
    }

    #[test]
    fn a_batch_without_surprises_passes_though_the_limit_shrank() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 0, 200_000, HOUR, NOW), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 18_000, 150_000, HOUR, NOW + HOUR / 2), Ok(()));
        // That 200,000 lived is forgotten here, which leaves a limit of 15,000.
        let later = NOW + HOUR + HOUR / 4;
        assert_eq!(check(&mut breaker, "log-6mo", 0, 20, HOUR, later), Ok(()));
        assert_eq!(check(&mut breaker, "log-6mo", 1, 20, HOUR, later).unwrap_err().limit, 15_000);
    }

    #[test]
    fn what_waits_trips_before_the_first_batch_of_it() {
        let mut breaker = breaker();
        assert!(breaker.check("log-6mo", 5_000, 500_000, 1_000_000, HOUR, NOW).is_err());
        assert_eq!(
            breaker.check("log-6mo", 5_000, 90_000, 1_000_000, HOUR, NOW),
            Ok(()),
            "nothing was counted"
        );
    }

    #[test]
    fn after_a_reset_counting_begins_anew() {
        let mut breaker = breaker();
        assert_eq!(check(&mut breaker, "log-6mo", 10_000, 20_000, HOUR, NOW), Ok(()));
        assert!(check(&mut breaker, "log-6mo", 1, 20_000, HOUR, NOW).is_err());
        breaker.reset("log-6mo");
        assert_eq!(check(&mut breaker, "log-6mo", 10_000, 20_000, HOUR, NOW), Ok(()));
    }

    #[test]
    fn a_class_that_trips_does_not_stop_another() {
        let mut breaker = breaker();
        assert!(check(&mut breaker, "log-6mo", 20_000, 20_000, HOUR, NOW).is_err());
        assert_eq!(check(&mut breaker, "upload-3h", 9_000, 9_000, HOUR, NOW), Ok(()));
    }

    #[test]
    fn memory_stays_bounded_however_many_batches_a_window_has() {
        let mut breaker = breaker();
        for batch in 0..100_000 {
            assert_eq!(check(&mut breaker, "upload-3h", 0, 1_000_000, HOUR, NOW + batch * 100), Ok(()));
        }
        assert!(breaker.classes["upload-3h"].parts.len() <= 65);
    }

    #[test]
    fn absurd_numbers_neither_overflow_nor_pass() {
        let mut breaker = breaker();
        let now = [i64::MIN, i64::MAX, 0, i64::MIN];
        for (window, now) in [HOUR, 0, -1, i64::MAX].into_iter().zip(now) {
            breaker.reset("a");
            assert!(check(&mut breaker, "a", u64::MAX, u64::MAX, window, now).is_err());
            let _ = check(&mut breaker, "a", u64::MAX, u64::MAX, window, i64::MAX);
        }
    }
}
