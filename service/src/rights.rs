//! Rights of a service in the folders of its configuration: a test of them, and the systemd drop-in that grants them.

use crate::config::Config;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most folders below a directory whose rights are tested.
const FOLDERS_MAX: usize = 10_000;

/// Returns the folders of the configuration in which this process may not rename and unlink, and the buckets that it cannot
/// open or list, one message each.
///
/// The real test is that of the service's own user: `sudo -u sexton sexton serve --check`.
#[must_use]
pub fn missing(config: &Config) -> Vec<String> {
    let mut missing = Vec::new();
    for directory in &config.directories {
        missing.extend(folders(&directory.path).iter().filter_map(|folder| refusal(folder)));
    }
    #[cfg(feature = "s3")]
    missing.extend(config.buckets.iter().filter_map(crate::sources::bucket_refusal));
    missing
}

/// Returns the folders to test: the directory and those below it. Links are not followed.
fn folders(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_path_buf()];
    let mut next = 0;
    while let Some(folder) = found.get(next).cloned()
        && found.len() < FOLDERS_MAX
    {
        next += 1;
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        found.extend(below.map(|entry| entry.path()));
    }
    found
}

/// Returns why this process may not rename and unlink in a folder; `None` if it may.
fn refusal(folder: &Path) -> Option<String> {
    let rights = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    let refused = accessat(CWD, folder, rights, AtFlags::EACCESS).err()?;
    Some(format!("no right to rename and unlink in {}: {refused}", folder.display()))
}

/// Returns the systemd drop-in that opens the folders of the configuration to the hardened unit. `None` if it has none.
#[must_use]
pub fn drop_in(config: &Config) -> Option<String> {
    let paths: Vec<&Path> = config.directories.iter().map(|directory| directory.path.as_path()).collect();
    if paths.is_empty() {
        return None;
    }
    let mut text = String::from("[Service]\n");
    for path in &paths {
        text += &format!("ReadWritePaths={}\n", path.display());
    }
    let groups: BTreeSet<u32> =
        paths.iter().filter_map(|path| fs::metadata(path).ok()).map(|at| at.gid()).collect();
    for group in groups.into_iter().filter(|group| *group != 0) {
        text += &format!("SupplementaryGroups={group}\n");
    }
    let is_home = |path: &&Path| ["/home", "/root", "/run/user"].iter().any(|home| path.starts_with(home));
    if paths.iter().any(is_home) {
        text += "ProtectHome=no\n";
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> Config {
        let directory = format!("[[directory]]\nname = \"up\"\npath = {path:?}\nclass = \"upload-3h\"\n");
        Config::parse(&format!("data = \"/var/lib/sexton\"\norigin = \"example.com/a\"\n{directory}"))
            .unwrap()
    }

    #[test]
    fn drop_in_names_the_folders_of_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let text = drop_in(&config(folder.path())).unwrap();
        assert!(text.contains(&format!("ReadWritePaths={}\n", folder.path().display())), "{text}");
        assert!(missing(&config(folder.path())).is_empty());
        let short = "data = \"/var/lib/sexton\"\norigin = \"example.com/a\"\n";
        assert_eq!(drop_in(&Config::parse(short).unwrap()), None);
    }

    #[test]
    fn folder_without_rights_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        fs::create_dir(&gone).unwrap();
        let config = config(&gone);
        fs::remove_dir(&gone).unwrap();
        let missing = missing(&config);
        assert!(missing[0].contains("no right to rename and unlink in"), "{missing:?}");
    }
}
