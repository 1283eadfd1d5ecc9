//! Limits of the machine: space, and an end at any moment.

use crate::run::{command, sexton, spawn};
use crate::sandbox::Sandbox;
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const ORIGIN: &str = "sexton.test/limits";

fn init(data: &Path) -> crate::run::Ran {
    sexton(["init", data.to_str().unwrap(), "--origin", ORIGIN])
}

fn assert_complete(data: &Path) {
    let status = sexton(["status", data.to_str().unwrap(), "--json"]).json();
    assert_eq!(status["classes"].as_object().unwrap().len(), 4, "{status}");
}

/// Kills `init` after ever longer times. The next one completes the folder, or finds that the killed one had.
#[test]
fn init_killed_at_any_moment_is_completed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for round in 0..60 {
        let data = folder.path().join(round.to_string());
        let mut first = command();
        first.args(["init", data.to_str().unwrap(), "--origin", ORIGIN]);
        let mut first = spawn(first.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()));
        thread::sleep(Duration::from_millis(2 * round));
        let _ = first.kill();
        if first.wait().unwrap().success() {
            break;
        }
        killed += 1;
        let again = init(&data);
        if again.code != 0 {
            again.assert_refused("is a data folder already");
        }
        assert_complete(&data);
        init(&data).assert_refused("is a data folder already");
    }
    assert!(killed > 0);
}

/// The states that a kill leaves: before RocksDB has an index, before there are keys, and before the index has a shape.
#[test]
fn other_commands_tell_that_init_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let index = data.join("index");
    fs::create_dir_all(&index).unwrap();
    fs::File::create(data.join("lock")).unwrap();
    let told = || sexton(["status", data.to_str().unwrap()]).assert_refused("run `sexton init` again");
    told();
    drop(RocksKv::open(&index, &RocksOptions::default()).unwrap());
    told();
    fs::create_dir(data.join("keys")).unwrap();
    told();
    assert_eq!(init(&data).code, 0);
    assert_complete(&data);
    fs::remove_file(data.join("log/checkpoint")).unwrap();
    fs::File::create(data.join("mine")).unwrap();
    init(&data).assert_refused("is not a new or empty folder");
}

#[test]
fn init_without_room_says_how_much_and_works_later() {
    let folder = tempfile::tempdir().unwrap();
    let mount = |options: &str| {
        Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output()
    };
    if !mount("size=8m").is_ok_and(|output| output.status.success()) {
        println!("skipped: mounting a tmpfs needs root");
        return;
    }
    let data = folder.path().join("data");
    init(&data).assert_refused("a new data folder needs 16777216 bytes");
    assert!(mount("remount,size=64m").unwrap().status.success());
    let made = init(&data);
    let _ = Command::new("umount").arg("--lazy").arg(folder.path()).status();
    assert_eq!(made.code, 0, "{made:?}");
}

#[test]
fn lock_is_private_even_if_it_was_not() {
    let sandbox = Sandbox::new();
    let lock = sandbox.path("data/lock");
    let mode = || fs::metadata(&lock).unwrap().permissions().mode() & 0o777;
    sandbox.ok(&["status", "DATA"]);
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
    sandbox.ok(&["status", "DATA"]);
    assert_eq!(mode(), 0o600);
}
