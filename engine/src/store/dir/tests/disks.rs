//! Roots that are unusual: not mounted, full, with another file system inside.

use std::process::Command;

use super::*;

/// A tmpfs that is unmounted in the end.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output();
        if !done.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting a tmpfs needs root");
            return None;
        }
        Some(Self(path.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_file_on_another_file_system_is_not_registered_and_fails_when_asked_for() {
    let yard = Yard::new();
    let Some(mounted) = Mounted::at(&yard.root().join("x"), "size=1m") else { return };
    yard.put("x/a", b"x");
    let error = yard.store().identify(b"x/a", Identity::Exact).unwrap_err();
    assert!(error.to_string().contains("another file system"), "{error}");

    let folder = fs::File::open(&mounted.0).unwrap();
    let seen = Seen::at(folder.as_fd(), b"a").unwrap().unwrap();
    let version = seen.version(Identity::Exact).unwrap().encode();
    drop(folder);
    assert_failed(&yard.delete("x/a", &version), &["taking away `x/a`", "another file system"]);
    assert_eq!(yard.read("x/a").unwrap(), b"x");
    assert!(yard.quarantined().is_empty());
}

#[test]
fn deleting_works_on_a_full_disk_and_sets_its_reserve_aside_again() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("small");
    let Some(_mounted) = Mounted::at(&root, "size=4m") else { return };
    let store = DirStore::open(&root).unwrap();
    let mut objects = Vec::new();
    for n in 0..1000 {
        let key = n.to_string().into_bytes();
        if fs::write(root.join(n.to_string()), [1; 16 << 10]).is_err() {
            break;
        }
        let version = store.identify(&key, Identity::Exact).unwrap().unwrap().version;
        objects.push((key, version));
    }
    // Page by page to the very end; a failed write leaves an empty file, which takes no space.
    let filled = (0..1000).find(|n| fs::write(root.join(format!("page-{n}")), [1; 4096]).is_err());
    assert!(filled.is_some() && objects.len() > 10);
    assert!(root.join(".sexton-quarantine/reserve").exists());
    let answers = delete_all(&store, &objects);
    assert!(answers.iter().all(|answer| *answer == Answer::Deleted), "{:?}", answers.first());
    assert_eq!(fs::metadata(root.join(".sexton-quarantine/reserve")).unwrap().len(), 1 << 20);
}

#[test]
fn a_root_that_was_in_use_is_not_mistaken_for_an_empty_mount_point() {
    let dir = tempfile::tempdir().unwrap();
    let error = DirStore::reopen(dir.path()).unwrap_err();
    assert!(matches!(&error, DirError::Invalid(why) if why.contains("mount the disk")), "{error}");
    assert!(!dir.path().join(".sexton-quarantine").exists());
    drop(DirStore::open(dir.path()).unwrap());
    DirStore::reopen(dir.path()).unwrap();
}

#[test]
fn a_missing_root_a_file_and_a_linked_quarantine_are_refused_in_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let error = DirStore::open(&dir.path().join("missing")).unwrap_err();
    assert!(error.to_string().contains("name an existing folder"), "{error}");
    fs::write(dir.path().join("file"), b"x").unwrap();
    assert!(matches!(DirStore::open(&dir.path().join("file")).unwrap_err(), DirError::Io(_)));
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join(".sexton-quarantine")).unwrap();
    let error = DirStore::open(dir.path()).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
