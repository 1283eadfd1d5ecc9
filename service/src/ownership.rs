//! Ownership of a data folder by a service: the file `service` in it, with the path of the control socket.
//!
//! A command finds the socket by it. While the service is stopped, the file says that the folder is the service's.

use sexton::testing::Pool;
use sexton::testing::files::disk::DiskFiles;
use sexton::testing::files::{Access, Files};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FILE: &str = "service";

/// Runtime folder of a service whose configuration names no other.
pub const RUNTIME: &str = "/run/sexton";
/// Name of the control socket in the runtime folder.
pub const CONTROL: &str = "control.sock";

/// Notes that the service with this control socket owns a data folder. The caller holds the lock of the folder.
///
/// After `Ok`, the note survives a power failure.
///
/// # Errors
/// `Io` or `Full`. The former note stands then.
pub fn claim(data: &Path, socket: &Path) -> sexton::Result<()> {
    DiskFiles::new(data, Arc::new(Pool::none())).replace(FILE, socket.as_os_str().as_bytes(), Access::Public)
}

/// Returns the control socket of the service that owns a data folder; `None` if no service owns it.
///
/// # Errors
/// Those of the system, as for a folder that the caller may not read.
pub fn owner(data: &Path) -> io::Result<Option<PathBuf>> {
    match fs::read(data.join(FILE)) {
        Ok(path) => Ok(Some(PathBuf::from(std::ffi::OsString::from_vec(path)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Notes that no service owns a data folder any longer.
///
/// # Errors
/// Those of the system.
pub fn give_up(data: &Path) -> io::Result<()> {
    match fs::remove_file(data.join(FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
