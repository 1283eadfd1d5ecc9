//! Limits of the machine: space, threads, address space, file sizes, and an end at any moment.

use crate::run::{command, sexton, spawn};
use crate::sandbox::Sandbox;
use sexton::testing::kv::rocks::{RocksKv, RocksOptions};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
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

/// Runs the command below a limit, as an option of `prlimit`.
fn limited(wrapper: &[&str], limit: &str, words: &[&str]) -> Output {
    let whole = [wrapper, &["prlimit", limit, env!("CARGO_BIN_EXE_sexton")], words].concat();
    let mut command = Command::new(whole[0]);
    command.args(&whole[1..]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(&mut command).wait_with_output().unwrap()
}

/// Asserts that a command worked or failed with a message. It was not ended by a signal, and did not panic.
fn assert_orderly(ran: &Output, what: &str) {
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.signal(), None, "{what}: {stderr}");
    assert!(matches!(ran.status.code(), Some(0 | 2)), "{what}: {ran:?}");
    assert!(ran.status.code() == Some(0) || stderr.contains("error: "), "{what}: {stderr}");
    assert!(!stderr.contains("panicked") && !stderr.contains("terminate"), "{what}: {stderr}");
}

#[test]
fn limit_of_address_space_is_an_error_not_the_end() {
    let sandbox = Sandbox::new();
    let data = sandbox.path("data");
    let mut refused = 0;
    for mebibytes in (100..2_500_u64).step_by(100) {
        let limit = format!("--as={}", mebibytes << 20);
        let ran = limited(&[], &limit, &["status", data.to_str().unwrap()]);
        assert_orderly(&ran, &limit);
        refused += u32::from(String::from_utf8_lossy(&ran.stderr).contains("address space"));
    }
    assert!(refused > 0);
}

#[test]
fn limit_of_threads_is_an_error_not_the_end() {
    let sandbox = Sandbox::new();
    let data = sandbox.path("data");
    // The superuser has no limit of threads. Another user needs a user id that no process has, so that only its own count.
    let user = (200_000 + std::process::id()).to_string();
    let owned = Command::new("chown").arg("-R").arg(&user).arg(sandbox.path("")).status();
    let ids = [format!("--reuid={user}"), format!("--regid={user}")];
    let wrapper = ["setpriv", &ids[0], &ids[1], "--clear-groups"];
    if !owned.is_ok_and(|status| status.success()) {
        println!("skipped: another user needs root");
        return;
    }
    let mut refused = 0;
    for threads in 1..40 {
        let limit = format!("--nproc={threads}");
        let ran = limited(&wrapper, &limit, &["status", data.to_str().unwrap()]);
        assert_orderly(&ran, &limit);
        refused += u32::from(String::from_utf8_lossy(&ran.stderr).contains("threads"));
    }
    assert!(refused > 0);
}

#[test]
fn limit_of_file_sizes_is_an_error_not_the_end() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [1, 512, 4_096, 32_768, 100_000] {
        let data = folder.path().join(bytes.to_string());
        let limit = format!("--fsize={bytes}");
        let ran = limited(&[], &limit, &["init", data.to_str().unwrap(), "--origin", ORIGIN]);
        assert_orderly(&ran, &limit);
        assert_eq!(init(&data).code == 0, ran.status.code() == Some(2), "{limit}: {ran:?}");
    }
}
