//! Parts that the benchmarks share: the workload, an engine to measure, a store that answers at once, the references,
//! and the contest that compares the engine with them.

use rustix::time::{ClockId, clock_gettime};
use sexton::class::Find;
use sexton::limits::BreakerLimits;
use sexton::store::{Answer, Store, SubBatch};
use sexton::testing::FastForwardClock;
use sexton::{ClassSet, Durability, Engine, Options};
use sexton_proof::leaf::Openings;
use sexton_proof::time::{Timestamp, whole_ms};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub mod compare;
pub mod comparison;
pub mod contest;
pub mod environment;
pub mod ffi_overhead;
pub mod plot;
pub mod reference;
pub mod report;
pub mod statistics;
mod workload;

pub use workload::{Workload, tombstone_file};

/// Error of any kind. A benchmark stops at the first one.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// Result with an error of any kind.
pub type Result<T> = std::result::Result<T, Error>;

/// Objects per registration call. Each call has its own fsync.
pub const CALL: usize = 1_000;
/// Number of classes that the objects are spread over.
pub const CLASSES: usize = 4;
/// Number of threads that register and enforce.
pub const THREADS: usize = 2;
/// Number of shards: the engine's default on two cores.
pub const SHARDS: u16 = 1;
/// Width of a slot.
pub const SLOT: Duration = Duration::from_mins(1);
/// Bytes of a row's value in the index, equal in the engine and in the references on RocksDB.
pub const ROW_BYTES: usize = ROW_HEAD_BYTES + OBJECT_BYTES;

/// Bytes of a row before the host's fields: cause, attempts, three instants, size, three lengths.
const ROW_HEAD_BYTES: usize = 37;
const KEY_BYTES: usize = 35;
const VERSION_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
const OBJECT_BYTES: usize = KEY_BYTES + VERSION_BYTES + DIGEST_BYTES;
/// Time of registration: 2026-01-01T00:00:00Z.
const REGISTERED: Timestamp = Timestamp::from_unix_ms(1_767_225_600_000);
const WITHIN: Duration = Duration::from_hours(30 * 24);
const LEAD: Duration = Duration::from_secs(30);
const ORIGIN: &str = "bench.example/log";
const CLASS_NAMES: [&str; CLASSES] = ["a", "b", "c", "d"];

/// Store that answers at once and deletes nothing.
pub struct NullStore;

impl Store for NullStore {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        vec![Answer::Deleted; part.objects.len()]
    }
}

/// Engine on real files, under an accelerated clock.
///
/// The clock runs in real time, so that the engine does its work of once a second. It jumps forward to make objects
/// due.
pub struct Ours {
    /// Engine under measurement.
    pub engine: Arc<Engine>,
    clock: Arc<FastForwardClock>,
}

impl Ours {
    /// Opens a new engine in `folder`.
    ///
    /// # Errors
    /// If the engine cannot be opened.
    pub fn open(folder: &Path, find: Find, openings: Openings) -> Result<Self> {
        let (find, openings) =
            (find.name(), if openings == Openings::Ticket { "ticket" } else { "operator" });
        let class = |name| {
            format!(
                "[class.{name}]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\n\
                 find = \"{find}\"\nopenings = \"{openings}\"\n"
            )
        };
        let classes = ClassSet::from_toml(&CLASS_NAMES.map(class).concat())?;
        let breaker = unlimited_breaker();
        let options = Options::new(ORIGIN).classes(classes).breaker(breaker).shards(SHARDS);
        let clock = Arc::new(FastForwardClock::new(REGISTERED));
        let engine = Arc::new(Engine::open_with_clock(folder, &options, clock.clone())?);
        Ok(Ours { engine, clock })
    }

    /// Reopens an engine that [`Ours::open`] created, with its stored classes, at time `now`.
    ///
    /// # Errors
    /// If the engine cannot be opened.
    pub fn reopen(folder: &Path, now: Timestamp) -> Result<Self> {
        let options = Options::new(ORIGIN).breaker(unlimited_breaker());
        let clock = Arc::new(FastForwardClock::new(now));
        let engine = Arc::new(Engine::open_with_clock(folder, &options, clock.clone())?);
        Ok(Ours { engine, clock })
    }

    /// Registers the workload, call by call.
    ///
    /// # Errors
    /// Errors of the engine.
    pub fn register(&self, work: &Workload) -> Result<()> {
        in_parallel(work.calls(), |call| {
            self.engine.register(&work.registrations(call), Durability::Synced)?;
            Ok(())
        })
    }

    /// Advances the clock until every object of the workload is due.
    pub fn advance_until_due(&self, work: &Workload) {
        self.clock.advance_to(REGISTERED.saturating_add(WITHIN + slot_start(work.slots() + 1)));
    }

    /// Enforces the workload over a store that answers at once. Every object of it has to be due.
    ///
    /// # Errors
    /// Errors of the engine, or if it did not enforce exactly the objects of the workload.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        self.enforce_with(&NullStore, work.len())
    }

    /// Enforces all due objects over `store`, with [`THREADS`] threads.
    ///
    /// # Errors
    /// Errors of the engine, or if it did not enforce exactly `expected` objects.
    pub(crate) fn enforce_with(&self, store: &dyn Store, expected: usize) -> Result<()> {
        let enforced = AtomicUsize::new(0);
        in_parallel(THREADS, |_| {
            let done = self.engine.enforce(store)?;
            enforced.fetch_add(usize::try_from(done.objects)?, Ordering::Relaxed);
            Ok(())
        })?;
        expect_count("objects", enforced.into_inner(), expected)
    }
}

/// Returns the time from the first slot to the slot of this number.
pub(crate) fn slot_start(slot: usize) -> Duration {
    Duration::from_millis(slot as u64 * whole_ms(SLOT))
}

/// Limits that never trip the breaker, which counts objects that fall due at short notice.
pub(crate) fn unlimited_breaker() -> BreakerLimits {
    BreakerLimits { objects: u64::MAX, ..BreakerLimits::default() }
}

/// Fails if another number of objects or rows was enforced than expected.
pub(crate) fn expect_count(what: &str, enforced: usize, expected: usize) -> Result<()> {
    if enforced == expected {
        return Ok(());
    }
    Err(format!("{enforced} {what} enforced, {expected} expected").into())
}

/// Distributes `pieces` of work over [`THREADS`] threads. Each thread takes the next piece when it is free.
pub(crate) fn in_parallel(pieces: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let run = || loop {
        match next.fetch_add(1, Ordering::Relaxed) {
            piece if piece < pieces => work(piece)?,
            _ => return Ok(()),
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

/// Cost of a piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Elapsed time.
    pub wall: Duration,
    /// CPU time of all threads of the process. It varies less than elapsed time on a busy machine.
    pub cpu: Duration,
}

/// Measures the cost of `work`.
///
/// # Errors
/// Errors of `work`.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
pub fn timed(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (began, used) = (Instant::now(), cpu()?);
    work()?;
    Ok(Cost { wall: began.elapsed(), cpu: cpu()?.saturating_sub(used) })
}

/// Measures how many of `pieces` are done per second of elapsed time.
///
/// # Errors
/// Errors of `work`.
pub fn rate(pieces: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    Ok(pieces as f64 / timed(work)?.wall.as_secs_f64())
}

/// Measures the CPU time that `work` takes on this thread.
pub(crate) fn thread_cpu(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let used = used_by(ClockId::ThreadCPUTime)?;
    work()?;
    Ok(used_by(ClockId::ThreadCPUTime)?.saturating_sub(used))
}

/// User and system time of this process so far.
fn cpu() -> Result<Duration> {
    used_by(ClockId::ProcessCPUTime)
}

fn used_by(clock: ClockId) -> Result<Duration> {
    let used = clock_gettime(clock);
    Ok(Duration::new(used.tv_sec.try_into()?, used.tv_nsec.try_into()?))
}
