//! Recognition of data folders of the engine, by the files in them.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

/// Path of the signing key below a data folder.
pub(crate) const SIGNING_KEY: &str = "keys/log.key";
/// Lock of a data folder.
pub(crate) const LOCK: &str = "lock";
/// Mark of a copy of a data folder. It is written before anything else of the copy, and removed when the copy is restored.
pub(crate) const COPY: &str = "copy";
/// First line of that mark.
pub(crate) const COPY_TITLE: &str = "sexton copy v0";
/// Copy of the index on its way to a copy of the data folder. A crash may leave it behind.
pub(crate) const STAGED_INDEX: &str = "index.copy";
/// File that RocksDB has in each of its folders.
const CURRENT: &str = "index/CURRENT";

/// Returns `true` if the open folder is a data folder, a copy of one, or what is left of one.
///
/// A data folder has the signing key, or an index beside a lock. A copy has its mark, before it has anything else. A folder
/// that only holds a copy of `keys/` counts: it can sign another history.
pub(crate) fn is_data_folder(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(has(folder, SIGNING_KEY)? || (has(folder, CURRENT)? && has(folder, LOCK)?) || is_copy(folder)?)
}

/// Returns `true` if the folder has a file that begins as the mark of a copy.
fn is_copy(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    if !has(folder, COPY)? {
        return Ok(false);
    }
    let mut begin = [0; COPY_TITLE.len()];
    let file = match openat(folder, COPY, flags, Mode::empty()) {
        Ok(file) => file,
        // It was removed or replaced by a link meanwhile.
        Err(Errno::NOENT | Errno::LOOP) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    let read = rustix::io::read(&file, &mut begin)?;
    Ok(begin[..read] == *COPY_TITLE.as_bytes())
}

/// Returns `true` if the folder has a regular file at this path.
fn has(folder: BorrowedFd<'_>, path: &str) -> Result<bool, Errno> {
    match statat(folder, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(FileType::from_raw_mode(found.st_mode) == FileType::RegularFile),
        // A component of the path is missing, or is no folder.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::io::Write;
    use std::os::fd::AsFd;

    fn recognised(files: &[&str]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let content = if *file == "copy" { COPY_TITLE } else { "" };
            File::create(path).unwrap().write_all(content.as_bytes()).unwrap();
        }
        is_data_folder(File::open(folder.path()).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn data_folder_is_recognised_by_its_key_or_index() {
        for files in [
            &["keys/log.key"][..],
            &["index/CURRENT", "lock"],
            &["copy"],
            &["index/CURRENT", "copy"],
            &["index/CURRENT", "keys/log.key"],
        ] {
            assert!(recognised(files), "{files:?}");
        }
        for files in [
            &[][..],
            &["keys"],
            &["keys/other"],
            &["index/CURRENT"],
            &["lock"],
            &["copy/file"],
            &["other-copy"],
            &["index", "lock"],
        ] {
            assert!(!recognised(files), "{files:?}");
        }
    }
}
