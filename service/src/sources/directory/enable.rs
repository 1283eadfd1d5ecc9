//! Enabling of a source: what would go at once, and the acceptance of its root.

use super::super::enabling::{Enabling, OtherRoot, REASONS_MAX};
use super::super::shared::invalid;
use super::source::DirectorySource;
use crate::dry_run;
use crate::intake::{Candidate, Names, OBJECTS_MAX, Taken, Why};
use sexton::store::dir::{DirError, DirStore, Found, Identity, Root};
use sexton::{Attribution, Error, ErrorKind, Result, Selector};
use std::collections::HashMap;

/// Label of a root, as the data folder knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Labelled {
    /// It has none.
    New,
    /// The data folder accepted it before.
    Known,
    /// It is damaged, or was copied from another root.
    Copied,
    /// It is one of another data folder.
    Elsewhere,
}

/// Looks at what a source would take in, and accepts its root unless `is_dry`.
///
/// # Errors
/// `Invalid` if the root cannot be enabled; `Io` if it cannot be read; those of the engine.
pub(super) fn enable(
    source: &DirectorySource,
    other_root: OtherRoot,
    attribution: &Attribution,
    is_dry: bool,
) -> Result<Enabling> {
    if source.enter().is_ok() {
        let name = source.name().into();
        return Ok(Enabling { name, was_enabled: true, dry_run: is_dry, ..Enabling::default() });
    }
    attribution.check()?;
    let path = &source.settings.directory.path;
    let root = Root::open(path).map_err(failure)?;
    source.check_apart(&root)?;
    let labelled = labelled(source, &root)?;
    if labelled == Labelled::Elsewhere && other_root == OtherRoot::Refuse {
        return Err(invalid(format!(
            "the folder {} belongs to another data folder, or its acceptance was interrupted; mount the right disk, or take \
             it over, after which the other data folder refuses it",
            path.display()
        )));
    }
    check_keys(source, &root)?;
    let mut enabling = look(source, &root)?;
    enabling.dry_run = is_dry;
    if is_dry {
        return Ok(enabling);
    }
    let id = root.id();
    drop(root);
    let store = match labelled {
        Labelled::New => DirStore::open(path),
        Labelled::Known => DirStore::reopen(path),
        Labelled::Copied | Labelled::Elsewhere => DirStore::adopt(path),
    }
    .map_err(failure)?;
    if labelled == Labelled::Known && id != Some(store.id()) {
        return Err(invalid(format!(
            "{} was replaced by another folder meanwhile; try again",
            path.display()
        )));
    }
    let of = source.settings.source.clone();
    source.journal.shared.engine.accept_root_for(store.id(), path, of, attribution.clone())?;
    tracing::info!(source = source.name(), "a source was enabled");
    Ok(enabling)
}

fn labelled(source: &DirectorySource, root: &Root) -> Result<Labelled> {
    let roots = source.journal.shared.engine.roots()?;
    Ok(match root.id() {
        None if root.is_labelled() => Labelled::Copied,
        None => Labelled::New,
        Some(id) => match roots.iter().find(|known| known.id == id) {
            None => Labelled::Elsewhere,
            Some(known) => match &known.source {
                Some(served) if *served != source.settings.source => {
                    return Err(invalid(format!(
                        "the root serves the source {:?} with the prefix {:?}; name and prefix of a source never change",
                        served.name(),
                        served.prefix()
                    )));
                }
                _ => Labelled::Known,
            },
        },
    })
}

/// Refuses a new name whose keys are taken, and a root whose files are registered by their paths alone.
fn check_keys(source: &DirectorySource, root: &Root) -> Result<()> {
    let engine = &source.journal.shared.engine;
    let prefix = source.settings.source.prefix();
    let roots = engine.roots()?;
    let was_bound = roots.iter().filter_map(|root| root.source.as_ref()).any(|of| of.name() == source.name());
    if prefix.is_empty() || was_bound {
        return Ok(());
    }
    let is_known = root.id().is_some_and(|id| roots.iter().any(|known| known.id == id));
    let taken = engine.count_live(&Selector::Prefix(prefix.as_bytes().to_vec()))?;
    if taken > 0 && !is_known {
        return Err(invalid(format!(
            "{taken} objects have keys that begin with {prefix:?} and belong to no source; give the source another name"
        )));
    }
    if !is_known {
        return Ok(());
    }
    let (mut by_path, mut error) = (0_u64, None);
    let visit = |found: Found<'_>| {
        if let Found::File(path) = found {
            match engine.live(path) {
                Ok(live) => by_path += u64::from(live.is_some_and(|live| root.is_of(&live.version))),
                Err(why) => error = Some(why),
            }
        }
    };
    root.walk(&source.settings.filter, visit).map_err(failure)?;
    match (error, by_path) {
        (Some(error), _) => Err(error),
        (None, 0) => Ok(()),
        (None, files) => Err(invalid(format!(
            "{files} files of the root are registered by their paths alone; adopt them with prefix = \"\", or release them"
        ))),
    }
}

/// Counts what the source would take in, by a dry run.
fn look(source: &DirectorySource, root: &Root) -> Result<Enabling> {
    let engine = &source.journal.shared.engine;
    let (class, start) = source.class()?;
    let dry = dry_run::of(engine)?;
    let intake = source.intake(&class, start, Some(&dry));
    let mut enabling = Enabling { name: source.name().into(), ..Enabling::default() };
    let (mut taken, mut sizes) = (Taken::default(), HashMap::new());
    let mut paths = Vec::new();
    root.walk(&source.settings.filter, |found| match found {
        Found::File(path) => paths.push(path.to_vec()),
        Found::Skipped { path, why, .. } => taken.refuse(path, why),
        _ => {}
    })
    .map_err(failure)?;
    for chunk in paths.chunks(OBJECTS_MAX) {
        let mut candidates = Vec::with_capacity(chunk.len());
        for path in chunk {
            if let Some(why) = source.foreign(path) {
                taken.refuse(path, why);
                continue;
            }
            match root.identify(path, Identity::Exact) {
                Ok(Some(file)) => {
                    enabling.files += 1;
                    enabling.bytes += file.size;
                    let key = source.key(path);
                    sizes.insert(key.clone(), file.size);
                    candidates.push(Candidate { key, file, grows: false });
                }
                Ok(None) => {} // The file was deleted in the meantime.
                Err(why) => taken.refuse(path, why.to_string()),
            }
        }
        intake.take(&candidates, &Names::default(), &mut taken)?;
    }
    let at_once = intake.at_once(|key| enabling.at_once_bytes += sizes.get(key).copied().unwrap_or(0))?;
    enabling.known = taken.known + taken.changed;
    (enabling.at_once, enabling.stopped_by_breaker) = (at_once.objects, at_once.stopped());
    for refused in taken.refused {
        match refused.why {
            Why::CameBack(_) => enabling.came_back += 1,
            Why::Said(why) => {
                enabling.refused += 1;
                if enabling.first_refused.len() < REASONS_MAX {
                    enabling.first_refused.push(why);
                }
            }
        }
    }
    let prefix = source.settings.source.prefix();
    if !prefix.is_empty() {
        let owed = engine.count_live(&Selector::Prefix(prefix.as_bytes().to_vec()))?;
        enabling.owed_elsewhere = owed.saturating_sub(taken.known + taken.changed + taken.replaced);
    }
    Ok(enabling)
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with the errors of results")]
fn failure(error: DirError) -> Error {
    let kind = match &error {
        DirError::Invalid(_) => ErrorKind::Invalid,
        DirError::Locked(_) => ErrorKind::Busy,
        _ => ErrorKind::Io,
    };
    Error::new(kind, error.to_string())
}
