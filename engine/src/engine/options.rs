//! Options of an engine.

use crate::model::breaker::BreakerLimits;
use crate::model::class::ClassSet;
use crate::model::clock_guard::ClockLimits;
use crate::model::guard_limits::GuardLimits;
use crate::platform::error::{Error, Result};
use crate::platform::kv::rocks::RocksOptions;
use sexton_proof::id::ORIGIN_MAX_BYTES;
use std::thread;

/// Most shards. The log entry of a batch must be able to name a page in each.
pub const SHARDS_MAX: u16 = 32;
/// Most shards that a new data folder gets by default.
const SHARDS_DEFAULT_MAX: usize = 4;

/// Options of [`Engine::open`](crate::Engine::open).
///
/// ```
/// use sexton::Options;
///
/// let options = Options::new("example.com/uploads").shards(2).batch_objects(10_000);
/// # assert_eq!(options.max_batches_in_flight, 8);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Origin line of the log: a name that no other engine uses, like `example.com/uploads`. Required for a new data
    /// folder. It is stored, and another one is refused later. Default: `None`.
    pub origin: Option<String>,
    /// Shards, 1 to 32. Default: one for every two cores, 1 to 4. More shards help only if registering calls wait for each
    /// other. Each call makes a write for each shard of its objects, and each shard has pages of its own. The number is
    /// stored in a new data folder, and another one is refused later.
    pub shards: Option<u16>,
    /// Classes to define. A class whose definition differs from the stored one becomes a new version; objects keep the
    /// version they were registered under. Default: the built-in classes.
    pub classes: ClassSet,
    /// Most objects of a batch, at least 1. A batch has at least one page, which has up to 65,536 objects. Default: 65,536.
    pub batch_objects: u32,
    /// Most batches handed out and not committed yet, at least 1. Default: 8.
    pub max_batches_in_flight: u64,
    /// Threads that share the hashing of a batch, and as many that share its fsyncs. With 0 the calling thread does both.
    /// Default: one of each for each core.
    pub threads: Option<usize>,
    /// Keys in the memtables of the key index, at least 1, until they are flushed as a sorted run. Each takes about 50
    /// bytes, and three times that during a flush. Opening reads up to as many. Default: 900,000.
    pub memtable_keys: u32,
    /// Rows that a sweep scans for requests before due batches get their turn, at least 1. Fewer rows delay what is due
    /// less, and the sweep takes longer. Default: 1,048,576.
    pub sweep_rows: u32,
    /// Free disk space, bytes, below which registering fails with `Full`. It leaves room for deletion, which writes
    /// evidence before it frees space. Registering resumes by itself. Default: 256 MiB.
    pub disk_reserve_bytes: u64,
    /// Limits beyond which the wall clock is not trusted. Default: those stored in the data folder
    /// ([`Engine::set_limits`](crate::Engine::set_limits)), otherwise [`ClockLimits::default`].
    pub clock: Option<ClockLimits>,
    /// Limits on objects of a class that fall due at short notice. Default: those stored in the data folder, otherwise
    /// [`BreakerLimits::default`].
    pub breaker: Option<BreakerLimits>,
    /// Memory, threads and files of RocksDB.
    pub rocks: RocksOptions,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            origin: None,
            shards: None,
            classes: ClassSet::default(),
            batch_objects: 65_536,
            max_batches_in_flight: 8,
            threads: None,
            memtable_keys: 900_000,
            sweep_rows: 1 << 20,
            disk_reserve_bytes: 256 << 20,
            clock: None,
            breaker: None,
            rocks: RocksOptions::default(),
        }
    }
}

/// Returns one shard for every two cores, within bounds.
fn default_shards() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from((cores / 2).clamp(1, SHARDS_DEFAULT_MAX)).unwrap_or(1)
}

impl Options {
    /// Returns the defaults with the origin of a new engine.
    pub fn new(origin: impl Into<String>) -> Self {
        Options { origin: Some(origin.into()), ..Options::default() }
    }

    /// Sets [`shards`](field@Options::shards).
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Self {
        self.shards = Some(shards);
        self
    }

    /// Sets [`classes`](field@Options::classes).
    #[must_use]
    pub fn classes(mut self, classes: ClassSet) -> Self {
        self.classes = classes;
        self
    }

    /// Sets [`batch_objects`](field@Options::batch_objects).
    #[must_use]
    pub fn batch_objects(mut self, objects: u32) -> Self {
        self.batch_objects = objects;
        self
    }

    /// Sets [`max_batches_in_flight`](field@Options::max_batches_in_flight).
    #[must_use]
    pub fn max_batches_in_flight(mut self, batches: u64) -> Self {
        self.max_batches_in_flight = batches;
        self
    }

    /// Sets [`threads`](field@Options::threads).
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Sets [`memtable_keys`](field@Options::memtable_keys).
    #[must_use]
    pub fn memtable_keys(mut self, keys: u32) -> Self {
        self.memtable_keys = keys;
        self
    }

    /// Sets [`sweep_rows`](field@Options::sweep_rows).
    #[must_use]
    pub fn sweep_rows(mut self, rows: u32) -> Self {
        self.sweep_rows = rows;
        self
    }

    /// Sets [`disk_reserve_bytes`](field@Options::disk_reserve_bytes).
    #[must_use]
    pub fn disk_reserve_bytes(mut self, bytes: u64) -> Self {
        self.disk_reserve_bytes = bytes;
        self
    }

    /// Sets [`clock`](field@Options::clock).
    #[must_use]
    pub fn clock(mut self, limits: ClockLimits) -> Self {
        self.clock = Some(limits);
        self
    }

    /// Sets [`breaker`](field@Options::breaker).
    #[must_use]
    pub fn breaker(mut self, limits: BreakerLimits) -> Self {
        self.breaker = Some(limits);
        self
    }

    /// Sets [`rocks`](field@Options::rocks).
    #[must_use]
    pub fn rocks(mut self, options: RocksOptions) -> Self {
        self.rocks = options;
        self
    }

    /// Returns origin and shards of a new data folder.
    ///
    /// # Errors
    /// `Invalid` if the origin is missing, or one of them is out of its bounds.
    pub(crate) fn new_shape(&self) -> Result<(String, u16)> {
        let Some(origin) = &self.origin else {
            return Err(Error::invalid(
                "a new data folder needs an origin for its log, like example.com/uploads",
            ));
        };
        sexton_proof::note::check_name(origin)
            .map_err(|e| Error::invalid(format!("origin {origin:?} cannot be used: {e}")))?;
        if origin.len() > ORIGIN_MAX_BYTES {
            return Err(Error::invalid(format!(
                "origin of {} bytes; 1 to {ORIGIN_MAX_BYTES} are allowed",
                origin.len()
            )));
        }
        let shards = self.shards.unwrap_or_else(default_shards);
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(Error::invalid(format!("{shards} shards; 1 to {SHARDS_MAX} are allowed")));
        }
        Ok((origin.clone(), shards))
    }

    /// Checks that the options agree with the stored origin and shards.
    ///
    /// # Errors
    /// `Invalid` if one differs.
    pub(crate) fn check_shape(&self, origin: &str, shards: u16) -> Result<()> {
        if let Some(other) = self.origin.as_deref().filter(|other| *other != origin) {
            return Err(Error::invalid(format!(
                "the data folder has the origin {origin:?}, not {other:?}; it cannot change"
            )));
        }
        if let Some(other) = self.shards.filter(|other| *other != shards) {
            return Err(Error::invalid(format!(
                "the data folder has {shards} shards, not {other}; that cannot change"
            )));
        }
        Ok(())
    }

    /// Checks the bounds of limits.
    ///
    /// # Errors
    /// `Invalid` with the values.
    pub(crate) fn check_limits(&self) -> Result<()> {
        let limits = [
            u64::from(self.batch_objects),
            self.max_batches_in_flight,
            self.memtable_keys.into(),
            self.sweep_rows.into(),
        ];
        if limits.contains(&0) {
            return Err(Error::invalid(
                "batch_objects, max_batches_in_flight, memtable_keys and sweep_rows must be at least 1",
            ));
        }
        self.breaker.iter().try_for_each(BreakerLimits::check)
    }

    /// Returns the options with the stored limits in place of those that the host left out, and the limits in effect.
    pub(crate) fn with_stored(&self, stored: Option<GuardLimits>) -> (Self, GuardLimits) {
        let mut limits = stored.unwrap_or_default();
        limits.clock = self.clock.unwrap_or(limits.clock);
        limits.breaker = self.breaker.unwrap_or(limits.breaker);
        (self.clone().clock(limits.clock).breaker(limits.breaker), limits)
    }
}
