//! Redis: keys with an instant of expiry, which its active cycle finds by sampling. Debian's `redis-server`, started here
//! on a socket of its own, without a log of writes or snapshots, and stopped here.
//!
//! It does less: nothing is durable, nothing is recorded, the deletion is in its own memory, and an expired key is found
//! by chance, ten times a second, for a bounded share of the time (`active-expire-effort`, 1 by default, 10 at most).
//! Expiry is switched off while keys are loaded, so that all of them are due at once, and timed from when it is switched
//! on until none is left.

use super::{Server, installed};
use crate::{Result, Workload, rate, share};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

const PROGRAM: &str = "redis-server";
/// How long a key lives while expiry is switched off, ms: longer than a call takes to arrive.
const LIVES_MS: u128 = 2_000;
/// How often is asked whether a key is left.
const POLL: Duration = Duration::from_millis(5);

/// Where it is, or what to do about it.
///
/// # Errors
/// Where it is not installed.
pub fn is_installed() -> std::result::Result<PathBuf, String> {
    installed(PROGRAM, &[])
        .ok_or_else(|| "redis-server is not installed (make bench-peers installs it where it may)".to_owned())
}

/// A running one.
pub struct Redis {
    server: Server,
    socket: PathBuf,
    _sockets: tempfile::TempDir,
}

impl Redis {
    /// Starts one with this `active-expire-effort`, in `folder`.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start(folder: &Path, effort: u8) -> Result<Self> {
        // A path to a socket has to be short.
        let sockets = tempfile::tempdir()?;
        let socket = sockets.path().join("redis");
        let mut command = Command::new(is_installed()?);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(folder);
        command.args(["--active-expire-effort", &effort.to_string()]);
        let is_ready = || UnixStream::connect(&socket).is_ok();
        let server = Server::start(PROGRAM, command, &folder.join("redis.said"), is_ready)?;
        Ok(Redis { server, socket, _sockets: sockets })
    }

    /// Loads everything and gives the keys expired per second once all of them are due.
    ///
    /// # Errors
    /// What it answers.
    pub fn enforce(&self, work: &Workload) -> Result<f64> {
        let mut asking = Connection::open(&self.socket)?;
        asking.ok(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"])?;
        share(work.calls, |call| self.load(work, call))?;
        let loaded = asking.integer(&[b"DBSIZE"])?;
        if usize::try_from(loaded)? != work.len() {
            return Err(format!("redis holds {loaded} keys of {}", work.len()).into());
        }
        thread::sleep(Duration::from_millis(u64::try_from(LIVES_MS)? + 100));
        rate(work.len(), || {
            asking.ok(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"1"])?;
            while asking.integer(&[b"DBSIZE"])? != 0 {
                thread::sleep(POLL);
            }
            Ok(())
        })
    }

    /// One call of 1,000 keys, pipelined.
    fn load(&self, work: &Workload, call: usize) -> Result<()> {
        let (class, places) = work.call(call);
        let expires = (since_1970()? + LIVES_MS).to_string();
        let (mut sent, mut keys) = (Vec::new(), 0);
        for place in places {
            let (key, value) = work.key(class, place);
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

    /// Stops it.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop(mut self) -> Result<()> {
        let mut connection = Connection::open(&self.socket)?;
        let mut sent = Vec::new();
        command(&mut sent, &[b"SHUTDOWN", b"NOSAVE"]);
        connection.send(&sent)?;
        self.server.wait()
    }
}

#[expect(clippy::disallowed_methods, reason = "keys are given instants of the server's own clock")]
fn since_1970() -> Result<u128> {
    Ok(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis())
}

/// A connection, spoken to in RESP2.
struct Connection(BufReader<UnixStream>);

impl Connection {
    fn open(socket: &Path) -> Result<Self> {
        Ok(Connection(BufReader::new(UnixStream::connect(socket)?)))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.0.get_mut().write_all(bytes)?)
    }

    /// The next answer of one line.
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
        Ok(answer.strip_prefix(':').ok_or("no integer")?.parse()?)
    }
}

/// Appends a command: an array of bulk strings.
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
