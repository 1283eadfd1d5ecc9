use super::super::disk::DiskFiles;
use super::super::{Access, Files};
use super::*;
use crate::platform::error::ErrorKind;
use crate::platform::pool::Pool;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use tempfile::TempDir;

const PATH: &str = "seals/000.seal";
const TEMPORARY: &str = "seals/.tmp-000.seal";

fn files(folder: &TempDir) -> DiskFiles {
    DiskFiles::new(folder.path(), Arc::new(Pool::none()))
}

fn mode(folder: &TempDir, path: &str) -> u32 {
    fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777
}

/// Returns bytes that differ from piece to piece and within a piece.
fn piece(bytes: usize, seed: usize) -> Vec<u8> {
    (0..=250).cycle().skip(seed).take(bytes).collect()
}

#[test]
fn streamed_file_equals_one_that_was_replaced() {
    let sizes = [0, 1, 4_095, (1 << 20) + 1];
    for access in [Access::Public, Access::Private] {
        // All orders of two sizes, with a sync between them or not.
        for first in sizes {
            for (second, syncs) in sizes.iter().flat_map(|second| [(*second, false), (*second, true)]) {
                let folder = tempfile::tempdir().unwrap();
                let files = files(&folder);
                let pieces = [piece(first, 1), piece(second, 2), piece(7, 3)];
                let mut file = files.begin(PATH, access).unwrap();
                for piece in &pieces {
                    file.write(piece).unwrap();
                    if syncs {
                        file.sync().unwrap();
                    }
                }
                file.finish().unwrap();
                files.replace("other/000.seal", &pieces.concat(), access).unwrap();
                let (streamed, whole) = (files.read(PATH).unwrap(), files.read("other/000.seal").unwrap());
                assert!(streamed == whole, "pieces of {first} and {second} bytes");
                assert_eq!(mode(&folder, PATH), mode(&folder, "other/000.seal"));
                assert_eq!(mode(&folder, "seals"), mode(&folder, "other"));
                assert!(!folder.path().join(TEMPORARY).exists());
            }
        }
    }
}

#[test]
fn old_file_stays_until_finish_and_after_a_drop() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    files.replace(PATH, b"old", Access::Public).unwrap();
    for dropped in [true, false] {
        let mut file = files.begin(PATH, Access::Public).unwrap();
        file.write(&piece(3 << 20, 0)).unwrap();
        file.sync().unwrap();
        assert_eq!(files.read(PATH).unwrap().unwrap(), b"old");
        assert!(folder.path().join(TEMPORARY).exists());
        if dropped {
            drop(file);
            assert_eq!(files.read(PATH).unwrap().unwrap(), b"old");
        } else {
            file.finish().unwrap();
            assert!(files.read(PATH).unwrap().unwrap() == piece(3 << 20, 0));
        }
        assert!(!folder.path().join(TEMPORARY).exists());
    }
}

/// A process that is killed runs no destructors, so its file is forgotten here.
#[test]
fn begin_replaces_what_a_lost_process_left() {
    let folder = tempfile::tempdir().unwrap();
    let lost = files(&folder);
    lost.replace(PATH, b"old", Access::Public).unwrap();
    let mut file = lost.begin(PATH, Access::Public).unwrap();
    file.write(&piece(2 << 20, 0)).unwrap();
    std::mem::forget(file);
    assert_eq!(mode(&folder, TEMPORARY), 0o644);

    let again = files(&folder);
    assert_eq!(again.read(PATH).unwrap().unwrap(), b"old");
    let mut file = again.begin(PATH, Access::Private).unwrap();
    file.write(b"new").unwrap();
    file.finish().unwrap();
    assert_eq!(mode(&folder, PATH), 0o600, "the mode is that of the lost file");
    assert_eq!(files(&folder).read(PATH).unwrap().unwrap(), b"new");
    assert!(!folder.path().join(TEMPORARY).exists());
}

#[test]
fn files_of_two_paths_are_written_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    let paths = [PATH, "seals/001.seal"];
    let mut begun = paths.map(|path| files.begin(path, Access::Public).unwrap());
    for round in 0..5 {
        for (at, file) in begun.iter_mut().enumerate() {
            file.write(&piece(300_000, at + 10 * round)).unwrap();
        }
    }
    begun.into_iter().for_each(|file| file.finish().unwrap());
    for (at, path) in paths.iter().enumerate() {
        let expected: Vec<u8> = (0..5).flat_map(|round| piece(300_000, at + 10 * round)).collect();
        assert!(files.read(path).unwrap().unwrap() == expected, "{path}");
    }
}

#[test]
fn finish_that_cannot_rename_leaves_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let files = files(&folder);
    fs::create_dir_all(folder.path().join(PATH).join("in the way")).unwrap();
    let mut file = files.begin(PATH, Access::Public).unwrap();
    file.write(b"new").unwrap();
    let error = file.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains(PATH), "{error}");
    assert!(!folder.path().join(TEMPORARY).exists());
}
