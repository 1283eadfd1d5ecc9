//! Medians with their spread, and targets that a figure has to reach.

use serde::Serialize;
use std::fmt;

/// Least, median and greatest of some figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Least value.
    pub least: f64,
    /// Middle value, or the mean of the two middle values.
    pub median: f64,
    /// Greatest value.
    pub most: f64,
}

impl Spread {
    /// Computes the spread of `values`. Returns `None` if there are none or if one is not a number.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let half = values.len() / 2;
        let median = match values.len() % 2 {
            0 => f64::midpoint(values[half - 1], values[half]),
            _ => values[half],
        };
        (!values.iter().any(|value| value.is_nan())).then_some(Spread { least, median, most })
    }

    /// Computes the spread of the ratios, taken round by round.
    pub fn of_ratios(values: &[f64], references: &[f64]) -> Option<Spread> {
        let ratios: Vec<f64> = values.iter().zip(references).map(|(ours, theirs)| ours / theirs).collect();
        Spread::of(&ratios)
    }
}

/// Bound that a figure or a ratio has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Least median ratio to the reference.
    Ratio(f64),
    /// Greatest median ratio to the reference.
    RatioAtMost(f64),
    /// Exclusive upper bound of the median ratio to the reference.
    RatioBelow(f64),
    /// Least median of our figure.
    AtLeast(f64),
    /// Exclusive upper bound of the median of our figure.
    Below(f64),
    /// Zero in every round, of our figure.
    Never,
}

impl Target {
    /// Returns `true` if the target is met. A figure that was not measured does not meet it.
    pub fn is_met(self, ours: Option<Spread>, ratio: Option<Spread>) -> bool {
        let own = |holds: &dyn Fn(Spread) -> bool| ours.is_some_and(holds);
        let relative = |holds: &dyn Fn(f64) -> bool| ratio.is_some_and(|ratio| holds(ratio.median));
        match self {
            Target::Ratio(least) => relative(&|ratio| ratio >= least),
            Target::RatioAtMost(most) => relative(&|ratio| ratio <= most),
            Target::RatioBelow(limit) => relative(&|ratio| ratio < limit),
            Target::AtLeast(least) => own(&|ours| ours.median >= least),
            Target::Below(limit) => own(&|ours| ours.median < limit),
            Target::Never => own(&|ours| ours.most == 0.0),
        }
    }

    /// Returns `true` if the target bounds the ratio, `false` if it bounds our figure.
    pub fn is_of_ratio(self) -> bool {
        matches!(self, Target::Ratio(_) | Target::RatioAtMost(_) | Target::RatioBelow(_))
    }

    /// Number of the bound.
    pub fn value(self) -> f64 {
        match self {
            Target::Ratio(value) | Target::RatioAtMost(value) | Target::RatioBelow(value) => value,
            Target::AtLeast(value) | Target::Below(value) => value,
            Target::Never => 0.0,
        }
    }

    /// Relation of the figure to the number: `≥`, `≤`, `<` or `=`.
    pub fn bound(self) -> &'static str {
        match self {
            Target::Ratio(_) | Target::AtLeast(_) => "≥",
            Target::RatioAtMost(_) => "≤",
            Target::RatioBelow(_) | Target::Below(_) => "<",
            Target::Never => "=",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = if self.is_of_ratio() { "×" } else { "" };
        write!(out, "{} {}{times}", self.bound(), short(self.value()))
    }
}

/// Formats a figure with three digits, and thousands and millions with a letter.
pub fn short(value: f64) -> String {
    let (value, letter) = match value.abs() {
        size if size >= 999_500.0 => (value / 1e6, " M"),
        size if size >= 9_995.0 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match value.abs() {
        size if size >= 99.95 || size == 0.0 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.01 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(value: f64) -> Option<Spread> {
        Spread::of(&[value])
    }

    #[test]
    fn spread_has_the_middle_value_as_median() {
        let odd = Spread::of(&[5.0, 1.0, 3.0]);
        assert_eq!(odd, Some(Spread { least: 1.0, median: 3.0, most: 5.0 }));
        let even = Spread::of(&[4.0, 1.0, 2.0, 8.0]);
        assert_eq!(even, Some(Spread { least: 1.0, median: 3.0, most: 8.0 }));
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratios = Spread::of_ratios(&[10.0, 20.0, 90.0], &[10.0, 10.0, 30.0]);
        assert_eq!(ratios, Some(Spread { least: 1.0, median: 2.0, most: 3.0 }));
        // 0 / 0 is not a number.
        assert_eq!(Spread::of_ratios(&[0.0], &[0.0]), None);
    }

    #[test]
    fn target_is_met_at_its_bound_and_not_beyond() {
        for (target, value, met) in [
            (Target::Ratio(0.7), 0.7, true),
            (Target::Ratio(0.7), 0.699, false),
            (Target::RatioAtMost(3.0), 3.0, true),
            (Target::RatioAtMost(3.0), 3.01, false),
            (Target::RatioBelow(0.25), 0.25, false),
            (Target::RatioBelow(0.25), 0.24, true),
        ] {
            assert_eq!(target.is_met(None, flat(value)), met, "{target:?} {value}");
            assert!(!target.is_met(flat(value), None), "{target:?} is about the ratio");
        }
        for (target, value, met) in [
            (Target::AtLeast(30_000.0), 30_000.0, true),
            (Target::AtLeast(30_000.0), 29_999.0, false),
            (Target::Below(20.0), 20.0, false),
            (Target::Below(20.0), 19.9, true),
            (Target::Never, 0.0, true),
        ] {
            assert_eq!(target.is_met(flat(value), None), met, "{target:?} {value}");
        }
        assert!(!Target::Never.is_met(Spread::of(&[0.0, 0.0, 0.0, 0.0, 1.0]), None));
        assert!(!Target::Never.is_met(None, None));
    }

    #[test]
    fn figures_are_formatted_with_three_digits() {
        let written = [0.0, 0.7, 0.123, 3.0, 12.34, 250.0, 9_994.0, 30_000.0, 1_234_567.0].map(short);
        assert_eq!(written, ["0", "0.7", "0.12", "3", "12.3", "250", "9994", "30 k", "1.23 M"]);
        assert_eq!(Target::Ratio(0.7).to_string(), "≥ 0.7×");
        assert_eq!(Target::Below(20.0).to_string(), "< 20");
    }
}
