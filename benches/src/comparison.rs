//! Comparisons of a figure of one contestant with a figure of another, and their results.

use crate::statistics::{Spread, Target};
use serde::Serialize;

/// Figure of a contestant: the contestant's name, then the figure's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FigureOf(pub &'static str, pub &'static str);

/// Comparison of our figure with a reference, before it is measured.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Name in the report. The part before the first slash is its group.
    pub name: String,
    /// Description in one sentence.
    pub what: &'static str,
    /// Unit of both figures.
    pub unit: &'static str,
    /// Our figure.
    pub ours: FigureOf,
    /// Figure that ours is divided by.
    pub reference: Option<FigureOf>,
    /// Name of the reference in the report, if it is not the name of its contestant.
    pub label: Option<&'static str>,
    /// Bound that the figure or the ratio has to reach.
    pub target: Option<Target>,
    /// Figure that has to be zero in every round for the target to count as met, and the objection if it is not.
    pub zero: Option<(FigureOf, &'static str)>,
}

impl Comparison {
    /// Compares our figure with a reference, without a target.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        ours: FigureOf,
        reference: FigureOf,
        what: &'static str,
    ) -> Self {
        Comparison { reference: Some(reference), ..Comparison::alone(name, unit, ours, what) }
    }

    /// Reports our figure without a reference and without a target.
    pub fn alone(name: impl Into<String>, unit: &'static str, ours: FigureOf, what: &'static str) -> Self {
        Comparison {
            name: name.into(),
            what,
            unit,
            ours,
            reference: None,
            label: None,
            target: None,
            zero: None,
        }
    }

    /// Names the reference differently from its contestant.
    #[must_use]
    pub fn labelled(self, label: &'static str) -> Self {
        Comparison { label: Some(label), ..self }
    }

    /// Fails the target if `figure` is not zero in every round. The report then gives `objection`.
    #[must_use]
    pub fn requires_zero(self, figure: FigureOf, objection: &'static str) -> Self {
        Comparison { zero: Some((figure, objection)), ..self }
    }

    /// Sets the target.
    #[must_use]
    pub fn with_target(self, target: Target) -> Self {
        Comparison { target: Some(target), ..self }
    }
}

/// Result of a comparison. Its fields are the fields of `results` in the JSON report.
#[derive(Clone, Debug, Serialize)]
pub struct ComparisonResult {
    /// Name of the comparison.
    pub name: String,
    /// Description in one sentence.
    pub what: &'static str,
    /// Unit of both figures.
    pub unit: &'static str,
    /// Median of our figure.
    pub ours: Option<f64>,
    /// Median of the reference's figure.
    pub reference: Option<f64>,
    /// Name of the reference.
    pub reference_name: Option<&'static str>,
    /// Median of the ratios of ours to the reference, taken round by round.
    pub ratio: Option<f64>,
    /// Least ratio, or our least figure if there is no reference.
    pub least: Option<f64>,
    /// Greatest ratio, or our greatest figure if there is no reference.
    pub most: Option<f64>,
    /// Our figure with its spread.
    pub ours_spread: Option<Spread>,
    /// Figure of the reference with its spread.
    pub reference_spread: Option<Spread>,
    /// Number of rounds measured.
    pub rounds: usize,
    /// Number to reach. `None` if there is no target.
    pub target: Option<f64>,
    /// Subject of the target: `ratio` or `ours`.
    pub target_of: Option<&'static str>,
    /// Relation of the figure to the target: `≥`, `≤`, `<` or `=`.
    pub bound: Option<&'static str>,
    /// `true` if the target is met. A comparison that was not measured does not meet its target.
    pub met: Option<bool>,
    /// Number of rounds that meet the target on their own.
    pub met_rounds: Option<usize>,
    /// Objection that fails the target although the number is reached.
    pub but: Option<&'static str>,
    /// Reason why the comparison was not measured.
    pub why_not: Option<String>,
    /// `true` if the reason is a failure, `false` if it is a contestant that is not installed.
    pub failed: bool,
    /// Target in the form that the printed table shows.
    #[serde(skip)]
    pub shown_target: Option<Target>,
}

impl ComparisonResult {
    /// Evaluates a comparison from the figures of each round.
    pub fn new(comparison: &Comparison, ours: &[f64], reference: &[f64]) -> Self {
        let (own, other) = (Spread::of(ours), Spread::of(reference));
        let ratio = Spread::of_ratios(ours, reference);
        let shown = if comparison.reference.is_some() { ratio } else { own };
        let target = comparison.target;
        ComparisonResult {
            name: comparison.name.clone(),
            what: comparison.what,
            unit: comparison.unit,
            ours: own.map(|s| s.median),
            reference: other.map(|s| s.median),
            reference_name: comparison.label.or(comparison.reference.map(|of| of.0)),
            ratio: ratio.map(|s| s.median),
            least: shown.map(|s| s.least),
            most: shown.map(|s| s.most),
            ours_spread: own,
            reference_spread: other,
            rounds: ours.len(),
            target: target.map(Target::value),
            target_of: target.map(|t| if t.is_of_ratio() { "ratio" } else { "ours" }),
            bound: target.map(Target::bound),
            met: target.map(|t| t.is_met(own, ratio)),
            met_rounds: target.map(|t| met_rounds(t, ours, reference)),
            but: None,
            why_not: None,
            failed: false,
            shown_target: target,
        }
    }

    /// Reports that a contestant of the comparison is not installed.
    pub fn absent(comparison: &Comparison, why: impl Into<String>) -> Self {
        ComparisonResult { why_not: Some(why.into()), ..ComparisonResult::new(comparison, &[], &[]) }
    }

    /// Reports that measuring the comparison failed.
    pub fn failed(comparison: &Comparison, why: impl Into<String>) -> Self {
        ComparisonResult { failed: true, ..ComparisonResult::absent(comparison, why) }
    }
}

fn met_rounds(target: Target, ours: &[f64], reference: &[f64]) -> usize {
    let is_met = |round: &usize| {
        let of_round = |figures: &[f64]| figures.get(*round).copied().into_iter().collect::<Vec<_>>();
        let (ours, reference) = (of_round(ours), of_round(reference));
        target.is_met(Spread::of(&ours), Spread::of_ratios(&ours, &reference))
    };
    (0..ours.len()).filter(is_met).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The median decides. The number of rounds that meet the target on their own is reported beside it.
    #[test]
    fn target_met_by_median_counts_rounds() {
        let comparison = Comparison::new("x/y", "per second", FigureOf("a", "r"), FigureOf("b", "r"), "what")
            .with_target(Target::Ratio(2.0));
        let result = ComparisonResult::new(&comparison, &[4.0, 1.0, 6.0], &[2.0, 1.0, 2.0]);
        assert_eq!((result.met, result.met_rounds, result.rounds), (Some(true), Some(2), 3));
    }
}
