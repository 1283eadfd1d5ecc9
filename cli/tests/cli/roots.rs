//! Folders of objects and their data folder: which of them belong together, on real mounts.

use crate::run::sexton;
use crate::sandbox::{HOUR_MS, Sandbox};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Every command that takes both folders, for a data folder and a folder of objects.
const COMMANDS: [&[&str]; 6] = [
    &["reconcile", "DATA", "--dir", "DIR", "--class", "files"],
    &["reconcile", "DATA", "--dir", "DIR", "--class", "files", "--new-root"],
    &["enforce", "DATA", "--dir", "DIR"],
    &["ended", "DATA", "--dir", "DIR"],
    &["ended", "DATA", "--dir", "DIR", "--key", "a"],
    &["ended", "DATA", "--dir", "DIR", "--delete-again"],
];

/// Mount. Dropping it unmounts it.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a folder at a second place; `None` if this is not permitted, and then the test is skipped.
    fn bind(source: &Path, at: &Path) -> Option<Self> {
        Self::mount(&["--bind", source.to_str().unwrap()], at)
    }

    fn tmpfs(at: &Path) -> Option<Self> {
        Self::mount(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], at)
    }

    #[expect(clippy::print_stdout, reason = "a skipped test says so")]
    fn mount(words: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(words).arg(at).output();
        if !done.is_ok_and(|output| output.status.success()) {
            println!("skipped: mounting needs root");
            return None;
        }
        Some(Self(at.to_path_buf()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let done = Command::new("umount").arg(&self.0).output().unwrap();
        assert!(done.status.success() || std::thread::panicking(), "{done:?}");
    }
}

/// Asserts that every command refuses the two folders with these words, also in a dry run, and that nothing changes.
#[track_caller]
fn assert_all_refused(sandbox: &Sandbox, data: &Path, dir: &Path, why: &str, commands: &[&[&str]]) {
    let before = sandbox.everything();
    for words in commands {
        for last in [None, Some("--dry-run")] {
            let words = words.iter().copied().chain(last).map(|word| match word {
                "DATA" => data.as_os_str(),
                "DIR" => dir.as_os_str(),
                word => word.as_ref(),
            });
            sexton(words).assert_refused(why);
        }
    }
    assert_eq!(sandbox.everything(), before);
}

#[test]
fn overlapping_folders_are_refused_by_every_command() {
    let sandbox = Sandbox::new();
    let (base, data) = (sandbox.path(""), sandbox.path("data"));
    symlink(&data, sandbox.path("link")).unwrap();
    symlink(&base, sandbox.path("base")).unwrap();
    for (data, dir) in [
        (&data, &base),
        (&sandbox.path("link"), &base),
        (&data, &sandbox.path("base")),
        (&sandbox.path("base/link"), &sandbox.path("base")),
    ] {
        assert_all_refused(&sandbox, data, dir, "overlap", &COMMANDS);
    }
    for dir in ["data", "link", "data/index", "link/keys", "base/data/log"] {
        assert_all_refused(&sandbox, &data, &sandbox.path(dir), "is a data folder of Sexton", &COMMANDS);
    }
    let bound = sandbox.path("bound");
    let Some(mounted) = Mounted::bind(&data.join("index"), &bound) else { return };
    assert_all_refused(&sandbox, &data, &bound, "overlap", &COMMANDS);
    drop(mounted);
    let Some(mounted) = Mounted::bind(&data, &bound) else { return };
    assert_all_refused(&sandbox, &data, &bound, "is a data folder of Sexton", &COMMANDS);
    assert_all_refused(&sandbox, &bound, &base, "overlap", &COMMANDS);
    drop(mounted);
}

#[test]
fn other_data_folder_below_the_root_is_left_out_and_listed() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let other = sandbox.path("files/x/other");
    fs::create_dir(sandbox.path("files/x")).unwrap();
    assert_eq!(sexton(["init", other.to_str().unwrap(), "--origin", "sexton.test/other"]).code, 0);
    sandbox.file("x/b", HOUR_MS);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--json"];
    let ran = sandbox.run(&words);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!((&ran.json()["registered"], &ran.json()["known"]), (&1.into(), &1.into()));
    let refused = &ran.json()["refused"];
    assert_eq!((refused.as_array().unwrap().len(), &refused[0]["key"]), (1, &"x/other".into()), "{refused}");
    assert!(refused[0]["why"].as_str().unwrap().contains("data folder of Sexton"), "{refused}");
    let ended = sandbox.run(&["ended", "DATA", "--dir", "FILES"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("left out: x/other: "), "{ended:?}");
    assert_eq!(
        sandbox.run(&["ended", "DATA", "--dir", "FILES", "--json"]).json()["skipped"][0]["path"],
        "x/other"
    );
    // The birth of the file is now, and the class keeps it for a second.
    std::thread::sleep(Duration::from_millis(2_100));
    sandbox.ok(&["enforce", "DATA", "--dir", "FILES"]);
    assert!(!sandbox.has("a") && !sandbox.has("x/b"));
    assert_eq!(sexton(["check", other.to_str().unwrap()]).code, 0);
}

#[test]
fn first_root_needs_no_flag_and_each_further_one_does() {
    let sandbox = Sandbox::without_root();
    sandbox.file("a", HOUR_MS);
    fs::create_dir(sandbox.path("more")).unwrap();
    sandbox.put("more/b", "b");
    sandbox.refused(&["enforce", "DATA", "--dir", "FILES"], "the data folder has no root yet");
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "files"];
    let (text, json) = sandbox.dry(&words);
    assert!(text.stdout.starts_with("the folder would be accepted as a new root"), "{text:?}");
    assert_eq!(json["new_root"], true);
    assert!(
        sandbox.ok(&words).stdout.starts_with("the folder is accepted as a new root of the data folder\n")
    );
    assert_eq!(sandbox.json(&words)["new_root"], false);

    let further = ["reconcile", "DATA", "--dir", "@more", "--class", "files"];
    sandbox.refused(&further, "has no label of a root: mount the disk");
    sandbox.refused(&further, "(the data folder knows ");
    let further = [&further[..], &["--new-root"]].concat();
    assert_eq!(sandbox.dry(&further).1["new_root"], true);
    assert_eq!(sandbox.json(&further)["registered"], 1);
    assert_eq!(sandbox.json(&further)["new_root"], false, "it stays the root that it is");

    // What is in the other root is not absent here. The birth of both is now, and the class keeps them for a second.
    std::thread::sleep(Duration::from_millis(2_100));
    let value = sandbox.run(&["enforce", "DATA", "--dir", "FILES", "--json"]).json();
    assert_eq!(value["answers"], serde_json::json!({ "deleted": 1, "failed": 1 }));
    assert!(value["problems"][0]["why"].as_str().unwrap().contains("registered in another root"), "{value}");
    assert!(sandbox.path("more/b").exists());
}

#[test]
fn first_root_of_a_data_folder_with_objects_is_a_decision() {
    let sandbox = Sandbox::without_root();
    sandbox.register(sexton::Registration::new("slow", b"elsewhere"));
    sandbox.file("a", 0);
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "slow"];
    sandbox.refused(&words, "with --new-root if there are objects");
    assert_eq!(sandbox.json(&[&words[..], &["--new-root"]].concat())["registered"], 1);
}

/// The guard must not be taken away by the first command that sees the empty mount point.
#[test]
fn empty_mount_point_is_refused_by_every_command() {
    let sandbox = Sandbox::without_root();
    let files = sandbox.path("files");
    let Some(mounted) = Mounted::tmpfs(&files) else { return };
    sandbox.accept_root();
    sandbox.registered("files", HOUR_MS, &["a", "b"]);
    let disk = sandbox.path("disk");
    let Some(kept) = Mounted::bind(&files, &disk) else { return };
    drop(mounted);
    let commands: Vec<&[&str]> =
        COMMANDS.into_iter().filter(|words| !words.contains(&"--new-root")).collect();
    for _ in 0..2 {
        assert_all_refused(&sandbox, &sandbox.path("data"), &files, "mount the disk", &commands);
    }
    assert_eq!(fs::read_dir(&files).unwrap().count(), 0);

    let Some(mounted) = Mounted::bind(&disk, &files) else { return };
    let value = sandbox.json(&["enforce", "DATA", "--dir", "FILES"]);
    assert_eq!(value["answers"], serde_json::json!({ "deleted": 2 }));
    drop((mounted, kept));
}

#[test]
fn mount_over_a_subfolder_fails_its_files_and_is_listed() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["x/a", "b"]);
    let Some(mounted) = Mounted::tmpfs(&sandbox.path("files/x")) else { return };
    sandbox.file("x/new", HOUR_MS);
    let ran = sandbox.run(&["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--json"]);
    assert_eq!((ran.code, &ran.json()["refused"][0]["key"]), (1, &"x".into()), "{ran:?}");
    assert_eq!(ran.json()["others"]["other_file_systems"], 1, "{ran:?}");
    let words = ["reconcile", "DATA", "--dir", "FILES", "--class", "files", "--exclude", "/x/", "--json"];
    let excluded = sandbox.run(&words);
    assert_eq!((excluded.code, &excluded.json()["excluded"]["folders"]), (0, &1.into()), "{excluded:?}");
    let value = sandbox.run(&["enforce", "DATA", "--dir", "FILES", "--json"]).json();
    assert_eq!(value["answers"], serde_json::json!({ "deleted": 1, "failed": 1 }), "{value}");
    assert!(value["problems"][0]["why"].as_str().unwrap().contains("another file system"), "{value}");
    assert!(sandbox.has("x/new"));
    drop(mounted);
    assert!(sandbox.has("x/a"));
}

#[test]
fn root_of_another_data_folder_is_refused_until_taken_over() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let other = sandbox.path("other");
    assert_eq!(sexton(["init", other.to_str().unwrap(), "--origin", "sexton.test/other"]).code, 0);
    let files = sandbox.path("files");
    let words = |more: &'static str| {
        let words = ["reconcile", other.to_str().unwrap(), "--dir", files.to_str().unwrap()];
        sexton(
            words
                .into_iter()
                .chain(["--class", "data-30d"])
                .chain(Some(more).filter(|more| !more.is_empty())),
        )
    };
    words("").assert_refused("it belongs to another data folder");
    let taken = words("--new-root");
    assert_eq!(taken.code, 0, "{taken:?}");
    let why = "it belongs to another data folder";
    assert_all_refused(&sandbox, &sandbox.path("data"), &files, why, &COMMANDS[2..]);
    assert!(sandbox.has("a"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the folder need not outlive a crash of the machine")]
fn moved_and_linked_root_is_known() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a", "b", "c"]);
    let slow = ["reconcile", "DATA", "--dir", "@moved", "--class", "slow", "--json"];
    fs::rename(sandbox.path("files"), sandbox.path("moved")).unwrap();
    assert_eq!(sandbox.ok(&slow).json()["known"], 3);
    symlink(sandbox.path("moved"), sandbox.path("link")).unwrap();
    assert_eq!(sandbox.json(&["enforce", "DATA", "--dir", "@link"])["answers"]["deleted"], 3);
    fs::create_dir(sandbox.path("files")).unwrap();
}

/// A copy has other inodes, and lacks what was added since.
#[test]
fn copy_of_a_root_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["a"]);
    let copied = Command::new("cp").arg("-a").args([sandbox.path("files"), sandbox.path("copy")]).status();
    assert!(copied.unwrap().success());
    fs::remove_file(sandbox.path("copy/a")).unwrap();
    let why = "copied from another root";
    assert_all_refused(&sandbox, &sandbox.path("data"), &sandbox.path("copy"), why, &COMMANDS[2..]);
    assert!(sandbox.has("a"));
}

#[test]
fn quarantine_in_a_nested_folder_hides_no_file() {
    let sandbox = Sandbox::new();
    sandbox.registered("files", HOUR_MS, &["x/.sexton-quarantine/a", "x/.sexton-quarantine/y/b"]);
    assert_eq!(sandbox.json(&["enforce", "DATA", "--dir", "FILES"])["answers"]["deleted"], 2);
}
