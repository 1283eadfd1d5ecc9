//! Servers of the tests. One of each kind per test process, started when a test first asks for it.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// S3 server.
pub(crate) struct Server {
    /// Address and port.
    pub(crate) address: String,
    pub(crate) kind: Kind,
    /// Folder of the server's files. Its script removes it.
    pub(crate) folder: PathBuf,
    /// Ends the server by the end of its input, also if this process is killed.
    _child: Child,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Moto,
    Ceph,
}

pub(crate) fn moto() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| start(Kind::Moto));
    &SERVER
}

pub(crate) fn ceph() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| start(Kind::Ceph));
    &SERVER
}

/// Returns the address of a mock with TLS, and the file with the certificate of its authority.
pub(crate) fn moto_with_tls() -> (&'static str, PathBuf) {
    static SERVER: LazyLock<Server> = LazyLock::new(|| start_with(Kind::Moto, &["tls"]));
    (&SERVER.address, SERVER.folder.join("authority.pem"))
}

fn start(kind: Kind) -> Server {
    start_with(kind, &[])
}

fn start_with(kind: Kind, arguments: &[&str]) -> Server {
    let (script, wait) = match kind {
        Kind::Moto => ("moto", "moto"),
        Kind::Ceph => ("ceph", "Ceph"),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(script);
    let folder = tempfile::tempdir().unwrap().keep();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut child = Command::new(&script)
        .arg(&folder)
        .arg(port.to_string())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said: Vec<String> = lines.take_while(|line| line != "ready").collect();
    let is_up = child.try_wait().unwrap().is_none();
    assert!(is_up, "{wait} did not start; scripts/setup s3 installs it: {}", said.join("\n"));
    Server { address: format!("127.0.0.1:{port}"), kind, folder, _child: child }
}

impl Server {
    /// Returns the URL of the server.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}
