//! Paths of the evidence files below the data folder.

use sexton_proof::id::batch_path;

/// Paths of the files of one batch, relative to the data folder.
pub(crate) struct BatchPaths {
    pub(crate) tombstones: String,
    pub(crate) carries: String,
    pub(crate) results: String,
    pub(crate) openings: String,
}

impl BatchPaths {
    pub(crate) fn of(batch: u64) -> Self {
        let path = batch_path(batch);
        BatchPaths {
            tombstones: format!("tombstones/{path}.tomb"),
            carries: format!("tombstones/{path}.carry"),
            results: format!("tombstones/{path}.results"),
            openings: format!("openings/{path}.open"),
        }
    }
}
