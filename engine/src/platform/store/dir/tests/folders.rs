//! Listing of single folders.

use std::os::unix::fs::symlink;

use super::*;

/// Files, folders and skipped paths of a folder, and whether it was opened.
type Listed = (Option<Vec<String>>, Vec<String>, Vec<String>, bool);

fn list(sandbox: &Sandbox, path: &str, filter: &Filter) -> Listed {
    let text = |path: &[u8]| String::from_utf8(path.to_vec()).unwrap();
    let (mut files, mut others, mut opened) = (Vec::new(), Vec::new(), false);
    let visit = |found: Found<'_>| match found {
        Found::File(path) => files.push(text(path)),
        Found::Other { path, .. } | Found::Skipped { path, .. } => others.push(text(path)),
    };
    let root = sandbox.store().root().unwrap();
    let folders = root.read_folder(path.as_bytes(), filter, |_| opened = true, visit).unwrap();
    let mut folders = folders.map(|names| names.iter().map(|name| text(name)).collect::<Vec<_>>());
    folders.iter_mut().for_each(|names| names.sort());
    files.sort();
    (folders, files, others, opened)
}

#[test]
fn read_folder_lists_one_level_of_what_the_filter_takes() {
    let sandbox = Sandbox::new();
    for key in ["top", "a/1", "a/2.tmp", "a/b/c/deep", "closed/x"] {
        sandbox.put(key, b"x");
    }
    symlink("a", sandbox.root().join("link")).unwrap();
    let filter = Filter::new([], ["closed", "*.tmp"]).unwrap();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let top = (Some(names(&["a", "closed"])), names(&["top"]), names(&["link"]), true);
    assert_eq!(list(&sandbox, "", &filter), top);
    assert_eq!(
        list(&sandbox, "a", &filter),
        (Some(names(&["b"])), names(&["a/1"]), names(&["a/2.tmp"]), true)
    );
    assert_eq!(list(&sandbox, "a/b/c", &filter), (Some(vec![]), names(&["a/b/c/deep"]), vec![], true));
    assert_eq!(list(&sandbox, "closed", &filter), (None, vec![], names(&["closed"]), false));
    // A link, a file and a missing folder are no folders, also as a part of the path. The quarantine is none of ours.
    for path in ["link", "link/b", "top", "gone", "gone/b", ".sexton-quarantine", ".sexton-quarantine/x"] {
        assert_eq!(list(&sandbox, path, &filter), (None, vec![], vec![], false), "{path}");
    }
}

#[test]
fn overlapping_roots_are_found_through_links() {
    let [one, two] = [Sandbox::new(), Sandbox::new()];
    let inside = one.root().join("in");
    fs::create_dir(&inside).unwrap();
    symlink(&inside, two.root().join("link")).unwrap();
    let open = |path: &Path| Root::open(path).unwrap();
    assert!(!open(one.root()).overlaps(&open(two.root())).unwrap());
    assert!(open(one.root()).overlaps(&open(&two.root().join("link"))).unwrap());
    assert!(open(&two.root().join("link")).overlaps(&open(one.root())).unwrap());
    assert!(open(one.root()).overlaps(&open(one.root())).unwrap());
}
