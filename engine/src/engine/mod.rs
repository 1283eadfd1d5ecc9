//! Public operations of an engine.

pub(crate) mod backup;
pub(crate) mod check;
mod enforcement;
mod governance;
pub mod json;
mod load;
pub(crate) mod measures;
pub(crate) mod open;
pub(crate) mod options;
pub(crate) mod plan;
pub(crate) mod receipts;
mod recovery;
mod registration;
mod reports;
mod restore;
pub(crate) mod status;
#[cfg(test)]
mod time_tests;
mod upkeep;

pub use self::enforcement::Enforced;
pub(crate) use self::enforcement::SUB_BATCH_OBJECTS;

use crate::enforcement::commit::Committer;
use crate::engine::open::{FolderLock, Seams};
use crate::engine::options::Options;
use crate::model::copy_mark::CopyOf;
use crate::model::guard_limits::GuardLimits;
use crate::platform::clock::{Clock, Monotonic, SystemClock};
use crate::platform::data_folder::STAGED_INDEX;
use crate::platform::entropy::OsEntropy;
use crate::platform::error::{Error, Result};
use crate::platform::files::disk::DiskFiles;
use crate::platform::files::transfer;
use crate::platform::kv::rocks::RocksKv;
use crate::platform::pool::Pool;
use crate::registration::resolve::Resolver;
use crate::state::core::Core;
use crate::state::time::TrustedTime;
use sexton_proof::time::Timestamp;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// An open engine: registers objects, deletes them in their promised window, and proves it.
///
/// All operations may be called from many threads at once. They block: on fsync, and on the locks of other operations.
/// A host that must not block uses a [`Driver`](crate::Driver).
///
/// Errors that stop the engine are of the kinds `Forked` and `Poisoned`: nothing is written from then on. After
/// `Poisoned` a new engine on the same folder recovers the state that is on disk.
pub struct Engine {
    core: Core,
    committer: Committer,
    resolver: Resolver,
    /// Limits of the guards, from the options or stored.
    limits: GuardLimits,
    /// Lock on the data folder, if there is one. Released when the engine is dropped.
    lock: Option<FolderLock>,
}

impl Engine {
    /// Opens the engine in `folder` and recovers from a crash. A missing or empty folder becomes a new engine.
    ///
    /// The folder holds `index/` (RocksDB), `keys/` and `openings/` (private; back up `keys/` apart from the rest),
    /// `head`, and the public `log/` and `tombstones/`. It stays locked until the engine is dropped.
    ///
    /// An engine whose log is not the published one opens in [`EngineState::Forked`](crate::report::EngineState::Forked), and a
    /// copy that [`Engine::back_up`] made in [`EngineState::Copy`](crate::report::EngineState::Copy). Both are for reading only.
    ///
    /// # Errors
    /// `Busy` if another process has the folder open; `Invalid` if an option is out of its bounds or contradicts the
    /// folder, or a new folder finds a clock before 1970 or after 9998; `Corrupt` if files of the folder contradict each
    /// other or lack durable changes; `Full` if a new folder finds less than 16 MiB; `Io`, also if this process can start
    /// too few threads.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// let options = sexton::Options::new("example.com/uploads"); // the name of the log
    /// let engine = sexton::Engine::open(folder.path(), &options)?;
    /// assert_eq!(engine.state(), sexton::report::EngineState::Running);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(folder: &Path, options: &Options) -> Result<Engine> {
        Engine::open_with_clock(folder, options, Arc::new(SystemClock))
    }

    /// Opens the engine in `folder` with the given clock, and recovers from a crash.
    ///
    /// # Errors
    /// `Busy` if another process has the folder open; `Invalid` if an option is out of its bounds or contradicts the
    /// folder, or a new folder finds a clock before 1970 or after 9998; `Corrupt` if files of the folder contradict each
    /// other or lack durable changes; `Full` if a new folder finds less than 16 MiB; `Io`, also if this process can start
    /// too few threads.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// use sexton::testing::VirtualClock;
    /// use sexton::{Engine, Options, Timestamp};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// let start = Timestamp::from_unix_ms(1_767_225_600_000); // 2026-01-01
    /// let minute = Duration::from_secs(60);
    /// let clock = Arc::new(VirtualClock::new(start));
    /// let engine = Engine::open_with_clock(folder.path(), &Options::new("example.com/uploads"), clock.clone())?;
    /// clock.advance(minute);
    /// assert_eq!(engine.now(), start.saturating_add(minute));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with_clock(folder: &Path, options: &Options, clock: Arc<dyn Clock>) -> Result<Engine> {
        fs::create_dir_all(folder)
            .map_err(|e| Error::io(format!("cannot create the data folder {}", folder.display()), e))?;
        let lock = FolderLock::acquire(folder)?;
        let copy = restore::copy_of(folder)?;
        Engine::open_locked(lock, options, clock, copy.as_ref())
    }

    /// Opens the engine in a locked folder, for reading only if it is a copy (`copy`).
    fn open_locked(
        lock: FolderLock,
        options: &Options,
        clock: Arc<dyn Clock>,
        copy: Option<&CopyOf>,
    ) -> Result<Engine> {
        let folder = lock.folder();
        let index = folder.join("index");
        let kv = match copy {
            Some(_) => RocksKv::open_read_only(&index, &options.rocks)?,
            None => {
                transfer::remove_tree(&folder.join(STAGED_INDEX))?;
                open::make_private(&index)?;
                RocksKv::open(&index, &options.rocks)?
            }
        };
        let kv = Arc::new(kv);
        let pool = Arc::new(Pool::named("sexton-pool", options.threads)?);
        // Separate pool: fsync must not block hashing.
        let files = Arc::new(DiskFiles::new(folder, Arc::new(Pool::named("sexton-files", options.threads)?)));
        let seams = Seams { kv, files, entropy: Arc::new(OsEntropy), pool };
        Engine::open_over(seams, options, clock, Some(lock), copy)
    }

    /// Opens an engine over the given seams, such as an index and files in memory and known secrets.
    ///
    /// # Errors
    /// `Invalid` if an option is out of its bounds or contradicts the index; `Corrupt` if index and files contradict each
    /// other; `Io`.
    pub fn open_with_seams(seams: Seams, options: &Options, clock: Arc<dyn Clock>) -> Result<Engine> {
        Engine::open_over(seams, options, clock, None, None)
    }

    fn open_over(
        seams: Seams,
        options: &Options,
        clock: Arc<dyn Clock>,
        lock: Option<FolderLock>,
        copy: Option<&CopyOf>,
    ) -> Result<Engine> {
        options.check_limits()?;
        let stepped = load::clock_had_stepped(&*seams.kv)?;
        let last_known = load::last_known(&*seams.kv)?;
        let stored = load::limits(&*seams.kv)?;
        let (options, limits) = options.with_stored(stored.map(|stored| stored.limits));
        let time = TrustedTime::begin(clock, last_known, limits.clock, stepped)?;
        let core = open::open(seams, &options, time, copy)?;
        let (committer, resolver) = (Committer::default(), Resolver::default());
        Ok(Engine { core, committer, resolver, limits, lock })
    }

    /// Returns the trusted time. It goes back only if an operator accepts that ([`Engine::resume`]), and is never further
    /// ahead than [`ClockLimits`](crate::limits::ClockLimits) allow.
    pub fn now(&self) -> Timestamp {
        self.core.glance().now
    }

    /// Returns the monotonic clock, for measuring durations.
    pub(crate) fn monotonic(&self) -> Monotonic {
        self.core.time.monotonic()
    }
}
