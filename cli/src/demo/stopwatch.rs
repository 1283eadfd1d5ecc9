//! Duration of each phase.

use std::time::Instant;

/// Stopwatch for consecutive phases.
pub(super) struct Stopwatch {
    began: Instant,
    last: Instant,
    laps: Vec<(&'static str, f64)>,
}

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the duration of a phase is only shown, and decides nothing"
    )]
    pub(super) fn start() -> Self {
        let now = Instant::now();
        Stopwatch { began: now, last: now, laps: Vec::new() }
    }

    /// Ends a phase.
    pub(super) fn lap(&mut self, name: &'static str) {
        let lap = self.last.elapsed();
        self.last += lap;
        self.laps.push((name, lap.as_secs_f64()));
    }

    /// Returns the phases with their seconds.
    pub(super) fn laps(&self) -> &[(&'static str, f64)] {
        &self.laps
    }

    /// Returns the seconds from the start to the last lap.
    pub(super) fn seconds(&self) -> f64 {
        self.last.duration_since(self.began).as_secs_f64()
    }
}
