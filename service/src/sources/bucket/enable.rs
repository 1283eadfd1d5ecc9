//! Enabling of a bucket: what would go at once, and the acceptance of the bucket.

use super::super::enabling::{Enabling, OtherRoot, REASONS_MAX};
use super::super::shared::invalid;
use super::intake::{Intake, PageError};
use super::source::BucketSource;
use crate::dry_run;
use crate::intake::{Taken, Why};
use sexton::report::Action;
use sexton::store::dir::RootId;
use sexton::testing::{Entropy as _, OsEntropy};
use sexton::{Attribution, Error, ErrorKind, Result, Selector};
use sexton_s3::{Error as S3Error, Position, S3Store};
use std::path::Path;

/// Most objects that are counted. Counting registers them in memory.
const COUNTED_MAX: u64 = 100_000;

/// Looks at what a source would take in, and accepts its bucket unless `is_dry`.
///
/// # Errors
/// `Invalid` if the bucket cannot be enabled; `Io` if it cannot be read; those of the engine.
pub(super) fn enable(
    source: &BucketSource,
    other_root: OtherRoot,
    attribution: &Attribution,
    is_dry: bool,
) -> Result<Enabling> {
    if source.enter().is_ok() {
        let name = source.name().into();
        return Ok(Enabling { name, was_enabled: true, dry_run: is_dry, ..Enabling::default() });
    }
    attribution.check()?;
    let store = source.store().map_err(failure)?;
    let label = store.label().map_err(failure)?;
    let id = check_label(source, label, other_root)?;
    check_keys(source, id.is_some())?;
    let mut enabling = look(source, &store)?;
    enabling.dry_run = is_dry;
    if is_dry {
        return Ok(enabling);
    }
    let id = match id {
        Some(id) => id,
        None => {
            let secret = OsEntropy.secret()?;
            let id =
                RootId::from_bytes(std::array::from_fn(|at| secret.get(at).copied().unwrap_or_default()));
            // A crash after it leaves a label that no data folder knows, which can be taken over.
            store.write_label(id).map_err(failure)?;
            id
        }
    };
    let url = source.settings.bucket.url();
    let engine = &source.journal.shared.engine;
    engine.accept_root_for(id, Path::new(&url), source.settings.source.clone(), attribution.clone())?;
    tracing::info!(source = source.name(), "a source was enabled");
    Ok(enabling)
}

/// Returns the id of the bucket if its label stays; `None` if it gets a new one.
fn check_label(
    source: &BucketSource,
    label: Option<RootId>,
    other_root: OtherRoot,
) -> Result<Option<RootId>> {
    let Some(id) = label else { return Ok(None) };
    let roots = source.journal.shared.engine.roots()?;
    match roots.iter().find(|known| known.id == id) {
        Some(known) => match &known.source {
            Some(served) if *served != source.settings.source => Err(invalid(format!(
                "the bucket serves the source {:?}; the name of a source never changes",
                served.name()
            ))),
            _ => Ok(Some(id)),
        },
        None if other_root == OtherRoot::TakeOver => Ok(None),
        None => Err(invalid(format!(
            "the bucket {} belongs to another data folder, or its acceptance was interrupted; name the right bucket, or take it \
             over, after which the other data folder refuses it",
            source.settings.bucket.url()
        ))),
    }
}

/// Refuses a new name whose keys are taken.
fn check_keys(source: &BucketSource, is_known: bool) -> Result<()> {
    let engine = &source.journal.shared.engine;
    let prefix = source.journal.prefix();
    let was_bound =
        engine.roots()?.iter().filter_map(|root| root.source.as_ref()).any(|of| of.name() == source.name());
    if was_bound || is_known {
        return Ok(());
    }
    match engine.count_live(&Selector::Prefix(prefix.as_bytes().to_vec()))? {
        0 => Ok(()),
        taken => Err(invalid(format!(
            "{taken} objects have keys that begin with {prefix:?} and belong to no source; give the source another name"
        ))),
    }
}

/// Counts what the source would take in, by a dry run.
fn look(source: &BucketSource, store: &S3Store) -> Result<Enabling> {
    let engine = &source.journal.shared.engine;
    let classes = source.classes().map_err(invalid)?;
    let dry = dry_run::of(engine)?;
    let intake = Intake { source, store, classes: &classes, dry: Some(&dry) };
    let mut enabling = Enabling { name: source.name().into(), ..Enabling::default() };
    let mut all = Taken::default();
    let mut position = Some(Position::start(&source.settings.bucket.prefix));
    while let Some(at) = &position {
        if enabling.files >= COUNTED_MAX {
            enabling.has_more = true;
            break;
        }
        let (page, taken) = intake.take(at).map_err(|error| match error {
            PageError::Bucket(error) => failure(error),
            PageError::Engine(error) => error,
        })?;
        enabling.files += page.objects.len() as u64;
        enabling.bytes += page.objects.iter().filter_map(|object| object.size).sum::<u64>();
        all.known += taken.known;
        all.refused.extend(taken.refused);
        position = page.next;
    }
    enabling.known = all.known;
    for refused in all.refused {
        enabling.refused += 1;
        if let (Why::Said(why), true) = (refused.why, enabling.first_refused.len() < REASONS_MAX) {
            enabling.first_refused.push(why);
        }
    }
    let (mut live, limits) = (0, engine.limits().breaker);
    for from in [&**engine, &dry] {
        for object in from.plan(from.now())? {
            let object = object?;
            if classes.contains_key(&object.class) && object.action == Action::Delete {
                enabling.at_once += 1;
            }
        }
        let counts = from.status()?.classes;
        live += counts
            .iter()
            .filter(|(name, _)| classes.contains_key(*name))
            .map(|(_, class)| class.live)
            .sum::<u64>();
    }
    if enabling.at_once > limits.passing(live) {
        enabling.stopped_by_breaker = enabling.at_once;
    }
    let owed = engine.count_live(&Selector::Prefix(source.journal.prefix().as_bytes().to_vec()))?;
    enabling.owed_elsewhere = if enabling.has_more { 0 } else { owed.saturating_sub(all.known) };
    Ok(enabling)
}

#[expect(clippy::needless_pass_by_value, reason = "it is called with the errors of results")]
fn failure(error: S3Error) -> Error {
    let kind = match &error {
        S3Error::Invalid(_) | S3Error::Unsafe(_) => ErrorKind::Invalid,
        _ => ErrorKind::Io,
    };
    Error::new(kind, error.to_string())
}
