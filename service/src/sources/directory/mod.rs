//! Directories of files.

mod enable;
mod moves;
mod renaming;
mod runner;
mod scan;
mod settings;
mod settle;
mod source;
mod watch;

pub use settings::Directory;
pub(super) use settings::{Settings, check};
pub(super) use source::DirectorySource;

use super::enabling::{Enabling, OtherRoot};
use super::journal::{Journal, Trouble};
use super::place::Place;
use sexton::store::{Answer, Store, StoredObject};
use sexton::{Attribution, Result};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Place for DirectorySource {
    fn journal(&self) -> &Journal {
        &self.journal
    }

    fn run(&self) {
        runner::run(self);
    }

    fn open(&self) -> std::result::Result<Arc<dyn Store>, Trouble> {
        Ok(self.enter()?)
    }

    fn tidy(&self, objects: &[StoredObject<'_>], answers: &[Answer]) {
        if self.settings.directory.prune_empty {
            self.prune(objects, answers);
        }
    }

    fn enable(&self, other_root: OtherRoot, attribution: &Attribution, is_dry: bool) -> Result<Enabling> {
        enable::enable(self, other_root, attribution, is_dry)
    }
}

impl DirectorySource {
    /// Removes the folders above deleted objects if they are empty. Absent objects may be ones that an interrupted deletion
    /// took.
    fn prune(&self, objects: &[StoredObject<'_>], answers: &[Answer]) {
        let mut folders = BTreeSet::new();
        let ended = objects
            .iter()
            .zip(answers)
            .filter(|(_, answer)| matches!(answer, Answer::Deleted | Answer::Absent));
        for (object, _) in ended {
            let mut path = object.key;
            while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
                path = path.get(..slash).unwrap_or_default();
                // The folders above a known one are known too.
                if path.is_empty() || !folders.insert(path) {
                    break;
                }
            }
        }
        let Some(root) = self.enter().ok().and_then(|store| store.root().ok()) else { return };
        // A folder sorts before those below it.
        let refused = folders.iter().rev().filter(|folder| root.remove_empty_folder(folder).is_err()).count();
        if refused > 0 {
            tracing::warn!(source = self.name(), folders = refused, "empty folders could not be removed");
        }
    }
}
