//! What all sources share.

use parking_lot::RwLock;
use sexton::testing::Clock;
use sexton::{Engine, Error, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

/// Names of all sources, and the paths of those that are directories. Each directory compares its root with them.
pub(super) type Peers = Arc<RwLock<Vec<(String, Option<PathBuf>)>>>;

/// Surroundings that all sources share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    /// Data folder of the engine.
    pub(super) data: PathBuf,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peers: Peers,
    /// Limit on watches of each source, beside that of the system.
    pub(super) watches_max: usize,
    /// Called before the events of a source are read.
    #[cfg(test)]
    pub(super) before_events: Option<Arc<dyn Fn() + Send + Sync>>,
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
