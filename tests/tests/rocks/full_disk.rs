//! Steps that need room on the disk. Those of the index are refused before they begin without it.

use sexton::ErrorKind;
use sexton::testing::Pool;
use sexton::testing::files::disk::DiskFiles;
use sexton::testing::files::{Access, Files};
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use sexton::testing::kv::{ColumnFamily, Kv, WriteSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// Mounted tmpfs. Dropping it unmounts it.
struct Mounted(TempDir);

impl Mounted {
    /// Mounts a tmpfs. `None` without the rights of the superuser.
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        done.is_ok_and(|output| output.status.success()).then_some(Mounted(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

fn open(folder: &Path) -> sexton::Result<RocksKv> {
    RocksKv::open(&folder.join("index"), &RocksOptions::default())
}

#[test]
fn new_index_on_a_full_disk_is_refused_with_the_numbers() {
    for options in ["size=8m", "size=64m,nr_inodes=20"] {
        let Some(mounted) = Mounted::new(options) else { return };
        let error = open(mounted.0.path()).err().expect("it was created");
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        assert!(error.to_string().contains("needs") && error.to_string().contains("free"), "{error}");
        let index = fs::read_dir(mounted.0.path().join("index")).unwrap();
        assert_eq!(index.count(), 0, "{options}: something was created");
    }
}

/// A column family whose creation fails half-way can be neither used nor created again until the index is reopened.
#[test]
fn column_family_refused_on_a_full_disk_is_created_later() {
    for (options, ballast) in [("size=32m", 40 << 20), ("size=64m,nr_inodes=64", 1)] {
        let Some(mounted) = Mounted::new(options) else { return };
        let folder = mounted.0.path();
        let kv = open(folder).unwrap();
        let fill = |n: u32| {
            File::create(folder.join(format!("ballast-{n}"))).is_ok_and(|mut file| {
                std::io::copy(&mut std::io::Read::take(std::io::repeat(1), ballast), &mut file).is_ok()
            })
        };
        let filled = (0..100).find(|n| !fill(*n)).unwrap();
        let put = || {
            let mut set = WriteSet::default();
            set.put(ColumnFamily::Rows(7), b"a", b"1");
            kv.write(set)
        };
        assert_eq!(put().unwrap_err().kind(), ErrorKind::Full, "{options}");
        assert_eq!(put().unwrap_err().kind(), ErrorKind::Full, "{options}");
        for n in 0..=filled {
            let _ = fs::remove_file(folder.join(format!("ballast-{n}")));
        }
        put().unwrap();
        assert!(kv.get(ColumnFamily::Rows(7), b"a").unwrap().is_some());
    }
}

/// A streamed file is written beside the old one until it is finished.
#[test]
fn streamed_file_on_a_full_disk_keeps_the_old_one() {
    let Some(mounted) = Mounted::new("size=8m") else { return };
    let files = DiskFiles::new(mounted.0.path(), Arc::new(Pool::none()));
    files.replace("seals/000.seal", b"old", Access::Public).unwrap();
    let mut file = files.begin("seals/000.seal", Access::Public).unwrap();
    let piece = vec![1; 1 << 20];
    let first = (0..9).find_map(|_| file.write(&piece).err()).expect("9 MiB fit into 8 MiB");
    assert_eq!(first.kind(), ErrorKind::Full, "{first}");
    let freed = files.free_bytes().unwrap();
    for later in [file.write(b"1"), file.sync(), file.finish()] {
        let later = later.expect_err("it went on after a failure");
        assert_eq!((later.kind(), later.to_string()), (first.kind(), first.to_string()));
    }
    assert_eq!(files.read("seals/000.seal").unwrap().unwrap(), b"old");
    assert_eq!(fs::read_dir(mounted.0.path().join("seals")).unwrap().count(), 1, "a temporary file is left");
    assert!(files.free_bytes().unwrap() > freed);

    let mut file = files.begin("seals/000.seal", Access::Public).unwrap();
    file.write(b"new").unwrap();
    file.finish().unwrap();
    assert_eq!(files.read("seals/000.seal").unwrap().unwrap(), b"new");
}
