//! Growth: the same work with 1, 10 and 100 million live objects.
//!
//! Each measurement runs in a child process, so that the memory which the kernel reports is that of one engine.

use super::Group;
use crate::comparison::{Comparison, ComparisonResult, FigureOf};
use crate::contest::{Contestant, Figures, Setup, run_contest};
use crate::statistics::Target;
use crate::workload::{call_bytes, registrations};
use crate::{
    CALL, CLASSES, LEAD, NullStore, Ours, REGISTERED, Result, WITHIN, cpu, in_parallel, rate, slot_start,
    timed,
};
use sexton::class::Find;
use sexton::limits::RocksOptions;
use sexton::{Durability, Options};
use sexton_proof::leaf::Openings;
use sexton_proof::time::Timestamp;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const LIVE: [(&str, usize); 3] = [("1M", 1_000_000), ("10M", 10_000_000), ("100M", 100_000_000)];
const PER_SLOT: usize = 100_000;
/// Number of objects that are registered and enforced beside the live ones.
const MORE: usize = 2_000_000;
/// First slot of the live objects. It lies after every slot that is enforced here.
const AHEAD_SLOTS: usize = 1_000;
/// Number of column families with a write buffer for rows: one per class.
const ROW_FAMILIES: usize = CLASSES;
/// Bytes of memory for a row of a batch in flight: the row, its outcome, its evidence.
const BATCH_ROW_BYTES: u64 = 512;
/// Interval at which the CPU time of this process is read.
const IDLE_INTERVAL: Duration = Duration::from_millis(500);
const FIGURES: [&str; 6] = ["register", "enforce", "open", "memory", "memory open", "disk"];

/// Comparisons of growth.
pub(super) const GROUP: Group = Group {
    comparisons: || {
        let mut comparisons = Vec::new();
        for (name, objects) in LIVE {
            let at = |figure: &str| format!("growth/{figure}/{name}");
            let cap = FigureOf(name, "cap");
            comparisons.push(
                Comparison::new(
                    at("memory"),
                    "bytes",
                    FigureOf(name, "memory"),
                    cap,
                    "peak resident memory (VmHWM), beside the configured limits",
                )
                .labelled("caps")
                .with_target(Target::RatioAtMost(1.0)),
            );
            let anonymous = "anonymous memory (RssAnon) after reopening";
            comparisons.push(Comparison::alone(
                at("memory-open"),
                "bytes",
                FigureOf(name, "memory open"),
                anonymous,
            ));
            let disk = "bytes of the index with its write-ahead log, per live object";
            comparisons.push(Comparison::alone(at("disk"), "bytes per object", FigureOf(name, "disk"), disk));
            if objects == LIVE[0].1 {
                continue;
            }
            for (figure, unit, target, what) in [
                (
                    "register",
                    "objects/s",
                    Target::Ratio(0.8),
                    "registering, beside registering with 1 M live",
                ),
                ("enforce", "objects/s", Target::Ratio(0.8), "enforcing, beside enforcing with 1 M live"),
                ("open", "ms", Target::RatioAtMost(3.0), "opening, beside opening with 1 M live"),
            ] {
                let comparison =
                    Comparison::new(at(figure), unit, FigureOf(name, figure), FigureOf("1M", figure), what)
                        .labelled("1M live");
                let has_target = objects == LIVE[2].1;
                comparisons.push(if has_target { comparison.with_target(target) } else { comparison });
            }
        }
        comparisons
    },
    run: |setup: &Setup, comparisons: &[Comparison]| -> Result<Vec<ComparisonResult>> {
        let more = setup.scaled(MORE, CALL * CLASSES);
        let contestants = LIVE.map(|(name, objects)| {
            let live = setup.scaled(objects, CALL * CLASSES);
            Contestant::new(name, move |folder: &Path| in_child_processes(&setup.program, folder, live, more))
        });
        Ok(run_contest(setup, contestants.into(), comparisons))
    },
};

/// Runs [`grow`] and then [`reopen`], each in a child process, and reads the figures that they print.
fn in_child_processes(program: &Path, folder: &Path, live: usize, more: usize) -> Result<Figures> {
    let numbers = [live.to_string(), more.to_string()];
    let mut figures = Figures::from([("cap", cap() as f64)]);
    for (command, rest) in [("grow", &numbers[..]), ("reopen", &[])] {
        let output = Command::new(program).arg(command).arg(folder.join("engine")).args(rest).output()?;
        if !output.status.success() {
            return Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
        }
        for line in String::from_utf8(output.stdout)?.lines() {
            let parsed = line
                .rsplit_once(' ')
                .and_then(|(name, value)| Some((FIGURES.into_iter().find(|figure| *figure == name)?, value)));
            let (known, value) =
                parsed.ok_or_else(|| format!("{command} printed {line:?}, which is no figure"))?;
            figures.insert(known, value.parse()?);
        }
    }
    Ok(figures)
}

/// Configured limits of memory: the block cache, three write buffers per class, and the batches in flight.
fn cap() -> u64 {
    let (rocks, options) = (RocksOptions::default(), Options::default());
    let buffers = 3 * ROW_FAMILIES * rocks.write_buffer_bytes;
    let batches = options.max_batches_in_flight * u64::from(options.batch_objects) * BATCH_ROW_BYTES;
    (rocks.cache_bytes + buffers) as u64 + batches
}

/// Registers `live` objects that stay, then registers and enforces `more`. Returns a line for each figure.
///
/// # Errors
/// Errors of the engine.
pub fn grow(folder: &Path, live: usize, more: usize) -> Result<String> {
    let ours = Ours::open(folder, Find::None, Openings::Operator)?;
    register(&ours, 0..live.div_ceil(CALL), AHEAD_SLOTS, Durability::Buffered)?;
    ours.engine.sync()?;
    wait_until_idle()?;
    let calls = live.div_ceil(CALL)..(live + more).div_ceil(CALL);
    let objects = calls.len() * CALL;
    let disk = bytes_below(&folder.join("index"))? as f64 / live as f64;
    let registered = rate(objects, || register(&ours, calls.clone(), 0, Durability::Synced))?;
    ours.clock.advance_to(now(more));
    let enforced = rate(objects, || ours.enforce_with(&NullStore, objects))?;
    let memory = status_bytes("VmHWM")?;
    Ok(format!("register {registered}\nenforce {enforced}\ndisk {disk}\nmemory {memory}\n"))
}

/// Opens the engine that [`grow`] left. Returns a line each for time and memory.
///
/// # Errors
/// Errors of the engine.
pub fn reopen(folder: &Path) -> Result<String> {
    let mut opened = None;
    let took = timed(|| {
        opened = Some(Ours::reopen(folder, now(MORE))?);
        Ok(())
    })?;
    let memory = status_bytes("RssAnon")?;
    drop(opened);
    Ok(format!("open {}\nmemory open {memory}\n", took.wall.as_secs_f64() * 1e3))
}

/// Waits until this process is idle for a second: RocksDB then has compacted the loaded objects.
///
/// A host does not load that many objects at once, so the compaction is not part of the measurement.
///
/// # Errors
/// If the process is still busy after ten minutes.
fn wait_until_idle() -> Result<()> {
    let mut idle = 0;
    for _ in 0..1_200 {
        let before = cpu()?;
        thread::sleep(IDLE_INTERVAL);
        idle = if cpu()?.saturating_sub(before) < IDLE_INTERVAL / 20 { idle + 1 } else { 0 };
        if idle == 2 {
            return Ok(());
        }
    }
    Err("RocksDB still compacts the loaded objects after ten minutes".into())
}

/// Time at which all of the further objects are due, and none of the live ones.
fn now(more: usize) -> Timestamp {
    let slots = (more / CLASSES).div_ceil(PER_SLOT);
    REGISTERED.saturating_add(WITHIN + slot_start(slots + 1))
}

/// Registers the objects of `calls`, class by class, with due instants from `slot` on.
fn register(ours: &Ours, calls: std::ops::Range<usize>, slot: usize, durability: Durability) -> Result<()> {
    in_parallel(calls.len(), |call| {
        let number = calls.start + call;
        let slot = slot + call / CLASSES * CALL / PER_SLOT;
        let start = REGISTERED.saturating_add(slot_start(slot + 1) + LEAD);
        let objects = call_bytes(number as u64);
        let start_of = |index| start.saturating_sub(Duration::from_millis(index * 7));
        let registrations = registrations(call % CLASSES, &objects, start_of);
        ours.engine.register(&registrations, durability)?;
        Ok(())
    })
}

/// Value of a field of `/proc/self/status`, in bytes.
fn status_bytes(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = value.and_then(|value| value.trim().strip_suffix(" kB"));
    let kib = kib.ok_or_else(|| format!("/proc/self/status has no field {name} in kB"))?;
    Ok(kib.trim().parse::<u64>()? * 1024)
}

/// Sum of the sizes of all files below a folder.
pub(super) fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { bytes_below(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_and_reopening_print_every_figure() {
        let folder = tempfile::tempdir().unwrap();
        let output = grow(folder.path(), 8_000, 4_000).unwrap() + &reopen(folder.path()).unwrap();
        for figure in FIGURES {
            let value = output.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(' '));
            let value: f64 = value.and_then(|value| value.parse().ok()).unwrap_or(0.0);
            assert!(value > 0.0, "{figure} in {output}");
        }
    }
}
