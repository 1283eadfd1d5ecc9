//! Contest: contestants measured in turn, on one machine and in one run, and compared by their figures.

use crate::Result;
use crate::comparison::{Comparison, ComparisonResult};
use crate::statistics::{Spread, Target, short};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Folder of everything that is measured. It decides which disk is measured.
    pub dir: PathBuf,
    /// Number of rounds. The report gives medians over them.
    pub rounds: usize,
    /// Factor for the numbers of objects.
    pub scale: f64,
    /// Parts of names that select comparisons. Empty selects all.
    pub only: Vec<String>,
    /// Seconds for which lateness is measured.
    pub seconds: u64,
    /// This program. Growth runs it as a child process to read the memory of one engine alone.
    pub program: PathBuf,
}

impl Setup {
    /// Scales a number of objects, to at least `least`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a scale is positive")]
    pub fn scaled(&self, full: usize, least: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(least)
    }

    /// Returns `true` if the run is smaller than the targets ask for.
    pub fn is_trial(&self) -> bool {
        self.scale < 1.0 || self.rounds < 5 || self.seconds < 60
    }

    fn is_selected(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| has_part(name, only))
    }

    /// Selects the comparisons that were asked for.
    pub fn selected(&self, mut comparisons: Vec<Comparison>) -> Vec<Comparison> {
        comparisons.retain(|comparison| self.is_selected(&comparison.name));
        comparisons
    }
}

/// Returns `true` if `part` matches one or several successive slash-separated parts of `name`.
pub fn has_part(name: &str, part: &str) -> bool {
    let (name, part): (Vec<&str>, Vec<&str>) = (name.split('/').collect(), part.split('/').collect());
    name.windows(part.len()).any(|parts| parts == part)
}

/// Figures of a contestant in one round, by name.
pub type Figures = BTreeMap<&'static str, f64>;

/// Measurement of a contestant. It receives an empty folder.
pub type Run<'a> = Box<dyn FnMut(&Path) -> Result<Figures> + 'a>;

/// System under measurement.
pub struct Contestant<'a> {
    /// Name in the report.
    pub name: &'static str,
    run: std::result::Result<Run<'a>, String>,
}

impl<'a> Contestant<'a> {
    /// Names a contestant and its measurement.
    pub fn new(name: &'static str, run: impl FnMut(&Path) -> Result<Figures> + 'a) -> Self {
        Contestant { name, run: Ok(Box::new(run)) }
    }

    /// Names a contestant that cannot be measured here, and the reason.
    pub fn absent(name: &'static str, why: impl Into<String>) -> Self {
        Contestant { name, run: Err(why.into()) }
    }
}

/// Reason why a contestant has no figures.
enum NoFigures {
    Absent(String),
    Failed(String),
}

/// Figures of a contestant by round, or the reason why there are none.
struct Measurements {
    rounds: Vec<Figures>,
    none: Option<NoFigures>,
}

impl Measurements {
    fn figures(&self, name: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|figures| figures.get(name).copied()).collect()
    }
}

/// Measures the contestants that the comparisons name, round by round, and compares their figures.
///
/// The order of the contestants changes from round to round, see [`contestant_at`]. A contestant that fails is not
/// measured again.
pub fn run_contest(
    setup: &Setup,
    contestants: Vec<Contestant<'_>>,
    comparisons: &[Comparison],
) -> Vec<ComparisonResult> {
    let is_named = |name| {
        comparisons
            .iter()
            .any(|c| c.ours.0 == name || c.reference.is_some_and(|reference| reference.0 == name))
    };
    let mut contestants: Vec<_> = contestants.into_iter().filter(|c| is_named(c.name)).collect();
    let mut measured: BTreeMap<&'static str, Measurements> = BTreeMap::new();
    for contestant in &contestants {
        let none = contestant.run.as_ref().err().map(|why| NoFigures::Absent(why.clone()));
        measured.insert(contestant.name, Measurements { rounds: Vec::new(), none });
    }
    let first = comparisons.first().map_or("", |comparison| comparison.name.as_str());
    for round in 0..setup.rounds {
        for turn in 0..contestants.len() {
            let index = contestant_at(turn, round, contestants.len());
            let Contestant { name, run } = &mut contestants[index];
            let (Some(so_far), Ok(run)) = (measured.get_mut(name), run.as_mut()) else { continue };
            if so_far.none.is_none() {
                match run_once(&setup.dir, run) {
                    Ok(figures) => {
                        // Printed at once, so that an interrupted run leaves its figures.
                        print_progress(&progress_line(name, &figures));
                        so_far.rounds.push(figures);
                    }
                    Err(error) => so_far.none = Some(NoFigures::Failed(format!("{name}: {error}"))),
                }
            }
        }
        print_progress(&format!("{first}: round {} of {}", round + 1, setup.rounds));
    }
    comparisons.iter().map(|comparison| compare(comparison, &measured)).collect()
}

/// Index of the contestant that is measured in this turn of this round.
///
/// Each round starts with another contestant, and every other round runs in reverse. So no contestant always follows
/// the same one and inherits its caches and background work.
pub fn contestant_at(turn: usize, round: usize, contestants: usize) -> usize {
    let turn = if round.is_multiple_of(2) { turn } else { contestants - turn };
    (round + turn) % contestants
}

fn progress_line(name: &str, figures: &Figures) -> String {
    let figures: Vec<String> =
        figures.iter().map(|(figure, value)| format!("{figure} {}", short(*value))).collect();
    format!("  {name}: {}", figures.join(", "))
}

fn run_once(dir: &Path, run: &mut Run<'_>) -> Result<Figures> {
    let folder = tempfile::tempdir_in(dir)?;
    run(folder.path())
}

fn compare(comparison: &Comparison, measured: &BTreeMap<&'static str, Measurements>) -> ComparisonResult {
    let mut figures = Vec::new();
    for of in [Some(comparison.ours), comparison.reference].into_iter().flatten() {
        match measured.get(of.0) {
            Some(Measurements { none: Some(NoFigures::Absent(why)), .. }) => {
                return ComparisonResult::absent(comparison, why);
            }
            Some(Measurements { none: Some(NoFigures::Failed(why)), .. }) => {
                return ComparisonResult::failed(comparison, why);
            }
            Some(contestant) if contestant.figures(of.1).len() == contestant.rounds.len() => {
                figures.push(contestant.figures(of.1));
            }
            _ => return ComparisonResult::failed(comparison, format!("{} has no figure {}", of.0, of.1)),
        }
    }
    let none = Vec::new();
    let ours = figures.first().unwrap_or(&none);
    let mut result = ComparisonResult::new(comparison, ours, figures.get(1).unwrap_or(&none));
    if let (Some((of, objection)), Some(true)) = (comparison.zero, result.met) {
        let zero = measured.get(of.0).map(|contestant| contestant.figures(of.1)).unwrap_or_default();
        if !Target::Never.is_met(Spread::of(&zero), None) {
            (result.met, result.but) = (Some(false), Some(objection));
        }
    }
    result
}

/// Prints progress to standard error. The report goes to standard output.
#[expect(clippy::print_stderr, reason = "progress, beside the report on standard output")]
pub fn print_progress(message: &str) {
    eprintln!("sexton-bench: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::FigureOf;

    fn setup(rounds: usize) -> Setup {
        let (dir, program) = (std::env::temp_dir(), PathBuf::new());
        Setup { dir, rounds, scale: 1.0, only: Vec::new(), seconds: 1, program }
    }

    fn figures(rate: f64) -> Figures {
        Figures::from([("rate", rate)])
    }

    fn comparison(ours: &'static str, reference: &'static str) -> Comparison {
        let (ours, reference) = (FigureOf(ours, "rate"), FigureOf(reference, "rate"));
        Comparison::new("group/x", "per second", ours, reference, "what").with_target(Target::Ratio(2.0))
    }

    /// A contestant that no comparison names is not measured.
    #[test]
    fn contestants_take_turns_in_changing_order() {
        let order = std::cell::RefCell::new(Vec::new());
        let contestant = |name, rate| {
            let order = &order;
            Contestant::new(name, move |folder| {
                assert!(folder.is_dir());
                order.borrow_mut().push(name);
                Ok(figures(rate))
            })
        };
        let contestants = vec![contestant("a", 6.0), contestant("b", 2.0), contestant("not named", 1.0)];
        let results = run_contest(&setup(3), contestants, &[comparison("a", "b")]);
        assert_eq!(*order.borrow(), ["a", "b", "b", "a", "a", "b"]);
        assert_eq!((0..4).map(|turn| contestant_at(turn, 2, 4)).collect::<Vec<_>>(), [2, 3, 0, 1]);
        assert_eq!((0..4).map(|turn| contestant_at(turn, 3, 4)).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert_eq!((results[0].ratio, results[0].met, results[0].rounds), (Some(3.0), Some(true), 3));
        assert_eq!(results[0].met_rounds, Some(3));
    }

    #[test]
    fn absent_or_failing_contestant_misses_target() {
        let contestants = || {
            let failing = |_: &Path| Err("no more disk".into());
            let ours = Contestant::new("ours", |_: &Path| Ok(figures(9.0)));
            vec![ours, Contestant::absent("b", "b is not installed"), Contestant::new("c", failing)]
        };
        let results =
            run_contest(&setup(2), contestants(), &[comparison("ours", "b"), comparison("ours", "c")]);
        assert_eq!((results[0].met, results[0].failed), (Some(false), false));
        assert_eq!(results[0].why_not.as_deref(), Some("b is not installed"));
        assert_eq!((results[1].met, results[1].failed), (Some(false), true));
        assert_eq!(results[1].why_not.as_deref(), Some("c: no more disk"));
        assert_eq!(results[1].ratio, None);
    }

    #[test]
    fn required_zero_that_is_not_zero_fails_target() {
        for (left, met) in [(0.0, true), (3.0, false)] {
            let ours =
                Contestant::new("ours", move |_: &Path| Ok(Figures::from([("s", 1.0), ("left", left)])));
            let quick = Comparison::alone("x/quick", "s", FigureOf("ours", "s"), "what")
                .with_target(Target::Below(2.0))
                .requires_zero(FigureOf("ours", "left"), "something is left");
            let results = run_contest(&setup(2), vec![ours], &[quick]);
            assert_eq!(results[0].met, Some(met));
            assert_eq!(results[0].but, (!met).then_some("something is left"));
        }
    }

    #[test]
    fn selection_matches_whole_parts_of_names() {
        let setup = Setup { only: vec!["ring/x".into()], ..setup(1) };
        let named = |name: &str| Comparison { name: name.into(), ..comparison("a", "b") };
        let selected =
            setup.selected(vec![named("a/ring/x/z"), named("ring/x"), named("ring/y"), named("string/xy")]);
        let names: Vec<_> = selected.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a/ring/x/z", "ring/x"]);
    }

    #[test]
    fn scaled_number_has_a_lower_bound() {
        let setup = Setup { scale: 0.01, ..setup(1) };
        assert_eq!((setup.scaled(1_000_000, 4_000), setup.scaled(1_000, 4_000)), (10_000, 4_000));
    }
}
