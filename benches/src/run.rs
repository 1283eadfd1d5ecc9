//! Commands `ours`, `peers` and `scale`: run the comparisons of a set, print a Markdown table, write JSON and plots.

use clap::Args;
use sexton_bench::Result;
use sexton_bench::compare::{self, Set};
use sexton_bench::comparison::Comparison;
use sexton_bench::contest::{Setup, has_part, print_progress};
use sexton_bench::environment::Machine;
use sexton_bench::report::Report;
use std::fs;
use std::path::PathBuf;

/// Options of a run.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// Number of rounds. The report gives medians over them. Fewer than 5 make the run a trial.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Factor for the numbers of objects, above 0 and at most 1. Less than 1 makes the run a trial.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Run only comparisons with these parts in their name, such as `enforce/1000`. May be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Folder for the measured data. It decides which disk is measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Folder for the report.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// Seconds for which lateness is measured. Fewer than 60 make the run a trial.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Print the comparisons with their targets, and measure nothing.
    #[arg(long)]
    list: bool,
}

fn scale(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(scale) if scale > 0.0 && scale <= 1.0 => Ok(scale),
        _ => Err("has to be a number above 0 and at most 1".to_owned()),
    }
}

/// Runs a set.
pub(crate) fn run(set: Set, args: RunArgs) -> Result<()> {
    if args.list {
        for Comparison { name, target, what, .. } in compare::comparisons(set) {
            let target = target.map(|target| target.to_string()).unwrap_or_default();
            println!("{name:<30} {target:>8}  {what}");
        }
        return Ok(());
    }
    let names: Vec<String> =
        compare::comparisons(set).into_iter().map(|comparison| comparison.name).collect();
    if let Some(only) = args.only.iter().find(|only| !names.iter().any(|name| has_part(name, only))) {
        return Err(format!("no comparison has {only} in its name; --list prints all names").into());
    }
    // A folder that cannot be created has to fail before the measurement, which takes an hour.
    fs::create_dir_all(&args.dir)?;
    fs::create_dir_all(&args.out)?;
    let setup = Setup {
        dir: args.dir.canonicalize()?,
        rounds: usize::from(args.rounds),
        scale: args.scale,
        only: args.only,
        seconds: args.seconds,
        program: std::env::current_exe()?,
    };
    let machine = Machine::here(&setup.dir);
    let results = compare::run(&setup, set);
    let report = Report::new(set.name(), &setup, machine, results)?;
    println!("{}", report.markdown());
    for path in report.write(&args.out)? {
        print_progress(&format!("wrote {}", path.display()));
    }
    match report.failure() {
        Some(failed) => {
            let why = failed.why_not.as_deref().unwrap_or_default();
            Err(format!("{} could not be measured: {why}", failed.name).into())
        }
        None => Ok(()),
    }
}
