//! DirectorySource: the settings of a directory, its store, and what its threads share.

use super::super::journal::{About, Journal, Trouble};
use super::super::report::SourceState;
use super::super::shared::Shared;
use super::settings::{Settings, check_apart, other_root};
use crate::intake::{self, Intake, StartBy};
use parking_lot::Mutex;
use sexton::class::Definition;
use sexton::store::dir::{DirStore, Root};
use sexton::{Engine, Error, ErrorKind, Result};
use std::sync::Arc;

/// Directory at work.
pub(in super::super) struct DirectorySource {
    pub(super) settings: Settings,
    pub(super) journal: Journal,
    /// Store on the root, once it was enabled and there. Lock order: before that of the journal.
    store: Mutex<Option<Arc<DirStore>>>,
}

impl DirectorySource {
    /// Creates a source.
    ///
    /// # Errors
    /// `Io` if the system gives no descriptor.
    pub(in super::super) fn new(settings: Settings, shared: Shared) -> Result<Self> {
        let directory = &settings.directory;
        let about = About {
            source: settings.source.clone(),
            path: directory.path.to_string_lossy().into_owned(),
            class: directory.class.clone(),
            rescan: directory.rescan.0,
            limit: directory.max_deletes_per_second,
            works: SourceState::Watching,
        };
        Ok(DirectorySource { journal: Journal::new(about, shared)?, settings, store: Mutex::default() })
    }

    pub(super) fn name(&self) -> &str {
        self.journal.name()
    }

    /// Returns the store on the root, if the source is enabled and its root is there.
    ///
    /// # Errors
    /// The reason for which the source does not work.
    pub(super) fn enter(&self) -> std::result::Result<Arc<DirStore>, Trouble> {
        let path = &self.settings.directory.path;
        let accepted = self.journal.accepted().map_err(|error| Trouble::Refused(error.to_string()))?;
        let Some(accepted) = accepted else {
            return Err(Trouble::NotEnabled(format!(
                "the folder {} was not accepted for it yet",
                path.display()
            )));
        };
        if accepted.source.as_ref() != Some(&self.settings.source) {
            return Err(Trouble::Refused(
                "its root was enabled with another prefix; the prefix of a source never changes".into(),
            ));
        }
        let mut store = self.store.lock();
        if let Some(open) = store.as_ref().filter(|open| open.id() == accepted.id) {
            return match open.root() {
                Ok(_) => Ok(Arc::clone(open)),
                Err(error) => Err(Trouble::RootLost(error.to_string())),
            };
        }
        *store = None;
        let root = Root::open(path).map_err(|error| Trouble::RootLost(error.to_string()))?;
        if root.id() != Some(accepted.id) {
            return Err(Trouble::RootLost(lost(&root, &path.display().to_string(), self.name())));
        }
        self.check_apart(&root).map_err(|error| Trouble::Refused(error.to_string()))?;
        drop(root);
        let open = DirStore::reopen(path).map_err(|error| Trouble::RootLost(error.to_string()))?;
        if open.id() != accepted.id {
            return Err(Trouble::RootLost(format!(
                "{} was replaced by another folder meanwhile",
                path.display()
            )));
        }
        let open = Arc::new(open);
        *store = Some(Arc::clone(&open));
        Ok(open)
    }

    /// Refuses a root that overlaps the data folder or the root of another source.
    pub(super) fn check_apart(&self, root: &Root) -> Result<()> {
        root.check_apart(&self.journal.shared.data)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        let peers = self.journal.shared.peers.read().clone();
        for (name, path) in peers.iter().filter(|(name, _)| name != self.name()) {
            if let Some(other) = path.as_deref().and_then(other_root) {
                check_apart(self.name(), root, [(name.as_str(), &other)].into_iter())?;
            }
        }
        Ok(())
    }

    /// Returns the class of new objects and the rule for their starts.
    pub(super) fn class(&self) -> Result<(Definition, StartBy)> {
        let class = intake::class(&self.journal.shared.engine, &self.settings.directory.class)?;
        let start = self.settings.directory.start.unwrap_or(StartBy::usual(&class));
        Ok((class, start))
    }

    /// Returns the intake of its files, into an engine in memory if one is given.
    pub(super) fn intake<'a>(
        &'a self,
        class: &'a Definition,
        start: StartBy,
        dry: Option<&'a Engine>,
    ) -> Intake<'a> {
        let returned = self.settings.directory.returned;
        Intake { engine: &self.journal.shared.engine, dry, class, start, returned }
    }

    /// Returns the key of the file at a path below the root.
    pub(super) fn key(&self, path: &[u8]) -> Vec<u8> {
        [self.settings.source.prefix().as_bytes(), path].concat()
    }

    /// Returns why a file at this path cannot be an object of the source, if it cannot: its key is one of another source.
    pub(super) fn foreign(&self, path: &[u8]) -> Option<String> {
        if !self.settings.source.prefix().is_empty() {
            return None;
        }
        let first = path.iter().position(|byte| *byte == b'/').and_then(|slash| path.get(..slash))?;
        let peers = self.journal.shared.peers.read();
        let (name, _) = peers.iter().find(|(name, _)| name != self.name() && name.as_bytes() == first)?;
        Some(format!(
            "a folder has the name of the source {name:?}, so its files have keys of that source; rename it"
        ))
    }
}

/// Returns why a folder is not the root that was accepted.
fn lost(root: &Root, path: &str, name: &str) -> String {
    let what = match (root.is_labelled(), root.id()) {
        (false, _) => "has no label of a root",
        (true, None) => "has a label that is damaged or was copied from another root",
        (true, Some(_)) => "is another root",
    };
    format!(
        "{path} {what}; mount the disk, or accept the folder in its place with `sexton source enable {name}`"
    )
}
