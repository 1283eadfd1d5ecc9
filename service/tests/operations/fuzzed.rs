//! Schemathesis against the control socket: generated requests of every operation of the document.

#![allow(clippy::print_stdout, reason = "for people who run it with `--nocapture`")]

use super::{Bench, decisions, ends, objects};
use sexton_service::sources::Directory;
use std::fs::File;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// Forwards a port to a socket, since Schemathesis speaks TCP only. It ends with the process.
fn forward(socket: PathBuf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    spawn(move || {
        for tcp in listener.incoming().flatten() {
            let Ok(unix) = UnixStream::connect(&socket) else { continue };
            let (mut from, mut to) = (tcp.try_clone().unwrap(), unix.try_clone().unwrap());
            spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
            let (mut from, mut to) = (unix, tcp);
            spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    address
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().name("forward".into()).spawn(run).unwrap();
}

/// The folder has objects, ended ones, decisions, and a source, so that many requests have something to find.
#[test]
#[ignore = "needs Schemathesis: `make test-serve` installs it"]
fn generated_requests_find_nothing() {
    let files = tempfile::tempdir().unwrap();
    File::create(files.path().join("a")).unwrap();
    let mut bench = Bench::with(&[Directory::new("up", files.path(), "log-73h")]);
    objects(&mut bench);
    decisions(&mut bench);
    ends(&mut bench);
    bench.register("kept", &["k/1", "k/2"]);
    let address = forward(bench.serving.folder.path().join("control.sock"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    // It writes its examples and its report into the folder in which it runs.
    let ran = Command::new(here.join("../target/schemathesis/bin/schemathesis"))
        .arg("--config-file")
        .arg(here.join("tests/operations/schemathesis.toml"))
        .args(["run", &format!("http://{address}/v1/openapi.json")])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", here.join("tests/operations"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(out.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{text}{}", String::from_utf8_lossy(&ran.stderr));
    println!("{text}");
    assert!(bench.ok(sexton_service::api::CheckData {}).sound);
}
