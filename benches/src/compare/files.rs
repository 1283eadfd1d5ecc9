//! Enforcing over a directory of small files, beside `find -delete`; and what of it is the proof.

use super::Group;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::reference::files::{count, find_delete, key, make_tree};
use crate::{
    CALL, LEAD_MS, NullStore, Ours, REGISTERED_MS, Result, SLOT_MS, THREADS, WITHIN_MS, rate, share,
};
use sexton::store::Store;
use sexton::store::dir::{DirStore, Identified, Identity};
use sexton::{Durability, Find, Registration};
use sexton_proof::leaf::Openings;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

const ENFORCE: &str = "enforce";
/// Of an exact identity.
const VERSION_BYTES: usize = 42;

/// A directory.
pub(super) const GROUP: Group = Group {
    pairings: || {
        vec![
            Pairing::new(
                "directory/find-delete",
                "files/s",
                Of("directory", ENFORCE),
                Of("find -delete", ENFORCE),
                "quarantine, fsync of every folder and all evidence, beside find without any of it",
            )
            .to_reach(Target::Ratio(0.8)),
            Pairing::new(
                "directory/without-the-disk",
                "files/s",
                Of("directory", ENFORCE),
                Of("null store", ENFORCE),
                "the same objects over a store that answers at once: the ratio is the share of time that proof takes",
            ),
        ]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let files = setup.scaled(1_000_000, 2_000);
        let contestants = vec![
            Contestant::new("directory", move |folder: &Path| {
                let root = folder.join("root");
                make_tree(&root, files)?;
                let store = DirStore::open(&root)?;
                let ours = registered(folder, Some(&store), files)?;
                let figures = enforced(&ours, &store, files)?;
                match count(&root.join("objects"))? {
                    0 => Ok(figures),
                    left => Err(format!("{left} files are left").into()),
                }
            }),
            Contestant::new("null store", move |folder: &Path| {
                enforced(&registered(folder, None, files)?, &NullStore, files)
            }),
            Contestant::new("find -delete", move |folder: &Path| {
                let root = folder.join("root");
                fs::create_dir(&root)?;
                make_tree(&root, files)?;
                Ok(Figures::from([(ENFORCE, find_delete(&root, files)?)]))
            }),
        ];
        Ok(play(setup, contestants, pairings))
    },
};

/// An engine in which all files are registered, due in one slot; where there are none, with versions as they would have.
fn registered(folder: &Path, store: Option<&DirStore>, files: usize) -> Result<Ours> {
    let ours = Ours::open(&folder.join("engine"), Find::None, Openings::Operator)?;
    share(files.div_ceil(CALL), |call| {
        let mut items = Vec::new();
        for number in (call * CALL..files).take(CALL) {
            let key = key(number);
            let file = match store {
                Some(store) => store.identify(key.as_bytes(), Identity::Exact)?.ok_or("a file is missing")?,
                None => Identified { version: vec![7; VERSION_BYTES], size_bytes: 600, modified_ms: 0 },
            };
            items.push((key, file));
        }
        let items: Vec<_> = items.iter().map(|(key, file)| registration(key, file)).collect();
        ours.engine.register(&items, Durability::Synced)?;
        Ok(())
    })?;
    ours.clock.wind_to(REGISTERED_MS + WITHIN_MS);
    Ok(ours)
}

fn registration<'a>(key: &'a str, file: &'a Identified) -> Registration<'a> {
    let start_ms = Some(REGISTERED_MS - SLOT_MS + LEAD_MS);
    let (version, size_bytes) = (&file.version[..], file.size_bytes);
    Registration { version, size_bytes, start_ms, ..Registration::new("a", key.as_bytes()) }
}

fn enforced(ours: &Ours, store: &dyn Store, files: usize) -> Result<Figures> {
    let done = AtomicU64::new(0);
    let rate = rate(files, || {
        share(THREADS, |_| {
            done.fetch_add(ours.engine.enforce(store)?.objects, Ordering::Relaxed);
            Ok(())
        })
    })?;
    match done.into_inner() {
        n if n == files as u64 => Ok(Figures::from([(ENFORCE, rate)])),
        n => Err(format!("{n} files enforced of {files}").into()),
    }
}
