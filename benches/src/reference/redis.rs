//! Redis: keys with an expiry, deleted by its active expire cycle.
//!
//! The server is Debian's `redis-server`. It runs on a socket of its own, without an append-only file and snapshots. It
//! does less than the engine. Nothing is durable or recorded, and keys are deleted from its own memory. The cycle finds
//! expired keys by sampling, ten times a second, for a bounded share of the time. `active-expire-effort` sets the
//! share: 1 is the default, 10 the maximum.
//!
//! Expiry is off while the keys are loaded, so that all of them are due at once. The measured time begins when expiry
//! is switched on and ends when no key is left.

use super::{Server, installed};
use crate::{Result, Workload, in_parallel, rate};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

const PROGRAM: &str = "redis-server";
/// Time to live of a key, ms: longer than loading a call takes.
const LIVES_MS: u128 = 2_000;
/// Interval at which the number of keys is polled.
const POLL: Duration = Duration::from_millis(5);

/// Returns the path of the server.
///
/// # Errors
/// If it is not installed. The message says how to install it.
pub fn server_path() -> std::result::Result<PathBuf, String> {
    installed(PROGRAM, &[]).ok_or_else(|| {
        "redis-server is not installed (make bench-peers installs it with apt-get as root or by sudo)"
            .to_owned()
    })
}

/// Running server.
pub struct Redis {
    server: Server,
    socket: PathBuf,
    _sockets: tempfile::TempDir,
}

impl Redis {
    /// Starts a server with this `active-expire-effort`, in `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(folder: &Path, effort: u8) -> Result<Self> {
        // The path of a socket is limited to about 100 bytes, which `folder` may exceed.
        let sockets = tempfile::tempdir()?;
        let socket = sockets.path().join("redis");
        let mut command = Command::new(server_path()?);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(folder);
        command.args(["--active-expire-effort", &effort.to_string()]);
        let is_ready = || UnixStream::connect(&socket).is_ok();
        let server = Server::start(PROGRAM, command, &folder.join("redis.said"), is_ready)?;
        Ok(Redis { server, socket, _sockets: sockets })
    }

    /// Loads the workload, waits until all keys are due, and measures the keys expired per second.
    ///
    /// # Errors
    /// Errors of the server.
    pub fn enforce(&self, work: &Workload) -> Result<f64> {
        let mut connection = Connection::open(&self.socket)?;
        connection.ok(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"])?;
        in_parallel(work.calls, |call| self.load(work, call))?;
        let loaded = connection.integer(&[b"DBSIZE"])?;
        if usize::try_from(loaded)? != work.len() {
            return Err(format!("redis has {loaded} keys, {} expected", work.len()).into());
        }
        thread::sleep(Duration::from_millis(u64::try_from(LIVES_MS)? + 100));
        rate(work.len(), || {
            connection.ok(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"1"])?;
            while connection.integer(&[b"DBSIZE"])? != 0 {
                thread::sleep(POLL);
            }
            Ok(())
        })
    }

    /// Loads the keys of a call in one pipeline.
    fn load(&self, work: &Workload, call: usize) -> Result<()> {
        let (class, indexes) = work.call(call);
        let expires = (since_1970()? + LIVES_MS).to_string();
        let (mut sent, mut keys) = (Vec::new(), 0);
        for index in indexes {
            let (key, value) = work.key(class, index);
            command(&mut sent, &[b"SET", key, value, b"PXAT", expires.as_bytes()]);
            keys += 1;
        }
        let mut connection = Connection::open(&self.socket)?;
        connection.send(&sent)?;
        for _ in 0..keys {
            connection.expect_ok()?;
        }
        Ok(())
    }

    /// Stops the server.
    ///
    /// # Errors
    /// If it does not exit.
    pub fn stop(mut self) -> Result<()> {
        let mut connection = Connection::open(&self.socket)?;
        let mut sent = Vec::new();
        command(&mut sent, &[b"SHUTDOWN", b"NOSAVE"]);
        connection.send(&sent)?;
        self.server.wait()
    }
}

#[expect(clippy::disallowed_methods, reason = "the server compares the expiry of keys with the wall clock")]
fn since_1970() -> Result<u128> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())
}

/// Connection in RESP2.
struct Connection(BufReader<UnixStream>);

impl Connection {
    fn open(socket: &Path) -> Result<Self> {
        Ok(Connection(BufReader::new(UnixStream::connect(socket)?)))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// Reads an answer of one line.
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('-') {
            return Err(format!("redis answers {line:?}").into());
        }
        Ok(line.to_owned())
    }

    fn expect_ok(&mut self) -> Result<()> {
        match self.answer()? {
            ok if ok == "+OK" => Ok(()),
            other => Err(format!("redis answers {other:?}").into()),
        }
    }

    fn ok(&mut self, words: &[&[u8]]) -> Result<()> {
        let mut sent = Vec::new();
        command(&mut sent, words);
        self.send(&sent)?;
        self.expect_ok()
    }

    fn integer(&mut self, words: &[&[u8]]) -> Result<u64> {
        let mut sent = Vec::new();
        command(&mut sent, words);
        self.send(&sent)?;
        let answer = self.answer()?;
        Ok(answer
            .strip_prefix(':')
            .ok_or_else(|| format!("redis answers {answer:?}, not an integer"))?
            .parse()?)
    }
}

/// Appends a command, encoded as an array of bulk strings.
fn command(out: &mut Vec<u8>, words: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = Vec::new();
        command(&mut out, &[b"SET", b"k\r\n", b""]);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
    }
}
