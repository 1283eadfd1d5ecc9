//! `find -delete`, as a cron job runs it.
//!
//! It does less than the directory store. It has no index, syncs nothing, and checks no version: it deletes a file that
//! was replaced in the meantime.
//!
//! The tree is that of an upload server: folders `objects/ab/cd/` with 100 files of 600 bytes each.

use crate::{Result, rate};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const FILES_OF_FOLDER: usize = 100;
const FOLDERS_OF_FOLDER: usize = 100;
const FILE_BYTES: usize = 600;

/// Key of a file: its path below the root.
pub fn key(number: usize) -> String {
    let folder = number / FILES_OF_FOLDER;
    let (upper, lower) = (folder / FOLDERS_OF_FOLDER, folder % FOLDERS_OF_FOLDER);
    // File names are hashes, in no order.
    format!("objects/{upper:03}/{lower:02}/{:016x}.bin", crate::workload::split_mix(number as u64))
}

/// Creates a tree of `files` files below `root`, and syncs the file system.
///
/// # Errors
/// Errors of the file system.
pub fn make_tree(root: &Path, files: usize) -> Result<()> {
    let content = [0x5a; FILE_BYTES];
    for number in 0..files {
        let path = root.join(key(number));
        if number % FILES_OF_FOLDER == 0
            && let Some(folder) = path.parent()
        {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?.write_all(&content)?;
    }
    rustix::fs::syncfs(File::open(root)?)?;
    Ok(())
}

/// Counts the files below `root`.
///
/// # Errors
/// Errors of the file system.
pub fn count(root: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// Measures the files per second that `find ROOT -type f -delete` deletes. Folders stay, as with the directory store.
///
/// # Errors
/// If `find` fails or leaves a file.
pub fn find_delete(root: &Path, files: usize) -> Result<f64> {
    let rate = rate(files, || {
        let status = Command::new("find").arg(root).args(["-type", "f", "-delete"]).status()?;
        if status.success() { Ok(()) } else { Err(format!("find: {status}").into()) }
    })?;
    match count(root)? {
        0 => Ok(rate),
        left => Err(format!("find left {left} files").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_is_created_and_deleted() {
        let root = tempfile::tempdir().unwrap();
        make_tree(root.path(), 250).unwrap();
        assert_eq!(count(root.path()).unwrap(), 250);
        assert!(root.path().join(key(249)).is_file());
        assert_eq!(fs::read_dir(root.path().join("objects/000")).unwrap().count(), 3);
        find_delete(root.path(), 250).unwrap();
    }
}
