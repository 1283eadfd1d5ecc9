//! Renamed files: their registrations stay theirs under the new names.

use super::scan::Stray;
use super::source::DirectorySource;
use crate::intake::{Rename, Renames, Strays, Taken};
use sexton::Result;
use sexton::store::dir::{DirStore, FileId, Identity, Root};
use std::collections::HashSet;

/// Paths of files whose renames were refused, so that they are no new objects either.
pub(super) type RefusedPaths = HashSet<Vec<u8>>;

/// States the renames of files that were moved. A move is a pair of the present path and the former one.
///
/// A move counts if the registration under the former path is that of the file at the present one.
///
/// # Errors
/// Those of the engine, except for refusals of single renames.
pub(super) fn state(
    source: &DirectorySource,
    root: &Root,
    moves: &[(Vec<u8>, Vec<u8>)],
    taken: &mut Taken,
) -> Result<RefusedPaths> {
    let engine = &source.journal.shared.engine;
    let mut found = Vec::new();
    for (to, from) in moves {
        let from = source.key(from);
        let Some(live) = engine.live(&from)? else { continue };
        let Ok(Some(file)) = root.identify(to, Identity::Exact) else { continue };
        let id = FileId::of(&file.version);
        if id.is_some() && id == FileId::of(&live.version) {
            found.push((source.key(to), from, live));
        }
    }
    let mut renames = Renames::default();
    for (to, from, live) in &found {
        renames.add(Rename { id: live.id, from: from.clone(), to, version: live.version.clone() });
    }
    let names = renames.state(engine, false, taken)?;
    let refused = moves.iter().filter(|(to, _)| names.is_refused(&source.key(to)));
    Ok(refused.map(|(to, _)| to.clone()).collect())
}

/// Finds the registrations of files under names that they no longer have, and states the renames.
///
/// # Errors
/// Those of the engine, except for refusals of single renames.
pub(super) fn of_strays(
    source: &DirectorySource,
    store: &DirStore,
    strays: &[Stray],
) -> Result<(RefusedPaths, Taken)> {
    let mut taken = Taken::default();
    let keys: Vec<Vec<u8>> = strays.iter().map(|stray| source.key(&stray.path)).collect();
    let mut by_id = Strays::default();
    for (key, stray) in keys.iter().zip(strays) {
        by_id.add(key, stray.file);
    }
    let prefix = source.settings.source.prefix().as_bytes();
    let is_gone = |key: &[u8], file: FileId| match key.strip_prefix(prefix) {
        None => false,
        // In doubt the object keeps its name.
        Some(path) => match store.identify(path, Identity::Exact) {
            Ok(there) => there.is_none_or(|there| FileId::of(&there.version) != Some(file)),
            Err(_) => false,
        },
    };
    let renames = by_id.renames(&source.journal.shared.engine, is_gone)?;
    let names = renames.state(&source.journal.shared.engine, false, &mut taken)?;
    let refused = strays.iter().zip(&keys).filter(|(_, key)| names.is_refused(key));
    Ok((refused.map(|(stray, _)| stray.path.clone()).collect(), taken))
}
