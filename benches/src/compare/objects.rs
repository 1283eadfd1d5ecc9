//! Registering and enforcing over a store that answers at once, beside the baseline and the naive layout.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::reference::baseline::{Baseline, Rows};
use crate::reference::naive::Naive;
use crate::reference::point_deletes;
use crate::statistics::Target;
use crate::{CALL, CLASSES, Ours, Result, Workload, rate};
use sexton::class::Find;
use sexton_proof::leaf::Openings;
use std::path::Path;

const REGISTER: &str = "register";
const ENFORCE: &str = "enforce";
const MERGING: &str = "baseline that merges";
const UNIT: &str = "objects/s";
const SLOTS: usize = 500;

/// Comparisons with 100,000 objects per slot.
pub(super) const FULL: Group = Group {
    comparisons: || {
        let mut comparisons = at_fill(100_000, 0.6);
        comparisons.extend([
            Comparison::new(
                "register/100000/naive",
                UNIT,
                FigureOf("none", REGISTER),
                FigureOf("naive", REGISTER),
                "find = none, beside a due row and a row under a random id, with equal bytes and fsyncs",
            )
            .with_target(Target::Ratio(4.0)),
            Comparison::new(
                "enforce/100000/point-deletes",
                UNIT,
                FigureOf("none", ENFORCE),
                FigureOf("naive", ENFORCE),
                "with all evidence, beside scan and point deletes in the naive layout, without evidence",
            )
            .with_target(Target::Ratio(5.0)),
        ]);
        comparisons
    },
    run: |setup, comparisons| filled(setup, comparisons, 20_000_000, 100_000),
};

/// Comparisons with 1,000 objects per slot.
pub(super) const THOUSAND: Group = Group {
    comparisons: || at_fill(1_000, 0.5),
    run: |setup, comparisons| filled(setup, comparisons, 2_000_000, 1_000),
};

/// Comparisons with 10 objects per slot.
pub(super) const TEN: Group = Group {
    comparisons: || {
        let mut comparisons = at_fill(10, 0.5);
        let what = "beside a baseline that deletes adjacent pages as one range, as the engine does";
        let merging = FigureOf(MERGING, ENFORCE);
        comparisons.push(Comparison::new(
            "enforce/10/merging",
            UNIT,
            FigureOf("none", ENFORCE),
            merging,
            what,
        ));
        comparisons
    },
    run: |setup, comparisons| filled(setup, comparisons, 2_000_000, 10),
};

/// Comparison in which each call is spread over 500 slots.
pub(super) const SPREAD: Group = Group {
    comparisons: || {
        let what = "each call spread over 500 slots, beside the baseline with the same spread";
        let comparison = Comparison::new(
            "register/spread-500",
            UNIT,
            FigureOf("none", REGISTER),
            FigureOf("baseline", REGISTER),
            what,
        );
        vec![comparison.with_target(Target::Ratio(0.7))]
    },
    run: |setup, comparisons| {
        let objects = setup.scaled(4_000_000, CALL * CLASSES);
        let work = Workload::new(objects, objects.div_ceil(CALL * CLASSES) * CALL / SLOTS).spread();
        Ok(run_contest(setup, contestants(&work, comparisons), comparisons))
    },
};

/// Comparison with repeated keys among 2 million objects.
pub(super) const AGAIN: Group = Group {
    comparisons: || vec![repeated("register/again")],
    run: |setup, comparisons| run_repeated(setup, comparisons, 2_000_000),
};

/// Comparison with repeated keys among 10 million objects.
pub(super) const AGAIN_MANY: Group = Group {
    comparisons: || vec![repeated("register/again-10M")],
    run: |setup, comparisons| run_repeated(setup, comparisons, 10_000_000),
};

fn repeated(name: &str) -> Comparison {
    let what = "find = key, every tenth key repeated, beside the naive layout, which finds and replaces too";
    Comparison::new(name, UNIT, FigureOf("key", REGISTER), FigureOf("naive by key", REGISTER), what)
        .with_target(Target::Ratio(1.5))
}

fn run_repeated(setup: &Setup, comparisons: &[Comparison], objects: usize) -> Result<Vec<ComparisonResult>> {
    let work = Workload::with_repeated_keys(setup.scaled(objects, 8 * CALL * CLASSES), 100_000);
    let key = Contestant::new("key", |folder: &Path| {
        let ours = Ours::open(folder, Find::Key, Openings::Operator)?;
        Ok(Figures::from([(REGISTER, rate(work.len(), || ours.register(&work))?)]))
    });
    let naive = Contestant::new("naive by key", |folder: &Path| {
        let naive = Naive::open(folder)?;
        Ok(Figures::from([(REGISTER, rate(work.len(), || naive.register_by_key(&work))?)]))
    });
    Ok(run_contest(setup, vec![key, naive], comparisons))
}

/// Comparisons of every fill. `enforced` is the target of enforcing, as a ratio to the baseline.
fn at_fill(per_slot: usize, enforced: f64) -> Vec<Comparison> {
    let named = |verb: &str, more: &str| format!("{verb}/{per_slot}{more}");
    let same = "calls of 1,000 with an fsync each, four classes, beside the baseline";
    let proven = "plan, intent, commitments, files, synced commit, checkpoint, beside the baseline";
    let tickets = "with openings = ticket, which the engine does not keep, beside the baseline";
    vec![
        Comparison::new(
            named(REGISTER, ""),
            UNIT,
            FigureOf("none", REGISTER),
            FigureOf("baseline", REGISTER),
            same,
        )
        .with_target(Target::Ratio(0.7)),
        Comparison::new(
            named(REGISTER, "/ticket"),
            UNIT,
            FigureOf("ticket", REGISTER),
            FigureOf("baseline", REGISTER),
            tickets,
        ),
        Comparison::new(
            named(ENFORCE, ""),
            UNIT,
            FigureOf("none", ENFORCE),
            FigureOf("baseline", ENFORCE),
            proven,
        )
        .with_target(Target::Ratio(enforced)),
        Comparison::new(
            named(ENFORCE, "/ticket"),
            UNIT,
            FigureOf("ticket", ENFORCE),
            FigureOf("baseline", ENFORCE),
            tickets,
        ),
        Comparison::new(
            named(ENFORCE, "/key"),
            UNIT,
            FigureOf("key", ENFORCE),
            FigureOf("none", ENFORCE),
            "find = key, beside our own find = none",
        )
        .with_target(Target::Ratio(0.6)),
    ]
}

fn filled(
    setup: &Setup,
    comparisons: &[Comparison],
    objects: usize,
    per_slot: usize,
) -> Result<Vec<ComparisonResult>> {
    let work = Workload::new(setup.scaled(objects, CALL * CLASSES), per_slot);
    Ok(run_contest(setup, contestants(&work, comparisons), comparisons))
}

/// Steps that a contestant measures.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    Register,
    RegisterAndEnforce,
}

/// All contestants. They enforce only if a comparison needs it.
fn contestants<'a>(work: &'a Workload, comparisons: &[Comparison]) -> Vec<Contestant<'a>> {
    let steps = match comparisons.iter().any(|comparison| comparison.ours.1 == ENFORCE) {
        true => Steps::RegisterAndEnforce,
        false => Steps::Register,
    };
    let engine = |name, find, openings| {
        Contestant::new(name, move |folder: &Path| ours(folder, work, find, openings, steps))
    };
    let baseline = |name, adjust: fn(Baseline) -> Baseline| {
        Contestant::new(name, move |folder: &Path| {
            let baseline = adjust(Baseline::open(folder, Rows::One)?);
            measured(work, steps, || baseline.register(work), || baseline.enforce(work))
        })
    };
    vec![
        baseline("baseline", |baseline| baseline),
        baseline(MERGING, Baseline::with_merged_ranges),
        engine("none", Find::None, Openings::Operator),
        engine("ticket", Find::None, Openings::Ticket),
        engine("key", Find::Key, Openings::Operator),
        Contestant::new("naive", move |folder: &Path| {
            let naive = Naive::open(folder)?;
            measured(work, steps, || naive.register(work), || point_deletes::enforce(&naive, work))
        }),
    ]
}

/// Measures the rates of the steps.
fn measured(
    work: &Workload,
    steps: Steps,
    register: impl FnOnce() -> Result<()>,
    enforce: impl FnOnce() -> Result<()>,
) -> Result<Figures> {
    let mut figures = Figures::from([(REGISTER, rate(work.len(), register)?)]);
    if steps == Steps::RegisterAndEnforce {
        figures.insert(ENFORCE, rate(work.len(), enforce)?);
    }
    Ok(figures)
}

/// Measures a new engine with classes of one kind.
pub(super) fn ours(
    folder: &Path,
    work: &Workload,
    find: Find,
    openings: Openings,
    steps: Steps,
) -> Result<Figures> {
    let ours = Ours::open(folder, find, openings)?;
    let enforce = || {
        ours.advance_until_due(work);
        ours.enforce(work)
    };
    measured(work, steps, || ours.register(work), enforce)
}
