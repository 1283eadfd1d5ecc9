//! Source tree: choice, list of files, copy.

use crate::cores::on_all_cores;
use crate::data::spinner;
use crate::format;
use crate::output::{self, Failure};
use sexton_proof::id::KEY_MAX_BYTES;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder in which most systems have thousands of real, readable files.
const SHARED_DATA: &str = "/usr/share";
/// Largest file that is copied. The demonstration needs many deletions, not long copies.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Tree with the files that can be copied from it.
pub(super) struct Tree {
    pub(super) root: PathBuf,
    /// Relative paths, in order.
    files: Vec<PathBuf>,
}

impl Tree {
    /// Returns a description for the user.
    pub(super) fn description(&self, wanted: usize) -> String {
        let root = self.root.display();
        if self.files.len() >= wanted {
            return format!("{} of {root}", format::counted(wanted, "file", "files"));
        }
        format!(
            "{root} has only {} of at most 1 MiB, fewer than the {} asked for; continuing with those",
            format::counted(self.files.len(), "file", "files"),
            format::count(wanted as u64)
        )
    }
}

/// A copied file.
pub(super) struct Copied {
    /// Path below the root of the store, which is the key.
    pub(super) key: Vec<u8>,
    /// BLAKE3 hash of the content.
    pub(super) digest: [u8; 32],
}

/// Returns the named tree. Without a name, returns the shared data of the system if that has enough files, otherwise
/// the larger of that and the Rust toolchain.
pub(super) fn choose(named: Option<&Path>, wanted: usize, out: &Path) -> Result<Tree, Failure> {
    let bar = spinner("listing files");
    // A few spare files, because some may be unreadable.
    let limit = wanted + wanted / 20 + 10;
    let out = fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    let tree = match named {
        Some(root) => {
            fs::read_dir(root)
                .map_err(|e| Failure::new(format!("cannot read the source {}: {e}", root.display())))?;
            list(root, limit, &out)
        }
        None => {
            let shared = list(Path::new(SHARED_DATA), limit, &out);
            match toolchain().filter(|_| shared.files.len() < wanted).map(|root| list(&root, limit, &out)) {
                Some(other) if other.files.len() > shared.files.len() => other,
                _ => shared,
            }
        }
    };
    bar.finish_and_clear();
    if tree.files.is_empty() {
        return Err(Failure::new(format!("{} has no files; name a tree with --source", tree.root.display())));
    }
    Ok(tree)
}

fn toolchain() -> Option<PathBuf> {
    let found = Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    found.status.success().then(|| PathBuf::from(path.trim_end()))
}

/// Lists up to `limit` regular files below `root`, in the order of their paths. Links are not followed, and unreadable
/// files are left out.
fn list(root: &Path, limit: usize, out: &Path) -> Tree {
    let mut files = Vec::new();
    walk(root, Path::new(""), limit, out, &mut files);
    Tree { root: root.to_owned(), files }
}

fn walk(root: &Path, below: &Path, limit: usize, out: &Path, files: &mut Vec<PathBuf>) {
    let folder = root.join(below);
    // The data folder may be inside the tree.
    if fs::canonicalize(&folder).is_ok_and(|folder| folder == out) {
        return;
    }
    let Ok(entries) = fs::read_dir(&folder) else { return };
    let mut entries: Vec<fs::DirEntry> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if files.len() >= limit {
            return;
        }
        let Ok(kind) = entry.file_type() else { continue };
        let path = below.join(entry.file_name());
        if path.as_os_str().len() > KEY_MAX_BYTES {
            continue;
        }
        if kind.is_dir() {
            walk(root, &path, limit, out, files);
        } else if kind.is_file() && entry.metadata().is_ok_and(|meta| meta.len() <= FILE_BYTES_MAX) {
            files.push(path);
        }
    }
}

/// Copies up to `wanted` files of the tree to `store`, and hashes their contents.
pub(super) fn copy(tree: &Tree, store: &Path, wanted: usize) -> Result<Vec<Copied>, Failure> {
    make_folders(&tree.files, store)?;
    let (first, spare) = tree.files.split_at(wanted.min(tree.files.len()));
    let bar = output::progress(first.len(), "copying files");
    let copied = on_all_cores(first, |path| copy_one(&tree.root, store, path).inspect(|_| bar.inc(1)))?;
    let mut copied: Vec<Copied> = copied.into_iter().flatten().collect();
    for path in spare {
        if copied.len() == wanted {
            break;
        }
        copied.extend(copy_one(&tree.root, store, path)?);
    }
    bar.finish_and_clear();
    if copied.is_empty() {
        return Err(Failure::new(format!("no file of {} can be read", tree.root.display())));
    }
    Ok(copied)
}

/// Creates the folders of these files, which are in order.
fn make_folders(files: &[PathBuf], store: &Path) -> Result<(), Failure> {
    let mut last = None;
    for parent in files.iter().map(|file| file.parent().unwrap_or(Path::new(""))) {
        if last != Some(parent) {
            let folder = store.join(parent);
            fs::create_dir_all(&folder).map_err(|e| cannot_write(&folder, &e))?;
            last = Some(parent);
        }
    }
    Ok(())
}

/// Copies a file. Returns `None` if it cannot be read.
fn copy_one(root: &Path, store: &Path, path: &Path) -> Result<Option<Copied>, Failure> {
    let Ok(content) = fs::read(root.join(path)) else { return Ok(None) };
    let target = store.join(path);
    File::create_new(&target)
        .and_then(|mut file| file.write_all(&content))
        .map_err(|e| cannot_write(&target, &e))?;
    let key = path.as_os_str().as_bytes().to_vec();
    Ok(Some(Copied { key, digest: *blake3::hash(&content).as_bytes() }))
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot write {}: {error}", path.display()))
}

/// Counts the regular files in the store, without its quarantine.
pub(super) fn count_files(store: &Path) -> Result<usize, Failure> {
    let mut left = vec![store.to_owned()];
    let mut n = 0;
    while let Some(folder) = left.pop() {
        let cannot = |e: io::Error| Failure::new(format!("cannot read the folder {}: {e}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let kind = entry.file_type().map_err(cannot)?;
            if kind.is_file() {
                n += 1;
            } else if kind.is_dir() && entry.file_name() != ".sexton-quarantine" {
                left.push(entry.path());
            }
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_orders_files_and_skips_links_and_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["b/two", "b/one", "a", "out/index/CURRENT", "c/d/e"] {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            File::create(root.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("a"), root.join("link")).unwrap();
        std::os::unix::fs::symlink(root, root.join("circle")).unwrap();
        let out = fs::canonicalize(root.join("out")).unwrap();
        let names =
            |limit| list(root, limit, &out).files.iter().map(|p| p.display().to_string()).collect::<Vec<_>>();
        assert_eq!(names(10), ["a", "b/one", "b/two", "c/d/e"]);
        assert_eq!(names(2), ["a", "b/one"]);
    }

    #[test]
    fn copy_has_contents_and_hashes() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("from/x")).unwrap();
        File::create(folder.path().join("from/x/cat")).unwrap().write_all(b"meow").unwrap();
        let tree = choose(Some(&folder.path().join("from")), 5, &folder.path().join("to")).unwrap();
        assert_eq!(tree.files.len(), 1);
        let store = folder.path().join("to/store");
        let copied = copy(&tree, &store, 5).unwrap();
        assert_eq!(copied[0].key, b"x/cat");
        assert_eq!(copied[0].digest, *blake3::hash(b"meow").as_bytes());
        assert_eq!(fs::read(store.join("x/cat")).unwrap(), b"meow");
        assert_eq!(count_files(&store).unwrap(), 1);
    }
}
