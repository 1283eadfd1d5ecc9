//! Limits of the guards that an operator sets for a data folder.

use crate::model::guard_limits::{GuardLimits, StoredLimits};
use crate::model::schema;
use crate::model::text::Attribution;
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::state::core::Core;

/// Stores the limits durably, or removes them. An opening reads them.
///
/// # Errors
/// `Invalid` if a limit is out of its bounds, or a text is empty or too long; `Forked`, `Poisoned`, `Full`, `Io`.
pub(crate) fn store(core: &Core, limits: Option<GuardLimits>, attribution: Attribution) -> Result<()> {
    core.check_writable()?;
    attribution.check()?;
    let planner = core.batches.planner.lock();
    let mut set = WriteSet::default();
    match limits {
        None => set.delete(ColumnFamily::Meta, schema::LIMITS),
        Some(limits) => {
            limits.check()?;
            let record =
                schema::to_json(&StoredLimits { limits, set: core.now(&*planner).now, attribution })?;
            set.put(ColumnFamily::Meta, schema::LIMITS, &record);
        }
    }
    core.writer.write_durably(set)?;
    drop(planner);
    Ok(())
}
