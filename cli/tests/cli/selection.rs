//! Entries of a folder that `reconcile` does not take, and `--include` and `--exclude`.

use crate::run::write;
use crate::sandbox::{HOUR_MS, Sandbox};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

const RECONCILE: [&str; 6] = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow"];

fn with<'w>(more: &[&'w str]) -> Vec<&'w str> {
    [&RECONCILE, more].concat()
}

/// Returns the numbers of excluded files, excluded folders, and registered objects that are excluded.
fn excluded(files: u64, folders: u64, registered: u64) -> serde_json::Value {
    json!({ "files": files, "folders": folders, "registered": registered })
}

#[test]
fn reconcile_counts_what_is_no_object_by_kind() {
    let sandbox = Sandbox::new();
    sandbox.file("a", HOUR_MS);
    let files = sandbox.path("files");
    for folder in ["empty", "x/empty", "x/empty too"] {
        fs::create_dir_all(files.join(folder)).unwrap();
    }
    symlink("a", files.join("link")).unwrap();
    symlink("x", files.join("link to a folder")).unwrap();
    let _socket = UnixListener::bind(files.join("socket")).unwrap();
    mknodat(CWD, files.join("x/fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let (text, dry) = sandbox.dry(&RECONCILE);
    let others = json!({
        "symbolic_links": 2,
        "sockets": 1,
        "fifos": 1,
        "devices": 0,
        "other_file_systems": 0,
        "empty_folders": 3,
    });
    assert_eq!(dry["others"], others);
    for line in [
        "           2 symbolic links, not followed\n",
        "           1 sockets\n",
        "           1 named pipes\n",
        "           3 empty folders\n",
    ] {
        assert!(text.stdout.contains(line), "{text:?}");
    }
    assert!(!text.stdout.contains("devices") && !text.stdout.contains("left out"), "{text:?}");
    let json = sandbox.json(&RECONCILE);
    assert_eq!(
        (&json["others"], &json["registered"], &json["excluded"]),
        (&others, &json!(1), &excluded(0, 0, 0))
    );
}

#[test]
fn reconcile_takes_what_is_included_and_not_excluded() {
    let sandbox = Sandbox::new();
    for key in ["a.jpg", "a.png", "x/b.jpg", "x/cache/c.jpg", "logs/2024/d", "logs/old.jpg"] {
        sandbox.file(key, HOUR_MS);
    }
    let odd = sandbox.path("files").join(OsStr::from_bytes(b"\xff.jpg"));
    write(&odd, "odd");
    let words =
        with(&["--include", "*.jpg", "--include", "/logs/", "--exclude", "cache", "--exclude", "old*"]);
    let json = sandbox.json(&words);
    // Left out are `a.png`, `logs/old.jpg` and the folder `x/cache`.
    assert_eq!((&json["registered"], &json["excluded"]), (&json!(4), &excluded(2, 1, 0)), "{json}");
    let text = sandbox.ok(&words);
    assert!(text.stdout.contains("           2 files left out by --include and --exclude\n"), "{text:?}");
    assert!(
        text.stdout.contains("           1 folders left out by --exclude, and not entered\n"),
        "{text:?}"
    );
    assert_eq!(sandbox.json(&RECONCILE)["registered"], 3);
}

/// One file lies in a folder that is not entered, one is gone, and one belongs to another class.
#[test]
fn registered_files_that_are_excluded_stay_registered() {
    let sandbox = Sandbox::new();
    sandbox.registered("slow", HOUR_MS, &["keep/a", "tmp/b", "c.tmp", "gone.tmp"]);
    sandbox.registered("short", 0, &["d.tmp"]);
    fs::remove_file(sandbox.path("files/gone.tmp")).unwrap();
    let words = with(&["--exclude", "tmp", "--exclude", "*.tmp"]);
    let (text, json) = sandbox.dry(&words);
    assert_eq!((&json["known"], &json["excluded"]), (&json!(1), &excluded(2, 1, 4)));
    assert!(text.stdout.contains("           4 objects that are left out now stay registered\n"), "{text:?}");
    assert_eq!(sandbox.json(&words)["excluded"], excluded(2, 1, 4));
    assert_eq!(sandbox.json(&["status", "DATA"])["classes"]["slow"]["live"], 4);
}

#[test]
fn pattern_that_cannot_match_is_refused_and_changes_nothing() {
    let sandbox = Sandbox::without_root();
    sandbox.file("a", HOUR_MS);
    for option in ["--include", "--exclude"] {
        for (pattern, why) in
            [("[a", "unclosed"), ("", "empty component"), ("../a", "`..`"), ("a//b", "empty")]
        {
            sandbox.refused(
                &with(&[option, "fine", option, pattern]),
                &format!("the pattern `{pattern}` is refused"),
            );
            sandbox.refused(&with(&[option, pattern]), why);
        }
    }
}
