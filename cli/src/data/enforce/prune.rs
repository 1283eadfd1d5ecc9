//! Removal of the folders that an enforcement emptied.

use crate::output::{Failure, Output};
use serde_json::{Value, json};
use sexton::Engine;
use sexton::report::Action;
use sexton::store::dir::{DirError, Filter, Found, Root};
use sexton_proof::id::printable;
use std::collections::{BTreeSet, HashSet};

/// Folders above objects, below the root.
#[derive(Default)]
pub(super) struct Folders(BTreeSet<Vec<u8>>);

/// Result of removing emptied folders.
#[derive(Default)]
pub(super) struct Pruned {
    /// Number of removed folders.
    pub(super) removed: u64,
    /// Folders that could not be removed, each with the reason.
    pub(super) refused: Vec<(Vec<u8>, String)>,
}

impl Folders {
    /// Adds the folders above an object or another entry.
    pub(super) fn add_above(&mut self, key: &[u8]) {
        let mut path = key;
        while let Some(slash) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..slash];
            // The folders above a known one are known too.
            if path.is_empty() || !self.0.insert(path.to_vec()) {
                return;
            }
        }
    }

    /// Removes those that are empty. The root stays.
    ///
    /// A host that writes there at the same moment finds its folder missing, and has to create it again.
    pub(super) fn remove(&self, root: Result<Root, DirError>) -> Pruned {
        let mut pruned = Pruned::default();
        let root = match root {
            Ok(root) => root,
            Err(error) => {
                pruned.refused.push((b".".to_vec(), error.to_string()));
                return pruned;
            }
        };
        // A folder sorts before those below it, so each is empty by the time that it is reached from the end.
        for path in self.0.iter().rev() {
            match root.remove_empty_folder(path) {
                Ok(is_removed) => pruned.removed += u64::from(is_removed),
                Err(error) => pruned.refused.push((path.clone(), error.to_string())),
            }
        }
        pruned
    }

    /// Returns the number of folders that would be empty if all objects that are due now were deleted.
    pub(super) fn would_remove(engine: &Engine, root: &Root) -> Result<u64, Failure> {
        let mut due = HashSet::new();
        for object in engine.plan(engine.now())? {
            let object = object?;
            if object.action == Action::Delete {
                due.insert(object.key);
            }
        }
        let (mut emptied, mut kept) = (Folders::default(), Folders::default());
        root.walk(&Filter::default(), |found| match found {
            Found::File(path) if due.contains(path) => emptied.add_above(path),
            Found::File(path) | Found::Other { path, .. } | Found::Skipped { path, .. } => {
                kept.add_above(path);
            }
            // A later version of the store may find more.
            _ => {}
        })
        .map_err(|error| Failure::new(error.to_string()))?;
        Ok(emptied.0.difference(&kept.0).count() as u64)
    }
}

impl Pruned {
    pub(super) fn refused_json(&self) -> Value {
        let refused = |(path, why): &(Vec<u8>, String)| json!({ "path": printable(path), "path_hex": hex::encode(path), "why": why });
        self.refused.iter().map(refused).collect()
    }

    pub(super) fn print_refused(&self, output: &mut Output) {
        for (path, why) in &self.refused {
            output.line(format_args!("{} {}: {why}", output.bad("folder stays:"), printable(path)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn remove_goes_on_after_a_refused_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = |below: &str| root.path().join(below);
        for folder in ["a/b/c", "a/b2", "full", "other", ".sexton-quarantine"] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::File::create(path("full/file")).unwrap();
        let mut folders = Folders::default();
        for key in [&b"a/b/c/1"[..], b"a/b2/2", b"full/3", b".sexton-quarantine/4", b"gone/5", b"top"] {
            folders.add_above(key);
        }
        let pruned = folders.remove(Root::open(root.path()));
        assert_eq!((pruned.removed, pruned.refused.len()), (4, 1));
        assert_eq!(pruned.refused[0].0, b".sexton-quarantine");
        assert!(!path("a").exists() && path("full/file").exists() && path("other").exists());
        assert!(path(".sexton-quarantine").exists());
    }
}
