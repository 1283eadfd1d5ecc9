//! Roots of directory stores that were accepted for the engine.

use crate::model::schema::{self, AcceptedRoot, RootSource};
use crate::model::text::{Attribution, Decided};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet, collect};
use crate::platform::store::dir::RootId;
use crate::state::core::Core;
use std::path::Path;

/// Longest path of a root, in bytes: the limit of Linux.
const PATH_BYTES_MAX: usize = 4_096;

/// Records that a root is accepted. It is durable when this returns. A root that was accepted before keeps its record.
///
/// # Errors
/// `Invalid` if the path is empty or too long; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
pub(crate) fn accept(core: &Core, id: RootId, path: &Path) -> Result<()> {
    core.check_writable()?;
    check_path(path)?;
    let planner = core.batches.planner.lock();
    if all(core)?.iter().any(|root| root.id == id) {
        return Ok(());
    }
    let accepted = core.now(&*planner).now;
    write(core, &[AcceptedRoot { id, path: path.to_path_buf(), accepted, source: None, decided: None }])
}

/// Records that a root is accepted and serves a source from now on, instead of the root that served it before. Record and
/// decision are durable when this returns.
///
/// # Errors
/// `Invalid` if the path, the author or the reason is empty or too long, or the root serves another source; `Forked`,
/// `Poisoned`, `Full`, `Io`, `Corrupt`.
pub(crate) fn accept_for(
    core: &Core,
    id: RootId,
    path: &Path,
    source: RootSource,
    attribution: Attribution,
) -> Result<()> {
    core.check_writable()?;
    attribution.check()?;
    check_path(path)?;
    let planner = core.batches.planner.lock();
    let mut changed = Vec::new();
    let at = core.now(&*planner).now;
    let mut accepted = at;
    for root in all(core)? {
        match &root.source {
            Some(served) if root.id == id && *served != source => {
                return Err(Error::invalid(format!(
                    "the root serves the source {:?} with the prefix {:?}, so it cannot serve {:?} with {:?}; keep name and \
                     prefix",
                    served.name(),
                    served.prefix(),
                    source.name(),
                    source.prefix()
                )));
            }
            _ if root.id == id => accepted = root.accepted,
            Some(served) if served.name() == source.name() => {
                changed.push(AcceptedRoot { source: None, ..root });
            }
            _ => {}
        }
    }
    let decided = Some(Decided { at, attribution });
    changed.push(AcceptedRoot { id, path: path.to_path_buf(), accepted, source: Some(source), decided });
    write(core, &changed)
}

fn check_path(path: &Path) -> Result<()> {
    let length = path.as_os_str().len();
    if (1..=PATH_BYTES_MAX).contains(&length) {
        return Ok(());
    }
    Err(Error::invalid(format!("the path of a root has {length} bytes; give one of 1 to {PATH_BYTES_MAX}")))
}

fn write(core: &Core, roots: &[AcceptedRoot]) -> Result<()> {
    let mut set = WriteSet::default();
    for root in roots {
        set.put(ColumnFamily::Meta, &schema::root_key(root.id), &schema::encode_root(root)?);
    }
    core.writer.write_durably(set)
}

/// Returns all accepted roots, the first one first.
///
/// # Errors
/// `Io`, `Corrupt`.
pub(crate) fn all(core: &Core) -> Result<Vec<AcceptedRoot>> {
    let range = schema::prefix_range(schema::ROOTS);
    let mut roots = collect(&*core.kv, ColumnFamily::Meta, &range, schema::decode_root)?;
    roots.sort_by_key(|root| root.accepted);
    Ok(roots)
}
