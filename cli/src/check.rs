//! `sexton check`: the full check of a data folder.

use crate::args::CheckArgs;
use crate::folder;
use crate::output::{self, Failure, Output};
use crate::show;
use sexton::{Report, State, json};
use std::path::Path;

const SOUND: u8 = 0;
const PROBLEMS: u8 = 1;

pub(crate) fn run(args: &CheckArgs, output: &mut Output) -> Result<u8, Failure> {
    let folder = &args.folder;
    let engine = folder::open(folder)?;
    let bar = output::spinner("checking rows, evidence and log");
    let report = engine.check()?;
    let state = engine.status()?.state;
    bar.finish_and_clear();
    let sound = report.is_sound() && state == State::Running;
    if args.json {
        as_json(&report, &state, sound, output);
    } else {
        text(&report, &state, sound, folder, output);
    }
    Ok(if sound { SOUND } else { PROBLEMS })
}

fn as_json(report: &Report, state: &State, sound: bool, output: &mut Output) {
    let (state, why) = state.in_words();
    let mut told = json::report(report);
    told["sound"] = sound.into();
    told["state"] = state.into();
    told["why"] = why.into();
    output.json(&told);
}

fn text(report: &Report, state: &State, sound: bool, folder: &Path, output: &mut Output) {
    let mut line = |n: u64, what: &str| output.line(format_args!("{:>12} {what}", show::count(n)));
    line(report.rows, "live registrations");
    line(report.pages, "live pages");
    line(report.batches, "batches");
    line(report.tombstones, "tombstones");
    line(report.carries, "carries");
    line(report.leaves, "log entries");
    if let (state, Some(why)) = state.in_words() {
        output.line(format_args!("{} {why}", output.bad(format_args!("{state}:"))));
    }
    for problem in &report.problems {
        output.line(format_args!("{} {problem}", output.bad("problem:")));
    }
    let unlisted = report.problems_found.saturating_sub(report.problems.len() as u64);
    if unlisted > 0 {
        output.line(format_args!("and {} more", show::count(unlisted)));
    }
    if sound {
        output.line(output.good(format_args!("{} is sound", folder.display())));
    }
}
