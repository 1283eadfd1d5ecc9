//! Tests of the store on real folders. Run them with `TMPDIR=/dev/shm` too, for another file system.
#![expect(
    clippy::disallowed_methods,
    reason = "the files of these tests need not outlive a crash of the machine"
)]

mod answers;
mod crash;
mod disks;
mod folders;
mod races;
mod roots;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::disk::{Hook, HookAction, Step};
use super::identity::Seen;
use super::*;
use crate::platform::store::StoredObject;

/// Root with an open store.
struct Sandbox {
    dir: tempfile::TempDir,
    store: Option<DirStore>,
}

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        Self { dir, store: Some(store) }
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn store(&self) -> &DirStore {
        self.store.as_ref().unwrap()
    }

    fn path(&self, key: &[u8]) -> PathBuf {
        self.root().join(std::ffi::OsStr::from_bytes(key))
    }

    /// Writes a file, and creates its folders.
    fn put(&self, key: impl AsRef<[u8]>, content: &[u8]) {
        let path = self.path(key.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes a file and returns its exact version.
    fn register(&self, key: impl AsRef<[u8]>, content: &[u8]) -> Vec<u8> {
        self.put(&key, content);
        self.version(&key, Identity::Exact)
    }

    fn version(&self, key: impl AsRef<[u8]>, identity: Identity) -> Vec<u8> {
        self.store().identify(key.as_ref(), identity).unwrap().unwrap().version
    }

    /// Returns the keys of all files, and the paths of skipped folders with the reasons.
    fn walk(&self) -> (Vec<String>, Vec<String>) {
        let (mut files, mut skipped) = (Vec::new(), Vec::new());
        let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
        let visit = |found: Found<'_>| match found {
            Found::File(path) => files.push(text(path)),
            Found::Skipped { path, why, .. } => skipped.push(format!("{}: {why}", text(path))),
            Found::Other { .. } => {}
        };
        self.store().root().unwrap().walk(&Filter::default(), visit).unwrap();
        files.sort();
        skipped.sort();
        (files, skipped)
    }

    fn read(&self, key: impl AsRef<[u8]>) -> Option<Vec<u8>> {
        fs::read(self.path(key.as_ref())).ok()
    }

    fn delete(&self, key: impl AsRef<[u8]>, version: &[u8]) -> Answer {
        let mut answers = delete_all(self.store(), &[(key.as_ref().to_vec(), version.to_vec())]);
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    /// Closes the store as a crash does, and opens it again.
    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(DirStore::reopen(self.root()).unwrap());
    }

    fn hook(&self, hook: impl Fn(Step, &[u8]) -> HookAction + Send + Sync + 'static) {
        *self.store().disk.hook.write() = Some(Box::new(hook) as Hook);
    }

    /// Returns the files in all bays of the quarantine, as `bay/name`.
    fn quarantined(&self) -> Vec<String> {
        let mut found = Vec::new();
        for bay in fs::read_dir(self.root().join(".sexton-quarantine")).unwrap() {
            let bay = bay.unwrap();
            if !bay.file_type().unwrap().is_dir() || bay.file_name() == "reserve" {
                continue;
            }
            for file in fs::read_dir(bay.path()).unwrap() {
                let name = file.unwrap().file_name().into_string().unwrap();
                found.push(format!("{}/{name}", bay.file_name().to_str().unwrap()));
            }
        }
        found
    }
}

fn delete_all(store: &DirStore, objects: &[(Vec<u8>, Vec<u8>)]) -> Vec<Answer> {
    let objects: Vec<StoredObject<'_>> =
        objects.iter().map(|(key, version)| StoredObject { key, version, digest: b"", size: None }).collect();
    store.delete(&SubBatch {
        batch: 7,
        class: "upload-3h",
        disposition: Disposition::Delete,
        attempt: 1,
        epoch: 1,
        objects: &objects,
    })
}

#[track_caller]
fn assert_failed(answer: &Answer, words: &[&str]) {
    let Answer::Failed(why) = answer else { panic!("{answer:?} is not failed") };
    for word in words {
        assert!(why.contains(word), "`{word}` is missing in: {why}");
    }
    assert!(why.contains(';') && why.starts_with(char::is_lowercase), "what to do is missing in: {why}");
}
