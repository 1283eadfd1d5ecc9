//! Growth: the same work while a million, ten and a hundred million objects live. Each life is played by a process of its
//! own, so that what the kernel says of its memory is the engine's.

use super::Group;
use crate::bout::{Comparison, Contestant, Figures, Of, Pairing, Setup, play};
use crate::figures::Target;
use crate::workload::{object_bytes, registration};
use crate::{
    CALL, CLASSES, LEAD_MS, NullStore, OBJECT_BYTES, Ours, REGISTERED_MS, Result, SLOT_MS, THREADS,
    WITHIN_MS, cpu, rate, share, timed,
};
use sexton::kv::rocks::RocksOptions;
use sexton::{Durability, Find, Options};
use sexton_proof::leaf::Openings;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const LIVE: [(&str, usize); 3] = [("1M", 1_000_000), ("10M", 10_000_000), ("100M", 100_000_000)];
const PER_SLOT: usize = 100_000;
/// Registered and enforced while the others live.
const MORE: usize = 2_000_000;
/// Slots before those in which the others fall due, which is later than anything is enforced here.
const AHEAD_SLOTS: usize = 1_000;
/// Column families of classes, each of which buffers rows.
const ROW_FAMILIES: usize = CLASSES;
/// Bytes that a row of a batch takes while it is on its way: the row, its outcome, its evidence.
const BATCH_ROW_BYTES: u64 = 512;
/// How long is looked whether this process does anything.
const LOOK: Duration = Duration::from_millis(500);
const FIGURES: [&str; 6] = ["register", "enforce", "open", "memory", "memory open", "disk"];

/// Growth.
pub(super) const GROUP: Group = Group {
    pairings: || {
        let mut pairings = Vec::new();
        for (name, objects) in LIVE {
            let at = |figure: &str| format!("growth/{figure}/{name}");
            let cap = Of(name, "cap");
            pairings.push(
                Pairing::new(
                    at("memory"),
                    "bytes",
                    Of(name, "memory"),
                    cap,
                    "most memory ever resident (VmHWM), beside the caps that are set",
                )
                .beside("caps")
                .to_reach(Target::RatioAtMost(1.0)),
            );
            let anonymous = "memory that is no file (RssAnon) after opening again";
            pairings.push(Pairing::alone(at("memory-open"), "bytes", Of(name, "memory open"), anonymous));
            let disk = "bytes of the index, log of writes included, for each object that lives";
            pairings.push(Pairing::alone(at("disk"), "bytes per object", Of(name, "disk"), disk));
            if objects == LIVE[0].1 {
                continue;
            }
            for (figure, unit, target, what) in [
                ("register", "objects/s", Target::Ratio(0.8), "registering, beside the same with 1 M live"),
                ("enforce", "objects/s", Target::Ratio(0.8), "enforcing, beside the same with 1 M live"),
                ("open", "ms", Target::RatioAtMost(3.0), "opening, beside the same with 1 M live"),
            ] {
                let pairing = Pairing::new(at(figure), unit, Of(name, figure), Of("1M", figure), what)
                    .beside("1M live");
                let is_asked = objects == LIVE[2].1;
                pairings.push(if is_asked { pairing.to_reach(target) } else { pairing });
            }
        }
        pairings
    },
    play: |setup: &Setup, pairings: &[Pairing]| -> Result<Vec<Comparison>> {
        let more = setup.scaled(MORE, CALL * CLASSES);
        let contestants = LIVE.map(|(name, objects)| {
            let live = setup.scaled(objects, CALL * CLASSES);
            Contestant::new(name, move |folder: &Path| life(&setup.program, folder, live, more))
        });
        Ok(play(setup, contestants.into(), pairings))
    },
};

/// A life, and an opening after it, in two processes.
fn life(program: &Path, folder: &Path, live: usize, more: usize) -> Result<Figures> {
    let numbers = [live.to_string(), more.to_string()];
    let mut figures = Figures::from([("cap", cap() as f64)]);
    for (command, rest) in [("grow", &numbers[..]), ("reopen", &[])] {
        let said = Command::new(program).arg(command).arg(folder.join("engine")).args(rest).output()?;
        if !said.status.success() {
            return Err(format!("{command}: {}", String::from_utf8_lossy(&said.stderr).trim()).into());
        }
        for line in String::from_utf8(said.stdout)?.lines() {
            let (name, value) = line.rsplit_once(' ').ok_or("a line without a value")?;
            let known = FIGURES.into_iter().find(|figure| *figure == name).ok_or("an unknown figure")?;
            figures.insert(known, value.parse()?);
        }
    }
    Ok(figures)
}

/// The caps that are set: the cache, three buffers for each class, and the batches that may be out.
fn cap() -> u64 {
    let (rocks, options) = (RocksOptions::default(), Options::default());
    let buffers = 3 * ROW_FAMILIES * rocks.write_buffer_bytes;
    let batches = options.batches_in_flight * u64::from(options.batch_rows) * BATCH_ROW_BYTES;
    (rocks.cache_bytes + buffers) as u64 + batches
}

/// Registers `live` objects that stay and `more` that are enforced, and says how fast; a line for each figure.
///
/// # Errors
/// What the engine answers.
pub fn grow(folder: &Path, live: usize, more: usize) -> Result<String> {
    let ours = Ours::open(folder, Find::None, Openings::Operator)?;
    register(&ours, 0..live.div_ceil(CALL), AHEAD_SLOTS, Durability::Buffered)?;
    ours.engine.sync()?;
    settle()?;
    let calls = live.div_ceil(CALL)..(live + more).div_ceil(CALL);
    let objects = calls.len() * CALL;
    let disk = bytes_below(&folder.join("index"))? as f64 / live as f64;
    let registered = rate(objects, || register(&ours, calls.clone(), 0, Durability::Synced))?;
    ours.clock.wind_to(now_ms(more));
    let done = AtomicU64::new(0);
    let enforced = rate(objects, || {
        share(THREADS, |_| {
            done.fetch_add(ours.engine.enforce(&NullStore)?.objects, Ordering::Relaxed);
            Ok(())
        })
    })?;
    if done.into_inner() != objects as u64 {
        return Err("another number of objects was enforced than registered".into());
    }
    let memory = status_bytes("VmHWM")?;
    Ok(format!("register {registered}\nenforce {enforced}\ndisk {disk}\nmemory {memory}\n"))
}

/// Opens what [`grow`] left, and says how long that took.
///
/// # Errors
/// What the engine answers.
pub fn reopen(folder: &Path) -> Result<String> {
    let mut opened = None;
    let took = timed(|| {
        opened = Some(Ours::reopen(folder, now_ms(MORE))?);
        Ok(())
    })?;
    let memory = status_bytes("RssAnon")?;
    drop(opened);
    Ok(format!("open {}\nmemory open {memory}\n", took.wall.as_secs_f64() * 1e3))
}

/// Waits until RocksDB has merged what loading so much at once left, which no host does: until this process is idle for
/// a second.
///
/// # Errors
/// Where it is not after ten minutes.
fn settle() -> Result<()> {
    let mut idle = 0;
    for _ in 0..1_200 {
        let before = cpu()?;
        thread::sleep(LOOK);
        idle = if cpu()?.saturating_sub(before) < LOOK / 20 { idle + 1 } else { 0 };
        if idle == 2 {
            return Ok(());
        }
    }
    Err("what was loaded is still being merged after ten minutes".into())
}

/// When everything of the second part is due and nothing of the first.
fn now_ms(more: usize) -> i64 {
    let slots = i64::try_from((more / CLASSES).div_ceil(PER_SLOT)).unwrap_or(i64::MAX);
    REGISTERED_MS + WITHIN_MS + (slots + 1) * SLOT_MS
}

/// Registers the objects of these calls, class by class, due from this slot on.
fn register(ours: &Ours, calls: std::ops::Range<usize>, slot: usize, durability: Durability) -> Result<()> {
    share(calls.len(), |call| {
        let number = calls.start + call;
        let slot = i64::try_from(slot + call / CLASSES * CALL / PER_SLOT)?;
        let start_ms = REGISTERED_MS + SLOT_MS + LEAD_MS + slot * SLOT_MS;
        let objects = (number * CALL..(number + 1) * CALL).flat_map(|n| object_bytes(n as u64));
        let objects: Vec<u8> = objects.collect();
        let items = objects.chunks_exact(OBJECT_BYTES).zip(0_i64..);
        let items: Vec<_> =
            items.map(|(object, n)| registration(call % CLASSES, object, start_ms - n * 7)).collect();
        ours.engine.register(&items, durability)?;
        Ok(())
    })
}

/// A value of this process's status, in bytes.
fn status_bytes(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB")).ok_or("the kernel does not say")?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// Bytes of all files below a folder.
pub(super) fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { bytes_below(&entry.path())? } else { about.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_says_every_figure_and_can_be_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let said = grow(folder.path(), 8_000, 4_000).unwrap() + &reopen(folder.path()).unwrap();
        for figure in FIGURES {
            let value = said.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' '));
            let value: f64 = value.and_then(|value| value.parse().ok()).unwrap_or(0.0);
            assert!(value > 0.0, "{figure} in {said}");
        }
    }
}
