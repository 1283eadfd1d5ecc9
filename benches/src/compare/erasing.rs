//! Cost of erasures: objects that requests erase by key, beside the same objects that end in their time.

use super::Group;
use super::files::{advance_until_due, registered};
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::reference::files::{key, make_tree};
use crate::statistics::Target;
use crate::{NullStore, Ours, Result, timed};
use sexton::class::Find;
use sexton::decision::Progress;
use sexton::store::Store;
use sexton::store::dir::DirStore;
use sexton::{Attribution, Erasure, Opener, RegistrationId, Selector};
use std::path::Path;

const ERASED: &str = "erased";
const DUE: &str = "due";
const ERASED_AT_ONCE: &str = "erased, null store";
const DUE_AT_ONCE: &str = "due, null store";
const ENDS: &str = "ends";
const CARRIES: &str = "carries";
const RECEIPTS: &str = "receipts";
/// Objects that are erased, and that end in their time.
const OBJECTS: usize = 100_000;
/// Number of erasures, with equally many keys each.
const REQUESTS: usize = 10;
/// Number of receipts that are made.
const RECEIPTS_MADE: usize = 10_000;

/// Comparisons of erasures by key with ordinary ends, in CPU time.
pub(super) const GROUP: Group = Group {
    comparisons: || {
        vec![
            Comparison::new(
                "erase/keys",
                "s",
                FigureOf(ERASED, ENDS),
                FigureOf(DUE, ENDS),
                "CPU time of ten erasures by key, enforcing, status and requests, beside the same files due",
            )
            .with_target(Target::RatioAtMost(2.0)),
            Comparison::new(
                "erase/keys/without-the-disk",
                "s",
                FigureOf(ERASED_AT_ONCE, ENDS),
                FigureOf(DUE_AT_ONCE, ENDS),
                "the same over a store that answers at once",
            ),
            Comparison::new(
                "erase/keys/carries",
                "s",
                FigureOf(ERASED_AT_ONCE, CARRIES),
                FigureOf(DUE_AT_ONCE, ENDS),
                "CPU time of settling the pages that erased objects left, beside the same objects due",
            ),
            Comparison::new(
                "erase/receipts",
                "s",
                FigureOf(ERASED_AT_ONCE, RECEIPTS),
                FigureOf(DUE_AT_ONCE, RECEIPTS),
                "CPU time of listing the objects and making 10,000 receipts, beside 10,000 of due objects",
            )
            .with_target(Target::RatioAtMost(2.0)),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let objects = setup.scaled(OBJECTS, 2_000);
        let over_files = |measure: fn(&Ours, &dyn Store, usize) -> Result<Figures>| {
            move |folder: &Path| {
                let root = folder.join("root");
                make_tree(&root, objects)?;
                let store = DirStore::open(&root)?;
                measure(&registered(folder, Some(&store), objects, Find::Key)?, &store, objects)
            }
        };
        let at_once = |measure: fn(&Ours, &dyn Store, usize) -> Result<Figures>| {
            move |folder: &Path| measure(&registered(folder, None, objects, Find::Key)?, &NullStore, objects)
        };
        let contestants = vec![
            Contestant::new(ERASED, over_files(erase)),
            Contestant::new(DUE, over_files(end_in_time)),
            Contestant::new(ERASED_AT_ONCE, at_once(erase)),
            Contestant::new(DUE_AT_ONCE, at_once(end_in_time)),
        ];
        Ok(run_contest(setup, contestants, comparisons))
    },
};

fn erase(ours: &Ours, store: &dyn Store, objects: usize) -> Result<Figures> {
    let received = ours.engine.now();
    let ends = timed(|| {
        for request in 0..REQUESTS {
            let keys = Selector::keys((request..objects).step_by(REQUESTS).map(key));
            ours.engine.erase(Erasure::new(keys, received, Attribution::new("bench", "measured")))?;
        }
        ours.enforce_with(store, objects)?;
        look_at(ours)
    })?;
    let receipts = timed(|| {
        let mut left = RECEIPTS_MADE;
        for request in ours.engine.requests()? {
            for object in ours.engine.erasure_objects(request.number)? {
                if left > 0 && matches!(object.progress, Progress::Ended { .. }) {
                    ours.engine.receipt(object.id, Opener::Key(&object.key))?;
                    left -= 1;
                }
            }
        }
        Ok(())
    })?;
    advance_until_due(ours);
    let carries = timed(|| ours.enforce_with(store, 0))?;
    Ok(Figures::from([
        (ENDS, ends.cpu.as_secs_f64()),
        (CARRIES, carries.cpu.as_secs_f64()),
        (RECEIPTS, receipts.cpu.as_secs_f64()),
    ]))
}

fn end_in_time(ours: &Ours, store: &dyn Store, objects: usize) -> Result<Figures> {
    let keys: Vec<String> = (0..objects).take(RECEIPTS_MADE).map(key).collect();
    let id_of = |key: &String| -> Result<RegistrationId> {
        ours.engine.find(key.as_bytes())?.ok_or_else(|| "an object is not registered".into())
    };
    let ids = keys.iter().map(id_of).collect::<Result<Vec<_>>>()?;
    advance_until_due(ours);
    let ends = timed(|| {
        ours.enforce_with(store, objects)?;
        look_at(ours)
    })?;
    let receipts = timed(|| {
        for (id, key) in ids.iter().zip(&keys) {
            ours.engine.receipt(*id, Opener::Key(key.as_bytes()))?;
        }
        Ok(())
    })?;
    Ok(Figures::from([(ENDS, ends.cpu.as_secs_f64()), (RECEIPTS, receipts.cpu.as_secs_f64())]))
}

/// Reads what an operator looks at after enforcing.
fn look_at(ours: &Ours) -> Result<()> {
    let status = ours.engine.status()?;
    ours.engine.needs(&status)?;
    ours.engine.requests()?;
    Ok(())
}
