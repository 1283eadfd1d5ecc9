//! Roots of directory stores that were accepted for the engine.

use crate::model::schema::{self, AcceptedRoot};
use crate::platform::error::{Error, Result};
use crate::platform::kv::{ColumnFamily, WriteSet, collect};
use crate::platform::store::dir::RootId;
use crate::state::core::Core;
use sexton_proof::time::Timestamp;
use std::path::Path;

/// Longest path of a root, in bytes: the limit of Linux.
const PATH_BYTES_MAX: usize = 4_096;

/// Records that a root is accepted. It is durable when this returns. A root that was accepted before keeps its record.
///
/// # Errors
/// `Invalid` if the path is empty or too long; `Forked`, `Poisoned`, `Full`, `Io`, `Corrupt`.
pub(crate) fn accept(core: &Core, id: RootId, path: &Path, now: Timestamp) -> Result<()> {
    core.check_writable()?;
    let length = path.as_os_str().len();
    if !(1..=PATH_BYTES_MAX).contains(&length) {
        return Err(Error::invalid(format!(
            "the path of a root has {length} bytes; give one of 1 to {PATH_BYTES_MAX}"
        )));
    }
    if all(core)?.iter().any(|root| root.id == id) {
        return Ok(());
    }
    let root = AcceptedRoot { id, path: path.to_path_buf(), accepted: now };
    let mut set = WriteSet::default();
    set.put(ColumnFamily::Meta, &schema::root_key(id), &schema::encode_root(&root));
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
