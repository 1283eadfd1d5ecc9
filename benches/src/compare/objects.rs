//! Registering and enforcing over a store that answers at once, beside the bare sketch and the naive layout.

use super::Group;
use crate::bare::Bare;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::reference::naive::Naive;
use crate::reference::point_deletes;
use crate::{CALL, CLASSES, Ours, Result, Workload, rate};
use sexton::Find;
use sexton_proof::leaf::Openings;
use std::path::Path;

const REGISTER: &str = "register";
const ENFORCE: &str = "enforce";
const MERGING: &str = "bare that merges";
const UNIT: &str = "objects/s";
const SLOTS: usize = 500;

/// Slots of 100,000.
pub(super) const FULL: Group = Group {
    pairings: || {
        let mut pairings = at_fill(100_000, 0.6);
        pairings.extend([
            Pairing::new(
                "register/100000/naive",
                UNIT,
                Of("none", REGISTER),
                Of("naive", REGISTER),
                "find = none beside a due row and a row under a random id, same bytes and fsyncs",
            )
            .to_reach(Target::Ratio(4.0)),
            Pairing::new(
                "enforce/100000/point-deletes",
                UNIT,
                Of("none", ENFORCE),
                Of("naive", ENFORCE),
                "with all evidence, beside scan and point deletes in the naive layout without any",
            )
            .to_reach(Target::Ratio(5.0)),
        ]);
        pairings
    },
    play: |setup, pairings| filled(setup, pairings, 20_000_000, 100_000),
};

/// Slots of a thousand.
pub(super) const THOUSAND: Group = Group {
    pairings: || at_fill(1_000, 0.5),
    play: |setup, pairings| filled(setup, pairings, 2_000_000, 1_000),
};

/// Slots of ten.
pub(super) const TEN: Group = Group {
    pairings: || {
        let mut pairings = at_fill(10, 0.5);
        let what = "the same beside a bare that deletes pages side by side as one range, as the engine does";
        let merging = Of(MERGING, ENFORCE);
        pairings.push(Pairing::new("enforce/10/merging", UNIT, Of("none", ENFORCE), merging, what));
        pairings
    },
    play: |setup, pairings| filled(setup, pairings, 2_000_000, 10),
};

/// Calls over 500 slots of each class.
pub(super) const SPREAD: Group = Group {
    pairings: || {
        let what = "each call spread over 500 slots, beside the bare layout under the same spread";
        let pairing =
            Pairing::new("register/spread-500", UNIT, Of("none", REGISTER), Of("bare", REGISTER), what);
        vec![pairing.to_reach(Target::Ratio(0.7))]
    },
    play: |setup, pairings| {
        let objects = setup.scaled(4_000_000, CALL * CLASSES);
        let work = Workload::new(objects, objects.div_ceil(CALL * CLASSES) * CALL / SLOTS).spread();
        Ok(play(setup, contestants(&work, pairings), pairings))
    },
};

/// Keys that come again.
pub(super) const AGAIN: Group =
    Group { pairings: || vec![again("register/again")], play: |setup, of| play_again(setup, of, 2_000_000) };

/// The same among ten million.
pub(super) const AGAIN_MANY: Group = Group {
    pairings: || vec![again("register/again-10M")],
    play: |setup, of| play_again(setup, of, 10_000_000),
};

fn again(name: &str) -> Pairing {
    let what =
        "find = key, one key of ten coming again, beside the naive layout, which finds and replaces too";
    Pairing::new(name, UNIT, Of("key", REGISTER), Of("naive by key", REGISTER), what)
        .to_reach(Target::Ratio(1.5))
}

fn play_again(setup: &Setup, pairings: &[Pairing], objects: usize) -> Result<Vec<Comparison>> {
    let work = Workload::again(setup.scaled(objects, 8 * CALL * CLASSES), 100_000);
    let key = Contestant::new("key", |folder: &Path| {
        let ours = Ours::open(folder, Find::Key, Openings::Operator)?;
        Ok(Figures::from([(REGISTER, rate(work.len(), || ours.register(&work))?)]))
    });
    let naive = Contestant::new("naive by key", |folder: &Path| {
        let naive = Naive::open(folder)?;
        Ok(Figures::from([(REGISTER, rate(work.len(), || naive.register_by_key(&work))?)]))
    });
    Ok(play(setup, vec![key, naive], pairings))
}

/// What is compared at every fill; enforcing has to reach so much of bare.
fn at_fill(per_slot: usize, enforced: f64) -> Vec<Pairing> {
    let named = |verb: &str, more: &str| format!("{verb}/{per_slot}{more}");
    let same = "one call of 1,000 with an fsync, four classes, beside the bare layout";
    let proven = "plan, intent, commitments, files, synced commit, checkpoint, beside the bare sketch";
    let tickets = "the same with openings = ticket, which keeps none";
    vec![
        Pairing::new(named(REGISTER, ""), UNIT, Of("none", REGISTER), Of("bare", REGISTER), same)
            .to_reach(Target::Ratio(0.7)),
        Pairing::new(named(REGISTER, "/ticket"), UNIT, Of("ticket", REGISTER), Of("bare", REGISTER), tickets),
        Pairing::new(named(ENFORCE, ""), UNIT, Of("none", ENFORCE), Of("bare", ENFORCE), proven)
            .to_reach(Target::Ratio(enforced)),
        Pairing::new(named(ENFORCE, "/ticket"), UNIT, Of("ticket", ENFORCE), Of("bare", ENFORCE), tickets),
        Pairing::new(
            named(ENFORCE, "/key"),
            UNIT,
            Of("key", ENFORCE),
            Of("none", ENFORCE),
            "find = key beside our own find = none",
        )
        .to_reach(Target::Ratio(0.6)),
    ]
}

fn filled(setup: &Setup, pairings: &[Pairing], objects: usize, per_slot: usize) -> Result<Vec<Comparison>> {
    let work = Workload::new(setup.scaled(objects, CALL * CLASSES), per_slot);
    Ok(play(setup, contestants(&work, pairings), pairings))
}

/// Everybody; who is not asked to enforce does not.
fn contestants<'a>(work: &'a Workload, pairings: &[Pairing]) -> Vec<Contestant<'a>> {
    let enforces = pairings.iter().any(|pairing| pairing.ours.1 == ENFORCE);
    let engine = |name, find, openings| {
        Contestant::new(name, move |folder: &Path| ours(folder, work, find, openings, enforces))
    };
    let bare = |name, merges| {
        Contestant::new(name, move |folder: &Path| {
            let bare = Bare::open(folder, false)?;
            let bare = if merges { bare.that_merges() } else { bare };
            let mut figures = Figures::from([(REGISTER, rate(work.len(), || bare.register(work))?)]);
            if enforces {
                figures.insert(ENFORCE, rate(work.len(), || bare.enforce(work))?);
            }
            Ok(figures)
        })
    };
    vec![
        bare("bare", false),
        bare(MERGING, true),
        engine("none", Find::None, Openings::Operator),
        engine("ticket", Find::None, Openings::Ticket),
        engine("key", Find::Key, Openings::Operator),
        Contestant::new("naive", move |folder: &Path| {
            let naive = Naive::open(folder)?;
            let mut figures = Figures::from([(REGISTER, rate(work.len(), || naive.register(work))?)]);
            if enforces {
                figures.insert(ENFORCE, rate(work.len(), || point_deletes::enforce(&naive, work))?);
            }
            Ok(figures)
        }),
    ]
}

/// The engine with classes of one kind.
pub(super) fn ours(
    folder: &Path,
    work: &Workload,
    find: Find,
    openings: Openings,
    enforces: bool,
) -> Result<Figures> {
    let ours = Ours::open(folder, find, openings)?;
    let mut figures = Figures::from([(REGISTER, rate(work.len(), || ours.register(work))?)]);
    if enforces {
        ours.wait_until_due(work);
        figures.insert(ENFORCE, rate(work.len(), || ours.enforce(work))?);
    }
    Ok(figures)
}
