//! Environment of a measurement: the machine, its disk, and the versions of the measured software.

use crate::statistics::Spread;
use crate::{Result, THREADS, timed};
use serde::Serialize;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Lock file of the build. It has the versions of the crates.
const LOCK: &str = include_str!("../../Cargo.lock");
/// Crates whose versions the report gives.
const CRATES: [&str; 10] = [
    "blake3",
    "ct-merkle",
    "ed25519-dalek",
    "hierarchical_hash_wheel_timer",
    "librocksdb-sys",
    "rocksdb",
    "sexton",
    "sha2",
    "tokio",
    "tokio-util",
];
const FSYNCS: usize = 200;

/// Machine that a run was measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name of the processor.
    pub cpu: String,
    /// Number of processors that this process may use.
    pub cores: usize,
    /// Number of threads that register and enforce.
    pub threads: usize,
    /// Main memory, MiB.
    pub memory_mib: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// File system of the measured folder, with its options.
    pub file_system: String,
    /// Load average over one, five and fifteen minutes at the start. It is near zero on a quiet machine.
    pub load_before: String,
}

impl Machine {
    /// Describes this machine, with the file system of `dir`.
    pub fn here(dir: &Path) -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let meminfo = read("/proc/meminfo");
        let kib = field(&meminfo, "MemTotal").and_then(|kib| kib.strip_suffix(" kB")?.trim().parse().ok());
        Machine {
            cpu: field(&cpuinfo, "model name").unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            threads: THREADS,
            memory_mib: kib.map_or(0, |kib: u64| kib / 1024),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo"), dir),
            load_before: load(),
        }
    }
}

/// Load average over one, five and fifteen minutes.
pub fn load() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Fsync policy of the contestants, and the time of one fsync.
#[derive(Clone, Debug, Serialize)]
pub struct Fsync {
    /// Policy: the points at which each contestant syncs.
    pub policy: &'static str,
    /// Microseconds for an fdatasync after 4 KiB were appended to a file.
    pub micros: Option<Spread>,
    /// Number of measured syncs.
    pub measured: usize,
}

impl Fsync {
    /// Measures the disk of `dir`.
    ///
    /// # Errors
    /// If `dir` cannot be written.
    pub fn measured(dir: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(dir)?;
        let mut file = File::create(folder.path().join("fsync"))?;
        let mut taken = Vec::new();
        for _ in 0..FSYNCS {
            let sync = timed(|| {
                file.write_all(&[1; 4096])?;
                Ok(file.sync_data()?)
            })?;
            taken.push(sync.wall.as_secs_f64() * 1e6);
        }
        let policy = "one fsync of the write-ahead log per call of 1,000 registrations; enforcing syncs each evidence \
                      file, its folder and each commit; references do the same unless their row says otherwise";
        Ok(Fsync { policy, micros: Spread::of(&taken), measured: FSYNCS })
    }
}

/// Names and versions of the measured software. Software that is not installed is left out.
///
/// The version of Sexton itself is the commit that is checked out, with a mark if the work tree has changes.
pub fn versions() -> Vec<(String, String)> {
    let mut versions: Vec<(String, String)> =
        CRATES.iter().filter_map(|name| Some(((*name).to_owned(), locked(LOCK, name)?))).collect();
    for (name, command) in [
        ("commit", "git describe --always --dirty --exclude=*"),
        ("rustc", "rustc --version"),
        ("redis-server", "redis-server --version"),
        ("postgres", "postgres --version"),
        ("find", "find --version"),
    ] {
        let mut words = command.split(' ');
        let output = Command::new(words.next().unwrap_or_default()).args(words).output().ok();
        let text =
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        if let Some(line) = text.lines().next() {
            versions.push((name.to_owned(), line.to_owned()));
        }
    }
    versions
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// First value of this name in a file of `name: value` lines.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// Version of a crate in a lock file, or all versions if there are several.
fn locked(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let versions = lock.split(entry.as_str()).skip(1).filter_map(|rest| rest.split('"').next());
    let versions = versions.collect::<Vec<_>>().join(" and ");
    (!versions.is_empty()).then_some(versions)
}

/// Type and options of the file system that contains `dir`.
fn file_system(mountinfo: &str, dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let point = mount.split(' ').nth(4)?;
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        dir.starts_with(point).then(|| (point.len(), format!("{name} ({options})")))
    });
    // If several are mounted at one point, the last one hides the others.
    mounts.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_system_of_the_nearest_mount_is_named() {
        let mounts = "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
                      21 20 0:5 / /nowhere/at/all rw - tmpfs tmpfs rw,size=1g\n";
        assert_eq!(file_system(mounts, Path::new("/nowhere/at/all/a")), "tmpfs (rw,size=1g)");
        assert_eq!(file_system(mounts, Path::new("/nowhere/at")), "ext4 (rw,discard)");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("1.2.3 and 2.0.0"));
        assert_eq!(locked(lock, "b"), None);
        assert!(versions().iter().any(|(name, version)| name == "rocksdb" && !version.is_empty()));
    }

    #[test]
    fn measured_fsync_takes_time() {
        let fsync = Fsync::measured(&std::env::temp_dir()).unwrap();
        assert!(fsync.micros.unwrap().least > 0.0);
    }
}
