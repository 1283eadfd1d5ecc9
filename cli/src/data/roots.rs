//! Folders of objects, as roots of a data folder.
//!
//! A root and its data folder know each other. The root has a label with a random id, and the data folder has the ids of the
//! roots that were accepted for it. So the mount point of a missing disk, and the root of another data folder, are refused.

use super::host::Host;
use super::open::spinner;
use crate::output::Failure;
use sexton::Engine;
use sexton::decision::AcceptedRoot;
use sexton::store::dir::{DirStore, Filter, Found, Kind, Obstacle, Root};
use sexton_service::api::ListSources;
use std::collections::BTreeMap;
use std::path::{Path, absolute};

/// Treatment of a folder that is no root of the data folder yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NewRoot {
    /// Only the first root of a data folder without objects is accepted.
    FirstOnly,
    /// Any folder is accepted, and taken from another data folder if it has one.
    Accept,
}

/// Root in which files are registered.
pub(super) struct Registering {
    pub(super) root: Root,
    /// `true` if the root was accepted just now, or would be.
    pub(super) is_new: bool,
}

/// Content of a root.
#[derive(Default)]
pub(super) struct Listing {
    /// Keys of all files that the filter takes, sorted.
    pub(super) keys: Vec<Vec<u8>>,
    /// Folders that were left out, each with the reason.
    pub(super) skipped: Vec<(Vec<u8>, String)>,
    /// Number of these folders that lie on another file system.
    pub(super) file_systems: u64,
    /// Numbers of other entries, by kind.
    pub(super) others: BTreeMap<Kind, u64>,
}

/// Root whose files are only looked at, and the beginning of the keys of its objects.
pub(super) struct Seen {
    pub(super) root: Root,
    pub(super) prefix: String,
}

/// Opens a root of the data folder, or of the service that has it open, to look at its files.
pub(super) fn seen(host: &Host, data: &Path, dir: &Path) -> Result<Seen, Failure> {
    if let Some(engine) = host.engine() {
        let (root, roots) = (apart(data, dir)?, engine.roots()?);
        let accepted = accepted(&root, &roots).ok_or_else(|| unknown(&root, &roots, dir))?;
        let prefix = accepted.source.as_ref().map_or(String::new(), |source| source.prefix().to_owned());
        return Ok(Seen { root, prefix });
    }
    let root = Root::open(dir).map_err(failure)?;
    let listed = host.call(ListSources {})?;
    let sources = &listed.answer().sources;
    let is_here = |path: &str| Path::new(path).canonicalize().ok() == dir.canonicalize().ok();
    match sources.iter().find(|source| is_here(&source.path)) {
        Some(source) => Ok(Seen { root, prefix: source.prefix.clone() }),
        None => {
            let paths: Vec<&str> = sources.iter().map(|source| &*source.path).collect();
            Err(Failure::new(format!(
                "{} is no directory of the service (it has {}); name one of its directories, or add this one to its \
                 configuration",
                dir.display(),
                if paths.is_empty() { "none".to_owned() } else { paths.join(", ") }
            )))
        }
    }
}

/// Opens a root of the data folder for work on objects whose keys are paths below it.
pub(super) fn known(engine: &Engine, data: &Path, dir: &Path) -> Result<Root, Failure> {
    let (root, roots) = (apart(data, dir)?, engine.roots()?);
    let accepted = accepted(&root, &roots).ok_or_else(|| unknown(&root, &roots, dir))?;
    check_keys(accepted, dir)?;
    Ok(root)
}

/// Refuses a root of a source whose keys are not paths alone. Under these paths its files would seem to be gone.
fn check_keys(accepted: &AcceptedRoot, dir: &Path) -> Result<(), Failure> {
    match &accepted.source {
        Some(source) if !source.prefix().is_empty() => Err(Failure::new(format!(
            "{} is the directory {:?} of a service, and the keys of its objects begin with {:?}: only the service takes its \
             files in and deletes them; start it with `sexton serve`",
            dir.display(),
            source.name(),
            source.prefix()
        ))),
        _ => Ok(()),
    }
}

/// Opens the store on a root of the data folder, which puts back the files in its quarantine.
pub(super) fn store(engine: &Engine, data: &Path, dir: &Path) -> Result<DirStore, Failure> {
    let id = known(engine, data, dir)?.id();
    let store = DirStore::reopen(dir).map_err(failure)?;
    if id == Some(store.id()) {
        return Ok(store);
    }
    Err(Failure::new(format!("{} was replaced by another folder meanwhile: try again", dir.display())))
}

/// Opens a root of the data folder for reading, after the files in its quarantine were put back.
pub(super) fn restored(engine: &Engine, data: &Path, dir: &Path) -> Result<Root, Failure> {
    store(engine, data, dir)?.root().map_err(failure)
}

/// Opens a root to register its files, after those in its quarantine were put back. A dry run only reads.
pub(super) fn for_registering(
    engine: &Engine,
    data: &Path,
    dir: &Path,
    new_root: NewRoot,
    is_dry: bool,
) -> Result<Registering, Failure> {
    let (root, roots) = (apart(data, dir)?, engine.roots()?);
    if let Some(accepted) = accepted(&root, &roots) {
        check_keys(accepted, dir)?;
        let root = if is_dry { root } else { restored(engine, data, dir)? };
        return Ok(Registering { root, is_new: false });
    }
    // Objects of the host, or of an earlier release, may be in another folder than this.
    let is_first = roots.is_empty() && !root.is_labelled() && !has_objects(engine)?;
    if new_root == NewRoot::FirstOnly && !is_first {
        return Err(unknown(&root, &roots, dir));
    }
    if is_dry {
        return Ok(Registering { root, is_new: true });
    }
    // A crash before the record leaves a root that no data folder knows, and it needs a decision again.
    let store =
        if root.is_labelled() { DirStore::adopt(dir) } else { DirStore::open(dir) }.map_err(failure)?;
    let path = absolute(dir).unwrap_or_else(|_| dir.to_owned());
    engine.accept_root(store.id(), &path)?;
    Ok(Registering { root: store.root().map_err(failure)?, is_new: true })
}

/// Lists the files of a root that the filter takes, and counts what else it has.
pub(super) fn list(root: &Root, filter: &Filter) -> Result<Listing, Failure> {
    let bar = spinner("reading the folder");
    let mut listing = Listing::default();
    root.walk(filter, |found| match found {
        Found::File(path) => listing.keys.push(path.to_vec()),
        Found::Skipped { path, obstacle, why } => {
            listing.skipped.push((path.to_vec(), why.into()));
            listing.file_systems += u64::from(obstacle == Obstacle::FileSystem);
        }
        Found::Other { kind, .. } => *listing.others.entry(kind).or_default() += 1,
        // A later version of the store may find more.
        _ => {}
    })
    .map_err(failure)?;
    listing.keys.sort_unstable();
    listing.skipped.sort_unstable();
    bar.finish_and_clear();
    Ok(listing)
}

/// Opens a folder of objects that does not overlap the data folder.
fn apart(data: &Path, dir: &Path) -> Result<Root, Failure> {
    let root = Root::open(dir).map_err(failure)?;
    root.check_apart(data).map_err(failure)?;
    Ok(root)
}

/// Returns the record of a root that was accepted.
fn accepted<'r>(root: &Root, roots: &'r [AcceptedRoot]) -> Option<&'r AcceptedRoot> {
    let id = root.id()?;
    roots.iter().find(|known| known.id == id)
}

/// Returns `true` if an object is live.
pub(super) fn has_objects(engine: &Engine) -> Result<bool, Failure> {
    Ok(engine.status()?.classes.values().any(|class| class.live > 0))
}

/// Returns why a folder is refused, and what to do.
fn unknown(root: &Root, roots: &[AcceptedRoot], dir: &Path) -> Failure {
    let paths: Vec<String> = roots.iter().map(|root| root.path.display().to_string()).collect();
    let known = if paths.is_empty() {
        "the data folder has no root yet".into()
    } else {
        format!("the data folder knows {}", paths.join(", "))
    };
    let why = match (root.is_labelled(), root.id().is_some(), paths.is_empty()) {
        (false, _, true) => {
            "it was never accepted: run `sexton reconcile`, with --new-root if there are objects"
        }
        (false, _, false) => {
            "it has no label of a root: mount the disk if it is a mount point; accept a new folder with \
             `sexton reconcile --new-root`"
        }
        (true, false, _) => {
            "its label was copied from another root, or is damaged: name the root itself, or accept this folder with \
             `sexton reconcile --new-root`"
        }
        (true, true, _) => {
            "it belongs to another data folder, or its acceptance was interrupted: name the right folder, or take this \
             one over with `sexton reconcile --new-root`, after which the other data folder refuses it"
        }
    };
    Failure::new(format!("{} is no root of this data folder ({known}); {why}", dir.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with the errors of results")]
fn failure(error: sexton::store::dir::DirError) -> Failure {
    Failure::new(error.to_string())
}
