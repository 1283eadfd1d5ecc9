//! What can be set when an engine is opened. Every bound is stated and settable.

use crate::breaker::BreakerLimits;
use crate::class::ClassSet;
use crate::error::{Error, Result};
use crate::guard::ClockLimits;
use crate::kv::rocks::RocksOptions;
use sexton_proof::id::ORIGIN_MAX_BYTES;
use std::thread;

/// Most shards: a batch leaf must be able to name a page in each.
pub const SHARDS_MAX: u16 = 32;
/// Most that a new data folder gets without being asked for more.
const SHARDS_DEFAULT_MAX: usize = 4;

/// How to open an engine.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's origin line: a name for this engine that nobody else uses, like `example.com/uploads`. Needed when
    /// the data folder is new; afterwards stored, and another one is refused.
    pub origin: Option<String>,
    /// Shards, 1 to 32; where none are given one for every two cores, 1 to 4. Each call that registers makes a write for
    /// each shard that its objects fall into, and each shard has pages of its own: more of them pay only where calls
    /// would wait for each other. Stored when the data folder is new; afterwards another number is refused.
    pub shards: Option<u16>,
    /// The classes. One whose definition differs from the stored one becomes a new version of it; objects
    /// registered before keep theirs.
    pub classes: ClassSet,
    /// Objects of a batch (at least those of one page, which are up to 65,536).
    pub batch_rows: u32,
    /// Batches handed out and not yet committed; beyond it none is handed out.
    pub batches_in_flight: u64,
    /// Threads that share the hashing of a batch, and as many that share its fsyncs; where none are given one of each for
    /// each core. 0: whoever calls does all of it.
    pub threads: Option<usize>,
    /// Keys registered last that are found in memory, where their class finds by key, until they are written out as a
    /// sorted run: about 50 bytes each, three times that while a run is written. Opening reads as many again.
    pub recent_keys: u32,
    /// Free disk space below which registrations are refused (`Full`), so that there is room for deleting, which
    /// writes evidence before it frees anything. Registering resumes by itself once there is more.
    pub disk_reserve_bytes: u64,
    /// When the wall clock is no longer trusted.
    pub clock: ClockLimits,
    /// How many objects of a class may fall due by surprise.
    pub breaker: BreakerLimits,
    /// What RocksDB may use.
    pub rocks: RocksOptions,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            origin: None,
            shards: None,
            classes: ClassSet::default(),
            batch_rows: 65_536,
            batches_in_flight: 8,
            threads: None,
            recent_keys: 900_000,
            disk_reserve_bytes: 256 << 20,
            clock: ClockLimits::default(),
            breaker: BreakerLimits::default(),
            rocks: RocksOptions::default(),
        }
    }
}

/// One for every two cores, as long as that is few.
fn default_shards() -> u16 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    u16::try_from((cores / 2).clamp(1, SHARDS_DEFAULT_MAX)).unwrap_or(1)
}

impl Options {
    /// The defaults, with the origin of a new engine.
    pub fn new(origin: impl Into<String>) -> Self {
        Options { origin: Some(origin.into()), ..Options::default() }
    }

    /// What a new data folder gets: its origin and shards.
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

    /// Refuses to reopen under another shape than the stored one.
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

    pub(crate) fn check_limits(&self) -> Result<()> {
        if self.batch_rows == 0 || self.batches_in_flight == 0 || self.recent_keys == 0 {
            return Err(Error::invalid("batch_rows, batches_in_flight and recent_keys must be at least 1"));
        }
        if self.clock.step_max_ms < 0 || self.clock.time_off_max_ms < 0 || self.breaker.share_percent > 100 {
            return Err(Error::invalid(format!(
                "clock limits of {} and {} ms and a breaker's share of {} %; limits are at least 0, a share at most 100",
                self.clock.step_max_ms, self.clock.time_off_max_ms, self.breaker.share_percent
            )));
        }
        Ok(())
    }
}
