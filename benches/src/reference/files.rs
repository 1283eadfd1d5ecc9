//! `find -delete`: what somebody runs from cron. It does less: it asks nothing of an index, fsyncs nothing, looks at no
//! version, and would delete whatever stands there by now.
//!
//! The tree is that of a server for uploads: `objects/ab/cd/`, 100 files of 600 bytes in each folder.

use crate::{Result, rate};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const FILES_OF_FOLDER: usize = 100;
const FOLDERS_OF_FOLDER: usize = 100;
const FILE_BYTES: usize = 600;

/// The key of a file: its path below the root.
pub fn key(number: usize) -> String {
    let folder = number / FILES_OF_FOLDER;
    let (upper, lower) = (folder / FOLDERS_OF_FOLDER, folder % FOLDERS_OF_FOLDER);
    // Names as they come from hashes, in no order.
    format!("objects/{upper:03}/{lower:02}/{:016x}.bin", crate::workload::scattered(number as u64))
}

/// Makes a tree of `files` below `root`, and waits until all of it is on the disk.
///
/// # Errors
/// What the file system answers.
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

/// Files below `root`, folder by folder.
///
/// # Errors
/// What the file system answers.
pub fn count(root: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        files += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(files)
}

/// Files deleted per second by `find ROOT -type f -delete`. As with the directory store the folders stay.
///
/// # Errors
/// Where it fails, or leaves a file.
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
    fn a_tree_is_made_and_deleted() {
        let root = tempfile::tempdir().unwrap();
        make_tree(root.path(), 250).unwrap();
        assert_eq!(count(root.path()).unwrap(), 250);
        assert!(root.path().join(key(249)).is_file());
        assert_eq!(fs::read_dir(root.path().join("objects/000")).unwrap().count(), 3);
        find_delete(root.path(), 250).unwrap();
    }
}
