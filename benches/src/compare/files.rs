//! Enforcing over a directory of small files, beside `find -delete` and beside a store that answers at once.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::reference::files::{count, find_delete, key, make_tree};
use crate::statistics::Target;
use crate::{CALL, LEAD, NullStore, Ours, REGISTERED, Result, SLOT, WITHIN, in_parallel, rate};
use sexton::class::Find;
use sexton::store::Store;
use sexton::store::dir::{DirStore, Identity};
use sexton::{Durability, Registration};
use sexton_proof::leaf::Openings;
use std::fs;
use std::path::Path;

const ENFORCE: &str = "enforce";
/// Bytes of a version that the directory store gives as an exact identity.
const VERSION_BYTES: usize = 50;

/// Comparisons of the directory store.
pub(super) const GROUP: Group = Group {
    comparisons: || {
        vec![
            Comparison::new(
                "directory/find-delete",
                "files/s",
                FigureOf("directory", ENFORCE),
                FigureOf("find -delete", ENFORCE),
                "with quarantine, fsync of each folder and all evidence, beside find, which has none of it",
            )
            .with_target(Target::Ratio(0.8)),
            Comparison::new(
                "directory/without-the-disk",
                "files/s",
                FigureOf("directory", ENFORCE),
                FigureOf("null store", ENFORCE),
                "beside a store that answers at once: the ratio is the share of time that planning and proof take",
            ),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let files = setup.scaled(1_000_000, 2_000);
        let contestants = vec![
            Contestant::new("directory", move |folder: &Path| {
                let root = folder.join("root");
                make_tree(&root, files)?;
                let store = DirStore::open(&root)?;
                let ours = registered(folder, Some(&store), files, Find::None)?;
                advance_until_due(&ours);
                let figures = enforced(&ours, &store, files)?;
                match count(&root.join("objects"))? {
                    0 => Ok(figures),
                    left => Err(format!("{left} files are left").into()),
                }
            }),
            Contestant::new("null store", move |folder: &Path| {
                let ours = registered(folder, None, files, Find::None)?;
                advance_until_due(&ours);
                enforced(&ours, &NullStore, files)
            }),
            Contestant::new("find -delete", move |folder: &Path| {
                let root = folder.join("root");
                fs::create_dir(&root)?;
                make_tree(&root, files)?;
                Ok(Figures::from([(ENFORCE, find_delete(&root, files)?)]))
            }),
        ];
        Ok(run_contest(setup, contestants, comparisons))
    },
};

/// Registers all files in a new engine, due in one slot. Without a store the versions have the same size, but no file.
pub(super) fn registered(folder: &Path, store: Option<&DirStore>, files: usize, find: Find) -> Result<Ours> {
    let ours = Ours::open(&folder.join("engine"), find, Openings::Operator)?;
    in_parallel(files.div_ceil(CALL), |call| {
        let mut identified = Vec::new();
        for number in (call * CALL..files).take(CALL) {
            let key = key(number);
            let (version, size) = match store {
                Some(store) => {
                    let file = store.identify(key.as_bytes(), Identity::Exact)?.ok_or("a file is missing")?;
                    (file.version, file.size)
                }
                None => (vec![7; VERSION_BYTES], 600),
            };
            identified.push((key, version, size));
        }
        let registrations: Vec<_> =
            identified.iter().map(|(key, version, size)| registration(key, version, *size)).collect();
        ours.engine.register(&registrations, Durability::Synced)?;
        Ok(())
    })?;
    Ok(ours)
}

/// Advances the clock until every file is due.
pub(super) fn advance_until_due(ours: &Ours) {
    ours.clock.advance_to(REGISTERED.saturating_add(WITHIN));
}

fn registration<'a>(key: &'a str, version: &'a [u8], size: u64) -> Registration<'a> {
    let start = REGISTERED.saturating_sub(SLOT).saturating_add(LEAD);
    Registration::new("a", key.as_bytes()).version(version).size(size).start(start)
}

fn enforced(ours: &Ours, store: &dyn Store, files: usize) -> Result<Figures> {
    Ok(Figures::from([(ENFORCE, rate(files, || ours.enforce_with(store, files))?)]))
}
