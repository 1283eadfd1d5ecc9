//! Place of a source: what directories and buckets have in common.

use super::enabling::{Enabling, OtherRoot};
use super::journal::{Journal, Trouble};
use sexton::store::{Answer, Store, StoredObject};
use sexton::{Attribution, Result};
use std::sync::Arc;

/// Place whose objects the service registers and deletes.
pub(super) trait Place: Send + Sync {
    fn journal(&self) -> &Journal;

    /// Finds its objects and takes them in, until it is stopped. It has a thread of its own for that.
    fn run(&self);

    /// Returns the store of its objects, whose keys have no prefix there, if the source is enabled and its root is there.
    ///
    /// # Errors
    /// The reason for which the source does not work.
    fn open(&self) -> std::result::Result<Arc<dyn Store>, Trouble>;

    /// Puts the place in order after the store gave these answers.
    fn tidy(&self, objects: &[StoredObject<'_>], answers: &[Answer]);

    /// Counts what it would take in and what would go at once, and accepts its root unless `is_dry`.
    ///
    /// # Errors
    /// `Invalid` if the root cannot be enabled; `Io` if it cannot be read; those of the engine.
    fn enable(&self, other_root: OtherRoot, attribution: &Attribution, is_dry: bool) -> Result<Enabling>;
}
