//! What a figure depends on beside the code: the machine, its disk, and the versions of what was measured.

use crate::figures::Spread;
use crate::{Result, THREADS, timed};
use serde::Serialize;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Versions as they were built, from the lock file.
const LOCK: &str = include_str!("../../Cargo.lock");
/// The crates of it that are measured.
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

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Threads that register and enforce.
    pub threads: usize,
    /// Main memory, MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The file system of the measured folder, with its options.
    pub file_system: String,
    /// Runnable threads over one, five and fifteen minutes when it began: on a quiet machine next to none.
    pub load_before: String,
}

impl Machine {
    /// This one, with the file system that `dir` lies on.
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

/// Runnable threads over one, five and fifteen minutes.
pub fn load() -> String {
    read("/proc/loadavg").split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The fsyncs of whoever is measured, and what one costs.
#[derive(Clone, Debug, Serialize)]
pub struct Fsync {
    /// Who fsyncs when.
    pub policy: &'static str,
    /// Microseconds for an fdatasync behind 4 KiB at the end of a file.
    pub micros: Option<Spread>,
    /// How many were measured.
    pub measured: usize,
}

impl Fsync {
    /// Measured in `dir`.
    ///
    /// # Errors
    /// Where it cannot be written there.
    pub fn measured(dir: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(dir)?;
        let mut file = File::create(folder.path().join("fsync"))?;
        let mut taken = Vec::new();
        for _ in 0..FSYNCS {
            let once = timed(|| {
                file.write_all(&[1; 4096])?;
                Ok(file.sync_data()?)
            })?;
            taken.push(once.wall.as_secs_f64() * 1e6);
        }
        let policy = "one fsync of the log of writes per call of 1,000 registrations; enforcing: each evidence file, its \
                      folder and each commit; the references the same unless their row says otherwise";
        Ok(Fsync { policy, micros: Spread::of(&taken), measured: FSYNCS })
    }
}

/// Names and versions of what is measured: also the commit that is checked out, and whether it was changed. What is not
/// installed is not in it.
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
        let said = Command::new(words.next().unwrap_or_default()).args(words).output().ok();
        let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
        if let Some(line) = text.lines().next() {
            versions.push((name.to_owned(), line.to_owned()));
        }
    }
    versions
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The first value of a `name: value` file.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// The version of a crate in a lock file; all of them, where there are several.
fn locked(lock: &str, name: &str) -> Option<String> {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let versions = lock.split(entry.as_str()).skip(1).filter_map(|behind| behind.split('"').next());
    let versions = versions.collect::<Vec<_>>().join(" and ");
    (!versions.is_empty()).then_some(versions)
}

/// Type and options of the file system that is mounted nearest above `dir`.
fn file_system(mountinfo: &str, dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let mounts = mountinfo.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        dir.starts_with(point).then(|| (point.len(), format!("{name} ({options})")))
    });
    // Of several at one place the last is the one that is seen.
    mounts.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_system_is_named() {
        let mounts = "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n\
                      21 20 0:5 / /nowhere/at/all rw - tmpfs tmpfs rw,size=1g\n";
        assert_eq!(file_system(mounts, Path::new("/nowhere/at/all/a")), "tmpfs (rw,size=1g)");
        assert_eq!(file_system(mounts, Path::new("/nowhere/at")), "ext4 (rw,discard)");
        assert_eq!(file_system("", Path::new("/")), "unknown");
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\n\n[[package]]\nname = \"a\"\nversion = \"2.0.0\"\n";
        assert_eq!(locked(lock, "a").as_deref(), Some("1.2.3 and 2.0.0"));
        assert_eq!(locked(lock, "b"), None);
        assert!(versions().iter().any(|(name, version)| name == "rocksdb" && !version.is_empty()));
    }

    #[test]
    fn an_fsync_takes_time() {
        let fsync = Fsync::measured(&std::env::temp_dir()).unwrap();
        assert!(fsync.micros.unwrap().least > 0.0);
    }
}
