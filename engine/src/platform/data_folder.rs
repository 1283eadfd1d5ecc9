//! Recognition of data folders of the engine, by the files in them.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;

/// Path of the signing key below a data folder.
pub(crate) const SIGNING_KEY: &str = "keys/log.key";
/// Lock of a data folder.
pub(crate) const LOCK: &str = "lock";
/// File that RocksDB has in each of its folders.
const CURRENT: &str = "index/CURRENT";

/// Returns `true` if the open folder is a data folder, a copy of one, or what is left of one.
///
/// A data folder has the signing key, or an index beside a lock. A folder that only holds a copy of `keys/` counts: it can sign
/// another history.
pub(crate) fn is_data_folder(folder: BorrowedFd<'_>) -> Result<bool, Errno> {
    Ok(has(folder, SIGNING_KEY)? || (has(folder, CURRENT)? && has(folder, LOCK)?))
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
    use std::os::fd::AsFd;

    fn recognised(files: &[&str]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            File::create(path).unwrap();
        }
        is_data_folder(File::open(folder.path()).unwrap().as_fd()).unwrap()
    }

    #[test]
    fn data_folder_is_recognised_by_its_key_or_index() {
        for files in [&["keys/log.key"][..], &["index/CURRENT", "lock"], &["index/CURRENT", "keys/log.key"]] {
            assert!(recognised(files), "{files:?}");
        }
        for files in [&[][..], &["keys"], &["keys/other"], &["index/CURRENT"], &["lock"], &["index", "lock"]]
        {
            assert!(!recognised(files), "{files:?}");
        }
    }
}
