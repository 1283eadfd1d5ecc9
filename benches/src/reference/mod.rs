//! What the engine is held against, each a real implementation of its kind. The bare sketch has a file of its own beside
//! this folder ([`crate::bare`]).

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

/// A server that somebody else wrote, started here and ended with this.
struct Server {
    child: Child,
    name: &'static str,
}

impl Server {
    /// Starts `command`, which stays in the foreground, and waits until `is_ready`.
    fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        mut is_ready: impl FnMut() -> bool,
    ) -> Result<Server> {
        let said = std::fs::File::create(log)?;
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn().map_err(|e| format!("{name} cannot be started: {e}"))?;
        let mut server = Server { child, name };
        for _ in 0..600 {
            if is_ready() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let last = said.lines().last().unwrap_or_default().to_owned();
                return Err(format!("{name} ended at once with {status}: {last}").into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{name} was not ready after 30 s").into())
    }

    /// Tells it to end: to leave its clients and to take its own processes along.
    fn interrupt(&self) -> Result<()> {
        // By the program that does, for the call is `unsafe`.
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        told.success().then_some(()).ok_or_else(|| format!("{} cannot be told to end", self.name).into())
    }

    /// Waits until it has ended by itself, having been told to; for 30 s.
    fn wait(&mut self) -> Result<()> {
        for _ in 0..600 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("{} did not end", self.name).into())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed at once, it would leave sessions that go on beside whoever is measured next.
        if matches!(self.child.try_wait(), Ok(None)) && self.interrupt().and_then(|()| self.wait()).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The program of this name in the search path, or in one of `folders`.
fn installed(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = folders.iter().cloned().chain(std::env::split_paths(&path));
    places.find_map(|folder| Some(folder.join(program)).filter(|file| file.is_file()))
}
