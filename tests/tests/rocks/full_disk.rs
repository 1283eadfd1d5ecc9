//! Steps of the index that need room on the disk. Without it they are refused before they begin.

use sexton::ErrorKind;
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use sexton::testing::kv::{ColumnFamily, Kv, WriteSet};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
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
