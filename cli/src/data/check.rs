//! `sexton check`: full consistency check of a data folder.

use super::open::{self, spinner};
use crate::format;
use crate::output::{Failure, Output};
use clap::Args as ClapArgs;
use sexton::json;
use sexton::report::{EngineState, Report};
use std::path::{Path, PathBuf};

const SOUND: u8 = 0;
const PROBLEMS: u8 = 1;

/// Arguments of `sexton check`.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  sexton check /var/lib/sexton

Exit codes:
  0  sound
  1  problems were found, and are listed
  2  wrong usage, or the folder cannot be opened, for example because another
     process has it open")]
pub(crate) struct CheckArgs {
    /// Data folder
    #[arg(value_name = "DATA")]
    folder: PathBuf,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &CheckArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.folder;
    let engine = open::data(folder)?;
    let bar = spinner("checking rows, evidence and log");
    let report = engine.check()?;
    let state = engine.status()?.state;
    bar.finish_and_clear();
    // A pause concerns the clock, not the data.
    let sound = report.is_sound() && !matches!(state, EngineState::Forked(_) | EngineState::Poisoned(_));
    if args.json {
        print_json(&report, &state, sound, output);
    } else {
        print_text(&report, &state, sound, folder, output);
    }
    Ok(if sound { SOUND } else { PROBLEMS })
}

fn print_json(report: &Report, state: &EngineState, sound: bool, output: &mut Output) {
    let (state, why) = state.word_and_reason();
    let mut value = json::report(report);
    value["sound"] = sound.into();
    value["state"] = state.into();
    value["why"] = why.into();
    output.json(&value);
}

fn print_text(report: &Report, state: &EngineState, sound: bool, folder: &Path, output: &mut Output) {
    let mut line = |n: u64, what: &str| output.line(format_args!("{:>12} {what}", format::count(n)));
    line(report.rows, "live registrations");
    line(report.pages, "live pages");
    line(report.batches, "batches");
    line(report.tombstones, "tombstones");
    line(report.carries, "carries");
    line(report.leaves, "log entries");
    if let (state, Some(why)) = state.word_and_reason() {
        output.line(format_args!("{} {why}", output.bad(format_args!("{state}:"))));
    }
    for problem in &report.problems {
        output.line(format_args!("{} {problem}", output.bad("problem:")));
    }
    let unlisted = report.problems_found.saturating_sub(report.problems.len() as u64);
    if unlisted > 0 {
        output.line(format_args!("and {} more", format::count(unlisted)));
    }
    if sound {
        output.line(output.good(format_args!("{} is sound", folder.display())));
    }
}
