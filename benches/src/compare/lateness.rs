//! Lateness: time from the beginning of a slot to the committed tombstone, under steady load.
//!
//! Objects are registered and fall due at one fifth of the rates that were measured just before.

use super::Group;
use super::objects::{Steps, ours as at_full_speed};
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::statistics::Target;
use crate::workload::{call_bytes, registrations};
use crate::{CALL, CLASS_NAMES, CLASSES, NullStore, Result, SHARDS, THREADS, Workload, unlimited_breaker};
use sexton::class::Find;
use sexton::store::Store;
use sexton::{ClassSet, Durability, Engine, Options, WorkerOptions};
use sexton_proof::leaf::Openings;
use sexton_proof::time::{Timestamp, whole_ms};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Width of a slot: the shortest that a class may have, and so the hardest to meet.
const SLOT: Duration = Duration::from_secs(1);
const LEAD: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_hours(1);
/// Least time between registering the objects that fall due and the first slot.
const AHEAD: Duration = Duration::from_secs(2);
/// Number of objects of a sub-batch.
const SUB_BATCH: usize = 1_000;

/// Comparisons of lateness.
pub(super) const GROUP: Group = Group {
    comparisons: || {
        let ours = |figure| FigureOf("ours", figure);
        let alone = |name, unit, figure, what| Comparison::alone(name, unit, ours(figure), what);
        vec![
            alone("lateness/late", "objects", "late", "objects whose ceiling passed before their tombstone")
                .with_target(Target::Never),
            alone("lateness/early", "objects", "early", "objects handed to the store before their slot")
                .with_target(Target::Never),
            Comparison::new(
                "lateness/p99.9",
                "ms",
                ours("p99.9"),
                FigureOf("ours", "slot"),
                "from the beginning of a slot to its committed tombstone, beside the width of a slot",
            )
            .labelled("width of the slot")
            .with_target(Target::RatioBelow(1.0))
            .requires_zero(ours("late"), "some are late"),
            alone(
                "lateness/p50",
                "ms",
                "p50",
                "from the beginning of a slot to its committed tombstone, median",
            ),
            Comparison::new(
                "lateness/registered",
                "objects/s",
                ours("registered"),
                FigureOf("ours", "register fifth"),
                "achieved rate of registrations, beside the fifth that was set",
            )
            .labelled("a fifth of the maximum")
            .with_target(Target::Ratio(0.95)),
            alone(
                "lateness/due",
                "objects/s",
                "due fifth",
                "rate at which objects fell due: a fifth of the maximum of enforcing",
            ),
        ]
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let work = Workload::new(setup.scaled(2_000_000, CALL * CLASSES), 100_000);
        let seconds = setup.seconds;
        let ours = Contestant::new("ours", move |folder: &Path| {
            let steps = Steps::RegisterAndEnforce;
            let full = at_full_speed(&folder.join("full"), &work, Find::None, Openings::Operator, steps)?;
            let fifth = |figure| full.get(figure).map_or(0.0, |rate| rate / 5.0);
            measure(&folder.join("live"), fifth("register"), fifth("enforce"), seconds)
        });
        Ok(run_contest(setup, vec![ours], comparisons))
    },
};

fn open(folder: &Path) -> Result<Engine> {
    let class = |name| {
        format!(
            "[class.{name}]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\nstart = \"explicit\"\nfind = \"none\"\n"
        )
    };
    let classes = ClassSet::from_toml(&CLASS_NAMES.map(class).concat())?;
    let options = Options::new("bench.example/lateness").classes(classes);
    Ok(Engine::open(folder, &options.breaker(unlimited_breaker()).shards(SHARDS))?)
}

/// Observations of the enforcing threads.
#[derive(Default)]
struct Observed {
    /// Time from the beginning of a slot to the commit, and the number of objects that it applies to.
    after: Vec<(Duration, u64)>,
    late: u64,
    early: u64,
}

fn register(
    engine: &Engine,
    call: u64,
    start: impl Fn(u64) -> Timestamp,
    durability: Durability,
) -> Result<()> {
    let objects = call_bytes(call);
    let class = usize::try_from(call % CLASSES as u64)?;
    engine.register(&registrations(class, &objects, start), durability)?;
    Ok(())
}

/// Registers objects that fall due during `span`, as `calls` calls evenly spread over it. Returns the time of the
/// first slot.
fn register_due(engine: &Engine, calls: u64, register_rate: f64, span: Duration) -> Result<Timestamp> {
    // The first slot has to begin after this registration, which is assumed to reach twice the rate of the measurement.
    let takes = Duration::try_from_secs_f64(calls as f64 * CALL as f64 / (register_rate * 2.0))?;
    let first = slot_at(engine.now().saturating_add(takes + AHEAD));
    let start_of_call = |call: u64| {
        let ahead = Duration::from_millis(call * whole_ms(span) / calls.max(1));
        first.saturating_add(ahead + SLOT + LEAD).saturating_sub(WITHIN)
    };
    for call in 0..calls {
        register(engine, call, |_| start_of_call(call), Durability::Buffered)?;
    }
    engine.sync()?;
    let slipped = engine.now().since(first);
    if !slipped.is_zero() {
        return Err(format!("registering the due objects ended {slipped:?} after their first slot").into());
    }
    Ok(first)
}

/// Returns the beginning of the slot of an instant.
fn slot_at(at: Timestamp) -> Timestamp {
    let into_slot = at.since(Timestamp::from_unix_ms(0)).as_millis() % SLOT.as_millis();
    at.saturating_sub(Duration::from_millis(u64::try_from(into_slot).unwrap_or(0)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of objects")]
fn measure(folder: &Path, register_rate: f64, due_rate: f64, seconds: u64) -> Result<Figures> {
    let engine = open(folder)?;
    let calls = (due_rate * seconds as f64 / CALL as f64).ceil() as u64;
    let span = Duration::from_secs(seconds);
    let first = register_due(&engine, calls, register_rate, span)?;
    let (observed, stop) = (Mutex::new(Observed::default()), AtomicBool::new(false));
    let enforced = AtomicU64::new(0);
    let expected = calls * CALL as u64;
    let registered = thread::scope(|scope| -> Result<f64> {
        let enforcing: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| enforce(&engine, &observed, &enforced, &stop))).collect();
        let registered = register_at_rate(&engine, calls, register_rate, first, span);
        // Waits for late objects until 30 slots after the last one.
        while enforced.load(Ordering::SeqCst) < expected
            && engine.now() < first.saturating_add(span + 30 * SLOT)
        {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::SeqCst);
        for thread in enforcing {
            thread.join().map_err(|_| "an enforcing thread panicked")??;
        }
        registered
    })?;
    let mut observed = observed.into_inner().map_err(|_| "an enforcing thread panicked")?;
    let missing = expected.saturating_sub(enforced.into_inner());
    observed.after.sort_unstable();
    Ok(Figures::from([
        ("late", (observed.late + missing) as f64),
        ("early", observed.early as f64),
        ("p50", quantile(&observed.after, 0.5)),
        ("p99.9", quantile(&observed.after, 0.999)),
        ("slot", ms(SLOT)),
        ("registered", registered),
        ("register fifth", register_rate),
        ("due fifth", due_rate),
    ]))
}

/// Registers calls from number `next` on at a fixed rate during `span`. Returns the achieved objects per second.
fn register_at_rate(
    engine: &Engine,
    mut next: u64,
    per_second: f64,
    first: Timestamp,
    span: Duration,
) -> Result<f64> {
    while engine.now() < first {
        thread::sleep(Duration::from_millis(2));
    }
    let began = engine.now();
    let mut calls = 0_u64;
    loop {
        let passed = engine.now().since(began);
        if passed >= span {
            return Ok((calls * CALL as u64) as f64 / passed.as_secs_f64());
        }
        if (calls * CALL as u64) as f64 > per_second * passed.as_secs_f64() {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let now = engine.now();
        let start_of = |index| now.saturating_sub(Duration::from_millis(index));
        register(engine, next, start_of, Durability::Synced)?;
        next += 1;
        calls += 1;
    }
}

/// Enforces batches as a worker does, and observes the times, until `stop`.
fn enforce(
    engine: &Engine,
    observed: &Mutex<Observed>,
    enforced: &AtomicU64,
    stop: &AtomicBool,
) -> Result<()> {
    while !stop.load(Ordering::SeqCst) {
        let Some(mut batch) = engine.next_batch()? else {
            thread::sleep(WorkerOptions::default().idle);
            continue;
        };
        let handed = engine.now();
        let slots: Vec<(Timestamp, Option<Timestamp>)> =
            batch.objects().map(|object| (object.id.page.slot_start(), object.ceiling)).collect();
        batch.delete_with(SUB_BATCH, |sub_batch| NullStore.delete(sub_batch), || engine.now());
        engine.complete(batch)?;
        let done = engine.now();
        let mut observed = observed.lock().map_err(|_| "an enforcing thread panicked")?;
        for same in slots.chunk_by(|a, b| a == b) {
            let (slot, ceiling) = same[0];
            let objects = same.len() as u64;
            observed.after.push((done.since(slot), objects));
            observed.late += if ceiling.is_some_and(|ceiling| done > ceiling) { objects } else { 0 };
            observed.early += if handed < slot { objects } else { 0 };
        }
        enforced.fetch_add(slots.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

/// Returns the milliseconds that this fraction of the objects does not exceed. `sorted` has times, each with the number
/// of objects that it applies to.
fn quantile(sorted: &[(Duration, u64)], fraction: f64) -> f64 {
    let all: u64 = sorted.iter().map(|(_, objects)| objects).sum();
    let mut below = 0;
    for (value, objects) in sorted {
        below += objects;
        if below as f64 >= fraction * all as f64 {
            return ms(*value);
        }
    }
    f64::NAN
}

/// Returns a duration in milliseconds, as the figures state it.
fn ms(duration: Duration) -> f64 {
    whole_ms(duration) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_counts_objects_not_entries() {
        let values = [(1, 990), (5, 9), (700, 1)].map(|(ms, objects)| (Duration::from_millis(ms), objects));
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|part| quantile(&values, part)), [1.0, 1.0, 5.0, 700.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
