//! Unusual roots: not mounted, full, or with another file system inside.

use std::process::Command;

use super::*;

/// Mount. Dropping it unmounts it.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a tmpfs; `None` if this is not permitted, and then the test is skipped.
    pub(super) fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        Self::mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at)
    }

    /// Mounts a folder, or a file, at a second place.
    pub(super) fn bind(source: &Path, at: &Path) -> Option<Self> {
        Self::mount(&["--bind", source.to_str().unwrap()], at)
    }

    fn mount(words: &[&str], at: &Path) -> Option<Self> {
        if !at.exists() {
            fs::create_dir_all(at).unwrap();
        }
        let done = Command::new("mount").args(words).arg(at).output();
        if !done.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting needs root");
            return None;
        }
        Some(Self(at.to_path_buf()))
    }

    /// Unmounts it, which fails while a process has a file or folder of it open.
    pub(super) fn unmount(self) {
        let at = self.0.clone();
        std::mem::forget(self);
        let output = Command::new("umount").arg(at).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn file_on_another_file_system_is_refused_and_fails() {
    let sandbox = Sandbox::new();
    let Some(mounted) = Mounted::tmpfs(&sandbox.root().join("x"), "size=1m") else { return };
    sandbox.put("x/a", b"x");
    let error = sandbox.store().identify(b"x/a", Identity::Exact).unwrap_err();
    assert!(error.to_string().contains("another file system"), "{error}");

    let folder = fs::File::open(&mounted.0).unwrap();
    let seen = Seen::at(folder.as_fd(), b"a").unwrap().unwrap();
    let version = seen.version(Identity::Exact, sandbox.store().id()).unwrap().encode();
    drop(folder);
    assert_failed(&sandbox.delete("x/a", &version), &["`x` lies on another file system"]);
    assert_eq!(sandbox.read("x/a").unwrap(), b"x");
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn deleting_on_a_full_disk_works_and_restores_the_reserve() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("small");
    let Some(_mounted) = Mounted::tmpfs(&root, "size=4m") else { return };
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
    // Fills the disk page by page. A failed write leaves an empty file, which takes no space.
    let filled = (0..1000).find(|n| fs::write(root.join(format!("page-{n}")), [1; 4096]).is_err());
    assert!(filled.is_some() && objects.len() > 10);
    assert!(root.join(".sexton-quarantine/reserve/manifest").exists());
    let answers = delete_all(&store, &objects);
    assert!(answers.iter().all(|answer| *answer == Answer::Deleted), "{:?}", answers.first());
    assert_eq!(fs::metadata(root.join(".sexton-quarantine/reserve/manifest")).unwrap().len(), 1 << 20);
}

/// A bay needs two inodes, and a file that is renamed into it none.
#[test]
fn deleting_without_a_free_inode_works_and_restores_the_reserve() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("small");
    let Some(_mounted) = Mounted::tmpfs(&root, "size=8m,nr_inodes=64") else { return };
    let mut objects = Vec::new();
    for round in 0..3 {
        let store = DirStore::open(&root).unwrap();
        let names = (0..).map(|n| format!("{round}-{n}"));
        objects.extend(names.map_while(|name| {
            fs::write(root.join(&name), b"x").ok()?;
            let version = store.identify(name.as_bytes(), Identity::Exact).unwrap().unwrap().version;
            Some((name.into_bytes(), version))
        }));
        assert!(objects.len() > 10);
        // One file at a time, so that nothing is freed before the first is gone.
        let first = objects.remove(0);
        assert_eq!(delete_all(&store, &[first]), [Answer::Deleted], "round {round}");
        let rest = objects.split_off(5);
        assert!(delete_all(&store, &rest).iter().all(|answer| *answer == Answer::Deleted));
        assert!(root.join(".sexton-quarantine/reserve/manifest").exists());
    }
}

#[test]
fn reserve_of_an_earlier_release_is_replaced() {
    let mut sandbox = Sandbox::new();
    let reserve = sandbox.root().join(".sexton-quarantine/reserve");
    sandbox.store = None;
    fs::remove_dir_all(&reserve).unwrap();
    fs::write(&reserve, b"file").unwrap();
    sandbox.reopen();
    assert_eq!(fs::metadata(reserve.join("manifest")).unwrap().len(), 1 << 20);
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn missing_root_file_and_linked_quarantine_are_refused() {
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
