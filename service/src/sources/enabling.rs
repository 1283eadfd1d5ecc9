//! Enabling of a source: what it would take in, and what would go at once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Limit on the reasons in [`Enabling::first_refused`].
pub(super) const REASONS_MAX: usize = 10;

/// Content of a source that is enabled, and what goes at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Enabling {
    /// Name of the source.
    pub name: String,
    /// `true` if it was enabled before, so that nothing changes.
    pub was_enabled: bool,
    /// Files that it takes in.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files of these that are registered already.
    pub known: u64,
    /// Files that are left out because their objects have ended.
    pub came_back: u64,
    /// Files and folders that cannot be taken in.
    pub refused: u64,
    /// First reasons for which these are refused.
    pub first_refused: Vec<String>,
    /// Objects of the class that the next enforcement deletes.
    pub at_once: u64,
    /// Bytes of the files among them.
    pub at_once_bytes: u64,
    /// Objects of these that the breaker stops: all or none.
    pub stopped_by_breaker: u64,
    /// Objects that the source owes and whose files are not in this root. They wait until they are released.
    pub owed_elsewhere: u64,
    /// `true` if there is more that was not counted: of a bucket, about 100,000 objects are.
    pub has_more: bool,
    /// `true` if nothing was changed.
    pub dry_run: bool,
}

/// Treatment of a root that belongs to another data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherRoot {
    /// It is refused.
    Refuse,
    /// It is taken from the other data folder.
    TakeOver,
}
