//! Answers for every kind of file that may be found under a key.

use std::fs::{File, FileTimes};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn registered_file_is_deleted_then_absent() {
    let sandbox = Sandbox::new();
    for key in ["a", "x/a", "x/y/z/a"] {
        let version = sandbox.register(key, b"content");
        assert_eq!(sandbox.delete(key, &version), Answer::Deleted);
        assert_eq!(sandbox.read(key), None);
        assert_eq!(sandbox.delete(key, &version), Answer::Absent);
    }
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn answers_come_in_the_order_of_the_objects() {
    let sandbox = Sandbox::new();
    let mut objects = Vec::new();
    let mut expected = Vec::new();
    for n in (0..40).rev() {
        let key = format!("{}/{n}", n % 7);
        let version = sandbox.register(&key, b"old");
        expected.push(match n % 3 {
            0 => {
                std::fs::remove_file(sandbox.path(key.as_bytes())).unwrap();
                Answer::Absent
            }
            1 => {
                sandbox.put(&key, b"newer");
                Answer::Changed
            }
            _ => Answer::Deleted,
        });
        objects.push((key.into_bytes(), version));
    }
    assert_eq!(delete_all(sandbox.store(), &objects), expected);
    assert!(sandbox.quarantined().is_empty());
    assert!(delete_all(sandbox.store(), &[]).is_empty());
}

#[test]
fn file_whose_folder_is_gone_is_absent() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a/b/c", b"x");
    std::fs::remove_dir_all(sandbox.root().join("a")).unwrap();
    assert_eq!(sandbox.delete("a/b/c", &version), Answer::Absent);
}

#[test]
fn file_overwritten_in_place_is_kept() {
    let sandbox = Sandbox::new();
    for newer in [&b"longer than before"[..], b"same!!!", b""] {
        let version = sandbox.register("a", b"content");
        sandbox.put("a", newer);
        assert_eq!(sandbox.delete("a", &version), Answer::Changed);
        assert_eq!(sandbox.read("a").unwrap(), newer);
    }
}

#[test]
fn file_with_same_size_and_another_mtime_is_kept() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"content");
    let modified = std::fs::metadata(sandbox.root().join("a")).unwrap().modified().unwrap();
    let file = File::options().write(true).open(sandbox.root().join("a")).unwrap();
    file.set_modified(modified + std::time::Duration::from_nanos(1)).unwrap();
    assert_eq!(sandbox.delete("a", &version), Answer::Changed);
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!(sandbox.delete("a", &version), Answer::Deleted, "the mtime is again the registered one");
}

#[test]
fn file_renamed_over_with_same_content_and_mtime_is_kept() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"content");
    let modified = std::fs::metadata(sandbox.root().join("a")).unwrap().modified().unwrap();
    sandbox.put("new", b"content");
    File::options().write(true).open(sandbox.root().join("new")).unwrap().set_modified(modified).unwrap();
    std::fs::rename(sandbox.root().join("new"), sandbox.root().join("a")).unwrap();
    assert_eq!(sandbox.delete("a", &version), Answer::Changed);
    assert_eq!(sandbox.read("a").unwrap(), b"content");
}

#[test]
fn reused_inode_number_is_another_file() {
    let sandbox = Sandbox::new();
    let mut reused = false;
    for _ in 0..50 {
        sandbox.put("a", b"content");
        let version = sandbox.version("a", Identity::InodeOnly);
        let inode = std::fs::metadata(sandbox.root().join("a")).unwrap().ino();
        std::fs::remove_file(sandbox.root().join("a")).unwrap();
        sandbox.put("a", b"content");
        reused |= std::fs::metadata(sandbox.root().join("a")).unwrap().ino() == inode;
        assert_eq!(sandbox.delete("a", &version), Answer::Changed);
    }
    if !reused {
        println!("skipped: this file system reused no inode number");
    }
}

#[test]
fn grown_log_is_deleted_by_inode_and_kept_by_exact_identity() {
    let sandbox = Sandbox::new();
    let exact = sandbox.register("log", b"line 1\n");
    let inode_only = sandbox.version("log", Identity::InodeOnly);
    assert!(exact.len() <= 64 && inode_only.len() <= 64);
    File::options().append(true).open(sandbox.root().join("log")).unwrap().write_all(b"line 2\n").unwrap();
    assert_eq!(sandbox.delete("log", &exact), Answer::Changed);
    assert_eq!(sandbox.delete("log", &inode_only), Answer::Deleted);
}

#[test]
fn new_log_after_rotation_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.put("log", b"old");
    let version = sandbox.version("log", Identity::InodeOnly);
    std::fs::rename(sandbox.root().join("log"), sandbox.root().join("log.1")).unwrap();
    sandbox.put("log", b"new");
    assert_eq!(sandbox.delete("log", &version), Answer::Changed);
    assert_eq!(sandbox.read("log").unwrap(), b"new");
    assert_eq!(sandbox.delete("log.1", &version), Answer::Deleted, "under its new name it is recognised");
}

#[test]
fn symbolic_link_in_the_path_is_never_followed() {
    let sandbox = Sandbox::new();
    let outside = tempfile::tempdir().unwrap();
    let version = sandbox.register("a/b/c", b"x");
    for target in [outside.path().to_path_buf(), sandbox.root().join("real"), "nowhere".into()] {
        if sandbox.root().join("a").is_symlink() {
            std::fs::remove_file(sandbox.root().join("a")).unwrap();
            std::fs::rename(sandbox.root().join("kept"), sandbox.root().join("a")).unwrap();
        }
        std::fs::rename(sandbox.root().join("a"), sandbox.root().join("kept")).unwrap();
        symlink(target, sandbox.root().join("a")).unwrap();
        assert_failed(&sandbox.delete("a/b/c", &version), &["`a/b`", "symbolic link"]);
        let error = sandbox.store().identify(b"a/b/c", Identity::Exact).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    // A link to the folder of the registered file is not followed either.
    std::fs::remove_file(sandbox.root().join("a")).unwrap();
    symlink("kept", sandbox.root().join("a")).unwrap();
    assert_failed(&sandbox.delete("a/b/c", &version), &["symbolic link"]);
    assert_eq!(sandbox.read("kept/b/c").unwrap(), b"x");
}

#[test]
fn symbolic_link_at_the_name_is_kept() {
    let sandbox = Sandbox::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    for target in [outside.path(), Path::new("moved"), Path::new("nowhere")] {
        let version = sandbox.register("a", b"x");
        std::fs::rename(sandbox.root().join("a"), sandbox.root().join("moved")).unwrap();
        symlink(target, sandbox.root().join("a")).unwrap();
        assert_eq!(sandbox.delete("a", &version), Answer::Changed);
        assert!(sandbox.root().join("a").is_symlink() && outside.path().exists());
        assert_eq!(sandbox.read("moved").unwrap(), b"x");
        std::fs::remove_file(sandbox.root().join("a")).unwrap();
    }
}

#[test]
fn folder_pipe_and_socket_are_kept_and_not_identified() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    let path = sandbox.root().join("a");
    let makers: [(&str, &dyn Fn()); 3] = [
        ("folder", &|| std::fs::create_dir(&path).unwrap()),
        ("pipe", &|| {
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        }),
        ("socket", &|| drop(UnixListener::bind(&path).unwrap())),
    ];
    for (what, make) in makers {
        std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
        make();
        assert_eq!(sandbox.delete("a", &version), Answer::Changed, "{what}");
        assert!(path.symlink_metadata().is_ok(), "{what}");
        let error = sandbox.store().identify(b"a", Identity::Exact).unwrap_err();
        assert!(matches!(error, DirError::Invalid(_)), "{error}");
    }
}

#[test]
fn malformed_keys_and_versions_fail_with_their_reason() {
    let sandbox = Sandbox::new();
    let outside = tempfile::NamedTempFile::new_in(sandbox.root().parent().unwrap()).unwrap();
    let version = sandbox.register("a", b"x");
    let sibling = format!("../{}", outside.path().file_name().unwrap().to_str().unwrap());
    for key in [sibling.as_bytes(), b"", b"/a", b"a/", b"./a", b"x/../a", b"a\0", b".sexton-quarantine/lock"]
    {
        assert_failed(&sandbox.delete(key, &version), &["key", "correct the registration"]);
        assert!(matches!(sandbox.store().identify(key, Identity::Exact), Err(DirError::Invalid(_))));
    }
    for bad in [&b""[..], b"etag", &version[..49], &[&version[..], b"0"].concat(), &[9; 50]] {
        assert_failed(&sandbox.delete("a", bad), &["version", "identify"]);
    }
    assert!(outside.path().exists());
    assert_eq!(sandbox.read("a").unwrap(), b"x");
}

#[test]
fn file_as_component_and_overlong_name_fail_with_advice() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"x");
    assert_failed(&sandbox.delete("a/b", &version), &["`a`", "not a folder"]);
    assert_failed(&sandbox.delete([b'n'; 300], &version), &["nnn", "no file can have such a name"]);
    assert_failed(
        &sandbox.delete([&[b'n'; 300][..], b"/a"].concat(), &version),
        &["no file can have such a name"],
    );
}

#[test]
fn immutable_file_or_folder_fails_and_keeps_the_file() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"x");
    let chattr = |flag: &str, name: &str| {
        let done = std::process::Command::new("chattr").arg(flag).arg(sandbox.root().join(name)).output();
        done.is_ok_and(|output| output.status.success())
    };
    for name in ["x/a", "x"] {
        if !chattr("+i", name) {
            println!("skipped: chattr +i needs root and a file system that knows it");
            return;
        }
        let answer = sandbox.delete("x/a", &version);
        assert!(chattr("-i", name));
        assert_failed(&answer, &["taking away `x/a`", "not permitted", "immutable"]);
        assert_eq!(sandbox.read("x/a").unwrap(), b"x");
        assert!(sandbox.quarantined().is_empty());
    }
    assert_eq!(sandbox.delete("x/a", &version), Answer::Deleted);
}

#[test]
fn longest_key_and_names_that_are_not_utf_8_work() {
    let sandbox = Sandbox::new();
    let longest = [[b'd'; 255]; 8].join(&b'/');
    assert_eq!(longest.len(), 2047);
    for key in [&b"\xff\xfe/\x80\n"[..], b"..a/...", b"name with ; and `", &longest] {
        let version = sandbox.register(key, b"x");
        assert_eq!(sandbox.delete(key, &version), Answer::Deleted, "{}", key.escape_ascii());
    }
    assert!(sandbox.quarantined().is_empty());
}

#[test]
fn hard_link_and_open_file_keep_the_content() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("a", b"content");
    std::fs::hard_link(sandbox.root().join("a"), sandbox.root().join("b")).unwrap();
    let mut open = File::open(sandbox.root().join("a")).unwrap();
    assert_eq!(sandbox.delete("a", &version), Answer::Deleted);
    assert_eq!(sandbox.read("b").unwrap(), b"content");
    assert_eq!(sandbox.delete("b", &version), Answer::Deleted, "it is the same file under another name");
    let mut content = Vec::new();
    open.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"content");
}

#[test]
fn two_hard_links_in_one_sub_batch_are_both_deleted() {
    let sandbox = Sandbox::new();
    let version = sandbox.register("x/a", b"content");
    std::fs::hard_link(sandbox.root().join("x/a"), sandbox.root().join("b")).unwrap();
    let objects = [(b"b".to_vec(), version.clone()), (b"x/a".to_vec(), version)];
    assert_eq!(delete_all(sandbox.store(), &objects), [Answer::Deleted, Answer::Deleted]);
    assert!(sandbox.read("b").is_none() && sandbox.read("x/a").is_none());
}

#[test]
fn same_key_twice_in_a_sub_batch_is_processed_in_order() {
    let sandbox = Sandbox::new();
    let old = sandbox.register("a", b"old");
    let new = sandbox.register("a", b"newer");
    let key = b"a".to_vec();
    let objects = [(key.clone(), old), (key.clone(), new.clone()), (key, new)];
    assert_eq!(delete_all(sandbox.store(), &objects), [Answer::Changed, Answer::Deleted, Answer::Absent]);
}

#[test]
fn identify_returns_size_and_time_or_none() {
    let sandbox = Sandbox::new();
    sandbox.put("x/a", b"12345");
    let found = sandbox.store().identify(b"x/a", Identity::Exact).unwrap().unwrap();
    assert_eq!(found.size, 5);
    let modified = std::fs::metadata(sandbox.root().join("x/a")).unwrap();
    assert_eq!(found.modified.unix_ms(), modified.mtime() * 1000 + modified.mtime_nsec() / 1_000_000);
    assert_eq!(sandbox.store().identify(b"x/b", Identity::Exact).unwrap(), None);
    assert_eq!(sandbox.store().identify(b"y/a", Identity::Exact).unwrap(), None);
}

#[test]
fn walk_visits_every_regular_file_and_nothing_else() {
    let sandbox = Sandbox::new();
    for key in ["a", "x/b", "x/y/c", ".hidden/d"] {
        sandbox.put(key, b"x");
    }
    symlink("x", sandbox.root().join("link")).unwrap();
    symlink("a", sandbox.root().join("x/link")).unwrap();
    let found: Vec<String> = [".hidden/d", "a", "x/b", "x/y/c"].map(str::to_owned).into();
    assert_eq!(sandbox.walk(), (found, vec![]));
}

/// The folders of the root are `closed` (excluded), `empty`, `full/in` (empty), and `taken`.
#[test]
fn walk_tells_kinds_and_asks_the_filter() {
    let sandbox = Sandbox::new();
    for key in ["a", "a.tmp", "closed/empty", "taken/b", "taken/c.tmp"] {
        sandbox.put(key, b"x");
    }
    for folder in ["closed/in", "empty", "full/in"] {
        std::fs::create_dir_all(sandbox.root().join(folder)).unwrap();
    }
    symlink("a", sandbox.root().join("link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(sandbox.root().join("full/socket")).unwrap();
    let root = File::open(sandbox.root()).unwrap();
    rustix::fs::mknodat(&root, "fifo", rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let filter = Filter::new(["a*", "taken"], ["closed", "*.tmp"]).unwrap();
    let (mut files, mut others) = (Vec::new(), Vec::new());
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let visit = |found: Found<'_>| match found {
        Found::File(path) => files.push(text(path)),
        Found::Other { path, kind } => others.push((kind, text(path))),
        Found::Skipped { .. } => panic!("{found:?}"),
    };
    sandbox.store().root().unwrap().walk(&filter, visit).unwrap();
    files.sort();
    others.sort();
    assert_eq!(files, ["a", "taken/b"]);
    let expected = [
        (Kind::SymbolicLink, "link"),
        (Kind::Socket, "full/socket"),
        (Kind::Fifo, "fifo"),
        (Kind::EmptyFolder, "empty"),
        (Kind::EmptyFolder, "full/in"),
        (Kind::ExcludedFile, "a.tmp"),
        (Kind::ExcludedFile, "taken/c.tmp"),
        (Kind::ExcludedFolder, "closed"),
    ];
    assert_eq!(others, expected.map(|(kind, path)| (kind, path.to_owned())));
}

#[test]
fn remove_empty_folder_takes_empty_folders_of_the_root_only() {
    let sandbox = Sandbox::new();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(elsewhere.path().join("in")).unwrap();
    std::fs::create_dir_all(sandbox.root().join("a/b")).unwrap();
    sandbox.put("full/file", b"x");
    symlink(elsewhere.path(), sandbox.root().join("link")).unwrap();
    symlink("a", sandbox.root().join("to a")).unwrap();
    let root = sandbox.store().root().unwrap();
    let remove = |path: &str| root.remove_empty_folder(path.as_bytes()).map_err(DirError::into_message);
    for path in ["a", "full", "full/file", "gone", "gone/in", "link", "to a"] {
        assert_eq!(remove(path), Ok(false), "{path}");
    }
    for path in ["", ".", "..", "a/..", ".sexton-quarantine", ".sexton-quarantine/reserve", "link/in"] {
        remove(path).unwrap_err();
    }
    assert_eq!((remove("a/b"), remove("a")), (Ok(true), Ok(true)));
    assert!(!sandbox.root().join("a").exists() && sandbox.root().join("full/file").exists());
    assert!(
        elsewhere.path().join("in").exists() && sandbox.root().join(".sexton-quarantine/reserve").exists()
    );
}

/// At 4,000 levels with a file and a side folder each, returning to every level from the root would open 16 million
/// folders.
#[test]
fn walk_of_deep_folders_is_linear_and_needs_few_descriptors() {
    const DEPTH: usize = 4_000;
    let sandbox = Sandbox::new();
    let mut here: OwnedFd = File::open(sandbox.root()).unwrap().into();
    for _ in 0..DEPTH {
        for name in ["d", "side"] {
            rustix::fs::mkdirat(&here, name, rustix::fs::Mode::RWXU).unwrap();
        }
        let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
        rustix::fs::openat(&here, "side/f", flags, rustix::fs::Mode::RUSR).unwrap();
        here = path::open_folder(here.as_fd(), b"d").unwrap();
    }
    let (files, skipped) = sandbox.walk();
    assert_eq!((files.len(), skipped), (DEPTH, vec![]));
    let longest = files.iter().max_by_key(|path| path.len()).unwrap();
    assert_eq!(longest.len(), 2 * (DEPTH - 1) + "side/f".len());
}

/// A folder can be replaced, moved away or removed while the walk is below it.
#[test]
fn walk_goes_on_if_its_folders_are_moved_meanwhile() {
    let sandbox = Sandbox::new();
    for key in ["a/b/c/file", "a/other/file", "other/file"] {
        sandbox.put(key, b"x");
    }
    let mut seen = Vec::new();
    let visit = |found: Found<'_>| {
        let Found::File(path) = found else { panic!("{found:?}") };
        if path == b"a/b/c/file" {
            std::fs::create_dir(sandbox.root().join("elsewhere")).unwrap();
            std::fs::rename(sandbox.path(b"a/b"), sandbox.path(b"elsewhere/b")).unwrap();
            sandbox.put("elsewhere/stray", b"x");
        }
        seen.push(String::from_utf8(path.to_vec()).unwrap());
    };
    sandbox.store().root().unwrap().walk(&Filter::default(), visit).unwrap();
    seen.sort();
    assert_eq!(seen, ["a/b/c/file", "a/other/file", "other/file"]);
}

/// Permissions do not stop the superuser, who runs this test again as another user.
#[test]
fn walk_leaves_out_an_unreadable_folder_and_goes_on() {
    let sandbox = Sandbox::new();
    for key in ["a/file", "lost+found/file", "z/file"] {
        sandbox.put(key, b"x");
    }
    let closed = sandbox.path(b"lost+found");
    let close = |mode| std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(mode)).unwrap();
    close(0o000);
    if std::fs::read_dir(&closed).is_ok() {
        let name = std::thread::current().name().unwrap().to_owned();
        let mut again = std::process::Command::new("setpriv");
        again
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(std::env::current_exe().unwrap());
        let ran = again.args(["--exact", &name]).env("TMPDIR", "/tmp").output().unwrap();
        assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "{ran:?}");
        return;
    }
    let (files, skipped) = sandbox.walk();
    close(0o700);
    assert_eq!(files, ["a/file", "z/file"]);
    assert!(skipped.len() == 1 && skipped[0].starts_with("lost+found: "), "{skipped:?}");
    assert!(skipped[0].contains("give this process read"), "{skipped:?}");
}
