//! What is answered for what is found.

use std::fs::{File, FileTimes};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn the_file_registered_is_deleted_and_absent_when_asked_again() {
    let yard = Yard::new();
    for key in ["a", "x/a", "x/y/z/a"] {
        let version = yard.register(key, b"content");
        assert_eq!(yard.delete(key, &version), Answer::Deleted);
        assert_eq!(yard.read(key), None);
        assert_eq!(yard.delete(key, &version), Answer::Absent);
    }
    assert!(yard.quarantined().is_empty());
}

#[test]
fn answers_come_one_per_object_in_the_order_of_the_request() {
    let yard = Yard::new();
    let mut objects = Vec::new();
    let mut expected = Vec::new();
    for n in (0..40).rev() {
        let key = format!("{}/{n}", n % 7);
        let version = yard.register(&key, b"old");
        expected.push(match n % 3 {
            0 => {
                std::fs::remove_file(yard.path(key.as_bytes())).unwrap();
                Answer::Absent
            }
            1 => {
                yard.put(&key, b"newer");
                Answer::Changed
            }
            _ => Answer::Deleted,
        });
        objects.push((key.into_bytes(), version));
    }
    assert_eq!(delete_all(yard.store(), &objects), expected);
    assert!(yard.quarantined().is_empty());
    assert!(delete_all(yard.store(), &[]).is_empty());
}

#[test]
fn a_file_whose_folder_is_gone_is_absent() {
    let yard = Yard::new();
    let version = yard.register("a/b/c", b"x");
    std::fs::remove_dir_all(yard.root().join("a")).unwrap();
    assert_eq!(yard.delete("a/b/c", &version), Answer::Absent);
}

#[test]
fn a_file_overwritten_in_place_survives() {
    let yard = Yard::new();
    for newer in [&b"longer than before"[..], b"same!!!", b""] {
        let version = yard.register("a", b"content");
        yard.put("a", newer);
        assert_eq!(yard.delete("a", &version), Answer::Changed);
        assert_eq!(yard.read("a").unwrap(), newer);
    }
}

#[test]
fn a_file_with_the_same_size_and_another_mtime_survives() {
    let yard = Yard::new();
    let version = yard.register("a", b"content");
    let modified = std::fs::metadata(yard.root().join("a")).unwrap().modified().unwrap();
    let file = File::options().write(true).open(yard.root().join("a")).unwrap();
    file.set_modified(modified + std::time::Duration::from_nanos(1)).unwrap();
    assert_eq!(yard.delete("a", &version), Answer::Changed);
    file.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!(yard.delete("a", &version), Answer::Deleted, "the mtime is the one registered again");
}

#[test]
fn a_file_renamed_over_survives_even_with_the_same_content_and_mtime() {
    let yard = Yard::new();
    let version = yard.register("a", b"content");
    let modified = std::fs::metadata(yard.root().join("a")).unwrap().modified().unwrap();
    yard.put("new", b"content");
    File::options().write(true).open(yard.root().join("new")).unwrap().set_modified(modified).unwrap();
    std::fs::rename(yard.root().join("new"), yard.root().join("a")).unwrap();
    assert_eq!(yard.delete("a", &version), Answer::Changed);
    assert_eq!(yard.read("a").unwrap(), b"content");
}

#[test]
fn an_inode_number_given_to_another_file_does_not_make_it_the_file_registered() {
    let yard = Yard::new();
    let mut reused = false;
    for _ in 0..50 {
        yard.put("a", b"content");
        let version = yard.version("a", Identity::InodeOnly);
        let inode = std::fs::metadata(yard.root().join("a")).unwrap().ino();
        std::fs::remove_file(yard.root().join("a")).unwrap();
        yard.put("a", b"content");
        reused |= std::fs::metadata(yard.root().join("a")).unwrap().ino() == inode;
        assert_eq!(yard.delete("a", &version), Answer::Changed);
    }
    if !reused {
        println!("skipped: this file system gave no inode number a second time");
    }
}

#[test]
fn a_log_that_grew_is_deleted_by_its_inode_and_kept_by_its_exact_identity() {
    let yard = Yard::new();
    let exact = yard.register("log", b"line 1\n");
    let inode_only = yard.version("log", Identity::InodeOnly);
    assert!(exact.len() <= 64 && inode_only.len() <= 64);
    File::options().append(true).open(yard.root().join("log")).unwrap().write_all(b"line 2\n").unwrap();
    assert_eq!(yard.delete("log", &exact), Answer::Changed);
    assert_eq!(yard.delete("log", &inode_only), Answer::Deleted);
}

#[test]
fn a_log_begun_anew_after_rotation_is_not_deleted() {
    let yard = Yard::new();
    yard.put("log", b"old");
    let version = yard.version("log", Identity::InodeOnly);
    std::fs::rename(yard.root().join("log"), yard.root().join("log.1")).unwrap();
    yard.put("log", b"new");
    assert_eq!(yard.delete("log", &version), Answer::Changed);
    assert_eq!(yard.read("log").unwrap(), b"new");
    assert_eq!(yard.delete("log.1", &version), Answer::Deleted, "under its new name it is recognised");
}

#[test]
fn a_symbolic_link_on_the_way_is_never_followed() {
    let yard = Yard::new();
    let outside = tempfile::tempdir().unwrap();
    let version = yard.register("a/b/c", b"x");
    for target in [outside.path().to_path_buf(), yard.root().join("real"), "nowhere".into()] {
        if yard.root().join("a").is_symlink() {
            std::fs::remove_file(yard.root().join("a")).unwrap();
            std::fs::rename(yard.root().join("kept"), yard.root().join("a")).unwrap();
        }
        std::fs::rename(yard.root().join("a"), yard.root().join("kept")).unwrap();
        symlink(target, yard.root().join("a")).unwrap();
        assert_failed(&yard.delete("a/b/c", &version), &["`a/b`", "symbolic link"]);
        let error = yard.store().identify(b"a/b/c", Identity::Exact).unwrap_err();
        assert!(error.to_string().contains("symbolic link"), "{error}");
    }
    // A link to the very folder that holds the file registered is a link all the same.
    std::fs::remove_file(yard.root().join("a")).unwrap();
    symlink("kept", yard.root().join("a")).unwrap();
    assert_failed(&yard.delete("a/b/c", &version), &["symbolic link"]);
    assert_eq!(yard.read("kept/b/c").unwrap(), b"x");
}

#[test]
fn a_symbolic_link_at_the_name_is_another_object_and_left_alone() {
    let yard = Yard::new();
    let outside = tempfile::NamedTempFile::new().unwrap();
    for target in [outside.path(), Path::new("moved"), Path::new("nowhere")] {
        let version = yard.register("a", b"x");
        std::fs::rename(yard.root().join("a"), yard.root().join("moved")).unwrap();
        symlink(target, yard.root().join("a")).unwrap();
        assert_eq!(yard.delete("a", &version), Answer::Changed);
        assert!(yard.root().join("a").is_symlink() && outside.path().exists());
        assert_eq!(yard.read("moved").unwrap(), b"x");
        std::fs::remove_file(yard.root().join("a")).unwrap();
    }
}

#[test]
fn a_folder_a_pipe_and_a_socket_at_the_name_are_left_alone_and_not_registered() {
    let yard = Yard::new();
    let version = yard.register("a", b"x");
    let path = yard.root().join("a");
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
        assert_eq!(yard.delete("a", &version), Answer::Changed, "{what}");
        assert!(path.symlink_metadata().is_ok(), "{what}");
        let error = yard.store().identify(b"a", Identity::Exact).unwrap_err();
        assert!(matches!(error, DirError::Invalid(_)), "{error}");
    }
}

#[test]
fn malformed_keys_and_versions_fail_with_their_reason() {
    let yard = Yard::new();
    let outside = tempfile::NamedTempFile::new_in(yard.root().parent().unwrap()).unwrap();
    let version = yard.register("a", b"x");
    let sibling = format!("../{}", outside.path().file_name().unwrap().to_str().unwrap());
    for key in [sibling.as_bytes(), b"", b"/a", b"a/", b"./a", b"x/../a", b"a\0", b".sexton-quarantine/lock"]
    {
        assert_failed(&yard.delete(key, &version), &["key", "correct the registration"]);
        assert!(matches!(yard.store().identify(key, Identity::Exact), Err(DirError::Invalid(_))));
    }
    for bad in [&b""[..], b"etag", &version[..41], &[&version[..], b"0"].concat(), &[9; 42]] {
        assert_failed(&yard.delete("a", bad), &["version", "identify"]);
    }
    assert!(outside.path().exists());
    assert_eq!(yard.read("a").unwrap(), b"x");
}

#[test]
fn a_component_that_is_a_file_and_a_name_that_is_too_long_fail_with_what_to_do() {
    let yard = Yard::new();
    let version = yard.register("a", b"x");
    assert_failed(&yard.delete("a/b", &version), &["`a`", "not a folder"]);
    assert_failed(&yard.delete([b'n'; 300], &version), &["nnn", "no file can have such a name"]);
    assert_failed(
        &yard.delete([&[b'n'; 300][..], b"/a"].concat(), &version),
        &["no file can have such a name"],
    );
}

#[test]
fn an_immutable_file_and_an_immutable_folder_fail_and_keep_the_file() {
    let yard = Yard::new();
    let version = yard.register("x/a", b"x");
    let chattr = |flag: &str, name: &str| {
        let done = std::process::Command::new("chattr").arg(flag).arg(yard.root().join(name)).output();
        done.is_ok_and(|output| output.status.success())
    };
    for name in ["x/a", "x"] {
        if !chattr("+i", name) {
            println!("skipped: chattr +i needs root and a file system that knows it");
            return;
        }
        let answer = yard.delete("x/a", &version);
        assert!(chattr("-i", name));
        assert_failed(&answer, &["taking away `x/a`", "not permitted", "immutable"]);
        assert_eq!(yard.read("x/a").unwrap(), b"x");
        assert!(yard.quarantined().is_empty());
    }
    assert_eq!(yard.delete("x/a", &version), Answer::Deleted);
}

#[test]
fn the_longest_key_and_names_that_are_not_utf_8_work() {
    let yard = Yard::new();
    let longest = [&[b'd'; 255][..], &[b'e'; 255], &[b'f'; 255], &[b'n'; 254], b"x"].join(&b'/');
    assert_eq!(longest.len(), 1024);
    for key in [&b"\xff\xfe/\x80\n"[..], b"..a/...", b"name with ; and `", &longest] {
        let version = yard.register(key, b"x");
        assert_eq!(yard.delete(key, &version), Answer::Deleted, "{}", key.escape_ascii());
    }
    assert!(yard.quarantined().is_empty());
}

#[test]
fn another_hard_link_keeps_the_content_and_an_open_file_its_reader() {
    let yard = Yard::new();
    let version = yard.register("a", b"content");
    std::fs::hard_link(yard.root().join("a"), yard.root().join("b")).unwrap();
    let mut open = File::open(yard.root().join("a")).unwrap();
    assert_eq!(yard.delete("a", &version), Answer::Deleted);
    assert_eq!(yard.read("b").unwrap(), b"content");
    assert_eq!(yard.delete("b", &version), Answer::Deleted, "it is the same file under another name");
    let mut content = Vec::new();
    open.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"content");
}

#[test]
fn two_hard_links_in_one_part_both_go() {
    let yard = Yard::new();
    let version = yard.register("x/a", b"content");
    std::fs::hard_link(yard.root().join("x/a"), yard.root().join("b")).unwrap();
    let objects = [(b"b".to_vec(), version.clone()), (b"x/a".to_vec(), version)];
    assert_eq!(delete_all(yard.store(), &objects), [Answer::Deleted, Answer::Deleted]);
    assert!(yard.read("b").is_none() && yard.read("x/a").is_none());
}

#[test]
fn one_key_twice_in_a_part_is_worked_on_in_order() {
    let yard = Yard::new();
    let old = yard.register("a", b"old");
    let new = yard.register("a", b"newer");
    let key = b"a".to_vec();
    let objects = [(key.clone(), old), (key.clone(), new.clone()), (key, new)];
    assert_eq!(delete_all(yard.store(), &objects), [Answer::Changed, Answer::Deleted, Answer::Absent]);
}

#[test]
fn identify_tells_size_and_time_and_none_for_what_is_missing() {
    let yard = Yard::new();
    yard.put("x/a", b"12345");
    let found = yard.store().identify(b"x/a", Identity::Exact).unwrap().unwrap();
    assert_eq!(found.size_bytes, 5);
    let modified = std::fs::metadata(yard.root().join("x/a")).unwrap();
    assert_eq!(found.modified_ms, modified.mtime() * 1000 + modified.mtime_nsec() / 1_000_000);
    assert_eq!(yard.store().identify(b"x/b", Identity::Exact).unwrap(), None);
    assert_eq!(yard.store().identify(b"y/a", Identity::Exact).unwrap(), None);
}

#[test]
fn walking_finds_every_regular_file_and_nothing_else() {
    let yard = Yard::new();
    for key in ["a", "x/b", "x/y/c", ".hidden/d"] {
        yard.put(key, b"x");
    }
    symlink("x", yard.root().join("link")).unwrap();
    symlink("a", yard.root().join("x/link")).unwrap();
    let mut found = Vec::new();
    yard.store().walk(|path| found.push(String::from_utf8(path.to_vec()).unwrap())).unwrap();
    found.sort();
    assert_eq!(found, [".hidden/d", "a", "x/b", "x/y/c"]);
}
