//! `sexton-bench`: the engine beside ceilings and peers, each measured in turn in the same run (`ours`, `peers`,
//! `scale`); how far it is above the floor that RocksDB and the disk set, by CPU time too (`floor`); what the boundary to
//! C costs (`boundary`).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command that prints what it measured")]

mod run;

use clap::Parser;
use run::RunArgs;
use sexton::Find;
use sexton_bench::bare::Bare;
use sexton_bench::boundary::{self, BUFFERED};
use sexton_bench::bout::place_of;
use sexton_bench::compare::{Set, growth};
use sexton_bench::figures::Spread;
use sexton_bench::machine::Fsync;
use sexton_bench::{CALL, Cost, Ours, Result, Workload, timed};
use sexton_proof::leaf::Openings;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Objects in the index at the least, and per slot, for each line of the table.
const FILLS: [(usize, usize); 3] = [(100_000, 10), (1_000_000, 1_000), (2_000_000, 100_000)];

/// Benchmarks of Sexton that are no criterion benches.
#[derive(Parser)]
enum Args {
    /// The engine beside ceilings and sketches on the same libraries.
    Ours(RunArgs),
    /// The engine beside what others wrote: Redis, PostgreSQL, RocksDB's TTL, find, other timers, another log.
    Peers(RunArgs),
    /// The engine while a million, ten and a hundred million objects live.
    Scale(RunArgs),
    /// The engine beside a bare sketch of it: durable registrations and enforced objects per second.
    Floor {
        /// Rounds; medians are taken over them.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
        rounds: u8,
        /// Where the indexes lie while they are measured: on the disk that is meant.
        #[arg(long, default_value = ".")]
        dir: PathBuf,
        /// Only this many objects per slot.
        #[arg(long, value_parser = fill)]
        fill: Option<usize>,
        /// So many objects, whatever the fill.
        #[arg(long)]
        objects: Option<usize>,
        /// Each call's objects go to all slots of its class.
        #[arg(long)]
        spread: bool,
        /// Only this subject; what is a share of bare stays empty then.
        #[arg(long, value_parser = SUBJECTS.map(|subject| subject.name))]
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
    /// One life of `scale`: prints a line for each figure.
    #[command(hide = true)]
    Grow { folder: PathBuf, live: usize, more: usize },
    /// Opens what `grow` left, and prints how long that took.
    #[command(hide = true)]
    Reopen { folder: PathBuf },
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
    /// The same with a second row per object under a random key.
    SecondRow,
    /// The engine with classes of one kind.
    Engine(Find, Openings),
}

const SUBJECTS: [Subject; 5] = [
    Subject { name: "bare", of: Of::Bare },
    Subject { name: "second-row", of: Of::SecondRow },
    Subject { name: "none/operator", of: Of::Engine(Find::None, Openings::Operator) },
    Subject { name: "none/ticket", of: Of::Engine(Find::None, Openings::Ticket) },
    Subject { name: "key/operator", of: Of::Engine(Find::Key, Openings::Operator) },
];

fn fill(text: &str) -> std::result::Result<usize, String> {
    let fills = FILLS.map(|(_, per_slot)| per_slot);
    let asked = text.parse().ok().filter(|asked| fills.contains(asked));
    asked.ok_or_else(|| format!("one of {fills:?}"))
}

/// What registering and enforcing cost, one pair per round.
type Rounds = Vec<(Cost, Cost)>;

fn main() -> Result<()> {
    match Args::parse() {
        Args::Ours(args) => run::run(Set::Ours, args),
        Args::Peers(args) => run::run(Set::Peers, args),
        Args::Scale(args) => run::run(Set::Scale, args),
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
        let cell = |ratios: Vec<f64>| {
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
        let work = Workload::new(asked.unwrap_or(objects), per_slot);
        let work = if is_spread { work.spread() } else { work };
        let subjects: Vec<Subject> =
            SUBJECTS.into_iter().filter(|s| only.is_none_or(|name| name == s.name)).collect();
        let mut measured: Vec<Rounds> = vec![Vec::new(); subjects.len()];
        for round in 0..usize::from(rounds) {
            for turn in 0..subjects.len() {
                let at = place_of(turn, round, subjects.len());
                measured[at].push(measure(dir, subjects[at], &work)?);
            }
            eprintln!("{per_slot} per slot: round {} of {rounds}", round + 1);
        }
        let bare = subjects.iter().position(|subject| matches!(subject.of, Of::Bare));
        let bare = bare.map_or(&[][..], |at| &measured[at]);
        for (subject, rounds) in subjects.iter().zip(&measured) {
            println!(
                "| {per_slot} | {} | {} | {} | {} |",
                work.len(),
                subject.name,
                cells(&work, rounds, bare, |costs| costs.0),
                cells(&work, rounds, bare, |costs| costs.1),
            );
        }
    }
    Ok(())
}

fn measure(dir: &Path, subject: Subject, work: &Workload) -> Result<(Cost, Cost)> {
    let folder = tempfile::tempdir_in(dir)?;
    match subject.of {
        Of::Bare | Of::SecondRow => {
            let bare = Bare::open(folder.path(), matches!(subject.of, Of::SecondRow))?;
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
fn cells(
    work: &Workload,
    rounds: &[(Cost, Cost)],
    bare: &[(Cost, Cost)],
    pick: fn(&(Cost, Cost)) -> Cost,
) -> String {
    let objects = work.len() as f64;
    let rate = |costs| objects / pick(costs).wall.as_secs_f64();
    let (least, median, most) = spread(rounds.iter().map(|r| rate(r) / 1_000.0));
    let shares: Vec<f64> = rounds.iter().zip(bare).map(|(mine, theirs)| rate(mine) / rate(theirs)).collect();
    let share = Spread::of(&shares).map_or_else(|| "–".to_owned(), |share| format!("{:.2}", share.median));
    let cpu = spread(rounds.iter().map(|r| pick(r).cpu.as_secs_f64() * 1e6 / objects)).1;
    format!("{median:.0} ({least:.0}–{most:.0}) | {share} | {cpu:.1}")
}

/// Least, median and most.
fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64, f64) {
    let spread = Spread::of(&values.into_iter().collect::<Vec<_>>());
    spread.map_or((f64::NAN, f64::NAN, f64::NAN), |s| (s.least, s.median, s.most))
}

/// How long the disk takes to make 4 KiB durable at the end of a file.
fn print_fsync(dir: &Path) -> Result<()> {
    let fsync = Fsync::measured(dir)?;
    if let Some(Spread { least, median, most }) = fsync.micros {
        let measured = fsync.measured;
        println!("fdatasync after appending 4 KiB: {median:.0} µs ({least:.0}–{most:.0}) of {measured}");
    }
    Ok(())
}
