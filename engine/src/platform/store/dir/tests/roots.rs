//! Roots that are missing, moved, copied, hidden by mounts, or mixed with data folders.

use std::os::unix::fs::symlink;

use super::disks::Mounted;
use super::*;

fn label(root: &Path) -> PathBuf {
    root.join(".sexton-quarantine/root")
}

/// Makes a folder look like a data folder.
fn make_data_folder(at: &Path) {
    fs::create_dir_all(at.join("keys")).unwrap();
    fs::write(at.join("keys/log.key"), b"secret").unwrap();
}

#[test]
fn reopen_refuses_an_empty_mount_point() {
    let dir = tempfile::tempdir().unwrap();
    let error = DirStore::reopen(dir.path()).unwrap_err();
    assert!(matches!(&error, DirError::Invalid(why) if why.contains("mount the disk")), "{error}");
    assert!(!dir.path().join(".sexton-quarantine").exists());
    let id = DirStore::open(dir.path()).unwrap().id();
    assert_eq!(DirStore::reopen(dir.path()).unwrap().id(), id);
    assert_eq!(DirStore::open(dir.path()).unwrap().id(), id);
    assert_ne!(DirStore::adopt(dir.path()).unwrap().id(), id);
}

/// Everything is missing in the mount point, and nothing of it may count as deleted.
#[test]
fn files_of_an_unmounted_root_fail_and_are_not_absent() {
    let base = tempfile::tempdir().unwrap();
    let (disk, root) = (base.path().join("disk"), base.path().join("root"));
    fs::create_dir(&disk).unwrap();
    let Some(mounted) = Mounted::bind(&disk, &root) else { return };
    let store = DirStore::open(&root).unwrap();
    fs::write(root.join("a"), b"x").unwrap();
    let object = (b"a".to_vec(), store.identify(b"a", Identity::Exact).unwrap().unwrap().version);
    let objects = [object];

    mounted.unmount();
    for _ in 0..2 {
        assert_failed(&delete_all(&store, &objects)[0], &["no longer the root", "mount the disk"]);
        assert!(
            store.identify(b"a", Identity::Exact).unwrap_err().to_string().contains("no longer the root")
        );
        // A store that is opened on the mount point gives it a label of its own.
        let wrong = DirStore::open(&root).unwrap();
        assert_failed(&delete_all(&wrong, &objects)[0], &["`a` was registered in another root"]);
    }

    let Some(mounted) = Mounted::bind(&disk, &root) else { return };
    assert_eq!(delete_all(&store, &objects), [Answer::Deleted]);
    assert!(!disk.join("a").exists());
    mounted.unmount();
}

#[test]
fn store_between_two_calls_does_not_keep_the_disk_busy() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let Some(mounted) = Mounted::tmpfs(&root, "size=4m") else { return };
    let store = DirStore::open(&root).unwrap();
    fs::write(root.join("a"), b"x").unwrap();
    let version = store.identify(b"a", Identity::Exact).unwrap().unwrap().version;
    assert_eq!(delete_all(&store, &[(b"a".to_vec(), version)]), [Answer::Deleted]);
    mounted.unmount();
}

#[test]
fn file_below_a_mount_that_hides_it_fails_and_is_not_absent() {
    let sandbox = Sandbox::new();
    let file = sandbox.register("x/y/a", b"x");
    let beside = sandbox.register("x/b", b"x");
    let inside = tempfile::tempdir().unwrap();
    fs::create_dir(inside.path().join("y")).unwrap();
    for same_device in [false, true] {
        for at in ["x", "x/y"] {
            let over = sandbox.root().join(at);
            let mounted = match same_device {
                false => Mounted::tmpfs(&over, "size=1m"),
                true => Mounted::bind(inside.path(), &over),
            };
            let Some(mounted) = mounted else { return };
            let words = [&*format!("`{at}"), "another file system", "unmount it"];
            assert_failed(&sandbox.delete("x/y/a", &file), &words);
            let error = sandbox.store().identify(b"x/y/a", Identity::Exact).unwrap_err();
            assert!(
                matches!(&error, DirError::Invalid(why) if why.contains("another file system")),
                "{error}"
            );
            let (files, skipped) = sandbox.walk();
            assert_eq!(files, if at == "x" { vec![] } else { vec!["x/b"] });
            assert!(skipped.len() == 1 && skipped[0].starts_with(&format!("{at}: ")), "{skipped:?}");
            mounted.unmount();
        }
    }
    // Mounted over the file itself.
    let Some(mounted) = Mounted::bind(&label(sandbox.root()), &sandbox.root().join("x/b")) else { return };
    assert_failed(&sandbox.delete("x/b", &beside), &["`x/b`", "another file system"]);
    mounted.unmount();
    assert_eq!(sandbox.delete("x/y/a", &file), Answer::Deleted);
    assert_eq!(sandbox.delete("x/b", &beside), Answer::Deleted);
}

#[test]
fn mount_over_the_quarantine_is_refused() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    let copy = tempfile::tempdir().unwrap();
    fs::copy(label(sandbox.root()), copy.path().join("root")).unwrap();
    let Some(mounted) = Mounted::bind(copy.path(), &sandbox.root().join(".sexton-quarantine")) else {
        return;
    };
    assert_failed(&sandbox.delete("a", &version), &["`.sexton-quarantine` lies on another file system"]);
    mounted.unmount();
    assert_eq!(sandbox.delete("a", &version), Answer::Deleted);
}

#[test]
fn renamed_linked_and_bound_root_is_recognised() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    fs::create_dir(at("root")).unwrap();
    let store = DirStore::open(&at("root")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(at("root").join(name), b"x").unwrap();
    }
    let delete = |root: &Path, name: &str| {
        let reopened = DirStore::reopen(root).unwrap();
        assert_eq!(reopened.id(), store.id());
        let version = reopened.identify(name.as_bytes(), Identity::Exact).unwrap().unwrap().version;
        delete_all(&reopened, &[(name.into(), version)])
    };
    fs::rename(at("root"), at("moved")).unwrap();
    assert_eq!(delete(&at("moved"), "a"), [Answer::Deleted]);
    symlink("moved", at("link")).unwrap();
    assert_eq!(delete(&at("link"), "b"), [Answer::Deleted]);
    let Some(_mounted) = Mounted::bind(&at("moved"), &at("bound")) else { return };
    assert_eq!(delete(&at("bound"), "c"), [Answer::Deleted]);
    assert!(store.identify(b"a", Identity::Exact).is_err(), "nothing is at its path");
}

/// A copy lacks the files that were added to the root later.
#[test]
fn copy_of_a_root_is_refused_until_it_is_adopted() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join(".sexton-quarantine")).unwrap();
    fs::copy(label(sandbox.root()), label(copy.path())).unwrap();
    let root = Root::open(copy.path()).unwrap();
    assert!(root.is_labelled() && root.id().is_none());
    drop(root);
    for open in [DirStore::open, DirStore::reopen] {
        let error = open(copy.path()).unwrap_err();
        assert!(matches!(&error, DirError::Invalid(why) if why.contains("copied")), "{error}");
    }
    let adopted = DirStore::adopt(copy.path()).unwrap();
    assert_failed(&delete_all(&adopted, &[(b"a".to_vec(), version.clone())])[0], &["another root"]);
    assert_eq!(sandbox.delete("a", &version), Answer::Deleted);
    for damaged in [&b""[..], b"sexton root 1\n", &[b'x'; 1000]] {
        fs::write(label(copy.path()), damaged).unwrap();
        assert!(DirStore::reopen(copy.path()).unwrap_err().to_string().contains("damaged"));
    }
    fs::remove_file(label(copy.path())).unwrap();
    symlink(label(sandbox.root()), label(copy.path())).unwrap();
    assert!(DirStore::reopen(copy.path()).is_err(), "a link to a label is none");
}

#[test]
fn adopted_root_leaves_its_former_store() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    let taken = DirStore::adopt(sandbox.root()).unwrap();
    assert_failed(&sandbox.delete("a", &version), &["no longer the root"]);
    assert_failed(&delete_all(&taken, &[(b"a".to_vec(), version)])[0], &["another root"]);
    assert_eq!(sandbox.read("a").unwrap(), b"x");
}

#[test]
fn data_folder_below_the_root_is_left_out_and_never_touched() {
    let sandbox = Sandbox::new();
    // Registered before the folder became a data folder.
    let keys = ["x/data/index/1.sst", "x/data/log/tile/0", "x/data/head"];
    let objects = keys.map(|key| (key.as_bytes().to_vec(), sandbox.register(key, b"x")));
    make_data_folder(&sandbox.root().join("x/data"));
    sandbox.put("x/a", b"x");
    let (files, skipped) = sandbox.walk();
    assert_eq!(files, ["x/a"]);
    assert!(
        skipped.len() == 1
            && skipped[0].starts_with("x/data: the folder `x/data` is or lies in a data folder")
    );
    for answer in delete_all(sandbox.store(), &objects) {
        assert_failed(&answer, &["data folder of Sexton", "move it out"]);
    }
    for (key, _) in &objects {
        assert!(sandbox.read(key).is_some());
        assert!(matches!(sandbox.store().identify(key, Identity::Exact), Err(DirError::Invalid(_))));
    }
}

#[test]
fn data_folder_as_root_or_above_it_is_refused() {
    let base = tempfile::tempdir().unwrap();
    let data = base.path().join("data");
    make_data_folder(&data);
    fs::create_dir_all(data.join("x/y")).unwrap();
    symlink(data.join("x/y"), base.path().join("link")).unwrap();
    for root in [data.clone(), data.join("keys"), data.join("x/y"), base.path().join("link")] {
        for open in [DirStore::open, DirStore::reopen, DirStore::adopt] {
            let error = open(&root).unwrap_err();
            let refused =
                matches!(&error, DirError::Invalid(why) if why.contains("is a data folder of Sexton"));
            assert!(refused, "{}: {error}", root.display());
        }
        assert!(!root.join(".sexton-quarantine").exists());
    }
}

/// Data folder and root, each named through a link or a bind mount that hides how they lie.
#[test]
fn root_overlapping_a_data_folder_is_recognised() {
    let base = tempfile::tempdir().unwrap();
    let at = |path: &str| base.path().join(path);
    for folder in ["srv/data/index/deep", "srv/uploads/x", "other/y"] {
        fs::create_dir_all(at(folder)).unwrap();
    }
    symlink("srv", at("link")).unwrap();
    let refused = |root: &str, data: &str| {
        let checked = Root::open(&at(root)).unwrap().check_apart(&at(data));
        assert!(!matches!(checked, Err(DirError::Io(_))), "{checked:?}");
        checked.is_err()
    };
    for data in ["srv/data", "link/data"] {
        for root in ["srv", "link", "srv/data", "link/data", "srv/data/index", "srv/data/index/deep"] {
            assert!(refused(root, data), "{root} {data}");
        }
        for root in ["srv/uploads", "link/uploads", "other"] {
            assert!(!refused(root, data), "{root} {data}");
        }
    }
    // Parts of the tree, mounted elsewhere: the root, a folder above both, a folder inside the data folder.
    for (source, point, root, data) in [
        ("srv/data", "bound/a", "bound/a", "srv/data"),
        ("srv/data/index", "bound/b", "bound/b", "srv/data"),
        ("srv/data/index", "bound/c", "bound/c/deep", "srv/data"),
        ("srv", "bound/d", "srv", "bound/d/data"),
        ("srv/data", "bound/e", "srv", "bound/e"),
        ("srv/data/index", "bound/f", "srv", "bound/f/deep"),
        ("srv/uploads", "srv/data/up", "srv/data/up", "srv/data"),
        ("srv/data", "srv/uploads/x", "srv/uploads", "srv/uploads/x"),
    ] {
        let Some(mounted) = Mounted::bind(&at(source), &at(point)) else { return };
        assert!(refused(root, data), "{source} at {point}: {root} {data}");
        mounted.unmount();
    }
    let Some(mounted) = Mounted::bind(&at("srv/uploads"), &at("bound/g")) else { return };
    assert!(!refused("bound/g", "srv/data") && !refused("srv/uploads", "srv/data"));
    // A folder mounted into itself looks like the folder above it.
    let Some(looped) = Mounted::bind(&at("srv/data"), &at("srv/data/index")) else { return };
    assert!(refused("srv", "srv/data/index/index"));
    looped.unmount();
    mounted.unmount();
}

/// Only the root's own is left out.
#[test]
fn quarantine_of_a_nested_folder_hides_nothing() {
    let sandbox = Sandbox::new();
    let key = "x/.sexton-quarantine/hidden";
    let version = sandbox.register(key, b"x");
    sandbox.put("x/.sexton-quarantine/y/z", b"x");
    assert_eq!(sandbox.walk().0, [key, "x/.sexton-quarantine/y/z"]);
    assert_eq!(sandbox.delete(key, &version), Answer::Deleted);
    let error = sandbox.store().identify(b".sexton-quarantine/root", Identity::Exact).unwrap_err();
    assert!(error.to_string().contains("quarantine of the root"), "{error}");
}

/// Earlier releases registered versions that name no root.
#[test]
fn version_without_a_root_is_deleted_in_any_root() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    let earlier = [&[version[0] - 2, version[1]][..], &version[10..]].concat();
    assert_eq!(earlier.len(), 42);
    assert_eq!(sandbox.delete("a", &earlier), Answer::Deleted);
}
