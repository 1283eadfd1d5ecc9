//! `sexton-bench floor`: how far the engine is above the floor that RocksDB and the disk set, both measured in turn
//! in the same run, printed as a Markdown table.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints what it measured")]

use clap::Parser;
use sexton::Find;
use sexton_bench::bare::Bare;
use sexton_bench::boundary::{self, BUFFERED};
use sexton_bench::{CALL, Cost, Ours, Result, Workload, timed};
use sexton_proof::leaf::Openings;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Objects in the index at the least, and per slot, for each line of the table.
const FILLS: [(usize, usize); 3] = [(100_000, 10), (1_000_000, 1_000), (2_000_000, 100_000)];

/// Benchmarks of Sexton that are no criterion benches.
#[derive(Parser)]
enum Args {
    /// The engine beside a bare sketch of it: durable registrations and enforced objects per second.
    Floor {
        /// Rounds; medians are taken over them.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Where the indexes lie while they are measured: on the disk that is meant.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Only this many objects per slot: 10, 1000 or 100000.
        #[arg(long)]
        fill: Option<usize>,
        /// So many objects, whatever the fill.
        #[arg(long)]
        objects: Option<usize>,
        /// Each call's objects go to all slots of its class.
        #[arg(long)]
        spread: bool,
        /// Only this subject: bare, naive, none/operator, none/ticket or key/operator.
        #[arg(long)]
        only: Option<String>,
    },
    /// The boundary to C: what registering through the C library takes beside the Rust call.
    Boundary {
        /// The program made of ffi/bench/register.c.
        program: PathBuf,
        /// Rounds; medians are taken over them.
        #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Calls of 1,000 objects in a round.
        #[arg(long, default_value_t = 500)]
        calls: usize,
        /// Where the indexes lie while they are measured.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
    },
    /// One side of `boundary`: registers through Rust and prints the microseconds that it took.
    #[command(hide = true)]
    Register { folder: PathBuf, calls: usize, flags: u32 },
}

/// What is measured.
#[derive(Clone, Copy)]
struct Subject {
    name: &'static str,
    of: Of,
}

#[derive(Clone, Copy)]
enum Of {
    /// The sketch of the engine's layout.
    Bare,
    /// The layout that most would begin with, which finds by key.
    Naive,
    /// The engine with classes of one kind.
    Engine(Find, Openings),
}

const SUBJECTS: [Subject; 5] = [
    Subject { name: "bare", of: Of::Bare },
    Subject { name: "naive", of: Of::Naive },
    Subject { name: "none/operator", of: Of::Engine(Find::None, Openings::Operator) },
    Subject { name: "none/ticket", of: Of::Engine(Find::None, Openings::Ticket) },
    Subject { name: "key/operator", of: Of::Engine(Find::Key, Openings::Operator) },
];

/// What registering and enforcing cost, one pair per round.
type Rounds = Vec<(Cost, Cost)>;

fn main() -> Result<()> {
    match Args::parse() {
        Args::Floor { rounds, dir, fill, objects, spread, only } => {
            let wanted = Wanted { fill, objects, spread, only: only.as_deref() };
            floor(rounds, &dir, &wanted)
        }
        Args::Boundary { program, rounds, calls, dir } => boundary_to_c(&program, rounds, calls, &dir),
        Args::Register { folder, calls, flags } => {
            let cost = boundary::register(&folder, calls, flags)?;
            println!("{} {}", cost.wall.as_micros(), cost.cpu.as_micros());
            Ok(())
        }
    }
}

fn boundary_to_c(program: &Path, rounds: u8, calls: usize, dir: &Path) -> Result<()> {
    println!(
        "Registering {} objects in calls of 1,000, C over Rust: median (least–most) of {rounds} rounds.\n",
        calls * CALL
    );
    println!("| | time | CPU time |\n|---|---:|---:|");
    for (name, flags) in [("buffered", BUFFERED), ("one fsync per call", 0)] {
        let mut ratios = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let through = |program: Command| -> Result<Cost> {
                boundary::in_process_of(program, tempfile::tempdir_in(dir)?.path(), calls, flags)
            };
            let through_rust = || {
                let mut program = Command::new(std::env::current_exe()?);
                program.arg("register");
                through(program)
            };
            // In turn the first, so that neither always measures in the wake of the other.
            let (rust, c) = if round % 2 == 0 {
                (through_rust()?, through(Command::new(program))?)
            } else {
                let c = through(Command::new(program))?;
                (through_rust()?, c)
            };
            ratios.0.push(c.wall.as_secs_f64() / rust.wall.as_secs_f64());
            ratios.1.push(c.cpu.as_secs_f64() / rust.cpu.as_secs_f64());
        }
        let cell = |ratios| {
            let (least, median, most) = spread(ratios);
            format!("{median:.2} ({least:.2}–{most:.2})")
        };
        println!("| {name} | {} | {} |", cell(ratios.0), cell(ratios.1));
    }
    Ok(())
}

/// Which lines of the table, and what work.
struct Wanted<'a> {
    fill: Option<usize>,
    objects: Option<usize>,
    spread: bool,
    only: Option<&'a str>,
}

fn floor(rounds: u8, dir: &Path, wanted: &Wanted<'_>) -> Result<()> {
    let Wanted { fill, objects: asked, spread: is_spread, only } = *wanted;
    print_fsync(dir)?;
    println!(
        "\nThousands of objects per second: median (least–most) of {rounds} rounds. ×: median share of bare."
    );
    if is_spread {
        println!("Each call is spread over all slots of its class.");
    }
    println!("CPU: µs of all threads per object, RocksDB's own included.\n");
    println!("| per slot | objects | find/openings | registered | × | CPU | enforced | × | CPU |");
    println!("|---:|---:|---|---:|---:|---:|---:|---:|---:|");
    for (objects, per_slot) in FILLS.into_iter().filter(|(_, n)| fill.is_none_or(|f| f == *n)) {
        let work = Workload::new(asked.unwrap_or(objects), per_slot, is_spread);
        let subjects: Vec<Subject> =
            SUBJECTS.into_iter().filter(|s| only.is_none_or(|name| name == s.name)).collect();
        let mut measured: Vec<Rounds> = vec![Vec::new(); subjects.len()];
        for round in 0..usize::from(rounds) {
            for turn in 0..subjects.len() {
                // Another one begins in every round, so that nobody always measures in the wake of the same.
                let at = (round + turn) % subjects.len();
                measured[at].push(measure(dir, subjects[at], &work)?);
            }
            eprintln!("{per_slot} per slot: round {} of {rounds}", round + 1);
        }
        for (subject, rounds) in subjects.iter().zip(&measured) {
            println!(
                "| {per_slot} | {} | {} | {} | {} |",
                work.len(),
                subject.name,
                cells(&work, rounds, &measured[0], |costs| costs.0),
                cells(&work, rounds, &measured[0], |costs| costs.1),
            );
        }
    }
    Ok(())
}

fn measure(dir: &Path, subject: Subject, work: &Workload) -> Result<(Cost, Cost)> {
    let folder = tempfile::tempdir_in(dir)?;
    match subject.of {
        Of::Bare | Of::Naive => {
            let bare = Bare::open(folder.path(), matches!(subject.of, Of::Naive))?;
            Ok((timed(|| bare.register(work))?, timed(|| bare.enforce(work))?))
        }
        Of::Engine(find, openings) => {
            let ours = Ours::open(folder.path(), find, openings)?;
            let registered = timed(|| ours.register(work))?;
            ours.wait_until_due(work);
            Ok((registered, timed(|| ours.enforce(work))?))
        }
    }
}

/// Objects per second, their share of the bare ones, and CPU time per object.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn cells(work: &Workload, rounds: &Rounds, bare: &Rounds, pick: fn(&(Cost, Cost)) -> Cost) -> String {
    let objects = work.len() as f64;
    let rate = |costs| objects / pick(costs).wall.as_secs_f64();
    let (least, median, most) = spread(rounds.iter().map(|r| rate(r) / 1_000.0).collect());
    let share = spread(rounds.iter().zip(bare).map(|(mine, theirs)| rate(mine) / rate(theirs)).collect()).1;
    let cpu = spread(rounds.iter().map(|r| pick(r).cpu.as_secs_f64() * 1e6 / objects).collect()).1;
    format!("{median:.0} ({least:.0}–{most:.0}) | {share:.2} | {cpu:.1}")
}

/// Least, median and most.
fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// How long the disk takes to make 4 KiB durable at the end of a file.
fn print_fsync(dir: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(dir)?;
    let mut file = File::create(folder.path().join("fsync"))?;
    let mut taken = Vec::new();
    for _ in 0..200 {
        let once = timed(|| {
            file.write_all(&[1; 4096])?;
            Ok(file.sync_data()?)
        })?;
        taken.push(once.wall.as_secs_f64() * 1e6);
    }
    let (least, median, most) = spread(taken);
    println!("fdatasync after appending 4 KiB: {median:.0} µs ({least:.0}–{most:.0}) of 200");
    Ok(())
}
