//! References that the engine is compared with. Each is a working implementation of its kind.

pub mod baseline;
#[cfg(feature = "peers")]
pub mod ct_log;
pub mod files;
pub mod naive;
pub mod point_deletes;
pub mod postgres;
pub mod redis;
pub(crate) mod rocks;
#[cfg(feature = "peers")]
pub mod timers;
pub mod ttl;

use crate::Result;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Server process of a peer. Dropping it stops the process.
struct Server {
    child: Child,
    name: &'static str,
}

impl Server {
    /// Starts `command`, which has to stay in the foreground, and waits until `is_ready` returns `true`.
    fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<Server> {
        let output = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
        let mut server = Server { child, name };
        for _ in 0..600 {
            if is_ready() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                let output = std::fs::read_to_string(log).unwrap_or_default();
                let last = output.lines().last().unwrap_or_default().to_owned();
                return Err(format!("{name} exited while starting with {status}: {last}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{name} was not ready after 30 s").into())
    }

    /// Asks the server to shut down, with its own child processes, without waiting for its clients.
    fn interrupt(&self) -> Result<()> {
        // The program `kill` sends the signal, because the system call is `unsafe`.
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        kill.success().then_some(()).ok_or_else(|| format!("{} cannot be interrupted", self.name).into())
    }

    /// Waits up to 30 s for a server that was asked to shut down.
    fn wait(&mut self) -> Result<()> {
        for _ in 0..600 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} did not exit within 30 s", self.name).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that is killed leaves child processes, which would run beside the next contestant.
        if matches!(self.child.try_wait(), Ok(None)) && self.interrupt().and_then(|()| self.wait()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Path of a program in one of `folders` or in the search path.
fn installed(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = folders.iter().cloned().chain(std::env::split_paths(&path));
    candidates.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}
