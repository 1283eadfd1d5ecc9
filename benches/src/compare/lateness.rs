//! Lateness: registrations arriving and objects falling due at one fifth of the rates that were just measured.

use super::Group;
use super::objects::ours as at_full_speed;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::workload::object_bytes;
use crate::workload::registration;
use crate::{CALL, CLASSES, NAMES, NullStore, OBJECT_BYTES, Result, SHARDS, THREADS, Workload};
use sexton::store::Store;
use sexton::{BreakerLimits, ClassSet, Durability, Engine, Find, Options, Outcome, WorkerOptions};
use sexton_proof::leaf::Openings;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The shortest slot there may be, so the hardest to keep.
const SLOT_MS: i64 = 1_000;
const LEAD_MS: i64 = 1_000;
const WITHIN_MS: i64 = 3_600_000;
/// Between registering what falls due and the first slot, ms at least.
const AHEAD_MS: i64 = 2_000;
const CHUNK: usize = 1_000;

/// Lateness.
pub(super) const GROUP: Group = Group {
    pairings: || {
        let ours = |figure| Of("ours", figure);
        let alone = |name, unit, figure, what| Pairing::alone(name, unit, ours(figure), what);
        vec![
            alone("lateness/late", "objects", "late", "objects whose ceiling passed before their tombstone")
                .to_reach(Target::Never),
            alone("lateness/early", "objects", "early", "objects handed to the store before their slot")
                .to_reach(Target::Never),
            Pairing::new(
                "lateness/p99.9",
                "ms",
                ours("p99.9"),
                Of("ours", "slot"),
                "from the beginning of a slot to its committed tombstone, beside the width of a slot",
            )
            .beside("width of the slot")
            .to_reach(Target::RatioBelow(1.0))
            .unless(ours("late"), "some are late"),
            alone("lateness/p50", "ms", "p50", "the same, the median object"),
            Pairing::new(
                "lateness/registered",
                "objects/s",
                ours("registered"),
                Of("ours", "register fifth"),
                "registrations that were made, beside the fifth that was asked for",
            )
            .beside("a fifth of the maximum")
            .to_reach(Target::Ratio(0.95)),
            alone(
                "lateness/due",
                "objects/s",
                "due fifth",
                "objects that fell due: a fifth of the maximum, too",
            ),
        ]
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let work = Workload::new(setup.scaled(2_000_000, CALL * CLASSES), 100_000);
        let seconds = setup.seconds;
        let ours = Contestant::new("ours", move |folder: &Path| {
            let full = at_full_speed(&folder.join("full"), &work, Find::None, Openings::Operator, true)?;
            let fifth = |figure| full.get(figure).map_or(0.0, |rate| rate / 5.0);
            live(&folder.join("live"), fifth("register"), fifth("enforce"), seconds)
        });
        Ok(play(setup, vec![ours], pairings))
    },
};

fn open(folder: &Path) -> Result<Engine> {
    let class = |name| {
        format!(
            "[class.{name}]\nwithin = \"1h\"\nslot = \"1s\"\nlead = \"1s\"\nstart = \"explicit\"\nfind = \"none\"\n"
        )
    };
    let classes = ClassSet::from_toml(&NAMES.map(class).concat())?;
    let breaker = BreakerLimits { objects: u64::MAX, ..BreakerLimits::default() };
    let shards = Some(SHARDS);
    Ok(Engine::open(folder, &Options { classes, breaker, shards, ..Options::new("bench.example/lateness") })?)
}

/// What was seen.
#[derive(Default)]
struct Seen {
    /// Of each chunk of objects: how late after their slot's beginning, ms, and how many.
    after_ms: Vec<(i64, u64)>,
    late: u64,
    early: u64,
}

/// Objects of one call, all with this start.
fn call_of(first: u64) -> Vec<u8> {
    (first..first + CALL as u64).flat_map(object_bytes).collect()
}

fn register(
    engine: &Engine,
    number: u64,
    start_ms: impl Fn(i64) -> i64,
    durability: Durability,
) -> Result<()> {
    let objects = call_of(number * CALL as u64);
    let class = usize::try_from(number % CLASSES as u64)?;
    let object = |(bytes, n)| registration(class, bytes, start_ms(n));
    let items: Vec<_> = objects.chunks_exact(OBJECT_BYTES).zip(0_i64..).map(object).collect();
    engine.register(&items, durability)?;
    Ok(())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of objects")]
fn live(folder: &Path, register_rate: f64, due_rate: f64, seconds: u64) -> Result<Figures> {
    let engine = open(folder)?;
    let calls = (due_rate * seconds as f64 / CALL as f64).ceil() as u64;
    // What falls due is registered first; how long that takes says when the first slot may be.
    let span_ms = i64::try_from(seconds * 1_000)?;
    let takes_ms = (calls as f64 * CALL as f64 / (register_rate * 2.0) * 1_000.0) as i64;
    let first_ms = (engine.now_ms() + takes_ms + AHEAD_MS) / SLOT_MS * SLOT_MS;
    let of_call = |number: u64| {
        let ahead = i64::try_from(number).unwrap_or(0) * span_ms / i64::try_from(calls).unwrap_or(1).max(1);
        first_ms + ahead + SLOT_MS + LEAD_MS - WITHIN_MS
    };
    for number in 0..calls {
        register(&engine, number, |_| of_call(number), Durability::Buffered)?;
    }
    engine.sync()?;
    let slipped = engine.now_ms() - first_ms;
    if slipped > 0 {
        return Err(format!("what falls due was registered {slipped} ms too late to be measured").into());
    }
    let (seen, next, stop) = (Mutex::new(Seen::default()), AtomicU64::new(calls), AtomicBool::new(false));
    let enforced = AtomicU64::new(0);
    let expected = calls * CALL as u64;
    let made = thread::scope(|scope| -> Result<f64> {
        let enforcing: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| enforce(&engine, &seen, &enforced, &stop))).collect();
        let registered = arrive(&engine, &next, register_rate, first_ms, span_ms);
        // Until the last slot is over, and some more.
        while enforced.load(Ordering::SeqCst) < expected
            && engine.now_ms() < first_ms + span_ms + 30 * SLOT_MS
        {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::SeqCst);
        for thread in enforcing {
            thread.join().map_err(|_| "an enforcing thread panicked")??;
        }
        registered
    })?;
    let mut seen = seen.into_inner().map_err(|_| "a thread panicked")?;
    let missing = expected.saturating_sub(enforced.into_inner());
    seen.after_ms.sort_unstable();
    Ok(Figures::from([
        ("late", (seen.late + missing) as f64),
        ("early", seen.early as f64),
        ("p50", quantile(&seen.after_ms, 0.5)),
        ("p99.9", quantile(&seen.after_ms, 0.999)),
        ("slot", SLOT_MS as f64),
        ("registered", made),
        ("register fifth", register_rate),
        ("due fifth", due_rate),
    ]))
}

/// Registers at this rate, each call when its turn has come, until the time is over; and says how many per second.
fn arrive(engine: &Engine, next: &AtomicU64, per_second: f64, first_ms: i64, span_ms: i64) -> Result<f64> {
    while engine.now_ms() < first_ms {
        thread::sleep(Duration::from_millis(2));
    }
    let began = engine.now_ms();
    let mut calls = 0_u64;
    loop {
        let passed = engine.now_ms() - began;
        if passed >= span_ms {
            return Ok((calls * CALL as u64) as f64 * 1e3 / passed as f64);
        }
        if (calls * CALL as u64) as f64 > per_second * passed as f64 / 1e3 {
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let now_ms = engine.now_ms();
        register(engine, next.fetch_add(1, Ordering::SeqCst), |n| now_ms - n, Durability::Synced)?;
        calls += 1;
    }
}

/// What a worker does, with a look at when.
fn enforce(engine: &Engine, seen: &Mutex<Seen>, enforced: &AtomicU64, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::SeqCst) {
        let Some(batch) = engine.next_batch()? else {
            thread::sleep(WorkerOptions::default().idle);
            continue;
        };
        let handed_ms = engine.now_ms();
        let slots: Vec<(i64, i64)> = batch
            .objects()
            .map(|object| (i64::try_from(object.id.page.slot).unwrap_or(i64::MAX), object.ceiling_ms))
            .collect();
        let mut outcomes = Vec::with_capacity(batch.len());
        for part in batch.parts(CHUNK) {
            let answers = part.request(|request| NullStore.delete(request));
            let at_ms = engine.now_ms();
            outcomes.extend(answers.into_iter().map(|answer| Outcome { answer, at_ms }));
        }
        engine.complete(batch, outcomes)?;
        let done_ms = engine.now_ms();
        let mut seen = seen.lock().map_err(|_| "a thread panicked")?;
        for same in slots.chunk_by(|a, b| a == b) {
            let (slot, ceiling) = same[0];
            let objects = same.len() as u64;
            seen.after_ms.push((done_ms - slot, objects));
            seen.late += if done_ms > ceiling { objects } else { 0 };
            seen.early += if handed_ms < slot { objects } else { 0 };
        }
        enforced.fetch_add(slots.len() as u64, Ordering::SeqCst);
    }
    Ok(())
}

/// The value that this share of the objects does not exceed; sorted values with how many have each.
fn quantile(sorted: &[(i64, u64)], share: f64) -> f64 {
    let all: u64 = sorted.iter().map(|(_, objects)| objects).sum();
    let mut below = 0;
    for (value, objects) in sorted {
        below += objects;
        if below as f64 >= share * all as f64 {
            return *value as f64;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_count_objects_and_not_chunks() {
        let values = [(1, 990), (5, 9), (700, 1)];
        assert_eq!([0.5, 0.99, 0.999, 1.0].map(|share| quantile(&values, share)), [1.0, 1.0, 5.0, 700.0]);
        assert!(quantile(&[], 0.5).is_nan());
    }
}
