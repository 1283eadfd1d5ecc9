//! What the benchmarks share: objects to register, an engine to register them in, a store that answers at once, the
//! references that the engine is held against, and the runner that holds it against them.

use rustix::time::{ClockId, clock_gettime};
use sexton::store::{Answer, Store, SubBatch};
use sexton::{BreakerLimits, ClassSet, Durability, Engine, FastForwardClock, Find, Options};
use sexton_proof::leaf::Openings;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub mod bare;
pub mod boundary;
pub mod bout;
pub mod compare;
pub mod figures;
pub mod machine;
pub mod plot;
pub mod reference;
pub mod report;
mod workload;

pub use workload::Workload;

/// Any error: a benchmark has nothing to do but to stop.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// A result with it.
pub type Result<T> = std::result::Result<T, Error>;

/// Objects per registering call, each call with an fsync of its own.
pub const CALL: usize = 1_000;
/// Classes that the objects are spread over.
pub const CLASSES: usize = 4;
/// Threads that register and enforce.
pub const THREADS: usize = 2;
/// Shards, as the engine has them by default on two cores.
pub const SHARDS: u16 = 1;
/// Width of a slot.
pub const SLOT_MS: i64 = 60_000;
/// Bytes of a row's value in the index, in the engine as in the bare sketch.
pub const ROW_BYTES: usize = ROW_HEAD_BYTES + OBJECT_BYTES;

/// Bytes of a row before what the host gave: cause, attempts, three instants, size, three lengths.
const ROW_HEAD_BYTES: usize = 37;
const KEY_BYTES: usize = 35;
const VERSION_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;
const OBJECT_BYTES: usize = KEY_BYTES + VERSION_BYTES + DIGEST_BYTES;
/// 2026-01-01T00:00:00Z, when everything is registered.
const REGISTERED_MS: i64 = 1_767_225_600_000;
const WITHIN_MS: i64 = 30 * 86_400_000;
const LEAD_MS: i64 = 30_000;
const ORIGIN: &str = "bench.example/log";
const NAMES: [&str; CLASSES] = ["a", "b", "c", "d"];

/// A store that answers at once.
pub struct NullStore;

impl Store for NullStore {
    fn delete(&self, part: &SubBatch<'_>) -> Vec<Answer> {
        vec![Answer::Deleted; part.objects.len()]
    }
}

/// An engine on real files, under a clock that runs, so that what is done once a second is, and is wound to where all is due.
pub struct Ours {
    /// The engine.
    pub engine: Engine,
    clock: Arc<FastForwardClock>,
}

impl Ours {
    /// A new engine in `folder`.
    ///
    /// # Errors
    /// Where the engine cannot be opened.
    pub fn open(folder: &Path, find: Find, openings: Openings) -> Result<Self> {
        let (find, openings) =
            (find.name(), if openings == Openings::Ticket { "ticket" } else { "operator" });
        let class = |name| {
            format!(
                "[class.{name}]\nwithin = \"30d\"\nslot = \"60s\"\nlead = \"30s\"\nstart = \"explicit\"\n\
                 find = \"{find}\"\nopenings = \"{openings}\"\n"
            )
        };
        let classes = ClassSet::from_toml(&NAMES.map(class).concat())?;
        // Everything is registered overdue here, which a breaker is there to stop.
        let breaker = BreakerLimits { objects: u64::MAX, ..BreakerLimits::default() };
        let options = Options { classes, breaker, shards: Some(SHARDS), ..Options::new(ORIGIN) };
        let clock = Arc::new(FastForwardClock::new(REGISTERED_MS));
        let engine = Engine::open_with_clock(folder, &options, clock.clone())?;
        Ok(Ours { engine, clock })
    }

    /// Opens again what [`Ours::open`] made, with the classes that are stored, at this time.
    ///
    /// # Errors
    /// Where the engine cannot be opened.
    pub fn reopen(folder: &Path, now_ms: i64) -> Result<Self> {
        let breaker = BreakerLimits { objects: u64::MAX, ..BreakerLimits::default() };
        let options = Options { breaker, ..Options::new(ORIGIN) };
        let clock = Arc::new(FastForwardClock::new(now_ms));
        let engine = Engine::open_with_clock(folder, &options, clock.clone())?;
        Ok(Ours { engine, clock })
    }

    /// Registers everything, call by call.
    ///
    /// # Errors
    /// What the engine answers.
    pub fn register(&self, work: &Workload) -> Result<()> {
        share(work.calls(), |call| {
            self.engine.register(&work.registrations(call), Durability::Synced)?;
            Ok(())
        })
    }

    /// Moves the clock to where everything is due.
    pub fn wait_until_due(&self, work: &Workload) {
        let slots = i64::try_from(work.slots()).unwrap_or(i64::MAX);
        self.clock.wind_to(REGISTERED_MS + WITHIN_MS + (slots + 1) * SLOT_MS);
    }

    /// Enforces everything that is due.
    ///
    /// # Errors
    /// What the engine answers, or where it enforced another number of objects than were registered.
    pub fn enforce(&self, work: &Workload) -> Result<()> {
        let enforced = AtomicUsize::new(0);
        share(THREADS, |_| {
            let done = self.engine.enforce(&NullStore)?;
            enforced.fetch_add(usize::try_from(done.objects)?, Ordering::Relaxed);
            Ok(())
        })?;
        match enforced.into_inner() {
            n if n == work.len() => Ok(()),
            n => Err(format!("{n} objects enforced of {}", work.len()).into()),
        }
    }
}

/// Has the threads do the pieces of some work, each taking the next one.
pub(crate) fn share(pieces: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
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

/// What some work took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Time that passed.
    pub wall: Duration,
    /// Time that all threads of the process together spent on a processor; steadier where others are at work.
    pub cpu: Duration,
}

/// What `work` takes.
///
/// # Errors
/// Those of `work`.
#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
pub fn timed(work: impl FnOnce() -> Result<()>) -> Result<Cost> {
    let (began, used) = (Instant::now(), cpu()?);
    work()?;
    Ok(Cost { wall: began.elapsed(), cpu: cpu()?.saturating_sub(used) })
}

/// Work per second.
///
/// # Errors
/// Those of `work`.
pub fn rate(pieces: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    Ok(pieces as f64 / timed(work)?.wall.as_secs_f64())
}

/// What `work` takes of a processor, where it stays on this thread.
pub(crate) fn thread_time(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let used = used_by(ClockId::ThreadCPUTime)?;
    work()?;
    Ok(used_by(ClockId::ThreadCPUTime)?.saturating_sub(used))
}

/// User and system time of this process.
fn cpu() -> Result<Duration> {
    used_by(ClockId::ProcessCPUTime)
}

fn used_by(whom: ClockId) -> Result<Duration> {
    let used = clock_gettime(whom);
    Ok(Duration::new(used.tv_sec.try_into()?, used.tv_nsec.try_into()?))
}
