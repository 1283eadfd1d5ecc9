//! Which files are receipts, and their bytes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// How the names of receipts end where folders are looked through.
const EXTENSION: &str = "tlog-proof";

/// A receipt to be read, or why there is none.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) problem: Option<String>,
}

/// The files named, and those in the folders named, in the order of their paths: a demo's receipts of one batch then
/// come one after the other, which is much faster to verify.
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
            let problem = Some(format!("the folder holds no *.{EXTENSION}"));
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
                // Links to folders are not followed, so that a circle of them ends.
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

/// The bytes of a file that should have at most `most`; one more than that is read, so that a longer file is known by
/// its length without being read.
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
