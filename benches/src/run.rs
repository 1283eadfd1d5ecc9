//! `sexton-bench ours`, `peers` and `scale`: the comparisons of a set, printed as a Markdown table and written as JSON and
//! plots.

use clap::Args;
use sexton_bench::Result;
use sexton_bench::bout::{Pairing, Setup, has_part, say};
use sexton_bench::compare::{self, Set};
use sexton_bench::machine::Machine;
use sexton_bench::report::Report;
use std::fs;
use std::path::PathBuf;

/// How to run the comparisons.
#[derive(Args)]
pub(crate) struct RunArgs {
    /// Rounds; medians are taken over them. Fewer than 5 are for trying only.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// What all numbers of objects are multiplied with, above 0 and at most 1: less than 1 is for trying only.
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Only comparisons with these parts in their name (`enforce/1000`); may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Where everything lies while it is measured: on the disk that is meant.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Where the report is written.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// How long lateness is watched.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Prints the comparisons and what each has to reach, and measures nothing.
    #[arg(long)]
    list: bool,
}

fn scale(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(scale) if scale > 0.0 && scale <= 1.0 => Ok(scale),
        _ => Err("a number above 0 and at most 1".to_owned()),
    }
}

/// Runs a set.
pub(crate) fn run(set: Set, args: RunArgs) -> Result<()> {
    if args.list {
        for Pairing { name, target, what, .. } in compare::pairings(set) {
            let target = target.map(|target| target.to_string()).unwrap_or_default();
            println!("{name:<30} {target:>8}  {what}");
        }
        return Ok(());
    }
    let names: Vec<String> = compare::pairings(set).into_iter().map(|pairing| pairing.name).collect();
    if let Some(only) = args.only.iter().find(|only| !names.iter().any(|name| has_part(name, only))) {
        return Err(format!("no comparison has {only} in its name; --list names them").into());
    }
    // Both before anything is measured, which takes an hour.
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
        say(&format!("wrote {}", path.display()));
    }
    match report.failure() {
        Some(failed) => {
            let why = failed.why_not.as_deref().unwrap_or_default();
            Err(format!("{} could not be measured: {why}", failed.name).into())
        }
        None => Ok(()),
    }
}
