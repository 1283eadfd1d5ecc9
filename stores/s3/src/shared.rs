//! State that the tasks of a store share.

use crate::call::Caller;
use crate::error::Error;
use crate::probe::Conditions;
use crate::state::Versioning;
use sexton::testing::{Entropy as _, OsEntropy};
use std::collections::HashMap;
use tokio::sync::Mutex;

/// State that the tasks of a store share.
pub(crate) struct Shared {
    pub(crate) caller: Caller,
    pub(crate) confirm: bool,
    pub(crate) unsafe_unversioned: bool,
    pub(crate) mirror_holds: bool,
    /// Objects of a page of a listing.
    pub(crate) page_objects: i32,
    /// Conditions that the server checks, by versioning. The lock is held during a probe, so that one suffices.
    conditions: Mutex<HashMap<Versioning, Conditions>>,
}

impl Shared {
    /// Returns the state of a store that has asked for nothing yet.
    pub(crate) fn new(caller: Caller, options: &crate::options::Options) -> Self {
        Self {
            caller,
            confirm: options.confirm,
            unsafe_unversioned: options.unsafe_unversioned,
            mirror_holds: options.mirror_holds,
            page_objects: options.page_objects.into(),
            conditions: Mutex::default(),
        }
    }

    /// Returns the conditions that the server checks in a bucket with this versioning. The first call probes them.
    ///
    /// # Errors
    /// The throwaway object cannot be stored, seen or removed, or the operating system has no randomness for its key.
    pub(crate) async fn conditions(&self, versioning: Versioning) -> Result<Conditions, Error> {
        let mut known = self.conditions.lock().await;
        if let Some(conditions) = known.get(&versioning) {
            return Ok(*conditions);
        }
        let secret = OsEntropy.secret().map_err(|error| Error::Failed(error.to_string().into()))?;
        let tag: String = hex::encode(&secret[..16]);
        let conditions = self.caller.probe(versioning, &tag).await?;
        tracing::info!(
            ?versioning,
            ?conditions,
            "probed which conditions of a deletion the server of the bucket checks"
        );
        known.insert(versioning, conditions);
        Ok(conditions)
    }

    /// Returns the conditions that were probed for this versioning, if they were.
    pub(crate) async fn known_conditions(&self, versioning: Versioning) -> Option<Conditions> {
        self.conditions.lock().await.get(&versioning).copied()
    }
}
