//! Receipt files, and the search for them in folders.

use std::fs;
use std::path::{Path, PathBuf};

/// File name extension of receipts in a folder.
const EXTENSION: &str = "tlog-proof";

/// Path of a receipt, or a path with a problem.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) problem: Option<String>,
}

/// Returns the named files, and the receipts in the named folders in the order of their paths. Receipts of one batch
/// are then adjacent, which is much faster to verify.
pub(super) fn gather(arguments: &[PathBuf]) -> Vec<Source> {
    let mut sources = Vec::new();
    for path in arguments {
        if !path.is_dir() {
            sources.push(Source { path: path.clone(), problem: None });
            continue;
        }
        let mut found = Vec::new();
        let before = sources.len();
        walk(path, &mut found, &mut sources);
        found.sort();
        if found.is_empty() && sources.len() == before {
            let problem = Some(format!("the folder has no *.{EXTENSION}"));
            sources.push(Source { path: path.clone(), problem });
        }
        sources.extend(found.into_iter().map(|path| Source { path, problem: None }));
    }
    sources
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>, problems: &mut Vec<Source>) {
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        let listed = fs::read_dir(&folder).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let (path, kind) = (entry.path(), entry.file_type()?);
                // Links to folders are not followed, because links may form a cycle.
                if kind.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|extension| extension == EXTENSION) {
                    found.push(path);
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            problems.push(Source { path: folder, problem: Some(error.to_string()) });
        }
    }
}
