//! A bout: contestants measured in turn on one machine in one run, and what is said of them in pairs.

use crate::Result;
use crate::figures::{Spread, Target, short};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a run was asked for.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where everything that is measured lies: on the disk that is meant.
    pub dir: PathBuf,
    /// Rounds; medians are taken over them.
    pub rounds: usize,
    /// What the numbers of objects are multiplied with.
    pub scale: f64,
    /// Only the comparisons whose names have one of these among their parts; all where there are none.
    pub only: Vec<String>,
    /// How long lateness is watched, seconds.
    pub seconds: u64,
    /// The program that plays one life of an engine in a process of its own, where its memory is counted.
    pub program: PathBuf,
}

impl Setup {
    /// So many objects at full scale, fewer at a smaller one, never less than `least`.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a scale is positive")]
    pub fn scaled(&self, full: usize, least: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(least)
    }

    /// Whether this is less than what the targets ask for.
    pub fn is_trial(&self) -> bool {
        self.scale < 1.0 || self.rounds < 5 || self.seconds < 60
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| has_part(name, only))
    }

    /// Those that were asked for.
    pub fn wanted(&self, mut pairings: Vec<Pairing>) -> Vec<Pairing> {
        pairings.retain(|pairing| self.is_wanted(&pairing.name));
        pairings
    }
}

/// Whether `part` is one or some successive ones of the parts of a name, between slashes.
pub fn has_part(name: &str, part: &str) -> bool {
    let (name, part): (Vec<&str>, Vec<&str>) = (name.split('/').collect(), part.split('/').collect());
    name.windows(part.len()).any(|parts| parts == part)
}

/// What one contestant reached in one round, by the name of the figure.
pub type Figures = BTreeMap<&'static str, f64>;

/// The measured part of a contestant: it gets an empty folder.
pub type Play<'a> = Box<dyn FnMut(&Path) -> Result<Figures> + 'a>;

/// One who is measured.
pub struct Contestant<'a> {
    /// Its name in the report.
    pub name: &'static str,
    play: std::result::Result<Play<'a>, String>,
}

impl<'a> Contestant<'a> {
    /// One that plays.
    pub fn new(name: &'static str, play: impl FnMut(&Path) -> Result<Figures> + 'a) -> Self {
        Contestant { name, play: Ok(Box::new(play)) }
    }

    /// One that is not here, and why.
    pub fn absent(name: &'static str, why: impl Into<String>) -> Self {
        Contestant { name, play: Err(why.into()) }
    }
}

/// A figure of one contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Of(pub &'static str, pub &'static str);

/// What is to be said: one figure, beside another.
#[derive(Clone, Debug)]
pub struct Pairing {
    /// Its name, with its group before the first slash.
    pub name: String,
    /// What is compared, in a sentence.
    pub what: &'static str,
    /// The unit of both.
    pub unit: &'static str,
    /// Our figure.
    pub ours: Of,
    /// What it is held against.
    pub reference: Option<Of>,
    /// What that is called, where it is not who reached it.
    pub label: Option<&'static str>,
    /// What has to be reached.
    pub target: Option<Target>,
    /// A figure without which the target is not met: it has to be zero in every round; and what is so where it is not.
    pub unless: Option<(Of, &'static str)>,
}

impl Pairing {
    /// Ours beside another, without a target.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        ours: Of,
        reference: Of,
        what: &'static str,
    ) -> Self {
        Pairing { reference: Some(reference), ..Pairing::alone(name, unit, ours, what) }
    }

    /// Ours alone, without a target.
    pub fn alone(name: impl Into<String>, unit: &'static str, ours: Of, what: &'static str) -> Self {
        Pairing {
            name: name.into(),
            what,
            unit,
            ours,
            reference: None,
            label: None,
            target: None,
            unless: None,
        }
    }

    /// With another name for the reference than whose figure it is.
    #[must_use]
    pub fn beside(self, label: &'static str) -> Self {
        Pairing { label: Some(label), ..self }
    }

    /// With a target that is not met where this figure is not zero: then `so` is why.
    #[must_use]
    pub fn unless(self, figure: Of, so: &'static str) -> Self {
        Pairing { unless: Some((figure, so)), ..self }
    }

    /// With a target.
    #[must_use]
    pub fn to_reach(self, target: Target) -> Self {
        Pairing { target: Some(target), ..self }
    }
}

/// What came of a pairing.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Its name.
    pub name: String,
    /// What is compared.
    pub what: &'static str,
    /// The unit of both figures.
    pub unit: &'static str,
    /// Our median.
    pub ours: Option<f64>,
    /// The reference's median.
    pub reference: Option<f64>,
    /// Who that is.
    pub reference_name: Option<&'static str>,
    /// The median of the ratios, ours to the reference, round by round.
    pub ratio: Option<f64>,
    /// The least ratio, or our least figure where there is no reference.
    pub least: Option<f64>,
    /// The most.
    pub most: Option<f64>,
    /// Our figure with its spread.
    pub ours_spread: Option<Spread>,
    /// The reference's.
    pub reference_spread: Option<Spread>,
    /// Rounds that were measured.
    pub rounds: usize,
    /// The number to reach; none where nothing has to be.
    pub target: Option<f64>,
    /// Whether that is about the `ratio` or about `ours`.
    pub target_of: Option<&'static str>,
    /// How that has to stand to the target: `≥`, `≤`, `<` or `=`.
    pub bound: Option<&'static str>,
    /// Whether it does. What was not measured is not met.
    pub met: Option<bool>,
    /// In how many of the rounds it would be met if they were all there is.
    pub met_rounds: Option<usize>,
    /// Why it is not met although the number is reached.
    pub but: Option<&'static str>,
    /// Why it was not measured.
    pub why_not: Option<String>,
    /// Whether that is because something failed, rather than that somebody is not here.
    pub failed: bool,
    /// The target, for the printed table.
    #[serde(skip)]
    pub asked: Option<Target>,
}

impl Comparison {
    fn new(pairing: &Pairing, ours: &[f64], reference: &[f64]) -> Self {
        let (own, other) = (Spread::of(ours), Spread::of(reference));
        let ratio = Spread::of_ratios(ours, reference);
        let shown = if pairing.reference.is_some() { ratio } else { own };
        let target = pairing.target;
        Comparison {
            name: pairing.name.clone(),
            what: pairing.what,
            unit: pairing.unit,
            ours: own.map(|s| s.median),
            reference: other.map(|s| s.median),
            reference_name: pairing.label.or(pairing.reference.map(|of| of.0)),
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
            asked: target,
        }
    }

    /// One that could not be measured.
    pub fn not_run(pairing: &Pairing, why: impl Into<String>, failed: bool) -> Self {
        Comparison { why_not: Some(why.into()), failed, ..Comparison::new(pairing, &[], &[]) }
    }
}

fn met_rounds(target: Target, ours: &[f64], reference: &[f64]) -> usize {
    let is_met = |round: &usize| {
        let one = |figures: &[f64]| figures.get(*round).copied().into_iter().collect::<Vec<_>>();
        let (ours, reference) = (one(ours), one(reference));
        target.is_met(Spread::of(&ours), Spread::of_ratios(&ours, &reference))
    };
    (0..ours.len()).filter(is_met).count()
}

/// What one contestant did: its figures by round, or why there are none.
struct Played {
    rounds: Vec<Figures>,
    why_not: Option<(String, bool)>,
}

impl Played {
    fn figures(&self, name: &str) -> Vec<f64> {
        self.rounds.iter().filter_map(|figures| figures.get(name).copied()).collect()
    }
}

/// Measures whoever the pairings need, round by round, another one beginning in each, and compares.
pub fn play(setup: &Setup, contestants: Vec<Contestant<'_>>, pairings: &[Pairing]) -> Vec<Comparison> {
    let named =
        |name| pairings.iter().any(|p| p.ours.0 == name || p.reference.is_some_and(|of| of.0 == name));
    let mut contestants: Vec<_> = contestants.into_iter().filter(|c| named(c.name)).collect();
    let mut played: BTreeMap<&'static str, Played> = BTreeMap::new();
    for one in &contestants {
        let why_not = one.play.as_ref().err().map(|why| (why.clone(), false));
        played.insert(one.name, Played { rounds: Vec::new(), why_not });
    }
    for round in 0..setup.rounds {
        for turn in 0..contestants.len() {
            let at = place_of(turn, round, contestants.len());
            let Contestant { name, play } = &mut contestants[at];
            let (Some(so_far), Ok(play)) = (played.get_mut(name), play.as_mut()) else { continue };
            if so_far.why_not.is_none() {
                match once(&setup.dir, play) {
                    Ok(figures) => {
                        say(&told(name, &figures));
                        so_far.rounds.push(figures);
                    }
                    Err(error) => so_far.why_not = Some((format!("{name}: {error}"), true)),
                }
            }
        }
        say(&format!("{}: round {} of {}", group_of(pairings), round + 1, setup.rounds));
    }
    pairings.iter().map(|pairing| compare(pairing, &played)).collect()
}

/// Who has this turn: another one begins in every round, and every other round goes the other way about, so that nobody
/// always measures in the wake of the same.
pub fn place_of(turn: usize, round: usize, contestants: usize) -> usize {
    let turn = if round.is_multiple_of(2) { turn } else { contestants - turn };
    (round + turn) % contestants
}

/// What one has done in this round, so that a run that is cut short was not for nothing.
fn told(name: &str, figures: &Figures) -> String {
    let figures: Vec<String> =
        figures.iter().map(|(figure, value)| format!("{figure} {}", short(*value))).collect();
    format!("  {name}: {}", figures.join(", "))
}

fn once(dir: &Path, play: &mut Play<'_>) -> Result<Figures> {
    let folder = tempfile::tempdir_in(dir)?;
    play(folder.path())
}

fn group_of(pairings: &[Pairing]) -> &str {
    pairings.first().map_or("", |pairing| pairing.name.as_str())
}

fn compare(pairing: &Pairing, played: &BTreeMap<&'static str, Played>) -> Comparison {
    let mut figures = Vec::new();
    for of in [Some(pairing.ours), pairing.reference].into_iter().flatten() {
        match played.get(of.0) {
            Some(Played { why_not: Some((why, failed)), .. }) => {
                return Comparison::not_run(pairing, why, *failed);
            }
            Some(one) if one.figures(of.1).len() == one.rounds.len() => figures.push(one.figures(of.1)),
            _ => return Comparison::not_run(pairing, format!("{} gave no {}", of.0, of.1), true),
        }
    }
    let none = Vec::new();
    let ours = figures.first().unwrap_or(&none);
    let mut compared = Comparison::new(pairing, ours, figures.get(1).unwrap_or(&none));
    if let (Some((of, so)), Some(true)) = (pairing.unless, compared.met) {
        let other = played.get(of.0).map(|one| one.figures(of.1)).unwrap_or_default();
        if !Target::Never.is_met(Spread::of(&other), None) {
            (compared.met, compared.but) = (Some(false), Some(so));
        }
    }
    compared
}

/// A word for whoever waits.
#[expect(clippy::print_stderr, reason = "progress, beside the report on standard output")]
pub fn say(what: &str) {
    eprintln!("sexton-bench: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(rounds: usize) -> Setup {
        let (dir, program) = (std::env::temp_dir(), PathBuf::new());
        Setup { dir, rounds, scale: 1.0, only: Vec::new(), seconds: 1, program }
    }

    fn figures(rate: f64) -> Figures {
        Figures::from([("rate", rate)])
    }

    fn pairing(ours: &'static str, reference: &'static str) -> Pairing {
        let pairing = Pairing::new("group/x", "per second", Of(ours, "rate"), Of(reference, "rate"), "what");
        pairing.to_reach(Target::Ratio(2.0))
    }

    #[test]
    fn who_is_paired_is_measured_in_turn_and_another_begins_in_every_round() {
        let order = std::cell::RefCell::new(Vec::new());
        let one = |name, rate| {
            let order = &order;
            Contestant::new(name, move |folder| {
                assert!(folder.is_dir());
                order.borrow_mut().push(name);
                Ok(figures(rate))
            })
        };
        let contestants = vec![one("a", 6.0), one("b", 2.0), one("nobody asks", 1.0)];
        let compared = play(&setup(3), contestants, &[pairing("a", "b")]);
        assert_eq!(*order.borrow(), ["a", "b", "b", "a", "a", "b"]);
        assert_eq!((0..4).map(|turn| place_of(turn, 2, 4)).collect::<Vec<_>>(), [2, 3, 0, 1]);
        assert_eq!((0..4).map(|turn| place_of(turn, 3, 4)).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert_eq!((compared[0].ratio, compared[0].met, compared[0].rounds), (Some(3.0), Some(true), 3));
        assert_eq!(compared[0].met_rounds, Some(3));
    }

    #[test]
    fn a_target_that_the_median_reaches_says_in_how_many_rounds_it_was() {
        let compared = Comparison::new(&pairing("a", "b"), &[4.0, 1.0, 6.0], &[2.0, 1.0, 2.0]);
        assert_eq!((compared.met, compared.met_rounds, compared.rounds), (Some(true), Some(2), 3));
    }

    #[test]
    fn what_is_absent_or_fails_is_said_and_not_met() {
        let contestants = || {
            let failing = |_: &Path| Err("no more disk".into());
            let ours = Contestant::new("ours", |_: &Path| Ok(figures(9.0)));
            vec![ours, Contestant::absent("b", "b is not installed"), Contestant::new("c", failing)]
        };
        let compared = play(&setup(2), contestants(), &[pairing("ours", "b"), pairing("ours", "c")]);
        assert_eq!((compared[0].met, compared[0].failed), (Some(false), false));
        assert_eq!(compared[0].why_not.as_deref(), Some("b is not installed"));
        assert_eq!((compared[1].met, compared[1].failed), (Some(false), true));
        assert_eq!(compared[1].why_not.as_deref(), Some("c: no more disk"));
        assert_eq!(compared[1].ratio, None);
    }

    #[test]
    fn a_number_that_is_reached_counts_only_where_nothing_is_amiss() {
        for (left, met) in [(0.0, true), (3.0, false)] {
            let ours =
                Contestant::new("ours", move |_: &Path| Ok(Figures::from([("s", 1.0), ("left", left)])));
            let quick = Pairing::alone("x/quick", "s", Of("ours", "s"), "what").to_reach(Target::Below(2.0));
            let compared =
                play(&setup(2), vec![ours], &[quick.unless(Of("ours", "left"), "something is left")]);
            assert_eq!(compared[0].met, Some(met));
            assert_eq!(compared[0].but, (!met).then_some("something is left"));
        }
    }

    #[test]
    fn only_what_was_asked_for_is_wanted_and_scales_have_a_floor() {
        let setup = Setup { only: vec!["ring/x".into()], scale: 0.01, ..setup(1) };
        let named = |name: &str| Pairing { name: name.into(), ..pairing("a", "b") };
        let wanted =
            setup.wanted(vec![named("a/ring/x/z"), named("ring/x"), named("ring/y"), named("string/xy")]);
        let names: Vec<_> = wanted.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["a/ring/x/z", "ring/x"]);
        assert_eq!((setup.scaled(1_000_000, 4_000), setup.scaled(1_000, 4_000)), (10_000, 4_000));
    }
}
