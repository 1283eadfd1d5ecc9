//! Command `sexton-bench`.
//!
//! `ours`, `peers` and `scale` compare the engine with references that are measured in the same run. `baseline`
//! compares it with the baseline by time and by CPU time. `ffi-overhead` compares the C library with the Rust call.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints what it measured")]

mod run;

use clap::Parser;
use run::RunArgs;
use sexton::class::Find;
use sexton_bench::compare::{Set, growth};
use sexton_bench::contest::contestant_at;
use sexton_bench::environment::Fsync;
use sexton_bench::ffi_overhead::{self, BUFFERED};
use sexton_bench::reference::baseline::{Baseline, Rows};
use sexton_bench::statistics::Spread;
use sexton_bench::{CALL, Cost, Ours, Result, Workload, timed};
use sexton_proof::leaf::Openings;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Number of objects and objects per slot of each line of the table of `baseline`.
const FILLS: [(usize, usize); 3] = [(100_000, 10), (1_000_000, 1_000), (2_000_000, 100_000)];

/// Measure Sexton beside references. Criterion's benches run with `cargo bench`.
#[derive(Parser)]
enum Args {
    /// Compare the engine with the baseline and naive layouts on the same libraries.
    Ours(RunArgs),
    /// Compare the engine with Redis, PostgreSQL, RocksDB's TTL, find, other timers and another log.
    Peers(RunArgs),
    /// Measure the engine with 1, 10 and 100 million live objects.
    Scale(RunArgs),
    /// Compare the engine with the baseline: objects registered and enforced per second, and CPU time per object.
    Baseline {
        /// Number of rounds. The table gives medians over them.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Folder for the indexes. It decides which disk is measured.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Measure only this number of objects per slot.
        #[arg(long, value_parser = fill)]
        fill: Option<usize>,
        /// Number of objects. The default depends on the number per slot.
        #[arg(long)]
        objects: Option<usize>,
        /// Spread the objects of each call over all slots of the class.
        #[arg(long)]
        spread: bool,
        /// Measure only this subject. Without the baseline the columns × stay empty.
        #[arg(long, value_parser = SUBJECTS.map(|subject| subject.name))]
        only: Option<String>,
    },
    /// Compare registering through the C library with registering through Rust.
    FfiOverhead {
        /// Program built from ffi/bench/register.c.
        program: PathBuf,
        /// Number of rounds. The table gives medians over them.
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Number of calls in a round, each of 1,000 objects.
        #[arg(long, default_value_t = 500)]
        calls: usize,
        /// Folder for the indexes. It decides which disk is measured.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// Child process of `ffi-overhead`: register through Rust and print elapsed time and CPU time in microseconds.
    #[command(hide = true)]
    Register { folder: PathBuf, calls: usize, flags: u32 },
    /// Child process of `scale`: register and enforce, and print a line for each figure.
    #[command(hide = true)]
    Grow { folder: PathBuf, live: usize, more: usize },
    /// Child process of `scale`: open the folder that `grow` left, and print time and memory.
    #[command(hide = true)]
    Reopen { folder: PathBuf },
}

/// Subject of the table of `baseline`.
#[derive(Clone, Copy)]
struct Subject {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// Baseline.
    Baseline,
    /// Baseline with a second row per object, under a random key.
    SecondRow,
    /// Engine with classes of one kind.
    Engine(Find, Openings),
}

const SUBJECTS: [Subject; 5] = [
    Subject { name: "baseline", kind: Kind::Baseline },
    Subject { name: "second-row", kind: Kind::SecondRow },
    Subject { name: "none/operator", kind: Kind::Engine(Find::None, Openings::Operator) },
    Subject { name: "none/ticket", kind: Kind::Engine(Find::None, Openings::Ticket) },
    Subject { name: "key/operator", kind: Kind::Engine(Find::Key, Openings::Operator) },
];

fn fill(text: &str) -> std::result::Result<usize, String> {
    let fills = FILLS.map(|(_, per_slot)| per_slot);
    let asked = text.parse().ok().filter(|asked| fills.contains(asked));
    asked.ok_or_else(|| format!("has to be one of {fills:?}"))
}

/// Cost of registering and cost of enforcing, one pair per round.
type Rounds = Vec<(Cost, Cost)>;

fn main() -> Result<()> {
    match Args::parse() {
        Args::Ours(args) => run::run(Set::Ours, args),
        Args::Peers(args) => run::run(Set::Peers, args),
        Args::Scale(args) => run::run(Set::Scale, args),
        Args::Baseline { rounds, dir, fill, objects, spread, only } => {
            let selection = Selection { fill, objects, spread, only: only.as_deref() };
            compare_with_baseline(rounds, &dir, &selection)
        }
        Args::FfiOverhead { program, rounds, calls, dir } => {
            compare_c_with_rust(&program, rounds, calls, &dir)
        }
        Args::Register { folder, calls, flags } => {
            let cost = ffi_overhead::register(&folder, calls, flags)?;
            println!("{} {}", cost.wall.as_micros(), cost.cpu.as_micros());
            Ok(())
        }
        Args::Grow { folder, live, more } => {
            print!("{}", growth::grow(&folder, live, more)?);
            Ok(())
        }
        Args::Reopen { folder } => {
            print!("{}", growth::reopen(&folder)?);
            Ok(())
        }
    }
}

fn compare_c_with_rust(program: &Path, rounds: u8, calls: usize, dir: &Path) -> Result<()> {
    println!(
        "Registering {} objects in calls of 1,000. Ratio of C to Rust: median (least–most) of {rounds} rounds.\n",
        calls * CALL
    );
    println!("| | time | CPU time |\n|---|---:|---:|");
    for (name, flags) in [("buffered", BUFFERED), ("one fsync per call", 0)] {
        let mut ratios = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let through = |program: Command| -> Result<Cost> {
                ffi_overhead::in_process_of(program, tempfile::tempdir_in(dir)?.path(), calls, flags)
            };
            let through_rust = || {
                let mut program = Command::new(std::env::current_exe()?);
                program.arg("register");
                through(program)
            };
            // They take turns at being first, so that neither always follows the other.
            let (rust, c) = if round % 2 == 0 {
                (through_rust()?, through(Command::new(program))?)
            } else {
                let c = through(Command::new(program))?;
                (through_rust()?, c)
            };
            ratios.0.push(c.wall.as_secs_f64() / rust.wall.as_secs_f64());
            ratios.1.push(c.cpu.as_secs_f64() / rust.cpu.as_secs_f64());
        }
        let cell = |ratios: Vec<f64>| {
            let (least, median, most) = spread(ratios);
            format!("{median:.2} ({least:.2}–{most:.2})")
        };
        println!("| {name} | {} | {} |", cell(ratios.0), cell(ratios.1));
    }
    Ok(())
}

/// Selection of lines of the table and of the workload.
struct Selection<'a> {
    fill: Option<usize>,
    objects: Option<usize>,
    spread: bool,
    only: Option<&'a str>,
}

fn compare_with_baseline(rounds: u8, dir: &Path, selection: &Selection<'_>) -> Result<()> {
    let Selection { fill, objects: asked, spread: is_spread, only } = *selection;
    print_fsync(dir)?;
    println!("\nThousands of objects per second: median (least–most) of {rounds} rounds.");
    println!("×: median ratio to the baseline.");
    if is_spread {
        println!("The objects of each call are spread over all slots of the class.");
    }
    println!("CPU: µs per object, of all threads including RocksDB's.\n");
    println!("| per slot | objects | find/openings | registered | × | CPU | enforced | × | CPU |");
    println!("|---:|---:|---|---:|---:|---:|---:|---:|---:|");
    for (objects, per_slot) in FILLS.into_iter().filter(|(_, n)| fill.is_none_or(|f| f == *n)) {
        let work = Workload::new(asked.unwrap_or(objects), per_slot);
        let work = if is_spread { work.spread() } else { work };
        let subjects: Vec<Subject> =
            SUBJECTS.into_iter().filter(|s| only.is_none_or(|name| name == s.name)).collect();
        let mut measured: Vec<Rounds> = vec![Vec::new(); subjects.len()];
        for round in 0..usize::from(rounds) {
            for turn in 0..subjects.len() {
                let index = contestant_at(turn, round, subjects.len());
                measured[index].push(measure(dir, subjects[index], &work)?);
            }
            eprintln!("{per_slot} per slot: round {} of {rounds}", round + 1);
        }
        let baseline = subjects.iter().position(|subject| matches!(subject.kind, Kind::Baseline));
        let baseline = baseline.map_or(&[][..], |index| &measured[index]);
        for (subject, rounds) in subjects.iter().zip(&measured) {
            println!(
                "| {per_slot} | {} | {} | {} | {} |",
                work.len(),
                subject.name,
                cells(&work, rounds, baseline, |costs| costs.0),
                cells(&work, rounds, baseline, |costs| costs.1),
            );
        }
    }
    Ok(())
}

fn measure(dir: &Path, subject: Subject, work: &Workload) -> Result<(Cost, Cost)> {
    let folder = tempfile::tempdir_in(dir)?;
    match subject.kind {
        Kind::Baseline | Kind::SecondRow => {
            let rows = if matches!(subject.kind, Kind::SecondRow) { Rows::Two } else { Rows::One };
            let baseline = Baseline::open(folder.path(), rows)?;
            Ok((timed(|| baseline.register(work))?, timed(|| baseline.enforce(work))?))
        }
        Kind::Engine(find, openings) => {
            let ours = Ours::open(folder.path(), find, openings)?;
            let registered = timed(|| ours.register(work))?;
            ours.advance_until_due(work);
            Ok((registered, timed(|| ours.enforce(work))?))
        }
    }
}

/// Cells of the table: objects per second, ratio to the baseline, CPU time per object.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn cells(
    work: &Workload,
    rounds: &[(Cost, Cost)],
    baseline: &[(Cost, Cost)],
    pick: fn(&(Cost, Cost)) -> Cost,
) -> String {
    let objects = work.len() as f64;
    let rate = |costs| objects / pick(costs).wall.as_secs_f64();
    let (least, median, most) = spread(rounds.iter().map(|r| rate(r) / 1_000.0));
    let ratios = |(ours, baseline)| rate(ours) / rate(baseline);
    let ratios: Vec<f64> = rounds.iter().zip(baseline).map(ratios).collect();
    let ratio = Spread::of(&ratios).map_or_else(|| "–".to_owned(), |ratio| format!("{:.2}", ratio.median));
    let cpu = spread(rounds.iter().map(|r| pick(r).cpu.as_secs_f64() * 1e6 / objects)).1;
    format!("{median:.0} ({least:.0}–{most:.0}) | {ratio} | {cpu:.1}")
}

/// Least, median and greatest value.
fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64, f64) {
    let spread = Spread::of(&values.into_iter().collect::<Vec<_>>());
    spread.map_or((f64::NAN, f64::NAN, f64::NAN), |s| (s.least, s.median, s.most))
}

/// Prints the time that the disk takes to make 4 KiB durable at the end of a file.
fn print_fsync(dir: &Path) -> Result<()> {
    let fsync = Fsync::measured(dir)?;
    if let Some(Spread { least, median, most }) = fsync.micros {
        let measured = fsync.measured;
        println!(
            "fdatasync after appending 4 KiB: {median:.0} µs ({least:.0}–{most:.0}), {measured} samples"
        );
    }
    Ok(())
}
