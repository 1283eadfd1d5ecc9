//! `sexton serve` as a process: killed under load, on a full disk, and with its places taken.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]

use crate::run::{command, sexton, spawn, write};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use sexton_service::api::{
    CheckData, Covers, Decision, FindObject, GetStatus, ListHolds, NewObject, Operation, PlaceHold, Register,
};
use sexton_service::http::client::{Client, ClientError};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

/// Service in a process of its own. Dropping it kills it.
struct Service {
    child: Child,
    runtime: PathBuf,
}

impl Service {
    /// Starts the service of a folder, and waits until it answers.
    fn start(folder: &Path) -> Service {
        let mut service = Service::spawn(folder, Stdio::inherit());
        until(|| {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none(), "the service ended: {ended:?}");
            service.control().call(&GetStatus {}).is_ok()
        });
        service
    }

    fn spawn(folder: &Path, stderr: Stdio) -> Service {
        let mut serve = command();
        serve.args(["serve", "--config"]).arg(folder.join("sexton.toml")).stdin(Stdio::null()).stderr(stderr);
        Service { child: spawn(&mut serve), runtime: folder.join("run") }
    }

    fn control(&self) -> Client {
        Client::new(&self.runtime.join("control.sock")).unwrap()
    }

    fn register(&self) -> Client {
        Client::new(&self.runtime.join("register.sock")).unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end. Returns the exit code.
    fn wait(&mut self) -> i32 {
        let mut code = None;
        until(|| {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|code| code.code()).unwrap()
    }

    fn terminate(mut self) -> i32 {
        signal::kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.wait()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a condition holds. The bound is generous, because machines can be slow.
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("this did not happen in two minutes");
}

/// Writes the configuration of a service. Its data folder is `data` in `folder`.
fn configure(folder: &Path, more: &str) {
    let [data, runtime] = ["data", "run"].map(|name| folder.join(name));
    fs::create_dir_all(&runtime).unwrap();
    let text = format!(
        "data = {data:?}\nruntime = {runtime:?}\norigin = \"sexton.test/serve\"\nthreads = 1\n{more}\n"
    );
    write(&folder.join("sexton.toml"), text);
}

fn batch(keys: &[String]) -> Register {
    let object = |key: &String| NewObject {
        key: Some(key.clone()),
        class: "log-73h".into(),
        version: Some("1".into()),
        ..NewObject::default()
    };
    Register { objects: keys.iter().map(object).collect(), only_missing: false, dry_run: false }
}

fn is_live(client: &Client, key: &str) -> bool {
    let found = client.call(&FindObject { key: Some(key.to_owned()), ..FindObject::default() }).unwrap();
    !found["live"].as_array().unwrap().is_empty()
}

/// Registers batches from four threads until `enough` objects are acknowledged and the service is killed.
fn register_until_killed(service: Service, round: usize, enough: usize) -> BTreeSet<String> {
    let acknowledged = Mutex::new(BTreeSet::new());
    let register = |thread: usize| {
        let client = service.register();
        for number in 0.. {
            let keys: Vec<String> = (0..20).map(|n| format!("{round}/{thread}/{number}/{n}")).collect();
            match client.call(&batch(&keys)) {
                Ok(_) => acknowledged.lock().unwrap().extend(keys),
                Err(ClientError::NoService(_) | ClientError::Unknown(_)) => return,
                Err(ClientError::Refused(problem)) => panic!("{problem:?}"),
                Err(other) => panic!("{other}"),
            }
        }
    };
    let pid = Pid::from_raw(i32::try_from(service.child.id()).unwrap());
    thread::scope(|scope| {
        for number in 0..4 {
            let register = &register;
            thread::Builder::new()
                .name("client".into())
                .spawn_scoped(scope, move || register(number))
                .unwrap();
        }
        until(|| acknowledged.lock().unwrap().len() >= enough);
        signal::kill(pid, Signal::SIGKILL).unwrap();
    });
    service.kill();
    acknowledged.into_inner().unwrap()
}

#[test]
fn everything_acknowledged_is_there_after_a_kill_under_load() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "");
    let mut acknowledged = BTreeSet::new();
    for round in 0..3 {
        let service = Service::start(folder.path());
        acknowledged.extend(register_until_killed(service, round, 500 * (round + 1)));
        // The sockets of the killed service are stale, and the next one replaces them.
        assert!(folder.path().join("run/control.sock").exists());
        let service = Service::start(folder.path());
        let client = service.register();
        let lost: Vec<&String> = acknowledged.iter().filter(|key| !is_live(&client, key)).collect();
        assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), acknowledged.len());
        let again: Vec<String> = acknowledged.iter().take(100).cloned().collect();
        let answer = client.call(&batch(&again)).unwrap();
        assert!(answer["objects"].as_array().unwrap().iter().all(|object| object["previous"] == "identical"));
        assert_eq!(service.control().call(&CheckData {}).unwrap()["sound"], true);
        assert_eq!(service.terminate(), 0);
    }
}

/// Mount. Dropping it unmounts it.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts a tmpfs; `None` if this is not permitted, and then the test is skipped.
    fn tmpfs(at: &Path, size: &str) -> Option<Mounted> {
        let size = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        if !done.is_ok_and(|output| output.status.success()) {
            println!("SKIPPED: the test of a full disk mounts a file system, which needs root");
            return None;
        }
        Some(Mounted(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Writes a file until at most `left` bytes of the disk are free.
fn fill(path: &Path, disk: &Path, left: u64) {
    let mut file = File::create(path).unwrap();
    let part = vec![0; 1 << 20];
    loop {
        let free = rustix::fs::statvfs(disk).map(|disk| disk.f_bavail * disk.f_frsize).unwrap();
        let next = usize::try_from(free.saturating_sub(left)).unwrap().min(part.len());
        if next == 0 || file.write_all(&part[..next]).is_err() {
            return;
        }
    }
}

fn hold(name: &str) -> PlaceHold {
    PlaceHold {
        name: name.to_owned(),
        on: Covers { prefix: Some("0/".into()), ..Covers::default() },
        event: false,
        decision: Decision { author: "Ada Lovelace".into(), reason: "a full disk".into() },
        review_ms: 4_000_000_000_000,
        dry_run: false,
    }
}

fn refusal<O: Operation>(client: &Client, operation: &O) -> (u16, String) {
    match client.call(operation) {
        Err(ClientError::Refused(problem)) => (problem.status, problem.kind),
        other => panic!("not refused: {other:?}"),
    }
}

/// Below the reserve, registrations are refused and decisions go on. Without any space, decisions fail too. With space
/// again, the service goes on, or a restart does.
#[test]
fn full_disk_refuses_clearly_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "");
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&data, "320m") else { return };
    let mut service = Service::start(folder.path());
    let (before, later) = (vec!["0/a".to_owned(), "0/b".to_owned()], vec!["0/c".to_owned()]);
    service.register().call(&batch(&before)).unwrap();

    let (ballast, rest) = (data.join("ballast"), data.join("rest"));
    fill(&ballast, &data, 200 << 20);
    until(|| service.register().call(&batch(&later)).is_err());
    assert_eq!(refusal(&service.register(), &batch(&later)), (507, "full".into()));
    service.control().call(&hold("below the reserve")).unwrap();

    fill(&rest, &data, 0);
    let mut held = BTreeSet::from(["below the reserve".to_owned()]);
    for number in 0..200 {
        // The log of the index has some space left that it took before.
        let name = format!("hold {number}");
        match service.control().call(&hold(&name)) {
            Ok(_) => held.insert(name),
            Err(ClientError::Refused(problem)) => {
                assert!(["full", "io", "poisoned"].contains(&problem.kind.as_str()), "{problem:?}");
                assert!(!problem.detail.is_empty());
                break;
            }
            // The service ends by itself if only a restart helps.
            Err(ClientError::NoService(_) | ClientError::Unknown(_)) => break,
            Err(other) => panic!("{other}"),
        };
    }
    fs::remove_file(&rest).unwrap();
    fs::remove_file(&ballast).unwrap();
    thread::sleep(Duration::from_secs(3));
    if let Some(ended) = service.child.try_wait().unwrap() {
        assert_eq!(ended.code(), Some(1), "a restart helps");
        service = Service::start(folder.path());
    }
    let client = service.control();
    assert!(before.iter().all(|key| is_live(&client, key)), "an acknowledged object is lost");
    let listed = client.call(&ListHolds { all: false }).unwrap();
    let names =
        listed["holds"].as_array().unwrap().iter().map(|hold| hold["name"].as_str().unwrap().to_owned());
    let names: BTreeSet<String> = names.collect();
    assert!(held.is_subset(&names), "{held:?} {names:?}");
    service.register().call(&batch(&later)).unwrap();
    assert_eq!(client.call(&CheckData {}).unwrap()["sound"], true);
    assert_eq!(service.terminate(), 0);
}

/// Starts a service that cannot start. Returns its exit code and its error.
fn fails(folder: &Path) -> (i32, String) {
    let mut service = Service::spawn(folder, Stdio::piped());
    let mut stderr = service.child.stderr.take().unwrap();
    let code = service.wait();
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    (code, text)
}

#[test]
fn place_that_is_taken_ends_the_service_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), "");
    let socket = folder.path().join("run/control.sock");
    let name = socket.to_str().unwrap();
    write(&socket, "a file");
    let (code, error) = fails(folder.path());
    assert!(code == 2 && error.contains(name) && error.contains("is no socket"), "{code}: {error}");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "a file");
    fs::remove_file(&socket).unwrap();

    let other = UnixListener::bind(&socket).unwrap();
    let (code, error) = fails(folder.path());
    assert!(
        code == 1 && error.contains(name) && error.contains("another process listens"),
        "{code}: {error}"
    );
    drop(other);

    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    configure(folder.path(), &format!("[metrics]\nlisten = \"{address}\""));
    let (code, error) = fails(folder.path());
    assert!(code == 1 && error.contains(&address.to_string()), "{code}: {error}");
    drop(port);
    let service = Service::start(folder.path());
    assert_eq!(service.terminate(), 0);
    let check = sexton(["check", folder.path().join("data").to_str().unwrap(), "--offline"]);
    assert_eq!(check.code, 0, "{check:?}");
}
